"""The four perturbations at several strengths, with NMR of the ISS map (Figure 6).

    python -m experiments.perturbation_grid --config=configs/perturbation_grid.py

One frame of one episode; a column for each perturbation, as in Figure 6, and one for the frame as
it is; for each view a row a strength. A panel shows the perturbed frame and, beside it, its ISS map
over it, with NMR of that view alone.

The workdir receives `results.csv` (a row a panel, and the views taken together),
`figures/perturbations.jpg` and `explorer.html` (every copy under the maps of all methods).
"""

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from experiments.perturbed.grid_figure import Panel, perturbation_figure
from experiments.perturbed.items import (
    METHODS,
    PerturbedOptions,
    episode_lines,
    load_inputs,
    work_item,
)
from experiments.perturbed.maps import Copies, explained_copies
from experiments.runs import app
from iss_jax import divergence, nmr
from iss_jax.jobs.directory import open_run
from iss_jax.jobs.options import from_config
from iss_jax.viz.explorer import ShownEpisode
from iss_jax.viz.explorer_pages import of_maps, write_pages
from iss_jax.viz.overlays import overlay


@dataclasses.dataclass(frozen=True)
class Options(PerturbedOptions):
    """One attribute per key of `configs/perturbation_grid.py`, which says what each means."""

    perturbations: tuple[str, ...]
    strengths: tuple[float, ...]
    region: str
    episode: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.region not in ("nuisance", "all"):
            raise ValueError(f"config.region: {self.region!r} given, 'nuisance' or 'all' wanted")
        if "iss" not in self.methods:
            raise ValueError(f"config.methods: {self.methods} given, 'iss' among them wanted")


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[dict[str, Any]]:
    """Runs the experiment; returns the rows of `results.csv`."""
    options = from_config(config, Options)
    inputs = load_inputs(options)
    every = dataclasses.replace(options, num_tasks=0, seeds=())
    lines = {line["index"]: line for line in episode_lines(every, inputs.dataset)}
    if options.episode not in lines:
        raise ValueError(f"config.episode: {options.episode} given, 0 to {len(lines) - 1} wanted")
    pairs = [(name, s) for name in options.perturbations for s in options.strengths]
    line = lines[options.episode]
    item = work_item("perturbation_grid", options, inputs, line, pairs, region=options.region)
    run = open_run(workdir, config)
    key = jax.random.key(options.seed)
    copies, explained = explained_copies(item, item["frames"][0], key, inputs)
    maps = explained.maps["iss"]
    regions, valid = jax.tree.map(jnp.asarray, (copies.seen.regions, copies.seen.valid))
    share = partial(nmr.nuisance_mass_ratio, maps, regions, k=options.percent, valid=valid)
    joint, views = np.asarray(share()), share(per_view=True)
    views = {view: np.asarray(found) for view, found in views.items()}
    actions = explained.actions
    iss = inputs.iss
    errors = divergence.effects(
        actions, actions[0], action_dims=iss.action_dims, horizon=iss.horizon
    )
    rows = [
        {
            "perturbation": name,
            "strength": strength,
            **{
                measure: float(f"{values[index]:.6g}")
                for measure, values in {
                    "action_error": np.asarray(errors),
                    "nmr": joint,
                    **{f"nmr in {view}": found for view, found in views.items()},
                }.items()
            },
        }
        for index, (name, strength) in enumerate([("none", 0.0), *pairs])
    ]
    run.write_csv("results.csv", rows)
    figure = perturbation_figure(
        panels(copies, maps, views, item["cameras"], [("none", 0.0), *pairs]),
        columns=("none", *options.perturbations),
        title=f"{line['task'].replace('_', ' ')}, {line['split']}; NMR@{options.percent:g}",
    )
    path = run.write_figure("perturbations.jpg", figure)
    shown = [
        _shown(copies, explained.maps, item, index, f"{name} {strength:g}".removesuffix(" 0"))
        for index, (name, strength) in enumerate([("none", 0.0), *pairs])
    ]
    write_pages(run, shown, title=f"{line['task'].replace('_', ' ')} under perturbations")
    if not options.quiet:
        for row in rows:
            print("  ".join(f"{name} {value}" for name, value in row.items()))
        print(f"figure: {path}")
    return rows


def _shown(
    copies: Copies,
    found: Mapping[str, Mapping[str, jax.Array]],
    item: Mapping[str, Any],
    index: int,
    title: str,
) -> ShownEpisode:
    """One copy under the maps of every method, to click through."""
    cameras, seen = item["cameras"], copies.seen
    maps = {
        METHODS[method]: {cameras[view]: np.asarray(m[index]) for view, m in own.items()}
        for method, own in found.items()
    }
    return of_maps(
        title,
        {cameras[view]: seen.images[view][index] for view in seen.views},
        {cameras[view]: seen.valid[view][index] for view in seen.views},
        maps,
        units=dict.fromkeys(maps, "score"),
        regions={cameras[view]: seen.regions[view][index] for view in seen.views},
        percent=item["percent"],
    )


def panels(
    copies: Copies,
    maps: Mapping[str, jax.Array],
    shares: Mapping[str, np.ndarray],
    cameras: Mapping[str, str],
    pairs: list[tuple[str, float]],
) -> list[Panel]:
    """Every copy in every view. Colours span the maps of all views of one copy."""
    found = []
    for index, (name, strength) in enumerate(pairs):
        own = {view: np.asarray(scores[index]) for view, scores in maps.items()}
        limits = (
            min(float(scores.min()) for scores in own.values()),
            max(float(scores.max()) for scores in own.values()),
        )
        for view, scores in own.items():
            # At the policy's size, where maps and labels live.
            size = (*scores.shape, 3)
            frame = np.asarray(copies.images[cameras[view]][index], np.float32)
            frame = np.clip(
                np.asarray(jax.image.resize(jnp.asarray(frame), size, "linear")), 0, 255
            )
            frame = frame.round().astype(np.uint8)
            shown = overlay(frame, scores, copies.seen.regions[view][index], limits=limits)
            caption = f"{shares[view][index]:.2f}"
            found.append(Panel(view, name, strength, frame, shown, caption))
    return found


if __name__ == "__main__":
    app.run(main, "perturbation_grid", many_processes=False)
