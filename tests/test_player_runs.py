"""The engine: which rows are run, with which draw, players and prompt."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import EffectsConfig
from iss_jax.effect_reasons import NOT_FINITE, REASONS
from iss_jax.player_runs import Scene, beside_names, changes, run_players

SIZE, DRAWS = 4, 2
LABELS = jnp.asarray([[0, 0, 1, -1]] * SIZE)


def scene(batch=2):
    frames = {"front": jnp.zeros((batch, SIZE, SIZE, 3))}
    donors = jnp.broadcast_to(
        jnp.array([1.0, 10.0])[None, :, None, None, None], (batch, DRAWS, SIZE, SIZE, 3)
    )
    valid = {"front": jnp.ones((batch, SIZE, SIZE), bool)}
    labels = {"front": jnp.broadcast_to(LABELS, (batch, SIZE, SIZE))}
    return Scene(frames, labels, valid, {"front": donors})


def run(config, prompts=(), seen=None, **options):
    """Actions: the sum of each column's red, its draw, its prompt."""

    def policy(shared, example, rows, draws, chosen):
        red = rows["front"][..., 0].sum(1) / SIZE
        if seen is not None:
            seen.append(rows["front"].shape[0])
        told = jnp.stack([draws * 0, chosen], -1).astype(jnp.float32) * shared
        return jnp.concatenate([red + example, told], -1)[:, None]

    keys = jax.random.split(jax.random.key(0), 2)
    call = jax.jit(
        lambda: run_players(
            policy,
            jnp.float32(1.0),
            jnp.zeros((2, 1, 1)),
            scene(),
            2,
            keys,
            config,
            prompts=prompts,
            **options,
        )
    )
    return call()


def test_every_draw_runs_its_baseline_its_players_and_what_lies_beside():
    config = EffectsConfig(draws=DRAWS, views=True, tint=True, reduction="sum")
    found = run(config, prompts=("prompt", "state"))
    assert beside_names(config, ("front",), ("prompt", "state")) == (
        *("tint", "front", "prompt", "state"),
    )
    # Two columns are player 0's, one player 1's, the fourth is nobody's.
    np.testing.assert_allclose(found.by_draw[0], [[2.0, 1.0], [200.0, 100.0]])
    # A black frame has no tint; the view is four columns; prompt p of draw d has number
    # 1 + p * draws + d.
    np.testing.assert_allclose(found.beside[1], [[0.0, 4.0, 1.0, 9.0], [0.0, 400.0, 4.0, 16.0]])
    np.testing.assert_array_equal(found.actions, np.zeros((2, 1, 6)))
    np.testing.assert_array_equal(found.floor, [0.0, 0.0])
    np.testing.assert_array_equal(found.reason, [0, 0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_actions_that_are_no_numbers_are_a_reason_of_their_own_and_of_their_frame_alone(value):
    def policy(shared, example, rows, draws, chosen):
        red = rows["front"][..., 0].mean((1, 2))
        return jnp.where(red > 2.0, red + example[0, 0], red)[:, None, None]

    examples, keys = jnp.array([[[0.0]], [[value]]]), jax.random.split(jax.random.key(0), 2)
    config = EffectsConfig(draws=DRAWS)
    found = run_players(policy, None, examples, scene(), 2, keys, config)
    np.testing.assert_array_equal(found.reason, [0, NOT_FINITE])
    assert "NaN or infinite" in REASONS[NOT_FINITE]


@pytest.mark.parametrize("micro_batch", [1, 3, 5, None])
def test_rows_are_run_in_micro_batches_with_the_frame_once_more(micro_batch):
    seen = []
    config = EffectsConfig(draws=DRAWS, micro_batch=micro_batch)
    found = run(config, seen=seen)
    # Two draws of two players and a baseline, and the frame again.
    assert max(seen) == (micro_batch or 7)
    np.testing.assert_allclose(found.by_draw, run(EffectsConfig(draws=DRAWS)).by_draw)


def test_changes_are_zero_for_players_without_a_pixel_and_measured_over_the_frames_spread():
    config = EffectsConfig(draws=DRAWS)
    own = jax.tree.map(lambda leaf: leaf[0], scene())
    frames = {"front": own.frames["front"].at[:, 0].set(2.0)}
    own = own._replace(frames=frames)
    found = np.asarray(changes(own, 3, config))
    # The pixels of both players: a third are 2, the others 0.
    spread = np.sqrt(2 / 9) * 2
    # Player 0: mean 1 and spread 1 against the donor's 1 and 0, and 10 and 0.
    np.testing.assert_allclose(found[:, 0], np.array([1.0, np.sqrt(81 + 1)]) / spread, rtol=1e-5)
    np.testing.assert_allclose(found[:, 1], np.array([1.0, 10.0]) / spread, rtol=1e-5)
    np.testing.assert_array_equal(found[:, 2], 0.0)
