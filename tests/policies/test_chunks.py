"""A policy and a dataset that do not mean the same action are told apart when they meet."""

import dataclasses
import warnings

import numpy as np
import pytest
import tiny_policy

from iss_jax import embedded
from iss_jax.data.convert import convert
from iss_jax.data.dataset import open_dataset
from iss_jax.data.lerobot import Keys, write_episode
from iss_jax.jobs.options import PolicyOptions
from iss_jax.pi05.normalize import NormStats
from iss_jax.policies.chunks import disagreement, require_chunks, robot_dims, warn_of_chunks


def written(root, action=7, **features):
    """A dataset of one episode of three frames."""
    episode = dataclasses.replace(
        tiny_policy.episode(3),
        action=np.zeros((3, action), np.float32),
        features={name: np.zeros((3, *shape), kind) for name, (shape, kind) in features.items()},
    )
    write_episode(root, episode)
    return open_dataset(root)


def chunks(horizon, dims=7):
    return {
        "action_chunk": ((horizon, dims), np.float32),
        "action_chunk_valid": ((horizon,), bool),
    }


@pytest.mark.parametrize("name", ["v2.1", "v3.0", "folders"])
def test_chunks_tell_their_length_in_every_format(tmp_path, name):
    dataset = written(tmp_path / "v2.1", **chunks(10))
    if name != "v2.1":
        convert(dataset, tmp_path / name, name)
        dataset = open_dataset(tmp_path / name)
    assert disagreement(dataset, 10, [7]) is disagreement(dataset, None) is None
    assert disagreement(dataset, 16, [7]) == (
        f"{dataset.root}: action_chunk [10, 7] tells chunks of 10 actions, the policy has 16"
    )
    wrong = disagreement(dataset, 16, [14])
    assert wrong is not None and wrong.endswith("; and actions of 7 dimensions, the policy has 14")


def test_what_was_executed_says_nothing_beside_chunks(tmp_path):
    dataset = written(tmp_path, action=8, **chunks(10))
    assert disagreement(dataset, 10, [7]) is None


def test_which_steps_are_real_tells_the_length_alone(tmp_path):
    dataset = written(tmp_path, action_chunk_valid=((10,), bool))
    wrong = disagreement(dataset, 16, [7])
    assert wrong is not None and "action_chunk_valid [10] tells chunks of 10 actions" in wrong


def test_one_action_a_frame_tells_its_dimensions_alone(tmp_path):
    dataset = written(tmp_path)
    assert disagreement(dataset, 16, [7]) is disagreement(dataset, 50, [6, 7, 8]) is None
    wrong = disagreement(dataset, 16, [14, 13])
    assert wrong == (
        f"{dataset.root}: action [7] tells actions of 7 dimensions, the policy has 13 or 14"
    )
    assert disagreement(open_dataset(embedded.episodes_path()), 16, [7]) is None


def test_an_action_that_is_a_chunk(tmp_path):
    written(tmp_path, **chunks(10) | {"actions": ((10, 7), np.float32)})
    dataset = open_dataset(tmp_path, keys=Keys(action="actions"))
    assert dataset.action_shapes["actions"] == (10, 7)

    class Plain:
        root, action_shapes = dataset.root, {"actions": (10, 7)}

        def __len__(self):
            return 0

    wrong = disagreement(Plain(), 16, [7])  # pyright: ignore
    assert wrong is not None and "actions [10, 7] tells chunks of 10 actions" in wrong
    # Two arms of five rows are one action.
    assert disagreement(Plain(), 16, [70]) is None  # pyright: ignore


def test_parts_of_an_action_are_added_up(tmp_path):
    written(tmp_path, joints=((6,), np.float32), gripper=((), np.float32))
    dataset = open_dataset(tmp_path, keys=Keys(action=["joints", "gripper"]))
    assert dataset.action_shapes == {"joints + gripper": (7,)}
    assert disagreement(dataset, 16, [7]) is None


def test_metadata_tell_the_length(tmp_path):
    write_episode(tmp_path, tiny_policy.episode(3, action_horizon=10))
    wrong = disagreement(open_dataset(tmp_path), 16, [7])
    assert wrong is not None and "metadata 'action_horizon' tells chunks of 10 actions" in wrong


def test_a_dataset_without_actions_says_nothing(tmp_path):
    write_episode(tmp_path / "v2.1", tiny_policy.episode(3))
    convert(open_dataset(tmp_path / "v2.1"), tmp_path / "folders", "folders")
    for states in (tmp_path / "folders").rglob("states.npz"):
        with np.load(states) as file:
            arrays = {name: file[name] for name in file.files if name != "action"}
        np.savez(states, **arrays)
    dataset = open_dataset(tmp_path / "folders")
    assert dataset.action_shapes == {} and disagreement(dataset, 16, [14]) is None


def test_training_ends_and_an_explanation_warns(tmp_path):
    dataset = written(tmp_path, **chunks(10))
    with pytest.raises(ValueError, match=r"chunks of 10 actions, config\.H has 16"):
        require_chunks(dataset, 16, [7], "config.H")
    require_chunks(dataset, 10, [7])
    with pytest.warns(UserWarning, match=r"chunks of 10 actions, the policy has 16\. Frames are"):
        warn_of_chunks(dataset, 16, [7])


def test_every_command_warns_once_when_it_opens_its_dataset(tmp_path):
    checkpoint = tiny_policy.write_checkpoint(tmp_path / "policy")
    dataset = written(tmp_path / "data", **chunks(10))
    options = PolicyOptions(
        checkpoint=str(checkpoint),
        dataset=str(dataset.root),
        tokenizer="",
        dtype="float32",
        cameras={"base_0_rgb": "front"},
        discrete_state_input=True,
        mirror=False,
        max_token_len=64,
        action_horizon=16,
        num_steps=1,
    )
    with pytest.warns(UserWarning, match="chunks of 10 actions") as found:
        options.load()
    assert len(found) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataclasses.replace(options, action_horizon=10).load()


def test_padded_statistics_leave_open_which_dimensions_are_the_robots():
    moving, still = np.ones(7), np.zeros(25)
    padded = NormStats(np.concatenate([moving, still]), np.concatenate([moving, still]))
    assert robot_dims({"actions": padded}) == tuple(range(7, 33))
    assert robot_dims({"actions": NormStats(moving, moving)}) == (7,)
