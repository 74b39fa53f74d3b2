"""Datasets that the installed LeRobot writes and edits are read as its own reader reads them.

Run where LeRobot 0.6 is installed (`docs/guide/pytorch.md` says how); skipped elsewhere.
"""

import importlib.util
import pathlib
import shutil

import numpy as np
import pytest
from real_lerobot import imported

from iss_jax.data.dataset import open_dataset

pytestmark = [pytest.mark.lerobot, pytest.mark.filterwarnings("ignore")]

SAMPLES = pathlib.Path(__file__).parents[1] / "samples" / "lerobot"
LENGTHS = (4, 3, 5)


@pytest.fixture(scope="module")
def made():
    spec = importlib.util.spec_from_file_location("make_samples", SAMPLES / "make_samples.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def datasets():
    imported("lerobot.configs.video")  # of 0.6
    return imported("lerobot.datasets.lerobot_dataset").LeRobotDataset


@pytest.fixture(scope="module")
def root(tmp_path_factory, made, datasets):
    folder = tmp_path_factory.mktemp("lerobot")
    fill(made, create(made, datasets, folder / "plain"), LENGTHS)
    return folder


def create(made, datasets, root, kind="video", **options):
    features = {
        f"observation.images.{camera}": {
            "dtype": kind,
            "shape": (*size, 3),
            "names": ["height", "width", "channels"],
        }
        for camera, size in made.CAMERAS.items()
    }
    features["observation.state"] = {"dtype": "float32", "shape": (8,), "names": None}
    features["action"] = {"dtype": "float32", "shape": (7,), "names": None}
    return datasets.create(
        "own/tiny", 10, features=features, root=root, use_videos=kind == "video", **options
    )


def fill(made, dataset, lengths, first=0):
    for number, length in enumerate(lengths, first):
        for frame in range(length):
            values = {
                f"observation.images.{camera}": made.image(camera, number % 2, frame)
                for camera in made.CAMERAS
            }
            values["observation.state"] = made.state(number, frame)
            values["action"] = made.action(number, frame)
            dataset.add_frame(values | {"task": made.TASKS[number % 2]})
        dataset.save_episode()
    dataset.finalize()
    return dataset


def written(made, datasets, root, name, **options):
    lengths = options.pop("lengths", LENGTHS)
    fill(made, create(made, datasets, root / name, **options), lengths)
    return [root / name]


def encoded(**options):
    return imported("lerobot.configs.video").RGBEncoderConfig(**options)


def tools():
    return imported("lerobot.datasets.dataset_tools")


def h264(made, datasets, root):
    return written(made, datasets, root, "h264", rgb_encoder=encoded(vcodec="h264"))


def few_key_frames(made, datasets, root):
    return written(made, datasets, root, "few_keys", lengths=(40, 33), rgb_encoder=encoded(g=30))


def streamed(made, datasets, root):
    return written(made, datasets, root, "streamed", streaming_encoding=True)


def several_files(made, datasets, root):
    small = {"video_files_size_in_mb": 0.001, "data_files_size_in_mb": 0.001}
    return written(made, datasets, root, "files", **small)


def recorded_on(made, datasets, root):
    written(made, datasets, root, "on", lengths=(4, 3))
    fill(made, datasets.resume("own/tiny", root=root / "on"), (5, 4), first=2)
    return [root / "on"]


def deleted_and_split(made, datasets, root):
    plain = datasets("own/tiny", root=root / "plain")
    tools().delete_episodes(plain, [1], output_dir=root / "deleted", repo_id="own/deleted")
    tools().split_dataset(plain, {"a": [0, 2], "b": [1]}, output_dir=root / "split")
    return [root / "deleted", root / "split" / "a", root / "split" / "b"]


def merged(made, datasets, root):
    (other,) = written(made, datasets, root, "other", lengths=(2, 6))
    parts = [datasets("own/tiny", root=one) for one in (root / "plain", other)]
    tools().merge_datasets(parts, output_repo_id="own/merged", output_dir=root / "merged")
    return [root / "merged"]


def made_into_videos(made, datasets, root):
    written(made, datasets, root, "pictures", kind="image")
    pictures = datasets("own/tiny", root=root / "pictures")
    tools().convert_image_to_video_dataset(
        pictures, output_dir=root / "videos", repo_id="own/videos"
    )
    return [root / "pictures", root / "videos"]


def another_instruction(made, datasets, root):
    shutil.copytree(root / "plain", root / "told")
    told = datasets("own/tiny", root=root / "told")
    tools().modify_tasks(told, new_task="fold the towel")
    return [root / "told"]


def encoded_anew(made, datasets, root):
    shutil.copytree(root / "plain", root / "anew")
    again = datasets("own/tiny", root=root / "anew")
    tools().reencode_dataset(again, encoded(vcodec="h264"))
    return [root / "anew"]


@pytest.mark.parametrize(
    "make",
    [
        h264,
        few_key_frames,
        streamed,
        several_files,
        recorded_on,
        deleted_and_split,
        merged,
        made_into_videos,
        another_instruction,
        encoded_anew,
    ],
)
def test_every_value_is_what_lerobot_itself_reads(make, made, datasets, root):
    for folder in make(made, datasets, root):
        theirs = datasets("own/tiny", root=folder)
        rows = [theirs[index] for index in range(len(theirs))]
        ours = open_dataset(folder)
        read = [ours.read(number) for number in range(len(ours))]
        assert sum(map(len, read)) == len(rows) > 0
        wanted = [row["task"] for row in rows]
        assert [episode.prompt for episode in read for _ in range(len(episode))] == wanted
        for name, own in (("action", "action"), ("observation.state", "state")):
            found = np.concatenate([getattr(episode, own) for episode in read])
            np.testing.assert_array_equal(found, np.stack([row[name].numpy() for row in rows]))
        for camera in made.CAMERAS:
            found = np.concatenate([episode.images[camera] for episode in read])
            pixels = np.stack([row[f"observation.images.{camera}"].numpy() for row in rows])
            np.testing.assert_array_equal(found, np.round(255 * np.moveaxis(pixels, 1, -1)))
