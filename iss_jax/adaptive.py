r"""Maps of a requested accuracy: rounds of masked runs until the standard error is small enough.

How many masks a map takes differs from frame to frame, a hundredfold between frames of one policy,
and cannot be told beforehand. So runs are made in rounds of equal size, one compiled program for
all of them, and a map ends when its own rounds agree well enough, or at a cap.

What has to be small is the error of a map's *contrast*, the score of a cell less the mean score of
all active cells. That mean shifts a whole map and changes neither its ranking nor its picture, and
it is most of the error of a single score. Each round is a map of its own, independent of the
others, so that the contrast's error is seen between rounds, whatever the estimator and the design:

    V = mean over cells of var(rounds) / R,    S = mean over cells of contrast^2 - V,

S being the squared spread of the map with the noise taken off. A map has relative error t when
V <= t^2 S; another map of the same frame and accuracy then correlates with it at 1 / (1 + t^2),
and the converged one at 1 / sqrt(1 + t^2), less whatever bias the estimator has.

The scores are estimated once more at the end from all runs together. For `centred`, `fixed` and
`ratio` that is the mean over rounds (with the balanced design to the digit: rounds keep a cell
equally often); `clipped` loses with many runs a part of its bias that it has in each round.

Stopping on what was seen costs a little honesty. By Wald's identity the sum over rounds is unbiased
and the mean is not, for rounds that happen to agree end a map early. With w a round's own mean
squared contrast and s its score, the bias of the score after about R rounds is to first order
-cov(s, w) / (R E[w]): a map is low where large effects come with large disagreement, by a fraction
of its standard error that falls with 1 / sqrt(R). The error itself is understated where effects
have tails that no round has seen, or where cells are so few that rounds agree by chance.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Key

from iss_jax import masks as mask_designs
from iss_jax.attribution import Policy, attribute, differentiable
from iss_jax.checks import check_options
from iss_jax.config import ISSConfig
from iss_jax.masked_runs import cell_scores, draw_masks, pixel_maps
from iss_jax.pi0_fast.params import is_fast
from iss_jax.pi05.observation import VIEWS
from iss_jax.pi05.params import as_params
from iss_jax.pi05_saliency import saliency
from iss_jax.records import Record, is_concrete, record
from iss_jax.results import MaskRuns, Saliency, example

# Rounds before the first look: fewer agree by chance too often.
LEAST_ROUNDS = 4

# Masks of a round where none are asked for; at p = 0.3 the balanced design holds p exactly.
ROUND_WITH_GRADIENTS, ROUND = 10, 50


@record
class Adaptive(Record):
    """A map, and how far it came.

    >>> import jax.numpy as jnp
    >>> from iss_jax import attribute_until
    >>> def policy(images):
    ...     return images["front"][:, :7].mean((1, 2))[:, None, :]
    >>> images = {"front": jnp.linspace(0.0, 1.0, 14 * 14 * 3).reshape(14, 14, 3)}
    >>> found = attribute_until(policy, images, target_stderr=0.5, most_masks=2000)
    >>> bool(found.reached), found.rounds.shape
    (True, (5, 1, 7, 7))

    Attributes:
        saliency: From all runs of all rounds.
        error: Root mean square over the active cells of the contrast's standard error; in units of
            the map's spread where the target is relative. Infinite where no spread stands out.
        reached: Whether that is at most the target; otherwise the cap ended it.
        rounds: Each round's own cell scores.
    """

    saliency: Saliency
    error: Float[np.ndarray, "*b"]
    reached: Bool[np.ndarray, "*b"]
    rounds: Float[np.ndarray, "r *b views gh gw"]

    def summary(self) -> tuple[str, list[tuple[str, str]]]:
        """What `repr` says: the map's own rows, and how far it came."""
        title, rows = self.saliency.summary()
        if not is_concrete(self) or not np.ndim(self.rounds):
            return f"Adaptive: {title}", rows
        errors, reached = np.ravel(self.error), np.ravel(self.reached)
        error = f"{errors.max():.3g} at most, target reached by {reached.sum()} of {reached.size}"
        return f"Adaptive: {title}", [*rows, ("rounds", f"{len(self.rounds)}; error {error}")]

    def plot(self, index: int | tuple[int, ...] = 0) -> Any:
        """As `Saliency.plot`."""
        return self.saliency.plot(index)


