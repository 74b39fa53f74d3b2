"""Trials with their signals as one table: from a run's items, or from the file that ships."""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.monitored.signals import SCALARS
from iss_jax.data.atomic import write_bytes

FACTS = ("policy", "suite", "task", "split", "panel", "trial", "success", "steps")
FEATURES = ("image", "hidden")


class Watched(NamedTuple):
    """One episode.

    Attributes:
        policy: `embedded`, `follows` or `ignores`.
        suite: LIBERO's name of it.
        task: LIBERO's name of the task in it.
        split: Of the study.
        panel: What it shows: nothing, the object that is asked for, or another one.
        trial: Number.
        success: Whether it succeeded.
        steps: Control steps.
        signals: Name -> one value an inference, nan where there is none.
        features: `image` and `hidden`, one row an inference.
    """

    policy: str
    suite: str
    task: str
    split: str
    panel: str
    trial: int
    success: bool
    steps: int
    signals: dict[str, np.ndarray]
    features: dict[str, np.ndarray]

    @property
    def place(self) -> str:
        """The task by its suite: what episodes are resampled and split by."""
        return f"{self.suite}/{self.task}"

    @property
    def length(self) -> int:
        """Inferences."""
        return len(next(iter(self.signals.values())))


def watched(item: Mapping[str, Any], result: Mapping[str, Any]) -> Watched:
    """An episode from a work item and its result."""
    columns = result["signals"]
    facts = {name: item[name] for name in FACTS[:6]}
    return Watched(
        **facts,
        success=bool(result["success"]),
        steps=int(result["steps"]),
        signals={name: np.array(columns[name], np.float64) for name in SCALARS},
        features={name: np.array(columns[name], np.float32) for name in FEATURES},
    )


def write_table(path: Path, episodes: Sequence[Watched]) -> None:
    """Writes episodes as one `.npz` without pickles, features in half precision."""
    content: dict[str, Any] = {
        name: np.array([getattr(one, name) for one in episodes]) for name in FACTS
    }
    content["length"] = np.array([one.length for one in episodes])
    for name in SCALARS:
        content[f"signal_{name}"] = np.concatenate(
            [np.asarray(one.signals[name], np.float32) for one in episodes]
        )
    for name in FEATURES:
        content[f"feature_{name}"] = np.concatenate(
            [np.asarray(one.features[name], np.float16) for one in episodes]
        )
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **content)
    write_bytes(path, buffer.getvalue())


def read_table(path: Path) -> list[Watched]:
    """Episodes of a file that `write_table` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It lacks columns; the message names them.
    """
    with np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False) as file:
        content = {name: file[name] for name in file.files}
    wanted = [*FACTS, "length", *(f"signal_{n}" for n in SCALARS)]
    wanted += [f"feature_{n}" for n in FEATURES]
    missing = [name for name in wanted if name not in content]
    if missing:
        raise ValueError(f"{path}: no columns {missing}; a table of trials with signals wanted")
    ends = np.cumsum(content["length"])
    found = []
    for number, end in enumerate(ends.tolist()):
        own = slice(end - int(content["length"][number]), end)
        facts = {name: content[name][number].item() for name in FACTS}
        found.append(
            Watched(
                **facts,
                signals={n: content[f"signal_{n}"][own].astype(np.float64) for n in SCALARS},
                features={n: content[f"feature_{n}"][own].astype(np.float32) for n in FEATURES},
            )
        )
    return found


def trial_rows(episodes: Iterable[Watched]) -> list[dict[str, Any]]:
    """A row a trial: what it was, what came of it, and its signals' largest values."""
    rows = []
    for one in episodes:
        row = {name: getattr(one, name) for name in FACTS}
        row |= {"success": int(one.success), "inferences": one.length}
        for name in ("nuisance_share", "nmr", "entropy"):
            known = one.signals[name][np.isfinite(one.signals[name])]
            row[f"most_{name}"] = round(float(known.max()), 4) if known.size else None
        rows.append(row)
    return rows
