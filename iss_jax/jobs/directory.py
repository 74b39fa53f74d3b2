"""Run directories: what an experiment was asked, what it found, and what is done already.

A work item is a JSON object that says everything its result depends on. Its result lies in
`items/<hash of the object>.json`, so a run that is started again, with the same or with other
options, computes what is not there yet and nothing else.

Several processes may share a run directory, without a word to each other: each computes the items
that its number is dealt, and waits for the files of the rest. The deal depends on the items and the
number of processes alone, so there are no claims that a dying process could take with it: started
again, it finds its share as it left it. Where it is not, another one computes what it left. The
first process writes the tables.

`config.json` says what the tables and figures beside it were asked for. A new directory gets it at
once. In one that has another it is replaced with the first table, not before: a run that ends in an
error leaves what lay there. The tables of the old options, listed in `environment.json`, go first,
and a run that finds itself replaced stops.
"""

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import tqdm
from absl import logging

from iss_jax.data.atomic import atomic_path, write_bytes
from iss_jax.data.table import csv_text
from iss_jax.few import short
from iss_jax.jobs import presence
from iss_jax.jobs.environment import environment
from iss_jax.jobs.processes import ALONE, Processes, current

Item = Mapping[str, Any]

POLL_S = 1.0  # between two looks for another process's result
# Tables of run directories whose `environment.json` does not say what was written.
_OUTPUTS = ("results.json", "results.csv")
# Made of the tables, and gone with them.
_OF_PAGES = ("report.html", "answer.json", "explorer.html", "gallery.html")

