"""What episodes say of their task, and what the success table says for those that say nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from iss_jax.data.success import Success
from iss_jax.few import few

_SHOWN = 3


def folded(name: str) -> str:
    """A name without what people write differently: case, underscores, spaces, a last full stop.

    >>> folded("Pick_up the  Milk.")
    'pick up the milk'
    """
    return " ".join(name.replace("_", " ").split()).rstrip(".").rstrip().casefold()


def names_of(line: Mapping[str, Any]) -> list[str]:
    """What an episode's task is called: its name, then its instructions.

    >>> names_of({"task": "milk", "tasks": ["pick up the milk"]})
    ['milk', 'pick up the milk']
    """
    own = [str(line["task"])] if "task" in line else []
    return [*own, *map(str, line.get("tasks", ()))]


def completed(
    lines: Sequence[Mapping[str, Any]],
    rows: Sequence[Success],
    keys: Sequence[str],
    where: str,
) -> list[Mapping[str, Any]]:
    """The metadata, with what an episode does not say where its task's rows have but one of it.

    >>> rows = [Success("milk", "kitchen", "lab", 0, 0, 9, 1)]
    >>> completed([{"task": "milk"}, {"task": "milk", "suite": "office"}], rows, ["suite"], "mine")
    [{'task': 'milk', 'suite': 'kitchen'}, {'task': 'milk', 'suite': 'office'}]

    Args:
        lines: Metadata of the episodes.
        rows: Of the success table.
        keys: Which of `suite`, `split` and `seed` are completed, in this order.
        where: The dataset, for messages.

    Raises:
        ValueError: An episode does not say a key of which the rows of its task, that agree with
            what it does say, have several.
    """
    found: list[Mapping[str, Any]] = []
    unsure: dict[str, list[tuple[int, list[Any]]]] = {}
    for episode, line in enumerate(lines):
        for key in keys:
            if key in line or not line:
                continue
            there = list(dict.fromkeys(getattr(row, key) for row in _rows_of(line, rows, keys)))
            if len(there) == 1:
                line = {**line, key: there[0]}
            elif there:
                unsure.setdefault(key, []).append((episode, there))
                break
        found.append(line)
    if unsure:
        key, own = next(iter(unsure.items()))
        said = [f"episode {e}: {few(names_of(lines[e]), 1)}, one of {few(t)}" for e, t in own]
        more = f"; ... {len(said)} in all" if said[_SHOWN:] else ""
        raise ValueError(
            f"{where}: other episodes name their {key}, these do not, and the success table has "
            f"rows of several: {'; '.join(said[:_SHOWN])}{more}. Metadata that say it are "
            "wanted (--metadata adds them)"
        )
    return found


def _rows_of(
    line: Mapping[str, Any], rows: Sequence[Success], keys: Sequence[str]
) -> list[Success]:
    """The rows of an episode's task that agree with all that it says."""
    names = names_of(line)
    for same in (str, folded):
        for name in names:
            own = [row for row in rows if same(row.task) == same(name)]
            if own:
                return [row for row in own if all(_agrees(line, row, key) for key in keys)]
    return []


def _agrees(line: Mapping[str, Any], row: Success, key: str) -> bool:
    return key not in line or folded(str(line[key])) == folded(str(getattr(row, key)))
