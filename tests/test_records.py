"""Results pass through JAX's transformations, and say what they hold."""

import builtins
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import iss_jax
from iss_jax.adaptive import Adaptive
from iss_jax.adaptive_players import AdaptiveEffects
from iss_jax.baselines import Explanation
from iss_jax.baselines.integrated import IntegratedGradients
from iss_jax.effects_agreement import Agreement
from iss_jax.image_use import ImageUse
from iss_jax.modalities import Texts
from iss_jax.policies.served import ServedSaliency
from iss_jax.records import Record, batch_index, record, static
from iss_jax.results import of_cells
from iss_jax.tokens import MaskedSignificance, SampledSignificance, TokenMeans, TokenSignificance

VALID = {"front": jnp.ones((2, 8, 8), bool), "wrist": jnp.ones((2, 8, 8), bool)}
MAPS = {view: jnp.arange(128.0).reshape(2, 8, 8) for view in VALID}


def map_of_two():
    cells = jnp.arange(2 * 2 * 2 * 2.0).reshape(2, 2, 2, 2)
    return of_cells(cells, VALID, contrast_stderr=jnp.ones_like(cells), unit="squares")


def tokens(shift=0.0):
    scores = {"front": jnp.arange(8.0).reshape(2, 4) + shift}
    maps = {"front": MAPS["front"]}
    return TokenSignificance(maps, scores, jnp.ones((2, 3)), jnp.zeros((2, 4, 5)), unit="nats")


def players():
    """Left and right halves."""
    halves = jnp.broadcast_to((jnp.arange(6) >= 3).astype(jnp.int32), (2, 4, 6))
    return iss_jax.Players({"front": halves}, names=("left", "right"))


def effects():
    """Of two frames, three draws each."""
    return iss_jax.Effects(
        by_draw=jnp.arange(12.0).reshape(2, 3, 2),
        moved=jnp.ones((2, 2)),
        beside={"tint": jnp.ones((2, 3))},
        floor=jnp.zeros(2),
        reason=jnp.zeros(2, jnp.int32),
        players=players(),
        actions=jnp.zeros((2, 4, 5)),
        frames={"front": jnp.ones((2, 4, 6, 3))},
        donors=jnp.zeros((2, 3), jnp.int32),
        config=iss_jax.EffectsConfig(draws=3),
        unit="action",
    )


def results():
    """One of every kind."""
    sal, token = map_of_two(), tokens()
    by_view = {"front": jnp.ones((2, 4))}
    flags = {"front": jnp.ones((2, 4), bool)}
    return {
        "Saliency": sal,
        "Adaptive": Adaptive(sal, np.ones(2), np.array([True, False]), np.zeros((5, 2, 2, 2, 2))),
        "ServedSaliency": ServedSaliency(sal, 0.25, 0.01, np.zeros((8, 3, 2), np.float32)),
        "Explanation": Explanation(MAPS, VALID, unit="norm"),
        "IntegratedGradients": IntegratedGradients(MAPS, VALID, jnp.ones(2), unit="error"),
        "TokenSignificance": token,
        "MaskedSignificance": MaskedSignificance(
            token, by_view, jnp.ones((2, 3)), by_view, jnp.ones((2, 3)), jnp.ones((2, 6)), flags
        ),
        "SampledSignificance": SampledSignificance(
            token, tokens(1.0), by_view, flags, flags, by_view, jnp.full(2, 4)
        ),
        "TokenMeans": TokenMeans(jnp.ones(8), jnp.zeros(8)),
        "CriticalSet": iss_jax.critical_set(sal, 10),
        "Players": players(),
        "Background": iss_jax.Background(
            {"front": jnp.ones((3, 4, 6, 3))}, episode=jnp.arange(3), tasks=("a", "b")
        ),
        "Effects": effects(),
        "AdaptiveEffects": AdaptiveEffects(
            effects(), np.ones(2), np.ones(2, bool), np.array(3), np.zeros((2, 2), np.uint32)
        ),
        "Agreement": Agreement(jnp.ones(2), jnp.ones(2), jnp.zeros(2, bool), jnp.ones(2, bool)),
        "Texts": Texts(
            jnp.zeros((2, 3, 3, 4), jnp.int32),
            jnp.ones((2, 3, 3, 4), bool),
            jnp.zeros((2, 3, 3, 5)),
        ),
        "ImageUse": ImageUse(jnp.ones((2, 3)), 2 * jnp.ones((2, 3)), jnp.zeros(2, jnp.int32)),
        "NuisanceShare": effects().nuisance({"front": jnp.zeros((2, 4, 6), jnp.uint8)}),
    }


KINDS = list(results())
WITHOUT_PICTURE = {"TokenMeans", "Players", "Background", "NuisanceShare", "Agreement", "Texts"}
WITHOUT_PICTURE |= {"ImageUse"}


def test_every_kind_of_result_is_here():
    made = {name for name, kind in Record.kinds.items() if dataclasses.is_dataclass(kind)}
    assert {name for name in made if Record.kinds[name].__module__.startswith("iss_jax")} == set(
        KINDS
    )


