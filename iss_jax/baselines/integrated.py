"""Integrated gradients of the action error, from the blurred frames to the frames."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, Shaped

from iss_jax import divergence
from iss_jax.baselines.explanation import Shape, explanation_of, present_frames
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
from iss_jax.interventions import blur
from iss_jax.pi05.observation import Observation
from iss_jax.pi05.params import Params
from iss_jax.records import MapsRecord, record, static
from iss_jax.sampling import Sampling


@record
class IntegratedGradients(MapsRecord):
    """An `Explanation` whose maps add up to a number that can be measured.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> from iss_jax import baselines
    >>> found = baselines.integrated_gradients(policy.params, obs, num_points=2, action_horizon=16)
    >>> missing = found.effect - sum(one.sum((1, 2)) for one in found.maps.values())
    >>> missing.shape
    (1,)

    Attributes:
        maps: View -> map in pixels of the policy's input, signed.
        valid: View -> pixels that took part.
        effect: Action error of the wholly blurred frames. The maps of all views sum to it; what is
            missing is the quadrature's error.
        frames: View -> the frames that are explained, as the policy saw them.
        unit: What a score is.
    """

    maps: dict[str, Float[Array, "b h w"]]
    valid: dict[str, Bool[Array, "b h w"]]
    effect: Float[Array, " b"]
    frames: dict[str, Shaped[Array, "b h w 3"]] | None = None
    unit: str = static(default="")


def integrated_gradients(
    params: Any,
    obs: Any,
    *,
    key: Key[Array, ""] | None = None,
    num_points: int = 16,
    blur_sigma: float = 10.0,
    reduction: str = "mean",
    action_dims: int | Sequence[int] | None = None,
    horizon: int | None = None,
    noise: Float[Array, "b horizon dims"] | Float[Array, "b draws horizon dims"] | None = None,
    noise_draws: int = 1,
    valid: Mapping[str, Bool[Array, "b h w"]] | None = None,
    action_horizon: int | None = None,
    sampling: Sampling = Sampling(),
) -> IntegratedGradients:
    """The action error of blurring everything, shared out among the pixels.

    Integrated gradients (Sundararajan et al. 2017) of δ(x) = the error of the actions at x against
    those at the frame V, along the straight path x(t) = B + t (V − B) from the blurred frames to
    the frames, all views at once: −(V − B) ∫₀¹ ∇δ(x(t)) dt, summed over channels. The sign makes a
    pixel positive whose sharpness brings the actions back to those of the frame. Both ends are
    ISS's own: δ is 0 at the frame and, at the blur, the effect of the mask that keeps nothing; and
    the maps sum to that effect (completeness). The integral is a Gauss-Legendre rule, one forward
    and one backward pass a point.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> from iss_jax import baselines
    >>> found = baselines.integrated_gradients(policy.params, obs, num_points=2, action_horizon=16)
    >>> found.maps["base_0_rgb"].shape, found.effect.shape
    ((1, 80, 80), (1,))

    Args:
        params: openpi's parameter tree, as for `saliency`.
        obs: Batched object with openpi's `Observation` attributes.
        key: Key of the flow noise, that of `saliency` with the same key; `jax.random.key(0)` when
            None.
        num_points: Points of the path; compare the maps' sum with `effect` to see if they suffice.
            On three frames of the embedded policy 16 left up to 3 % of the effect out, 32 left
            0.03 %; maps at 16 and at 128 points were correlated at 0.99998 or more.
        blur_sigma: Blur in pixels of a frame 224 high; scales with the frame.
        reduction: `mean` or `sum` of the squared errors, see `iss_jax.divergence.effects`.
        action_dims: The first k action dimensions, or their indices; all when None.
        horizon: The first steps of the chunk that count; all when None.
        noise: Flow noise; drawn from the key when None. With several draws they are axis two.
        noise_draws: Draws of flow noise that errors are averaged over.
        valid: View -> pixels that are picture, as for `saliency`.
        action_horizon: H of the drawn noise; openpi's default of 50 when None.
        sampling: Denoising steps, compute dtype, rematerialisation, savings.

    Returns:
        `IntegratedGradients`. Scores may be negative: NMR by count ranks them as they are, by mass
        it counts them as zero.

    Raises:
        ValueError: A leaf, view or array that is missing or of the wrong shape, or an option out of
            range, by name.
    """
    check_count("num_points", num_points)
    if not blur_sigma > 0.0:
        raise ValueError(f"blur_sigma must be positive (pixels), got {blur_sigma}")
    if reduction not in divergence.REDUCTIONS:
        raise ValueError(f"reduction must be one of {divergence.REDUCTIONS}, got {reduction!r}")
    call = checked_policy_call(params, obs, valid, sampling)
    return _integrated_gradients(
        *call,
        noise,
        jax.random.key(0) if key is None else key,
        num_points=num_points,
        blur_sigma=blur_sigma,
        reduction=reduction,
        chosen=chosen_entries(action_dims, horizon),
        draws=noise_options(noise_draws, action_horizon),
    )


@partial(
    jax.jit,
    static_argnames=("shape", "num_points", "blur_sigma", "reduction", "chosen", "draws"),
)
def _integrated_gradients(
    params: Params,
    obs: Observation,
    valid: dict[str, Array],
    shape: Shape,
    noise: Array | None,
    key: Array,
    *,
    num_points: int,
    blur_sigma: float,
    reduction: str,
    chosen: Chosen,
    draws: Draws,
) -> IntegratedGradients:
    frames = present_frames(obs, valid, shape)
    _, noise_key = jax.random.split(key)
    noise = drawn_noise(noise, noise_key, params, frames.obs, draws)
    nodes, weights = np.polynomial.legendre.leggauss(num_points)
    path = jnp.asarray((nodes + 1) / 2, jnp.float32), jnp.asarray(weights / 2, jnp.float32)

    def explain(
        sample: Sample, images: Images, picture: dict[str, Array]
    ) -> tuple[dict[str, Array], Array]:
        own = sample(images)
        blurred = {
            view: blur(image, sigma=blur_sigma, valid=picture.get(view))
            for view, image in images.items()
        }
        change = {view: image - blurred[view] for view, image in images.items()}

        def error(images: Images) -> Array:
            effects = divergence.effects(
                sample(images),
                own,
                reduction=reduction,
                action_dims=chosen.action_dims,
                horizon=chosen.horizon,
            )
            return effects.mean()

        def step(total: dict[str, Array], point: tuple[Array, Array]) -> tuple[Any, None]:
            time, weight = point
            gradient = jax.grad(error)({v: blurred[v] + time * change[v] for v in images})
            return {v: total[v] - weight * (change[v] * gradient[v]).sum(-1) for v in images}, None

        start = {view: jnp.zeros(image.shape[:2], jnp.float32) for view, image in images.items()}
        maps, _ = jax.lax.scan(step, start, path)
        return maps, error(blurred)

    maps, effect = each_example(explain, params, frames, noise, shape.sampling)
    found = explanation_of(maps, frames, f"{reduction} of the squared error, normalised actions")
    return IntegratedGradients(found.maps, found.valid, effect, found.frames, found.unit)
