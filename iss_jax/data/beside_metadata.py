"""Metadata beside a dataset: suite, task, split or seed of episodes whose format says none.

`<dataset>/metadata.json` is an object: an episode -> an object of its metadata. An episode of a
LeRobot dataset is its `episode_index`, one of episode folders its folder's path in the dataset.
These take the place of metadata of the same name inside the dataset, of which nothing is rewritten.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from iss_jax.data.atomic import write_bytes
from iss_jax.data.episode import Scalar
from iss_jax.data.instances import NAMES
from iss_jax.data.json_file import read_object
from iss_jax.few import few, short

FILE = "metadata.json"
RESERVED = ("episode_index", "tasks", "length", NAMES)


def read_metadata(root: Path) -> dict[str, dict[str, Scalar]]:
    """The metadata beside a dataset; none where there is no file.

    Args:
        root: the dataset's folder.

    Raises:
        ValueError: the file cannot be read, or an entry is no metadata; the message names it.
    """
    path = root / FILE
    if not path.exists():
        return {}
    content = read_object(path)
    for episode, own in content.items():
        check_metadata(own, f"{path}, episode {episode!r}")
    return content


def write_metadata(root: Path, metadata: Mapping[str, Mapping[str, Scalar]]) -> Path:
    """Adds metadata to those that lie beside a dataset; an interrupted write changes nothing.

    Args:
        root: the dataset's folder.
        metadata: an episode -> its metadata.

    Returns:
        The file.

    Raises:
        ValueError: what is there cannot be read, or what is given is no metadata.
    """
    for episode, own in metadata.items():
        check_metadata(own, f"{root}, episode {episode!r}")
    there = read_metadata(root)
    for episode, own in metadata.items():
        there[episode] = {**there.get(episode, {}), **own}
    path = root / FILE
    write_bytes(path, json.dumps(there, indent=1).encode() + b"\n")
    return path


def check_metadata(own: object, where: str) -> None:
    """Says that something is no metadata of an episode.

    Raises:
        ValueError: no object, a value that is no JSON scalar, or a name that formats need.
    """
    if not isinstance(own, Mapping):
        raise ValueError(f"{where}: {short(own)} given, an object wanted")
    reserved = sorted(set(own) & set(RESERVED))
    if reserved:
        raise ValueError(f"{where}: the names {few(reserved)} are the format's own")
    wrong = [name for name, value in own.items() if not isinstance(value, Scalar)]
    if wrong:
        raise ValueError(f"{where}: {wrong[0]} is {short(own[wrong[0]])}, a text or number wanted")
