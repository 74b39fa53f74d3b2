r"""What does a policy act on? Things in some of its frames, with their shares of the actions.

    python -m experiments.acts_on --config=configs/acts_on.py
    python -m experiments.acts_on --config=configs/acts_on.py \
        --config.checkpoint=<folder> --config.dataset=<folder> --config.success= \
        --config.max_token_len=200

Each player of a frame (a named object where the dataset has instance labels, else a segment of one
look, a labelled region) is replaced alone by the same pixels of other tasks' frames, and its share
of what that does to the actions is read off, with its error. No labels are needed.

With players by look every frame is explained twice, by looks joined over views and by looks of each
view: where the two disagree a cause may be shown in several views, and the command says so.

`--config.players=modalities` asks which kind of input counts instead: whole views, the instruction
and the state, replaced by those of frames of other tasks, with exact Shapley values.

The workdir receives `players.csv` (a row a frame and player), `results.json`,
`figures/acts_on.png` and `explorer.html` (the frames to click through); of modalities also
`kinds.csv` (means over frames, with intervals by task), of looks `compared.csv` (a row a frame).
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import tqdm

from experiments.acting_on.frames import ChosenFrame, choose
from experiments.acting_on.kinds import kind_rows, kind_sentence
from experiments.runs import app
from iss_jax import Effects, EffectsConfig, Sampling, fills, player_effects
from iss_jax.data.dataset import Dataset
from iss_jax.effects import example
from iss_jax.explain.donors import AUTO, Donors, load_donors
from iss_jax.explain.frame_players import PLAYERS, player_columns, players_of
from iss_jax.jobs.directory import open_run
from iss_jax.jobs.options import PolicyOptions, at_least_one, from_config
from iss_jax.modalities import modality_effects
from iss_jax.policies.donors import donor_texts
from iss_jax.policies.frames import read_frames, see
from iss_jax.policies.restored import Policy
from iss_jax.results import Cameras
from iss_jax.viz.effects_rows import effects_rows
from iss_jax.viz.explorer_pages import of_effects, write_pages

MODALITIES = "modalities"

COMPARED = {"looks": "looks_joined", "looks_joined": "looks"}
"""Players by look, and those that they are compared with."""


@dataclasses.dataclass(frozen=True)
class Options(PolicyOptions):
    """One attribute per key of `configs/acts_on.py`, which says what each means.

    Raises:
        ValueError: Players that are not known, or a number that must be positive is not.
    """

    quiet: bool
    success: str
    policy_seed: int
    frames: int
    episodes: tuple[int, ...]
    players: str
    compare: bool
    draws: int
    fill: str
    donors: int
    donors_from: str
    seed: int

    def __post_init__(self) -> None:
        at_least_one(self, "draws", "donors", "frames")
        if self.fill != AUTO:
            fills.named(self.fill)
        known = (*PLAYERS, MODALITIES)
        if self.players not in known:
            raise ValueError(f"config.players: {self.players!r} given, one of {known} wanted")
        if self.players == MODALITIES and self.fill not in (AUTO, "background"):
            raise ValueError(
                f"config.fill: {self.fill!r} given, but whole inputs are replaced by a donor's: "
                "'background' wanted"
            )


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    options = from_config(config, Options)
    run = open_run(workdir, config)
    policy, dataset = options.load()
    chosen = choose(dataset, options.success, options.policy_seed, options.frames, options.episodes)
    donors = load_donors(
        options,
        policy,
        dataset,
        fill=options.fill,
        root=options.donors_from,
        most=options.donors,
    )
    found, compared = [], []
    for frame in tqdm.tqdm(chosen, desc="frames", unit="frame", disable=options.quiet):
        found.append(example(effects_of(frame, options, policy, dataset, donors)))
        if options.compare and options.players in COMPARED:
            beside = dataclasses.replace(options, players=COMPARED[options.players])
            other = example(effects_of(frame, beside, policy, dataset, donors))
            compared.append(found[-1].agreement(other))
    rows = [
        {**frame.row(), **player}
        for frame, effects in zip(chosen, found, strict=True)
        for player in player_rows(effects)
    ]
    run.write_csv("players.csv", rows)
    sentences = [effects.sentence() for effects in found]
    content: dict[str, Any] = {
        "fill": donors.fill,
        "frames": [
            {**frame.row(), "acts_on": sentence}
            for frame, sentence in zip(chosen, sentences, strict=True)
        ],
    }
    if compared:
        content["compared"] = [
            {
                **frame.row(),
                "with": COMPARED[options.players],
                "correlation": float(one.correlation),
                "ceiling": float(one.ceiling),
                "disagree": bool(one.disagree),
                "known": bool(one.known),
                "says": one.sentence(),
            }
            for frame, one in zip(chosen, compared, strict=True)
        ]
        run.write_csv("compared.csv", content["compared"])
    if options.players == MODALITIES:
        kinds = kind_rows(chosen, found)
        run.write_csv("kinds.csv", kinds)
        content["kinds"] = kind_sentence(kinds)
    run.write_json("results.json", content)
    titles = [frame.title() for frame in chosen]
    figure = run.write_figure("acts_on.png", effects_rows(found, titles))
    write_pages(run, list(map(of_effects, found, titles)), title="What the policy acts on")
    if not options.quiet:
        print(f"\nWhat the policy acts on ({options.draws} draws a player, fill {donors.fill}):\n")
        for number, (frame, sentence) in enumerate(zip(chosen, sentences, strict=True)):
            print(f"  {frame.title()}\n      {sentence}")
            if compared:
                print(f"      joined and single looks: {compared[number].sentence()}")
        if "kinds" in content:
            print(f"\n  {content['kinds']}")
        print(f"\nshares:  {run.path / 'players.csv'}\nfigure:  {figure}")
    return content


def player_rows(found: Effects) -> list[dict[str, Any]]:
    """A row for each player that one frame shows."""
    values = {name: column.tolist() for name, column in player_columns(found).items()}
    return [
        {"player": name, **{column: own[i] for column, own in values.items()}}
        for i, name in enumerate(found.names)
        if values["area"][i] > 0 or values["moved"][i] > 0
    ]


def effects_of(
    frame: ChosenFrame,
    options: Options,
    policy: Policy,
    dataset: Dataset,
    donors: Donors,
) -> Effects:
    """Effects of the players of one frame, a batch of one."""
    shown = options.frame_options
    seen = see(
        read_frames(dataset, frame.episode, [frame.frame], shown, labels="optional"), policy, shown
    )
    key = jax.random.fold_in(jax.random.key(options.seed), frame.episode)
    config = EffectsConfig(
        draws=options.draws,
        fill=donors.fill,
        action_dims=len(policy.norm_stats["actions"].mean),
    )
    call: dict[str, Any] = {
        "key": jax.random.fold_in(key, frame.frame),
        "groups": donors.groups(dataset, frame.episode),
        "action_horizon": options.action_horizon,
        "sampling": Sampling(num_steps=options.num_steps),
    }
    if options.players == MODALITIES:
        if donors.bank is None:
            raise ValueError(
                "config.players: 'modalities' given, but there are no donors of other tasks; name "
                "a dataset that has some, config.donors_from"
            )
        episode = seen.episode
        texts = donor_texts(policy, donors.bank, [episode.prompt], episode.state, shown)
        config = dataclasses.replace(config, estimator="shapley")
        effects = modality_effects(
            policy.params, seen.obs, donors.bank, texts, config=config, **call
        )
    else:
        players = players_of(options.players, seen)
        effects = player_effects(
            policy.params, seen.obs, players, donors.bank, config=config, **call
        )
    frames = {view: jnp.asarray(np.asarray(image)) for view, image in seen.images.items()}
    return dataclasses.replace(effects, frames=frames, cameras=Cameras(seen.cameras))


if __name__ == "__main__":
    app.run(main, "acts_on", many_processes=False)
