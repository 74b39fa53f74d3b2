"""The rerun recording is written, and names what was logged."""

import numpy as np
import pytest

from iss_jax.viz.nmr_curve import Curve
from iss_jax.viz.timeline import write_timeline


def test_recording(tmp_path):
    pytest.importorskip("rerun", reason="rerun-sdk (extra `rerun`) is not installed")
    frames = np.zeros((3, 8, 8, 3), np.uint8)
    curve = Curve(
        times=np.arange(3) / 5.0,
        nmr=np.array([0.1, 0.2, 0.3]),
        chance=np.full(3, 0.25),
        random=np.zeros((3, 2)),
        computed=np.ones(3, bool),
        percent=10,
    )
    path = write_timeline(
        tmp_path / "timeline.rrd",
        "episode",
        {"front": frames},
        {"front": frames},
        {"front": frames[..., 0]},
        curve.times,
        curve,
        np.zeros((3, 3)),
    )
    assert list(tmp_path.iterdir()) == [path]
    content = path.read_bytes()
    assert content.startswith(b"RRF")
    for entity in (b"front/saliency", b"front/regions", b"nmr/chance", b"robot/path"):
        assert entity in content