def saliency_until(
    params: Any,
    obs: Any,
    *,
    target_stderr: float,
    most_masks: int,
    relative: bool = True,
    key: Key[Array, ""] | None = None,
    config: ISSConfig = ISSConfig(),
    so_far: Adaptive | None = None,
    **options: Any,
) -> Adaptive:
    """`saliency` with as many masks as a standard error takes.

    A loop on the host: it cannot be traced, and compiles the map of one round once. A batch goes on
    until every one of its observations has got there, so give one at a time where they differ.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> import iss_jax
    >>> found = iss_jax.saliency_until(
    ...     policy.params,
    ...     obs,
    ...     target_stderr=0.3,
    ...     most_masks=20,
    ...     config=iss_jax.ISSConfig(num_masks=4, action_dims=7),
    ...     action_horizon=16,
    ... )
    >>> len(found.rounds) <= 5, found.saliency.effects.shape[1] == 4 * len(found.rounds)
    (True, True)

    Args:
        params: As for `saliency`.
        obs: As for `saliency`.
        target_stderr: The standard error of the contrast that is wanted, see `Adaptive.error`:
            relative to the spread of the map, or in the effects' own unit.
        most_masks: No more masks than this; whole rounds, `LEAST_ROUNDS` at least.
        relative: Whether the target is in units of the map's spread.
        key: Key of masks and flow noise; round r draws its masks from `fold_in(key, r)`.
        config: Its `num_masks` are those of one round; 10 when None and the estimator takes
            gradients, 50 when it does not. Every round runs the unmasked frame again.
        so_far: What an earlier call with the same inputs found; its rounds are not run again. The
            result is that of one call.
        **options: Further arguments of `saliency`, but for `masks`.

    Raises:
        TypeError: Called inside `jit`, `vmap`, `grad` or `scan`.
        ValueError: A target or cap that cannot be, the `ridge` estimator, `so_far` of other inputs.
    """
    config = _round_config(config, differentiable_policy=True)
    key = jax.random.key(0) if key is None else key

    def step(masks: Array) -> Saliency:
        return saliency(params, obs, key=key, config=config, masks=masks, **options)

    # A π0-FAST has whatever views it is shown.
    views = len(obs.images) if is_fast(as_params(params)) else len(VIEWS)
    draw = partial(_draw, key, views, config)
    return _until(step, draw, target_stderr, most_masks, relative, config, so_far)


def attribute_until(
    policy: Policy,
    images: Mapping[str, Float[Array, "*b h w 3"]],
    *,
    target_stderr: float,
    most_masks: int,
    relative: bool = True,
    key: Key[Array, ""] | None = None,
    config: ISSConfig = ISSConfig(),
    so_far: Adaptive | None = None,
    **options: Any,
) -> Adaptive:
    """`attribute` with as many masks as a standard error takes; see `saliency_until`.

    >>> import jax.numpy as jnp
    >>> from iss_jax import attribute_until
    >>> def policy(images):
    ...     return images["front"][:, :7].mean((1, 2))[:, None, :]
    >>> images = {"front": jnp.linspace(0.0, 1.0, 14 * 14 * 3).reshape(14, 14, 3)}
    >>> found = attribute_until(policy, images, target_stderr=0.5, most_masks=2000)
    >>> bool(found.reached), len(found.rounds), found.saliency.effects.shape
    (True, 5, (250,))

    Args:
        policy: As for `attribute`.
        images: As for `attribute`.
        target_stderr: As for `saliency_until`, and so is what follows.
        most_masks: See there.
        relative: See there.
        key: See there.
        config: See there.
        so_far: See there.
        **options: Further arguments of `attribute`, but for `masks`.

    Raises:
        TypeError: Called inside `jit`, `vmap`, `grad` or `scan`.
        ValueError: A target or cap that cannot be, the `ridge` estimator, `so_far` of other inputs.
    """
    one = all(jnp.ndim(frame) == 3 for frame in images.values())
    if one:
        images = {view: jnp.asarray(frame)[None] for view, frame in images.items()}
    known = config.estimator != "auto" or differentiable(policy, images, options.get("noise"))
    config = _round_config(config, differentiable_policy=known)
    key = jax.random.key(0) if key is None else key
    if one and so_far is not None:
        so_far = _batch_of_one(so_far)

    def step(masks: Array) -> Saliency:
        return attribute(policy, images, config=config, masks=masks, **options)

    draw = partial(_draw, key, len(images), config)
    found = _until(step, draw, target_stderr, most_masks, relative, config, so_far)
    if not one:
        return found
    error, reached = found.error[0], found.reached[0]
    return Adaptive(example(found.saliency), error, reached, found.rounds[:, 0])


