"""Region labels of a dataset by one command, from each of the three sources."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import tiny_policy
from PIL import Image

from iss_jax.cli import main as cli, regions
from iss_jax.data.dataset import open_dataset
from iss_jax.data.folders_write import write_folders

SIZES = tiny_policy.CAMERAS


def episode_of(frames=2):
    """A robot on the left half, a lamp on the right."""
    numbers = {c: np.repeat([1, 2], w // 2)[None, None] for c, (_, w) in SIZES.items()}
    instances = {
        c: np.broadcast_to(numbers[c], (frames, *size)).astype(np.int32)
        for c, size in SIZES.items()
    }
    return dataclasses.replace(
        tiny_policy.episode(frames),
        regions={},
        instances=instances,
        instance_names={1: "robot", 2: "lamp"},
    )


@pytest.fixture
def dataset(tmp_path):
    write_folders(tmp_path / "data", [episode_of()])
    return tmp_path / "data"


def config_of(root, **changes):
    config = regions.get_config()
    config.update({"dataset": str(root), "sheet": 0, "quiet": True, **changes})
    return config


def boxes_of(folder):
    images = [
        {"id": i, "camera": c, "episode": 0, "frame": 0, "height": h, "width": w}
        for i, (c, (h, w)) in enumerate(SIZES.items())
    ]
    drawn = [
        {"id": i, "image_id": i, "category_id": 0, "bbox": [0, 0, w // 2, h]}
        for i, (h, w) in enumerate(SIZES.values())
    ]
    content = {"images": images, "annotations": drawn, "categories": [{"id": 0, "name": "grip"}]}
    path = folder / "boxes.json"
    path.write_text(json.dumps(content))
    return path


def label_images_of(folder):
    for camera, (h, w) in SIZES.items():
        own = folder / "labels" / camera / "episode_000000"
        own.mkdir(parents=True)
        for frame in range(2):
            image = np.broadcast_to(np.repeat([7, 9], w // 2), (h, w)).astype(np.uint8)
            Image.fromarray(image).save(own / f"{frame:06d}.png")
    return folder / "labels"


@pytest.mark.parametrize("kind", ["instances", "boxes", "label_images"])
def test_each_source_gives_the_same_labels(kind, dataset, tmp_path):
    changes = {
        "instances": {"instances": True, "action": "rob*", "nuisance": "*"},
        "boxes": {"boxes": str(boxes_of(tmp_path)), "action": "grip"},
        "label_images": {
            "label_images": str(label_images_of(tmp_path)),
            "action": "7",
            "nuisance": "*",
        },
    }[kind]
    rows = regions.label(config_of(dataset, **changes), tmp_path / "run")
    assert [(row["camera"], row["action"], row["nuisance"]) for row in rows] == [
        ("front", 0.5, 0.5),
        ("wrist", 0.5, 0.5),
    ]
    labels = open_dataset(dataset).read(0).regions["front"]
    assert (labels[..., :16] == 2).all() and (labels[..., 16:] == 0).all()
    with pytest.raises(ValueError, match=r"masks of 1 episodes are there.*; --replace replaces"):
        regions.label(config_of(dataset, **changes), tmp_path / "run")


def test_a_copy_leaves_the_dataset_as_it_is(dataset, tmp_path, capsys):
    words = ["--dataset", dataset, "--instances", "--nuisance", "lamp", "--action", "robot"]
    words += ["--out", tmp_path / "copy", "--workdir", tmp_path / "run"]
    with pytest.raises(SystemExit) as ended:
        cli.main(["iss-jax", "regions", *map(str, words)])
    assert not ended.value.code
    said = capsys.readouterr().out
    assert "50.0% of the area: robot" in said and "50.0% of the area: lamp" in said
    assert not open_dataset(dataset).read(0).regions
    assert set(open_dataset(tmp_path / "copy").read(0).regions) == {"front", "wrist"}
    with (tmp_path / "run/results.csv").open(newline="") as file:
        assert [row["support"] for row in csv.DictReader(file)] == ["0.0", "0.0"]
    assert (tmp_path / "run/figures/regions.jpg").read_bytes().startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, r"sources \[\] given; wanted exactly one of --instances, --boxes, --label_images"),
        ({"instances": True, "boxes": "b"}, r"\['instances', 'boxes'\] given"),
        ({"instances": True}, "--instances: no lists given"),
        ({"instances": True, "nuisance": "lamp"}, r"\['robot'\] are in none of"),
        ({"label_images": "labels"}, "--label_images: neither lists nor --mapping"),
        ({"boxes": "b", "mapping": "m", "nuisance": "*"}, "--mapping given beside --nuisance"),
        ({"dataset": ""}, "--dataset: none given"),
    ],
)
def test_what_does_not_fit_is_named_before_anything_is_written(dataset, tmp_path, changes, said):
    out = {"out": str(tmp_path / "copy")}
    with pytest.raises(ValueError, match=said):
        regions.label(config_of(dataset, **{**out, **changes}), tmp_path / "run")
    assert not (tmp_path / "copy").exists() and not (tmp_path / "run").exists()
