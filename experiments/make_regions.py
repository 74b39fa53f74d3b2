r"""Region masks for a dataset that has none, from label images or from coarse boxes and polygons.

    python -m experiments.make_regions --config=configs/make_regions.py:boxes \
        --config.dataset=<folder> --config.boxes=<json> --workdir=runs/regions

The masks of an episode are written as a whole, beside the dataset; after an interruption it is run
again with `--config.replace=True`. The workdir receives `results.csv` (the share of each region,
episode by episode) and `figures/regions.jpg`, to be checked by eye.
"""

import dataclasses
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from experiments.inputs.episodes import json_object, keys_of
from experiments.runs import app
from iss_jax.data.copies import copied
from iss_jax.data.dataset import Dataset, open_dataset
from iss_jax.data.label_images import REGIONS, read_mapping
from iss_jax.data.lerobot import Keys
from iss_jax.data.region_sources import Source, from_boxes, from_label_cameras, from_label_images
from iss_jax.data.write_labels import write_labels
from iss_jax.jobs.directory import open_run
from iss_jax.viz.labels_sheet import labels_sheet


@dataclasses.dataclass(frozen=True)
class Options:
    """One attribute per key of `configs/make_regions.py`, which says what each means."""

    dataset: Path
    copy: bool
    source: str
    labels: str
    mapping: str
    boxes: str
    cameras: tuple[str, ...]
    features: Keys | None
    replace: bool
    sheet: int
    quiet: bool


def from_config(config: ml_collections.ConfigDict) -> Options:
    """The options.

    Raises:
        ValueError: a value is missing, or is no source of masks.
    """
    needed = {"labels": ("dataset", "labels", "mapping"), "boxes": ("dataset", "boxes")}
    content: dict[str, Any] = config.to_dict()
    del content["name"]
    if content["source"] not in needed:
        raise ValueError(f"config.source: {content['source']!r}, one of {list(needed)} wanted")
    empty = [name for name in needed[content["source"]] if not content[name]]
    if empty:
        raise ValueError(f"config.{empty[0]}: empty; give --config.{empty[0]}=<path>")
    content |= {
        "dataset": Path(content["dataset"]),
        "cameras": tuple(content["cameras"]),
        "features": keys_of(content["features"]),
    }
    return Options(**content)


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[dict[str, Any]]:
    """Runs the experiment; returns the rows of `results.csv`."""
    options = from_config(config)
    if options.copy:
        options = dataclasses.replace(options, dataset=copied(options.dataset, workdir))
    dataset = open_dataset(options.dataset, keys=options.features)
    source, cameras = make_source(options, dataset)
    rows = write_labels(
        dataset,
        source,
        replace=options.replace,
        quiet=options.quiet,
        replaced_by="--config.replace=True",
    )
    run = open_run(workdir, config)
    run.write_csv("results.csv", rows)
    written = open_dataset(options.dataset, keys=options.features)
    if options.sheet:
        sheet = labels_sheet(written, cameras, options.sheet)
        print(run.write_figure("regions.jpg", sheet))
    if not options.quiet:
        for name in REGIONS:
            print(f"{name:<10}{np.mean([row[name] for row in rows]):>7.1%} of the area")
    return rows


def make_source(options: Options, dataset: Dataset) -> tuple[Source, tuple[str, ...]]:
    """Where the masks come from, and the cameras that get some.

    Raises:
        ValueError: the dataset lacks a camera, or an episode has nothing to go by.
    """
    cameras = options.cameras or dataset.cameras
    if options.source == "boxes":
        names = None
        if options.mapping:
            names = json_object(Path(options.mapping).read_text(), "mapping")
        return from_boxes(dataset, cameras, Path(options.boxes), names), cameras
    mapping = read_mapping(Path(options.mapping))
    if options.labels.lstrip().startswith("{"):
        shown = json_object(options.labels, "labels")
        return from_label_cameras(dataset, shown, mapping), tuple(shown)
    return from_label_images(dataset, cameras, Path(options.labels), mapping), cameras


if __name__ == "__main__":
    app.run(main, "make_regions", many_processes=False)
