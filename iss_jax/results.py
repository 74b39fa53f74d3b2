"""What an attribution gives back."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped

from iss_jax import contrasts
from iss_jax.config import ISSConfig
from iss_jax.effects_config import EffectsConfig
from iss_jax.masks import touched_cells, upsample
from iss_jax.records import (
    Record,
    batch_index,
    described,
    drawing,
    is_concrete,
    record,
    require_concrete,
    static,
)

# A floor above this share of the mean effect is no rounding.
NOISY = 1e-2


class Cameras(Mapping[str, str]):
    """View -> name of its camera; hashable, so that it can be a static field.

    >>> cameras = Cameras({"base_0_rgb": "front"})
    >>> cameras["base_0_rgb"], cameras == {"base_0_rgb": "front"}
    ('front', True)
    """

    def __init__(self, names: Mapping[str, str] = {}):
        self._names = dict(names)

    def __getitem__(self, view: str) -> str:
        return self._names[view]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __hash__(self) -> int:
        return hash(frozenset(self._names.items()))

    def __repr__(self) -> str:
        return f"Cameras({self._names})"


@record
class Saliency(Record):
    """Interventional saliency of one batch of observations.

    A frozen dataclass and a pytree: it passes through `jit`, `vmap`, `scan`, `grad` and
    `jax.tree.map`. `repr` says what can be told from noise, `plot` draws it, `save` keeps it.

    >>> import jax.numpy as jnp
    >>> from iss_jax import ISSConfig, attribute
    >>> def policy(images):
    ...     return jnp.square(images["front"][:, :7]).mean((1, 2))[:, None, :]
    >>> frame = (jnp.indices((14, 14)).sum(0) % 2.0)[..., None] * jnp.ones(3)
    >>> attribute(policy, {"front": frame}, config=ISSConfig(num_masks=200))
    Saliency of one observation
      views:    front; maps 14 x 14 from 7 x 7 cells
      runs:     200 balanced masks, estimator centred
      effects:  0.0393 on average, mean squared error, the policy's own actions
      told:     22 % of 49 cells differ from the map's mean by more than 2 of their errors; chance \
gives 5 %

    Attributes:
        maps: View -> map in pixels of the policy's input; zero in absent views and padding.
        valid: View -> pixels that took part: those of views that are there, less padding.
        cells: Scores on the mask grid, whose upsampling the maps are; views in the maps' order.
        stderr: Standard error of each cell's score. It holds the error of the mean effect, which
            all cells share: as a measure of what ranks cells it is far too large.
        contrast_stderr: Standard error of each cell's difference to the mean of the map, which is
            what ranks cells.
        effects: Effect delta of each mask.
        actions: Unmasked baseline in the policy's normalised space, averaged over noise draws.
        masks: Keep bits that were used; with batch axes where each observation had its own.
        gradients: Derivative of each effect with respect to its mask's cells, where the estimator
            takes them.
        floor: Mean effect of copies that mask nothing, which fill up the last micro-batch; None
            where it had no room for one. Beyond rounding it is zero for a policy whose answer
            depends on the frame alone, else what its own noise does.
        frames: View -> the frames that are explained, as the policy saw them; None where they are
            not known.
        cameras: View -> name of its camera, as the user gave it; empty where nobody named one.
        config: The options, with the estimator that `auto` stands for; None where they are not
            known. Its `num_masks` are those of one call that draws them.
        unit: What an effect is, such as "mean squared error, normalised actions".
    """

    maps: dict[str, Float[Array, "*b h w"]]
    valid: dict[str, Bool[Array, "*b h w"]]
    cells: Float[Array, "*b views gh gw"]
    stderr: Float[Array, "*b views gh gw"]
    contrast_stderr: Float[Array, "*b views gh gw"]
    effects: Float[Array, "*b n"]
    actions: Float[Array, "*b horizon dims"]
    masks: Bool[Array, "*b n views gh gw"]
    gradients: Float[Array, "*b n views gh gw"] | None = None
    floor: Float[Array, "*b"] | None = None
    frames: dict[str, Shaped[Array, "*b h w 3"]] | None = None
    cameras: Cameras = static(default=Cameras())
    config: ISSConfig | None = static(default=None)
    unit: str = static(default="")

    @property
    def active(self) -> Bool[Array, "*b views gh gw"]:
        """Cells that mask something: in a view that is there, over at least one valid pixel."""
        grid = (self.cells.shape[-2], self.cells.shape[-1])
        views = [touched_cells(jnp.asarray(inside), grid) for inside in self.valid.values()]
        return jnp.stack(views, axis=-3)

    @property
    def contrast(self) -> Float[Array, "*b views gh gw"]:
        """A cell's score less the mean over the active cells: what ranks cells."""
        return contrasts.contrast(jnp.asarray(self.cells), self.active)

    @property
    def told_apart(self) -> Float[Array, "*b"]:
        """Share of the active cells whose contrast exceeds two of its errors; chance gives 0.05."""
        error = jnp.asarray(self.contrast_stderr)
        return contrasts.told_apart(self.contrast, error, self.active)

    def names(self) -> dict[str, str]:
        """View -> the camera's name; the view's own where nobody named one."""
        return {view: self.cameras.get(view) or view for view in self.maps}

    def summary(self) -> tuple[str, list[tuple[str, str]]]:
        """What `repr` says: a title, and rows of a name and a text."""
        try:
            batch, rows = tuple(self.effects.shape[:-1]), self._rows()
        except (AttributeError, IndexError, TypeError, ValueError):
            # A tree of something else, such as the axes of `vmap`.
            return super().summary()
        title = {(): "one observation", (1,): "a batch of one observation"}.get(
            batch, f"{' x '.join(map(str, batch))} observations"
        )
        return f"Saliency of {title}", rows

    def _rows(self) -> list[tuple[str, str]]:
        gh, gw = self.cells.shape[-2:]
        size = {tuple(saliency.shape[-2:]) for saliency in self.maps.values()}
        pixels = ", ".join(f"{height} x {width}" for height, width in sorted(size))
        names = [
            view if name == view else f"{view} ({name})" for view, name in self.names().items()
        ]
        config = self.config
        design, estimator = (config.design, config.estimator) if config else ("", "unknown")
        masks = " ".join(filter(None, [str(self.effects.shape[-1]), design, "masks"]))
        unit = self.unit or "unit unknown"
        rows = [
            ("views", f"{', '.join(names)}; maps {pixels} from {gh} x {gw} cells"),
            ("runs", f"{masks}, estimator {estimator}"),
        ]
        if not is_concrete(self):
            return [*rows, ("effects", f"{described(self.effects)}, {unit}; values not known here")]
        with jax.ensure_compile_time_eval():
            effects = np.asarray(self.effects, np.float64)
            mean = f"{effects.mean():.3g} on average" if effects.size else "not known"
            broken = int((~np.isfinite(effects)).sum())
            if broken:
                mean = (
                    f"not finite in {broken} of {effects.size} runs: the policy's answers are not"
                )
            rows = [*rows, ("effects", f"{mean}, {unit}")]
            floor = None if self.floor is None else float(np.asarray(self.floor).max())
            if floor is not None and floor > NOISY * abs(effects.mean()):
                rows.append(
                    (
                        "floor",
                        f"{floor:.3g}: copies that mask nothing move the actions, so the policy "
                        "draws noise of its own; hand it over as `noise`",
                    )
                )
            return [*rows, ("told", told(self))]

    def plot(
        self,
        index: int | tuple[int, ...] = 0,
        *,
        regions: Mapping[str, Any] | None = None,
    ) -> Any:
        """The frames of one observation under its map, a `matplotlib.figure.Figure`.

        Colours are a cell's contrast: its score less the mean of the map. What its error does not
        support is faded: nothing is shown within one error of the mean, all of it beyond two. Below
        stands how much of the map can be told from noise. See `iss_jax.viz.saliency_figure`.

        Args:
            index: Of the observation in the batch; several indices where there are several batch
                axes.
            regions: View -> labels [h, w] at the map's size (see `iss_jax.Region`), outlined.

        Raises:
            ModuleNotFoundError: Matplotlib is missing; the message names the extra.
            TypeError: Called on traced values, inside `jit`.
            IndexError: No such observation.
            ValueError: Labels of unknown views or of another size, or frames of unknown range.
        """
        require_concrete(self, "plot()")
        with jax.ensure_compile_time_eval():
            figure = drawing("saliency_figure").saliency_figure
            return figure(example(self, index), regions=regions)

    def facts(self) -> dict[str, Any]:
        """The static fields as JSON holds them."""
        config = None if self.config is None else dataclasses.asdict(self.config)
        return {"cameras": dict(self.cameras), "config": config, "unit": self.unit}

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> dict[str, Any]:
        """Inverse of `facts`."""
        config = facts["config"]
        return {
            "cameras": Cameras(facts["cameras"]),
            "config": None if config is None else ISSConfig(**config),
            "unit": facts["unit"],
        }


