"""Made-up effects of whole inputs."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.acting_on.frames import ChosenFrame
from experiments.acting_on.kinds import kind_rows, kind_sentence
from iss_jax import Effects, EffectsConfig
from iss_jax.modalities import TEXT_PLAYERS
from iss_jax.players import Players
from iss_jax.results import Cameras

LABELS = {
    "base_0_rgb": jnp.zeros((2, 2), jnp.int32),
    "left_wrist_0_rgb": jnp.ones((2, 2), jnp.int32),
}


def effects(shares, reason=0):
    by_draw = np.array([np.array(shares) * whole for whole in (1.0, 3.0)], np.float32)
    return Effects(
        by_draw=jnp.asarray(by_draw),
        moved=jnp.ones(4),
        beside={},
        floor=jnp.zeros(()),
        reason=jnp.asarray(reason, jnp.int32),
        players=Players(LABELS, names=(*LABELS, *TEXT_PLAYERS)),
        actions=jnp.zeros((3, 7)),
        cameras=Cameras({"base_0_rgb": "front", "left_wrist_0_rgb": "wrist"}),
        config=EffectsConfig(draws=2, estimator="shapley"),
    )


def frames(count, suite):
    return [ChosenFrame(i, 0, f"task {i}", suite) for i in range(count)]


def test_shares_are_means_over_frames_and_views_add_up():
    chosen = [*frames(8, "object"), *frames(8, "spatial")]
    found = [effects([0.5, 0.2, 0.3, 0.0])] * 8 + [effects([0.1, 0.1, 0.5, 0.3])] * 8
    rows = {(row["suite"], row["kind"]): row for row in kind_rows(chosen, found)}
    assert {suite for suite, _ in rows} == {"object", "spatial", "all"}
    assert rows["object", "all views"]["share"] == pytest.approx(0.7)
    assert rows["all", "prompt"]["share"] == pytest.approx(0.4)
    assert rows["all", "front"]["share"] == pytest.approx(0.3)
    # Shares of a frame's draws are all alike, of the suites they are not.
    assert rows["all", "state"]["stderr_of_one"] == pytest.approx(0.0, abs=1e-6)
    assert rows["all", "prompt"]["low"] < 0.4 < rows["all", "prompt"]["high"]
    assert rows["all", "wrist"]["frames"] == 16
    sentence = kind_sentence(kind_rows(chosen, found))
    assert sentence.startswith("all views 45 [") and "prompt 40 [" in sentence
    assert sentence.endswith("(16 frames)")


def test_frames_without_shares_do_not_count():
    found = [effects([0.5, 0.2, 0.3, 0.0]), effects([0.0, 0.0, 0.0, 0.0], reason=1)]
    rows = kind_rows(frames(2, "object"), found)
    assert {row["frames"] for row in rows} == {1}
    assert kind_sentence(rows) == "all views 70 %, prompt 30 %, state 0 % (1 frames)"
    assert kind_sentence(kind_rows(frames(1, "object"), found[1:])) == "no shares"


def test_the_error_of_a_sum_of_views_is_of_its_draws():
    own = effects([0.5, 0.2, 0.3, 0.0])
    own = dataclasses.replace(own, by_draw=jnp.array([[1.0, 1, 2, 0], [3, 0, 1, 0]]))
    (row,) = [r for r in kind_rows(frames(1, "a"), [own]) if r["kind"] == "all views"]
    # 5 of 8; part less share times whole is -0.5 and 0.5.
    assert row["share"] == pytest.approx(5 / 8)
    assert row["stderr_of_one"] == pytest.approx(0.5**0.5 / 2**0.5 / 4)
