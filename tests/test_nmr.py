import fractions

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from iss_jax.attribution import attribute
from iss_jax.config import ISSConfig
from iss_jax.critical import critical_set
from iss_jax.nmr import (
    Region,
    chance_level,
    mass_ratio,
    nuisance_mass_ratio,
    ratio_reason,
    region_auc,
    regional_mass_ratio,
)

N, S, A = Region.NUISANCE, Region.SUPPORT, Region.ACTION
MAP = jnp.array([[10.0, 4.0, 3.0, 2.0, 1.0]])
ONES = jnp.ones((1, 5), jnp.int32)


def brute_force(saliency, labels, k, critical, region=N):
    """Pixel by pixel, most salient first, earlier pixels before later ones."""
    score = np.maximum(saliency, 0) if critical == "mass" else saliency
    order = sorted(range(len(score)), key=lambda i: (-score[i], i))
    if critical == "count":
        chosen = order[: int(np.ceil(k * len(score) / 100 - 1e-9))]
    else:
        chosen, held, total = [], 0.0, float(score.sum())
        for i in order:
            if total == 0 or held >= k / 100 * total * (1 - 1e-6):
                break
            chosen.append(i)
            held += float(score[i])
    return np.mean([labels[i] == region for i in chosen]) if chosen else np.nan


def test_all_inside_and_all_outside():
    labels = jnp.array([[A, S, N, N, N]])
    for critical, k in (("count", 40), ("mass", 70)):
        assert float(nuisance_mass_ratio(MAP, labels, k, critical=critical)) == 0.0
        assert float(nuisance_mass_ratio(-MAP[:, ::-1] + 11, labels, 20)) == 0.0
        inside = jnp.array([[N, N, A, S, S]])
        assert float(nuisance_mass_ratio(MAP, inside, k, critical=critical)) == 1.0
    ratios = [regional_mass_ratio(MAP, labels, region=r, k=60) for r in Region]
    np.testing.assert_allclose(ratios, [1 / 3, 1 / 3, 1 / 3])
    np.testing.assert_allclose(mass_ratio(MAP, labels), 6 / 20)
    np.testing.assert_allclose(mass_ratio(MAP, labels, region=A), 10 / 20)


def test_an_empty_region_holds_nothing_and_a_full_one_everything():
    labels = jnp.full((1, 5), int(S))
    assert float(nuisance_mass_ratio(MAP, labels)) == 0.0
    assert float(mass_ratio(MAP, labels)) == 0.0
    assert float(chance_level(labels)) == 0.0
    assert float(chance_level(labels, region=S)) == 1.0


def test_ties_go_to_the_first_pixels_and_are_counted():
    flat = jnp.ones((2, 5))
    found = critical_set(flat, 30)
    assert np.array_equal(found.pixels["view"], [[1, 1, 1, 0, 0], [0, 0, 0, 0, 0]])
    assert int(found.ties) == 7 and float(found.threshold) == 1.0
    labels = jnp.array([[N, N, A, N, N], [N, N, N, N, N]])
    # Which three of ten equal pixels they are is no finding.
    assert np.isnan(nuisance_mass_ratio(flat, labels, 30))
    assert int(ratio_reason(flat, k=30)) == 3 and int(ratio_reason(flat, k=100)) == 0
    np.testing.assert_allclose(nuisance_mass_ratio(flat, labels, 100), 9 / 10)
    partly = jnp.array([[5.0, 1.0, 1.0, 1.0, 0.0]])
    assert ratio_reason(partly, k=[20, 40]).tolist() == [0, 0]
    assert int(critical_set(partly, 40).ties) == 2
    assert int(critical_set(partly, 80).ties) == 0


def test_views_are_ranked_jointly_and_alone_on_request():
    maps = {"front": jnp.array([[9.0, 8.0]]), "wrist": jnp.array([[1.0, 2.0]])}
    labels = {"front": jnp.array([[N, N]]), "wrist": jnp.array([[A, N]])}
    assert float(nuisance_mass_ratio(maps, labels, 50)) == 1.0
    assert float(nuisance_mass_ratio(maps, labels, 100)) == 0.75
    alone = nuisance_mass_ratio(maps, labels, 100, per_view=True)
    assert {view: float(x) for view, x in alone.items()} == {"front": 1.0, "wrist": 0.5}
    area = chance_level(labels, per_view=True)
    assert {view: float(x) for view, x in area.items()} == {"front": 1.0, "wrist": 0.5}
    assert float(chance_level(labels)) == 0.75


