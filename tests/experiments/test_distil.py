import csv
import shutil

import jax
import numpy as np
import pytest
from command_line import smoke

from configs import distil as distil_config
from experiments import distil


@pytest.fixture(autouse=True)
def optax_promotes():
    """optax itself mixes ints and floats; the strict promotion of the suite is for our code."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.slow
def test_a_documented_run_resumes_to_the_same_leaves(tmp_path):
    smoke("distil", tmp_path / "whole")
    with (tmp_path / "whole" / "metrics.csv").open(newline="") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [1, 2, 3]
    config = distil_config.get_config("smoke")
    half = tmp_path / "half"
    config.quiet = True
    distil.main(config, half)
    # As a kill between the two checkpoints leaves it.
    shutil.rmtree(half / "checkpoints/3/train_state")
    (half / "leaves.npz").unlink()
    distil.main(config, half)
    with np.load(tmp_path / "whole" / "leaves.npz") as a, np.load(half / "leaves.npz") as b:
        assert a.files == b.files and a.files
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name])
