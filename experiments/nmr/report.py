"""Figures and the printed summary of the NMR experiment."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.nmr.rows import Row, nmr_name, task_names
from iss_jax.data.dataset import Dataset
from iss_jax.jobs.directory import RunDirectory
from iss_jax.masks import upsample
from iss_jax.pi05.observation import VIEWS
from iss_jax.stats.correlation import Correlation
from iss_jax.viz.figures import correlation_figure, correlation_grid
from iss_jax.viz.overlays import overlay, overlay_figure

# The cutoff that the paper adopts.
DEFAULT_PERCENT = 10
# Figures tell more tasks than this apart by their split alone.
MOST_NAMED = 20


def write_figures(
    run: RunDirectory,
    rows: Sequence[Row],
    found: Sequence[Mapping[str, Any]],
    percents: Sequence[float],
    items: Sequence[Mapping[str, Any]],
    results: Sequence[Mapping[str, Any]],
    dataset: Dataset,
    overlay_rows: int,
) -> list[Path]:
    """The scatter of Figure 3, the grid of Figure 10, and some of the maps themselves.

    Without correlations (fewer than three rows) there are the maps alone.
    """
    maps = _maps(items, results, dataset, percents, overlay_rows)
    if not found:
        return [run.write_figure("maps.png", maps)]
    rates = np.array([row.success.rate for row in rows])
    groups = short_names(task_names(rows))
    if len(set(groups)) > MOST_NAMED:
        groups = [row.success.split for row in rows]
    main = _main_percent(percents)
    panels = {
        name: (np.array([row.measures[name] for row in rows]), _correlation(found, name))
        for name in map(nmr_name, percents)
    }
    x, correlation = panels.pop(nmr_name(main))
    figures = [
        run.write_figure(
            f"nmr_at_{main:g}.png",
            correlation_figure(x, rates, groups, correlation, xlabel=nmr_name(main)),
        )
    ]
    if panels:
        figures.append(run.write_figure("nmr_at_k.png", correlation_grid(panels, rates, groups)))
    return [*figures, run.write_figure("maps.png", maps)]


def print_report(
    run: RunDirectory,
    content: Mapping[str, Any],
    percents: Sequence[float],
    figures: Sequence[Path],
) -> None:
    """A short table of the Pearson correlations, and where the rest is."""
    print(
        f"\n{content['rows']} rows: {content['tasks']} tasks, seeds {content['seeds']}, "
        f"{content['frames']} frames."
    )
    if content["correlations"]:
        _print_correlations(content, percents)
        _print_variation(content["success_variation"])
    else:
        print("No correlation with success: three rows or more wanted.")
    print(f"\nrows:          {run.path / 'results.csv'}")
    print(f"correlations:  {run.path / 'results.json'}")
    for path in figures:
        print(f"figure:        {path}")


def _print_correlations(content: Mapping[str, Any], percents: Sequence[float]) -> None:
    print(
        "Pearson correlation with the success rate; intervals and p "
        "by task; beside them random explanations and the partial correlations given the nuisance\n"
        "area and the split and, within suites, given the area and the suite.\n"
    )
    level = f"{100 * content['correlations'][0]['confidence']:g} % interval"
    print(
        f"{'measure':<24}{'r':>6}  {level:<17}{'p':>8}  {'random r':>8}  "
        f"{'partial r':>9}  {'in suites':>9}"
    )
    main = f"{_main_percent(percents):g}"
    shown = [*map(nmr_name, percents), f"nmr_mass@{main}", "mass_ratio"]
    shown += [e["measure"] for e in content["correlations"] if f"@{main} in " in e["measure"]]
    shown += [f"attention_nmr@{main}", f"norm_nmr@{main}", f"excess@{main}", "chance"]
    for entry in content["correlations"]:
        if entry["kind"] == "pearson" and entry["measure"] in shown:
            low, high = entry["bootstrap"]
            random = entry.get("random", {}).get("mean")
            partial, within = (entry.get(n, {}).get("r") for n in ("partial", "within_suites"))
            print(
                f"{entry['measure']:<24}{entry['r']:>6.2f}  [{low:>6.2f}, {high:>6.2f}] "
                f"{entry['p_value']:>8.3g}  {'' if random is None else f'{random:.2f}':>8}  "
                f"{'' if partial is None else f'{partial:.2f}':>9}  "
                f"{'' if within is None else f'{within:.2f}':>9}"
            )


def _print_variation(variation: Mapping[str, Any]) -> None:
    within = variation.get("within_suites", {})
    if len(within) > 1:
        suite = max(within, key=within.__getitem__)
        print(
            f"\n{100 * variation['between_suites']:.0f} % of what success varies lies between "
            f"suites; of the rest {100 * within[suite]:.0f} % are inside {suite}."
        )


def short_names(names: Sequence[str]) -> list[str]:
    """The names without the words that all of them begin and end with."""
    words = [name.replace("_", " ").split() for name in names]
    rest = [entry[_shared(words) :] for entry in words]
    end = _shared([entry[::-1] for entry in rest])
    short = [" ".join(entry[: len(entry) - end]) for entry in rest]
    return short if all(short) else list(names)


def _shared(words: Sequence[Sequence[str]]) -> int:
    """How many words all begin with."""
    columns = zip(*words, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda column: len(set(column)) == 1, columns))


def _correlation(found: Sequence[Mapping[str, Any]], measure: str) -> Correlation:
    entry = next(e for e in found if (e["measure"], e["kind"]) == (measure, "pearson"))
    return Correlation(**{name: entry[name] for name in Correlation._fields})


def _main_percent(percents: Sequence[float]) -> float:
    return DEFAULT_PERCENT if DEFAULT_PERCENT in percents else percents[0]


def _maps(items, results, dataset: Dataset, percents: Sequence[float], most: int):
    """The middle frame of the first episode of some tasks, under the first seed."""
    first: dict[tuple[str, str, str], int] = {}
    for index, item in enumerate(items):
        first.setdefault((item["suite"], item["task"], item["split"]), index)
    main = list(percents).index(_main_percent(percents))
    rows, labels = [], []
    names = short_names([task for _, task, _ in first])
    for task, ((_, _, split), index) in list(zip(names, first.items(), strict=True))[:most]:
        item, result = items[index], results[index]
        row = len(item["frames"]) // 2
        frame = dataset.read(item["episode"], [item["frames"][row]])
        cells = np.asarray(result["cells"][row], np.float32)
        cameras = {view: item["cameras"][view] for view in VIEWS if item["cameras"].get(view)}
        frames = {}
        for cell, (view, camera) in zip(cells, cameras.items(), strict=True):
            image = frame.images[camera][0]
            frames[f"{view} ({camera})"] = overlay(
                image,
                np.asarray(upsample(cell, image.shape[:2])),
                frame.regions[camera][0],
                limits=(float(cells.min()), float(cells.max())),
            )
        rows.append(frames)
        labels.append(f"{task}\n{split}, nmr@{percents[main]:g} {result['nmr'][row][main]:.2f}")
    return overlay_figure(rows, labels)
