"""What a row's time depends on beside its program: versions, code, device, environment."""

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

_PACKAGES = (
    "jax",
    "jaxlib",
    "jax-cuda12-plugin",
    "jax-cuda13-plugin",
    "nvidia-cublas-cu12",
    "nvidia-cublas",
    "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13",
    "flax",
)
# Where results are looked for and for how long says nothing of a row.
_NO_MATTER = ("budget_s", "row_limit_s", "rows", "cache", "quiet")
_NO_MATTER_VARIABLES = ("JAX_PLATFORMS", "JAX_COMPILATION_CACHE_DIR")


def measured_with(config: Mapping[str, Any]) -> dict[str, Any]:
    """Versions, code, configuration and environment; no device is looked for.

    Args:
        config: the content of the configuration.
    """
    return {
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "code": code_digest(),
        "config": {key: value for key, value in config.items() if key not in _NO_MATTER},
        "variables": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(("XLA_", "JAX_")) and name not in _NO_MATTER_VARIABLES
        },
    }


def device() -> dict[str, Any]:
    """The first device, its driver, and what it lends; null where it does not say."""
    first = jax.local_devices()[0]
    return {
        "kind": first.device_kind,
        "platform": first.platform,
        "platform_version": first.client.platform_version,
        "driver": _driver(),
        "bytes_limit": (first.memory_stats() or {}).get("bytes_limit"),
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is not as it was, such as `packages.jax: '0.10.2' before, '0.11.2' now`."""
    found = []
    for key in sorted(before.keys() | now.keys()):
        was, is_now = before.get(key), now.get(key)
        if isinstance(was, Mapping) and isinstance(is_now, Mapping):
            found += [f"{key}.{line}" for line in differences(was, is_now)]
        elif was != is_now:
            found.append(f"{key}: {was!r} before, {is_now!r} now")
    return found


def code_digest() -> str:
    """Of the sources that are measured and of those that measure."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for path in sorted([*root.glob("iss_jax/**/*.py"), *root.glob("experiments/timing/*.py")]):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _driver() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.splitlines()[0].strip() if done.stdout.strip() else None
