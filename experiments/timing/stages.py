"""A micro-batch of a map, stage by stage, and the matrix products that most of it consists of."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from experiments.timing.programs import Program
from experiments.timing.subject import Subject
from iss_jax.memory import bodies
from iss_jax.pi05 import gemma, model
from iss_jax.pi05.params import Sizes
from iss_jax.pi05.prepare import policy_observation, possible_views

# Products in a row that make one timed call: a tenth of a second on a fast device.
PRODUCTS = 16


def prefix_length(subject: Subject) -> int:
    """Tokens of the prefix of one row of a map: its views' and the trimmed prompt's."""
    obs = policy_observation(subject.obs, subject.sizes.vocab)
    assert obs.tokenized_prompt is not None
    views = possible_views(obs)
    return len(views) * subject.sizes.image.tokens + obs.tokenized_prompt.shape[1]


def products(subject: Subject, rows: int) -> Program:
    """The prefix's feed-forward products, up and down in turn, of the policy's shapes and dtype.

    They are nine tenths of the FLOPs of a prefix layer. Random factors: products of zeros draw less
    power and run faster.
    """
    width, mlp = subject.sizes.vlm.width, subject.sizes.vlm.mlp
    dtype, tokens = model.compute_dtype(subject.params), prefix_length(subject)

    def fn(params: Any, x: jax.Array, up: jax.Array, down: jax.Array) -> jax.Array:
        def step(x: jax.Array, _: None) -> tuple[jax.Array, None]:
            return (x @ up) @ down, None

        return jax.lax.scan(step, x, None, length=PRODUCTS)[0]

    def rest() -> tuple[jax.Array, ...]:
        x, up, down = jax.random.split(jax.random.key(0), 3)
        # Variance 1 / fan-in keeps the chain's values near one.
        return (
            _normal(x, (rows, tokens, width), 1.0, dtype),
            _normal(up, (width, mlp), width**-0.5, dtype),
            _normal(down, (mlp, width), mlp**-0.5, dtype),
        )

    return Program(fn, rest)


def image_encoder(subject: Subject, rows: int) -> Program:
    """Frames of every present view to tokens."""
    views, side = possible_views(subject.obs), subject.sizes.image.image_size

    def fn(params: Any, frames: dict[str, jax.Array]) -> list[jax.Array]:
        return [model.embed_images(params, frames[view]) for view in views]

    def rest() -> tuple[dict[str, jax.Array]]:
        shape = (rows, side, side, 3)
        keys = jax.random.split(jax.random.key(0), len(views))
        return (
            {
                view: jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)
                for view, key in zip(views, keys, strict=True)
            },
        )

    return Program(fn, rest)


def prefix(subject: Subject, rows: int) -> Program:
    """Prefix tokens to keys and values."""
    dtype = model.compute_dtype(subject.params)
    shape = (rows, prefix_length(subject), subject.sizes.vlm.width)

    def fn(params: Any, tokens: jax.Array, mask: jax.Array) -> gemma.Cache:
        return model.prefill(params, model.Prefix(tokens, mask))

    return Program(
        fn, lambda: (_normal(jax.random.key(0), shape, 1.0, dtype), jnp.ones(shape[:2], bool))
    )


def denoising(subject: Subject, rows: int) -> Program:
    """Keys, values and flow noise to actions, all steps."""
    sizes, dtype = subject.sizes, model.compute_dtype(subject.params)
    tokens = prefix_length(subject)
    shape = (sizes.depth, rows, tokens, sizes.kv_heads, sizes.head_dim)

    def fn(params: Any, cache: gemma.Cache, mask: jax.Array, noise: jax.Array) -> jax.Array:
        return model.denoise(params, cache, mask, noise)

    def rest() -> tuple[Any, ...]:
        k, v = (_normal(key, shape, 1.0, dtype) for key in jax.random.split(jax.random.key(0)))
        noise = jnp.broadcast_to(subject.noise, (rows, *subject.noise.shape[1:]))
        return gemma.Cache(k, v), jnp.ones((rows, tokens), bool), noise

    return Program(fn, rest)


def images_at_once(jaxpr: Any, sizes: Sizes) -> int:
    """Images of a view that the encoder takes at once in a traced program, 0 where it has none.

    Read off its patch products: the rows of a micro-batch.
    """
    patches = (sizes.image.tokens, 3 * sizes.image.patch**2)
    found = (
        shape[0]
        for equation in _equations(jaxpr)
        if equation.primitive.name == "dot_general"
        and (shape := equation.invars[0].aval.shape)[1:] == patches
    )
    return max(found, default=0)


def _equations(jaxpr: Any) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        yield equation
        for body in bodies(equation.params):
            yield from _equations(body)


def _normal(key: jax.Array, shape: tuple[int, ...], scale: float, dtype: Any) -> jax.Array:
    return (scale * jax.random.normal(key, shape, jnp.float32)).astype(dtype)
