"""Whole episodes explained end to end on a tiny policy: what is written says what was computed."""

import csv
import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_policy

from configs.explain_episode import VARIANTS, get_config
from experiments import explain_episode
from iss_jax import Effects, Region, nmr
from iss_jax.data.dataset import open_dataset
from iss_jax.data.folders_write import write_folders
from iss_jax.data.lerobot import write_episode
from iss_jax.explain import players
from iss_jax.explain.donors import load_donors
from iss_jax.explain.frame_players import players_of
from iss_jax.explain.nmr import measure_episode
from iss_jax.explain.openpi_subject import OpenpiSubject
from iss_jax.explain.options import Options
from iss_jax.jobs.options import from_config
from iss_jax.jobs.report import write_report
from iss_jax.masks import upsample
from iss_jax.policies.frames import FrameOptions, see
from iss_jax.policies.restored import load_policy

pytestmark = pytest.mark.slow

FRAMES, STRIDE = 6, 3
COMPUTED = [0, 3, 5]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("inputs")
    tiny_policy.write_checkpoint(root / "checkpoint")
    for success in (True, False):
        # Of a suite whose states begin with the position of the hand.
        found = tiny_policy.episode(FRAMES, success=success, suite="libero_tiny")
        write_episode(root / "episodes", found)
    return root


@pytest.fixture(scope="module")
def policy(inputs):
    return load_policy(inputs / "checkpoint")


def config_of(inputs):
    config = get_config("smoke")
    config.checkpoint, config.dataset = str(inputs / "checkpoint"), str(inputs / "episodes")
    config.paths = (str(inputs / "episodes"),)
    config.cameras.right_wrist_0_rgb = ""
    config.quiet = True
    config.episodes, config.frames = (1,), FRAMES
    config.stride = STRIDE
    config.action_horizon, config.num_steps = 4, 2
    return config


