"""The embedded default assembled: what is copied, what is left out, how much it may weigh."""

import numpy as np
import pytest
import tiny_policy
from command_line import ROOT, smoke

from configs.embed import get_config
from experiments.embed import embed
from iss_jax import embedded
from iss_jax.data.dataset import open_dataset
from iss_jax.data.lerobot import write_episode
from iss_jax.data.success import Success, read_success, write_success
from iss_jax.pi05.checkpoint import restore_params
from iss_jax.policies.restored import fingerprint


def test_the_embedded_policy_once_more(tmp_path):
    assert "2 episodes of 2 tasks and seeds" in smoke("embed", tmp_path)
    assert fingerprint(tmp_path / "checkpoint") == fingerprint(embedded.checkpoint_path())
    assert read_success(tmp_path / "success.csv") == read_success(embedded.success_path())
    found, whole = open_dataset(tmp_path / "episodes"), open_dataset(ROOT / "docs/episodes/whole")
    assert [found.metadata(i)["length"] for i in range(2)] == [2, 2]
    # Of 39 frames, two evenly spread.
    rows = [9, 29]
    np.testing.assert_array_equal(
        found.read(0).images["wrist"], whole.read(0, rows).images["wrist"]
    )


def test_what_is_copied_and_what_is_not(tmp_path):
    step = tiny_policy.write_checkpoint(tmp_path / "step")
    (step / "train_state").mkdir()
    for task in ("a", "a", "b"):
        write_episode(tmp_path / "data", tiny_policy.episode(6, task=task))
    write_success(tmp_path / "s.csv", [Success("a", "tiny", "native", 0, 0, 2, 1)])
    config = get_config()
    with pytest.raises(ValueError, match=r"config\.checkpoint: empty"):
        embed(config, tmp_path / "out")
    config.checkpoint, config.success = str(step), str(tmp_path / "s.csv")
    config.episodes = (str(tmp_path / "data"),)
    size = embed(config, tmp_path / "out")
    assert 0 < size < 1
    found = open_dataset(tmp_path / "out" / "episodes")
    # One of each task and seed.
    assert [found.metadata(i)["task"] for i in range(len(found))] == ["a", "b"]
    assert not found.read(0).features
    assert not (tmp_path / "out" / "checkpoint" / "train_state").exists()
    restore_params(tmp_path / "out" / "checkpoint")
    with pytest.raises(ValueError, match=r"out: not empty"):
        embed(config, tmp_path / "out")
    config.limit = 0.001
    with pytest.raises(ValueError, match=r"at most 0\.001 wanted"):
        embed(config, tmp_path / "again")
