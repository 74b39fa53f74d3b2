"""What the study's scenes look like and how they are labelled, a sheet a suite.

    python -m experiments.contact_sheets --config=configs/contact_sheets.py

Writes `figures/<suite>.jpg`: a row a task, a column a camera; nuisance is darkened, support and
robot are outlined in blue and green.
"""

from pathlib import Path

import ml_collections

from experiments.runs import app
from iss_jax.envs.benchmarks import STUDY, BenchmarkTask
from iss_jax.jobs.directory import RunDirectory, open_run
from iss_jax.viz.labelled import labelled
from iss_jax.viz.overlays import overlay_figure


def sheet(run: RunDirectory, suite: str, tasks: list[BenchmarkTask], size: int, dim: float) -> Path:
    """Renders the first init state of some tasks of a suite and writes their sheet."""
    from iss_jax.envs import libero

    rows, names = [], []
    for task in tasks:
        env = libero.make(suite, task.name, image_size=size)
        env.reset(0)
        frame = env.observation()
        rows.append({c: labelled(frame.images[c], frame.regions[c], dim) for c in frame.images})
        words = task.instruction.split()
        lines = [" ".join(words[i : i + 6]) for i in range(0, len(words), 6)]
        names.append("\n".join([f"({task.split})", *lines]))
    return run.write_figure(f"{suite}.jpg", overlay_figure(rows, names))


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment."""
    run = open_run(workdir, config)
    for suite in dict.fromkeys(task.suite for task in STUDY):
        tasks = [task for task in STUDY if task.suite == suite][: config.most or None]
        print(sheet(run, suite, tasks, config.image_size, config.dim))


if __name__ == "__main__":
    app.run(main, "contact_sheets", many_processes=False)
