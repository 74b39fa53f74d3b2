"""A π0-FAST sees what openpi's transforms would give it, and is explained by its tokens."""

import jax
import numpy as np
import pytest
from other_policies import two_tasks, write_fast

from iss_jax import EffectsConfig, ISSConfig
from iss_jax.explain.donors import PlayersAsked
from iss_jax.explain.fast_subject import FastSubject
from iss_jax.explain.frame_players import players_of
from iss_jax.policies.restored import load_policy

CAMERAS = {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("fast")
    policy = load_policy(write_fast(root / "checkpoint"))
    subject = FastSubject(policy, CAMERAS, 64, mirror=False, answer_tokens=3, dtype="float32")
    dataset = two_tasks(root / "episodes")
    return subject, dataset, subject.see(dataset.read(0))


def test_the_prompt_is_in_lower_case_with_the_state_and_no_question(inputs):
    subject, _, seen = inputs
    ids = np.asarray(seen.obs.tokenized_prompt)[0][np.asarray(seen.obs.tokenized_prompt_mask)[0]]
    text = subject.policy.tokenizer.decode(ids.tolist())
    assert text.startswith("Task: pick up the milk, State: ") and text.rstrip().endswith(";")


@pytest.mark.slow
def test_a_view_without_a_camera_is_black_and_takes_no_part(inputs):
    subject, _, seen = inputs
    assert list(seen.obs.images) == ["base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb"]
    assert bool(seen.obs.image_masks["right_wrist_0_rgb"].all())
    assert not np.asarray(seen.obs.images["right_wrist_0_rgb"]).any()
    found = subject.map_of(seen, 0, jax.random.key(0), ISSConfig(num_masks=6))
    assert found["cells"].shape == (2, 7, 7) and found["effect"] > 0.0
    assert subject.unit(ISSConfig()).startswith("KL of action tokens")


@pytest.mark.slow
def test_players_are_replaced_by_donors_of_another_task(inputs):
    subject, dataset, seen = inputs
    donors = subject.donors(dataset, PlayersAsked("looks", 1, "auto", 8, ""))
    assert donors.fill == "background"
    players = jax.tree.map(lambda leaf: leaf[1:], players_of("looks", seen))
    groups = donors.groups(dataset, 0)
    config = EffectsConfig(draws=1, fill=donors.fill)
    found = subject.effects_of(seen, 1, players, donors.bank, groups, jax.random.key(0), config)
    assert np.shape(found["by_draw"]) == (1, len(players)) and np.sum(found["by_draw"]) > 0.0
