"""Saliency and what a policy acts on while it trains, every so many steps, to any logger."""

import contextlib
import dataclasses
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from iss_jax import nmr
from iss_jax.background import Background, Groups
from iss_jax.checks import check_count, check_number, check_observation, check_options
from iss_jax.config import ISSConfig
from iss_jax.effects import Effects
from iss_jax.effects_config import EffectsConfig
from iss_jax.few import few
from iss_jax.masked_runs import active_cells
from iss_jax.nmr_effect import CONFIG, nmr_by_effect
from iss_jax.pi05.observation import VIEWS
from iss_jax.pi05_effects import player_effects
from iss_jax.pi05_saliency import saliency
from iss_jax.players import Players
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
    players: Players | Mapping[str, Any] | None = None,
    background: Background | Mapping[str, Any] | None = None,
    effects_config: EffectsConfig = EffectsConfig(),
    groups: Groups | None = None,
    picture: Callable[[np.ndarray], Any] | None = None,
    prefix: str = "iss",
    **options: Any,
) -> Callable[[Any, int], dict[str, Any] | None]:
    """A function `callback(state, step)` for a training loop; it does nothing off its steps.

    Nothing that goes wrong while it measures ends the training run: what could not be measured is
    left out, and said once by a warning. Parameters are taken as they lie, sharded or not. Masks
    and flow noise are the same at every step, so that the curves show the policy's change and not
    the draw's.

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

    What the policy acts on, by name, on the same steps:

    >>> import iss_jax
    >>> callback = saliency_callback(
    ...     Printer(),
    ...     obs,
    ...     every=1000,
    ...     config=ISSConfig(num_masks=4, action_dims=7),
    ...     overlays=0,
    ...     players=iss_jax.players.by_appearance(obs.images, most=2),
    ...     background={view: image[:, ::-1] for view, image in obs.images.items()},
    ...     effects_config=iss_jax.EffectsConfig(draws=2, action_dims=7),
    ...     action_horizon=16,
    ... )
    >>> logged = callback(policy.params, 0)  # doctest: +NORMALIZE_WHITESPACE
    0 ['iss/effect', 'iss/players/effect', 'iss/players/share_stderr', 'iss/share/look A',
       'iss/share/look B', 'iss/stderr', 'iss/told_apart']

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
        players: What may be taken away, see `iss_jax.players`; their shares are logged by name, a
            mean over the observations that have shares.
        background: Donors, see `player_effects`. With regions and a bank that has region labels,
            NMR by effect is logged, too: sixteen runs more for each observation.
        effects_config: Options of the players' effects.
        groups: Episode and task of each observation, which then draws no donor of its own.
        picture: What the writer wants a picture [h, w, 3] uint8 to be, such as `wandb.Image`.
        prefix: Of all names.
        options: Of `iss_jax.saliency` and `iss_jax.player_effects` alike: action_horizon, key,
            sampling, valid, mesh. openpi's training state is float32 and it computes in bfloat16:
            `Sampling(dtype=jnp.bfloat16)` does so.

    Returns:
        The callback. `state` is openpi's `TrainState`, whose averaged parameters are used where it
        has them, or a parameter tree. It returns what it logged, or None.

    Raises:
        ValueError: When it is made: numbers that cannot be, regions of unknown views, or several
            processes, of which each would read whole maps.
        TypeError: When it is made: options that `saliency` does not have, or of another kind.

    Warns:
        UserWarning: Something could not be measured or pictured; once for each thing. What the
            measurements themselves warn of is let through once, too.
    """
    check_count("every", every)
    check_count("overlays", overlays, 0)
    check_number("k", k, above=0.0, most=100.0)
    check_options("config", config, ISSConfig)
    check_options("effects_config", effects_config, EffectsConfig)
    check_observation(obs)
    if not callable(getattr(writer, "log", None)):
        raise TypeError(f"writer must have log(dict, step=int), got {type(writer).__name__}")
    known = inspect.signature(saliency).parameters.keys() - {"params", "obs", "config"}
    unknown = sorted(options.keys() - known)
    if unknown:
        raise TypeError(f"options: {few(unknown)} given, of {sorted(known)} wanted")
    views = getattr(obs, "images", VIEWS)
    unknown = sorted(set(regions or {}) - set(views))
    if unknown:
        raise ValueError(f"regions name views {few(unknown)}, wanted some of {few(list(views))}")

    if jax.process_count() > 1:
        raise ValueError("saliency_callback reads whole maps: one process wanted")
    attempt, once = _Attempts(), _Once()

    def callback(state: Any, step: int) -> dict[str, Any] | None:
        if step % every:
            return None
        with once():
            return measured(state, step)

    def measured(state: Any, step: int) -> dict[str, Any] | None:
        logged: dict[str, Any] = {}
        pictures: dict[str, np.ndarray] = {}
        with attempt("the map"):
            found = saliency(_params(state), obs, config=config, **options)
            logged |= {
                f"{prefix}/effect": float(found.effects.mean()),
                f"{prefix}/stderr": mean_stderr(found),
                f"{prefix}/told_apart": float(found.told_apart.mean()),
            }
            if regions is not None:
                with attempt("NMR"):
                    logged |= _ratios(found, regions, k, prefix)
            with attempt("the overlays"):
                pictures |= _overlays(found, regions, overlays, f"{prefix}/overlay")
        if players is not None:
            with attempt("the players' effects"):
                acted = player_effects(
                    _params(state),
                    obs,
                    players,
                    background,
                    config=effects_config,
                    groups=groups,
                    **options,
                )
                logged |= _shares(acted, prefix)
                rows = acted.floor.shape[0]
                pictures |= _figures(acted.plot, rows, overlays, f"{prefix}/acts_on")
        if regions is not None and _labelled(background):
            with attempt("NMR by effect"):
                own = (regions, background, effects_config, groups, options, prefix)
                logged |= _nmr_by_effect(_params(state), obs, *own)
        for name, image in pictures.items():
            with attempt(f"the picture {name}"):
                logged[name] = image if picture is None else picture(image)
        if not logged:
            return None
        with attempt("the writer"):
            writer.log(logged, step=step)
        return logged

    return callback


