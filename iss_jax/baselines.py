"""The explanations that ISS is compared with: attention, token norm, gradients, a random control.

`attention` (ATT, App. E.2) and `token_norm` (NORM, App. E.3) are the paper's and look at the image
encoder alone: one pass, neither prompt nor actions. `input_gradient` and `integrated_gradients` go
through the sampled actions, as ISS does, with the flow noise that `saliency` would draw from the
same key. `random_map` deals true scores to random places.

Their maps are those of `Saliency`: one for each of the model's views at the model's image size,
zero where `valid` is False (absent views, padding), so that NMR is
`nuisance_mass_ratio(found.maps, regions, valid=found.valid)`.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from iss_jax import divergence, masks as mask_designs
from iss_jax.attribution import Saliency
from iss_jax.interventions import blur
from iss_jax.pi05 import model, siglip
from iss_jax.pi05.observation import VIEWS, Observation, preprocess
from iss_jax.pi05.params import Params, as_params, sizes_of, warn_if_constant
from iss_jax.pi05.prepare import (
    checked_valid,
    flow_noise,
    picture_pixels,
    policy_observation,
    possible_views,
)


class Explanation(NamedTuple):
    """Where an explanation other than ISS says that a policy looks.

    Attributes:
        maps: View -> map in pixels of the policy's input; zero in absent views and padding.
        valid: View -> pixels that took part: those of views that are there, less padding.
    """

    maps: dict[str, Float[Array, "*b h w"]]
    valid: dict[str, Bool[Array, "*b h w"]]


class IntegratedGradients(NamedTuple):
    """An `Explanation` whose maps add up to a number that can be measured.

    Attributes:
        maps: View -> map in pixels of the policy's input, signed.
        valid: View -> pixels that took part.
        effect: Action error of the wholly blurred frames. The maps of all views sum to it; what is
            missing is the quadrature's error.
    """

    maps: dict[str, Float[Array, "b h w"]]
    valid: dict[str, Bool[Array, "b h w"]]
    effect: Float[Array, " b"]


def attention(
    params: Any,
    obs: Any,
    *,
    valid: Mapping[str, Bool[Array, "b h w"]] | None = None,
    dtype: Any = None,
) -> Explanation:
    """ATT: attention that each image token receives in SigLIP's last block (App. E.2).

    Mean over heads, sum over queries, bilinear to pixels. The tokens' scores of a view have mean 1.

    Args:
        params: openpi's parameter tree, as for `saliency`.
        obs: Batched object with openpi's `Observation` attributes.
        valid: View -> pixels that are picture, as for `saliency`.
        dtype: Compute dtype; that of the embedding table when None. The softmax is float32.

    Raises:
        ValueError: A leaf, view or array that is missing or of the wrong shape, by name.
    """
    return _from_tokens(params, obs, valid, dtype, _attention_received)


def token_norm(
    params: Any,
    obs: Any,
    *,
    after_head: bool = True,
    valid: Mapping[str, Bool[Array, "b h w"]] | None = None,
    dtype: Any = None,
) -> Explanation:
    """NORM: L2 norm of SigLIP's final image tokens, bilinear to pixels (App. E.3).

    Args:
        params: openpi's parameter tree, as for `saliency`.
        obs: Batched object with openpi's `Observation` attributes.
        after_head: True takes the tokens that the prefix holds, at the language model's width.
            False those before the head, which a LayerNorm has just made nearly equal in norm.
        valid: View -> pixels that are picture, as for `saliency`.
        dtype: Compute dtype; that of the embedding table when None. The norm is float32.

    Raises:
        ValueError: A leaf, view or array that is missing or of the wrong shape, by name.
    """
    return _from_tokens(params, obs, valid, dtype, _head_norm if after_head else _encoder_norm)


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
    num_steps: int = model.NUM_STEPS,
    action_horizon: int | None = None,
    dtype: Any = None,
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
        num_steps: Denoising steps.
        action_horizon: H of the drawn noise; openpi's default of 50 when None.
        dtype: Compute dtype; that of the embedding table when None.

    Returns:
        Maps in normalised action per unit of pixel value, of which black to white is 2; never
        negative. Pixels are the model's, after resizing.

    Raises:
        ValueError: A leaf, view or array that is missing or of the wrong shape, or an option out of
            range, by name.
    """
    if num_probes is not None:
        _check_count("num_probes", num_probes)
    call = _policy_call(params, obs, valid, dtype)
    return _input_gradient(
        *call,
        noise,
        jax.random.key(0) if key is None else key,
        num_probes=num_probes,
        chosen=_Chosen(_hashable(action_dims), horizon),
        sampling=_sampling(noise_draws, num_steps, action_horizon),
    )


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
    num_steps: int = model.NUM_STEPS,
    action_horizon: int | None = None,
    dtype: Any = None,
) -> IntegratedGradients:
    """The action error of blurring everything, shared out among the pixels.

    Integrated gradients (Sundararajan et al. 2017) of δ(x) = the error of the actions at x against
    those at the frame V, along the straight path x(t) = B + t (V − B) from the blurred frames to
    the frames, all views at once: −(V − B) ∫₀¹ ∇δ(x(t)) dt, summed over channels. The sign makes a
    pixel positive whose sharpness brings the actions back to those of the frame. Both ends are
    ISS's own: δ is 0 at the frame and, at the blur, the effect of the mask that keeps nothing; and
    the maps sum to that effect (completeness). The integral is a Gauss-Legendre rule, one forward
    and one backward pass a point.

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
        num_steps: Denoising steps.
        action_horizon: H of the drawn noise; openpi's default of 50 when None.
        dtype: Compute dtype; that of the embedding table when None.

    Returns:
        `IntegratedGradients`. Scores may be negative: NMR by count ranks them as they are, by mass
        it counts them as zero.

    Raises:
        ValueError: A leaf, view or array that is missing or of the wrong shape, or an option out of
            range, by name.
    """
    _check_count("num_points", num_points)
    if not blur_sigma > 0.0:
        raise ValueError(f"blur_sigma must be positive (pixels), got {blur_sigma}")
    if reduction not in divergence.REDUCTIONS:
        raise ValueError(f"reduction must be one of {divergence.REDUCTIONS}, got {reduction!r}")
    call = _policy_call(params, obs, valid, dtype)
    return _integrated_gradients(
        *call,
        noise,
        jax.random.key(0) if key is None else key,
        num_points=num_points,
        blur_sigma=blur_sigma,
        reduction=reduction,
        chosen=_Chosen(_hashable(action_dims), horizon),
        sampling=_sampling(noise_draws, num_steps, action_horizon),
    )


