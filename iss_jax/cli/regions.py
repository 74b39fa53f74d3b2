"""Region labels for a dataset that has none: what is nuisance, support, action-critical.

    iss-jax regions --dataset <folder> --instances --nuisance '*' --support plate --action 'robot*'
    iss-jax regions --dataset <folder> --boxes boxes.json
    iss-jax regions --dataset <folder> --label_images <folder> --nuisance '*' --action 3,7

Exactly one source: the names of things that the dataset holds (--instances); a COCO file of boxes
and polygons on some frames, each of which holds until the next (--boxes); label images of a
segmentation model, <folder>/<camera>/episode_000000/000000.png (--label_images).

--nuisance, --support and --action say which names, categories, ids or colours (#rrggbb) are of
which region, with commas between; * stands for any part of a name. Without them categories are
called nuisance, support and action. Every thing must be in a list; --nuisance '*' takes the rest.

The labels lie beside the dataset afterwards, where every reader finds them; --out takes a copy of
the dataset and leaves it as it is. The workdir receives results.csv and figures/regions.jpg, to be
checked by eye.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import ml_collections

from iss_jax.cli.plainly import plainly
from iss_jax.cli.words import words_of

if TYPE_CHECKING:
    from iss_jax.data.dataset import Dataset
    from iss_jax.data.region_sources import Source

SUMMARY = "region labels from names of things, boxes or label images"

WORKDIR = "runs/regions"
SOURCES = ("instances", "boxes", "label_images")


def get_config() -> ml_collections.ConfigDict:
    """Keys and defaults."""
    config = ml_collections.ConfigDict()
    # A folder of any format that is read.
    config.dataset = ""
    # Names of things that the dataset holds.
    config.instances = False
    # A COCO file.
    config.boxes = ""
    # A folder of label images, or a JSON object {camera: camera of the dataset that shows labels}.
    config.label_images = ""
    # Names, categories, ids or colours, with commas between.
    config.nuisance = config.support = config.action = ""
    # Instead of these lists: a JSON file, such as {"3": "action", "*": "nuisance"}.
    config.mapping = ""
    # Cameras that get labels, with commas between; all of the dataset when empty.
    config.cameras = ""
    # A copy of the dataset is labelled, in this folder; the dataset itself when empty.
    config.out = ""
    # Labels that were written before are replaced; otherwise they are an error.
    config.replace = False
    # Episodes in figures/regions.jpg; 0 for none.
    config.sheet = 6
    config.quiet = False
    return config


def run(config: ml_collections.ConfigDict, workdir: str | None) -> None:
    """Labels the dataset; says what is of which region.

    Args:
        config: With the keys of `get_config`.
        workdir: Folder of the table and the sheet, `runs/regions` when None.

    Raises:
        SystemExit: What was given cannot be; the message was printed.
    """
    with plainly("regions"):
        label(config, Path(workdir or WORKDIR))


def label(config: ml_collections.ConfigDict, folder: Path) -> list[dict[str, Any]]:
    """As `run`; returns the rows of `results.csv`.

    Raises:
        FileNotFoundError: The dataset or a source is not there.
        ValueError: Not exactly one source, or one that does not fit the dataset.
    """
    from iss_jax.data.copies import copy_dataset
    from iss_jax.data.dataset import open_dataset
    from iss_jax.data.label_images import REGIONS
    from iss_jax.data.write_labels import write_labels
    from iss_jax.jobs.directory import open_run
    from iss_jax.jobs.packaged import located
    from iss_jax.viz.labels_sheet import labels_sheet

    if not config.dataset:
        raise ValueError("--dataset: none given; wanted a folder")
    given = [name for name in SOURCES if config[name]]
    if len(given) != 1:
        raise ValueError(f"sources {given} given; wanted exactly one of --{', --'.join(SOURCES)}")
    root = located(config.dataset, "dataset")
    # Read before anything is copied or written, so that what does not fit leaves nothing behind.
    source, cameras, found = source_of(config, open_dataset(root))
    if config.out:
        root = copy_dataset(root, Path(config.out))
        source, cameras, found = source_of(config, open_dataset(root))
    rows = write_labels(
        open_dataset(root),
        source,
        replace=config.replace,
        quiet=config.quiet,
        replaced_by="--replace",
    )
    directory = open_run(folder, config)
    directory.write_csv("results.csv", rows)
    if not config.quiet:
        for region in REGIONS:
            names = [name for name, own in found.items() if own == region]
            listed = f": {', '.join(names)}" if names else ""
            share = sum(row[region] for row in rows) / len(rows)
            print(f"{region:<10}{share:>7.1%} of the area{listed}")
        print(f"labels:   {root}")
    if config.sheet:
        sheet = labels_sheet(open_dataset(root), cameras, config.sheet)
        path = directory.write_figure("regions.jpg", sheet)
        if not config.quiet:
            print(f"to check: {path}")
    return rows


def source_of(
    config: ml_collections.ConfigDict, dataset: "Dataset"
) -> tuple["Source", tuple[str, ...], dict[str, str]]:
    """Where the labels come from, the cameras that get some, and what is of which region.

    Raises:
        ValueError: a camera that is not there, a thing that no list has, or a file that does not
            fit the dataset.
    """
    from iss_jax.data import region_sources
    from iss_jax.data.json_file import parse_object, read_object
    from iss_jax.data.label_images import REGIONS, as_mapping, read_mapping
    from iss_jax.data.region_names import RegionNames

    named = RegionNames(*(words_of(config[region]) for region in REGIONS))
    if named and config.mapping:
        raise ValueError("--mapping given beside --nuisance, --support or --action; wanted one way")
    cameras = words_of(config.cameras) or dataset.cameras
    if config.instances:
        if not named:
            raise ValueError(
                "--instances: no lists given; wanted --nuisance, --support and --action"
            )
        source, found = region_sources.from_instances(dataset, cameras, named)
        return source, cameras, found
    if config.boxes:
        path, regions = Path(config.boxes), None
        if config.mapping:
            regions = read_object(Path(config.mapping))
        if named:
            regions = named.regions_of(_categories(path), f"{path}")
        return region_sources.from_boxes(dataset, cameras, path, regions), cameras, regions or {}
    if not named and not config.mapping:
        raise ValueError(
            "--label_images: neither lists nor --mapping given; wanted --nuisance, --support and "
            "--action with ids or colours"
        )
    content = named.mapping()
    mapping = as_mapping(content, "lists") if named else read_mapping(Path(config.mapping))
    if config.label_images.lstrip().startswith("{"):
        shown = parse_object(config.label_images, "--label_images")
        return region_sources.from_label_cameras(dataset, shown, mapping), tuple(shown), content
    folder = Path(config.label_images)
    return region_sources.from_label_images(dataset, cameras, folder, mapping), cameras, content


def _categories(path: Path) -> list[str]:
    from iss_jax.data.json_file import read_object

    entries = read_object(path).get("categories", [])
    return [str(one.get("name")) for one in entries if isinstance(one, dict)]
