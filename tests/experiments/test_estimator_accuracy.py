"""Counting FLOPs, comparing maps, and a small run from end to end."""

import csv
import importlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command_line import smoke

from experiments import estimator_accuracy
from experiments.accuracy import frames as accuracy_frames, metrics as accuracy_metrics
from iss_jax.data.dataset import open_dataset
from iss_jax.estimators import Estimate
from iss_jax.flops import count_flops
from iss_jax.jobs.packaged import located

RNG = np.random.default_rng(0)


def test_flops_of_products_in_loops_branches_and_convolutions():
    a, b = jnp.ones((3, 4)), jnp.ones((4, 5))
    assert count_flops(lambda a, b: a @ b, a, b) == 2 * 3 * 4 * 5

    def looped(x, b):
        def step(x, _):
            return jnp.tanh(x @ b), None

        return jax.lax.scan(jax.checkpoint(step), x, None, length=7)[0]

    square = jnp.ones((4, 4))
    assert count_flops(jax.jit(looped), a, square) == 7 * 2 * 3 * 4 * 4
    # Forward, and one product for the gradient of x in each step.
    gradient = jax.grad(lambda x: looped(x, square).sum())
    assert count_flops(gradient, a) >= 2 * count_flops(looped, a, square)
    branches = lambda x: jax.lax.cond(x[0, 0] > 0, lambda x: x @ square, lambda x: x, x)  # noqa: E731
    assert count_flops(branches, a) == 2 * 3 * 4 * 4
    image, kernel = jnp.ones((1, 8, 8, 3)), jnp.ones((2, 2, 3, 6))
    patches = lambda x, k: jax.lax.conv_general_dilated(  # noqa: E731
        x, k, (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    assert count_flops(patches, image, kernel) == 2 * 16 * 6 * (2 * 2 * 3)
    with pytest.raises(ValueError, match="while loop"):
        count_flops(lambda x: jax.lax.while_loop(lambda x: x < 9, lambda x: x + 1, x), 0)


def test_a_map_compared_with_itself_shifted_and_reversed():
    scores = RNG.normal(size=(2, 7, 7))
    regions = {view: jnp.asarray(RNG.integers(0, 3, (1, 14, 14)), jnp.uint8) for view in ("a", "b")}
    reference = accuracy_metrics.Reference(scores, 0.0 * scores, 1.0, regions)
    compare = lambda scores: accuracy_metrics.compared(scores, reference, 10.0)  # noqa: E731
    same = compare(scores + 5.0)
    assert same["pearson"] == pytest.approx(1) and same["spearman"] == pytest.approx(1)
    assert same["contrast_error"] == pytest.approx(0, abs=1e-9) and same["overlap"] == 1
    assert same["nmr_error"] == pytest.approx(0, abs=1e-6)
    other = compare(-scores)
    assert other["pearson"] == pytest.approx(-1) and other["overlap"] == 0
    assert other["contrast_error"] == pytest.approx(2)


def test_bias_and_spread_are_told_apart():
    """20 maps with a known bias and spread, a reference with known noise.

    Left in, the reference's noise (1) would add four times the bias (0.25), that of the maps' mean
    (4 / 20) nearly once; left in the unit, the noise would halve everything.
    """
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(4, 100, 100))
    bias = 0.5 * rng.normal(size=truth.shape)
    noisy = truth + 1.0 * rng.normal(size=truth.shape)
    reference = accuracy_metrics.Reference(noisy, np.full(truth.shape, 1.0), 0.5, {})
    found = [
        Estimate(
            jnp.asarray(truth + bias + 7.0 + 2.0 * rng.normal(size=truth.shape)),
            jnp.full(truth.shape, 3.0),
            jnp.full(truth.shape, 2.0),
        )
        for _ in range(20)
    ]
    parts = accuracy_metrics.bias_and_spread(found, reference)
    assert parts["variance"] == pytest.approx(4.0 / truth.var(), rel=0.1)
    assert parts["bias"] == pytest.approx(bias.var() / truth.var(), rel=0.1)
    assert parts["claimed"] / parts["variance"] == pytest.approx(9 / 4, rel=0.05)
    assert parts["claimed_contrast"] / parts["variance"] == pytest.approx(1, rel=0.05)


def test_frames_are_of_both_outcomes_and_of_many_tasks():
    dataset = open_dataset(located("embedded", "dataset"))
    chosen = accuracy_frames.choose_frames(dataset, 20)
    about = [dataset.metadata(episode) for episode, _ in chosen]
    assert len(set(chosen)) == 20 and {frame for _, frame in chosen} == {0, 1}
    assert sum(one["success"] for one in about) == 10
    assert len({(one["suite"], one["task"]) for one in about}) >= 15


@pytest.mark.slow
def test_smoke_run_writes_its_tables_and_resumes(tmp_path, monkeypatch):
    smoke("estimator_accuracy", tmp_path)
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    # Four estimators of plain runs in two designs; two of gradients at three numbers of runs; the
    # surrogate; grey, two rules, two norms and a probe.
    assert len(rows) == 8 + 6 + 1 + 6 and (tmp_path / "results.csv").exists()
    assert (tmp_path / "figures" / "accuracy.png").stat().st_size > 1000
    cost = {
        (row["estimator"], row["gradient_runs"], row["plain_runs"]): row["cost"] for row in rows
    }
    one = cost["clipped", 1, 0]
    assert cost["fixed", 0, 10] == 10 and 1.8 < one < 2.5
    assert cost["clipped", 4, 0] == pytest.approx(4 * one, abs=0.2)
    assert cost["surrogate", 4, 10] == pytest.approx(4 * one + 10, abs=0.2)
    # A derivative forwards costs about a run, one backwards a little more, both beside the run.
    assert 147 < cost["jacobian_norm", 0, 0] < 2 * 147 and 3.5 < cost["gauss_newton", 0, 0] < 5
    bias = list(csv.DictReader((tmp_path / "bias.csv").read_text().splitlines()))
    # Those with more than one repeat: not two gradient runs, nor what has no chance in it.
    assert len(bias) == 8 + 4 + 1 + 1
    assert {len(row) for row in bias} == {9}
    (frame,) = csv.DictReader((tmp_path / "frames.csv").read_text().splitlines())
    # Of 40 masks the halves may disagree, and then no correlation is corrected.
    assert float(frame["tail"]) >= 1
    assert np.isfinite(float(frame["all_clipped"])) == (float(frame["reliability"]) > 0)
    table = (tmp_path / "results.csv").read_text()
    monkeypatch.setattr(accuracy_frames, "measure", None)
    config = importlib.import_module("configs.estimator_accuracy").get_config("smoke")
    config.quiet = True
    estimator_accuracy.main(config, tmp_path)
    assert (tmp_path / "results.csv").read_text() == table
    config.reference_masks = 50
    with pytest.raises(ValueError, match="multiple of part_masks"):
        estimator_accuracy.main(config, tmp_path)
