"""A policy of LeRobot is given its own cameras' frames, its state and its instruction."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from other_policies import two_tasks

from iss_jax import EffectsConfig, ISSConfig, attribute, attribute_players
from iss_jax.explain.donors import PlayersAsked
from iss_jax.explain.frame_players import players_of
from iss_jax.explain.lerobot_subject import LerobotSubject
from iss_jax.policies.frames import read_frames


class Policy:
    """As `iss_jax.policies.lerobot` makes it: a frame of every camera, [s], text."""

    def __init__(self):
        self.given = []

    def _answer(self, frames, state, prompt):
        self.given.append((frames, state, prompt))
        return lambda images: images["top"][:, :12].mean((1, 2))[:, None] / 255

    def saliency(self, frames, state, prompt, *, key, config, baseline_calls):
        images = {camera: jnp.asarray(frame, jnp.float32) for camera, frame in frames.items()}
        return attribute(self._answer(frames, state, prompt), images, key=key, config=config)

    def player_effects(
        self, frames, state, prompt, background=None, *, players, key, config, baseline_calls
    ):
        images = {camera: jnp.asarray(frame, jnp.float32) for camera, frame in frames.items()}
        answer = self._answer(frames, state, prompt)
        found = attribute_players(answer, images, players, background, key=key, config=config)
        return types.SimpleNamespace(**{n: getattr(found, n) for n in NAMES})


NAMES = ("by_draw", "moved", "floor", "reason", "actions")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    cameras = {"hand": "wrist", "top": "front"}
    subject = LerobotSubject(Policy(), cameras, mirror=True, fingerprint="1", baseline_calls=2)
    dataset = two_tasks(tmp_path_factory.mktemp("lerobot"))
    return (
        subject,
        dataset,
        subject.see(read_frames(dataset, 0, None, subject.frame_options, labels="none")),
    )


def test_it_gets_its_own_cameras_mirrored(inputs):
    subject, dataset, seen = inputs
    found = subject.map_of(seen, 1, jax.random.key(0), ISSConfig(num_masks=20))
    frames, state, prompt = subject.policy.given[-1]
    episode = dataset.read(0)
    np.testing.assert_array_equal(frames["top"], episode.images["front"][1, :, ::-1])
    np.testing.assert_array_equal(state, episode.state[1])
    assert prompt == "pick up the milk" and found["floor"] == 0.0
    cells = np.asarray(found["cells"])
    assert cells.shape == (2, 7, 7) and cells[1, :3].mean() > cells[1, 4:].mean()


def test_players_of_a_camera_that_is_not_looked_at_do_nothing(inputs):
    subject, dataset, seen = inputs
    donors = subject.donors(dataset, PlayersAsked("looks", 1, "auto", 8, ""))
    players = jax.tree.map(lambda leaf: leaf[:1], players_of("looks", seen))
    groups = donors.groups(dataset, 0)
    config = EffectsConfig(draws=1, fill=donors.fill)
    found = subject.effects_of(seen, 0, players, donors.bank, groups, jax.random.key(0), config)
    effects = np.asarray(found["by_draw"])[0]
    hand = np.unique(np.asarray(players.labels["hand"]))
    assert effects.sum() > 0.0 and not effects[hand].any()