class _Once:
    """Blocks whose warnings are let through the first time: Python forgets which it has shown."""

    def __init__(self) -> None:
        self._said: set[tuple[type[Warning], str]] = set()

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            yield
        for one in heard:
            if (said := (one.category, str(one.message))) not in self._said:
                self._said.add(said)
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


class _Attempts:
    """Blocks whose errors become warnings, the first of each name."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    @contextlib.contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if what not in self._said:
                self._said.add(what)
                warnings.warn(
                    f"saliency_callback: {what} could not be had, training goes on "
                    f"({type(error).__name__}: {error})",
                    stacklevel=4,
                )


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
        f"{prefix}/nmr_at_{k:g}": _mean_of_known(ratio),
        f"{prefix}/nuisance_area": float(chance.mean()),
        f"{prefix}/excess_at_{k:g}": _mean_of_known(ratio - chance),
    }


def _mean_of_known(ratio: Any) -> float:
    """Over the observations that have a ratio; nan where none has."""
    known = np.asarray(ratio)[np.isfinite(np.asarray(ratio))]
    return float(known.mean()) if known.size else float("nan")


def _labelled(background: Any) -> bool:
    return isinstance(background, Background) and background.regions is not None


def _shares(found: Effects, prefix: str) -> dict[str, float]:
    """Shares by name, over the observations that have shares; nan where none has."""
    valid = np.asarray(found.valid)
    share, error = (np.asarray(x)[valid] for x in (found.share, found.share_stderr))
    mean = share.mean(0) if valid.any() else np.full(len(found.names), np.nan)
    finite = error[np.isfinite(error)]
    return {
        f"{prefix}/players/effect": float(found.effects.sum(-1).mean()),
        f"{prefix}/players/share_stderr": float(finite.mean()) if finite.size else float("nan"),
        **{f"{prefix}/share/{n}": float(x) for n, x in zip(found.names, mean, strict=True)},
    }


def _nmr_by_effect(
    params: Any,
    obs: Any,
    regions: Mapping[str, Any],
    background: Any,
    config: EffectsConfig,
    groups: Groups | None,
    options: Mapping[str, Any],
    prefix: str,
) -> dict[str, float]:
    """NMR by effect with its error, over the observations that have shares."""
    config = dataclasses.replace(
        CONFIG,
        action_dims=config.action_dims,
        horizon=config.horizon,
        reduction=config.reduction,
        action_weights=config.action_weights,
        micro_batch=config.micro_batch,
    )
    labels = {view: jnp.asarray(region).astype(jnp.int32) for view, region in regions.items()}
    found = nmr_by_effect(
        params, obs, labels, background, config=config, groups=groups, chance=False, **options
    )
    known = np.asarray(found.reason) == 0
    share, error = (np.asarray(x)[known] for x in (found.share, found.stderr))
    count = max(int(known.sum()), 1)
    return {
        f"{prefix}/nmr_by_effect": float(share.mean()) if known.any() else float("nan"),
        f"{prefix}/nmr_by_effect_stderr": float(np.sqrt(np.square(error).sum()) / count),
    }


def _overlays(
    found: Saliency, regions: Mapping[str, Any] | None, count: int, name: str
) -> dict[str, np.ndarray]:
    """`Saliency.plot` of some observations as arrays, which every logger takes."""

    def plot(row: int) -> Any:
        own = None if regions is None else {v: np.asarray(r[row]) for v, r in regions.items()}
        return found.plot(row, regions=own)

    return _figures(plot, found.effects.shape[0], count, name)


def _figures(
    plot: Callable[[int], Any], batch: int, count: int, name: str
) -> dict[str, np.ndarray]:
    return {
        f"{name}_{row}": drawing("picture").pixels(plot(row)) for row in range(min(count, batch))
    }
