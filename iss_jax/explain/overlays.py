"""The frames of an explained episode under their maps, as far as the maps' errors support them."""

import functools
from collections.abc import Callable, Iterable, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from iss_jax import contrasts
from iss_jax.critical import critical_set
from iss_jax.extras import imports_of
from iss_jax.policies.frames import Seen
from iss_jax.results import Saliency, example, of_cells
from iss_jax.strides import interpolate
from iss_jax.viz.saliency_figure import colour_limit, faded_panels
from iss_jax.viz.saliency_rows import saliency_rows

with imports_of("viz"):
    from matplotlib.figure import Figure


def saliency_of(
    seen: Seen,
    cells: Float[np.ndarray, "T v gh gw"],
    contrast_stderr: Float[np.ndarray, "n v gh gw"],
    computed: Int[np.ndarray, " n"],
    unit: str,
) -> Saliency:
    """The maps of all frames again, a batch; those in between with the errors of interpolation.

    Args:
        seen: the frames as the policy sees them.
        cells: scores of the grid cells.
        contrast_stderr: standard errors of their contrasts, where computed.
        computed: the frames whose saliency was computed.
        unit: what an effect is.
    """
    errors = interpolated_errors(contrast_stderr, computed, len(cells))
    return of_cells(
        jnp.asarray(cells),
        {view: jnp.asarray(inside) for view, inside in seen.valid.items()},
        contrast_stderr=jnp.asarray(errors),
        frames=seen.images,
        cameras=seen.cameras,
        unit=unit,
    )


def interpolated_errors(
    errors: Float[np.ndarray, "n *cells"], computed: Int[np.ndarray, " n"], frames: int
) -> Float[np.ndarray, "T *cells"]:
    """Standard errors of linear interpolations between frames whose masks were drawn apart.

    >>> import numpy as np
    >>> errors = np.array([3.0, 4.0])
    >>> interpolated_errors(errors, np.array([0, 2]), 3).tolist()
    [3.0, 2.5, 4.0]
    """
    weights = np.asarray(interpolate(jnp.eye(len(computed)), jnp.asarray(computed), frames))
    flat = np.asarray(errors, np.float64).reshape(len(errors), -1)
    known = np.isfinite(flat)
    squares = np.square(weights) @ np.where(known, flat, 0.0) ** 2
    unknown = (weights > 0).astype(float) @ ~known > 0
    found = np.where(unknown, np.inf, np.sqrt(squares))
    return found.reshape(frames, *errors.shape[1:]).astype(np.float32)


def critical_pixels(found: Saliency, percent: float) -> dict[str, Bool[np.ndarray, "T h w"]]:
    """View -> the top `percent` of the pixels of all views, frame by frame."""
    return {view: np.asarray(p) for view, p in critical_set(found, percent).pixels.items()}


class Pictures:
    """Pictures of one view, each drawn when it is asked for: a long episode's fill no memory."""

    def __init__(self, draw: Callable[[int], dict[str, np.ndarray]], name: str) -> None:
        self._draw, self._name = draw, name

    def __getitem__(self, frame: int) -> UInt8[np.ndarray, "H W 3"]:
        return self._draw(frame)[self._name]


def pictures_of(
    draw: Callable[[int], dict[str, np.ndarray]], names: Iterable[str]
) -> dict[str, Pictures]:
    """Name -> its pictures, of a function that draws those of all names at once.

    Args:
        draw: frame -> name -> picture.
        names: that it draws.
    """
    # All views of a frame are asked for one after the other.
    one = functools.lru_cache(maxsize=1)(draw)
    return {name: Pictures(one, name) for name in names}


def draw_overlays(
    found: Saliency, regions: dict[str, np.ndarray], critical: dict[str, np.ndarray]
) -> tuple[dict[str, Pictures], float]:
    """View -> every frame under its map, regions and critical pixels outlined; the colours' limit.

    Colours are the same in all frames and views.
    """
    shown = contrasts.support(found.contrast, found.contrast_stderr)
    limit = colour_limit(np.asarray(found.contrast), np.asarray(shown))

    def draw(t: int) -> dict[str, np.ndarray]:
        own = [{view: a[t] for view, a in given.items()} for given in (regions, critical)]
        return faded_panels(example(found, t), regions=own[0], critical=own[1], limit=limit)[0]

    return pictures_of(draw, found.maps), limit


def overlays_figure(
    found: Saliency,
    regions: dict[str, np.ndarray],
    critical: dict[str, np.ndarray],
    labels: dict[int, str],
    *,
    percent: float,
    title: str,
    notes: Sequence[str] = (),
) -> Figure:
    """Some frames, a row each.

    Args:
        found: the maps of all frames.
        regions: view to labels of all frames.
        critical: view to the critical pixels of all frames.
        labels: frame to what stands beside its row.
        percent: k of the critical pixels.
        title: above the figure.
        notes: below it.
    """
    return saliency_rows(
        [example(found, t) for t in labels],
        list(labels.values()),
        regions=[{v: a[t] for v, a in regions.items()} for t in labels] if regions else None,
        critical=[{view: a[t] for view, a in critical.items()} for t in labels],
        critical_name=f"top {percent:g} % of pixels"
        + (f": nmr@{percent:g} is their nuisance share" if regions else ""),
        title=title,
        notes=notes,
    )