PATIENCE_S = 60.0  # without a new result before those that are missing are named


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """A run directory that exists (see `open_run`).

    Attributes:
        path: the folder; local, or an `epath.Path` in a bucket.
        processes: which of the processes that share it this one is. Only the first one's tables
            and figures are written.
        held: what tells the others that this process is there, while it is kept.
        version: the numerical version of what computes items: raised by hand where the same item
            comes to have other numbers, so that old ones are not taken for new. Items that say
            none are of version 1.
        about: `config.json` and `environment.json` as they will be written; empty without them.
    """

    path: Path
    processes: Processes = ALONE
    held: presence.Held | None = dataclasses.field(default=None, compare=False, repr=False)
    version: int = 1
    about: Mapping[str, bytes] = dataclasses.field(default_factory=dict, repr=False, compare=False)
    _claimed: list[bool] = dataclasses.field(default_factory=list, repr=False, compare=False)

    def item_path(self, item: Item) -> Path:
        """Where the item's result lies, or will."""
        # Files of version 1 keep the names that they had before there were versions.
        versioned = item if self.version == 1 else {**item, "version": self.version}
        return self.path / "items" / f"{_digest(versioned)}.json"

    def claim(self) -> None:
        """Makes the directory that of this run's options, and writes `config.json`.

        Every table and figure does so by itself. A command that writes none calls it once what it
        was given is known to be sound. Tables of other options are taken away first.

        Raises:
            ValueError: another run with other options has written here since this one did.
        """
        if not (self.about and self.processes.first):
            return
        stored = _content(self.path / "config.json")
        own = stored == self.about["config.json"]
        if not own and self._claimed:
            raise ValueError(
                f"{self.path}: another run with other options has written here meanwhile; give "
                "each its own --workdir"
            )
        if not self._claimed:
            listed = self._outputs()
            if stored is not None and not own:
                for name in (*(_OUTPUTS if listed is None else listed), *_OF_PAGES):
                    (self.path / name).unlink(missing_ok=True)
            self._note((listed or []) if own else [])
            if not own:
                write_bytes(self.path / "config.json", self.about["config.json"])
            self._claimed.append(True)

    def _outputs(self) -> list[str] | None:
        """What `environment.json` says of tables and figures; None where it says nothing."""
        content = _content(self.path / "environment.json")
        return None if content is None else json.loads(content).get("outputs")

    def _note(self, outputs: Sequence[str]) -> None:
        listed = {"outputs": list(outputs)} if outputs else {}
        environment = json.loads(self.about["environment.json"])
        write_bytes(self.path / "environment.json", _json_text(environment | listed))

    def _put(self, name: str, write: Callable[[Path], None]) -> Path:
        """Writes one table or figure, which then is of `config.json`."""
        path = self.path / name
        if not self.processes.first:
            return path
        self.claim()
        if self.about and name not in (known := self._outputs() or []):
            self._note([*known, name])
        write(path)
        # Another run may have claimed the directory between the two.
        if self.about and _content(self.path / "config.json") != self.about["config.json"]:
            path.unlink(missing_ok=True)
            self.claim()
        return path

    def owners(self, items: Iterable[Item]) -> list[int]:
        """The process that each item is dealt to.

        In the order of their hashes the items go round the processes, so that shares are equal in
        number and no pattern in the items' order puts all large ones into one share.
        """
        digests = [_digest(item) for item in items]
        rank = {digest: number for number, digest in enumerate(sorted(set(digests)))}
        return [rank[digest] % self.processes.count for digest in digests]

    def unfinished(self, items: Sequence[Item]) -> list[Item]:
        """This process's share of the items, less those that have a result.

        Raises:
            ValueError: a stored result is unreadable.
        """
        own = {
            _digest(item): item
            for item, owner in zip(items, self.owners(items), strict=True)
            if owner == self.processes.index
        }
        return [item for item in own.values() if self.load(item) is None]

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
        same = (
            isinstance(content, dict)
            and content.get("item") == json.loads(json.dumps(item))
            and content.get("version", 1) == self.version
        )
        if not same or "result" not in content:
            raise ValueError(f"{path}: does not hold the result of {short(dict(item))}; delete it")
        return content["result"]

    def save(self, item: Item, result: Any) -> None:
        """Stores the item's result, JSON with numpy arrays as lists and nan as null."""
        content = {"item": item, "version": self.version, "result": jsonable(result)}
        write_bytes(self.item_path(item), json.dumps(content, allow_nan=False).encode())

    def write_json(self, name: str, value: Any) -> Path:
        """Writes `<name>`, JSON with numpy arrays as lists and nan as null."""
        text = _json_text(value)
        return self._put(name, lambda path: write_bytes(path, text))

    def write_csv(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
        """Writes `<name>`, a line per row under the keys of the first; see `csv_text`."""
        text = csv_text(rows)
        return self._put(name, lambda path: write_bytes(path, text.encode()))

    def write_figure(self, name: str, figure: Any) -> Path:
        """Writes the matplotlib figure to `figures/<name>`; the suffix is its format."""

        def write(path: Path) -> None:
            with atomic_path(path) as temporary:
                figure.savefig(temporary)

        return self._put(f"figures/{name}", write)


def open_run(
    path: Path, config: ml_collections.ConfigDict, *, layout: int = 1, version: int = 1
) -> RunDirectory:
    """A new run directory, or one that is there already.

    A new one holds configuration and environment at once. One that holds others gets them with the
    first table, when what was asked is known to be sound: see `RunDirectory.claim`.

    The run is shared by the processes that the command line names (`experiments.runs.app`).

    Args:
        path: Its folder.
        config: Of the command.
        layout: Raised by a command whose work items have changed, so that a run directory of an
            earlier version is refused instead of computed anew in silence.
        version: Of its items' numbers, see `RunDirectory`.

    Raises:
        ValueError: The directory is of another layout; the message names both.
    """
    found = _layout(path)
    if found not in (None, layout):
        raise ValueError(
            f"{path}: a run of another version of this command (layout {found}, {layout} wanted); "
            "give another --workdir"
        )
    about = {
        "config.json": _json_text(config.to_dict()),
        "environment.json": _json_text(environment() | {"layout": layout}),
    }
    run = RunDirectory(path, current(), version=version, about=about)
    if _content(path / "config.json") in (None, about["config.json"]):
        run.claim()
    return dataclasses.replace(run, held=presence.hold(path, run.processes))


def _json_text(value: Any) -> bytes:
    return json.dumps(jsonable(value), indent=2, allow_nan=False).encode() + b"\n"


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _layout(path: Path) -> int | None:
    """The layout of a run directory that exists; those that do not say are of the first."""
    file = path / "environment.json"
    try:
        return int(json.loads(file.read_bytes()).get("layout", 1))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f"{file}: cannot be read ({error})") from error


