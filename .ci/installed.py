"""Does the installed package work? Run by `.ci/wheels.py` in an environment of the wheel alone."""

import importlib.metadata
import importlib.resources
import sys
from pathlib import Path

import jax.numpy as jnp

import iss_jax
from iss_jax import embedded

home = Path(iss_jax.__file__).parent
if Path(sys.prefix) not in home.parents:
    sys.exit(f"iss_jax was imported from {home}, not from the environment {sys.prefix}")
if iss_jax.__version__ != importlib.metadata.version("iss-jax"):
    sys.exit(f"iss_jax.__version__ is {iss_jax.__version__}, the wheel's another")
data = [embedded.checkpoint_path(), embedded.episodes_path(), embedded.success_path()]
missing = [path for path in (home / "py.typed", *data) if not path.exists()]
if missing:
    sys.exit(f"the wheel lacks {', '.join(map(str, missing))}")


def corner_brightness(images: dict[str, jnp.ndarray]) -> jnp.ndarray:
    """A policy that acts on the upper left corner alone."""
    return images["front"][:, :8, :8].mean((1, 2, 3))[:, None, None]


picture = jnp.zeros((64, 64, 3)).at[:8, :8].set(1.0)
scores = iss_jax.attribute(corner_brightness, {"front": picture}).cells
cell = tuple(int(index) for index in jnp.unravel_index(scores.argmax(), scores.shape))
if cell != (0, 0, 0):
    sys.exit(f"the policy acts on cell (0, 0) of view 0, the map says {cell[1:]} of {cell[0]}")
