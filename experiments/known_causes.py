"""Which explanation finds a cause that is known exactly? See `configs/known_causes.py`.

    python -m experiments.known_causes --config=configs/known_causes.py

Cues are painted into frames of the embedded episodes, and policies are constructed whose
instruction depends on one of them by a known amount (`experiments.causes.policy`). Every method
runs at the same cost on the same frames. Owen values (`experiments.causes.owen`) spend their runs
one after the other and are run apart. Methods and thresholds are chosen on the split `chosen`;
the split `heldout` has other kinds of cues, other tasks and other frames. Whether one can point at
the players is a table of its own, which takes no runs (`experiments.causes.coherence`).

The workdir receives `summary.csv` (a row a split, method, budget and kind), `goals.csv`,
`coverage.csv`, `sizes.csv`, `coherence.csv`, `metrics.csv` (which metric of faithfulness ranks
methods as the truth does), `frames.csv` (a row a frame, of the methods that `shown` names),
`results.json` and `figures/known_causes.png`. An interrupted run is resumed by running it again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_collections

from experiments.causes import report
from experiments.causes.coherence import coherence_lines, coherence_of, coherence_table
from experiments.causes.figure import known_causes_figure
from experiments.causes.metrics import METRICS, agreement, run_metrics
from experiments.causes.partition import partitions_of, run_partition
from experiments.causes.runs import Plan, run_frame, run_reference
from experiments.causes.scenes import Source, frames_of_tasks, open_source, split_tasks
from experiments.causes.tables import error_rows, rows_of
from experiments.runs import app, versions
from iss_jax import embedded
from iss_jax.data.dataset import open_dataset
from iss_jax.jobs.directory import RunDirectory, open_run, run_items
from iss_jax.policies.restored import checkpoint_folder, load_policy


def plan_of(config: ml_collections.ConfigDict, split: str) -> Plan:
    """What is run on every frame of a split."""
    return Plan(
        budgets=tuple(config.budgets),
        labelled_budget=config.labelled_budget,
        donors=config.donors,
        num_steps=config.num_steps,
        max_token_len=config.max_token_len,
        noises=config.noises,
        families=tuple(config.families[split]),
        rows=config.rows,
    )


def items_of(source: Source, config: ml_collections.ConfigDict) -> dict[str, list[dict[str, Any]]]:
    """Split -> its work items: scenes of its own on tasks of its own."""
    tasks = split_tasks(source)
    found = {}
    for split in config.splits:
        own = [task for task in tasks[split] if task.split("/")[0] in config.suites]
        own = own[: config.tasks[split] or None]
        found[split] = [
            item
            for task in own
            for scene in config.scenes[split]
            for item in frames_of_tasks(source, [task], scene, config.frames_per_task)
        ]
    return found


def measured(run: RunDirectory, config: ml_collections.ConfigDict) -> dict[str, list[Any]]:
    """Computes what is missing; rows of methods and of errors."""
    policy = load_policy(checkpoint_folder(config.checkpoint))
    source = open_source(open_dataset(embedded.episodes_path()))
    rows, errors, metrics = [], [], []
    for split, items in items_of(source, config).items():
        plan = plan_of(config, split)
        facts = {"policy": policy.fingerprint, "plan": plan.facts}
        results = run_items(
            run,
            [item | facts for item in items],
            lambda item, plan=plan: run_frame(source, policy, plan, item),
            description=f"copies, {split}",
        )
        for item, result in zip(items, results, strict=True):
            rows += [{"split": split, **row} for row in rows_of(source, plan, item, result)]
        names = [family.name for family in partitions_of(plan)]
        known = {frame_of(item): result for item, result in zip(items, results, strict=True)}
        halves = run_items(
            run,
            [item | facts | {"partitions": names, "effect": "wholes"} for item in items if names],
            lambda item, plan=plan, known=known: run_partition(
                source, policy, plan, item, known[frame_of(item)]
            ),
            description=f"halves, {split}",
        )
        rows += [{"split": split, **row} for own in halves for row in own]
        for family, draws in config.reference_draws:
            some = list(zip(items, results, strict=True))[:: config.reference_stride]
            many = run_items(
                run,
                [item | facts | {"family": family, "draws": draws} for item, _ in some],
                lambda item, plan=plan: run_reference(source, policy, plan, item),
                description=f"many draws, {split}",
            )
            for (item, result), reference in zip(some, many, strict=True):
                found = error_rows(source, plan, item, result, reference, family, draws)
                errors += [{"split": split, **row} for row in found]
        if split == "chosen" and config.metrics_stride:
            some = list(zip(items, results, strict=True))[:: config.metrics_stride]
            judged = run_items(
                run,
                [item | facts | {"metrics": list(METRICS)} for item, _ in some],
                lambda item, plan=plan, known=known: run_metrics(
                    source, policy, plan, item, known[frame_of(item)]
                ),
                description=f"metrics of faithfulness, {split}",
            )
            metrics += [row for own in judged for row in own]
    return {"rows": rows, "errors": errors, "metrics": metrics}


def frame_of(item: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells the frame of one work item from those of others."""
    return tuple(item[name] for name in ("scene", "task", "episode", "frame"))


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    run = open_run(workdir, config, version=versions.MAPS)
    settings = {"resamples": config.resamples, "confidence": config.confidence}
    pieces = []
    if "coherence" in config.parts:
        source = open_source(open_dataset(embedded.episodes_path()))
        pieces = coherence_table(coherence_of(source, items_of(source, config)), **settings)
        run.write_csv("coherence.csv", pieces)
        print("\n".join(coherence_lines(pieces)))
    if "methods" not in config.parts:
        run.write_json("results.json", {"coherence": pieces})
        return {"coherence": pieces}
    found = measured(run, config)
    summary = report.summary(found["rows"], **settings)
    content = {
        "goals": report.goals(summary, tuple(config.answers)),
        "coverage": report.coverage(found["errors"], confidence=config.confidence),
        "metrics": agreement(found["metrics"], [r for r in summary if r["split"] == "chosen"]),
        "sizes": report.by_size(found["rows"], tuple(config.answers)),
    }
    run.write_csv("summary.csv", summary)
    run.write_csv("goals.csv", content["goals"])
    run.write_csv("coverage.csv", content["coverage"])
    run.write_csv("sizes.csv", content["sizes"])
    run.write_csv("metrics.csv", content["metrics"])
    shown = {tuple(one) for one in config.shown}
    run.write_csv("frames.csv", [r for r in found["rows"] if (r["method"], r["budget"]) in shown])
    run.write_json("results.json", content)
    path = run.write_figure("known_causes.png", known_causes_figure(summary))
    print("\n".join(report.report_lines(summary, content)))
    print(f"figure: {path}")
    return content


if __name__ == "__main__":
    app.run(main, "known_causes")
