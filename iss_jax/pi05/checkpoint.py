"""Checkpoints in openpi's layout: `<step>/params/`, `<step>/assets/<id>/norm_stats.json`."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from iss_jax.few import few
from iss_jax.pi0_fast.params import fast_sizes_of, is_fast
from iss_jax.pi05.normalize import NormStats, save_norm_stats
from iss_jax.pi05.params import (
    Params,
    Sizes,
    as_params,
    check_finite_params,
    flatten,
    sizes_of,
    unflatten,
)
from iss_jax.sharding import LeafShardings


def restore_params(
    path: epath.PathLike, *, dtype: Any = None, sharding: LeafShardings = None
) -> Params:
    """Restore a parameter tree of a π0.5, π0 or π0-FAST.

    Args:
        path: a checkpoint step (`.../7`) or its `params` folder.
        dtype: cast floating leaves to this on loading; None keeps them as saved.
        sharding: where leaves go; None keeps them on the host's default device. One sharding for
            every leaf, a tree of them like the parameters, or a rule `(path, shape) -> sharding`
            such as `iss_jax.fsdp(mesh)`, with paths like "PaliGemma/llm/embedder/input_embedding".
            Every device reads its part alone.

    Returns:
        Nested dict of arrays, checked leaf by leaf.

    Raises:
        FileNotFoundError: nothing there.
        ValueError: it is none of their trees, a leaf is not finite, or a tree of shardings lacks a
            leaf; the message names the leaf. Or the checkpoint is damaged or half there.
    """
    import orbax.checkpoint as ocp

    folder = params_folder(path)
    if (folder / "d").is_dir() and not any((folder / "d").iterdir()):
        raise _damaged(folder, FileNotFoundError("its folder d is empty"))
    with ocp.PyTreeCheckpointer() as checkpointer:
        tree = saved_tree(checkpointer, folder)
        placed = _leaf_rule(sharding)

        def arguments(keys: Any, leaf: Any) -> ocp.ArrayRestoreArgs:
            place = placed(_leaf_path(keys), tuple(leaf.shape))
            return ocp.ArrayRestoreArgs(
                restore_type=np.ndarray if place is None else jax.Array,
                dtype=_target_dtype(leaf, dtype),
                sharding=place,
            )

        args = jax.tree_util.tree_map_with_path(arguments, tree)
        try:
            restored = checkpointer.restore(folder, restore_args=args)
        except Exception as error:  # of whatever orbax and its storage raise
            raise _damaged(folder, error) from error
    params = as_params(restored)
    if is_fast(params):
        fast_sizes_of(params)
    else:
        sizes_of(params)
    check_finite_params(params)
    return jax.tree.map(jnp.asarray, params)


def params_folder(path: epath.PathLike) -> epath.Path:
    """Where the parameters of a checkpoint lie: a step's `params` folder.

    Args:
        path: a checkpoint step (`.../7`) or its `params` folder.

    Raises:
        FileNotFoundError: there is nothing, or nothing that orbax wrote.
    """
    root = located(path)
    folder = root / "params" if (root / "params").exists() else root
    if (folder / "_METADATA").exists():
        return folder
    what = "not an orbax parameter checkpoint" if folder.exists() else "no checkpoint here"
    torch = [name for name in ("model.safetensors", "pytorch_model.bin") if (root / name).exists()]
    if torch:
        what = (
            f"a PyTorch checkpoint ({torch[0]}), openpi's JAX checkpoint wanted, which "
            "iss_jax.pi05.from_pytorch.convert_checkpoint makes of a model.safetensors"
        )
    raise FileNotFoundError(
        f"{root}: {what}; looked for {folder / '_METADATA'}. Wanted is the folder of one step, "
        f"which holds params/_METADATA and assets/<asset_id>/norm_stats.json{_steps_below(root)}"
    )


def located(path: epath.PathLike) -> epath.Path:
    """A path, absolute where it is a local one; URLs stay as they are.

    Raises:
        ValueError: a URL that nothing here can read; the message says what would.
    """
    text = str(path)
    scheme, found, rest = text.partition(":/")
    if not found or not scheme.isalnum() or len(scheme) < 2:
        return epath.Path(path).expanduser().resolve()
    # `pathlib` turns the second slash of a URL into nothing.
    url = f"{scheme}://{rest.lstrip('/')}"
    try:
        root = epath.Path(url)
        root.exists()
    except Exception as error:  # of whatever the storage's library raises
        raise ValueError(
            f"{url}: cannot be read here ({type(error).__name__}: {error}). Install what reads "
            f"{scheme}:// (gcsfs for gs://), or copy the folder and give its local path"
        ) from error
    if f"{scheme}:" not in str(root):
        raise ValueError(f"{url}: no known kind of address; give a local path, or a gs:// one")
    return root


def _damaged(folder: epath.Path, error: Exception) -> ValueError:
    return ValueError(
        f"{folder}: damaged, or not all of it is there ({type(error).__name__}: "
        f"{str(error)[:200]}). Wanted are all files of the checkpoint's step: was its download "
        "complete?"
    )


def _steps_below(root: epath.Path) -> str:
    steps = [p for p in root.iterdir() if (p / "params").exists()] if root.is_dir() else []
    return f"; steps below it: {few(sorted(step.name for step in steps))}" if steps else ""


def save_checkpoint(
    path: epath.PathLike,
    params: Any,
    *,
    norm_stats: dict[str, NormStats] | None = None,
    asset_id: str | None = None,
    tokenizer: bytes | None = None,
) -> None:
    """Save parameters as openpi does: tree {"params": …} whose leaf paths end in "value".

    Args:
        path: the step's folder; must not hold `params` yet.
        params: any form that `as_params` takes.
        norm_stats: written to `assets/<asset_id>/norm_stats.json`.
        asset_id: names the statistics; needed with them.
        tokenizer: a serialised sentencepiece model, written to `assets/tokenizer.model`. openpi
            keeps none: released checkpoints share PaliGemma's.

    Raises:
        ValueError: `norm_stats` without `asset_id`, or `path` already holds parameters.
    """
    import orbax.checkpoint as ocp

    root = located(path)
    if norm_stats is not None and not asset_id:
        raise ValueError("save_checkpoint: norm_stats need an asset_id")
    if (root / "params").exists():
        raise ValueError(f"{root}: already holds params")
    root.mkdir(parents=True, exist_ok=True)
    if norm_stats is not None:
        save_norm_stats(root / "assets" / str(asset_id), norm_stats)
    if tokenizer is not None:
        (root / "assets").mkdir(parents=True, exist_ok=True)
        (root / "assets" / "tokenizer.model").write_bytes(tokenizer)
    flat = {f"{name}/value": np.asarray(leaf) for name, leaf in flatten(as_params(params)).items()}
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(root / "params", {"params": unflatten(flat)})


def read_sizes(path: epath.PathLike) -> Sizes:
    """Sizes of a checkpoint's model, its parameters unread.

    Raises:
        FileNotFoundError: nothing there.
        ValueError: it is not a π0.5 tree; the message names the leaf.
    """
    import orbax.checkpoint as ocp

    with ocp.PyTreeCheckpointer() as checkpointer:
        tree = saved_tree(checkpointer, params_folder(path))
    return sizes_of(
        as_params(jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree))
    )


def saved_tree(checkpointer: Any, folder: epath.Path) -> Any:
    """What was saved: a tree of leaves that have a shape and a dtype.

    Raises:
        ValueError: the checkpoint says nothing that can be read of what it holds.
    """
    try:
        metadata = checkpointer.metadata(folder)
    except Exception as error:  # of whatever orbax and its storage raise
        raise _damaged(folder, error) from error
    tree = getattr(metadata, "item_metadata", metadata)
    tree = getattr(tree, "tree", tree)
    if not isinstance(tree, Mapping):
        raise _damaged(folder, ValueError("its _METADATA names no leaves"))
    return tree


def _leaf_path(keys: Any) -> str:
    """'/'-joined as `params.flatten` names leaves, without openpi's outer "params" and "value"."""
    names = [str(getattr(key, "key", getattr(key, "name", key))) for key in keys]
    names = names[1:] if names[0] == "params" else names
    return "/".join(names[:-1] if names[-1] == "value" else names)


def _leaf_rule(sharding: LeafShardings) -> Callable[[str, tuple[int, ...]], Any]:
    if isinstance(sharding, Mapping):
        flat = flatten(as_params(sharding))

        def given(path: str, shape: tuple[int, ...]) -> Any:
            if path not in flat:
                raise ValueError(f"sharding: no entry for leaf {path!r} {list(shape)}")
            return flat[path]

        return given
    if sharding is None or isinstance(sharding, jax.sharding.Sharding):
        return lambda path, shape: sharding
    return sharding


def _target_dtype(leaf: Any, dtype: Any) -> Any:
    saved = getattr(leaf, "dtype", None)
    if dtype is None or saved is None or not jnp.issubdtype(saved, jnp.floating):
        return saved
    return dtype
