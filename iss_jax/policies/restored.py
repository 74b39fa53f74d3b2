"""A restored policy and what it needs to read an episode."""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from iss_jax import embedded
from iss_jax.pi05.checkpoint import params_folder, restore_params
from iss_jax.pi05.normalize import NormStats, load_norm_stats
from iss_jax.pi05.params import sizes_of
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

    @property
    def normalisation(self) -> str:
        """How openpi normalises for this model."""
        return "mean_std" if self.reads_state else "quantiles"


def load_policy(path: str | Path, *, tokenizer: str = "", dtype: str = "float32") -> Policy:
    """Restores a checkpoint in openpi's layout.

    Args:
        path: the step's folder.
        tokenizer: a sentencepiece file. When empty it is the `.model` file in the checkpoint's
            assets, or PaliGemma's where openpi caches it.
        dtype: of the floating parameters.

    Raises:
        FileNotFoundError: parameters, statistics or tokenizer are missing.
    """
    root = Path(path)
    params = restore_params(root, dtype=jnp.dtype(dtype))
    model = checkpoint_tokenizer(root, tokenizer or None)
    digest = hashlib.sha256(fingerprint(root).encode() + model.serialized_model_proto())
    sizes = sizes_of(params)
    return Policy(
        params=params,
        norm_stats=load_norm_stats(root),
        tokenizer=model,
        image_size=sizes.image.image_size,
        fingerprint=digest.hexdigest()[:16],
        reads_state=sizes.reads_state,
    )


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
