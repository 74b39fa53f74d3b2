"""The truth bench: cues and readers, the polynomials, the engine, the measures, the tables."""

import csv
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command_line import smoke

from experiments.causes import cues, report, scenes
from experiments.causes.attributions import Attribution, of_players
from experiments.causes.copies import (
    PlayerFamily,
    mask_copies,
    mask_families,
    player_copies,
    players_of,
    rise_masks,
)
from experiments.causes.measures import measure
from experiments.causes.metrics import agreement, curves
from experiments.causes.owen import of_halves
from experiments.causes.partition import PARTITIONS, partitions_of, stand_ins
from experiments.causes.policy import quadratic
from experiments.causes.readers import read, reader_of, stacked
from experiments.causes.runs import Plan
from experiments.causes.scenes import SCENES, frames_of_tasks, make_cause_scene, open_source
from iss_jax import EffectsConfig, attribute_players, divergence, embedded
from iss_jax.data.dataset import open_dataset
from iss_jax.policies.restored import load_policy

VIEWS = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")
SHAPE = (80, 80)


@pytest.fixture(scope="module")
def source():
    return open_source(open_dataset(embedded.episodes_path()))


def scene_of(source, name, donors=5):
    task = next(t for t in scenes.split_tasks(source)["chosen"] if "libero_object/" in t)
    (item,) = frames_of_tasks(source, [task], name, 1)
    return make_cause_scene(source, item, donors)


@pytest.mark.parametrize("name", SCENES)
def test_every_reader_reads_its_own_cue_and_no_other(source, name):
    scene = scene_of(source, name)
    assert tuple(cue.kind for cue in scene.cues) == SCENES[name]
    for number, (cue, reader) in enumerate(zip(scene.cues, scene.readers, strict=True)):
        assert float(read(reader, jnp.asarray(scene.frame)[None])[0]) == pytest.approx(1, abs=0.02)
        others = np.asarray(read(reader, jnp.asarray(scene.others[number])))
        # Tints and places have values between, all others have none.
        most = {"tint": 0.85, "patch_position": 0.7}.get(cue.kind, 0.1)
        assert (others < most).all() and others.min() < 0.1
        for i, frames in enumerate(scene.others):
            if i != number and {cue.kind, scene.cues[i].kind} & {"tint"} == set():
                kept = np.asarray(read(reader, jnp.asarray(frames)))
                np.testing.assert_allclose(kept, 1.0, atol=0.02)


def test_a_cue_changes_its_own_pixels_alone(source):
    images = {view: np.full((*SHAPE, 3), 90, np.uint8) for view in VIEWS}
    rng = np.random.default_rng(0)
    for make in (cues.panel_one, cues.panel_two, cues.border, cues.patch_presence, cues.shadow):
        cue = make(VIEWS, SHAPE, rng)
        painted = cue.paint(images, cue.own)
        for view in VIEWS:
            changed = (painted[view] != images[view]).any(-1)
            inside = cue.where.get(view, np.zeros(SHAPE, bool))
            assert not (changed & ~inside).any() and (images[view] == 90).all()
            assert changed.sum() == inside.sum()


