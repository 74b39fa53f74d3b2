"""Activations computed again instead of kept: equal maps, less memory, a third more FLOPs."""

import json

import jax
import pytest
from command_line import smoke

from iss_jax import ISSConfig, masked_runs, memory
from iss_jax.flops import count_flops
from iss_jax.sampling import Sampling
from tests import test_pi05_saliency as tiny

params = tiny.params


def test_only_derivatives_compute_anything_again(params):
    """A gradient run costs a part of a forward pass more: what lies in layers and is needed again.

    A layer's last product is not, and patches and prompt lie before the layers.
    """

    def flops(masks, estimator, rematerialise):
        config = ISSConfig(num_masks=masks, estimator=estimator, micro_batch=4, design="bernoulli")
        return count_flops(
            lambda params: tiny.run(
                params, config=config, sampling=Sampling(2, rematerialise=rematerialise)
            ),
            params,
        )

    assert flops(7, "centred", True) == flops(7, "centred", False)
    forward, kept, again = (
        flops(7, *options) - flops(3, *options)
        for options in (("centred", False), ("gradient", False), ("gradient", True))
    )
    assert 0.3 * forward < again - kept < forward


def test_the_default_micro_batch_takes_more_rows(params, monkeypatch):
    """On a device that holds a few rows of kept activations; steps are read off the effects."""
    rows = []
    counted = masked_runs.micro_batch_rows

    def seen(total, micro_batch, most):
        rows.append(most)
        return counted(total, micro_batch, most)

    monkeypatch.setattr(masked_runs, "micro_batch_rows", seen)
    monkeypatch.setattr(memory, "device_bytes", lambda: int(2e6))
    config = ISSConfig(num_masks=9, estimator="gradient", design="bernoulli")
    for again in (False, True):
        jax.eval_shape(
            lambda params, again=again: tiny.run(
                params, config=config, sampling=Sampling(2, rematerialise=again)
            ),
            params,
        )
    assert 1 <= rows[0] < rows[1]


@pytest.mark.slow
def test_equal_maps_for_a_tenth_of_the_memory(tmp_path):
    """Maps compared on a small model, memory on the released sizes."""
    smoke("rematerialisation", tmp_path)
    found = json.loads((tmp_path / "results.json").read_text())
    measured = found["measured"]
    assert measured["cells_difference_over_spread"] < 1e-4
    assert measured["gradients_difference_over_spread"] < 1e-4
    assert 0 < measured["temporary_bytes_rematerialised"] < measured["temporary_bytes"]
    assert 2 < measured["flops_of_forwards"] < measured["flops_of_forwards_rematerialised"] < 4
    kept, again = found["released"]
    assert (kept["rematerialise"], again["rematerialise"]) == (False, True)
    assert 4e9 < kept["bytes_a_row"] < 6e9 and again["bytes_a_row"] < kept["bytes_a_row"] / 10
    most = memory.MOST_ROWS_WITH_GRADIENTS
    assert (kept["rows_on_80_GB"], again["rows_on_80_GB"]) == (4, most)
    assert 2 < kept["flops_of_forwards"] < 2.4 < again["flops_of_forwards"] < 3
    assert (tmp_path / "results.csv").exists()
