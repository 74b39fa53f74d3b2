"""A training state through orbax: leaves by name, the numbered layout, and what differs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from iss_jax.pi05 import train, train_state
from iss_jax.pi05.checkpoint import saved_tree


def make_state(width: int = 3, auxiliary: bool = True) -> train.TrainState:
    rng = np.random.default_rng(width)
    tree = {
        "PaliGemma": {"llm": {"mlp": jnp.asarray(rng.normal(size=(2, width)), jnp.float32)}},
        "time_mlp_in": {"bias": jnp.asarray(rng.normal(size=width), jnp.float32)},
    }
    optimizer = train.paper_optimizer(
        1e-3, 10, warmup_steps=2, end_lr=1e-4, weight_decay=0.1, clip_norm=1.0
    )
    heads = train.init_auxiliary(width, target=3, kinds=0, wanted=False) if auxiliary else None
    state = train.init_state(tree, optimizer, train_only_lora=False, auxiliary=heads)
    # No two leaves alike: one that lands in another's place is seen.
    leaves, treedef = jax.tree.flatten(state)
    return jax.tree.unflatten(
        treedef,
        [leaf + jnp.asarray(number, leaf.dtype) for number, leaf in enumerate(leaves)],
    )


def save_numbered(path, state) -> None:
    """The layout in which leaves had numbers."""
    leaves = {f"{i:05d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(path, leaves)


@pytest.mark.parametrize("write", [train_state.save, save_numbered])
@pytest.mark.parametrize("auxiliary", [True, False])
def test_a_state_comes_back_leaf_by_leaf(tmp_path, write, auxiliary):
    state = make_state(auxiliary=auxiliary)
    write(tmp_path / "state", state)
    template = jax.tree.map(jnp.zeros_like, state)
    found = train_state.restore(tmp_path / "state", template)
    assert jax.tree.structure(found) == jax.tree.structure(state)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(state), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_leaves_are_saved_by_their_names(tmp_path):
    train_state.save(tmp_path / "state", make_state())
    with ocp.PyTreeCheckpointer() as checkpointer:
        saved = checkpointer.restore(
            tmp_path / "state",
            restore_args=jax.tree.map(
                lambda _: ocp.RestoreArgs(restore_type=np.ndarray),
                saved_tree(checkpointer, tmp_path / "state"),
            ),
        )
    np.testing.assert_array_equal(saved["step"], make_state().step)
    assert set(saved["ema"]) == {"PaliGemma/llm/mlp", "time_mlp_in/bias"}


@pytest.mark.parametrize("write", [train_state.save, save_numbered])
def test_the_first_leaf_that_differs_is_named(tmp_path, write):
    write(tmp_path / "state", make_state(auxiliary=False))
    wider = make_state(width=4, auxiliary=False)
    message = (
        r"state: leaf trainable\.PaliGemma/llm/mlp is float32 \[2, 3\], "
        r"wanted float32 \[2, 4\]; was this run started with another model or optimiser\?"
    )
    with pytest.raises(ValueError, match=message):
        train_state.restore(tmp_path / "state", wider)


def test_a_leaf_that_only_one_has_is_named(tmp_path):
    with_heads, without = make_state(), make_state(auxiliary=False)
    train_state.save(tmp_path / "with", with_heads)
    train_state.save(tmp_path / "without", without)
    with pytest.raises(ValueError, match=r"leaf auxiliary\.\S+ is float32 .*, wanted not there"):
        train_state.restore(tmp_path / "with", without)
    with pytest.raises(ValueError, match=r"leaf auxiliary\.\S+ is not there, wanted float32"):
        train_state.restore(tmp_path / "without", with_heads)


def test_another_dtype_is_named(tmp_path):
    state = make_state()
    train_state.save(tmp_path / "state", state)
    half = dataclasses.replace(
        state, ema={name: leaf.astype(jnp.bfloat16) for name, leaf in state.ema.items()}
    )
    message = r"leaf ema\.PaliGemma/llm/mlp is float32 \[2, 3\], wanted bfloat16 \[2, 3\]"
    with pytest.raises(ValueError, match=message):
        train_state.restore(tmp_path / "state", half)


def test_numbers_beyond_the_state_are_named(tmp_path):
    """A numbered state of another optimiser, whose leaves are alike as far as they go."""
    state = make_state()
    save_numbered(tmp_path / "state", [*jax.tree.leaves(state), jnp.zeros(())])
    count = len(jax.tree.leaves(state))
    message = rf"leaf {count:05d} is float32 \[\], wanted not there"
    with pytest.raises(ValueError, match=message):
        train_state.restore(tmp_path / "state", state)