def test_absent_views_and_padding_take_part_in_nothing():
    maps = {"front": jnp.array([[[9.0, 8.0], [7.0, 99.0]]]), "wrist": jnp.full((1, 2, 2), 100.0)}
    labels = {"front": jnp.array([[[A, N], [S, N]]]), "wrist": jnp.zeros((1, 2, 2), jnp.int32)}
    present = {"wrist": jnp.array([False])}
    valid = {"front": jnp.array([[True, True], [True, False]])}
    options = {"present": present, "valid": valid}
    found = critical_set(maps, 100, **options)
    assert not found.pixels["wrist"].any() and not found.pixels["front"][0, 1, 1]
    assert found.size.tolist() == [3]
    np.testing.assert_allclose(nuisance_mass_ratio(maps, labels, 100, **options), [1 / 3])
    np.testing.assert_allclose(
        nuisance_mass_ratio(maps, labels, 70, critical="mass", **options), [0.5]
    )
    np.testing.assert_allclose(mass_ratio(maps, labels, **options), [8 / 24])
    np.testing.assert_allclose(chance_level(labels, **options), [1 / 3])
    alone = nuisance_mass_ratio(maps, labels, 100, per_view=True, **options)
    assert np.isnan(alone["wrist"]).all()


def test_nothing_salient_is_not_a_number_where_mass_is_asked_for():
    zero, labels = jnp.zeros((2, 2)), jnp.zeros((2, 2), jnp.int32)
    assert np.isnan(mass_ratio(zero, labels))
    assert np.isnan(nuisance_mass_ratio(zero, labels, critical="mass"))
    assert int(critical_set(zero, critical="mass").size) == 0
    assert int(critical_set(zero, 50).ties) == 2


@pytest.mark.parametrize("critical", ["count", "mass"])
def test_a_map_with_nan_has_no_ratio(critical):
    maps = jnp.stack([MAP, MAP.at[0, 4].set(jnp.nan), MAP])
    labels = jnp.zeros((3, 1, 5), jnp.int32)
    ratio = nuisance_mass_ratio(maps, labels, [20, 100], critical=critical)
    assert np.isnan(ratio).tolist() == [[False] * 2, [True] * 2, [False] * 2]
    assert np.isnan(mass_ratio(maps, labels)).tolist() == [False, True, False]
    # Outside the picture it does no harm.
    valid = {"view": ~jnp.isnan(maps)}
    assert not np.isnan(nuisance_mass_ratio(maps, labels, critical=critical, valid=valid)).any()


def test_negative_scores_rank_last_and_hold_no_mass():
    signed = jnp.array([[-5.0, 3.0, -1.0, 1.0]])
    labels = jnp.array([[N, A, N, N]])
    assert float(mass_ratio(signed, labels)) == 0.25
    assert int(critical_set(signed, 100, critical="mass").size) == 2
    assert np.array_equal(critical_set(signed, 75).pixels["view"], [[0, 1, 1, 1]])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31),
    st.sampled_from([1, 5, 10, 12.5, 20, 50, 99, 100]),
    st.sampled_from(["count", "mass"]),
    st.booleans(),
)
def test_ratio_equals_counting_by_hand(seed, k, critical, tied):
    rng = np.random.default_rng(seed)
    saliency = rng.integers(-1, 4, 30) if tied else rng.normal(size=30)
    saliency = saliency.astype(np.float32)
    labels = rng.integers(0, 3, 30)
    expected = brute_force(saliency, labels, k, critical)
    size = int(critical_set(saliency[None], k, critical=critical).size)
    score = np.maximum(saliency, 0) if critical == "mass" else saliency
    if size < 30 and (score == score.max()).sum() > size:
        expected = np.nan  # the order of ties alone chooses
    ratio = nuisance_mass_ratio(
        {"a": saliency[:12].reshape(3, 4), "b": saliency[12:].reshape(2, 9)},
        {"a": labels[:12].reshape(3, 4), "b": labels[12:].reshape(2, 9)},
        k,
        critical=critical,
    )
    np.testing.assert_allclose(ratio, expected, rtol=1e-6)


def test_several_percentages_share_one_call_under_jit_and_vmap():
    maps = jax.random.uniform(jax.random.key(0), (3, 8, 8))
    labels = jax.random.randint(jax.random.key(1), (3, 8, 8), 0, 3)
    levels = (1, 5, 10, 15, 20)
    joint = nuisance_mass_ratio(maps, labels, levels)
    assert joint.shape == (3, 5)
    np.testing.assert_array_equal(nuisance_mass_ratio(maps, labels, np.array(levels)), joint)
    single = jnp.stack([nuisance_mass_ratio(maps, labels, k) for k in levels], axis=-1)
    np.testing.assert_allclose(joint, single, rtol=1e-6)
    compiled = jax.jit(lambda m, r: nuisance_mass_ratio(m, r, levels))(maps, labels)
    np.testing.assert_allclose(joint, compiled, rtol=1e-6)
    mapped = jax.vmap(lambda m, r: nuisance_mass_ratio(m, r, levels))(maps, labels)
    np.testing.assert_allclose(joint, mapped, rtol=1e-6)