class MaskRuns(NamedTuple):
    """What came of every masked run.

    Attributes:
        effects: Effect delta of each mask.
        gradients: Its derivative with respect to the mask's cells; None when not asked for.
    """

    effects: Float[Array, "*b n"]
    gradients: Float[Array, "*b n views gh gw"] | None


def effect_unit(config: ISSConfig | EffectsConfig, actions: str) -> str:
    """What an effect is, in words.

    >>> effect_unit(ISSConfig(), "normalised actions")
    'mean squared error, normalised actions'

    Args:
        config: Its reduction and weights.
        actions: Whose error it is.
    """
    kind = "mean" if config.reduction == "mean" else "sum of the"
    weighted = "" if config.action_weights is None else "weighted "
    divergence = config.divergence if isinstance(config, ISSConfig) else "error"
    if divergence != "error":
        part = {"energy": "", "within": " within modes", "weights": " of the modes' weights"}
        norm = "root mean square" if config.reduction == "mean" else "norm"
        return f"energy distance{part[divergence]}, {weighted}{norm} of {actions}"
    return f"{weighted}{kind} squared error, {actions}"


def of_cells(
    cells: Float[Array, "*b views gh gw"],
    valid: Mapping[str, Bool[Array, "*b h w"]],
    *,
    stderr: Float[Array, "*b views gh gw"] | None = None,
    contrast_stderr: Float[Array, "*b views gh gw"] | None = None,
    frames: Mapping[str, Shaped[Array, "*b h w 3"] | np.ndarray] | None = None,
    cameras: Mapping[str, str] = Cameras(),
    unit: str = "",
) -> Saliency:
    """A map from its stored cells, whose runs are not known: it has no effects and no masks.

    >>> import jax.numpy as jnp
    >>> found = of_cells(jnp.ones((1, 7, 7)), {"front": jnp.ones((14, 14), bool)})
    >>> found.maps["front"].shape, found.effects.shape, bool(jnp.isnan(found.stderr).all())
    ((14, 14), (0,), True)

    Args:
        cells: Scores of the grid cells; views in the order of `valid`.
        valid: View -> pixels that took part.
        stderr: Of the scores; NaN when None.
        contrast_stderr: Of the contrasts; NaN when None.
        frames: View -> frames that are explained.
        cameras: View -> name of its camera.
        unit: What an effect is.
    """
    batch, (views, gh, gw) = cells.shape[:-3], cells.shape[-3:]
    maps = {}
    for row, (view, inside) in enumerate(valid.items()):
        height, width = inside.shape[-2:]
        pixels = upsample(cells[..., row, :, :], (height, width))
        maps[view] = jnp.where(inside, pixels, 0.0)
    unknown = jnp.full_like(cells, jnp.nan)
    return Saliency(
        maps=maps,
        valid=dict(valid),
        cells=cells,
        stderr=unknown if stderr is None else stderr,
        contrast_stderr=unknown if contrast_stderr is None else contrast_stderr,
        effects=jnp.zeros((*batch, 0)),
        actions=jnp.zeros((*batch, 0, 0)),
        masks=jnp.zeros((0, views, gh, gw), bool),
        frames=None if frames is None else {v: jnp.asarray(frame) for v, frame in frames.items()},
        cameras=Cameras(cameras),
        unit=unit,
    )


