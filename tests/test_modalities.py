"""Exact Shapley values of whole inputs: by hand, on the embedded policy."""

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import Background, EffectsConfig, Sampling, embedded, modalities
from iss_jax.data.dataset import open_dataset
from iss_jax.modalities import Texts, modality_effects
from iss_jax.pi05 import model
from iss_jax.pi05.observation import preprocess
from iss_jax.policies.donors import background, donor_texts, groups
from iss_jax.policies.frames import FrameOptions, read_frames, see
from iss_jax.policies.restored import load_policy

OPTIONS = FrameOptions(max_token_len=40)
DRAWS, EPISODE = 2, 160
CONFIG = EffectsConfig(draws=DRAWS, estimator="shapley", action_dims=7)
SAMPLING = Sampling(num_steps=1)


@pytest.fixture(scope="module")
def scene():
    policy = load_policy(embedded.checkpoint_path())
    dataset = open_dataset(embedded.episodes_path())
    bank = background(dataset, policy.image_size, OPTIONS, most=4)
    seen = see(read_frames(dataset, EPISODE, [0], OPTIONS), policy, OPTIONS)
    texts = donor_texts(policy, bank, [seen.episode.prompt], seen.episode.state, OPTIONS)
    return policy, bank, seen, texts, groups(dataset, bank, [EPISODE])


def run(scene, **changes):
    policy, bank, seen, texts, own = scene
    call = {"config": CONFIG, "action_horizon": 16, "sampling": SAMPLING, "groups": own} | changes
    return modality_effects(
        policy.params, seen.obs, call.pop("bank", bank), call.pop("texts", texts), **call
    )


@pytest.fixture(scope="module")
def found(scene):
    return run(scene)


def test_it_is_the_mean_over_all_orders_of_the_policys_own_runs(scene, found):
    policy, bank, seen, texts, _ = scene
    noise = jax.random.normal(jax.random.key(5), (1, DRAWS, 16, 32))
    noise = noise[..., : np.shape(found.actions)[-1]]
    given = run(scene, noise=noise)
    views, count = list(seen.views), len(seen.views) + 2
    sets = [
        frozenset(np.flatnonzero(bits).tolist()) for bits in itertools.product([0, 1], repeat=count)
    ]
    sample = jax.jit(model.sample_actions, static_argnames="sampling")
    obs = preprocess(seen.obs, policy.image_size)
    own = (np.asarray(obs.tokenized_prompt)[0], np.asarray(obs.tokenized_prompt_mask)[0])
    for draw, donor in enumerate(np.asarray(given.donors)[0].tolist()):
        options = [own] + [
            (np.asarray(texts.tokens)[0, donor, i], np.asarray(texts.mask)[0, donor, i])
            for i in range(3)
        ]
        read = [options[(count - 2 in s) + 2 * (count - 1 in s)] for s in sets]
        shown = preprocess(
            dataclasses.replace(
                seen.obs, images={v: bank.images[v][donor][None] for v in seen.obs.images}
            ),
            policy.image_size,
        )
        batch = dataclasses.replace(
            obs,
            images={
                view: jnp.concatenate(
                    [(shown if i in s else obs).images[view] for s in sets], axis=0
                )
                for i, view in enumerate(views)
            },
            image_masks={v: jnp.ones(len(sets), bool) for v in views},
            state=jnp.repeat(obs.state, len(sets), 0),
            tokenized_prompt=jnp.asarray(np.stack([tokens for tokens, _ in read])),
            tokenized_prompt_mask=jnp.asarray(np.stack([mask for _, mask in read])),
        )
        repeated = jnp.repeat(noise[:, draw], len(sets), 0)
        actions = np.asarray(sample(policy.params, batch, repeated, sampling=SAMPLING))[..., :7]
        value = dict(zip(sets, np.square(actions - actions[0]).mean((1, 2)), strict=True))
        expected = np.zeros(count)
        for order in itertools.permutations(range(count)):
            for place, player in enumerate(order):
                before = frozenset(order[:place])
                expected[player] += value[before | {player}] - value[before]
        expected /= math.factorial(count)
        assert np.abs(expected).min() > 1e-7
        np.testing.assert_allclose(
            given.by_draw[0, draw], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max()
        )
        assert given.by_draw[0, draw].sum() == pytest.approx(value[sets[-1]], rel=1e-4)


def test_players_are_views_prompt_and_state(scene, found):
    views = scene[2].views
    assert found.names == (*views, *modalities.TEXT_PLAYERS)
    np.testing.assert_allclose(found.area[0], [1 / 3] * 3 + [0, 0])
    assert found.tested.all() and found.share.sum() == pytest.approx(1.0)
    said = {name for name, *_ in found.ranked()}
    assert said == set(found.names)
    # A donor of another task; two draws of one key are those of `player_effects`.
    assert not set(np.asarray(scene[1].task)[found.donors[0]]) & {int(scene[4].task[0])}


def test_a_prompt_that_is_the_same_does_nothing_and_is_not_tested(scene):
    policy, bank, seen, _, _ = scene
    same = dataclasses.replace(bank, prompts=(seen.episode.prompt,) * len(bank))
    texts = donor_texts(policy, same, [seen.episode.prompt], seen.episode.state, OPTIONS)
    alone = dataclasses.replace(CONFIG, estimator="one_at_a_time")
    found = run(scene, bank=same, texts=texts, config=alone)
    prompt, state = np.asarray(found.effects)[0, -2:]
    assert prompt < 1e-10 < 1e-7 < state
    np.testing.assert_array_equal(found.tested[0], [True, True, True, False, True])
    assert found.sentence(most=5).count("not tested") == 0
    assert len(found.ranked()) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": EffectsConfig(fill="blur")}, "wanted fill='background'"),
        ({"config": EffectsConfig(tint=True)}, "no like_for_like, tint or views"),
    ],
)
def test_what_cannot_be(scene, change, message):
    with pytest.raises(ValueError, match=message):
        run(scene, **change)


def test_texts_that_do_not_fit_are_named(scene):
    texts = scene[3]
    short = Texts(texts.tokens[..., :-1], texts.mask[..., :-1], texts.state)
    with pytest.raises(ValueError, match=r"\[1 frames, 4 donors, 3, 40 tokens\] twice, got"):
        run(scene, texts=short)
    with pytest.raises(ValueError, match=r"texts.state must be .* got \[1, 3, 3, 8\]"):
        run(scene, texts=Texts(texts.tokens, texts.mask, texts.state[:, :3]))
    with pytest.raises(ValueError, match="background: instruction and state of every donor"):
        bare = Background(scene[1].images)
        donor_texts(scene[0], bare, ["pick"], np.zeros((1, 8)), OPTIONS)