@pytest.mark.parametrize("k", [0.001, 0.3, 1, 7, 10, 12.5, 33.333, 99.999, 100])
def test_the_count_is_an_exact_ceiling(k):
    for pixels in (1, 3, 1000, 99_999, 150_528):
        usable = jnp.arange(pixels) >= 0
        size = jax.jit(lambda u: critical_set(u.astype(jnp.float32), k, valid={"view": u}).size)
        found = size(usable[None])
        exact = -(-fractions.Fraction(str(k)) * pixels // 100)
        assert int(found) == exact


def test_a_random_map_is_at_chance():
    maps = np.random.default_rng(2).random((400, 10, 10), np.float32)
    labels = np.tile(np.array([N, N, N, S, A]), (400, 20)).reshape(maps.shape)
    ratio = np.asarray(nuisance_mass_ratio(maps, labels, 10))
    # 10 of 100 pixels without replacement, 60 of them nuisance: five standard errors.
    spread = np.sqrt(0.6 * 0.4 / 10 * 90 / 99 / 400)
    assert abs(float(ratio.mean()) - float(chance_level(labels)[0])) < 5 * spread


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: critical_set(MAP, 0), "percentage.*0"),
        (lambda: critical_set(MAP, 101), "percentage.*101"),
        (lambda: critical_set(MAP, critical="area"), "count.*mass.*area"),
        (lambda: nuisance_mass_ratio({"a": MAP}, {"b": ONES}), r"maps.*\['a'\].*regions.*\['b'\]"),
        (lambda: nuisance_mass_ratio(MAP, ONES[:, :3]), r"\[1, 5\].*\[1, 3\]"),
        (lambda: nuisance_mass_ratio(MAP, ONES, present={"wrist": True}), r"present.*wrist"),
        (lambda: nuisance_mass_ratio({}, {}), "at least one view"),
        (lambda: nuisance_mass_ratio(MAP, MAP), "dtype float32.*0 nuisance, 1 support"),
        (lambda: mass_ratio(MAP, ONES == 1), "dtype bool.*0 nuisance"),
        (lambda: chance_level(ONES * 255), r"labels \[255\].*0 nuisance"),
        (lambda: region_auc(MAP, -ONES), r"labels \[-1\].*0 nuisance"),
        (lambda: nuisance_mass_ratio(MAP, 7 * ONES), r"regions of 'view': labels \[7\]"),
        (lambda: critical_set(MAP, valid={"wrist": MAP > 0}), r"valid.*\['wrist'\].*\['view'\]"),
        (lambda: critical_set(MAP[0]), r"view: expected \[\*b, h, w\], got \[5\]"),
        (
            lambda: critical_set({"a": MAP, "b": MAP[None]}),
            r"share their batch axes, got \{'a': \(\), 'b': \(1,\)\}",
        ),
    ],
)
def test_errors_name_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_region_auc_has_no_value_where_there_is_only_one_side():
    assert np.isnan(region_auc(MAP, jnp.full((1, 5), int(A)), region=A))
    assert np.isnan(region_auc(MAP, jnp.full((1, 5), int(S)), region=A))
    # One pixel on either side is enough.
    two = jnp.array([[1.0, 2.0]])
    assert float(region_auc(two, jnp.array([[S, A]]), region=A)) == 1.0
    assert float(region_auc(two, jnp.array([[A, S]]), region=A)) == 0.0


def test_measures_of_views_are_those_of_each_view_alone():
    rng = np.random.default_rng(6)
    maps = {view: rng.normal(size=(6, 5)).astype(np.float32) for view in ("a", "b")}
    labels = {view: rng.integers(0, 3, (6, 5)) for view in maps}
    valid, present = {"a": rng.random((6, 5)) < 0.7}, {"b": True}
    for measure in (nuisance_mass_ratio, mass_ratio, region_auc):
        found = measure(maps, labels, valid=valid, present=present, per_view=True)
        assert list(found) == ["a", "b"]
        wanted = {
            "a": measure({"a": maps["a"]}, {"a": labels["a"]}, valid=valid),
            "b": measure(maps["b"], labels["b"]),
        }
        np.testing.assert_allclose([found[v] for v in maps], [wanted[v] for v in maps])
        assert np.ndim(measure(maps, labels)) == 0


