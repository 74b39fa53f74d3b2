"""Players of a π0-FAST: their effects are the KL of its tokens, of frames replaced by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fast_policy import PARAMS, SAMPLING, SIZE, SIZES, TOKENS, observation

import iss_jax
from iss_jax import Background, EffectsConfig
from iss_jax.pi0_fast import model
from iss_jax.pi0_fast.observation import FAST_VIEWS, fast_inputs
from iss_jax.players import Players

RNG = np.random.default_rng(5)
LABELS = {view: jnp.asarray(RNG.integers(0, 2, (2, SIZE, SIZE)), jnp.int32) for view in FAST_VIEWS}
PLAYERS = Players(LABELS, names=("a", "b"))
BANK = Background(
    {v: jnp.asarray(2 * RNG.random((4, SIZE, SIZE, 3)) - 1, jnp.float32) for v in FAST_VIEWS},
    episode=jnp.arange(4),
)
CONFIG = EffectsConfig(draws=2)


def run(**options):
    given = {"config": CONFIG, "sampling": SAMPLING} | options
    return iss_jax.player_effects(PARAMS, observation(), PLAYERS, BANK, **given)


def prefix(images):
    inputs = fast_inputs(observation(images=images), SIZES.vocab)
    return model.prefill(PARAMS, model.embed_inputs(PARAMS, *inputs))


def test_effects_are_the_kl_on_frames_replaced_by_hand():
    found = run()
    images = observation().images
    answer = model.decode(PARAMS, prefix(images), TOKENS)
    counted = np.asarray(model.answered(answer))
    wanted = model.answer_logits(PARAMS, prefix(images), answer)
    donors = np.asarray(found.donors)
    for draw in range(2):
        for number in range(2):
            pasted = {
                view: jnp.where(
                    (LABELS[view] == number)[..., None],
                    jnp.asarray(BANK.images[view])[donors[:, draw]],
                    image,
                )
                for view, image in images.items()
            }
            given = model.answer_logits(PARAMS, prefix(pasted), answer)
            kl = (np.asarray(model.token_kl(wanted, given)) * counted).sum(1) / counted.sum(1)
            np.testing.assert_allclose(found.by_draw[:, draw, number], kl, rtol=2e-3, atol=1e-7)
    assert float(found.floor.max()) < 1e-9
    np.testing.assert_array_equal(found.actions[..., 0], np.where(counted, answer, -1))
    assert found.names == ("a", "b") and found.unit.startswith("KL of action tokens")


def test_a_row_does_not_depend_on_its_batch_and_jit_changes_nothing():
    found = run()
    inside = jax.jit(lambda labels: run_of(labels).by_draw)(LABELS)
    np.testing.assert_allclose(inside, found.by_draw, rtol=1e-3, atol=1e-7)


def run_of(labels):
    return iss_jax.player_effects(
        PARAMS,
        observation(),
        Players(labels, names=("a", "b")),
        BANK,
        config=CONFIG,
        sampling=SAMPLING,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": jnp.zeros((2, 2, 3, 8))}, "neither flow noise nor chunks"),
        ({"config": EffectsConfig(draws=2, action_dims=7)}, "of whole answers, .*wanted None"),
    ],
    ids=["noise", "dimensions"],
)
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        run(**options)


def test_rounding_alone_has_no_shares():
    images = observation().images
    same = Background({view: image[:1] for view, image in images.items()})
    found = iss_jax.player_effects(
        PARAMS, observation(), PLAYERS, same, config=CONFIG, sampling=SAMPLING
    )
    # The donor is the first frame itself, and another than the second.
    assert found.reason.tolist() == [1, 0]
