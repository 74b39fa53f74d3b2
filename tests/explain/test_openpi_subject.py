"""A π0.5 as a subject: rows of its observations, and the dimensions that count."""

import types
from typing import Any

import jax.numpy as jnp
import numpy as np

from iss_jax import ISSConfig, Sampling
from iss_jax.explain.openpi_subject import OpenpiSubject, one_frame, untrimmed
from iss_jax.pi05.normalize import NormStats


def test_the_robots_dimensions_go_before_those_of_padded_statistics():
    policy: Any = types.SimpleNamespace(
        norm_stats={"actions": NormStats(np.zeros(32), np.ones(32))}
    )
    options: Any = types.SimpleNamespace()
    assert OpenpiSubject(policy, options).action_dims == 32
    assert OpenpiSubject(policy, options, 7).action_dims == 7
    assert "normalised actions" in OpenpiSubject(policy, options).unit(ISSConfig())


def test_one_frame_is_a_batch_of_one():
    found = one_frame({"state": jnp.arange(6).reshape(3, 2)}, 1)
    assert found["state"].tolist() == [[2, 3]]


def test_only_the_trimming_is_switched_off():
    found = untrimmed(Sampling(num_steps=3))
    assert found.num_steps == 3 and not found.savings.trim_prompt
    assert found.savings.drop_absent_views == Sampling().savings.drop_absent_views
