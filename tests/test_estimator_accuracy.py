"""Counting FLOPs, comparing maps, and a small run from end to end."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import estimator_accuracy
from experiments.count_flops import count_flops

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
    reference = RNG.normal(size=(2, 7, 7))
    regions = {view: jnp.asarray(RNG.integers(0, 3, (1, 14, 14)), jnp.uint8) for view in ("a", "b")}
    compare = lambda scores: estimator_accuracy.compared(  # noqa: E731
        scores, reference=reference, regions=regions, percent=10.0
    )
    same = compare(reference + 5.0)
    assert same["pearson"] == pytest.approx(1) and same["spearman"] == pytest.approx(1)
    assert same["contrast_error"] == pytest.approx(0, abs=1e-9) and same["overlap"] == 1
    assert same["nmr_error"] == pytest.approx(0, abs=1e-6)
    other = compare(-reference)
    assert other["pearson"] == pytest.approx(-1) and other["overlap"] == 0
    assert other["contrast_error"] == pytest.approx(2)


def test_smoke_run_writes_its_table_and_resumes(tmp_path, monkeypatch):
    config = importlib.import_module("configs.estimator_accuracy").get_config("smoke")
    config.quiet = True
    rows = estimator_accuracy.main(config, tmp_path)
    # One budget each: four estimators of plain runs and gradients, in two designs.
    assert len(rows) == 10 and (tmp_path / "results.csv").exists()
    assert (tmp_path / "figures" / "accuracy.png").stat().st_size > 1000
    cost = {row["estimator"]: row["cost"] for row in rows}
    assert cost["fixed"] == 10 and 4 * 1.8 < cost["gradient"] < 4 * 3.5
    table = (tmp_path / "results.csv").read_text()
    monkeypatch.setattr(estimator_accuracy, "measure", None)
    estimator_accuracy.main(config, tmp_path)
    assert (tmp_path / "results.csv").read_text() == table
