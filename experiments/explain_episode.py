"""ISS and NMR over whole episodes: `configs/explain_episode.py` says how to run it.

Writes what `iss_jax.explain.episodes` says, and from the command line `report.html`. An interrupted
run is resumed by running it again, frame by frame.
"""

from pathlib import Path
from typing import Any

import ml_collections

from experiments.runs import app
from experiments.runs.planned import PlannedItem, iss_runs
from iss_jax import ISSConfig
from iss_jax.data.dataset import Episodes
from iss_jax.explain.episodes import explain_episodes, nmr_table
from iss_jax.explain.openpi_subject import OpenpiSubject
from iss_jax.explain.options import Options
from iss_jax.jobs import versions
from iss_jax.jobs.directory import open_run
from iss_jax.jobs.options import from_config
from iss_jax.strides import stride_frames


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    options = from_config(config, Options).described()
    policy, dataset = options.load()
    run = open_run(workdir, config, layout=versions.EXPLAINED, version=versions.MAPS)
    content = explain_episodes(run, options, OpenpiSubject(policy, options), dataset)
    if not options.quiet:
        print(f"\n{nmr_table(content['episodes'])}")
        if "without_nmr" in content:
            print(f"No NMR of {content['without_nmr']}.")
    return content


def plan(config: ml_collections.ConfigDict, episodes: Episodes) -> list[PlannedItem]:
    """An item a frame at which saliency is computed, a stage an episode."""
    values = config.to_dict()
    frame, found = PlannedItem("frames", 1, iss_runs(ISSConfig(**values["iss"]))), []
    for index in values["episodes"] or range(len(episodes)):
        length = episodes.metadata(index)["length"]
        computed = stride_frames(min(length, values["frames"] or length), values["stride"])
        found += [frame._replace(stage=index)] * len(computed)
    return found


if __name__ == "__main__":
    app.run(main, "explain_episode")
