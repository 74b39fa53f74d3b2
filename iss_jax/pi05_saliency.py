"""`saliency(params, obs)`: interventional saliency of openpi's policies."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from iss_jax import sharding
from iss_jax.checks import check_observation, check_options
from iss_jax.config import ISSConfig
from iss_jax.control import check_control
from iss_jax.keys import batch_key, split_two
from iss_jax.masked_runs import check_masks, draw_masks, masked_saliency
from iss_jax.pi0_fast.params import is_fast
from iss_jax.pi0_fast.saliency import fast_saliency
from iss_jax.pi05 import gemma, model
from iss_jax.pi05.observation import VIEWS, Observation, preprocess
from iss_jax.pi05.params import as_params, sizes_of, warn_if_constant
from iss_jax.pi05.prepare import (
    checked_valid,
    flow_noise,
    picture_pixels,
    policy_observation,
    possible_views,
)
from iss_jax.results import Saliency, effect_unit
from iss_jax.sampling import Sampling


def saliency(
    params: Any,
    obs: Any,
    *,
    key: Key[Array, ""] | Key[Array, " b"] | None = None,
    config: ISSConfig = ISSConfig(),
    noise: Float[Array, "b horizon dims"] | Float[Array, "b draws horizon dims"] | None = None,
    masks: Bool[Array, "*b n views gh gw"] | None = None,
    control: Float[Array, "b views gh gw"] | None = None,
    mesh: jax.sharding.Mesh | None = None,
    valid: Mapping[str, Bool[Array, "b h w"]] | None = None,
    action_horizon: int | None = None,
    sampling: Sampling = Sampling(),
) -> Saliency:
    """Interventional saliency (ISS, Algorithm 1) of a π0.5 policy on a batch of observations.

    A pure function that may be called inside `jit`, `vmap` and `grad`. On concrete inputs it leaves
    out what changes nothing but rounding: prompt padding, and views that every example lacks. It
    then compiles once for each shape.

    >>> import numpy as np
    >>> import iss_jax
    >>> from iss_jax import embedded
    >>> policy = iss_jax.from_checkpoint(embedded.checkpoint_path(), "embedded", dtype=None)
    >>> frame = np.linspace(0, 255, 80 * 80 * 3).astype(np.uint8).reshape(80, 80, 3)
    >>> frames = {camera: frame for camera in policy.config.cameras.values()}
    >>> obs = policy.observation(frames, np.zeros(8), "pick up the milk")
    >>> config = iss_jax.ISSConfig(num_masks=4, action_dims=7)
    >>> sal = iss_jax.saliency(policy.params, obs, config=config, action_horizon=16)
    >>> sal.maps["base_0_rgb"].shape, sal.cells.shape, sal.actions.shape
    ((1, 80, 80), (1, 3, 7, 7), (1, 16, 7))

    Args:
        params: openpi's parameter tree: a nested dict, an `nnx.State`, or leaves under "value".
        obs: Batched object with openpi's `Observation` attributes.
        key: Key of masks and flow noise; `jax.random.key(0)` when None, so that the same inputs
            give the same map. One key gives every row the same masks and noise, keys [b] give each
            row its own: a frame's map does not depend on where it stands in the batch.
        config: Static options.
        noise: Flow noise, shared by the baseline and all masked copies of an example; drawn from
            the key when None. With several `noise_draws` the draws are its second axis.
        masks: Keep bits in the order of the model's views, with a first axis b where each row has
            its own; drawn from the key when None. Bits of absent views are ignored. Standard errors
            take them to be drawn as `config.design` says.
        control: A map made without these runs, such as `iss_jax.amortised.predict(...).cells`: what
            it explains of the runs' noise is taken off, and nothing is biased however bad it is.
            Wants `estimator="centred"` and `design="bernoulli"`.
        mesh: Devices over which masks and frames are split, see `iss_jax.device_mesh`.
        valid: View -> pixels that are picture, at the size of the view's images. openpi's
            transforms letterbox a frame before the policy sees it: the bars are named here, or they
            are masked and ranked like picture. What this function pads itself it knows.
        action_horizon: H of the drawn noise, the one size that parameters do not tell. openpi's
            default of 50 when None; the noise's own H when noise is given.
        sampling: Denoising steps, compute dtype, rematerialisation, savings.

    Returns:
        `Saliency`: maps at the model's image size for each of its views, cell scores and their
        standard errors, effects, baseline actions (normalised, all dimensions).

    Raises:
        ValueError: A leaf, view or array that is missing or of the wrong shape, by name. Where
            values are known: frames or state that are not finite, floats that are not in [-1, 1],
            tokens beyond the table.
        TypeError: `config` is no `ISSConfig`.
    """
    config = check_options("config", config, ISSConfig)
    check_observation(obs)
    params = as_params(params)
    if is_fast(params):
        if control is not None:
            raise ValueError("control: a π0-FAST given, a π0.5 or π0 wanted")
        if noise is not None or action_horizon is not None:
            raise ValueError(
                "noise, action_horizon: a π0-FAST has neither flow noise nor chunks; its answers "
                "are as long as Sampling.answer_tokens at most"
            )
        return fast_saliency(
            params,
            obs,
            key=key,
            config=config,
            masks=masks,
            mesh=mesh,
            valid=valid,
            sampling=sampling,
        )
    sizes = sizes_of(params)
    with jax.ensure_compile_time_eval():
        warn_if_constant(params)
    valid = checked_valid(valid, obs.images)
    obs = policy_observation(obs, sizes.vocab, trim=sampling.savings.trim_prompt)
    assert obs.tokenized_prompt is not None
    batch = obs.tokenized_prompt.shape[0]
    mask_key, noise_key = split_two(batch_key(key, batch))
    noise = flow_noise(
        noise, noise_key, batch, config.noise_draws, action_horizon, sizes.action_dim
    )
    config = config.resolved(differentiable=True)
    if masks is None:
        masks = draw_masks(mask_key, len(VIEWS), config)
    masks = jnp.asarray(masks)
    if control is not None:
        control = jnp.asarray(control, jnp.float32)
        check_control(control, batch, len(VIEWS), config)
    if mesh is not None:
        arrays = (params, obs, noise, masks, control, valid)
        params, obs, noise, masks, control, valid = sharding.replicate(arrays, mesh)
    views = possible_views(obs) if sampling.savings.drop_absent_views else VIEWS
    return _saliency(
        params,
        obs,
        noise,
        masks,
        control,
        valid,
        config=config,
        mesh=mesh,
        views=views,
        image_size=sizes.image.image_size,
        sampling=sampling.resolved(model.compute_dtype(params)),
    )


class Shared(NamedTuple):
    """What altered copies of one observation share.

    Attributes:
        prompt: Embedded [l, w] (its ids where `embed_prompt_once` is off), or several [c, l, w].
        prompt_mask: Its valid tokens.
        present: View -> whether it is there.
        noise: Of each draw.
        state: What a π0 reads beside the prompt (`model.state_of`), one a prompt; None for π0.5.
    """

    prompt: Array
    prompt_mask: Bool[Array, "*c l"]
    present: dict[str, Bool[Array, ""]]
    noise: Float[Array, "draws horizon dims"]
    state: Float[Array, "*c A"] | None = None


@partial(jax.jit, static_argnames=("config", "mesh", "views", "image_size", "sampling"))
def _saliency(
    params: Any,
    obs: Observation,
    noise: Array,
    masks: Array,
    control: Array | None,
    valid: dict[str, Array],
    *,
    config: ISSConfig,
    mesh: jax.sharding.Mesh | None,
    views: tuple[str, ...],
    image_size: int,
    sampling: Sampling,
) -> Saliency:
    given, obs = obs, preprocess(obs, image_size)
    picture = picture_pixels(given.images, valid, views, image_size)
    images = {view: obs.images[view] for view in views}
    present = {view: obs.image_masks[view] for view in views}
    prompt, prompt_mask = obs.tokenized_prompt, obs.tokenized_prompt_mask
    assert prompt is not None and prompt_mask is not None
    if sampling.savings.embed_prompt_once:
        prompt = model.embed_prompt(params, prompt, sampling)
    state = model.state_of(params, obs.state, noise.shape[0])
    examples = Shared(prompt, prompt_mask, present, noise, state)

    run = partial(actions_of_rows, views=views, sampling=sampling)
    check_masks(masks, VIEWS, noise.shape[0], config)
    kept = np.asarray([VIEWS.index(view) for view in views])
    result = masked_saliency(
        run,
        params,
        examples,
        images,
        masks[..., kept, :, :],
        present,
        picture,
        config,
        mesh,
        sampling.savings,
        None if control is None else control[:, kept],
    )

    def all_views(cells: Array) -> Array:
        shape = (*cells.shape[:-3], len(VIEWS), *cells.shape[-2:])
        return jnp.zeros(shape, cells.dtype).at[..., kept, :, :].set(cells)

    batch = noise.shape[0]
    absent = jnp.zeros((batch, image_size, image_size), jnp.float32)
    nowhere = jnp.zeros(absent.shape, bool)
    return dataclasses.replace(
        result,
        maps={view: result.maps.get(view, absent) for view in VIEWS},
        valid={view: result.valid.get(view, nowhere) for view in VIEWS},
        cells=all_views(result.cells),
        stderr=all_views(result.stderr),
        contrast_stderr=all_views(result.contrast_stderr),
        masks=masks,
        gradients=None if result.gradients is None else all_views(result.gradients),
        frames={view: obs.images[view] for view in VIEWS},
        unit=effect_unit(config, "normalised actions"),
    )


def actions_of_rows(
    params: Any,
    example: Shared,
    rows: dict[str, Float[Array, "n h w 3"]],
    *,
    views: tuple[str, ...] = VIEWS,
    sampling: Sampling = Sampling(),
) -> Float[Array, "n draws horizon dims"]:
    """The policy on copies of one observation's frames: what a saliency map runs.

    Args:
        params: nested dict.
        example: what the copies share, one prompt.
        rows: copies of each view.
        views: those that take tokens, in the model's order.
        sampling: How the policy is run; of its savings, those of the prompt, the last prefix layer
            and the modulation.
    """
    prompt, prompt_mask, present, noise, state = example
    count = next(iter(rows.values())).shape[0]
    prompts = jnp.broadcast_to(prompt[None], (count, *prompt.shape))
    masks = jnp.broadcast_to(prompt_mask[None], (count, *prompt_mask.shape))
    states = None if state is None else jnp.broadcast_to(state[None], (count, *state.shape))
    cache, mask = prefilled_rows(params, rows, present, prompts, masks, states, views, sampling)

    def denoise(draw: Array) -> Array:
        draws = jnp.broadcast_to(draw[None], (count, *draw.shape))
        return model.denoise(params, cache, mask, draws, sampling)

    return jnp.moveaxis(jax.lax.map(denoise, noise), 0, 1)


def prefilled_rows(
    params: Any,
    rows: dict[str, Float[Array, "n h w 3"]],
    present: dict[str, Bool[Array, ""]],
    prompts: Array,
    prompt_masks: Bool[Array, "n l"],
    states: Float[Array, "n A"] | None,
    views: tuple[str, ...],
    sampling: Sampling,
) -> tuple[gemma.Cache, Bool[Array, "n s"]]:
    """The KV cache of altered copies of one observation, and which of its tokens count.

    Args:
        params: nested dict.
        rows: copies of each view.
        present: view -> whether it is there.
        prompts: embedded prompts [n, l, w]; their ids where `embed_prompt_once` is off.
        prompt_masks: their valid tokens.
        states: what a π0 reads beside them; None for π0.5.
        views: those that take tokens, in the model's order.
        sampling: How the policy is run.
    """
    tokens = [model.embed_images(params, rows[view], sampling) for view in views]
    mask = [jnp.broadcast_to(present[v], t.shape[:2]) for v, t in zip(views, tokens, strict=True)]
    if not sampling.savings.embed_prompt_once:
        prompts = model.embed_prompt(params, prompts, sampling)
    prefix = model.Prefix(
        jnp.concatenate([*tokens, prompts], axis=1),
        jnp.concatenate([*mask, prompt_masks], axis=1),
        states,
    )
    return model.prefill(params, prefix, sampling), prefix.mask
