"""What images do over what everything does: by the policy's own runs, and where they do nothing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from openpi_standins import SIZES, random_observation, random_params

from iss_jax import Background, EffectsConfig, Sampling
from iss_jax.image_use import ImageUse, image_use
from iss_jax.modalities import Texts
from iss_jax.pi05 import model
from iss_jax.pi05.observation import VIEWS, preprocess

RNG = np.random.default_rng(3)
SIZE, HORIZON, DRAWS, LENGTH = SIZES.image.image_size, 3, 2, 16
SAMPLING = Sampling(num_steps=1)
CONFIG = EffectsConfig(draws=DRAWS, action_dims=7)
OBS = random_observation(1)
# Of this one's leaves images count as much as text.
PARAMS = random_params(seed=5)
IMAGES = {v: jnp.asarray(2 * RNG.random((1, SIZE, SIZE, 3)) - 1, jnp.float32) for v in VIEWS}
TEXTS = Texts(
    tokens=jnp.asarray(RNG.integers(1, 32, (1, 1, 3, LENGTH)), jnp.int32),
    mask=jnp.broadcast_to(jnp.arange(LENGTH) < 13, (1, 1, 3, LENGTH)),
    state=jnp.asarray(RNG.normal(size=(1, 1, 3, 8)), jnp.float32),
)
NOISE = jnp.asarray(RNG.normal(size=(1, DRAWS, HORIZON, 8)), jnp.float32)


def found(images=IMAGES, texts=TEXTS):
    call = {"config": CONFIG, "noise": NOISE, "sampling": SAMPLING}
    return image_use(PARAMS, OBS, Background(images), texts, **call)


def actions(images, tokens, mask, draw):
    obs = dataclasses.replace(
        OBS, images=images, tokenized_prompt=tokens, tokenized_prompt_mask=mask
    )
    seen = preprocess(obs, SIZE)
    return np.asarray(model.sample_actions(PARAMS, seen, NOISE[:, draw], SAMPLING))[0, :, :7]


def test_both_effects_are_those_of_the_policys_own_runs():
    use = found()
    assert use.images.shape == use.everything.shape == (1, DRAWS)
    both = TEXTS.tokens[:, 0, 2], TEXTS.mask[:, 0, 2]
    own = OBS.tokenized_prompt, OBS.tokenized_prompt_mask
    for draw in range(DRAWS):
        baseline = actions(OBS.images, *own, draw)
        images = np.square(actions(IMAGES, *own, draw) - baseline).mean()
        everything = np.square(actions(IMAGES, *both, draw) - baseline).mean()
        assert float(use.images[0, draw]) == pytest.approx(images, rel=1e-3)
        assert float(use.everything[0, draw]) == pytest.approx(everything, rel=1e-3)
    ratio = float(np.mean(use.images) / np.mean(use.everything))
    assert float(use.ratio[0]) == pytest.approx(ratio, rel=1e-5)


def test_images_that_stay_do_nothing():
    use = found({view: OBS.images[view] for view in VIEWS})
    assert bool(use.valid[0]) and float(use.ratio[0]) == pytest.approx(0.0, abs=1e-6)


def test_errors_are_those_of_a_ratio_of_means():
    images = jax.random.uniform(jax.random.key(0), (4, 6))
    everything = 1 + images
    use = ImageUse(images, everything, jnp.array([0, 0, 0, 1]))
    x, y = np.asarray(images, np.float64), np.asarray(everything, np.float64)
    ratio = x.mean(1) / y.mean(1)
    by_hand = (x - ratio[:, None] * y).std(1, ddof=1) / 6**0.5 / y.mean(1)
    np.testing.assert_allclose(use.ratio[:3], ratio[:3], rtol=1e-5)
    np.testing.assert_allclose(use.stderr, by_hand, rtol=1e-4)
    low, high = np.asarray(use.interval).T
    assert (low[:3] < ratio[:3]).all() and (high[:3] > ratio[:3]).all()
    assert np.isinf([low[3], high[3]]).all() and "frame 3:  not known" in repr(use)
    one = ImageUse(images[:, :1], everything[:, :1], jnp.zeros(4, int))
    assert np.isinf(one.stderr).all() and np.isinf(one.interval).all()


def test_a_level_that_is_none_is_named():
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\), got 1"):
        image_use(PARAMS, OBS, Background(IMAGES), TEXTS, level=1.0)
