"""Observations that bring noise are answered with it; others with some of their own."""

from typing import Any

import numpy as np
import pytest

from iss_jax import embedded
from iss_jax.pi05.checkpoint import restore_params
from iss_jax.policies.answering import answering
from iss_jax.policies.configs import EMBEDDED


class Policy:
    """Answers with its noise."""

    action_horizon = 16

    def __init__(self):
        self.params = restore_params(embedded.checkpoint_path())

    def infer(self, raw, *, noise):
        return np.asarray(noise)


def test_noise_is_the_observations_or_drawn_by_seed():
    policy: Any = Policy()
    frames = {camera: np.zeros((8, 8, 3), np.uint8) for camera in EMBEDDED.cameras.values()}
    raw = EMBEDDED.join(frames, np.zeros(8), "reach")
    draws = [answering(policy, EMBEDDED, seed=seed)(raw)["actions"] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert draws[0].shape == (16, 7) and not np.allclose(draws[0], draws[2])
    infer = answering(policy, EMBEDDED, sizes=1)
    assert not infer({**raw, "noise": np.zeros((16, 7), np.float32)})["actions"].any()
    with pytest.raises(ValueError, match="noise"):
        infer({**raw, "noise": np.zeros((3, 7), np.float32)})
    other = EMBEDDED.with_frames(raw, {c: np.zeros((9, 9, 3), np.uint8) for c in frames})
    with pytest.raises(ValueError):
        infer(other)
