"""The rerun recording is written, and names what was logged."""

import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import Effects
from iss_jax.players import Players
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


def test_names_of_things_and_cameras_are_no_paths(tmp_path, capfd):
    pytest.importorskip("rerun", reason="rerun-sdk (extra `rerun`) is not installed")
    camera, frames = "observation/top camera", np.zeros((2, 8, 8, 3), np.uint8)
    acted = Effects(
        by_draw=jnp.ones((2, 2, 2)),
        moved=jnp.ones((2, 2)),
        beside={},
        floor=jnp.zeros(2),
        reason=jnp.zeros(2, jnp.int32),
        players=Players(
            {camera: jnp.zeros((2, 8, 8), jnp.int32)}, names=("black bowl", "milk/soup")
        ),
        actions=jnp.zeros((2, 1, 1)),
    )
    path = write_timeline(
        tmp_path / "timeline.rrd",
        "episode",
        {camera: frames},
        {camera: frames},
        {},
        np.arange(2) / 5.0,
        None,
        np.zeros((2, 3)),
        acted,
    )
    content = path.read_bytes()
    for name in (
        rb"/acts_on/black\ bowl",
        rb"/acts_on/milk\/soup",
        rb"observation\/top\ camera/players",
    ):
        assert name in content
    assert "Unescaped" not in capfd.readouterr().err