def contrast_error(
    rounds: Float[np.ndarray, "r *b views gh gw"], active: Bool[np.ndarray, "*b views gh gw"]
) -> tuple[Float[np.ndarray, "*b"], Float[np.ndarray, "*b"]]:
    """Standard error of the mean contrast, and spread of the map without it.

    Args:
        rounds: Cell scores of each round.
        active: Cells that mask something.

    Returns:
        Root mean square over the active cells of either; the spread is zero where the rounds'
        disagreement explains all of it.
    """
    count = len(rounds)
    axes = (-3, -2, -1)
    weight = active / np.maximum(active.sum(axes, keepdims=True), 1)
    rounds = rounds.astype(np.float64)
    contrast = rounds - (weight * rounds).sum(axes, keepdims=True)
    variance = (weight * contrast.var(0, ddof=1)).sum(axes) / count
    square = (weight * np.square(contrast.mean(0))).sum(axes)
    return np.sqrt(variance), np.sqrt(np.maximum(square - variance, 0.0))


def _round_config(config: ISSConfig, differentiable_policy: bool) -> ISSConfig:
    config = check_options("config", config, ISSConfig)
    if config.estimator == "ridge":
        raise ValueError(
            "ISSConfig.estimator 'ridge' shrinks each round towards a flat map, so that its rounds "
            "agree on too little; wanted one whose error is its standard error, such as 'centred'"
        )
    resolved = config.resolved(differentiable_policy)
    if config.num_masks is not None:
        return resolved
    size = ROUND_WITH_GRADIENTS if resolved.takes_gradients else ROUND
    return dataclasses.replace(resolved, num_masks=size)


def _draw(key: Array, num_views: int, config: ISSConfig, index: int) -> Array:
    return draw_masks(jax.random.fold_in(key, index), num_views, config)


def _until(
    step: Callable[[Array], Saliency],
    draw: Callable[[int], Array],
    target: float,
    most_masks: int,
    relative: bool,
    config: ISSConfig,
    so_far: Adaptive | None,
) -> Adaptive:
    size = config.num_masks
    assert size is not None
    if not target > 0.0:
        raise ValueError(f"target_stderr must be positive, got {target}")
    if most_masks < LEAST_ROUNDS * size:
        raise ValueError(
            f"most_masks must hold {LEAST_ROUNDS} rounds of {size} masks (ISSConfig.num_masks), "
            f"got {most_masks}"
        )
    first, parts, cells = None, [], []
    if so_far is not None:
        first, cells = so_far.saliency, list(so_far.rounds)
        parts = [_runs(first)]
        if not np.array_equal(first.masks[:size], draw(0)):
            raise ValueError("so_far has masks of another key, grid, design or round size")
    while True:
        if first is not None and len(cells) >= LEAST_ROUNDS:
            error, spread = contrast_error(np.stack(cells), _active(first, config.grid))
            if relative:
                with np.errstate(divide="ignore"):
                    error = np.divide(error, spread, out=np.zeros_like(error), where=error > 0.0)
            reached = error <= target
            if reached.all() or (len(cells) + 1) * size > most_masks:
                return Adaptive(_together(first, parts, config), error, reached, np.stack(cells))
        new = step(draw(len(cells)))
        if isinstance(new.effects, Tracer):
            raise TypeError(
                "a map of a requested standard error takes as many rounds as its runs tell, and "
                "cannot be traced: call it outside jit, vmap, grad and scan, or take a fixed "
                "number of masks with saliency or attribute"
            )
        if first is None:
            first = new
        elif len(parts) == 1 and not np.allclose(first.actions, new.actions, rtol=1e-2, atol=1e-3):
            raise ValueError("so_far is of another observation, policy or noise: actions differ")
        parts.append(_runs(new))
        cells.append(np.asarray(new.cells))


def _runs(found: Saliency) -> tuple[Array, MaskRuns]:
    return found.masks, MaskRuns(found.effects, found.gradients)


def _active(found: Saliency, grid: tuple[int, int]) -> np.ndarray:
    """Cells that mask something, of each example and view."""
    views = [mask_designs.touched_cells(inside, grid) for inside in found.valid.values()]
    return np.stack(views, axis=1)


def _together(first: Saliency, parts: list[tuple[Array, MaskRuns]], config: ISSConfig) -> Saliency:
    """One map from the runs of all rounds; what else a map holds is the first's."""
    masks = jnp.concatenate([masks for masks, _ in parts])
    runs = jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1), *(r for _, r in parts))
    found = cell_scores(masks, runs, jnp.asarray(_active(first, config.grid)), config)
    return dataclasses.replace(
        first,
        maps=pixel_maps(found.scores, first.valid),
        cells=found.scores,
        stderr=found.stderr,
        contrast_stderr=found.contrast_stderr,
        effects=runs.effects,
        masks=masks,
        gradients=runs.gradients,
    )


def _batch_of_one(found: Adaptive) -> Adaptive:
    alone = dataclasses.replace(found.saliency, masks=None)
    batch = jax.tree.map(lambda leaf: leaf[None], alone)
    return Adaptive(
        dataclasses.replace(batch, masks=found.saliency.masks),
        found.error[None],
        found.reached[None],
        found.rounds[:, None],
    )