def random_map(key: Key[Array, ""], saliency: Saliency) -> Explanation:
    """An explanation that knows nothing: true scores dealt to random cells of all views.

    The map has the values and the smoothness of the true one; only the places are lost. Cells that
    masked nothing (absent views, padding) neither give nor take.

    Args:
        key: Of the permutations, one for each observation.
        saliency: Whose scores are dealt.
    """
    views = list(saliency.maps)
    *_, grid_rows, grid_columns = saliency.cells.shape
    grid = (grid_rows, grid_columns)
    scores = saliency.cells.reshape(-1, math.prod(saliency.cells.shape[-3:]))
    touched = [mask_designs.touched_cells(saliency.valid[view], grid) for view in views]
    active = jnp.stack(touched, axis=-3).reshape(scores.shape)
    places = jnp.broadcast_to(jnp.arange(scores.shape[1])[None], scores.shape)
    shuffled = jax.random.permutation(key, places, axis=1, independent=True)
    source = _active_first(shuffled, jnp.take_along_axis(active, shuffled, axis=1))
    target = _active_first(places, active)
    rows = jnp.arange(scores.shape[0])[:, None]
    given = jnp.take_along_axis(jnp.where(active, scores, 0.0), source, axis=1)
    dealt = jnp.zeros_like(scores).at[rows, target].set(given).reshape(saliency.cells.shape)
    maps = {}
    for index, view in enumerate(views):
        inside = saliency.valid[view]
        *_, height, width = inside.shape
        upsampled = mask_designs.upsample(dealt[..., index, :, :], (height, width))
        maps[view] = jnp.where(inside, upsampled, 0.0)
    return Explanation(maps, dict(saliency.valid))


