r"""Does a policy use its images at all? See `configs/image_use.py`.

    python -m experiments.image_use --config=configs/image_use.py
    python -m experiments.image_use --config=configs/image_use.py:own \
        --config.checkpoint=<folder> --config.dataset=<folder>

Images of frames of other tasks are given to the policy, everything else the frame's own, beside all
inputs of those frames: the ratio of what both do to the actions, over frames, with an interval that
resamples tasks. No labels are needed.

The workdir receives `frames.csv` (a row a frame) and `results.json`.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
import tqdm

from experiments.acting_on.frames import ChosenFrame, choose
from experiments.acting_on.images import pooled, rows_of, sentence
from experiments.inputs.acting import blur_away
from experiments.runs import app
from iss_jax import Background, EffectsConfig, Sampling
from iss_jax.data.dataset import Dataset
from iss_jax.effect_reasons import REASONS
from iss_jax.explain.donors import AUTO, Donors, load_donors
from iss_jax.image_use import ImageUse, image_use
from iss_jax.jobs.directory import open_run
from iss_jax.jobs.options import PolicyOptions, at_least_one, from_config
from iss_jax.policies.donors import donor_texts
from iss_jax.policies.frames import read_frames, see
from iss_jax.policies.low_rank import with_leaves
from iss_jax.policies.restored import Policy


@dataclasses.dataclass(frozen=True)
class Options(PolicyOptions):
    """One attribute per key of `configs/image_use.py`, which says what each means.

    Raises:
        ValueError: A number that must be positive is not.
    """

    quiet: bool
    leaves: str
    blurred: bool
    success: str
    policy_seed: int
    frames: int
    episodes: tuple[int, ...]
    draws: int
    donors: int
    donors_from: str
    seed: int

    def __post_init__(self) -> None:
        at_least_one(self, "draws", "donors", "frames")


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    options = from_config(config, Options)
    run = open_run(workdir, config)
    policy, dataset = options.load()
    if options.leaves:
        policy = with_leaves(policy, options.leaves)
    chosen = choose(dataset, options.success, options.policy_seed, options.frames, options.episodes)
    donors = load_donors(
        options,
        policy,
        dataset,
        fill=AUTO,
        root=options.donors_from,
        most=options.donors,
    )
    if donors.bank is None:
        raise ValueError(
            f"config.donors_from: frames of other tasks wanted, whole inputs are theirs "
            f"({donors.reason})"
        )
    if options.blurred:
        bank = dataclasses.replace(donors.bank, images=blur_away(donors.bank.images))
        donors = dataclasses.replace(donors, bank=bank)
    found = [
        use_of(frame, options, policy, dataset, donors)
        for frame in tqdm.tqdm(chosen, desc="frames", unit="frame", disable=options.quiet)
    ]
    rows = rows_of([frame.row() for frame in chosen], found)
    run.write_csv("frames.csv", rows)
    known = [row for row in rows if not row["reason"]]
    if not known:
        raise ValueError(
            f"{options.dataset}: nothing is known of {len(rows)} frames: "
            + "; ".join(sorted({REASONS[row["reason"]] for row in rows}))
        )
    ratio = pooled(
        np.array([row["images"] for row in known]),
        np.array([row["everything"] for row in known]),
        np.array([f"{row['suite']}/{row['prompt']}" for row in known]),
    )
    content = {
        "ratio": ratio.value,
        "low": ratio.low,
        "high": ratio.high,
        "frames": len(known),
        "verdict": sentence(ratio, len(known)),
    }
    run.write_json("results.json", content)
    if not options.quiet:
        print(f"\n{content['verdict']}\nframes:  {run.path / 'frames.csv'}")
    return content


def use_of(
    frame: ChosenFrame, options: Options, policy: Policy, dataset: Dataset, donors: Donors
) -> ImageUse:
    """Of one frame."""
    shown = options.frame_options
    seen = see(
        read_frames(dataset, frame.episode, [frame.frame], shown, labels="none"), policy, shown
    )
    obs, bank = seen.obs, donors.bank
    assert isinstance(bank, Background)
    if options.blurred:
        obs = dataclasses.replace(obs, images=blur_away(obs.images))
    key = jax.random.fold_in(jax.random.key(options.seed), frame.episode)
    found = image_use(
        policy.params,
        obs,
        bank,
        donor_texts(policy, bank, [seen.episode.prompt], seen.episode.state, shown),
        config=EffectsConfig(
            draws=options.draws, action_dims=len(policy.norm_stats["actions"].mean)
        ),
        key=jax.random.fold_in(key, frame.frame),
        groups=donors.groups(dataset, frame.episode),
        action_horizon=options.action_horizon,
        sampling=Sampling(num_steps=options.num_steps),
    )
    return jax.tree.map(lambda leaf: leaf[0], found)


if __name__ == "__main__":
    app.run(main, "image_use", many_processes=False)
