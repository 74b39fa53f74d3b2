"""Episodes that the tests of datasets write and read back."""

import numpy as np

from iss_jax.data import Episode


def an_episode(seed=0, frames=5, prompt="pick the milk", **metadata) -> Episode:
    rng = np.random.default_rng(seed)
    cameras = {"front": (8, 10), "wrist": (6, 6)}
    return Episode(
        images={c: rng.integers(0, 256, (frames, *s, 3), np.uint8) for c, s in cameras.items()},
        regions={"front": rng.integers(0, 3, (frames, 8, 10), np.uint8)},
        state=rng.normal(size=(frames, 8)).astype(np.float32),
        action=rng.normal(size=(frames, 7)).astype(np.float32),
        prompt=prompt,
        fps=10.0,
        features={
            "action_chunk": rng.normal(size=(frames, 16, 7)).astype(np.float32),
            "action_chunk_valid": rng.random((frames, 16)) < 0.5,
            "success_so_far": rng.random(frames) < 0.5,
            "time_left": np.arange(frames, dtype=np.int64)[::-1],
            "depth": rng.normal(size=(frames, 2, 3, 4)),
        },
        # Of the other camera than the regions, and numbers that take two bytes and three.
        instances={"wrist": rng.choice([0, 7, 300, 70_000], (frames, 6, 6)).astype(np.int32)},
        instance_names={7: "milk", 300: "open drawer", 70_000: f"robot {seed}"},
        metadata={"seed": seed, "suite": "libero_object", "success": True, "note": None} | metadata,
    )


def three_episodes() -> list[Episode]:
    return [an_episode(0), an_episode(1, 3, "open the drawer", task="b"), an_episode(2, 1)]
