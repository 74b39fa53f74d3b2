"""Some of the maps themselves: rows from the best to the worst success, of different suites."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from iss_jax.against_success.rows import Row
from iss_jax.config import ISSConfig
from iss_jax.critical import critical_set
from iss_jax.data.dataset import Dataset
from iss_jax.data.regions import fit_regions
from iss_jax.data.success import ALL_SPLITS
from iss_jax.extras import imports_of
from iss_jax.pi05.observation import resize_with_pad
from iss_jax.policies.frames import FrameOptions, read_frames
from iss_jax.results import Saliency, effect_unit, of_cells
from iss_jax.viz.saliency_rows import ERRORS_OF_SCORES, saliency_rows

with imports_of("viz"):
    from matplotlib.figure import Figure


def chosen_rows(rows: Sequence[Row], most: int) -> list[Row]:
    """Rows spread over the order of success, best first, of as many suites as that allows.

    Args:
        rows: a task under a seed each.
        most: rows wanted.
    """
    ranked = sorted(rows, key=lambda row: -row.success.rate)
    most = min(most, len(ranked))
    chosen: list[Row] = []
    for number in range(most):
        wanted = number * (len(ranked) - 1) / max(most - 1, 1)
        # Windows that do not overlap: the order of success stays, whatever suite is taken.
        near = [i for i in range(len(ranked)) if abs(i - wanted) <= len(ranked) / (2 * most)]
        chosen.append(ranked[min(near, key=partial(_unlike, ranked, chosen, wanted))])
    return chosen


def _unlike(
    ranked: Sequence[Row], chosen: Sequence[Row], wanted: float, index: int
) -> tuple[int, int, float]:
    """Small for a row of a suite and a task that are not chosen yet, near the wanted rank."""
    success = ranked[index].success
    suites = sum(row.success.suite == success.suite for row in chosen)
    tasks = sum(row.success.task == success.task for row in chosen)
    return suites, tasks, abs(index - wanted)


def maps_figure(
    rows: Sequence[Row],
    items: Sequence[Mapping[str, Any]],
    results: Sequence[Mapping[str, Any]],
    dataset: Dataset,
    percent: float,
    column: int,
) -> Figure:
    """The middle frame of the first episode of each row.

    Args:
        rows: what is shown.
        items: the work items.
        results: what was measured of each.
        dataset: the episodes.
        percent: k of the critical pixels.
        column: where the measures hold that k.
    """
    found, labels, regions, critical, old = [], [], [], [], False
    for row in rows:
        index = next(number for number, item in enumerate(items) if _is_of(item, row))
        item, result = items[index], results[index]
        frame = len(item["frames"]) // 2
        saliency, own = _stored(item, result, dataset, frame)
        old |= "contrast_stderr" not in result
        found.append(saliency)
        regions.append(own)
        critical.append(critical_set(saliency, percent).pixels)
        success, measured = row.success, result["nmr"][frame][column]
        split = "" if success.split == ALL_SPLITS else f", {success.split}"
        labels.append(
            f"{success.task.replace('_', ' ')}\n{success.suite}{split}\n"
            f"success {success.successes} of {success.trials}\n"
            f"nmr@{percent:g} {measured:.2f}, chance {result['chance'][frame]:.2f}"
        )
    return saliency_rows(
        found,
        labels,
        regions=regions,
        critical=critical,
        critical_name=f"top {percent:g} % of pixels: nmr@{percent:g} is their nuisance share",
        notes=[ERRORS_OF_SCORES] if old else [],
    )


def _is_of(item: Mapping[str, Any], row: Row) -> bool:
    success = row.success
    wanted = (success.suite, success.task, success.split, success.seed)
    return tuple(item[name] for name in ("suite", "task", "split", "seed")) == wanted


def _stored(
    item: Mapping[str, Any], result: Mapping[str, Any], dataset: Dataset, row: int
) -> tuple[Saliency, dict[str, np.ndarray]]:
    """One frame's map again from its stored cells, and its labels; views padded to a square."""
    options = FrameOptions.of_item(item)
    episode = read_frames(dataset, item["episode"], [item["frames"][row]], options)
    cameras = options.used
    frames, regions, valid = {}, {}, {}
    for view, camera in cameras.items():
        image, labels = episode.images[camera], episode.regions[camera]
        side = max(image.shape[1:3])
        frames[view] = jax.device_get(resize_with_pad(jnp.asarray(image), side, side))[0]
        regions[view], valid[view] = fit_regions(labels[0], side, side)
    cells = jnp.asarray(np.asarray(result["cells"][row], np.float32))
    # JSON holds an infinite error, of a cell that too few masks drop, as null.
    errors = result.get("contrast_stderr", result["stderr"])[row]
    errors = np.nan_to_num(np.asarray(errors, np.float32), nan=np.inf, posinf=np.inf)
    saliency = of_cells(
        cells,
        {view: jnp.asarray(inside) for view, inside in valid.items()},
        contrast_stderr=jnp.asarray(errors),
        frames=frames,
        cameras=cameras,
        unit=effect_unit(ISSConfig(**item["iss"]), "normalised actions"),
    )
    return saliency, regions
