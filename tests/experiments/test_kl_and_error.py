import csv
import json

import jax
import pytest
from command_line import smoke

from configs.kl_and_error import get_config
from experiments import kl_and_error


@pytest.fixture(autouse=True)
def optax_promotes():
    """optax itself mixes ints and floats; the strict promotion of the suite is for our code."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def test_every_key_that_changes_a_frames_numbers_is_in_its_item():
    measuring = {"suites", "tasks", "frames_per_task", "masks", "draws", "donors"}
    telling = {"name", "quiet", "log_every", "save_every", "resamples", "confidence"}
    assert set(get_config().keys()) == {*kl_and_error.TRAINING, *measuring, *telling}


@pytest.mark.slow
def test_the_documented_run_teaches_measures_and_goes_on(tmp_path):
    assert "1 frames, 1 tasks" in smoke("kl_and_error", tmp_path)
    with (tmp_path / "metrics.csv").open(newline="") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [1, 2]
    with (tmp_path / "frames.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["loss"]) > 0 and 0 <= float(row["nuisance_kl"]) <= 1
    before = (tmp_path / "results.json").read_bytes()
    assert json.loads(before)["frames"] == 1
    config = get_config("smoke")
    config.quiet = True
    kl_and_error.main(config, tmp_path)
    assert (tmp_path / "results.json").read_bytes() == before
