"""A restored policy and what it needs to read an episode."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from iss_jax import embedded
from iss_jax.pi0_fast.params import fast_sizes_of, is_fast
from iss_jax.pi05.checkpoint import located, params_folder, restore_params
from iss_jax.pi05.normalize import NormStats, load_norm_stats, norm_stats_files
from iss_jax.pi05.params import sizes_of
from iss_jax.policies.checkpoint_robot import own_stats
from iss_jax.policies.configs import PolicyConfig
from iss_jax.policies.openpi import checkpoint_tokenizer

# Files up to this size are compared by content, larger ones by name and size: the data files of
# an orbax checkpoint are named at random when it is written.
_SMALL = 1 << 20


@dataclasses.dataclass(frozen=True)
class Policy:
    """A checkpoint in memory (see `load_policy`).

    Attributes:
        params: openpi's tree.
        norm_stats: of the state and the actions.
        tokenizer: sentencepiece model.
        image_size: pixels, square.
        reads_state: whether it is a π0, whose state is a token and no text.
        fingerprint: tells this checkpoint from others.
    """

    params: Any
    norm_stats: Mapping[str, NormStats]
    tokenizer: Any
    image_size: int
    fingerprint: str
    reads_state: bool = False
    decode_state: Callable[[np.ndarray], np.ndarray] | None = None

    @property
    def normalisation(self) -> str:
        """How openpi normalises for this model."""
        return "mean_std" if self.reads_state else "quantiles"

    def states(self, states: np.ndarray) -> np.ndarray:
        """A robot's states [t, s] in the space that the statistics describe."""
        if self.decode_state is None:
            return states
        return np.stack([np.asarray(self.decode_state(one), np.float32) for one in states])


def load_policy(
    path: str | Path,
    *,
    tokenizer: str = "",
    dtype: str = "float32",
    robot: PolicyConfig | None = None,
) -> Policy:
    """Restores a checkpoint in openpi's layout.

    Args:
        path: the step's folder.
        tokenizer: a sentencepiece file. When empty it is the `.model` file in the checkpoint's
            assets, or PaliGemma's where openpi caches it.
        dtype: of the floating parameters.
        robot: whose statistics these are and in which space its state is told; the only ones there,
            and the state as it is, when None.

    Raises:
        FileNotFoundError: parameters, statistics or tokenizer are missing.
        ValueError: the checkpoint holds no statistics of that robot.
    """
    root = Path(path)
    params = restore_params(root, dtype=jnp.dtype(dtype))
    model = checkpoint_tokenizer(root, tokenizer or None)
    digest = hashlib.sha256(fingerprint(root).encode() + model.serialized_model_proto())
    sizes = fast_sizes_of(params) if is_fast(params) else sizes_of(params)
    digest.update(_told_by(robot, root))
    return Policy(
        params=params,
        norm_stats=load_norm_stats(root) if robot is None else own_stats(located(root), robot),
        tokenizer=model,
        image_size=sizes.image.image_size,
        fingerprint=digest.hexdigest()[:16],
        reads_state=getattr(sizes, "reads_state", False),
        decode_state=None if robot is None else robot.decode_state,
    )


def _told_by(robot: PolicyConfig | None, root: Path) -> bytes:
    """What a robot changes of what the policy sees: nothing where it only names what is there."""
    if robot is None:
        return b""
    told = robot.asset_id if len(norm_stats_files(root)) > 1 else ""
    probe = np.linspace(-1.0, 1.0, sum(robot.state.values()), dtype=np.float32)
    decoded = np.asarray(robot.decode_state(probe), np.float32)
    changed = b"" if np.array_equal(decoded, probe) else decoded.tobytes()
    return told.encode() + changed


def checkpoint_folder(checkpoint: str) -> Path:
    """The folder of a checkpoint that can act, its parameters yet unread.

    Args:
        checkpoint: a step's folder, or "embedded".

    Raises:
        FileNotFoundError: parameters, statistics or tokenizer are missing; the message names what.
    """
    root = embedded.checkpoint_path() if checkpoint == "embedded" else Path(checkpoint)
    params_folder(root)
    load_norm_stats(root)
    checkpoint_tokenizer(root)
    return root


def fingerprint(folder: Path) -> str:
    """Tells folders apart: names and sizes of all files, and the contents of the small ones."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()} {size}\n".encode())
        if size <= _SMALL:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