def told(found: Saliency, *, brief: bool = False) -> str:
    """How much of a map can be told from noise, in words; a range for several observations.

    >>> import jax.numpy as jnp
    >>> cells = jnp.arange(4.0).reshape(1, 2, 2)
    >>> found = of_cells(
    ...     cells, {"front": jnp.ones((8, 8), bool)}, contrast_stderr=jnp.full((1, 2, 2), 0.5)
    ... )
    >>> told(found, brief=True)
    '50 % of 4 cells beyond 2 errors (chance: 5 %)'

    Args:
        found: One observation or a batch.
        brief: For labels.
    """
    counts = np.asarray(found.active).sum((-3, -2, -1))
    errors = np.asarray(found.contrast_stderr, np.float64)[np.asarray(found.active)]
    if not errors.size:
        return "no cell masks anything"
    if np.isnan(errors).all():
        return "errors not known"
    if not np.isfinite(errors).any():
        return "nothing: too few runs for an error"
    low, high = (f"{count}" for count in (counts.min(), counts.max()))
    number = low if low == high else f"{low} to {high}"
    shares = 100 * np.asarray(found.told_apart)
    percent = f"{shares.mean():.0f} %"
    if shares.size > 1:
        percent = f"{shares.min():.0f} to {shares.max():.0f} % (mean {percent})"
    if brief:
        return (
            f"{percent} of {number} cells beyond {contrasts.ERRORS:g} errors "
            f"(chance: {100 * contrasts.CHANCE:g} %)"
        )
    return (
        f"{percent} of {number} cells differ from the map's mean by more than "
        f"{contrasts.ERRORS:g} of their errors; chance gives {100 * contrasts.CHANCE:g} %"
    )


def example(found: Saliency, index: int | tuple[int, ...] = 0) -> Saliency:
    """One observation of a batch, without the batch axes; masks have none.

    Args:
        found: A batch, or one observation, of which there is index 0 alone.
        index: An index a batch axis.

    Raises:
        IndexError: No such observation.
    """
    index = batch_index(tuple(found.effects.shape[:-1]), index)
    # Mapped over, masks have batch axes like everything else.
    masks = found.masks[index] if found.masks.ndim > 4 else found.masks
    rest = jax.tree.map(lambda leaf: leaf[index], dataclasses.replace(found, masks=None))
    return dataclasses.replace(rest, masks=masks)
