"""A checkpoint of a few thousand random parameters, and episodes of random frames to go with it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from iss_jax.data.episode import Episode
from iss_jax.pi05 import params as pi05_params
from iss_jax.pi05.checkpoint import save_checkpoint
from iss_jax.pi05.normalize import statistics
from iss_jax.pi05.tokenizer import train_tokenizer

PROMPT = "pick up the milk"
CAMERAS = {"front": (24, 32), "wrist": (32, 32)}  # the first is letterboxed
IMAGE_SIZE = 32


def write_checkpoint(root: Path, prompts: Sequence[str] = (PROMPT,)) -> Path:
    """Writes the checkpoint to `root` and returns it; its tokenizer knows the prompts."""
    sizes = pi05_params.Sizes(
        image=pi05_params.ImageTower(width=16, depth=1, mlp=16, heads=2, patch=16, tokens=4),
        vlm=pi05_params.Expert(width=16, mlp=16),
        action=pi05_params.Expert(width=16, mlp=16),
        depth=2,
        heads=2,
        kv_heads=1,
        head_dim=8,
        vocab=1024,
        action_dim=7,
    )
    rng = np.random.default_rng(0)
    flat = pi05_params.shapes(sizes)
    params = pi05_params.unflatten(
        {path: rng.normal(0, 0.25, shape).astype(np.float32) for path, shape in flat.items()}
    )
    stats = {
        "state": statistics(rng.uniform(-1, 1, (100, 8))),
        "actions": statistics(rng.uniform(-1, 1, (100, 7))),
    }
    tokenizer = train_tokenizer(list(prompts))
    save_checkpoint(root, params, norm_stats=stats, asset_id="tiny", tokenizer=tokenizer)
    return root


def episode(frames: int, **metadata) -> Episode:
    """Smooth random frames with random labels."""
    rng = np.random.default_rng(1)
    blocks = {c: rng.integers(0, 256, (frames, 4, 4, 3), np.uint8) for c in CAMERAS}
    return Episode(
        images={
            c: np.repeat(np.repeat(blocks[c], h // 4, 1), w // 4, 2)
            for c, (h, w) in CAMERAS.items()
        },
        regions={c: rng.integers(0, 3, (frames, *size), np.uint8) for c, size in CAMERAS.items()},
        state=rng.uniform(-1, 1, (frames, 8)).astype(np.float32),
        action=rng.uniform(-1, 1, (frames, 7)).astype(np.float32),
        prompt=PROMPT,
        fps=5.0,
        metadata={"suite": "tiny", "task": "milk", "split": "native", "seed": 0, **metadata},
    )
