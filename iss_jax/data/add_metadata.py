"""Metadata of episodes from a table of one's own, added to a dataset in place."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path

from iss_jax.data.beside_metadata import RESERVED, write_metadata
from iss_jax.data.dataset import Dataset
from iss_jax.data.episode import Scalar
from iss_jax.data.folders import FolderDataset
from iss_jax.data.outcome import SUCCESS, outcome
from iss_jax.data.table import text
from iss_jax.few import few

EPISODE = "episode"
# Whole numbers; `success` is true or false, all other columns are texts.
_NUMBERS = ("seed", "policy_seed")


def read_metadata_table(path: str | os.PathLike) -> dict[int, dict[str, Scalar]]:
    """Reads a table of episodes.

    Args:
        path: a CSV file with the column `episode`, its number from 0 on, and columns such as
            `suite`, `task`, `split`, `seed`, `success`. An empty cell says nothing.

    Returns:
        Episode -> its metadata.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no column `episode` or no other, a cell is no number where one is
            wanted, `success` is none of true, false, 1, 0, yes and no, or an episode has two lines;
            the message names the line.
    """
    path = Path(path)
    found: dict[int, dict[str, Scalar]] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        names = [name for name in reader.fieldnames or () if name != EPISODE]
        if EPISODE not in (reader.fieldnames or ()) or not names:
            raise ValueError(
                f"{path}: columns {few(reader.fieldnames or ())} found, {EPISODE!r} and some of "
                "'suite', 'task', 'split', 'seed' wanted"
            )
        reserved = sorted(set(names) & set(RESERVED))
        if reserved:
            raise ValueError(f"{path}: columns {few(reserved)} are the formats' own")
        for line in reader:
            where = f"{path}, line {reader.line_num}"
            try:
                number = int(line[EPISODE])
                given = {name: text(line[name]) for name in names if line[name]}
                own: dict[str, Scalar] = dict(given)
                own |= {name: int(given[name]) for name in _NUMBERS if name in given}
            except (AttributeError, TypeError, ValueError):
                raise ValueError(
                    f"{where}: whole numbers wanted of {few([EPISODE, *_NUMBERS])}, "
                    f"{few(list(line.values()))} given"
                ) from None
            if (done := outcome(own.pop(SUCCESS, None), where)) is not None:
                own[SUCCESS] = done
            if number in found:
                raise ValueError(f"{where}: a second line of episode {number}")
            found[number] = own
    return found


def add_metadata(dataset: Dataset, metadata: Mapping[int, Mapping[str, Scalar]]) -> Path:
    """Writes metadata of some episodes beside a dataset, where all readers find them.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import shutil
    >>> from iss_jax import embedded
    >>> from iss_jax.data.dataset import open_dataset
    >>> with TemporaryDirectory() as folder:
    ...     mine = Path(shutil.copytree(embedded.episodes_path(), Path(folder) / "mine"))
    ...     _ = add_metadata(open_dataset(mine), {3: {"split": "kitchen"}})
    ...     open_dataset(mine).metadata(3)["split"]
    'kitchen'

    Args:
        dataset: the episodes, as they were opened.
        metadata: number of an episode -> what is added, or takes the place of what is there.

    Returns:
        The file, `<dataset>/metadata.json`. The dataset shows them when it is opened again.

    Raises:
        ValueError: an episode that is not there, a value that is no text or number, or a name that
            formats need.
    """
    wrong = [episode for episode in metadata if not 0 <= episode < len(dataset)]
    if wrong:
        raise ValueError(
            f"{dataset.root}: metadata of episodes {few(wrong)} given, there are {len(dataset)}"
        )
    return write_metadata(
        dataset.root, {_key(dataset, episode): own for episode, own in metadata.items()}
    )


def _key(dataset: Dataset, episode: int) -> str:
    if isinstance(dataset, FolderDataset):
        return dataset.episodes[episode].path.relative_to(dataset.root).as_posix()
    return str(dataset.metadata(episode)["episode_index"])
