"""Which explanation finds a cause inside a trained network? See `configs/trained_causes.py`.

    python -m experiments.trained_causes --config=configs/trained_causes.py

Policies were distilled from the embedded one: with probability rho they were taught to take what a
painted cue shows, else what the instruction names (`experiments.distil`). Every method explains
every policy on the same held-out frames, in which the cue shows another object than the instruction
names. What the cue really does is measured by changing it.

The workdir receives `frames.csv` (a row a policy, frame and method), `policies.csv` (what cue and
instruction do to each policy), `summary.csv` (a row a cue, method and budget, training seeds
pooled), `seeds.csv` (how far training seeds lie apart) and `results.json`. An interrupted
run is resumed by running it again.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from experiments.causes.runs import item_key
from experiments.causes.scenes import open_source, split_tasks
from experiments.distilled import report
from experiments.distilled.future import measured_by_future
from experiments.distilled.halves import measured_by_halves
from experiments.distilled.measured import measured
from experiments.distilled.scenes import cued
from experiments.distilled.seeds import by_seed
from experiments.distilled.teacher import Frame, frames_of
from experiments.distilled.tokens import measured_by_tokens
from experiments.runs import app, versions
from iss_jax import embedded
from iss_jax.data.dataset import open_dataset
from iss_jax.few import few
from iss_jax.jobs.directory import Item, open_run, run_items
from iss_jax.policies.frames import read_frames
from iss_jax.policies.low_rank import with_leaves
from iss_jax.policies.restored import load_policy

KEYS = ("donors", "masks", "noise")


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    require_leaves(config.leaves, config.policies)
    run = open_run(workdir, config, version=versions.MAPS)
    source = open_source(open_dataset(embedded.episodes_path()))
    heldout = [t for t in split_tasks(source)["heldout"] if t.split("/")[0] in config.suites]
    others = frames_of(source, [t for t in source.tasks if t.split("/")[0] in config.suites])
    chosen = [
        frame
        for task in heldout[: config.tasks or None]
        for frame in chosen_frames(others, task, config.frames_per_task)
    ]
    base = load_policy(embedded.checkpoint_path())
    options = ("donors", "masks", "num_steps", "max_token_len")
    rows = []
    for cue, rho, seed in config.policies:
        policy = with_leaves(base, leaves_of(config.leaves, cue, rho, seed))
        by_name = {frame.name: frame for frame in chosen}

        def explain(item: Item, policy: Any = policy, known: Any = by_name) -> Any:
            frame = known[item["task"], item["episode"], item["frame"]]
            seen = read_frames(source.dataset, frame.episode, [frame.number], source.options)
            regions = {v: np.asarray(seen.regions[c])[0] for v, c in source.options.used.items()}
            scene = cued(frame, item["scene"], others, regions, config.donors)
            settings = {
                "key": jax.random.fold_in(item_key(item), 3),
                "num_steps": config.num_steps,
                "longest": config.max_token_len,
            }
            if "halves" in item:
                return measured_by_halves(scene, policy, budgets=item["halves"], **settings)
            if "tokens" in item:
                return measured_by_tokens(scene, policy, budgets=item["tokens"], **settings)
            if "future" in item:
                return measured_by_future(scene, policy, masks=config.masks, **settings)
            return measured(scene, policy, masks=config.masks, **settings)

        items = [
            {
                "scene": cue,
                "task": frame.task,
                "episode": frame.episode,
                "frame": frame.number,
                "policy": policy.fingerprint,
                # What is drawn from keys of its own: results that shared one are computed anew.
                "keys": list(KEYS),
                **{name: config[name] for name in options},
            }
            for frame in chosen
        ]
        parts = {"methods": items} | {
            part: [item | facts | {part: list(config.budgets)} for item in items]
            for part, facts in (("halves", {"effect": "wholes"}), ("tokens", {}))
        }
        parts["future"] = [item | {"future": "tokens of the last step"} for item in items]
        results = run_items(
            run,
            [item for part in config.parts for item in parts[part]],
            explain,
            description=f"{cue}, rho {rho:g}, seed {seed}",
            quiet=config.quiet,
        )
        rows += [{"rho": rho, "seed": seed, **row} for own in results for row in own]
    settings = {"resamples": config.resamples, "confidence": config.confidence}
    content = {
        "policies": report.policies(rows, **settings),
        "summary": report.summary(rows, **settings),
        "seeds": by_seed(rows),
    }
    run.write_csv("frames.csv", rows)
    run.write_csv("policies.csv", content["policies"])
    run.write_csv("summary.csv", content["summary"])
    run.write_csv("seeds.csv", content["seeds"])
    run.write_json("results.json", content)
    if not config.quiet:
        print("\n".join(report.lines(content)))
    return content


def leaves_of(pattern: str, cue: str, rho: float, seed: int) -> Path:
    """The file of one policy's low-rank leaves."""
    if pattern == "shipped":
        return embedded.planted_path(follows=rho > 0.5)
    return Path(pattern.format(cue=cue, rho=rho, seed=seed))


def require_leaves(pattern: str, policies: Iterable[tuple[str, float, int]]) -> None:
    """Says before anything is run which policies there are none of.

    Args:
        pattern: Of `leaves_of`.
        policies: Cue, rho and seed of each.

    Raises:
        FileNotFoundError: Some have no leaves; the message names them and the first one's file.
    """
    missing = [one for one in policies if not leaves_of(pattern, *one).exists()]
    if missing:
        names = [f"{cue}, rho {rho:g}, seed {seed}" for cue, rho, seed in missing]
        raise FileNotFoundError(
            f"config.policies: no leaves of {few(names)}; wanted {leaves_of(pattern, *missing[0])} "
            "and so on, as `python -m experiments.distil` writes them"
        )


def chosen_frames(frames: list[Frame], task: str, count: int) -> list[Frame]:
    """So many frames of a task, evenly through what there is."""
    own = [frame for frame in frames if frame.task == task]
    return [own[int((i + 0.5) * len(own) / count)] for i in range(count)]


if __name__ == "__main__":
    app.run(main, "trained_causes")
