"""Can one pass predict a map? A head is taught, judged and used as a control variate."""

from pathlib import Path
from typing import Any

import ml_collections

from experiments.accuracy import frames
from experiments.amortising import samples
from experiments.amortising.items import Options, judged_items, training_items
from experiments.runs import app, versions
from iss_jax.jobs.directory import open_run, run_items
from iss_jax.jobs.options import from_config


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[dict[str, Any]]:
    """Runs the experiment; returns the rows of `results.csv`."""
    options = from_config(config, Options)
    run = open_run(workdir, config, layout=versions.EPISODES, version=versions.MAPS)
    policy, dataset = options.load()
    learning, _ = samples.split(dataset, options.held_out)
    prompts = sorted({prompt for index in learning for prompt in dataset.prompts(index)})
    training = training_items(dataset, policy, options)
    taught = run_items(
        run,
        training,
        lambda item: samples.measure(item, dataset, policy, prompts),
        description="samples",
        quiet=options.quiet,
    )
    judged = judged_items(dataset, policy, options)

    def compute(item: Any) -> Any:
        gradient = item["estimator"] == "gradient"
        chunk = options.gradient_chunk if gradient else options.chunk
        return frames.measure(item, frames.read_frame(item, dataset, policy), policy, chunk)

    # Kind by kind, so that a run that is stopped has all frames of some.
    for kind in zip(*judged, strict=True):
        run_items(run, kind, compute, description=kind[0]["use"], quiet=options.quiet)
    return []


if __name__ == "__main__":
    app.run(main, "amortise")
