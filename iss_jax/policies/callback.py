"""Saliency while a policy trains: NMR and overlays every so many steps, to any logger."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from iss_jax import nmr
from iss_jax.config import ISSConfig
from iss_jax.masked_runs import active_cells
from iss_jax.pi05.observation import VIEWS
from iss_jax.pi05_saliency import saliency
from iss_jax.records import drawing
from iss_jax.results import Saliency

__all__ = [
    "Writer",
    "saliency_callback",
]


class Writer(Protocol):
    """What takes the figures: the `wandb` module, a wandb run, `iss_jax.viz.tensorboard`.

    >>> class Printer:
    ...     def log(self, data, /, step):
    ...         print(step, data)
    >>> Printer().log({"iss/effect": 0.25}, step=100)
    100 {'iss/effect': 0.25}
    """

    def log(self, data: dict[str, Any], /, step: int) -> Any:
        """Takes scalars and pictures by name."""
        ...


def saliency_callback(
    writer: Writer,
    obs: Any,
    *,
    every: int,
    regions: Mapping[str, Any] | None = None,
    k: float = 10,
    config: ISSConfig = ISSConfig(),
    overlays: int = 2,
    picture: Callable[[np.ndarray], Any] | None = None,
    prefix: str = "iss",
    **options: Any,
) -> Callable[[Any, int], dict[str, Any] | None]:
    """A function `callback(state, step)` for a training loop; it does nothing off its steps.

    Parameters are taken as they lie, sharded or not. Masks and flow noise are the same at every
    step, so that the curves show the policy's change and not the draw's.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> from iss_jax import ISSConfig
    >>> from iss_jax.policies.callback import saliency_callback
    >>> class Printer:
    ...     def log(self, data, /, step):
    ...         print(step, sorted(data))
    >>> callback = saliency_callback(
    ...     Printer(),
    ...     obs,
    ...     every=1000,
    ...     config=ISSConfig(num_masks=4, action_dims=7),
    ...     overlays=0,
    ...     action_horizon=16,
    ... )
    >>> for step in (0, 500):
    ...     logged = callback(policy.params, step)
    0 ['iss/effect', 'iss/stderr', 'iss/told_apart']

    Args:
        writer: Has `log(dict, step=int)`.
        obs: A batch of observations to watch, with openpi's attributes: the first batch of a data
            loader, or held-out frames.
        every: Steps between two measurements; step 0 is one.
        regions: View -> labels [b, h, w] at the policy's image size (0 nuisance, 1 support,
            2 action-critical). Without them there is no NMR.
        k: Per cent of the pixels that NMR@k looks at.
        config: Options of ISS.
        overlays: Observations that are pictured; needs the `viz` extra unless 0.
        picture: What the writer wants a picture [h, w, 3] uint8 to be, such as `wandb.Image`.
        prefix: Of all names.
        options: Of `iss_jax.saliency`: action_horizon, key, sampling, valid. openpi's training
            state is float32 and it computes in bfloat16: `Sampling(dtype=jnp.bfloat16)` does so.

    Returns:
        The callback. `state` is openpi's `TrainState`, whose averaged parameters are used where it
        has them, or a parameter tree. It returns what it logged, or None.

    Raises:
        ValueError: `every` below 1, or regions of unknown views.
    """
    if every < 1:
        raise ValueError(f"every must be at least 1, got {every}")
    unknown = sorted(set(regions or {}) - set(VIEWS))
    if unknown:
        raise ValueError(f"regions name views {unknown}, wanted some of {list(VIEWS)}")

    def callback(state: Any, step: int) -> dict[str, Any] | None:
        if step % every:
            return None
        if jax.process_count() > 1:
            raise ValueError("saliency_callback reads whole maps: one process wanted")
        found = saliency(_params(state), obs, config=config, **options)
        logged: dict[str, Any] = {
            f"{prefix}/effect": float(found.effects.mean()),
            f"{prefix}/stderr": mean_stderr(found),
            f"{prefix}/told_apart": float(found.told_apart.mean()),
        }
        if regions is not None:
            logged |= _ratios(found, regions, k, prefix)
        if overlays:
            for index, image in enumerate(_overlays(found, regions, overlays)):
                logged[f"{prefix}/overlay_{index}"] = image if picture is None else picture(image)
        writer.log(logged, step=step)
        return logged

    return callback


def _params(state: Any) -> Any:
    averaged = getattr(state, "ema_params", None)
    return averaged if averaged is not None else getattr(state, "params", state)


def mean_stderr(found: Saliency) -> float:
    """Over the cells that mask something and whose error is known; nan where there is none."""
    grid = found.masks.shape[-2], found.masks.shape[-1]
    active = active_cells(found.maps, None, found.valid, grid)
    errors = np.asarray(found.stderr)[np.asarray(active & jnp.isfinite(found.stderr))]
    return float(errors.mean()) if errors.size else float("nan")


def _ratios(found: Saliency, regions: Mapping[str, Any], k: float, prefix: str) -> dict[str, float]:
    labels = {view: jnp.asarray(region) for view, region in regions.items()}
    maps = {view: found.maps[view] for view in labels}
    valid = {view: found.valid[view] for view in labels}
    ratio = nmr.nuisance_mass_ratio(maps, labels, k=k, valid=valid)
    chance = nmr.chance_level(labels, valid=valid)
    return {
        f"{prefix}/nmr_at_{k:g}": float(ratio.mean()),
        f"{prefix}/nuisance_area": float(chance.mean()),
        f"{prefix}/excess_at_{k:g}": float((ratio - chance).mean()),
    }


def _overlays(found: Saliency, regions: Mapping[str, Any] | None, count: int) -> list[np.ndarray]:
    """`Saliency.plot` of some observations as arrays, which every logger takes."""
    drawn = []
    for row in range(min(count, found.effects.shape[0])):
        own = None if regions is None else {v: np.asarray(r[row]) for v, r in regions.items()}
        drawn.append(drawing("picture").pixels(found.plot(row, regions=own)))
    return drawn