def test_the_default_is_the_highest_tenth_by_count_of_the_nuisance_region():
    """nmr@10, as the paper reports it: 10 of 100 pixels."""
    maps = jax.random.normal(jax.random.key(3), (10, 10))
    labels = jax.random.randint(jax.random.key(4), (10, 10), 0, 3)
    assert int(critical_set(maps).size) == 10
    chosen = np.argsort(-np.ravel(maps))[:10]
    share = np.mean(np.ravel(labels)[chosen] == 0)
    assert float(nuisance_mass_ratio(maps, labels)) == pytest.approx(share)
    assert float(regional_mass_ratio(maps, labels, region=Region.NUISANCE)) == pytest.approx(share)
    mass = np.maximum(maps, 0.0)
    assert float(mass_ratio(maps, labels)) == pytest.approx(
        float(mass[labels == 0].sum() / mass.sum()), rel=1e-5
    )


def test_labels_are_those_that_datasets_store():
    assert {region.name: int(region) for region in Region} == {
        "NUISANCE": 0,
        "SUPPORT": 1,
        "ACTION": 2,
    }


def test_a_saliency_takes_part_with_its_own_pixels_and_those_that_are_named():
    """Both have to say so: padding that the map knows, and pixels that the caller leaves out."""
    rng = np.random.default_rng(7)
    images = {view: jnp.asarray(rng.random((14, 14, 3), np.float32)) for view in ("a", "b")}
    padding = jnp.arange(14)[:, None] < jnp.full((1, 14), 10)
    found = attribute(
        lambda seen: (seen["a"] + seen["b"]).mean((1, 2))[:, None],
        images,
        valid={"a": padding},
        config=ISSConfig(num_masks=8),
    )
    labels = {view: rng.integers(0, 3, (14, 14)) for view in images}
    named = {"a": rng.random((14, 14)) < 0.6}
    both = {"a": padding & named["a"]}
    for k in (30, 100):
        ratio = nuisance_mass_ratio(found, labels, k, valid=named)
        assert float(ratio) == float(nuisance_mass_ratio(found.maps, labels, k, valid=both))
        for options, pixels in (({}, 140 + 196), ({"valid": named}, int(both["a"].sum()) + 196)):
            assert int(critical_set(found, k, **options).size) == -(-k * pixels // 100)


def test_region_auc_is_the_share_of_won_pairs_whatever_is_added():
    rng = np.random.default_rng(5)
    maps = {view: rng.integers(0, 9, (2, 6, 5)).astype(np.float32) for view in ("a", "b")}
    labels = {view: rng.integers(0, 3, (2, 6, 5)).astype(np.uint8) for view in ("a", "b")}
    valid = {view: rng.random((2, 6, 5)) < 0.8 for view in ("a", "b")}
    found = region_auc(maps, labels, region=1, valid=valid)
    for i in range(2):
        score, label, used = (
            np.concatenate([x[view][i].ravel() for view in ("a", "b")])
            for x in (maps, labels, valid)
        )
        inside, outside = score[used & (label == 1)], score[used & (label != 1)]
        won = np.mean((inside[:, None] > outside[None]) + 0.5 * (inside[:, None] == outside[None]))
        assert float(found[i]) == pytest.approx(won, abs=1e-6)
    moved = {view: values + 1000 for view, values in maps.items()}
    np.testing.assert_allclose(region_auc(moved, labels, region=1, valid=valid), found)
    none = {view: np.minimum(own, 1) for view, own in labels.items()}
    assert np.isnan(region_auc(maps, none, region=2)).all()
    with pytest.raises(ValueError, match=r"region must be one of .*got 7"):
        region_auc(maps, labels, region=7)
    broken = {view: values.copy() for view, values in maps.items()}
    broken["a"][0, 0, 0] = np.nan
    assert np.isnan(region_auc(broken, labels, region=1)).tolist() == [True, False]


def test_what_no_map_says_is_nan_with_a_reason_and_trips_nothing():
    labels = jnp.array([[N, A, S, N, N]])
    cases = {
        1: MAP.at[0, 2].set(jnp.nan),
        2: jnp.zeros((1, 5)),
        3: jnp.array([[2.0, 2.0, 1.0, 0.0, 0.0]]),
    }
    together = jnp.stack(list(cases.values()))
    with jax.debug_nans(True):
        for reason, saliency in cases.items():
            critical = "mass" if reason == 2 else "count"
            assert np.isnan(nuisance_mass_ratio(saliency, labels, 20, critical=critical))
            assert int(ratio_reason(saliency, k=20, critical=critical)) == reason
        assert np.isnan(mass_ratio(jnp.zeros((1, 5)), labels))
        assert np.isnan(mass_ratio(cases[1], labels)) and np.isnan(region_auc(cases[1], labels))
        assert np.isnan(region_auc(MAP, ONES))
        reasons = jax.jit(lambda maps: ratio_reason(maps, k=20))(together)
    assert reasons.tolist() == [1, 3, 3]


def test_labels_of_padding_are_not_looked_at():
    labels, valid = ONES.at[0, 0].set(255), jnp.array([[False, True, True, True, True]])
    assert float(nuisance_mass_ratio(MAP, labels, 50, valid={"view": valid})) == 0.0
