import csv
import json

import jax
import pytest
from command_line import smoke


@pytest.fixture(autouse=True)
def optax_promotes():
    """optax itself mixes ints and floats; the strict promotion of the suite is for our code."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.slow
def test_the_documented_run_teaches_measures_and_goes_on(tmp_path):
    printed = smoke("kl_and_error", tmp_path)
    assert "1 frames, 1 tasks" in printed
    with (tmp_path / "metrics.csv").open(newline="") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [1, 2]
    with (tmp_path / "frames.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["loss"]) > 0 and 0 <= float(row["nuisance_kl"]) <= 1
    before = (tmp_path / "results.json").read_bytes()
    assert json.loads(before)["frames"] == 1
    smoke("kl_and_error", tmp_path)
    assert (tmp_path / "results.json").read_bytes() == before
