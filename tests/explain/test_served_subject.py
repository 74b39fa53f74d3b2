"""A policy that can only be asked: what it is sent, and what comes of its answers."""

from typing import Any

import jax
import numpy as np
import pytest
from other_policies import two_tasks

from iss_jax import EffectsConfig, ISSConfig
from iss_jax.explain.donors import PlayersAsked
from iss_jax.explain.frame_players import players_of
from iss_jax.explain.served_subject import ServedSubject
from iss_jax.policies.configs import PolicyConfig

ROBOT = PolicyConfig(
    name="arm",
    cameras={"base_0_rgb": "cam/top", "left_wrist_0_rgb": "cam/hand"},
    state={"joints": 5, "gripper": 3},
    action_horizon=2,
    action_dims=3,
)


class Client:
    """Looks at the upper half of the camera above."""

    metadata: dict[str, Any] = {"robot": "arm"}  # noqa: RUF012

    def __init__(self):
        self.asked = []

    def infer(self, raw):
        self.asked.append(raw)
        return {"actions": np.repeat(raw["cam/top"][:12].mean((0, 1))[None] / 255, 2, 0)}

    def infer_batch(self, raws):
        return [self.infer(raw) for raw in raws]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    client: Any = Client()
    cameras = {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist"}
    subject = ServedSubject(client, "ws://arm", ROBOT, cameras, mirror=False, baseline_calls=2)
    dataset = two_tasks(tmp_path_factory.mktemp("served"))
    return subject, dataset, subject.see(dataset.read(0))


def test_the_server_gets_the_robots_dict(inputs):
    subject, dataset, seen = inputs
    subject.client.asked.clear()
    found = subject.map_of(seen, 1, jax.random.key(0), ISSConfig(num_masks=20))
    sent, episode = subject.client.asked[0], dataset.read(0)
    assert sorted(sent) == ["cam/hand", "cam/top", "gripper", "joints", "prompt"]
    np.testing.assert_array_equal(sent["cam/top"], episode.images["front"][1])
    np.testing.assert_array_equal(sent["gripper"], episode.state[1, 5:])
    assert found["floor"] == 0.0 and np.shape(found["cells"]) == (2, 7, 7)
    # What lies in the lower half, or before the other camera, moves nothing.
    cells = np.asarray(found["cells"])
    assert cells[0, :3].mean() > cells[0, 4:].mean() and cells[0, :3].mean() > cells[1].mean()


def test_players_of_the_half_that_counts_have_all_of_the_effect(inputs):
    subject, dataset, seen = inputs
    donors = subject.donors(dataset, PlayersAsked("looks", 1, "auto", 8, ""))
    players = jax.tree.map(lambda leaf: leaf[1:], players_of("looks", seen))
    config = EffectsConfig(draws=1, fill="blur")
    found = subject.effects_of(seen, 1, players, None, None, jax.random.key(0), config)
    effects = np.asarray(found["by_draw"])[0]
    upper = set(np.unique(np.asarray(players.labels["base_0_rgb"])[0, :12]).tolist())
    lower = [i for i in range(len(players)) if i not in upper]
    assert effects.sum() > 0.0 and not effects[lower].any()
    assert donors.fill == "background"


def test_items_tell_servers_apart(inputs):
    subject, _, _ = inputs
    keys = subject.run_keys()
    assert keys["server"] == "ws://arm" and '"robot": "arm"' in keys["metadata"]
    assert subject.frame_options.used == keys["cameras"]
