import shutil

import jax
import numpy as np
import pytest
from command_line import smoke

from configs import zoo_train as zoo_train_config
from experiments import zoo_train
from iss_jax.data.table import read_rows


@pytest.fixture(autouse=True)
def optax_promotes():
    """optax itself mixes ints and floats; the strict promotion of the suite is for our code."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.slow
def test_a_documented_run_resumes_to_the_same_leaves(tmp_path, monkeypatch):
    smoke("zoo_train", tmp_path / "whole")
    (folder,) = (tmp_path / "whole").glob("02-*")
    assert [int(row["step"]) for row in read_rows(folder / "training.csv")] == [1, 2, 3]
    assert (folder / "leaves.npz").stat().st_size < 1_000_000
    config = zoo_train_config.get_config("smoke")
    config.quiet = True
    # As a kill after the checkpoint of step 2 leaves it.
    half = tmp_path / "half"
    monkeypatch.setattr("experiments.zoo.training.write_leaves", lambda *given: None)
    monkeypatch.setattr(shutil, "rmtree", lambda *given, **options: None)
    zoo_train.main(config, half)
    monkeypatch.undo()
    (kept,) = (half).glob("02-*/checkpoints/2")
    assert kept.exists()
    (leaves,) = zoo_train.main(config, half)
    with np.load(folder / "leaves.npz") as a, np.load(leaves) as b:
        assert a.files == b.files and a.files
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name])
    assert not (leaves.parent / "checkpoints").exists()
