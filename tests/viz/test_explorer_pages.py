"""Pages of a run directory, and frames of other experiments as pages take them."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import Effects
from iss_jax.jobs.processes import ALONE, Processes
from iss_jax.players import Players
from iss_jax.results import Cameras
from iss_jax.viz import explorer_pages
from iss_jax.viz.explorer import Method, ShownEpisode, explorer_html


def episode(frames):
    cells = np.zeros((frames, 1, 2, 2))
    shape = (frames, 4, 4)
    return ShownEpisode(
        title=f"{frames} frames",
        times=np.arange(float(frames)),
        images={"front": np.zeros((*shape, 3), np.uint8)},
        valid={"front": np.ones(shape, bool)},
        methods={"ISS": Method(cells, cells, "error")},
        computed=np.ones(frames, bool),
    )


@dataclasses.dataclass
class Run:
    path: object
    processes: Processes = ALONE


def written(path):
    return sorted(one.name for one in path.iterdir())


@pytest.mark.parametrize(
    ("lengths", "wanted"),
    [([3, 3], [[3, 3]]), ([6, 5, 5], [[6], [5, 5]]), ([11, 1], [[11], [1]]), ([], [])],
)
def test_long_runs_have_several_pages_and_lose_no_episode(lengths, wanted, monkeypatch, tmp_path):
    monkeypatch.setattr(explorer_pages, "MOST_FRAMES", 10)
    found = explorer_pages.split([episode(length) for length in lengths])
    assert [[len(one.times) for one in page] for page in found] == wanted
    names = explorer_pages.write_pages(Run(tmp_path), [episode(n) for n in lengths], title="t")
    assert names == ["explorer.html", "explorer_2.html"][: len(wanted)]
    for name, page in zip(names, wanted, strict=True):
        text = (tmp_path / name).read_text()
        assert all(f'"{length} frames"' in text for length in page)


def test_pages_of_an_earlier_longer_run_go(tmp_path, monkeypatch):
    monkeypatch.setattr(explorer_pages, "MOST_FRAMES", 2)
    other = tmp_path / "explorer_notes.html"
    other.write_text("one's own")
    run = Run(tmp_path)
    explorer_pages.write_pages(run, [episode(2)] * 3, title="t")
    assert written(tmp_path) == [
        *("explorer.html", "explorer_2.html", "explorer_3.html", "explorer_notes.html")
    ]
    second = dataclasses.replace(run, processes=Processes(2, 1))
    assert explorer_pages.write_pages(second, [], title="t") == []
    assert len(written(tmp_path)) == 4
    explorer_pages.write_pages(run, [episode(2)], title="t")
    assert written(tmp_path) == ["explorer.html", "explorer_notes.html"]
    explorer_pages.write_pages(run, [], title="t")
    assert written(tmp_path) == ["explorer_notes.html"]


def effects(**changes):
    labels = jnp.full((4, 4), -1).at[:2].set(0).at[2:].set(1)
    given = {
        "by_draw": jnp.array([[3.0, 1.0], [3.0, 1.0]]),
        "moved": jnp.ones(2),
        "beside": {},
        "floor": jnp.zeros(()),
        "reason": jnp.zeros((), jnp.int32),
        "players": Players({"base_0_rgb": labels}, names=("bowl", "plate")),
        "actions": jnp.zeros((1, 1)),
        "frames": {"base_0_rgb": jnp.full((4, 4, 3), -1.0)},
        "cameras": Cameras({"base_0_rgb": "front"}),
    }
    return Effects(**given | changes)


def test_a_frame_with_its_players_is_an_episode_of_one():
    shown = explorer_pages.of_effects(effects(), "lift the bowl", success=True)
    assert shown.title == "lift the bowl" and shown.success and shown.methods == {}
    np.testing.assert_array_equal(shown.images["front"], np.zeros((1, 4, 4, 3), np.uint8))
    assert shown.players is not None and list(shown.players.names) == ["bowl", "plate"]
    np.testing.assert_allclose(shown.players.share, [[0.75, 0.25]])
    np.testing.assert_array_equal(shown.players.labels["front"][0, :, 0], [0, 0, 1, 1])
    assert "lift the bowl" in explorer_html([shown], title="t")


def test_shares_that_are_not_known_stay_so_and_a_frame_is_needed():
    shown = explorer_pages.of_effects(effects(reason=jnp.ones((), jnp.int32)), "lift")
    assert shown.players is not None and np.isnan(shown.players.share).all()
    with pytest.raises(ValueError, match="lift: effects with their frame wanted"):
        explorer_pages.of_effects(effects(frames=None), "lift")


def test_maps_of_several_methods_share_a_frame():
    maps = {
        name: {"front": np.full((4, 4), value), "wrist": np.arange(16.0).reshape(4, 4)}
        for name, value in (("ISS", 1.0), ("attention", 2.0))
    }
    pictures = {camera: np.zeros((4, 4, 3), np.uint8) for camera in ("front", "wrist")}
    shown = explorer_pages.of_maps(
        "a frame",
        pictures,
        {camera: np.ones((4, 4), bool) for camera in pictures},
        maps,
        units=dict.fromkeys(maps, "score"),
        regions={camera: np.zeros((4, 4), np.uint8) for camera in pictures},
        chance=0.5,
        percent=5.0,
    )
    assert list(shown.methods) == ["ISS", "attention"] and shown.percent == 5.0
    np.testing.assert_array_equal(shown.methods["attention"].cells[0, 0], np.full((4, 4), 2.0))
    np.testing.assert_array_equal(shown.methods["ISS"].cells[0, 1], np.arange(16.0).reshape(4, 4))
    assert shown.chance is not None and shown.chance.tolist() == [0.5]
    explorer_html([shown], title="t")
