"""Optional packages: which extra brings which, and what a missing one is told."""

import contextlib
from collections.abc import Iterator

# Modules by extra, as `pyproject.toml` declares their packages.
EXTRAS = {
    "data": ("av", "pyarrow", "PIL"),
    "viz": ("av", "jinja2", "matplotlib", "PIL"),
    "rerun": ("rerun",),
    "tensorboard": ("tensorboardX",),
    "serve": ("websockets", "msgpack"),
    "libero": ("libero", "mujoco", "mujoco_warp"),
}


def command(extra: str) -> str:
    """What installs an extra.

    >>> command("viz")
    'pip install "iss-jax[viz]"'
    """
    return f'pip install "iss-jax[{extra}]"'


@contextlib.contextmanager
def imports_of(extra: str) -> Iterator[None]:
    """Imports in the block come with an extra; a missing one names it.

    >>> with imports_of("viz"):
    ...     import a_package_of_viz
    Traceback (most recent call last):
    ModuleNotFoundError: a_package_of_viz is not installed: pip install "iss-jax[viz]"

    Args:
        extra: Of `EXTRAS`.

    Raises:
        ModuleNotFoundError: A package is not installed; the message says how to get it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.name} is not installed: {command(extra)}", name=error.name
        ) from error