def _active_first(places: Array, active: Array) -> Array:
    order = jnp.argsort(~active, axis=1, stable=True)
    return jnp.take_along_axis(places, order, axis=1)


class _Shape(NamedTuple):
    """What is static of the policy and the observation."""

    views: tuple[str, ...]
    image_size: int
    dtype: jnp.dtype


class _Call(NamedTuple):
    params: Params
    obs: Observation
    valid: dict[str, Array]
    shape: _Shape


class _Frames(NamedTuple):
    """Preprocessed observation that holds the views that may be present, and its pixels."""

    obs: Observation
    picture: dict[str, Array]
    valid: dict[str, Array]


class _Sampling(NamedTuple):
    noise_draws: int
    num_steps: int
    action_horizon: int | None


class _Chosen(NamedTuple):
    action_dims: int | tuple[int, ...] | None
    horizon: int | None


def _call(params: Any, obs: Any, valid: Any, dtype: Any) -> _Call:
    params = as_params(params)
    sizes = sizes_of(params)
    obs = policy_observation(obs)
    dtype = model.compute_dtype(params) if dtype is None else jnp.dtype(dtype)
    shape = _Shape(possible_views(obs), sizes.image.image_size, dtype)
    return _Call(params, obs, checked_valid(valid, obs.images), shape)


def _policy_call(params: Any, obs: Any, valid: Any, dtype: Any) -> _Call:
    call = _call(params, obs, valid, dtype)
    with jax.ensure_compile_time_eval():
        warn_if_constant(call.params)
    return call


def _sampling(noise_draws: int, num_steps: int, action_horizon: int | None) -> _Sampling:
    _check_count("noise_draws", noise_draws)
    _check_count("num_steps", num_steps)
    return _Sampling(noise_draws, num_steps, action_horizon)


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be an integer >= 1, got {value!r}")


def _hashable(action_dims: int | Sequence[int] | None) -> int | tuple[int, ...] | None:
    if action_dims is None or isinstance(action_dims, int):
        return action_dims
    return tuple(action_dims)


def _frames(obs: Observation, valid: dict[str, Array], shape: _Shape) -> _Frames:
    given, obs = obs, preprocess(obs, shape.image_size)
    picture = picture_pixels(given, valid, shape.views, shape.image_size) or {}
    inside = {}
    for view in shape.views:
        there = jnp.broadcast_to(obs.image_masks[view][:, None, None], obs.images[view].shape[:3])
        inside[view] = there & picture[view] if view in picture else there
    obs = dataclasses.replace(
        obs,
        images={view: obs.images[view] for view in shape.views},
        image_masks={view: obs.image_masks[view] for view in shape.views},
    )
    return _Frames(obs, picture, inside)


def _explanation(maps: dict[str, Array], frames: _Frames) -> Explanation:
    """Maps of all the model's views, zero where nothing took part."""
    inside = next(iter(frames.valid.values()))
    absent, nowhere = jnp.zeros(inside.shape, jnp.float32), jnp.zeros(inside.shape, bool)
    valid = {view: frames.valid.get(view, nowhere) for view in VIEWS}
    return Explanation(
        {view: jnp.where(valid[view], maps.get(view, absent), 0.0) for view in VIEWS}, valid
    )


TokenScore = Callable[[Params, Float[Array, "b h w 3"], jnp.dtype], Float[Array, "b t"]]


def _from_tokens(params: Any, obs: Any, valid: Any, dtype: Any, score: TokenScore) -> Explanation:
    call = _call(params, obs, valid, dtype)
    image_tower = call.params["PaliGemma"]["img"]
    return _token_maps(image_tower, call.obs, call.valid, call.shape, score)


@partial(jax.jit, static_argnames=("shape", "score"))
def _token_maps(
    img: Params, obs: Observation, valid: dict[str, Array], shape: _Shape, score: TokenScore
) -> Explanation:
    frames = _frames(obs, valid, shape)
    maps = {}
    for view, images in frames.obs.images.items():
        scores = score(img, images, shape.dtype)
        side = math.isqrt(scores.shape[-1])
        cells = scores.reshape(-1, side, side)
        maps[view] = mask_designs.upsample(cells, (shape.image_size, shape.image_size))
    return _explanation(maps, frames)


