"""A head on disk: one file in half precision, without pickles."""

import io
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from iss_jax.amortised.head import Features, Head, init_head
from iss_jax.data.atomic import write_bytes
from iss_jax.few import few


def save_head(path: str | Path, head: Head) -> Path:
    """Writes a head in half precision, whole or not at all.

    Args:
        path: A `.npz` file.
        head: Of `init_head`, taught.
    """
    arrays: dict[str, Any] = {f"leaves/{name}": leaf for name, leaf in head.leaves.items()}
    for name in ("mean", "spread"):
        own: Features = getattr(head, name)
        arrays |= {f"{name}/tokens": own.tokens, f"{name}/shared": own.shared}
    buffer = io.BytesIO()
    halves: dict[str, Any] = {k: np.asarray(v, np.float16) for k, v in arrays.items()}
    np.savez_compressed(buffer, **halves)
    write_bytes(Path(path), buffer.getvalue())
    return Path(path)


def load_head(path: str | Path) -> Head:
    """Reads a head.

    >>> from iss_jax import embedded
    >>> load_head(embedded.head_path()).members
    4

    Args:
        path: As `save_head` writes; the embedded policy's is `iss_jax.embedded.head_path()`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no head, or lacks a leaf; the message names it.
    """
    content = Path(path).read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: jnp.asarray(file[name], jnp.float32) for name in file.files}
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: a head's file (.npz) wanted ({error})") from error
    stats = [f"{name}/{part}" for name in ("mean", "spread") for part in Features._fields]
    missing = [name for name in stats if name not in arrays]
    if missing:
        raise ValueError(f"{path}: no head, it lacks {few(missing)}")
    mean, spread = (
        Features(arrays[f"{name}/tokens"], arrays[f"{name}/shared"]) for name in ("mean", "spread")
    )
    leaves = {
        name.removeprefix("leaves/"): leaf
        for name, leaf in arrays.items()
        if name.startswith("leaves/")
    }
    _check_leaves(path, leaves, mean, spread)
    return Head(leaves, mean, spread)


def _check_leaves(
    path: str | Path, leaves: dict[str, Any], mean: Features, spread: Features
) -> None:
    cells = np.shape(leaves.get("cells", np.zeros(())))
    if len(cells) != 5:
        raise ValueError(
            f"{path}: leaf 'cells' has shape {list(cells)}, wanted [members, views, gh, gw, width]"
        )
    members, _, rows, columns, width = cells
    wanted = jax.eval_shape(
        lambda key: (
            init_head(key, mean, spread, members=members, width=width, grid=(rows, columns)).leaves
        ),
        jax.random.key(0),
    )
    for name, one in wanted.items():
        if name not in leaves:
            raise ValueError(f"{path}: no head, it lacks the leaf {name!r}")
        if leaves[name].shape != one.shape:
            raise ValueError(
                f"{path}: leaf {name!r} has shape {list(leaves[name].shape)}, wanted "
                f"{list(one.shape)}"
            )
