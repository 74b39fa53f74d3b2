"""What the real lerobot wrote (tests/samples/lerobot) is read as it was meant."""

import importlib.util
import pathlib

import numpy as np
import pytest

from iss_jax.data.convert import convert, verify
from iss_jax.data.dataset import open_dataset

SAMPLES = pathlib.Path(__file__).parents[1] / "samples" / "lerobot"
FORMATS = ("v21_image", "v21_video", "v30_image", "v30_video", "v30_new_video")


@pytest.fixture(scope="module")
def made():
    """The script that made the samples, which knows every value."""
    spec = importlib.util.spec_from_file_location("make_samples", SAMPLES / "make_samples.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _images(made, camera, index):
    return np.stack([made.image(camera, index, t) for t in range(made.LENGTHS[index])])


@pytest.mark.parametrize("name", FORMATS)
def test_every_value_is_the_one_that_was_written(name, made):
    dataset = open_dataset(SAMPLES / name)
    assert len(dataset) == 2 and dataset.cameras == ("front", "wrist")
    assert (dataset.state_size, dataset.robot_type, dataset.unread) == (8, "panda", ())
    for index, length in enumerate(made.LENGTHS):
        episode = dataset.read(index)
        assert (episode.prompt, episode.fps, len(episode)) == (made.TASKS[index], 10, length)
        for attribute, value in (("state", made.state), ("action", made.action)):
            wanted = np.stack([value(index, t) for t in range(length)])
            np.testing.assert_array_equal(getattr(episode, attribute), wanted)
        np.testing.assert_array_equal(episode.features["next.reward"], np.arange(length))
        assert episode.regions == {} and episode.metadata == {}
        for camera in made.CAMERAS:
            wanted = _images(made, camera, index)
            error = np.abs(episode.images[camera].astype(int) - wanted)
            if name.endswith("image"):
                assert error.max() == 0
            else:
                # The nearest other picture, the next frame, is 9 levels off on average, which the
                # codec's error stays well below: every picture is that of its frame.
                assert error.mean() < 3 and error.max() < 24


@pytest.mark.parametrize("name", FORMATS)
def test_frames_out_of_order(name):
    dataset = open_dataset(SAMPLES / name)
    whole, some = dataset.read(1), dataset.read(1, [2, 0, 2])
    for camera in dataset.cameras:
        np.testing.assert_array_equal(some.images[camera], whole.images[camera][[2, 0, 2]])
    assert len(dataset.read(0, slice(3, None))) == 1


@pytest.mark.parametrize("name", ["v30_video", "v30_new_video"])
def test_all_versions_hold_the_same_video(name):
    old, new = (open_dataset(SAMPLES / own) for own in ("v21_video", name))
    for index in range(2):
        for camera in old.cameras:
            mine, theirs = (d.read(index).images[camera].astype(int) for d in (old, new))
            assert np.abs(mine - theirs).mean() < 2


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("to", ["v2.1", "v3.0", "folders"])
def test_conversion_of_the_samples_keeps_every_bit(name, to, tmp_path):
    dataset = open_dataset(SAMPLES / name)
    assert convert(dataset, tmp_path / "out", to, metadata={"suite": "tiny"}) == 2
    verify(dataset, tmp_path / "out", metadata={"suite": "tiny"})