def run_items(
    run: RunDirectory,
    items: Iterable[Item],
    compute: Callable[[Item], Any],
    *,
    description: str,
    quiet: bool = False,
) -> list[Any]:
    """Results of all items: stored ones are loaded, the others computed and stored one by one.

    Of several processes each computes its share and waits for the others' results. The share of
    one that is not there is taken over after a minute.

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
    own = [index == run.processes.index for index in run.owners(items)]
    missing = run.unfinished(items)
    bar = tqdm.tqdm(
        missing,
        desc=description,
        disable=quiet,
        unit="item",
        initial=sum(own) - len(missing),
        total=sum(own),
    )
    for item in bar:
        # One that stood in for this process may have come to it.
        if run.load(item) is None:
            run.save(item, compute(item))
    return gather(run, items, compute)


def gather(
    run: RunDirectory, items: Sequence[Item], compute: Callable[[Item], Any] | None = None
) -> list[Any]:
    """Results of all items, waiting for those that other processes have yet to store.

    After a minute without a new result those that are missing are named, with the processes that
    were dealt them. What a process left that is not there is computed here, from its end, so that
    it may be started again at any time; without `compute` that it died is an error.

    Args:
        run: the run directory.
        items: the work items.
        compute: item to result.

    Returns:
        The results, in the order of the items.

    Raises:
        ValueError: a stored result is unreadable, or one of this process's share is missing.
        RuntimeError: a process that owes results was there and has ended.
    """
    owners = run.owners(items)
    results = []
    for number, (item, owner) in enumerate(zip(items, owners, strict=True)):
        since = time.monotonic()
        while (result := run.load(item)) is None:
            if owner == run.processes.index:
                raise ValueError(f"{run.path}: has no result of {short(dict(item))}")
            if time.monotonic() - since > PATIENCE_S:
                _ask_after(run, items[number:], owners[number:], compute)
                since = time.monotonic()
            time.sleep(POLL_S)
        results.append(result)
    return results


def _ask_after(
    run: RunDirectory,
    items: Sequence[Item],
    owners: Sequence[int],
    compute: Callable[[Item], Any] | None,
) -> None:
    """Names whose results are missing, and takes over from those that are not there."""
    absent: dict[int, list[Item]] = {}
    for item, owner in zip(items, owners, strict=True):
        if run.load(item) is None:
            absent.setdefault(owner, []).append(item)
    logging.warning(
        "%s: waiting for %s",
        run.path,
        ", ".join(f"{len(lost)} results of process {p}" for p, lost in sorted(absent.items())),
    )
    for owner, lost in sorted(absent.items()):
        other = dataclasses.replace(run.processes, index=owner)
        if compute is None:
            if presence.has_gone(run.path, other):
                raise RuntimeError(
                    f"{run.path}: process {owner} of {other.count} has ended, and {len(lost)} of "
                    "its results are missing; start it again, and this one"
                )
            continue
        with presence.stand_in(run.path, other) as free:
            # It may have finished meanwhile, or be at it again from the other end.
            for item in reversed(lost) if free else ():
                if run.load(item) is None:
                    logging.warning("%s: process %d is not there; computing", run.path, owner)
                    run.save(item, compute(item))


def _digest(item: Item) -> str:
    text = json.dumps(item, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def short_digest(options: Mapping[str, Any]) -> str:
    """Tells the options of runs apart, 10 hexadecimal digits.

    >>> short_digest({"seed": 1}) == short_digest({"seed": 1}) != short_digest({"seed": 2})
    True
    """
    return _digest(jsonable(options))[:10]


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