@pytest.fixture(scope="module")
def finished(inputs, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    config = config_of(inputs)
    pytest.importorskip("av", reason="PyAV (extra `viz`) is not installed")
    config.gif = True
    return workdir, explain_episode.main(config, workdir)


def test_heatmaps_are_plain_arrays_and_linear_between_computed_frames(finished):
    workdir, _ = finished
    with np.load(workdir / "episode_000001" / "iss_heatmaps.npz", allow_pickle=False) as file:
        found = {name: file[name] for name in file.files}
    assert found["views"].tolist() == ["base_0_rgb", "left_wrist_0_rgb"]
    assert found["cameras"].tolist() == ["front", "wrist"]
    assert found["computed"].tolist() == COMPUTED
    cells = found["cells"]
    assert cells.shape == (FRAMES, 2, 7, 7) and found["stderr"].shape == (3, 2, 7, 7)
    np.testing.assert_allclose(cells[1], (2 * cells[0] + cells[3]) / 3, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(cells[4], (cells[3] + cells[5]) / 2, rtol=1e-4, atol=1e-6)
    assert not np.allclose(cells[0], cells[3])
    for row, view in enumerate(found["views"]):
        maps, valid = found[f"maps/{view}"], found[f"valid/{view}"]
        assert maps.dtype == np.float32 and maps.shape == (FRAMES, 32, 32)
        expected = np.where(valid, np.asarray(upsample(cells[:, row], (32, 32))), 0.0)
        np.testing.assert_allclose(maps, expected, atol=1e-6)
    # A frame of 24 x 32 in a square of 32 has bars of 4.
    assert found["valid/base_0_rgb"].sum() == FRAMES * 24 * 32
    assert found["valid/left_wrist_0_rgb"].all()


def test_nmr_of_every_frame_is_that_of_its_map(finished):
    workdir, content = finished
    folder = workdir / "episode_000001"
    with np.load(folder / "iss_heatmaps.npz", allow_pickle=False) as file:
        views = file["views"].tolist()
        maps, regions, valid = (
            {view: file[f"{kind}/{view}"] for view in views}
            for kind in ("maps", "regions", "valid")
        )
        stored = file["nmr"]
    expected = np.asarray(nmr.nuisance_mass_ratio(maps, regions, [10, 20], valid=valid))
    rows = list(csv.DictReader((folder / "nmr.csv").read_text().splitlines()))
    said = json.loads((folder / "nmr.json").read_text())
    assert said["success"] is False and said["cameras"]["base_0_rgb"] == "front"
    for t, (row, entry) in enumerate(zip(rows, said["frames"], strict=True)):
        assert float(row["nmr@10"]) == pytest.approx(expected[t, 0], abs=1e-6)
        assert float(row["nmr@20"]) == pytest.approx(expected[t, 1], abs=1e-6)
        assert entry["nmr@10"] == pytest.approx(stored[t, 0])
        assert row["computed"] == str(t in COMPUTED)
        assert float(row["time_s"]) == t / 5.0
        for kind in ("mass", "critical", "area", "above_mean"):
            shares = [float(row[f"{region.name.lower()}_{kind}"]) for region in Region]
            assert sum(shares) == pytest.approx(1.0, abs=1e-5)
        assert float(row["chance"]) == float(row["nuisance_area"])
    first = content["episodes"][0]
    assert (first["episode"], first["k"], first["success"]) == (1, 10, False)
    assert first["nmr"] == pytest.approx(expected[:, 0].mean(), abs=1e-6)
    with np.load(folder / "iss_heatmaps.npz", allow_pickle=False) as file:
        spreads = [file["cells"][frame].std() for frame in COMPUTED]
        assert first["stderr"] == pytest.approx(file["stderr"].mean(), rel=1e-5)
    assert first["spread"] == pytest.approx(np.mean(spreads), rel=1e-5)


def test_pictures_video_and_page_are_there(finished):
    workdir, _ = finished
    folder = workdir / "episode_000001"
    for name in ("nmr", "overlays", "masks", "regions"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "episode.mp4").stat().st_size > 1000
    assert (folder / "episode.gif").read_bytes().startswith(b"GIF8")
    for name in ("players", "players_frames"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    page = write_report(workdir).read_text()
    names = ("figures/paths_by_success.png", "figures/paths_by_nmr.png", "episode.mp4")
    for name in (*names, "players.png", "players_frames.png"):
        assert f"{name})</figcaption>" in page


def test_players_keep_their_names_and_shares_add_up(finished):
    """One task has no donors of another: a blur stands in, and the results say so."""
    workdir, content = finished
    rows = list(
        csv.DictReader((workdir / "episode_000001" / "players.csv").read_text().splitlines())
    )
    assert content["fill"] == "blur" and len(content["acts_on"]) == len(COMPUTED)
    assert sorted({int(row["frame"]) for row in rows}) == COMPUTED
    for frame in COMPUTED:
        own = [row for row in rows if int(row["frame"]) == frame]
        assert sum(float(row["share"]) for row in own) == pytest.approx(1.0, abs=1e-5)
        total = sum(float(row["effect"]) for row in own)
        for row in own:
            assert float(row["share"]) == pytest.approx(float(row["effect"]) / total, abs=1e-5)
    # No dataset names these things: they are looks, of the first frame in all of them.
    assert {row["player"].split()[0] for row in rows} == {"front", "wrist"}


def test_in_between_frames_have_interpolated_effects_and_errors(policy):
    seen = see(tiny_policy.episode(3), policy, FrameOptions({"base_0_rgb": "front"}))
    who = players_of("looks", seen)
    draws = np.random.default_rng(0).uniform(size=(2, 40, len(who))).astype(np.float32)
    computed = np.array([0, 2])
    found = Effects(
        by_draw=jnp.asarray(draws),
        moved=jnp.ones((2, len(who))),
        beside={},
        floor=jnp.zeros(2),
        reason=jnp.array([0, 1]),
        players=jax.tree.map(lambda leaf: leaf[computed], who),
        actions=jnp.zeros((2, 1, 1)),
    )
    whole = players.of_all_frames(found, "looks", seen, computed)
    np.testing.assert_allclose(whole.effects[1], draws.mean((0, 1)), rtol=1e-5)
    # Of independent draws: the root of the squares' sum, up to their chance correlation.
    errors = np.sqrt(np.square(found.stderr).sum(0)) / 2
    np.testing.assert_allclose(whole.stderr[1], errors, rtol=0.4)
    assert whole.reason.tolist() == [0, 1, 1]
    assert whole.players.labels["base_0_rgb"].shape == (3, 32, 32)


def test_looks_keep_the_names_of_the_first_frame(policy):
    """Of a second frame that is all of one piece only that piece's player is left."""
    episode = tiny_policy.episode(2)
    frame = episode.images["wrist"][0]
    plain = np.broadcast_to(frame[4, 4], frame.shape)
    images = {**episode.images, "wrist": np.stack([frame, plain])}
    seen = see(
        dataclasses.replace(episode, images=images), policy, FrameOptions({"base_0_rgb": "wrist"})
    )
    found = players_of("looks", seen)
    labels = np.asarray(found.labels["base_0_rgb"])
    assert labels[1, 4, 4] == labels[0, 4, 4]
    assert found.centres is not None
    np.testing.assert_array_equal(found.centres[0], found.centres[1])


def test_donors_are_of_other_tasks_or_a_blur_stands_in(inputs, policy):
    options = from_config(config_of(inputs), Options)
    dataset = open_dataset(options.dataset)
    none = load_donors(options, policy, dataset, fill="auto", root="", most=4)
    assert none.fill == "blur" and none.bank is None and none.groups(dataset, 0) is None
    own = load_donors(options, policy, dataset, fill="background", root="", most=4)
    groups = own.groups(dataset, 1, 2)
    assert groups is not None and groups.episode.tolist() == [1, 1]
    assert own.bank is not None and not own.bank.allowed(groups).any()


def test_unknown_players_are_refused(inputs):
    config = config_of(inputs)
    config.players = "things"
    with pytest.raises(ValueError, match=r"config\.players: 'things' given"):
        from_config(config, Options)


def test_a_second_run_computes_nothing(inputs, finished, monkeypatch):
    workdir, content = finished
    monkeypatch.setattr(OpenpiSubject, "map_of", None)
    monkeypatch.setattr(OpenpiSubject, "effects_of", None)
    assert explain_episode.main(config_of(inputs), workdir) == content


@pytest.mark.parametrize("frames", [FRAMES, 1])
def test_an_episode_without_labels_has_maps_overlays_and_a_video_but_no_nmr(
    inputs, tmp_path, frames
):
    pytest.importorskip("av", reason="PyAV (extra `viz`) is not installed")
    episode = dataclasses.replace(tiny_policy.episode(frames), regions={})
    write_folders(tmp_path / "folders", [episode])
    config = config_of(inputs)
    config.dataset, config.paths, config.episodes = str(tmp_path / "folders"), (), (0,)
    content = explain_episode.main(config, tmp_path / "run")
    assert content["without_nmr"] == "episodes [0]: no region labels of all cameras"
    assert [(row["k"], row["nmr"]) for row in content["episodes"]] == [(None, None)]
    folder = tmp_path / "run" / "episode_000000"
    assert {path.name for path in folder.iterdir()} == {
        "iss_heatmaps.npz",
        "overlays.png",
        "episode.mp4",
        "players.csv",
        "players.png",
        "players_frames.png",
    }
    with np.load(folder / "iss_heatmaps.npz", allow_pickle=False) as file:
        assert file["maps/base_0_rgb"].shape == (frames, 32, 32)
        assert "nmr" not in file.files and not any(n.startswith("regions") for n in file.files)
    write_report(tmp_path / "run")


def test_measures_of_a_known_map():
    """One bright cell over nuisance: it holds the top 2 % and all that is above the mean."""
    cells = np.ones((1, 1, 7, 7), np.float32)
    cells[0, 0, 3, 3] = 2.0
    regions = {"view": np.ones((1, 7, 7), np.uint8)}
    regions["view"][0, 3, 3] = Region.NUISANCE
    found = measure_episode(
        cells,
        regions,
        {"view": np.ones((1, 7, 7), bool)},
        jax.random.key(0),
        percents=(2, 50),
        control_draws=64,
    )
    np.testing.assert_allclose(found.nmr[0], [1.0, 1 / 25])
    np.testing.assert_allclose(found.mass[0], [2 / 50, 48 / 50, 0], rtol=1e-5)
    np.testing.assert_allclose(found.above_mean[0], [1, 0, 0], atol=1e-5)
    np.testing.assert_allclose(found.area[0], [1 / 49, 48 / 49, 0], rtol=1e-5)
    # The bright cell is dealt to the nuisance pixel once in 49 times.
    assert found.random_nmr.shape == (1, 64, 2) and found.random_nmr[0, :, 0].mean() < 0.15


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants(variant):
    config = get_config(variant)
    if variant == "paper":
        with pytest.raises(ValueError, match=r"config\.dataset: empty"):
            from_config(config, Options).load()
        assert config.iss.num_masks == 100 and config.stride == 10
    options = from_config(config, Options)
    assert options.iss_config(7).action_dims == 7
    config.stride = 0
    with pytest.raises(ValueError, match=r"config\.stride: 0 given"):
        from_config(config, Options)


def test_unknown_variants_are_refused():
    with pytest.raises(ValueError, match="variant 'large' given"):
        get_config("large")
