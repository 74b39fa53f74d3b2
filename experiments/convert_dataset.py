r"""A dataset in another format, written as a whole and compared with its source to the bit.

python -m experiments.convert_dataset --config=configs/convert_dataset.py:v3.0 \
    --config.dataset=<folder> --workdir=<new folder>
"""

import dataclasses
from pathlib import Path
from typing import Any

import ml_collections
import tqdm

from experiments.inputs.episodes import json_object, keys_of
from experiments.runs import app
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
