"""A π0-FAST of a few thousand random parameters, and what it sees."""

import types

import jax.numpy as jnp
import numpy as np

from iss_jax.pi0_fast.observation import FAST_VIEWS
from iss_jax.pi0_fast.params import FastSizes, fast_shapes
from iss_jax.pi05.params import Expert, ImageTower, unflatten
from iss_jax.sampling import Sampling

SIZES = FastSizes(
    image=ImageTower(width=8, depth=1, mlp=16, heads=2, patch=14, tokens=4),
    vlm=Expert(width=16, mlp=24),
    depth=2,
    heads=2,
    kv_heads=1,
    head_dim=8,
    vocab=32,
)
SIZE, TOKENS = 28, 5
RNG = np.random.default_rng(0)
PARAMS = unflatten(
    {
        path: jnp.asarray(0.5 * RNG.normal(size=shape), jnp.float32)
        for path, shape in fast_shapes(SIZES).items()
    }
)
SAMPLING = Sampling(answer_tokens=TOKENS)


def observation(**changes):
    given = {
        "images": {
            view: jnp.asarray(2 * RNG_IMAGES[i] - 1, jnp.float32)
            for i, view in enumerate(FAST_VIEWS)
        },
        "image_masks": {view: jnp.ones(2, bool) for view in FAST_VIEWS},
        "state": jnp.zeros((2, 8), jnp.float32),
        "tokenized_prompt": PROMPT,
        "tokenized_prompt_mask": jnp.arange(20)[None] < jnp.array([[11], [7]]),
        "token_ar_mask": jnp.zeros((2, 20), jnp.int32),
    }
    return types.SimpleNamespace(**(given | changes))


RNG_IMAGES = RNG.random((3, 2, SIZE, SIZE, 3))
PROMPT = jnp.asarray(RNG.integers(2, 32, (2, 20)), jnp.int32)
