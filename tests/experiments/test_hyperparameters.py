"""The sweep over N and p: its masks, its comparison with a noisy reference, a small run."""

import csv
import importlib
import json
import math

import numpy as np
import pytest
from command_line import smoke

from experiments import hyperparameters
from experiments.single_frames.sweep import compared, draw_masks, keep_best

ITEM = {
    "suite": "a",
    "task": "b",
    "episode": 0,
    "frame": 0,
    "num_masks": (10, 20),
    "block": 10,
    "grid": (7, 7),
    "keep_prob": 0.3,
    "presets": {
        "paper": {"design": "bernoulli", "estimator": "fixed"},
        "balanced": {"design": "balanced", "estimator": "centred"},
    },
}


def test_a_prefix_of_the_balanced_masks_is_balanced():
    masks = np.asarray(draw_masks(ITEM, "balanced", 0))
    assert masks.shape == (20, 3, 7, 7)
    assert (masks[:10].sum(0) == 3).all() and (masks.sum(0) == 6).all()
    assert not np.array_equal(masks[:10], masks[10:])


def test_plain_masks_are_drawn_at_p_and_anew_for_each_seed():
    masks = np.asarray(draw_masks(ITEM, "paper", 0))
    # 2,940 bits: five standard deviations are 0.042.
    assert abs(masks.mean() - 0.3) < 0.042 and masks[:10].sum(0).std() > 0
    assert not np.array_equal(masks, draw_masks(ITEM, "paper", 1))


def test_the_references_noise_is_taken_out_of_the_error():
    rng = np.random.default_rng(0)
    cells = 200_000
    truth = rng.normal(0, 2.0, cells)
    reference = {
        "scores": truth + rng.normal(0, 1.0, cells),
        "noise": 1.0,
        "noise_with_mean": 1.0,
        "signal": 4.0,
    }
    # An error of variance 9 and a common shift of 5, which is no error of the contrasts.
    found = compared(truth + rng.normal(0, 3.0, cells) + 5.0, reference)
    assert found["contrast_error"] == pytest.approx(9 / 4, rel=0.02)
    assert found["error"] == pytest.approx(9 + 25, rel=0.02)
    assert found["pearson"] == pytest.approx(2 / math.sqrt(4 + 9), rel=0.02)
    perfect = compared(truth, reference)
    assert perfect["contrast_error"] == pytest.approx(0, abs=0.01)
    assert perfect["pearson"] == pytest.approx(1, abs=0.01)


def test_the_best_cells_of_those_that_mask_anything_are_kept():
    active = np.zeros((2, 2, 2), bool)
    active[0] = True
    mask = keep_best(np.array([0.1, 0.9, 0.5, 0.2]), active, 0.5)
    assert np.argwhere(mask).tolist() == [[0, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("variant", ["embedded", "smoke", "paper"])
def test_configs_have_the_keys_of_the_options(variant: str) -> None:
    config = importlib.import_module("configs.hyperparameters").get_config(variant)
    content = config.to_dict()
    del content["name"]
    options = hyperparameters.Options(**content)
    if variant != "smoke":
        assert options.num_masks == (50, 100, 150, 200) and len(options.seeds) == 5
        assert options.keep_probs == (0.1, 0.2, 0.3, 0.4, 0.5)
    with pytest.raises(ValueError, match="multiples of block"):
        hyperparameters.Options(**{**content, "num_masks": (7,)})
    with pytest.raises(ValueError, match="whole numbers wanted"):
        hyperparameters.Options(**{**content, "keep_probs": (0.333,)})


@pytest.mark.slow
def test_smoke_run_writes_table_and_heat_map_and_resumes(tmp_path, monkeypatch):
    smoke("hyperparameters", tmp_path)
    content = json.loads((tmp_path / "results.json").read_text())
    assert len(content["rows"]) == 2 * 2 * 2 and content["frames"] == 2
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["preset"], row["num_masks"], row["keep_prob"]) for row in rows} == {
        (preset, n, p)
        for preset in ("paper", "balanced")
        for n in ("10", "20")
        for p in ("0.3", "0.5")
    }
    for row in content["rows"]:
        groups = [row["seen_action_mse"], row["unseen_action_mse"]]
        assert row["avg_action_mse"] == pytest.approx(np.mean(groups)) and min(groups) > 0
        assert row["avg_random_kept_mse"] > 0 and abs(row["random_pearson"]) < 1
    # Masks are shared along N, and blur more at the smaller p.
    by_p = {row["keep_prob"]: row["action_mse"] for row in content["references"]}
    assert by_p[0.3] > by_p[0.5] > 0
    assert content["references"][0]["r_with_0.3"] == 1.0
    text = (tmp_path / "table.txt").read_text()
    assert "paper: 2 frames, 2 seeds" in text and "seen MSE" in text
    assert (tmp_path / "figures" / "hyperparameters.png").stat().st_size > 1000
    table = (tmp_path / "results.csv").read_text()
    monkeypatch.setattr(hyperparameters, "measure", None)
    config = importlib.import_module("configs.hyperparameters").get_config("smoke")
    config.quiet = True
    hyperparameters.main(config, tmp_path)
    assert (tmp_path / "results.csv").read_text() == table
