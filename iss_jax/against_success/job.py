"""The tables and figures of NMR against success, from what was measured."""

import dataclasses
from pathlib import Path
from typing import Any

from iss_jax.against_success.gallery import write_row_gallery
from iss_jax.against_success.measured import Measured
from iss_jax.against_success.options import Options
from iss_jax.against_success.report import main_percent, write_figures
from iss_jax.against_success.rows import (
    by_suite,
    correlations,
    make_rows,
    success_variation,
    table,
    unit_of_success,
)
from iss_jax.jobs.directory import RunDirectory


def write_results(
    run: RunDirectory, options: Options, found: Measured
) -> tuple[dict[str, Any], list[Path]]:
    """Writes `results.csv`, `results.json`, `figures/` and `gallery.html`.

    Args:
        run: where to.
        options: of the job.
        found: what was measured of which frames.

    Returns:
        What `results.json` holds, and the figures.
    """
    percents = options.percents
    rows = make_rows(found.items, found.results, found.success, percents)
    run.write_csv("results.csv", table(rows, percents))
    entries = correlations(
        rows,
        percents,
        confidence=options.confidence,
        resamples=options.resamples,
        permutations=options.permutations,
    )
    content = {
        "tasks": len({(row.success.suite, row.success.task) for row in rows}),
        "seeds": sorted({row.success.seed for row in rows}),
        "rows": len(rows),
        "frames": sum(row.frames for row in rows),
        "iss": dataclasses.asdict(found.iss),
        **({"fill": options.effect_options.fill} if options.effect_options.draws else {}),
        "success_variation": success_variation(rows),
        "unit": unit_of_success(rows),
        "correlations": entries,
        "by_suite": by_suite(rows),
    }
    run.write_json("results.json", content)
    figures = write_figures(
        run,
        rows,
        entries,
        percents,
        found.items,
        found.results,
        found.dataset,
        options.overlay_rows,
        content["by_suite"],
    )
    if run.processes.first:
        path = run.path / "gallery.html"
        write_row_gallery(path, rows, found.items, found.dataset, main_percent(percents))
        figures.append(path)
    return content, figures