@pytest.mark.parametrize("kind", KINDS)
def test_results_pass_through_transformations(kind):
    found = results()[kind]
    leaves = jax.tree.leaves(found)

    def doubled(tree):
        return jax.tree.map(lambda leaf: leaf + leaf if leaf.dtype != bool else leaf, tree)

    arrays = jax.tree.map(jnp.asarray, found)
    jitted = jax.jit(doubled)(arrays)
    assert type(jitted) is type(found)
    assert jax.tree.structure(jitted) == jax.tree.structure(found)
    for one, two in zip(leaves, jax.tree.leaves(jitted), strict=True):
        one = jnp.asarray(one)
        np.testing.assert_array_equal(two, one + one if one.dtype != bool else one)
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), arrays)
    mapped = jax.vmap(doubled)(stacked)
    assert jax.tree.leaves(mapped)[0].shape == (2, *jnp.shape(leaves[0]))
    last, _ = jax.lax.scan(lambda carry, _: (doubled(carry), None), arrays, None, length=1)
    np.testing.assert_array_equal(jax.tree.leaves(last)[0], jax.tree.leaves(jitted)[0])

    def loss(tree):
        floats = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]
        return sum((jnp.square(x).sum() for x in floats), jnp.zeros(()))

    slopes = jax.grad(loss, allow_int=True)(arrays)
    assert type(slopes) is type(found)


@pytest.mark.parametrize("kind", KINDS)
def test_results_are_frozen_and_print_whatever_they_hold(kind):
    found = results()[kind]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(found, dataclasses.fields(found)[0].name, None)
    text = repr(found)
    assert len(text.splitlines()) <= 10 and max(map(len, text.splitlines())) < 200
    texts = []

    @jax.jit
    def traced(tree):
        texts.append(repr(tree))
        return tree

    traced(jax.tree.map(jnp.asarray, found))
    abstract = jax.eval_shape(lambda tree: tree, jax.tree.map(jnp.asarray, found))
    axes = jax.tree.map(lambda _: 0, found)
    for odd in (*texts, repr(abstract), repr(axes), found._repr_html_()):
        assert odd


def test_repr_of_arrays_by_kind_and_shape():
    assert repr(tokens()) == (
        "TokenSignificance\n"
        "  maps:     float32 [2, 8, 8] of front\n"
        "  views:    float32 [2, 4] of front\n"
        "  prompt:   float32 [2, 3]\n"
        "  actions:  float32 [2, 4, 5]\n"
        "  unit:     nats"
    )


def test_static_fields_are_structure():
    one, other = tokens(), dataclasses.replace(tokens(), unit="squares")
    assert jax.tree.structure(one) != jax.tree.structure(other)
    assert len(jax.tree.leaves(one)) == 4

    @record
    class Mine(Record):
        x: jax.Array
        name: str = static(default="")

    assert jax.tree.map(lambda x: x + 1, Mine(1, "a")).name == "a"
    del Record.kinds["Mine"]


def test_html_is_a_table_and_a_picture_and_escapes_names():
    found = of_cells(jnp.ones((1, 2, 2)), {"<front>": jnp.ones((8, 8), bool)})
    text = found._repr_html_()
    assert "&lt;front&gt;" in text and "<front>" not in text
    assert "<table>" in text and "data:image/png;base64," in text
    assert "<img" not in TokenMeans(jnp.ones(2), jnp.ones(2))._repr_html_()


def test_without_matplotlib_the_extra_is_named_and_the_table_remains(monkeypatch):
    real = builtins.__import__

    def fake(name, *args, **kwargs):
        if name.split(".")[0] == "matplotlib":
            raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fake)
    for module in [m for m in __import__("sys").modules if m.startswith("iss_jax.viz")]:
        monkeypatch.delitem(__import__("sys").modules, module)
    found = map_of_two()
    with pytest.raises(ModuleNotFoundError, match=r'pip install "iss-jax\[viz\]"'):
        found.plot()
    assert "<table>" in found._repr_html_() and "<img" not in found._repr_html_()


@pytest.mark.parametrize("method", ["plot", "save"])
def test_traced_values_are_refused_by_name(method, tmp_path):
    def inside(found):
        getattr(found, method)(*([tmp_path / "a.npz"] if method == "save" else []))
        return found

    with pytest.raises(TypeError, match=rf"Saliency\.{method}\(\) needs values.*not inside"):
        jax.jit(inside)(map_of_two())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in WITHOUT_PICTURE])
def test_every_result_with_maps_has_a_picture_of_each_observation(kind):
    found = results()[kind]
    figure = found.plot(1)
    assert figure.axes and figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(IndexError, match=r"observation \(2,\) of a batch of shape \(2,\)"):
        found.plot(2)


def test_batch_index_wants_an_index_an_axis():
    assert batch_index((2, 3), (1, -3)) == (1, -3)
    for batch, index in (((2, 3), 0), ((), 1), ((2,), (0, 0)), ((2,), -3)):
        with pytest.raises(IndexError, match="of a batch of shape"):
            batch_index(batch, index)
