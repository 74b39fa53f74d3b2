"""One description of a robot: a file, a name of ours, or a configuration of openpi's own.

A robot file is Python that holds one `PolicyConfig`, or several of which one is named `robot`.
"""

import importlib.util
import runpy
from pathlib import Path

from iss_jax.few import few
from iss_jax.policies.configs import CONFIGS, PolicyConfig, named


def robot_of(given: str | PolicyConfig) -> PolicyConfig:
    """The robot's side of a policy.

    >>> robot_of("pi05_libero").action_horizon
    10

    Args:
        given: A Python file, a name in `iss_jax.policies.configs.CONFIGS`, or, where openpi can be
            imported, the name of one of its training configurations. A `PolicyConfig` is returned
            as it is.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file holds no `PolicyConfig` or leaves open which, no such name is known, or
            openpi's configuration does not say all of it.
    """
    if isinstance(given, PolicyConfig) or given in CONFIGS:
        return named(given)
    if given.endswith(".py"):
        return _in_file(given)
    if importlib.util.find_spec("openpi") is not None:
        from iss_jax.policies.openpi_robot import robot_of_openpi

        return robot_of_openpi(given)
    raise ValueError(
        f"--robot: {given!r} given, a Python file or one of {few(sorted(CONFIGS))} wanted; openpi, "
        "whose configurations have further names, cannot be imported here"
    )


def _in_file(given: str) -> PolicyConfig:
    if not Path(given).is_file():
        raise FileNotFoundError(f"--robot: there is no file {given!r}")
    content = runpy.run_path(given)
    found = {name: one for name, one in content.items() if isinstance(one, PolicyConfig)}
    if "robot" in found:
        return found["robot"]
    own = {id(one): one for one in found.values()}
    if len(own) == 1:
        return next(iter(own.values()))
    raise ValueError(
        f"--robot: {given} holds {len(own)} PolicyConfigs {few(sorted(found))}; one wanted, or one "
        "of the name robot"
    )
