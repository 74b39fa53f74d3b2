"""The rerun recording is written, and names what was logged."""

import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import Effects
from iss_jax.players import Players
from iss_jax.viz.nmr_curve import Curve
from iss_jax.viz.timeline import blueprint, write_timeline


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
    # Pictures are compressed, and the layout and the names of regions and curves are in it.
    for part in (b"EncodedImage", b"ViewContents", b"SeriesLines:names"):
        assert part in content
    assert b"archetypes.Image" not in content


def test_each_thing_has_a_view_and_nmr_shares_one_with_chance():
    pytest.importorskip("rerun", reason="rerun-sdk (extra `rerun`) is not installed")
    camera = "observation/top camera"
    found = blueprint([camera, "wrist"], ["wrist"], [camera], True, True)
    pictures, curves = found.root_container.contents
    titles = [[view.name for view in column.contents] for column in pictures.contents]
    assert titles == [
        [camera, f"{camera}, map", f"{camera}, players"],
        ["wrist", "wrist, map", "wrist, regions"],
    ]
    # A camera's name is no path, whatever it holds.
    origins = [str(view.origin) for view in pictures.contents[0].contents]
    assert origins[0] == r"/observation\/top\ camera/frame"
    assert [(view.name, str(view.origin)) for view in curves.contents] == [
        ("NMR and chance", "/nmr"),
        ("Shares of what it acts on", "/acts_on"),
        ("Path of the hand", "/robot"),
    ]
    alone = blueprint(["wrist"], [], [], False, False)
    assert len(alone.root_container.contents) == 1


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
