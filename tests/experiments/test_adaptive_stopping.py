"""The comparison of stopping by a standard error with a fixed number of masks."""

import json

import numpy as np
import pytest
from command_line import smoke

from configs.adaptive_stopping import get_config
from experiments import adaptive_stopping as adaptive


def simulated(noise: float, seed: int, count: int = 60) -> dict[str, np.ndarray]:
    """Rounds around one pattern of unit spread, and their running means."""
    pattern = np.random.default_rng(0).normal(size=(3, 7, 7))
    pattern = (pattern - pattern.mean()) / pattern.std()
    rounds = pattern + np.random.default_rng(seed).normal(0.0, noise, (count, 3, 7, 7))
    running = rounds.cumsum(0) / np.arange(1, count + 1)[:, None, None, None]
    return {"rounds": rounds, "together": running[adaptive.LEAST_ROUNDS - 1 :]}


def test_a_frame_ten_times_as_noisy_takes_ten_times_the_masks_and_agrees_as_well() -> None:
    """Rounds of variance 1 and 10 reach an error of 0.5 after 4 and 40 of them.

    The spread of a map that noisy, 147 cells, is known to about a tenth.
    """
    pairs = [[simulated(np.sqrt(v), seed) for seed in (1, 2)] for v in (1.0, 10.0)]
    row, each = adaptive.compare(pairs, 0.5, 50)
    assert each[0]["masks"] == pytest.approx(200, abs=50)
    assert each[1]["masks"] == pytest.approx(2000, rel=0.2)
    assert row["expected"] == 0.8 and row["reached"] == 2
    assert row["agreement"] == pytest.approx(0.8, abs=0.06)
    # As many for both is more than one needs and less than the other.
    assert each[0]["agreement_fixed"] > 0.9 > 0.75 > each[1]["agreement_fixed"]
    assert row["agreement_spread"] < 0.5 * row["agreement_fixed_spread"]
    assert row["masks_fixed"] == pytest.approx(row["masks_mean"], abs=25)


def test_honesty_finds_neither_bias_nor_optimism_in_normal_rounds() -> None:
    pair = [simulated(2.0, seed) for seed in (1, 2)]
    found = adaptive.honesty(pair, 0.5, 200)
    # A pool of 120 rounds has 119 / 120 of the variance.
    assert found["error_over_claimed"] == pytest.approx(1.0, abs=0.1)
    assert abs(found["score_bias"]) < 4 / np.sqrt(200)


def test_smoke(tmp_path, monkeypatch) -> None:
    smoke("adaptive_stopping", tmp_path)
    text = (tmp_path / "results.json").read_text()
    rows = json.loads(text)
    assert [row["estimator"] for row in rows] == ["centred"]
    assert 40 <= rows[0]["masks_mean"] <= 60
    assert (tmp_path / "frames.csv").read_text().count("\n") == 2
    monkeypatch.setattr(adaptive, "measure", None)
    config = get_config("smoke")
    config.quiet = True
    adaptive.main(config, tmp_path)
    assert (tmp_path / "results.json").read_text() == text
