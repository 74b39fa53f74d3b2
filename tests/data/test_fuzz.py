"""Damage of any kind, at any place: what was written comes back, or an error names the file.

Not held to it, for nothing in the format could tell: what people wrote in free text (metadata,
names of things), and arrays in `.npy` files, which have no checksum.
"""

import json
import pathlib
import shutil

import pytest
from episodes import three_episodes
from hypothesis import HealthCheck, event, given, settings, strategies as st

from iss_jax.data.coco import held, read_coco
from iss_jax.data.convert import differences
from iss_jax.data.dataset import open_dataset
from iss_jax.data.folders_write import write_folders
from iss_jax.data.lerobot import write_episode
from iss_jax.data.lerobot_v30_write import write_dataset

SAMPLES = pathlib.Path(__file__).parents[1] / "samples" / "lerobot"
FREE = {"metadata", "instance_names"}


def _write_v21(root):
    for episode in three_episodes():
        write_episode(root, episode)


WRITERS = {
    "v2.1": _write_v21,
    "v3.0": lambda root: write_dataset(root, three_episodes()),
    "folders": lambda root: write_folders(root, three_episodes()),
    "video": lambda root: shutil.copytree(SAMPLES / "v30_video", root),
}


@pytest.fixture(scope="module", params=WRITERS)
def whole(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("fuzz") / request.param
    WRITERS[request.param](root)
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    dataset = open_dataset(root)
    return root, files, [dataset.read(i) for i in range(len(dataset))]


@st.composite
def damage(draw):
    """A file, a place in it, what happens there, and bytes for it."""
    return (
        draw(st.integers(0, 10**6)),
        draw(st.floats(0, 1, exclude_max=True)),
        draw(st.sampled_from(["flip", "cut", "drop", "write"])),
        draw(st.binary(min_size=1, max_size=6)),
    )


def _damaged(content, place, kind, data):
    at = int(place * len(content))
    rest = {
        "flip": bytes([content[at] ^ (1 << data[0] % 8)]) + content[at + 1 :],
        "write": data + content[at + len(data) :],
        "drop": content[at + len(data) :],
        "cut": b"",
    }
    return content[:at] + rest[kind]


@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(damage())
def test_damaged_datasets_are_named_or_whole(whole, done):
    root, files, wanted = whole
    number, place, kind, data = done
    path = files[number % len(files)]
    content = path.read_bytes()
    path.write_bytes(_damaged(content, place, kind, data))
    try:
        dataset = open_dataset(root)
        found = [dataset.read(i) for i in range(len(dataset))]
    except (ValueError, FileNotFoundError, KeyError) as error:
        event("refused by name")
        assert str(root) in str(error)
        return
    finally:
        path.write_bytes(content)
    event("read")
    # Another writer's parquet has no checksums, as numpy's files and videos have none.
    unchecked = ".npy" if root.name == "folders" else ".mp4"
    if path.suffix == unchecked or (root.name == "video" and path.suffix == ".parquet"):
        return
    assert len(found) == len(wanted)
    for mine, theirs in zip(found, wanted, strict=True):
        differing = set(differences(mine, theirs))
        # A feature whose dtype is not one any more is listed as unread.
        differing -= {name for name in differing if name.startswith("features[") and dataset.unread}
        assert differing <= FREE


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
nested = st.lists(plain, max_size=3) | st.dictionaries(st.text(max_size=3), plain, max_size=3)
values = plain | nested | st.lists(nested, max_size=3)
KEYS = ("id", "camera", "episode", "frame", "height", "width", "bbox", "segmentation", "image_id")


@settings(
    max_examples=50,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.sampled_from(["images", "annotations", "categories"]), st.sampled_from(KEYS), values)
def test_coco_of_any_values_is_named_or_drawn(tmp_path_factory, part, key, value):
    place = {"id": 1, "camera": "front", "episode": 0, "frame": 0, "height": 4, "width": 6}
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]}
    categories = [{"id": 1, "name": "action"}]
    content = {"images": [place], "annotations": [annotation], "categories": categories}
    content[part][0][key] = value
    path = tmp_path_factory.getbasetemp() / "drawn.json"
    path.write_text(json.dumps(content))
    try:
        for (camera, episode), keyframes in read_coco(path).items():
            held(keyframes, 2, f"{path}, camera {camera}, episode {episode}", (4, 6))
    except ValueError as error:
        event("refused by name")
        assert str(path) in str(error)
    else:
        event("read")