def test_a_quarter_of_a_panel_in_any_one_view_is_enough():
    images = {view: np.full((*SHAPE, 3), 90, np.uint8) for view in VIEWS}
    cue = cues.panel_two(VIEWS, SHAPE, np.random.default_rng(1))
    reader = reader_of(cue, images, VIEWS)
    own = stacked(cue.paint(images, cue.own), VIEWS)
    one_gone, both_gone = own.copy(), own.copy()
    for view, mask in cue.where.items():
        both_gone[VIEWS.index(view)][mask] = 0.1
    first = next(iter(cue.where))
    one_gone[VIEWS.index(first)] = both_gone[VIEWS.index(first)]
    some_left = both_gone.copy()
    rows, columns = np.nonzero(cue.where[first])
    eighth = slice(0, len(rows) // 8)
    some_left[VIEWS.index(first), rows[eighth], columns[eighth]] = own[
        VIEWS.index(first), rows[eighth], columns[eighth]
    ]
    found = read(reader, jnp.asarray(np.stack([own, one_gone, both_gone, some_left])))
    np.testing.assert_allclose(np.asarray(found), [1, 1, 0, 0.5], atol=0.02)


def test_polynomials_are_the_effects_on_the_constructed_policy():
    rng = np.random.default_rng(0)
    actions, baseline = rng.normal(size=(2, 5, 2, 4, 3))
    seen, before = rng.random((5, 2)), rng.random(2)
    found = quadratic(actions, seen, baseline, before)
    for alpha in (0.0, 0.25, 1.0):
        for cue in range(2):
            w, w0 = alpha * seen[:, cue, None, None], alpha * before[cue]
            policy = actions[:, 0] + w * (actions[:, 1] - actions[:, 0])
            own = baseline[:, 0] + w0 * (baseline[:, 1] - baseline[:, 0])
            np.testing.assert_allclose(
                found.at(alpha)[:, cue], np.square(policy - own).mean((1, 2)), rtol=1e-10
            )


@pytest.mark.parametrize("estimator", ["one_at_a_time", "shapley"])
def test_copies_and_effects_are_those_of_the_library(source, estimator):
    scene, key, draws = scene_of(source, "seen"), jax.random.key(3), 2
    weights = jax.random.normal(jax.random.key(0), (3, 80, 80, 3))

    def policy(images):
        rows = jnp.stack([images[view] for view in VIEWS], 1)
        return jnp.tanh(jnp.einsum("nvhwc,vhwc->nv", rows, weights) / 50.0)[:, None]

    family = PlayerFamily("regions", "background", estimator)
    copies = player_copies(family, scene, draws, key)
    rows = {view: jnp.asarray(copies.frames[:, i]) for i, view in enumerate(VIEWS)}
    own = {view: jnp.asarray(scene.frame[i])[None] for i, view in enumerate(VIEWS)}
    effects = np.asarray(divergence.effects(policy(rows), policy(own)[0]))
    found = of_players(family, copies, effects, draws)
    expected = attribute_players(
        policy,
        own,
        {view: labels[None] for view, labels in players_of("regions", scene).labels.items()},
        scene.bank,
        key=key[None],
        groups=scene.groups,
        config=EffectsConfig(draws=draws, estimator=estimator, tint=family.with_tint),
    )
    assert found.effects is not None and float(np.abs(found.effects).max()) > 1e-3
    np.testing.assert_allclose(found.effects, expected.effects[0], rtol=1e-4, atol=1e-6)
    if family.with_tint:
        assert found.tint == pytest.approx(float(expected.beside["tint"].mean()), rel=1e-4)


def test_donors_are_of_other_tasks_and_fewer_draws_come_first(source):
    scene, key = scene_of(source, "doubled", donors=12), jax.random.key(0)
    assert int(scene.groups.task[0]) not in np.asarray(scene.bank.task).tolist()
    assert len(set(np.asarray(scene.bank.task).tolist())) == 12
    family = PlayerFamily("joined looks", "background", "banzhaf")
    few, many = (player_copies(family, scene, draws, key) for draws in (1, 2))
    np.testing.assert_array_equal(few.frames, many.frames[: len(few.frames)])


@pytest.mark.parametrize("family", PARTITIONS, ids=lambda family: family.fill)
def test_a_part_is_replaced_by_what_replaces_a_player(source, family):
    scene, key = scene_of(source, "seen", donors=4), jax.random.key(2)
    instead = stand_ins(family, scene, key, 2)
    players = PlayerFamily("regions", family.fill)
    copies = player_copies(players, scene, 2, key)
    labels = np.stack([np.asarray(v) for v in players_of("regions", scene).labels.values()])
    frames = copies.frames.reshape(2, -1, *scene.frame.shape)
    for draw, player in ((0, 0), (1, 1), (1, 2)):
        expected = np.where((labels == player)[..., None], instead[draw], scene.frame)
        np.testing.assert_allclose(frames[draw, player], expected, atol=1e-5)


def test_partitions_keep_to_their_budget_and_are_chosen_by_name():
    for family in PARTITIONS:
        for budget in (30, 100):
            runs = family.draws(budget) * (2 + 2 * family.splits(budget))
            assert budget - 4 <= runs <= budget
    assert partitions_of(Plan()) == list(PARTITIONS)
    alone = Plan(families=("Owen values, donors",))
    assert [family.fill for family in partitions_of(alone)] == ["background"]
    assert alone.player_families == () and alone.mask_families == []


@pytest.mark.slow
def test_methods_keep_to_their_budget(source):
    scene, plan = scene_of(source, "seen"), Plan()
    for family in plan.player_families:
        count = len(players_of(family.players, scene))
        beside = int(family.with_tint)
        for budget in plan.budgets_of(family):
            draws = family.draws(count, budget)
            least = family.config(1).runs(count, beside)
            assert least <= draws * least <= budget or (draws == 1 and budget < 100)


def test_masks_of_rise_are_smooth_and_half_open(source):
    keep = rise_masks(jax.random.key(0), 200, 2, SHAPE)
    assert keep.shape == (200, 2, 80, 80) and keep.min() >= 0 and keep.max() <= 1
    assert np.abs(keep.mean(0) - 0.5).max() < 0.15
    np.testing.assert_allclose(rise_masks(jax.random.key(0), 2, 1, SHAPE, keep=1.0), 1, rtol=1e-6)
    scene = scene_of(source, "seen")
    blurred = mask_copies(mask_families(4)[1], scene, jax.random.key(0))
    assert blurred.frames.shape == (4, 3, 80, 80, 3)
    assert np.abs(blurred.frames - scene.frame).max() > 0.1


def test_measures_of_a_player_that_is_half_the_cue():
    labels = np.array([[[0, 0, 1, 1, 2, 2, 2, 2]]])
    where = np.array([[[0, 1, 1, 1, 0, 0, 0, 0]]], bool)
    effects = np.array([1.0, 6.0, 3.0])
    found = measure(
        Attribution(effects[labels], effects, effects, labels, 7.0), where, everywhere=False
    )
    # Half of the first player's effect and all of the second's.
    assert found["share"] == pytest.approx(6.5 / 10)
    assert found["effect"] == pytest.approx(13 / 3)
    # The tint does more.
    assert found["first"] == found["held"] == 0
    # Of 3 x 5 pairs: the two of player 1 win all, that of player 0 loses four and ties one.
    assert found["rank"] == pytest.approx((5 + 5 + 0.5) / 15)
    tint = measure(
        Attribution(effects[labels], effects, effects, labels, 7.0), where, everywhere=True
    )
    assert tint["share"] == pytest.approx(7 / 17) and tint["first"] == 1


def test_the_effect_of_a_part_is_on_the_scale_of_players():
    # Two halves of a view, of which one holds the cue: as parts and as players.
    shape = (1, 4, 4)
    credit = {(0, 1, 0, 4, 0, 2): 3.0, (0, 1, 0, 4, 2, 4): 1.0}
    where = np.zeros(shape, bool)
    where[0, :2, 1:3] = True
    labels = np.repeat([0, 0, 1, 1], 4).reshape(1, 4, 4).transpose(0, 2, 1)
    players = Attribution(np.array([3.0, 1.0])[labels], np.array([3.0, 1.0]), None, labels)
    halves = measure(of_halves(credit, shape), where, everywhere=False)
    assert halves["effect"] == measure(players, where, everywhere=False)["effect"] == 2.0
    # Its share is by pixels: a quarter of what each half did.
    assert halves["share"] == pytest.approx(0.25)


def test_patches_of_tokens_are_the_policys_own_and_have_the_large_budget(source):
    scene = scene_of(source, "seen")
    found = players_of("token patches", scene)
    sizes = load_policy(embedded.checkpoint_path()).image_size
    assert len(found) == 75 and sizes == 80
    labels = np.asarray(found.labels[VIEWS[1]])
    np.testing.assert_array_equal(labels[16:32, 64:], 25 + 9)
    plan = Plan(families=("token patches, donors, alone", "token patches, mean, alone"))
    for family in plan.player_families:
        assert plan.budgets_of(family) == (100,)
        assert family.config(1).runs(75, int(family.with_tint)) in (76, 77)


def planted_rows():
    rows = []
    for task in range(12):
        for alpha in (0.0, 0.25, 0.5, 0.75, 1.0):
            true = 1e-4 + alpha**2 * (1 + task)
            for method, share in (("finds", alpha), ("blind", 0.3 + 0.001 * task)):
                row = {
                    "split": "heldout",
                    "method": method,
                    "budget": 100,
                    "kind": "border",
                    "size": "small",
                }
                row |= {"alpha": alpha, "task": str(task), "episode": task, "frame": 0}
                row |= {"true": true, "instruction": 1.0 + task, "share": share, "rank": share}
                row |= {"first": float(share > 0.2), "held": 1.0, "area": 0.1, "left": 0.0}
                row |= {"first_dense": 1.0}
                effect = true * 0.9 if method == "finds" else (task * 7 % 5) + 1.0
                rows.append(row | {"effect": effect, "decoys": 0.0})
    return rows


def test_the_report_finds_what_was_put_in():
    table = report.summary(planted_rows(), resamples=200)
    cells = {row["method"]: row for row in table}
    assert cells["finds"]["auc"] == 1.0 and cells["finds"]["low"] == 1.0
    assert cells["blind"]["auc"] == pytest.approx(0.5)
    assert cells["finds"]["spearman"] == pytest.approx(1.0)
    assert cells["finds"]["ratio"] == pytest.approx(0.9)
    assert abs(cells["blind"]["spearman"]) < 0.3
    assert cells["finds"]["false_first"] == 0.0 and cells["blind"]["false_first"] == 1.0
    (goal,) = report.goals(table, [("finds", 100)])
    assert goal["missed"] == ""
    (goal,) = report.goals(table, [("blind", 100)])
    assert goal["missed"] == "auc, low, spearman, false_first"


def test_frames_whose_policy_reacts_by_itself_have_no_control():
    rows = planted_rows()
    for row in rows:
        if row["task"] == "3" and row["alpha"] == 0.0:
            row["true"] = 1.0
    clean = report.clean_frames(rows)
    assert len(clean) == 11 and not any(frame[2] == "3" for frame in clean)


def test_intervals_of_normal_draws_cover_as_students_do():
    rng = np.random.default_rng(0)
    errors = []
    for number in range(4000):
        draws = rng.normal(1.0, 1.0, 4)
        errors.append(
            {
                "split": "chosen",
                "method": "m",
                "budget": 30,
                "draws": 4,
                "task": str(number),
                "effect": draws.mean(),
                "stderr": draws.std(ddof=1) / 2,
                "value": 1.0,
                "value_stderr": 0.0,
            }
        )
    (found,) = report.coverage(errors)
    # Student's is exact; its standard error over 4,000 is 0.0034. Normal ones cover 0.856.
    assert found["student"] == pytest.approx(0.95, abs=4 * 0.0035)
    assert found["normal"] == pytest.approx(0.8554, abs=4 * 0.0056)


def test_curves_take_the_highest_pixels_first():
    frame, base = np.ones((2, 5, 4, 3), np.float32), np.zeros((2, 5, 4, 3), np.float32)
    pixels = np.arange(40.0).reshape(2, 5, 4)
    found = curves(frame, base, pixels).reshape(2, 9, 40, 3)[..., 0]
    for step in range(9):
        first = np.arange(40) >= 40 - 4 * (step + 1)
        np.testing.assert_array_equal(found[0, step], ~first)
        np.testing.assert_array_equal(found[1, step], first)


def test_a_metric_agrees_with_the_truth_by_its_own_direction():
    table = [
        {"kind": "border", "method": m, "budget": b, "auc": auc}
        for m, b, auc in (("a", 30, 0.1), ("a", 100, 0.9), ("b", 30, 0.7), ("c", 100, 0.5))
    ]
    metrics = [
        {"kind": "border", "method": m, "deletion": x, "insertion": x, "infidelity": -x}
        for m, x in (("a", 3.0), ("b", 2.0), ("c", 1.0), ("a", 5.0))
    ]
    (found,) = agreement(metrics, table)
    assert found["methods"] == 3 and found["deletion"] == pytest.approx(1.0)
    assert found["insertion"] == pytest.approx(-1.0)
    assert found["infidelity"] == pytest.approx(1.0)


def test_splits_share_no_task_and_no_held_out_kind(source):
    tasks = scenes.split_tasks(source)
    assert not set(tasks["chosen"]) & set(tasks["heldout"])
    assert len(tasks["chosen"]) + len(tasks["heldout"]) == 41


@pytest.mark.slow
def test_the_smoke_run(tmp_path):
    smoke("known_causes", tmp_path)
    content = json.loads((tmp_path / "results.json").read_text())
    assert {row["kind"] for row in content["goals"]} == set(SCENES["seen"])
    assert all(not math.isnan(row["auc"]) for row in content["goals"] if row["auc"] is not None)
    assert content["coverage"][0]["intervals"] > 0
    with (tmp_path / "summary.csv").open(newline="") as file:
        methods = {row["method"] for row in csv.DictReader(file)}
    assert {"ISS, paper", "RISE", "Owen values, donors", "Owen values, wide blur"} <= methods
    for name in ("summary.csv", "goals.csv", "coverage.csv", "frames.csv", "sizes.csv"):
        assert len((tmp_path / name).read_text().splitlines()) > 1
