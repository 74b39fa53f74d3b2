"""The control that every explanation is measured against: its own scores in random places."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from iss_jax import masks as mask_designs
from iss_jax.baselines.explanation import Explanation
from iss_jax.results import Saliency


def random_map(key: Key[Array, ""], saliency: Saliency) -> Explanation:
    """An explanation that knows nothing: true scores dealt to random cells of all views.

    The map has the values and the smoothness of the true one; only the places are lost. Cells that
    masked nothing (absent views, padding) neither give nor take.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from iss_jax import ISSConfig, attribute, baselines
    >>> def policy(images):
    ...     return images["front"][:, :7].mean((1, 2))[:, None, :]
    >>> frame = jnp.linspace(0.0, 1.0, 14 * 14 * 3).reshape(14, 14, 3)
    >>> sal = attribute(policy, {"front": frame}, config=ISSConfig(num_masks=8))
    >>> baselines.random_map(jax.random.key(1), sal).maps["front"].shape
    (14, 14)

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
    return Explanation(maps, dict(saliency.valid), saliency.frames, saliency.unit)


def _active_first(places: Array, active: Array) -> Array:
    order = jnp.argsort(~active, axis=1, stable=True)
    return jnp.take_along_axis(places, order, axis=1)
