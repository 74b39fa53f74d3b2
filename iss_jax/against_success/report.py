"""Figures of NMR against success, and what of it is said in words."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iss_jax.against_success.maps import chosen_rows, maps_figure
from iss_jax.against_success.rows import Row, nmr_name, task_names
from iss_jax.against_success.units import unit_line
from iss_jax.data.dataset import Dataset
from iss_jax.jobs.directory import RunDirectory
from iss_jax.stats.correlation import Correlation
from iss_jax.viz.figures import correlation_figure, correlation_grid
from iss_jax.viz.suites_figure import suites_figure

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
    suites: Sequence[Mapping[str, Any]] = (),
) -> list[Path]:
    """NMR by effect suite by suite, Figures 3 and 10, and some of the maps themselves.

    Without correlations (fewer than three rows) there are the maps alone.
    """
    main = main_percent(percents)
    chosen = chosen_rows(rows, overlay_rows)
    maps = maps_figure(chosen, items, results, dataset, main, list(percents).index(main))
    if not found:
        return [run.write_figure("maps.png", maps)]
    rates = np.array([row.success.rate for row in rows])
    groups = short_names(task_names(rows))
    if len(set(groups)) > MOST_NAMED:
        groups = [row.success.split for row in rows]
    panels = {
        name: (np.array([row.measures[name] for row in rows]), _correlation(found, name))
        for name in map(nmr_name, percents)
    }
    unit = found[0]["unit"]
    x, correlation = panels.pop(nmr_name(main))
    figures = []
    if panel := _suite_panels(rows, found, suites, main):
        suite_names = [row.success.suite for row in rows]
        figures.append(
            run.write_figure("nmr_by_effect.png", suites_figure(panel, rates, suite_names))
        )
    figures += [
        run.write_figure(
            f"nmr_at_{main:g}.png",
            correlation_figure(
                x, rates, groups, correlation, xlabel=nmr_name(main), unit=f"{unit}s"
            ),
        )
    ]
    if panels:
        figures.append(
            run.write_figure(
                "nmr_at_k.png", correlation_grid(panels, rates, groups, unit=f"{unit}s")
            )
        )
    return [*figures, run.write_figure("maps.png", maps)]


def _suite_panels(
    rows: Sequence[Row],
    found: Sequence[Mapping[str, Any]],
    suites: Sequence[Mapping[str, Any]],
    percent: float,
) -> dict[str, tuple[np.ndarray, str]]:
    """NMR by effect, its chance level and the paper's NMR; nothing where it was not measured."""
    by_suite = {entry["measure"]: entry for entry in suites}
    shown = {
        "nmr_effect": "NMR by effect",
        "nmr_effect_chance": "the same, labels shifted",
        nmr_name(percent): f"the paper's NMR@{percent:g}",
    }
    if "nmr_effect" not in rows[0].measures:
        return {}
    panels = {}
    for name, label in shown.items():
        if name in rows[0].measures and any(entry["measure"] == name for entry in found):
            entry = _correlation(found, name)
            title = entry.reason if np.isnan(entry.r) else f"r = {entry.r:.2f}, {entry.n} rows"
            if one := by_suite.get(name):
                title += f"\n{one['n']} suites: {_ranked(one)}"
            panels[label] = (np.array([row.measures[name] for row in rows]), title)
    return panels


def report_text(
    run: RunDirectory,
    content: Mapping[str, Any],
    percents: Sequence[float],
    figures: Sequence[Path],
) -> str:
    """A short table of the Pearson correlations, and where the rest is."""
    lines = [
        f"\n{content['rows']} rows: {content['tasks']} tasks, seeds {content['seeds']}, "
        f"{content['frames']} frames."
    ]
    if content["correlations"]:
        lines += [*_headline(content), ""]
        lines += _correlations(content, percents)
        lines += variation_lines(content["success_variation"])
    else:
        lines.append("No correlation with success: three rows or more wanted.")
    lines.append(f"\nrows:          {run.path / 'results.csv'}")
    lines.append(f"correlations:  {run.path / 'results.json'}")
    return "\n".join([*lines, *(f"figure:        {path}" for path in figures)])


