"""Policies of other kinds than π0.5, small enough to be explained in a test."""

import dataclasses
from pathlib import Path

import numpy as np
import tiny_policy

from iss_jax.data.dataset import Dataset, open_dataset
from iss_jax.data.folders_write import write_folders
from iss_jax.pi0_fast.params import FastSizes, fast_shapes
from iss_jax.pi05.checkpoint import save_checkpoint
from iss_jax.pi05.normalize import statistics
from iss_jax.pi05.params import Expert, ImageTower, unflatten
from iss_jax.pi05.tokenizer import train_tokenizer

SIZES = FastSizes(
    image=ImageTower(width=8, depth=1, mlp=16, heads=2, patch=14, tokens=4),
    vlm=Expert(width=16, mlp=24),
    depth=2,
    heads=2,
    kv_heads=1,
    head_dim=8,
    vocab=1024,
)


def write_fast(root: Path) -> Path:
    """A π0-FAST of random parameters."""
    rng = np.random.default_rng(0)
    flat = fast_shapes(SIZES)
    params = {path: rng.normal(0, 0.5, shape).astype(np.float32) for path, shape in flat.items()}
    stats = {name: statistics(rng.uniform(-1, 1, (50, n))) for name, n in DIMS.items()}
    tokenizer = train_tokenizer([tiny_policy.PROMPT])
    save_checkpoint(root, unflatten(params), norm_stats=stats, asset_id="tiny", tokenizer=tokenizer)
    return root


DIMS = {"state": 8, "actions": 7}


def two_tasks(root: Path) -> Dataset:
    """Two episodes of two tasks, so that each has donors; no labels."""
    first = dataclasses.replace(tiny_policy.episode(2, success=True), regions={})
    other = dataclasses.replace(first, prompt="open the drawer", metadata={})
    write_folders(root, [first, other])
    return open_dataset(root)
