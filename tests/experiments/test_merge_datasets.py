"""Merged datasets hold every episode as it was, under the metadata that were asked for."""

import dataclasses

import numpy as np
import pytest
from command_line import ROOT, smoke

from experiments.merge_datasets import merge
from iss_jax.data.dataset import open_dataset
from iss_jax.data.episode import Episode
from iss_jax.data.lerobot import write_episode


def an_episode(seed: int, size: int = 8) -> Episode:
    rng = np.random.default_rng(seed)
    return Episode(
        images={"front": rng.integers(0, 256, (3, size, size, 3), np.uint8)},
        regions={"front": rng.integers(0, 3, (3, size, size), np.uint8)},
        state=rng.normal(size=(3, 8)).astype(np.float32),
        action=rng.normal(size=(3, 7)).astype(np.float32),
        prompt=f"task {seed}",
        fps=10.0,
        features={"target_position": rng.normal(size=(3, 3)).astype(np.float32)},
        metadata={"task": f"t{seed}", "split": "heldout"},
    )


def test_all_episodes_in_order(tmp_path):
    for seed, root in enumerate(("a", "a", "b")):
        write_episode(tmp_path / root, an_episode(seed))
    roots = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert merge(roots, {"split": "seen"}, tmp_path / "bare") == 3
    assert not open_dataset(tmp_path / "bare").read(0).features
    assert merge(roots, {"split": "seen"}, tmp_path / "out", ["target_position"]) == 3
    merged = open_dataset(tmp_path / "out")
    for seed in range(3):
        found, wanted = merged.read(seed), an_episode(seed)
        np.testing.assert_array_equal(found.images["front"], wanted.images["front"])
        np.testing.assert_array_equal(found.regions["front"], wanted.regions["front"])
        np.testing.assert_array_equal(
            found.features["target_position"], wanted.features["target_position"]
        )
        assert found.prompt == wanted.prompt
        line = merged.metadata(seed)
        assert line["split"] == "seen" and line["task"] == f"t{seed}"
    with pytest.raises(ValueError, match="not empty"):
        merge(roots, {}, tmp_path / "out")


def test_datasets_of_another_size_are_refused(tmp_path):
    write_episode(tmp_path / "a", an_episode(0))
    write_episode(tmp_path / "b", an_episode(1, size=16))
    with pytest.raises(ValueError, match="front"):
        merge([str(tmp_path / "a"), str(tmp_path / "b")], {}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_merge_that_ends_early_leaves_nothing(tmp_path):
    """A half of the episodes would look like all of them."""
    for seed in range(2):
        write_episode(tmp_path / "a", an_episode(seed))
    (tmp_path / "a/data/chunk-000/episode_000001.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"episode_000001\.parquet \(episode 1\)"):
        merge([str(tmp_path / "a")], {}, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_names_stay_and_are_all_or_none_datasets(tmp_path):
    numbers = {"front": np.random.default_rng(0).integers(0, 9, (3, 8, 8), np.int32)}
    for root, names in (("a", {1: "milk"}), ("b", {1: "robot", 2: "milk"})):
        named = dataclasses.replace(an_episode(0), instances=numbers, instance_names=names)
        write_episode(tmp_path / root, named)
    write_episode(tmp_path / "c", an_episode(0))
    merge([str(tmp_path / "a"), str(tmp_path / "b")], {}, tmp_path / "out")
    found = [open_dataset(tmp_path / "out").read(index) for index in (0, 1)]
    assert [one.instance_names for one in found] == [{1: "milk"}, {1: "robot", 2: "milk"}]
    np.testing.assert_array_equal(found[1].instances["front"], numbers["front"])
    with pytest.raises(ValueError, match="instances of front"):
        merge([str(tmp_path / "a"), str(tmp_path / "c")], {}, tmp_path / "again")


def test_the_experts_episodes_twice(tmp_path):
    assert "4 episodes" in smoke("merge_datasets", tmp_path)
    merged, expert = open_dataset(tmp_path), open_dataset(ROOT / "docs/episodes/expert")
    for index in range(4):
        found, wanted = merged.read(index), expert.read(index % 2)
        assert list(found.features) == ["target_position"]
        np.testing.assert_array_equal(found.images["wrist"], wanted.images["wrist"])
        assert found.metadata["split"] == "seen" != wanted.metadata["split"]