def _headline(content: Mapping[str, Any]) -> list[str]:
    """NMR by effect first, where it was measured."""
    found = {entry["measure"]: entry for entry in content["correlations"] if _is_pearson(entry)}
    suites = {entry["measure"]: entry for entry in content["by_suite"]}
    lines = []
    for name, title in (
        ("nmr_effect", "NMR by effect (nuisance share of what replacing regions does)"),
        ("nmr_effect_anything", "the same, nuisance replaced by anything"),
        ("nmr_effect_chance", "its chance level (labels shifted within the frame)"),
    ):
        if name not in found:
            continue
        one = found[name]
        said = one["reason"] if np.isnan(one["r"]) else f"r = {one['r']:.2f} with success"
        line = f"{title}: {said} over {one['n']} rows"
        if name in suites:
            line += f"; over {suites[name]['n']} suites {_ranked(suites[name])}"
        lines.append(f"{line}.")
    return lines


def _ranked(entry: Mapping[str, Any]) -> str:
    if np.isnan(entry["r"]):
        return entry["reason"]
    return f"rank r = {entry['r']:.2f}, p = {entry['p_value']:.2g}"


def _is_pearson(entry: Mapping[str, Any]) -> bool:
    return entry["kind"] == "pearson"


def _correlations(content: Mapping[str, Any], percents: Sequence[float]) -> list[str]:
    level = f"{100 * content['correlations'][0]['confidence']:g} % interval"
    lines = [
        "Pearson correlation with the success rate; beside it random explanations and the partial",
        "correlations given the nuisance area and the split and, within suites, given the area and "
        f"the suite.\n{unit_line(content)}\n",
        f"{'measure':<24}{'r':>6}  {level:<17}{'p':>8}  {'random r':>8}  "
        f"{'partial r':>9}  {'in suites':>9}",
    ]
    main = f"{main_percent(percents):g}"
    shown = ["nmr_effect", "nmr_effect_anything", "nmr_effect_chance", "excess_effect", "effect"]
    shown += ["support_effect"]
    shown += [*map(nmr_name, percents), f"nmr_mass@{main}", "mass_ratio"]
    shown += [e["measure"] for e in content["correlations"] if f"@{main} in " in e["measure"]]
    shown += [f"attention_nmr@{main}", f"norm_nmr@{main}", f"excess@{main}", "chance"]
    for entry in content["correlations"]:
        if entry["kind"] == "pearson" and entry["measure"] in shown:
            random = entry.get("random", {}).get("mean")
            partial, within = (entry.get(n, {}).get("r") for n in ("partial", "within_suites"))
            cells = (
                _number(entry["r"], 6),
                f"  {_interval(entry['bootstrap']):<17}",
                f"{_number(entry['p_value'], 8, '.3g')}  {_number(random, 8)}  ",
                f"{_number(partial, 9)}  {_number(within, 9)}",
            )
            reason = f"  {entry['reason']}" if np.isnan(entry["r"]) else ""
            lines.append(f"{entry['measure']:<24}{''.join(cells)}{reason}")
    reasons = [e["reason"] for e in content["correlations"] if not np.isnan(e["r"])]
    return lines + [f"{one[0].upper()}{one[1:]}." for one in dict.fromkeys(reasons) if one]


def _number(value: float | None, width: int, form: str = ".2f") -> str:
    """Nothing where there is no number, so that no nan stands without its reason."""
    shown = "" if value is None or np.isnan(value) else format(value, form)
    return f"{shown:>{width}}"


def _interval(ends: Sequence[float]) -> str:
    low, high = ends
    return "none" if np.isnan(low) else f"[{low:>6.2f}, {high:>6.2f}]"


def variation_lines(variation: Mapping[str, Any]) -> list[str]:
    """Between and inside which suites success varies; nothing where there is one suite."""
    within = variation.get("within_suites", {})
    if len(within) < 2:
        return []
    suite = max(within, key=within.__getitem__)
    return [
        f"\n{100 * variation['between_suites']:.0f} % of what success varies lies between "
        f"suites; of the rest {100 * within[suite]:.0f} % are inside {suite}."
    ]


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


def main_percent(percents: Sequence[float]) -> float:
    """The paper's cutoff where it is among them, else the first."""
    return DEFAULT_PERCENT if DEFAULT_PERCENT in percents else percents[0]
