"""Is this installation sound? `python -m iss_jax.doctor [--checkpoint PATH]`.

Says what is installed and which stack that is, the devices, the extras, whether a checkpoint can be
read, and computes one tiny saliency that it compares with the values in
`iss_jax/embedded/doctor.json`. Exits with 0 when everything that was asked for works, else with 1.
Extras that are not installed are no fault. Needs the core dependencies only.

The golden values are made by `python -m iss_jax.doctor --write-golden PATH`. The case has no random
numbers, so they hold on every stack and device; matrix products run in full float32.
"""

import argparse
import dataclasses
import importlib.metadata
import importlib.util
import json
import math
import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from iss_jax import ISSConfig, Saliency, embedded, saliency
from iss_jax.extras import EXTRAS
from iss_jax.pi0_fast.params import fast_sizes_of, is_fast
from iss_jax.pi05.observation import VIEWS, Observation
from iss_jax.pi05.params import (
    PI05,
    Expert,
    ImageTower,
    Sizes,
    count,
    shapes,
    sizes_of,
    unflatten,
)
from iss_jax.sampling import Sampling

PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "orbax-checkpoint",
    "numpy",
    "scipy",
    "ml-collections",
    "jaxtyping",
    "optax",
    "sentencepiece",
)
# What openpi's lock file holds of them.
OPENPI_STACK = {
    "jax": "0.5.3",
    "flax": "0.10.2",
    "orbax-checkpoint": "0.11.13",
    "numpy": "1.26.4",
    "ml-collections": "1.0.0",
    "jaxtyping": "0.2.36",
}
# Of the largest effect. On a CPU the two stacks differ by 4e-6; accelerators sum in another order.
TOLERANCE = 1e-3

_SIZES = dataclasses.replace(
    PI05,
    image=ImageTower(width=8, depth=1, mlp=16, heads=2, patch=14, tokens=4),
    vlm=Expert(width=16, mlp=24),
    action=Expert(width=12, mlp=16),
    depth=1,
    heads=2,
    head_dim=8,
    vocab=32,
    action_dim=5,
)
_NUM_MASKS, _HORIZON = 8, 3


def _wave(shape: tuple[int, ...], phase: float) -> np.ndarray:
    """Numbers in [−1, 1] without a generator: sines of the golden ratio times square numbers."""
    steps = np.arange(1, math.prod(shape) + 1, dtype=np.float64)
    turns = np.mod(steps * steps * (math.sqrt(5) - 1) / 2 + phase, 1.0)
    return np.sin(2 * math.pi * turns).astype(np.float32).reshape(shape)


def _picture(index: int, size: int) -> jnp.ndarray:
    """A smooth frame [1, size, size, 3], another for each view."""
    y, x, c = np.meshgrid(np.arange(size), np.arange(size), np.arange(3), indexing="ij")
    return jnp.asarray(np.sin(0.2 * x + 0.3 * y * (index + 1) + c)[None], jnp.float32)


def tiny_saliency() -> Saliency:
    """ISS of a tiny π0.5 on a tiny frame, every input a closed form."""
    flat = {}
    for index, (path, shape) in enumerate(shapes(_SIZES).items()):
        centre = float(path.endswith("scale") and "/img/" in path)
        flat[path] = jnp.asarray(centre + 0.5 * _wave(shape, 0.01 * index))
    size = _SIZES.image.image_size
    obs = Observation(
        images={view: _picture(index, size) for index, view in enumerate(VIEWS)},
        image_masks={view: jnp.ones(1, bool) for view in VIEWS},
        state=jnp.zeros((1, 5), jnp.float32),
        tokenized_prompt=jnp.arange(1, 8, dtype=jnp.int32)[None],
        tokenized_prompt_mask=jnp.ones((1, 7), bool),
    )
    with jax.default_matmul_precision("highest"):
        return saliency(
            unflatten(flat),
            obs,
            config=ISSConfig(num_masks=_NUM_MASKS, design="bernoulli", micro_batch=_NUM_MASKS + 1),
            noise=jnp.asarray(_wave((1, _HORIZON, 5), 0.7)),
            masks=jnp.asarray(_wave((_NUM_MASKS, len(VIEWS), 7, 7), 0.2) > 0.5),
            sampling=Sampling(num_steps=2),
        )


def golden_path() -> Path:
    """The shipped values."""
    return embedded.checkpoint_path().parent / "doctor.json"


def write_golden(path: Path) -> None:
    """Writes the values that this installation computes."""
    found = tiny_saliency()
    content = {
        "command": "python -m iss_jax.doctor --write-golden iss_jax/embedded/doctor.json",
        "effects": np.asarray(found.effects, np.float64).round(9).tolist(),
        "cells": np.asarray(found.cells, np.float64).round(9).tolist(),
    }
    path.write_text(json.dumps(content) + "\n")


