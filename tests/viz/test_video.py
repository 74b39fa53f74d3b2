"""Videos hold every picture, and the curve's marker moves with them."""

import numpy as np
import pytest
from PIL import Image, ImageSequence

from iss_jax.viz.nmr_curve import Curve
from iss_jax.viz.video import episode_frames, write_gif, write_mp4

TIMES = np.arange(4) / 5.0


def curve():
    return Curve(
        times=TIMES,
        nmr=np.array([0.1, 0.2, 0.3, 0.2]),
        chance=np.full(4, 0.25),
        random=np.array([[0.2, 0.3]] * 4),
        computed=np.array([True, False, True, True]),
        percent=10,
    )


@pytest.fixture(scope="module")
def pictures():
    shades = np.array([0, 80, 160, 240], np.uint8)
    frames = np.broadcast_to(shades[:, None, None, None], (4, 32, 32, 3))
    rows = {
        "camera": {"front": frames, "wrist": frames},
        "saliency": {"front": frames, "wrist": frames},
    }
    return list(episode_frames(rows, curve().times, curve(), title="milk", dpi=50))


def test_a_picture_a_frame_that_shows_it(pictures):
    assert len(pictures) == 4 and len({picture.shape for picture in pictures}) == 1
    height, width, _ = pictures[0].shape
    assert height % 2 == width % 2 == 0
    for picture, shade in zip(pictures, (0, 80, 160, 240), strict=True):
        # Four panels of 2.2 inches, most of whose pixels are the frame's.
        assert (picture == shade).all(-1).sum() > 0.6 * 4 * 110**2


def test_the_marker_stands_at_the_frames_time(pictures):
    """Beside the left spine it is the darkest column of the curve's axes."""
    found, left = [], None
    for picture in pictures[1:3]:
        height = len(picture)
        columns = picture[int(0.77 * height) : int(0.9 * height)].max(-1).mean(0)
        # The spine, then everything right of it.
        left = int(np.argmin(columns[: picture.shape[1] // 6]))
        found.append(left + 3 + int(np.argmin(columns[left + 3 :])))
    right = left + (pictures[0].shape[1] - left) * 0.97
    np.testing.assert_allclose((np.array(found) - left) / (right - left), [1 / 3, 2 / 3], atol=0.03)


def test_mp4_is_read_back(pictures, tmp_path):
    av = pytest.importorskip("av", reason="PyAV (extra `viz`) is not installed")
    path = write_mp4(tmp_path / "a.mp4", pictures, fps=5.0)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert float(stream.average_rate) == 5.0
    assert len(frames) == 4
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.abs(frame.astype(int) - picture).mean() < 6  # lossy
    assert list(tmp_path.iterdir()) == [path]


def test_gif_is_read_back(pictures, tmp_path):
    path = write_gif(tmp_path / "a.gif", pictures, fps=5.0)
    with Image.open(path) as image:
        frames = [np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(image)]
        assert image.info["duration"] == 200 and image.info["loop"] == 0
    assert len(frames) == 4
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.abs(frame.astype(int) - picture).mean() < 12  # 64 colours


def test_what_is_no_video_leaves_no_file(pictures, tmp_path):
    pytest.importorskip("av", reason="PyAV (extra `viz`) is not installed")
    with pytest.raises(ValueError, match="at least one frame"):
        write_mp4(tmp_path / "a.mp4", [], fps=5.0)
    with pytest.raises(ValueError, match=r"frame 1 is \[20, 20, 3\]"):
        write_mp4(tmp_path / "a.mp4", [pictures[0], np.zeros((20, 20, 3), np.uint8)], fps=5.0)
    with pytest.raises(ValueError, match="at least one frame"):
        write_gif(tmp_path / "a.gif", [], fps=5.0)
    assert not list(tmp_path.iterdir())
