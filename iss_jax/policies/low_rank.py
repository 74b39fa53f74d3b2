"""Policies that ship as low-rank leaves beside the embedded one."""

import dataclasses
import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from iss_jax import embedded
from iss_jax.data.atomic import write_bytes
from iss_jax.few import few
from iss_jax.pi05.lora import is_lora
from iss_jax.pi05.params import flatten, sizes_of, unflatten
from iss_jax.policies.restored import Policy, load_policy


def write_leaves(path: str | Path, leaves: Mapping[str, Any]) -> Path:
    """Writes low-rank leaves in half precision, whole or not at all, without pickles.

    Args:
        path: A `.npz` file.
        leaves: '/'-joined path in openpi's tree -> leaf; others than low-rank ones are left out.
    """
    buffer = io.BytesIO()
    halves: dict[str, Any] = {
        name: np.asarray(leaf, np.float16) for name, leaf in leaves.items() if is_lora(name)
    }
    np.savez_compressed(buffer, **halves)
    write_bytes(Path(path), buffer.getvalue())
    return Path(path)


def with_leaves(policy: Policy, path: str | Path) -> Policy:
    """A policy with the low-rank leaves of a file added.

    Args:
        policy: The one they were trained beside.
        path: As `write_leaves` writes.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds no low-rank leaves, or some that are not finite or do not fit the
            policy.
    """
    content = Path(path).read_bytes()
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise ValueError(f"{path}: low-rank leaves wanted, an .npz file; this is none")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        leaves = {name: np.asarray(file[name], np.float32) for name in file.files}
    if not leaves or not all(map(is_lora, leaves)):
        raise ValueError(f"{path}: low-rank leaves wanted, holds {few(sorted(leaves), 3)}")
    broken = sorted(name for name, leaf in leaves.items() if not np.isfinite(leaf).all())
    if broken:
        raise ValueError(f"{path}: finite leaves wanted, NaN or infinite are {few(broken, 3)}")
    params = unflatten({**flatten(policy.params), **leaves})
    try:
        sizes_of(params)
    except ValueError as error:
        raise ValueError(f"{path}: does not fit the policy ({error})") from error
    digest = hashlib.sha256(policy.fingerprint.encode() + content).hexdigest()[:16]
    return dataclasses.replace(policy, params=params, fingerprint=digest)


def planted_policy(follows: bool) -> Policy:
    """A small policy that ships with the package, whose one cause is known because it was planted.

    Both were trained alike on frames with a coloured panel. One was taught to take the object whose
    colour the panel shows, the other to take what the instruction names, whatever the panel shows.

    >>> policy = planted_policy(follows=True)
    >>> policy.image_size
    80

    Args:
        follows: Whether it takes what the panel shows.
    """
    return with_leaves(load_policy(embedded.checkpoint_path()), embedded.planted_path(follows))
