"""Run directories: what an experiment was asked, what it found, and what is done already.

A work item is a JSON object that says everything its result depends on. Its result lies in
`items/<hash of the object>.json`, so a run that is started again, with the same or with other
options, computes what is not there yet and nothing else.
"""

import csv
import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import tqdm

from experiments.environment import environment
from iss_jax.data.atomic import atomic_path, write_bytes

Item = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """A run directory that exists (see `open_run`)."""

    path: Path

    def item_path(self, item: Item) -> Path:
        """Where the item's result lies, or will."""
        text = json.dumps(item, sort_keys=True, allow_nan=False)
        return self.path / "items" / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"

    def load(self, item: Item) -> Any | None:
        """The item's result, None when it has not been computed.

        Raises:
            ValueError: the file cannot be read or holds another item; the message names it.
        """
        path = self.item_path(item)
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{path}: unreadable result of a work item ({error}); delete it to compute it again"
            ) from error
        same = isinstance(content, dict) and content.get("item") == json.loads(json.dumps(item))
        if not same or "result" not in content:
            raise ValueError(f"{path}: does not hold the result of {dict(item)}; delete it")
        return content["result"]

    def save(self, item: Item, result: Any) -> None:
        """Stores the item's result, JSON with numpy arrays as lists and nan as null."""
        content = {"item": item, "result": jsonable(result)}
        write_bytes(self.item_path(item), json.dumps(content, allow_nan=False).encode())

    def write_json(self, name: str, value: Any) -> Path:
        """Writes `<name>`, JSON with numpy arrays as lists and nan as null."""
        text = json.dumps(jsonable(value), indent=2, allow_nan=False)
        write_bytes(self.path / name, text.encode() + b"\n")
        return self.path / name

    def write_csv(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
        """Writes `<name>`, a line per row under the keys of the first."""
        with atomic_path(self.path / name) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        return self.path / name

    def write_figure(self, name: str, figure: Any) -> Path:
        """Writes the matplotlib figure to `figures/<name>`; the suffix is its format."""
        with atomic_path(self.path / "figures" / name) as temporary:
            figure.savefig(temporary)
        return self.path / "figures" / name


def open_run(path: Path, config: ml_collections.ConfigDict) -> RunDirectory:
    """Creates or reopens a run directory and notes the configuration and the environment."""
    run = RunDirectory(path)
    run.write_json("config.json", config.to_dict())
    run.write_json("environment.json", environment())
    return run


def run_items(
    run: RunDirectory,
    items: Iterable[Item],
    compute: Callable[[Item], Any],
    *,
    description: str,
    quiet: bool = False,
) -> list[Any]:
    """Results of all items: stored ones are loaded, the others computed and stored one by one.

    Args:
        run: the run directory.
        items: the work items.
        compute: item to result.
        description: what the progress bar says.
        quiet: without a progress bar.

    Returns:
        The results, in the order of the items.

    Raises:
        ValueError: a stored result is unreadable.
    """
    items = list(items)
    results = [run.load(item) for item in items]
    missing = [index for index, result in enumerate(results) if result is None]
    bar = tqdm.tqdm(
        missing,
        desc=description,
        disable=quiet,
        unit="item",
        initial=len(items) - len(missing),
        total=len(items),
    )
    for index in bar:
        run.save(items[index], compute(items[index]))
        results[index] = run.load(items[index])
    return results


def jsonable(value: Any) -> Any:
    """Numpy arrays and scalars as lists and numbers, tuples as lists, nan and inf as None."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return jsonable(value.tolist())
    if isinstance(value, tuple) and (fields := getattr(value, "_fields", None)):
        return jsonable(dict(zip(fields, value, strict=True)))
    if isinstance(value, list | tuple):
        return [jsonable(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
