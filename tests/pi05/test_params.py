"""The parameter tree: its shapes at real size, its forms, and what is said of a broken one."""

import dataclasses
import warnings

import chex
import goldens
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from iss_jax.pi05 import model, params as P
from iss_jax.pi05.observation import preprocess


@pytest.mark.parametrize(
    ("sizes", "tree", "leaves", "count"),
    [
        (P.PI05, "pi05_real", 51, 3_353_433_872),
        (P.PI05_LORA, "pi05_lora", 71, None),
        (P.PI0, "pi0_real", 50, 3_238_048_528),
    ],
)
def test_real_tree(sizes, tree, leaves, count):
    expected = {k: tuple(shape) for k, (shape, _) in goldens.param_trees()[tree].items()}
    assert P.shapes(sizes) == expected
    assert len(expected) == leaves
    structs = {k: jax.ShapeDtypeStruct(v, jnp.float32) for k, v in expected.items()}
    assert P.sizes_of(P.unflatten(structs)) == sizes
    initialised = jax.eval_shape(lambda key: P.init(key, sizes), jax.random.key(0))
    assert {k: leaf.shape for k, leaf in P.flatten(initialised).items()} == expected
    if count is not None:
        assert P.count(initialised) == count


def test_a_pi0_with_lora_has_openpis_seventy_leaves():
    experts = {"vlm": P.PI05_LORA.vlm, "action": P.PI05_LORA.action}
    adapted = P.shapes(dataclasses.replace(P.PI0, **experts))
    assert len(adapted) == 70
    assert P.sizes_of(goldens.raw_params("pi0_a")).model == "π0"
    assert P.sizes_of(goldens.raw_params("tiny_a")).model == "π0.5"


@pytest.mark.parametrize("name", ["tiny_a", "tiny_b", "tiny_c"])
def test_sizes_come_off_the_leaves(name):
    sizes = P.sizes_of(goldens.raw_params(name))
    expected = {"tiny_a": (32, 3, 14, 224, 50), "tiny_b": (24, 2, 28, 224, 10)}
    width, depth, patch, image_size, _ = expected["tiny_a" if name == "tiny_a" else "tiny_b"]
    assert (sizes.image.width, sizes.image.depth, sizes.image.patch) == (width, depth, patch)
    assert sizes.image.image_size == image_size
    ranks = (sizes.vlm.attention_rank, sizes.vlm.ffn_rank, sizes.action.attention_rank)
    assert ranks == ((4, 4, 2) if name == "tiny_c" else (0, 0, 0))


class Node(nnx.Module):
    """A module whose parameters have the names of a tree."""

    def __init__(self, tree):
        for name, child in tree.items():
            setattr(self, name, Node(child) if isinstance(child, dict) else nnx.Param(child))


def test_every_form_of_the_tree_is_the_same_tree():
    plain = goldens.raw_params("tiny_b")
    flat = P.flatten(plain)
    under_value = P.unflatten({f"{k}/value": v for k, v in flat.items()})
    state = nnx.State(P.unflatten({k: nnx.Param(v) for k, v in flat.items()}))
    # What a training loop holds: its leaves are of another class on openpi's flax.
    own = nnx.state(Node(plain))
    for form in (plain, under_value, {"params": under_value}, state, own):
        chex.assert_trees_all_equal(P.as_params(form), plain, strict=True)
    with pytest.raises(TypeError, match=r"params: expected .* got list"):
        P.as_params([1, 2])


def test_a_broken_tree_names_the_leaf():
    flat = P.flatten(goldens.raw_params("tiny_b"))
    missing = {k: v for k, v in flat.items() if k != "time_mlp_in/bias"}
    with pytest.raises(ValueError, match=r"leaf 'time_mlp_in/bias' is missing"):
        P.sizes_of(P.unflatten(missing))
    with pytest.raises(ValueError, match=r"leaf 'state_proj/bias' is not part"):
        P.sizes_of(P.unflatten({**flat, "state_proj/bias": jnp.zeros(3)}))
    path = "PaliGemma/llm/layers/mlp_1/linear"
    with pytest.raises(ValueError, match=rf"leaf '{path}' has shape \(3, 64, 31\), wanted"):
        P.sizes_of(P.unflatten({**flat, path: jnp.zeros((3, 64, 31))}))
    with pytest.raises(ValueError, match=r"'PaliGemma/img/pos_embedding' has 63 tokens"):
        P.sizes_of(P.unflatten({**flat, "PaliGemma/img/pos_embedding": jnp.zeros((1, 63, 24))}))


def test_a_tree_that_cannot_see_gives_a_warning():
    flat = P.flatten(goldens.raw_params("tiny_b"))
    head = "PaliGemma/img/head/kernel"
    blind = P.unflatten({**flat, head: jnp.zeros_like(flat[head])})
    with pytest.warns(UserWarning, match="saliency is identically zero"):
        P.warn_if_constant(blind)
    closed = {k: jnp.zeros_like(v) if "_norm_1/Dense_0" in k else v for k, v in flat.items()}
    with pytest.warns(UserWarning, match="adaRMS"):
        P.warn_if_constant(P.unflatten(closed))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        P.warn_if_constant(goldens.raw_params("tiny_b"))
        jax.jit(lambda p: P.warn_if_constant(p))(blind)  # traced: nothing can be said


def test_a_new_model_sees():
    """`init` must not start blind: actions depend on pixels from the first step."""
    sizes = P.sizes_of(goldens.raw_params("tiny_b"))
    params = jax.jit(P.init, static_argnums=1)(jax.random.key(0), sizes)
    obs = goldens.observation("tiny_b")
    noise = goldens.noise("tiny_b")
    sample = jax.jit(model.sample_actions)
    clean = sample(params, preprocess(obs), noise)
    black = jax.tree.map(jnp.zeros_like, obs.images)
    masked = sample(params, preprocess(obs.replace(images=black)), noise)
    assert float(jnp.abs(clean - masked).max()) > 1e-2


def test_openpis_other_models_are_recognised():
    flat = {
        path: jax.ShapeDtypeStruct(shape, np.float32) for path, shape in P.shapes(P.PI05).items()
    }
    leaf = jax.ShapeDtypeStruct((1, 1), np.float32)
    fast = {path: own for path, own in flat.items() if path.startswith("PaliGemma/img")}
    fast |= {"PaliGemma/llm/final_norm/scale": leaf}
    with pytest.raises(ValueError, match="this is a π0-FAST or PaliGemma tree"):
        P.sizes_of(P.unflatten(fast))
