r"""A dataset in another format, written as a whole and compared with its source to the bit.

python -m experiments.convert_dataset --config=configs/convert_dataset.py:v3.0 \
    --config.dataset=<folder> --workdir=<new folder>
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_collections
import tqdm

from experiments import app
from iss_jax import embedded
from iss_jax.data import convert
from iss_jax.data.dataset import open_dataset
from iss_jax.data.lerobot import Keys


@dataclasses.dataclass(frozen=True)
class Options:
    """One attribute per key of `configs/convert_dataset.py`, which says what each means."""

    dataset: Path
    to: str
    keys: Keys | None
    fps: float | None
    metadata: dict[str, Any]
    task_from_prompt: bool
    drop_unread: bool
    verify: bool
    most: int | None
    quiet: bool


def from_config(config: ml_collections.ConfigDict) -> Options:
    """The options.

    Raises:
        ValueError: a JSON object cannot be read.
    """
    content: dict[str, Any] = config.to_dict()
    dataset = content["dataset"]
    return Options(
        dataset=embedded.episodes_path() if dataset == "embedded" else Path(dataset),
        to=content["to"],
        keys=keys_of(content["features"]),
        fps=content["fps"] or None,
        metadata=json_object(content["metadata"], "metadata"),
        task_from_prompt=content["task_from_prompt"],
        drop_unread=content["drop_unread"],
        verify=content["verify"],
        most=content["most"] or None,
        quiet=content["quiet"],
    )


def keys_of(given: Mapping[str, str]) -> Keys | None:
    """Which features are what; None when the config says nothing of it.

    Raises:
        ValueError: a JSON object cannot be read.
    """
    if not any(given.values()):
        return None
    cameras, regions = (
        json_object(given[name], f"features.{name}") if given[name] else None
        for name in ("cameras", "regions")
    )
    return Keys(cameras, regions, given["state"] or None, given["action"] or None)


def json_object(text: str, name: str) -> dict[str, Any]:
    """The JSON object that a config key gives.

    Raises:
        ValueError: it is not one; the message names the key.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"config.{name}: {text!r} cannot be read ({error})") from error
    if not isinstance(value, dict):
        raise ValueError(f"config.{name}: {text!r} given, a JSON object wanted")
    return value


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment."""
    options = from_config(config)
    dataset = open_dataset(options.dataset, keys=options.keys, fps=options.fps)

    def bar(description: str):
        return lambda indices: tqdm.tqdm(
            indices, desc=description, unit="episode", disable=options.quiet
        )

    names = {
        "metadata": options.metadata,
        "task_from_prompt": options.task_from_prompt,
        "most": options.most,
    }
    count = convert.convert(
        dataset,
        workdir,
        options.to,
        drop_unread=options.drop_unread,
        each=bar("written"),
        **names,
    )
    print(f"{count} episodes as {options.to} in {workdir}")
    if options.verify:
        convert.verify(dataset, workdir, each=bar("compared"), **names)
        print("every array equals its source to the bit")


if __name__ == "__main__":
    app.run(main, "convert_dataset", many_processes=False)
