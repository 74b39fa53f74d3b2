"""Explanations side by side, end to end on a tiny policy."""

import csv
import re

import numpy as np
import pytest
import tiny_policy

from configs.method_overlays import VARIANTS, get_config
from experiments import method_overlays
from iss_jax import baselines, nmr
from iss_jax.data.lerobot import write_episode
from iss_jax.jobs.report import write_report
from iss_jax.methods import METHODS
from iss_jax.policies.frames import FrameOptions, see
from iss_jax.policies.restored import load_policy


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("inputs")
    tiny_policy.write_checkpoint(root / "checkpoint")
    write_episode(root / "episodes", tiny_policy.episode(3, success=True))
    return root


def config_of(inputs):
    config = get_config("smoke")
    config.checkpoint, config.dataset = str(inputs / "checkpoint"), str(inputs / "episodes")
    config.cameras.right_wrist_0_rgb = ""
    config.quiet = True
    config.frames = ((0, 2),)
    config.action_horizon, config.num_steps = 4, 2
    return config


def test_the_table_is_that_of_the_stored_maps(inputs, tmp_path, monkeypatch):
    config = config_of(inputs)
    rows = method_overlays.main(config, tmp_path)
    assert {row["method"] for row in rows} == {*config.methods, "players"}
    assert {row["view"] for row in rows} == {"base_0_rgb", "left_wrist_0_rgb", "all"}
    assert len((tmp_path / "results.csv").read_text().splitlines()) - 1 == len(rows) == 15
    assert (tmp_path / "figures" / "episode_0_frame_2.png").read_bytes().startswith(b"\x89PNG")
    assert "episode_0_frame_2.png)</figcaption>" in write_report(tmp_path).read_text()
    page = (tmp_path / "explorer.html").read_text()
    assert re.search(r"episode 0 at \d\.\d s: ", page)
    assert "players replaced (effect per area)" in page

    policy = load_policy(inputs / "checkpoint")
    cameras = {view: camera for view, camera in config.cameras.items() if camera}
    seen = see(tiny_policy.episode(3).take([2]), policy, FrameOptions(cameras), trim_prompt=True)
    found = baselines.attention(policy.params, seen.obs)
    maps = {view: found.maps[view] for view in seen.regions}
    expected = nmr.nuisance_mass_ratio(maps, seen.regions, 10, valid=seen.valid)
    (row,) = (row for row in rows if (row["method"], row["view"]) == ("attention", "all"))
    assert row["nmr"] == pytest.approx(float(expected[0]), abs=1e-6)

    with (tmp_path / "correlations.csv").open() as file:
        pairs = {(row["method"], row["other"]): row for row in csv.DictReader(file)}
    assert len(pairs) == 5 * 4 / 2
    norms = baselines.token_norm(policy.params, seen.obs).maps
    flat = [
        np.concatenate([np.asarray(m[view])[seen.valid[view]] for view in maps])
        for m in (norms, maps)
    ]
    r = float(pairs["norm", "attention"]["pearson"])
    assert r == pytest.approx(np.corrcoef(*flat)[0, 1], abs=1e-3)

    (row,) = (row for row in rows if (row["method"], row["view"]) == ("players", "all"))
    assert 0.0 < row["nmr"] < 1.0
    monkeypatch.setattr(method_overlays, "explain", None)
    monkeypatch.setattr(method_overlays, "player_effects", None)
    assert method_overlays.main(config, tmp_path) == rows


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_name_known_methods(variant):
    assert set(get_config(variant).methods) <= set(METHODS)


def test_errors_name_the_key(inputs, tmp_path):
    for name, wrong in (("players", "things"), ("fill", "paint"), ("draws", 0)):
        config = config_of(inputs)
        config[name] = wrong
        with pytest.raises(ValueError, match=f"{wrong}"):
            method_overlays.main(config, tmp_path)
    config = config_of(inputs)
    config.checkpoint = ""
    with pytest.raises(ValueError, match=r"config\.checkpoint: empty"):
        method_overlays.main(config, tmp_path)
    with pytest.raises(ValueError, match="variant 'large' given"):
        get_config("large")