def _attention_received(img: Params, images: Array, dtype: jnp.dtype) -> Array:
    last = jax.tree.map(lambda leaf: leaf[-1], img["Transformer"]["encoderblock"])
    block_input = siglip.encode(img, images, dtype).last_block_input
    return siglip.attention_weights(last, block_input).mean(1).sum(1)


def _head_norm(img: Params, images: Array, dtype: jnp.dtype) -> Array:
    tokens = siglip.encode(img, images, dtype).tokens
    return jnp.linalg.norm(tokens.astype(jnp.float32), axis=-1)


def _encoder_norm(img: Params, images: Array, dtype: jnp.dtype) -> Array:
    encoded = siglip.encode(img, images, dtype).encoded
    return jnp.linalg.norm(encoded.astype(jnp.float32), axis=-1)


Images = dict[str, Float[Array, "h w 3"]]
Sample = Callable[[Images], Float[Array, "draws horizon dims"]]


def _each_example(
    explain: Callable[[Sample, Images, dict[str, Array]], Any],
    params: Params,
    frames: _Frames,
    noise: Float[Array, "b draws horizon dims"],
    num_steps: int,
    dtype: jnp.dtype,
) -> Any:
    """`explain(sample, images, picture)` of one example after the other, which bounds memory."""

    def one(example: tuple[Observation, dict[str, Array], Array]) -> Any:
        obs, picture, draws = example
        alone = jax.tree.map(lambda x: x[None], obs)

        def sample(images: Images) -> Array:
            rows = {view: image[None] for view, image in images.items()}
            prefix = model.embed_prefix(params, dataclasses.replace(alone, images=rows), dtype)
            cache = model.prefill(params, prefix)

            def denoise(draw: Array) -> Array:
                return model.denoise(params, cache, prefix.mask, draw[None], num_steps)[0]

            return jax.lax.map(denoise, draws)

        return explain(sample, obs.images, picture)

    return jax.lax.map(one, (frames.obs, frames.picture, noise))


def _noise(noise: Any, key: Array, params: Params, obs: Observation, sampling: _Sampling) -> Array:
    assert obs.tokenized_prompt is not None  # `preprocess` has checked it
    batch, action_dim = obs.tokenized_prompt.shape[0], params["action_in_proj"]["kernel"].shape[0]
    return flow_noise(noise, key, batch, sampling.noise_draws, sampling.action_horizon, action_dim)


@partial(jax.jit, static_argnames=("shape", "num_probes", "chosen", "sampling"))
def _input_gradient(
    params: Params,
    obs: Observation,
    valid: dict[str, Array],
    shape: _Shape,
    noise: Array | None,
    key: Array,
    *,
    num_probes: int | None,
    chosen: _Chosen,
    sampling: _Sampling,
) -> Explanation:
    frames = _frames(obs, valid, shape)
    # Split as `saliency` does, whose first key draws masks.
    probe_key, noise_key = jax.random.split(key)
    noise = _noise(noise, noise_key, params, frames.obs, sampling)

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

    maps = _each_example(explain, params, frames, noise, sampling.num_steps, shape.dtype)
    return _explanation(maps, frames)


@partial(
    jax.jit,
    static_argnames=("shape", "num_points", "blur_sigma", "reduction", "chosen", "sampling"),
)
def _integrated_gradients(
    params: Params,
    obs: Observation,
    valid: dict[str, Array],
    shape: _Shape,
    noise: Array | None,
    key: Array,
    *,
    num_points: int,
    blur_sigma: float,
    reduction: str,
    chosen: _Chosen,
    sampling: _Sampling,
) -> IntegratedGradients:
    frames = _frames(obs, valid, shape)
    _, noise_key = jax.random.split(key)
    noise = _noise(noise, noise_key, params, frames.obs, sampling)
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

    maps, effect = _each_example(explain, params, frames, noise, sampling.num_steps, shape.dtype)
    return IntegratedGradients(*_explanation(maps, frames), effect)
