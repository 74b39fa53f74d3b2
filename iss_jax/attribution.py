"""Attribution of any policy: masked runs in micro-batches, their effects, the saliency maps."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from iss_jax import (
    sharding,
)
from iss_jax.checks import check_actions, check_finite, check_masks, check_options
from iss_jax.config import ISSConfig
from iss_jax.few import few
from iss_jax.keys import batch_key
from iss_jax.masked_runs import draw_masks, masked_saliency
from iss_jax.results import Cameras, Saliency, effect_unit, example

Policy = Callable[..., Float[Array, "n horizon dims"]]


def attribute(
    policy: Policy,
    images: Mapping[str, Float[Array, "*b h w 3"]],
    *,
    key: Key[Array, ""] | Key[Array, " b"] | None = None,
    config: ISSConfig = ISSConfig(),
    masks: Bool[Array, "*b n views gh gw"] | None = None,
    present: Mapping[str, Bool[Array, "*b"]] | None = None,
    valid: Mapping[str, Bool[Array, "*b h w"]] | None = None,
    noise: Any = None,
    mesh: jax.sharding.Mesh | None = None,
) -> Saliency:
    """Interventional saliency (Algorithm 1) of any JAX policy, for one frame of every view.

    >>> import jax.numpy as jnp
    >>> from iss_jax import ISSConfig, attribute
    >>> def policy(images):
    ...     return images["front"].mean((1, 2))[:, None, :]
    >>> sal = attribute(policy, {"front": jnp.ones((14, 14, 3))}, config=ISSConfig(num_masks=8))
    >>> sal.maps["front"].shape, sal.cells.shape, sal.effects.shape
    ((14, 14), (1, 7, 7), (8,))

    The call is compiled once for each policy and shape. A policy that holds parameters should hand
    them over as `jax.tree_util.Partial(policy, params)`: arrays in a plain closure become constants
    of the compiled program.

    Args:
        policy: `{view: [n, h, w, 3]} -> actions [n, H, A]` on float32 images, in the same range as
            `images`. With `noise` it is called `policy(images, draw)`.
        images: One frame of each view, [h, w, 3], or a batch [b, h, w, 3] taken frame by frame.
        key: Key of the masks, `jax.random.key(0)` when None; keys [b] give each frame its own.
        config: Static options.
        masks: Keep bits to use instead of random ones; views in sorted name order. Standard errors
            take them to be drawn as `config.design` says.
        present: Views that are there; a missing entry means present.
        valid: Pixels that belong to the picture rather than to letterbox padding.
        noise: Draws for a policy that samples: a pytree with leading axis `config.noise_draws`,
            shared by the baseline and all masked runs.
        mesh: Devices over which masks and frames are split, see `iss_jax.device_mesh`.

    Returns:
        `Saliency`, without the batch axis when the images have none.

    Raises:
        ValueError: Names, shapes or options that do not fit together, or a policy that does not
            answer one action chunk a row.
        TypeError: `config` is no `ISSConfig`.
    """
    config = check_options("config", config, ISSConfig)
    frames, batched = as_batch(images)
    views = list(frames)
    if noise is None and config.noise_draws != 1:
        raise ValueError(
            f"ISSConfig.noise_draws is {config.noise_draws} but no noise was given to average over"
        )
    if noise is not None:
        for leaf in jax.tree.leaves(noise):
            check_finite("noise", leaf)
        lengths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(noise)}
        if lengths != {(config.noise_draws,)}:
            raise ValueError(
                f"noise must have leading axis noise_draws = {config.noise_draws}, got {lengths}"
            )
    for name, given in (("present", present), ("valid", valid)):
        unknown = sorted(set(given or {}) - set(views))
        if unknown:
            raise ValueError(f"{name} names views {few(unknown)}, images hold {few(views)}")
        check_masks(name, given)
    batch = frames[views[0]].shape[0]
    if present is not None:
        present = {
            view: jnp.broadcast_to(jnp.asarray(present.get(view, True), bool), (batch,))
            for view in views
        }
    if valid is not None:
        valid = {
            view: jnp.broadcast_to(jnp.asarray(valid[view], bool), frames[view].shape[:3])
            for view in sorted(valid)
        }
    if jax.tree_util.all_leaves([policy]):
        policy = jax.tree_util.Partial(policy)
    config = config.resolved(config.estimator != "auto" or differentiable(policy, frames, noise))
    if masks is None:
        masks = draw_masks(batch_key(key, batch), len(views), config)
    arguments = (policy, frames, jnp.asarray(masks), present, valid, noise)
    if mesh is not None:
        arguments = sharding.replicate(arguments, mesh)
    result = dataclasses.replace(
        _attribute(*arguments, config, mesh),
        cameras=Cameras({view: view for view in views}),
        unit=effect_unit(config, "the policy's own actions"),
    )
    if not batched:
        result = example(result)
    return result


def as_batch(
    images: Mapping[str, Float[Array, "*b h w 3"]],
) -> tuple[dict[str, Float[Array, "b h w 3"]], bool]:
    """Frames with a batch axis, views in sorted order, and whether they had one.

    Raises:
        ValueError: No view, other ranks than three or four, batches of different sizes, pixels that
            are no numbers or not finite.
        TypeError: No mapping.
    """
    if not isinstance(images, Mapping):
        raise TypeError(f"images must map views to frames, got {type(images).__name__}")
    for view, own in images.items():
        check_finite(f"images[{view!r}]", own)
    frames = {view: jnp.asarray(images[view]) for view in sorted(images)}
    if not frames:
        raise ValueError("images must hold at least one view, got none")
    for view, frame in frames.items():
        if frame.dtype == jnp.bool_ or jnp.issubdtype(frame.dtype, jnp.complexfloating):
            raise ValueError(f"images[{view!r}] must be numbers, got {frame.dtype}")
    ranks = {view: frame.ndim for view, frame in frames.items()}
    if set(ranks.values()) not in ({3}, {4}):
        raise ValueError(f"images must all be [h, w, 3] or all [b, h, w, 3], got ranks {ranks}")
    batched = 4 in ranks.values()
    if not batched:
        frames = {view: frame[None] for view, frame in frames.items()}
    sizes = {view: frame.shape[0] for view, frame in frames.items()}
    if len(set(sizes.values())) != 1:
        raise ValueError(f"images must share their batch size, got {sizes}")
    return frames, batched


def differentiable(policy: Policy, images: Mapping[str, Any], noise: Any = None) -> bool:
    """Whether JAX can differentiate the policy with respect to its images.

    It cannot where the policy calls back to the host (a served policy) or loops an unknown number
    of times, nor where the actions are integers. A policy whose derivative is zero
    (`stop_gradient`) counts as one that can.

    Args:
        policy: As for `attribute`.
        images: Frames, [n, h, w, 3]; only their shapes matter.
        noise: As for `attribute`.
    """
    rows = {
        view: jax.ShapeDtypeStruct((1, *jnp.shape(frame)[1:]), jnp.float32)
        for view, frame in images.items()
    }
    extra = () if noise is None else (jax.tree.map(lambda leaf: leaf[0], noise),)

    def call(rows: dict[str, Array]) -> Array:
        return check_actions(policy(rows, *extra), 1)

    actions = jax.eval_shape(call, rows)

    def pulled(rows: dict[str, Array]) -> Any:
        return jax.vjp(call, rows)[1](jnp.ones(actions.shape, actions.dtype))

    try:
        jax.eval_shape(pulled, rows)
    except (ValueError, TypeError, NotImplementedError):
        # Called forwards the policy works, so that this is about its derivative.
        return False
    return True


@partial(jax.jit, static_argnames=("config", "mesh"))
def _attribute(
    policy: Any,
    images: dict[str, Array],
    masks: Array,
    present: dict[str, Array] | None,
    valid: dict[str, Array] | None,
    noise: Any,
    config: ISSConfig,
    mesh: jax.sharding.Mesh | None,
) -> Saliency:
    def run(shared: Any, example: Any, rows: dict[str, Array]) -> Array:
        del example
        policy, noise = shared
        count = next(iter(rows.values())).shape[0]
        if noise is None:
            return check_actions(policy(rows), count)[:, None]

        def answer(draw: Any) -> Array:
            return check_actions(policy(rows, draw), count)

        return jnp.moveaxis(jax.lax.map(answer, noise), 0, 1)

    return masked_saliency(run, (policy, noise), None, images, masks, present, valid, config, mesh)
