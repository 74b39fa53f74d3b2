"""Saving and resuming a training run, beside the parameters in openpi's checkpoint layout."""

import jax
import numpy as np
from etils import epath

from iss_jax.pi05.train import TrainState


def save(path: epath.PathLike, state: TrainState) -> None:
    """Write the whole state under `path` (`<step>/train_state`), atomically."""
    import orbax.checkpoint as ocp

    leaves = {f"{i:05d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(epath.Path(path).resolve(), leaves)


def restore(path: epath.PathLike, template: TrainState) -> TrainState:
    """Read a state with the structure of `template`.

    Raises:
        ValueError: it was saved from another model or optimiser; names the first leaf that differs.
    """
    import orbax.checkpoint as ocp

    with ocp.PyTreeCheckpointer() as checkpointer:
        saved = checkpointer.restore(epath.Path(path).resolve())
    paths, treedef = jax.tree_util.tree_flatten_with_path(template)
    leaves = []
    for i, (name, leaf) in enumerate(paths):
        found = saved.get(f"{i:05d}")
        shape = None if found is None else np.shape(found)
        if found is None or shape != tuple(leaf.shape):
            raise ValueError(
                f"{path}: leaf {jax.tree_util.keystr(name)} has shape {shape}, wanted "
                f"{leaf.shape}; was this run started with another model or optimiser?"
            )
        leaves.append(np.asarray(found, leaf.dtype))
    if len(saved) != len(paths):
        raise ValueError(f"{path}: holds {len(saved)} leaves, wanted {len(paths)}")
    return jax.tree.unflatten(treedef, leaves)


def latest(folder: epath.PathLike) -> epath.Path | None:
    """The newest complete checkpoint step under `folder`, or None."""
    root = epath.Path(folder)
    if not root.exists():
        return None
    steps = [step for step in root.iterdir() if step.name.isdigit()]
    done = [step for step in steps if (step / "train_state" / "_METADATA").exists()]
    return max(done, key=lambda step: int(step.name), default=None)
