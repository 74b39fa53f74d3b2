"""Saving and resuming a training run, beside the parameters in openpi's checkpoint layout."""

from typing import Any

import jax
import numpy as np
from etils import epath

from iss_jax.pi05.checkpoint import saved_tree
from iss_jax.pi05.train import TrainState

# Where a leaf is: names of attributes and entries, numbers in tuples.
Place = tuple[str, ...]


def save(path: epath.PathLike, state: TrainState) -> None:
    """Write the whole state under `path` (`<step>/train_state`), atomically.

    Each leaf has its name in the tree, such as `trainable.PaliGemma/llm/final_norm/scale`.
    """
    import orbax.checkpoint as ocp

    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(epath.Path(path).resolve(), jax.tree.map(np.asarray, state))


def restore(path: epath.PathLike, template: TrainState) -> TrainState:
    """Read a state with the structure of `template`; its leaves are numpy's.

    Raises:
        ValueError: it was saved from another model or optimiser; names the first leaf that differs.
    """
    import orbax.checkpoint as ocp

    folder = epath.Path(path).resolve()
    with ocp.PyTreeCheckpointer() as checkpointer:
        tree = saved_tree(checkpointer, folder)
        named = _old_names(_leaves(tree), list(_leaves(template)))
        _compare(folder, {named.get(p, p): leaf for p, leaf in _leaves(tree).items()}, template)
        args = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        restored = _leaves(checkpointer.restore(folder, restore_args=args))
    found = {named.get(place, place): leaf for place, leaf in restored.items()}
    leaves = [np.asarray(found[place]) for place in _leaves(template)]
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


def _leaves(tree: Any) -> dict[Place, Any]:
    """Every leaf by its place, in order; alike for a state and for what orbax makes of one."""

    def part(key: Any) -> str:
        return str(next(getattr(key, n) for n in ("name", "key", "idx") if hasattr(key, n)))

    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {tuple(map(part, keys)): leaf for keys, leaf in paths}


def _old_names(saved: dict[Place, Any], places: list[Place]) -> dict[Place, Place]:
    """Leaves had numbers before they had names: which place each number stands for."""
    numbers = {(f"{i:05d}",): place for i, place in enumerate(places)}
    old = all(len(place) == 1 and place[0].isdigit() for place in saved)
    return numbers if old else {}


def _compare(folder: epath.Path, saved: dict[Place, Any], template: TrainState) -> None:
    wanted = _leaves(template)
    for place in [*wanted, *saved]:
        here, there = _form(saved.get(place)), _form(wanted.get(place))
        if here != there:
            raise ValueError(
                f"{folder}: leaf {'.'.join(place)} is {here}, wanted {there}; was this run "
                "started with another model or optimiser?"
            )


def _form(leaf: Any) -> str:
    return "not there" if leaf is None else f"{np.dtype(leaf.dtype)} {list(leaf.shape)}"


def latest(folder: epath.PathLike) -> epath.Path | None:
    """The newest complete checkpoint step under `folder`, or None."""
    root = epath.Path(folder)
    if not root.exists():
        return None
    steps = [step for step in root.iterdir() if step.name.isdigit()]
    done = [step for step in steps if (step / "train_state" / "_METADATA").exists()]
    return max(done, key=lambda step: int(step.name), default=None)
