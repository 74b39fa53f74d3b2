"""Exact Shapley values of whole inputs: by hand, on small π0.5 and π0 with random leaves."""

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from openpi_standins import SIZES, random_observation, random_params

from iss_jax import Background, EffectsConfig, Groups, Sampling, modalities
from iss_jax.modalities import Texts, modality_effects
from iss_jax.pi05 import model
from iss_jax.pi05.observation import VIEWS, Observation, preprocess

RNG = np.random.default_rng(0)
SIZE, HORIZON, DRAWS, DONORS, LENGTH = SIZES.image.image_size, 3, 2, 4, 16
SAMPLING = Sampling(num_steps=1)
CONFIG = EffectsConfig(draws=DRAWS, estimator="shapley", action_dims=7)
BATCH = 2
OBS = random_observation(BATCH)
BANK = Background(
    {v: jnp.asarray(2 * RNG.random((DONORS, SIZE, SIZE, 3)) - 1, jnp.float32) for v in VIEWS},
    task=jnp.arange(DONORS),
)
GROUPS = Groups(episode=jnp.array([9, 8]), task=jnp.array([0, 1]))
SHAPE = (BATCH, DONORS, 3, LENGTH)
TEXTS = Texts(
    tokens=jnp.asarray(RNG.integers(1, 32, SHAPE), jnp.int32),
    mask=jnp.broadcast_to(jnp.arange(LENGTH) < 13, SHAPE),
    state=jnp.asarray(RNG.normal(size=(*SHAPE[:3], 8)), jnp.float32),
)
MODELS = {
    name: random_params(sizes=dataclasses.replace(SIZES, reads_state=name == "pi0"))
    for name in ("pi05", "pi0")
}
NOISE = jnp.asarray(RNG.normal(size=(BATCH, DRAWS, HORIZON, 8)), jnp.float32)
PLAYERS = len(VIEWS) + 2
SETS = [
    frozenset(np.flatnonzero(bits).tolist()) for bits in itertools.product([0, 1], repeat=PLAYERS)
]
sample = jax.jit(model.sample_actions, static_argnames="sampling")


def run(name="pi05", texts=TEXTS, bank=BANK, **changes):
    call = {"config": CONFIG, "noise": NOISE, "sampling": SAMPLING, "groups": GROUPS} | changes
    return modality_effects(MODELS[name], OBS, bank, texts, **call)


@pytest.fixture(scope="module")
def found():
    return {name: run(name) for name in MODELS}


def values_by_hand(name, frame, draw, donor):
    """v of every set: the policy on observations that are put together one by one."""
    own = jax.tree.map(lambda leaf: leaf[frame], OBS)
    read = []
    for gone in SETS:
        code = (PLAYERS - 2 in gone) + 2 * (PLAYERS - 1 in gone)
        text = jax.tree.map(lambda leaf, code=code: leaf[frame, donor, code - 1], TEXTS)
        images = {
            view: BANK.images[view][donor] if i in gone else own.images[view]
            for i, view in enumerate(VIEWS)
        }
        read.append(
            Observation(
                images,
                own.image_masks,
                text.state if code else own.state,
                text.tokens if code else own.tokenized_prompt,
                text.mask if code else own.tokenized_prompt_mask,
            )
        )
    batch = preprocess(jax.tree.map(lambda *leaves: jnp.stack(leaves), *read), SIZE)
    noise = jnp.repeat(NOISE[frame, draw][None], len(SETS), 0)
    actions = np.asarray(sample(MODELS[name], batch, noise, sampling=SAMPLING))[..., :7]
    return np.square(actions - actions[0]).mean((1, 2))


@pytest.mark.parametrize("name", MODELS)
def test_it_is_the_mean_over_all_orders_of_the_policys_own_runs(found, name):
    for frame, draw in ((0, 0), (1, 1)):
        donor = int(found[name].donors[frame, draw])
        value = dict(zip(SETS, values_by_hand(name, frame, draw, donor), strict=True))
        expected = np.zeros(PLAYERS)
        for order in itertools.permutations(range(PLAYERS)):
            for place, player in enumerate(order):
                before = frozenset(order[:place])
                expected[player] += value[before | {player}] - value[before]
        expected /= math.factorial(PLAYERS)
        own = np.asarray(found[name].by_draw[frame, draw])
        size = np.abs(expected).max()
        # One view does little here: ten times what rounding is allowed.
        assert np.abs(expected).min() > 5e-5 * size
        np.testing.assert_allclose(own, expected, rtol=1e-3, atol=5e-6 * size)
        assert own.sum() == pytest.approx(value[SETS[-1]], rel=1e-3)


def test_players_are_views_prompt_and_state(found):
    for own in found.values():
        assert own.names == (*VIEWS, *modalities.TEXT_PLAYERS)
        np.testing.assert_allclose(own.area, [[1 / 3] * 3 + [0, 0]] * BATCH)
        assert own.tested.all()
        np.testing.assert_allclose(own.share.sum(-1), 1.0, rtol=1e-5)
        assert {name for name, *_ in own.ranked()} == set(own.names)
        # Donors are of other tasks.
        assert not (np.asarray(own.donors) == np.asarray(GROUPS.task)[:, None]).any()


def test_a_prompt_that_is_the_same_does_nothing_and_is_not_tested():
    own = jnp.asarray(OBS.tokenized_prompt)[:, None]
    tokens = TEXTS.tokens.at[:, :, 0].set(own)
    mask = TEXTS.mask.at[:, :, 0].set(jnp.asarray(OBS.tokenized_prompt_mask)[:, None])
    alone = dataclasses.replace(CONFIG, estimator="one_at_a_time")
    same = run(texts=Texts(tokens, mask, TEXTS.state), config=alone)
    prompt, state = np.asarray(same.effects)[:, -2:].T
    assert prompt.max() < 1e-9 < 1e-4 < state.min()
    np.testing.assert_array_equal(same.tested, [[True, True, True, False, True]] * BATCH)
    assert len(same.ranked()) == 4 and "not tested" not in same.sentence(most=5)


def test_a_prompt_that_is_the_beginning_of_the_own_one_is_another():
    own = jnp.asarray(OBS.tokenized_prompt)[:, None]
    tokens = TEXTS.tokens.at[:, :, 0].set(own)
    shorter = jnp.asarray(OBS.tokenized_prompt_mask).at[:, 3:].set(False)
    texts = Texts(tokens, TEXTS.mask.at[:, :, 0].set(shorter[:, None]), TEXTS.state)
    found = run(texts=texts, config=dataclasses.replace(CONFIG, estimator="one_at_a_time"))
    assert np.asarray(found.effects)[:, -2].min() > 1e-9
    np.testing.assert_array_equal(np.asarray(found.moved)[:, -2], 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": EffectsConfig(fill="blur")}, "wanted fill='background'"),
        ({"config": EffectsConfig(tint=True)}, "no like_for_like, tint or views"),
        (
            {"texts": Texts(TEXTS.tokens[..., :-1], TEXTS.mask[..., :-1], TEXTS.state)},
            r"\[2 frames, 4 donors, 3, 16 tokens\] twice, got",
        ),
        (
            {"texts": Texts(TEXTS.tokens, TEXTS.mask, TEXTS.state[:, :3])},
            r"texts.state must be \[2 frames, 4 donors, 3, s\], got \[2, 3, 3, 8\]",
        ),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        run(**change)
