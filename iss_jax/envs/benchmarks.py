"""The study's tasks: 18 seen, 13 near and 10 far ones of LIBERO and LIBERO-PRO.

Chosen by rule, not by success: all of libero_object; libero_spatial without the
two whose bowl stands on or in the cabinet; the first tasks of those suites' `_swap` (other places)
and `_object` (other looks) variants; the tasks of libero_goal and libero_10 that only pick and
place.
"""

import csv
import dataclasses
from importlib import resources

SPLITS = ("seen", "near", "far")


@dataclasses.dataclass(frozen=True)
class BenchmarkTask:
    """One task.

    Attributes:
        split: `seen` (trained on), `near` or `far`.
        suite: LIBERO's name of the suite.
        name: LIBERO's name of the task in it.
        instruction: what the policy is told.
        objects: the objects and fixtures of interest, as the simulator calls them: what the task
            moves, and where to.
        landmarks: others, which the instruction names only to say which of several like objects is
            meant ("next to the ramekin"). LIBERO does not count them among those of interest.
        surface: the work surface.
        max_steps: control steps after which a trial has failed (openpi's limit for the suite).
    """

    split: str
    suite: str
    name: str
    instruction: str
    objects: tuple[str, ...]
    landmarks: tuple[str, ...]
    surface: str
    max_steps: int

    @property
    def key(self) -> str:
        """`suite/name`: variants of a suite share the names of its tasks."""
        return f"{self.suite}/{self.name}"


def _read() -> tuple[BenchmarkTask, ...]:
    text = (resources.files("iss_jax.envs") / "study_tasks.csv").read_text("utf-8")
    return tuple(
        BenchmarkTask(
            split=row["split"],
            suite=row["suite"],
            name=row["name"],
            instruction=row["instruction"],
            objects=tuple(row["objects"].split()),
            landmarks=tuple(row["landmarks"].split()),
            surface=row["surface"],
            max_steps=int(row["max_steps"]),
        )
        for row in csv.DictReader(text.splitlines())
    )


STUDY = _read()
"""The 41 tasks, seen ones first."""


def landmarks_of(suite: str, name: str) -> tuple[str, ...]:
    """The landmarks of a task of the study (`BenchmarkTask.landmarks`); none of other tasks."""
    return next((t.landmarks for t in STUDY if (t.suite, t.name) == (suite, name)), ())
