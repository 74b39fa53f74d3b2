"""LIBERO's suites of tasks, and those of LIBERO-PRO."""

import contextlib
import dataclasses
import functools
import io
import os
from typing import Any

from iss_jax.envs import simulator
from iss_jax.few import few


@dataclasses.dataclass(frozen=True)
class LiberoTask:
    """One task: its suite, LIBERO's name for it, its index in the suite and its instruction."""

    suite: str
    name: str
    index: int
    language: str


@functools.cache
def load_suite(name: str) -> Any:
    """LIBERO's own object for a suite.

    Raises:
        ImportError: the `libero` extra is missing.
        ValueError: an unknown suite.
    """
    registry = simulator.load().benchmark.get_benchmark_dict()
    if name.lower() not in registry:
        raise ValueError(f"suite {name!r}: one of {few(sorted(registry))} wanted")
    with contextlib.redirect_stdout(io.StringIO()):
        return registry[name.lower()]()


def list_suites() -> list[str]:
    """Names of all suites, those of LIBERO and the variants of LIBERO-PRO."""
    return sorted(simulator.load().benchmark.get_benchmark_dict())


def list_tasks(suite: str) -> list[LiberoTask]:
    """The tasks of a suite, in LIBERO's order.

    Raises:
        ImportError: the `libero` extra is missing.
        ValueError: an unknown suite.
    """
    benchmark = load_suite(suite)
    return [
        LiberoTask(suite, benchmark.get_task(i).name, i, benchmark.get_task(i).language)
        for i in range(benchmark.get_num_tasks())
    ]


def definition_path(task: LiberoTask) -> str:
    """The file (BDDL) that defines a task's scene."""
    definition = load_suite(task.suite).get_task(task.index)
    folder = simulator.load().get_libero_path("bddl_files")
    return os.path.join(folder, definition.problem_folder, definition.bddl_file)


def objects_in(task: LiberoTask) -> tuple[str, ...]:
    """Names of a task's movable objects, without building its scene."""
    problem = simulator.load().parse_problem(definition_path(task))
    return tuple(name for names in problem["objects"].values() for name in names)
