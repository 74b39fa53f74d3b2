r"""How much errors of the region masks change NMR: the limit that the paper names, measured.

    python -m experiments.mask_sensitivity --config=configs/mask_sensitivity.py

The maps and their critical pixels are computed once. Then the masks are made wrong in one way and
by one amount after the other (`iss_jax.mask_error`), and nmr@k is taken anew: its mean, its excess
over the nuisance share of the same wrong masks, its ranking of frames and tasks against that with
the right masks (Spearman), and its correlation with success. Beside them random explanations with
the same values and the same smoothness. Intervals are over resampled tasks.

The workdir receives `results.csv` (a row per kind and size of error), `frames.csv` (a row per frame
and error), `results.json` and `figures/mask_sensitivity.png`.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import tqdm

from experiments.nmr.mask_figure import mask_error_figure
from experiments.nmr.mask_rows import FrameValues, summary
from experiments.runs import app, versions
from iss_jax import mask_error, nmr
from iss_jax.against_success.measured import Measured, measured
from iss_jax.against_success.options import Options
from iss_jax.baselines import random_map
from iss_jax.critical import critical_set
from iss_jax.data.regions import fit_regions
from iss_jax.few import few
from iss_jax.jobs.directory import open_run
from iss_jax.jobs.options import from_config
from iss_jax.masks import upsample
from iss_jax.policies.frames import FrameOptions, read_frames
from iss_jax.results import Saliency

KINDS = ("dilate", "erode", "jitter", "drop")


@dataclasses.dataclass(frozen=True)
class Errors:
    """One attribute per key of `config.errors`, which says what each means."""

    percent: float
    sizes: tuple[float, ...]
    drops: tuple[int, ...]
    smallest: float
    seed: int
    control_draws: int

    def all(self) -> list[tuple[str, float]]:
        """Every kind and size of error, without the size that is none."""
        sized = [(kind, size) for kind in KINDS[:3] for size in self.sizes]
        return [*sized, *(("drop", float(count)) for count in self.drops)]


@dataclasses.dataclass(frozen=True)
class Frames:
    """n frames: where they are from, their critical pixels and their labels.

    Attributes:
        task: [n], suite and task.
        row: [n], suite, task, split and seed: a row of the success table.
        success: [n], the success rate of that row.
        labels: view to uint8 [n, h, w], in the geometry of the camera.
        valid: view to bool [size, size], pixels that are picture.
        critical: bool [n, pixels of all views], those of ISS.
        random: bool [draws, n, pixels of all views], those of random explanations.
        size: of the policy's images.
    """

    task: np.ndarray
    row: np.ndarray
    success: np.ndarray
    labels: dict[str, np.ndarray]
    valid: dict[str, np.ndarray]
    critical: np.ndarray
    random: np.ndarray
    size: int


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    content = config.to_dict()
    given = content.pop("errors")
    errors = Errors(**{**given, "sizes": tuple(given["sizes"]), "drops": tuple(given["drops"])})
    options = from_config(ml_collections.ConfigDict(content), Options)
    run = open_run(workdir, config, version=versions.MAPS)
    frames = collect(measured(options, run), errors)
    clean = values(frames, frames.labels, None)
    rows, table = [], []
    settings = {"confidence": options.confidence, "resamples": options.resamples}
    for kind, size in tqdm.tqdm(
        [("none", 0.0), *errors.all()], desc="mask errors", unit="error", disable=options.quiet
    ):
        found = clean
        if kind != "none":
            labels = corrupted(frames, errors, kind, size)
            found = values(frames, labels, frames.labels)
        rows.append({"error": kind, "size": size, **summary(clean, found, frames, **settings)})
        table += [
            {
                "error": kind,
                "size": size,
                "row": frames.row[i],
                "nmr": found.nmr[i],
                "chance": found.chance[i],
                "overlap": found.overlap[i],
                "random_nmr": found.random[:, i].mean(),
            }
            for i in range(len(frames.task))
        ]
    results = {
        "percent": errors.percent,
        "frames": len(frames.task),
        "tasks": len(set(frames.task.tolist())),
        "rows": len(set(frames.row.tolist())),
        "errors": rows,
    }
    run.write_csv("results.csv", rows)
    run.write_csv("frames.csv", table)
    run.write_json("results.json", results)
    figure = run.write_figure("mask_sensitivity.png", mask_error_figure(rows, errors.percent))
    if not options.quiet:
        print_report(results)
        print(f"\ntable:   {run.path / 'results.csv'}\nfigure:  {figure}")
    return results


def collect(found: Measured, errors: Errors) -> Frames:
    """The labels and critical pixels of all measured frames.

    Raises:
        ValueError: the episodes' cameras differ in size.
    """
    size = found.policy.image_size
    labels: dict[str, list[np.ndarray]] = {}
    cells, tasks, rows, success = [], [], [], []
    for item, result in zip(found.items, found.results, strict=True):
        options = FrameOptions.of_item(item)
        episode = read_frames(found.dataset, item["episode"], item["frames"], options)
        for view, camera in options.used.items():
            labels.setdefault(view, []).append(episode.regions[camera])
        cells.append(np.asarray(result["cells"], np.float32))
        key = (item["suite"], item["task"], item["split"], item["seed"])
        tasks += ["/".join(key[:2])] * len(item["frames"])
        rows += ["/".join(map(str, key))] * len(item["frames"])
        success += [found.success[key].rate] * len(item["frames"])
    sizes = {view: sorted({part.shape[1:] for part in parts}) for view, parts in labels.items()}
    if any(len(own) > 1 for own in sizes.values()):
        raise ValueError(f"{found.dataset.root}: the labels differ in size: {few(sizes)}")
    joined = {view: np.concatenate(parts) for view, parts in labels.items()}
    valid = {view: fit_regions(part[:1], size, size)[1] for view, part in joined.items()}
    scores = np.concatenate(cells)
    critical, random = [], []
    keys = jax.random.split(jax.random.key(errors.seed), errors.control_draws)
    for start in range(0, len(scores), 32):
        explained = _saliency(scores[start : start + 32], valid, size)
        critical.append(_pixels(explained.maps, explained.valid, errors.percent))
        random.append(
            np.stack(
                [
                    _pixels(
                        random_map(jax.random.fold_in(key, start), explained).maps,
                        explained.valid,
                        errors.percent,
                    )
                    for key in keys
                ]
            )
        )
    return Frames(
        task=np.array(tasks),
        row=np.array(rows),
        success=np.array(success),
        labels=joined,
        valid=valid,
        critical=np.concatenate(critical),
        random=np.concatenate(random, axis=1),
        size=size,
    )


def _saliency(cells: np.ndarray, valid: dict[str, np.ndarray], size: int) -> Saliency:
    """The result of ISS again, as far as maps need it, from its cells."""
    inside = {
        view: jnp.broadcast_to(jnp.asarray(mask)[None], (len(cells), size, size))
        for view, mask in valid.items()
    }
    maps = {
        view: jnp.where(inside[view], upsample(jnp.asarray(cells[:, i]), (size, size)), 0.0)
        for i, view in enumerate(valid)
    }
    empty = jnp.zeros((len(cells), 0))
    return Saliency(
        maps=maps,
        valid=inside,
        cells=jnp.asarray(cells),
        stderr=jnp.full(cells.shape, jnp.nan),
        contrast_stderr=jnp.full(cells.shape, jnp.nan),
        effects=empty,
        actions=empty[..., None],
        masks=jnp.zeros((0, *cells.shape[1:]), bool),
    )


def _pixels(maps: dict, valid: dict, percent: float) -> np.ndarray:
    """The critical pixels of all views, bool [n, pixels]."""
    found = critical_set(maps, percent, valid=valid).pixels
    flat = [np.asarray(found[view]).reshape(len(found[view]), -1) for view in maps]
    return np.concatenate(flat, axis=1)


def corrupted(frames: Frames, errors: Errors, kind: str, size: float) -> dict[str, np.ndarray]:
    """The labels with one error, in the geometry of the camera."""
    key = jax.random.fold_in(jax.random.key(errors.seed), KINDS.index(kind))
    out = {}
    for index, (view, labels) in enumerate(frames.labels.items()):
        height, width = labels.shape[1:]
        own, pixels = jax.random.fold_in(key, index), size * height / 100
        if kind == "drop":
            smallest = max(1, round(errors.smallest * height * width / 100))
            out[view] = mask_error.drop_objects(own, labels, int(size), smallest=smallest)
        elif kind == "jitter":
            out[view] = mask_error.jitter(own, labels, pixels)
        else:
            out[view] = getattr(mask_error, kind)(labels, pixels)
    return out


def values(
    frames: Frames, labels: dict[str, np.ndarray], right: dict[str, np.ndarray] | None
) -> FrameValues:
    """What each frame has under some labels; `right` are those without error."""
    nuisance = []
    for part in labels.values():
        fitted = fit_regions(part, frames.size, frames.size)[0]
        nuisance.append((fitted == nmr.Region.NUISANCE).reshape(len(part), -1))
    joined = np.concatenate(nuisance, axis=1)
    inside = np.concatenate([frames.valid[view].ravel() for view in labels])
    overlaps = np.ones(len(joined))
    if right is not None:
        flat = [
            np.concatenate([own[view].reshape(len(joined), -1) for view in labels], axis=1)
            for own in (right, labels)
        ]
        overlaps = mask_error.overlap(*flat)
    return FrameValues(
        nmr=(joined & frames.critical).sum(1) / frames.critical.sum(1),
        chance=joined[:, inside].mean(1),
        random=(joined[None] & frames.random).sum(2) / frames.random.sum(2),
        overlap=overlaps,
    )


def print_report(results: dict[str, Any]) -> None:
    """The table, a line per error."""
    k = f"nmr@{results['percent']:g}"
    print(
        f"\n{results['frames']} frames of {results['tasks']} tasks. Overlap: intersection over "
        f"union of the relevant regions with the right ones. Excess: {k} less the nuisance share.\n"
        "Frames, tasks: Spearman correlation with the values under the right masks. Random: the "
        "same for random explanations.\n"
    )
    print(
        f"{'error':<8}{'size':>6}{'overlap':>9}{k:>8}  {'excess':<22}{'frames':>8}{'tasks':>7}"
        f"{'of excess':>11}{'random':>8}{'r(success)':>12}"
    )
    for row in results["errors"]:
        interval = f"{row['excess']:.3f} [{row['excess_low']:.3f}, {row['excess_high']:.3f}]"
        print(
            f"{row['error']:<8}{row['size']:>6g}{row['overlap']:>9.2f}{row['nmr']:>8.3f}  "
            f"{interval:<22}{row['rank_frames']:>8.2f}{row['rank_tasks']:>7.2f}"
            f"{row['excess_rank_tasks']:>11.2f}{row['random_rank_tasks']:>8.2f}"
            f"{row['success_r']:>12.2f}"
        )


if __name__ == "__main__":
    app.run(main, "mask_sensitivity")
