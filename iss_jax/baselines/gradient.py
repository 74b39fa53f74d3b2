"""The input gradient: how far the sampled actions follow each pixel."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from iss_jax import divergence
from iss_jax.baselines.explanation import Explanation, Shape, explanation_of, present_frames
from iss_jax.baselines.sampling import (
    Chosen,
    Draws,
    Images,
    Sample,
    checked_policy_call,
    chosen_entries,
    drawn_noise,
    each_example,
    noise_options,
)
from iss_jax.checks import check_count
from iss_jax.pi05.observation import Observation
from iss_jax.pi05.params import Params
from iss_jax.sampling import Sampling


def input_gradient(
    params: Any,
    obs: Any,
    *,
    key: Key[Array, ""] | None = None,
    num_probes: int | None = 8,
    action_dims: int | Sequence[int] | None = None,
    horizon: int | None = None,
    noise: Float[Array, "b horizon dims"] | Float[Array, "b draws horizon dims"] | None = None,
    noise_draws: int = 1,
    valid: Mapping[str, Bool[Array, "b h w"]] | None = None,
    action_horizon: int | None = None,
    sampling: Sampling = Sampling(),
) -> Explanation:
    """Magnitude of the gradient of the sampled action chunk with respect to each pixel.

    An action chunk is no scalar, and the gradient of ISS's own, the squared error against the
    unmasked chunk, is zero at the frame itself. So the map is the norm of the Jacobian: the root of
    the mean over action entries i of the sum over channels c of (∂a_i / ∂x_c)². It is what the
    error grows by: white noise of standard deviation σ on a set of pixels raises the mean squared
    action error by σ² times the sum of the squared map over them, for small σ.

    The mean over entries is estimated with random signs (Hutchinson 1990): v · a has one gradient,
    one backward pass, and its square has the right mean. The squared map is unbiased, with a
    relative standard error of at most sqrt(2 / num_probes) a pixel. The paper has no such baseline.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> from iss_jax import baselines
    >>> found = baselines.input_gradient(policy.params, obs, num_probes=1, action_horizon=16)
    >>> found.maps["base_0_rgb"].shape, bool((found.maps["base_0_rgb"] >= 0).all())
    ((1, 80, 80), True)

    Args:
        params: openpi's parameter tree, as for `saliency`.
        obs: Batched object with openpi's `Observation` attributes.
        key: Key of flow noise and probes, `jax.random.key(0)` when None. The flow noise is that of
            `saliency` with the same key; examples share the probes.
        num_probes: Backward passes; None takes one for each chosen action entry and is exact.
        action_dims: The first k action dimensions, or their indices; all when None.
        horizon: The first steps of the chunk that count; all when None.
        noise: Flow noise; drawn from the key when None. With several draws they are axis two.
        noise_draws: Draws of flow noise that the mean is over, too.
        valid: View -> pixels that are picture, as for `saliency`.
        action_horizon: H of the drawn noise; openpi's default of 50 when None.
        sampling: Denoising steps, compute dtype, rematerialisation, savings.

    Returns:
        Maps in normalised action per unit of pixel value, of which black to white is 2; never
        negative. Pixels are the model's, after resizing.

    Raises:
        ValueError: A leaf, view or array that is missing or of the wrong shape, or an option out of
            range, by name.
    """
    if num_probes is not None:
        check_count("num_probes", num_probes)
    call = checked_policy_call(params, obs, valid, sampling)
    return _input_gradient(
        *call,
        noise,
        jax.random.key(0) if key is None else key,
        num_probes=num_probes,
        chosen=chosen_entries(action_dims, horizon),
        draws=noise_options(noise_draws, action_horizon),
    )


@partial(jax.jit, static_argnames=("shape", "num_probes", "chosen", "draws"))
def _input_gradient(
    params: Params,
    obs: Observation,
    valid: dict[str, Array],
    shape: Shape,
    noise: Array | None,
    key: Array,
    *,
    num_probes: int | None,
    chosen: Chosen,
    draws: Draws,
) -> Explanation:
    frames = present_frames(obs, valid, shape)
    # Split as `saliency` does, whose first key draws masks.
    probe_key, noise_key = jax.random.split(key)
    noise = drawn_noise(noise, noise_key, params, frames.obs, draws)

    def select(actions: Array) -> Array:
        return divergence.select(actions, chosen.action_dims, chosen.horizon).ravel()

    entries = jax.eval_shape(select, noise[0]).shape[0]
    # Probes v with mean v vᵀ = identity, over all of them or in expectation.
    if num_probes is None:
        probes = math.sqrt(entries) * jnp.eye(entries, dtype=jnp.float32)
    else:
        probes = jax.random.rademacher(probe_key, (num_probes, entries), jnp.float32)

    def explain(sample: Sample, images: Images, picture: dict[str, Array]) -> dict[str, Array]:
        del picture
        _, pullback = jax.vjp(lambda images: select(sample(images)), images)

        def step(total: dict[str, Array], probe: Array) -> tuple[dict[str, Array], None]:
            (gradient,) = pullback(probe)
            return {v: total[v] + jnp.square(gradient[v]).sum(-1) for v in total}, None

        start = {view: jnp.zeros(image.shape[:2], jnp.float32) for view, image in images.items()}
        total, _ = jax.lax.scan(step, start, probes)
        return {view: jnp.sqrt(t / (probes.shape[0] * entries)) for view, t in total.items()}

    maps = each_example(explain, params, frames, noise, shape.sampling)
    return explanation_of(maps, frames, "normalised action per unit of pixel value")
