"""`ISSConfig`: the static options of an attribution."""

import dataclasses
from typing import Any

from iss_jax import divergence, estimators, gradient_estimators, masks as mask_designs, modes
from iss_jax.option_types import check_types

ESTIMATORS = ("auto", *gradient_estimators.ESTIMATORS, *estimators.ESTIMATORS)


# Runs where none are asked for: with gradients about as many forward passes as the paper's 100.
NUM_MASKS_WITH_GRADIENTS, NUM_MASKS = 40, 100


@dataclasses.dataclass(frozen=True)
class ISSConfig:
    """Static options of an attribution; hashable, so that it may be a static argument of `jit`.

    >>> from iss_jax import ISSConfig
    >>> config = ISSConfig(num_masks=50, grid=(14, 14))
    >>> config.estimator, config.design, ISSConfig.paper().estimator
    ('centred', 'balanced', 'fixed')

    Attributes:
        num_masks: N, masked runs per observation; 40 when None and the estimator takes gradients,
            100 when it does not. With gradients one is enough (by `design="bernoulli"`).
        keep_prob: p, the probability that a cell is kept (Algorithm 1).
        grid: Mask cells per view, (rows, columns).
        design: `balanced` or `bernoulli`, see `iss_jax.masks`.
        estimator: `clipped` or `gradient`, see `iss_jax.gradient_estimators`: every masked run is
            differentiated with respect to its mask, costs a little more than two, and tells of all
            cells at once. Or `centred`, `fixed`, `ratio` or `ridge`, see `iss_jax.estimators`. Or
            `auto`: `clipped` where the policy can be differentiated, `centred` where it cannot.
        blur_sigma: Blur in pixels of a frame 224 high; scales with the frame.
        micro_batch: Rows run at once; chosen from the device's memory when None, see
            `iss_jax.memory`. Changes memory and speed only.
        noise_draws: Flow-noise draws that effects are averaged over, all masks sharing each draw.
        divergence: How far a run moved. `error`: the squared error of draws that share their noise.
            `energy`: the energy distance between the sets of draws, which sees a distribution of
            several modes and not which noise leads to which; `within` and `weights` are its parts,
            see `iss_jax.modes`. All but the first want several `noise_draws`.
        action_dims: The first k action dimensions, or their indices; all when None. π0.5 pads
            actions to 32, of which a robot uses the first few.
        horizon: The first steps of the chunk that count; all when None.
        reduction: `mean` or `sum` of the squared errors.
        action_weights: Weight of each chosen action dimension, see `divergence.effects`; all alike
            when None.
    """

    num_masks: int | None = None
    keep_prob: float = 0.3
    grid: tuple[int, int] = (7, 7)
    design: str = "balanced"
    estimator: str = "centred"
    blur_sigma: float = 10.0
    micro_batch: int | None = None
    noise_draws: int = 1
    action_dims: int | tuple[int, ...] | None = None
    horizon: int | None = None
    reduction: str = "mean"
    action_weights: tuple[float, ...] | None = None
    divergence: str = "error"

    def __post_init__(self) -> None:
        check_types(self)
        object.__setattr__(self, "grid", tuple(self.grid))
        if self.action_dims is not None and not isinstance(self.action_dims, int):
            object.__setattr__(self, "action_dims", tuple(self.action_dims))
        if self.action_weights is not None:
            object.__setattr__(self, "action_weights", tuple(map(float, self.action_weights)))
            if not all(0.0 < weight < float("inf") for weight in self.action_weights):
                raise ValueError(
                    "ISSConfig.action_weights must be positive and finite, got "
                    f"{self.action_weights}"
                )
        divergence.check_chosen("ISSConfig", self.action_dims, self.action_weights)
        for name, allowed in (
            ("design", mask_designs.DESIGNS),
            ("estimator", ESTIMATORS),
            ("reduction", divergence.REDUCTIONS),
            ("divergence", modes.DIVERGENCES),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"ISSConfig.{name} must be one of {allowed}, got {value!r}")
        for name, least in (
            ("num_masks", 1 if self.takes_gradients else 2),
            ("noise_draws", 1),
            ("micro_batch", 1),
            ("horizon", 1),
            ("action_dims", 1),
        ):
            value = getattr(self, name)
            if isinstance(value, tuple) or (value is None and name != "noise_draws"):
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"ISSConfig.{name} must be an integer >= {least}, got {value!r}")
        if self.divergence != "error" and self.noise_draws < 2:
            raise ValueError(
                f"ISSConfig.divergence {self.divergence!r} compares sets of draws: noise_draws "
                f"of 2 at least wanted, got {self.noise_draws}"
            )
        if len(self.grid) != 2 or not all(isinstance(g, int) and g >= 1 for g in self.grid):
            raise ValueError(f"ISSConfig.grid must be (rows, columns), both >= 1, got {self.grid}")
        if not 0.0 < self.keep_prob < 1.0:
            raise ValueError(
                f"ISSConfig.keep_prob must lie strictly between 0 and 1, got {self.keep_prob}"
            )
        if not self.blur_sigma > 0.0:
            raise ValueError(
                f"ISSConfig.blur_sigma must be positive (pixels), got {self.blur_sigma}"
            )
        possible = ("clipped", "centred") if self.estimator == "auto" else (self.estimator,)
        for num_masks in (
            (self.num_masks,) if self.num_masks else sorted({*map(_default_masks, possible)})
        ):
            kept = mask_designs.kept_masks(num_masks, self.keep_prob)
            if self.design == "balanced" and not 1 <= kept <= num_masks - 1:
                raise ValueError(
                    f"ISSConfig: the balanced design keeps each cell in round(p N) = {kept} of "
                    f"{num_masks} masks, wanted 1..{num_masks - 1}; raise num_masks or use "
                    "design='bernoulli'"
                )

    @property
    def takes_gradients(self) -> bool:
        """Whether the estimator differentiates the runs; `auto` has to be resolved before."""
        return self.estimator in gradient_estimators.ESTIMATORS

    def resolved(self, differentiable: bool) -> "ISSConfig":
        """These options with the estimator and the number of masks that they stand for."""
        estimator = self.estimator
        if estimator == "auto":
            estimator = "clipped" if differentiable else "centred"
        num_masks = _default_masks(estimator) if self.num_masks is None else self.num_masks
        return dataclasses.replace(self, estimator=estimator, num_masks=num_masks)

    @classmethod
    def paper(cls, **changes: Any) -> "ISSConfig":
        """The paper's own choice: i.i.d. masks and the fixed denominator (Eq. 12, App. F.1)."""
        return cls(**{"num_masks": 100, "design": "bernoulli", "estimator": "fixed", **changes})


def _default_masks(estimator: str) -> int:
    with_gradients = estimator in gradient_estimators.ESTIMATORS
    return NUM_MASKS_WITH_GRADIENTS if with_gradients else NUM_MASKS
