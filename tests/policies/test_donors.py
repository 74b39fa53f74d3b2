"""Banks of donors from a dataset."""

import dataclasses

import numpy as np
import pytest

from iss_jax import embedded
from iss_jax.data.dataset import open_dataset
from iss_jax.policies.donors import (
    background,
    donor_frames,
    donor_texts,
    groups,
    live_texts,
    task_of,
)
from iss_jax.policies.frames import FrameOptions, read_frames
from iss_jax.policies.openpi import from_checkpoint
from iss_jax.policies.restored import load_policy

DATASET = open_dataset(embedded.episodes_path())


def test_donors_are_spread_over_the_tasks_and_the_same_each_time():
    chosen = donor_frames(DATASET, 60)
    assert chosen == donor_frames(DATASET, 60) != donor_frames(DATASET, 60, seed=1)
    tasks = [task_of(DATASET.metadata(episode)) for episode, _ in chosen]
    counts = {task: tasks.count(task) for task in tasks}
    assert len(chosen) == 60 and len(counts) == 41 and set(counts.values()) <= {1, 2}
    assert len(donor_frames(DATASET, 1000)) == len(DATASET)


def test_a_bank_holds_the_frames_and_labels_that_a_policy_sees():
    options = FrameOptions(cameras={"base_0_rgb": "front", "left_wrist_0_rgb": "wrist"})
    bank = background(DATASET, 80, options, most=3)
    for number, (episode, frame) in enumerate(donor_frames(DATASET, 3)):
        read = read_frames(DATASET, episode, [frame], options)
        for view, camera in options.used.items():
            np.testing.assert_array_equal(bank.images[view][number], read.images[camera][0])
            np.testing.assert_array_equal(bank.regions[view][number], read.regions[camera][0])
        assert bank.prompts[number] == read.prompt
    assert set(bank.images) == {"base_0_rgb", "left_wrist_0_rgb"}


def test_frames_are_padded_as_the_policy_pads_them():
    bank = background(DATASET, 96, FrameOptions(), most=1)
    assert bank.images["base_0_rgb"].shape == (1, 96, 96, 3)
    assert bank.regions["base_0_rgb"].shape == (1, 96, 96)


def test_a_frame_draws_neither_its_episode_nor_its_task():
    bank = background(DATASET, 80, FrameOptions(), most=82)
    episodes = [0, 100, 204]
    allowed = np.asarray(bank.allowed(groups(DATASET, bank, episodes)))
    for row, episode in zip(allowed, episodes, strict=True):
        own = task_of(DATASET.metadata(episode))
        free = [task_of(DATASET.metadata(int(e))) != own for e in bank.episode]
        np.testing.assert_array_equal(row, free)
        assert 0 < (~row).sum() <= 3


def test_no_donor_is_an_error():
    with pytest.raises(ValueError, match="donors: at least 1 wanted, got 0"):
        donor_frames(DATASET, 0)


def test_a_live_policys_texts_are_those_of_the_restored_one():
    options = FrameOptions(max_token_len=40)
    restored = load_policy(embedded.checkpoint_path())
    live = from_checkpoint(embedded.checkpoint_path(), "embedded", dtype=None)
    bank = background(DATASET, 80, options, most=2)
    episode = read_frames(DATASET, 160, [0], options)
    frames = {camera: episode.images[camera][0] for camera in options.used.values()}
    raw = live.config.join(frames, episode.state[0], episode.prompt)
    length = live.observe(raw).tokenized_prompt.shape[-1]
    own = FrameOptions(max_token_len=length)
    wanted = donor_texts(restored, bank, [episode.prompt], episode.state, own)
    found = live_texts(live, bank, raw)
    np.testing.assert_array_equal(found.tokens, wanted.tokens)
    np.testing.assert_array_equal(found.mask, wanted.mask)
    np.testing.assert_allclose(found.state[..., :8], wanted.state, atol=1e-6)
    # Instruction, state, and both, each of the donor; a π0.5 reads all three in its prompt.
    assert len({tuple(row) for row in np.asarray(wanted.tokens).reshape(-1, length)}) == 6
    bare = dataclasses.replace(bank, state=None)
    with pytest.raises(ValueError, match="got 2 instructions and no states"):
        live_texts(live, bare, raw)
    with pytest.raises(ValueError, match=r"states must be \[b, 8\] like the donors', got \[1, 7\]"):
        donor_texts(restored, bank, ["pick"], np.zeros((1, 7)), options)
    with pytest.raises(ValueError, match="policy: no PolicyConfig"):
        live_texts(dataclasses.replace(live, config=None), bank, raw)
