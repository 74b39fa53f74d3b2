"""Pictures are those of their frames, or the error says by how much they are not."""

import pathlib
import shutil

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iss_jax.data.dataset import open_dataset
from iss_jax.data.lerobot import Keys
from iss_jax.data.video import check_stamps

SAMPLES = pathlib.Path(__file__).parents[1] / "samples" / "lerobot"
INDEX = "meta/episodes/chunk-000/file-000.parquet"
PLACE = "videos/observation.images.{}/from_timestamp"


def _sample(tmp_path, version):
    return pathlib.Path(shutil.copytree(SAMPLES / f"{version}_video", tmp_path / version))


def _shift_pictures(path, frames):
    """The same pictures, at other times."""
    with av.open(str(path)) as source:
        pictures = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", 10)
        stream.height, stream.width = pictures[0].shape[:2]
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number + frames
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def _stamps(root, change):
    for path in (root / "data").rglob("*.parquet"):
        table = pq.read_table(path)
        place = table.column_names.index("timestamp")
        stamps = pa.array(change(table["timestamp"].to_numpy()).astype(np.float32))
        pq.write_table(table.set_column(place, "timestamp", stamps), path)


def _places(root, starts):
    table = pq.read_table(root / INDEX)
    for camera in ("front", "wrist"):
        name = PLACE.format(camera)
        table = table.set_column(table.column_names.index(name), name, pa.array(starts))
    pq.write_table(table, root / INDEX)


@pytest.mark.parametrize("version", ["v21", "v30"])
def test_a_video_that_is_a_frame_late_is_an_error(tmp_path, version):
    root = _sample(tmp_path, version)
    for path in (root / "videos").rglob("*.mp4"):
        _shift_pictures(path, 0)
    assert len(open_dataset(root).read(1)) == 3
    for path in (root / "videos").rglob("*.mp4"):
        _shift_pictures(path, 1)
    dataset = open_dataset(root)
    for episode in range(2):
        with pytest.raises(ValueError, match=r"\.mp4 \(episode \d\).* begins at 0\.1000 s instead"):
            dataset.read(episode, [1])


@pytest.mark.parametrize("version", ["v21", "v30"])
@pytest.mark.parametrize("late", [0.1, -0.1, 0.05])
def test_time_stamps_that_are_off_are_an_error(tmp_path, version, late):
    root = _sample(tmp_path, version)
    _stamps(root, lambda stamps: stamps + late)
    with pytest.raises(ValueError, match=rf"\(episode 1\), frame 1: timestamp {0.1 + late:.4f} s"):
        open_dataset(root).read(1, [1])


@pytest.mark.parametrize("version", ["v21", "v30"])
def test_time_stamps_of_hardware_jitter(tmp_path, version):
    root = _sample(tmp_path, version)
    whole = [open_dataset(root).read(i) for i in range(2)]
    rng = np.random.default_rng(0)
    _stamps(root, lambda stamps: stamps + rng.uniform(-0.035, 0.035, stamps.shape))
    _same(open_dataset(root), whole)
    # A clock that drifts is beyond it after a while; the frames' numbers are not.
    _stamps(root, lambda stamps: 1.4 * stamps)
    with pytest.raises(ValueError, match=r"Keys\(timestamps=False\) goes by the frames' numbers"):
        open_dataset(root).read(0)
    _same(open_dataset(root, keys=Keys(timestamps=False)), whole)


def _same(dataset, wanted):
    for i, episode in enumerate(wanted):
        for camera, images in episode.images.items():
            np.testing.assert_array_equal(dataset.read(i).images[camera], images)


@pytest.mark.parametrize(
    ("starts", "faults"),
    [
        ([0.0, 0.5], {1: r"frame 0: the episode is to begin at 0\.500 s.* 5 to 7.*has 7"}),
        ([0.1, 0.5], {0: r"begins at 0\.1000 s, though no", 1: r"right after .* misplaced"}),
        ([0.1, 0.4], {0: r"begins at 0\.1000 s, though no"}),
        ([0.0, 0.3], {1: r"begins at 0\.3000 s, before the last episode ends at 0\.4000 s"}),
    ],
)
def test_an_index_that_is_a_frame_late_is_an_error(tmp_path, starts, faults):
    root = _sample(tmp_path, "v30")
    _places(root, starts)
    dataset = open_dataset(root)
    for episode in range(2):
        if episode in faults:
            with pytest.raises(ValueError, match=rf"\(episode {episode}\).*" + faults[episode]):
                dataset.read(episode, [0])
        else:
            assert len(dataset.read(episode)) == (4, 3)[episode]


def test_stamps_that_are_no_numbers():
    with pytest.raises(ValueError, match=r"here, frame 7: timestamp nan s"):
        check_stamps(np.array([0.6, np.nan]), np.array([6, 7]), 10, "here")