def check_saliency() -> str:
    """Compares the tiny saliency with the golden.

    Raises:
        ValueError: They differ by more than the tolerance; the message says by how much.
    """
    golden, found = json.loads(golden_path().read_text()), tiny_saliency()
    size = float(np.abs(golden["effects"]).max())
    worst = 0.0
    for name in ("effects", "cells"):
        wanted, got = np.asarray(golden[name]), np.asarray(getattr(found, name), np.float64)
        error = float(np.abs(got - wanted).max()) / size
        worst = max(worst, error)
        if not error <= TOLERANCE:
            raise ValueError(
                f"{name} differ from {golden_path()} by {error:.2g} of the largest effect, at most "
                f"{TOLERANCE:g} wanted"
            )
    return f"tiny saliency within {worst:.1g} of its golden ({TOLERANCE:g} allowed)"


def check_checkpoint(path: Path) -> str:
    """Reads a checkpoint's sizes, statistics and parameters.

    Raises:
        FileNotFoundError: Something is missing.
        ValueError: Something is malformed.
    """
    from iss_jax.pi05.checkpoint import restore_params
    from iss_jax.pi05.normalize import load_norm_stats, norm_stats_files
    from iss_jax.policies.checkpoint_facts import lerobot_config

    says = lerobot_config(path)
    if says is not None:
        return f"checkpoint {path}: {says['type']} of LeRobot, its weights not read"
    # The small files first: parameters take minutes to read.
    stats = {
        file.parent.relative_to(path / "assets").as_posix(): load_norm_stats(file)
        for file in norm_stats_files(path)
    } or {path.name: load_norm_stats(path)}
    params = restore_params(path)
    sizes = fast_sizes_of(params) if is_fast(params) else sizes_of(params)
    finite = all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(params))
    if not finite:
        raise ValueError(f"{path}: parameters that are not finite")
    if isinstance(sizes, Sizes):
        model, dims = sizes.model, f"{sizes.action_dim} action dimensions, "
    else:
        model, dims = "π0-FAST", ""
    return (
        f"checkpoint {path}: {model}, {count(params):,} parameters, "
        f"images {sizes.image.image_size}, {dims}statistics of "
        + ", ".join(f"{asset} ({len(found['actions'].mean)})" for asset, found in stats.items())
    )


def stack() -> str:
    """`openpi's` where every pinned version is openpi's, else `not openpi's pins`.

    Raises:
        importlib.metadata.PackageNotFoundError: A core dependency is missing.
    """
    same = all(importlib.metadata.version(name) == want for name, want in OPENPI_STACK.items())
    return "openpi's" if same else "not openpi's pins"


def extras() -> dict[str, list[str]]:
    """What each extra lacks; nothing where it is installed."""
    return {
        extra: [name for name in modules if importlib.util.find_spec(name) is None]
        for extra, modules in EXTRAS.items()
    }


def main(argv: list[str] | None = None) -> int:
    """Runs every check; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m iss_jax.doctor", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint's step folder to read")
    parser.add_argument("--write-golden", type=Path, help="write the golden values here and end")
    options = parser.parse_args(argv)
    if options.write_golden is not None:
        write_golden(options.write_golden)
        return 0
    checks = standard_checks(options.checkpoint or embedded.checkpoint_path())
    failed = report(checks)
    print("all is well" if not failed else f"{failed} of {len(checks)} checks failed")
    return int(failed > 0)


def standard_checks(checkpoint: Path) -> dict[str, Callable[[], str]]:
    """Name -> what says that it works, or raises.

    Args:
        checkpoint: That is read.
    """
    return {
        "versions": lambda: ", ".join(
            f"{name} {importlib.metadata.version(name)}" for name in PACKAGES
        ),
        "stack": stack,
        "devices": lambda: ", ".join(
            f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices()
        ),
        "saliency": check_saliency,
        "checkpoint": lambda: check_checkpoint(checkpoint),
    }


def report(checks: Mapping[str, Callable[[], str]]) -> int:
    """Prints what every check says, and the extras; returns how many failed.

    Args:
        checks: Name -> what says that it works, or raises.
    """
    print(f"python {platform.python_version()} on {platform.system()} {platform.machine()}")
    failed = 0
    for name, check in checks.items():
        try:
            print(f"ok    {name}: {check()}")
        except Exception as error:  # Every check is to be reported, whatever is wrong with one.
            failed += 1
            print(f"FAIL  {name}: {type(error).__name__}: {error}")
    for extra, missing in extras().items():
        print(f"--    extra {extra}: lacks {missing}" if missing else f"ok    extra {extra}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
