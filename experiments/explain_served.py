"""Saliency of a policy behind a server: `configs/explain_served.py` says how to run it.

Writes `answers.npz` (the run's progress), `results.json` (NMR, the noise floor, the cells, what the
policy acts on), `players.csv`, and `figures/maps.png` and `players.png`.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import jax.numpy as jnp
import ml_collections
import numpy as np
import tqdm

from experiments.acting_on.served import sent_donors, sent_players
from experiments.runs import app
from iss_jax import Effects, EffectsConfig, ISSConfig, chance_level, nuisance_mass_ratio
from iss_jax.data.dataset import Dataset, open_dataset
from iss_jax.data.episode import Episode
from iss_jax.explain.frame_players import player_columns
from iss_jax.jobs.directory import open_run
from iss_jax.jobs.packaged import located
from iss_jax.policies import served, served_players
from iss_jax.policies.chunks import warn_of_chunks
from iss_jax.policies.client import PolicyClient
from iss_jax.policies.configs import named
from iss_jax.policies.frames import FrameOptions, read_frames
from iss_jax.viz.explorer_pages import of_effects, write_pages

MOST = 10_000  # steps of a chunk, and dimensions of an action


@dataclasses.dataclass(frozen=True)
class Options:
    """One attribute per key of `configs/explain_served.py`."""

    name: str
    uri: str
    robot: str
    dataset: str
    episode: int
    frame: int
    cameras: dict[str, str]
    mirror: bool
    shared_noise: bool
    num_masks: int
    baseline_calls: int
    reply_timeout: float
    players: str
    draws: int
    fill: str
    donors: int


def noise_shape(metadata: Mapping[str, Any], uri: str) -> tuple[int, int]:
    """The flow noise that a server takes, by what it says of itself.

    Raises:
        ValueError: It does not say so, or says what no policy takes.
    """
    horizon, dims = (metadata.get(name) for name in ("action_horizon", "action_dim"))
    for value in (horizon, dims):
        if type(value) is not int or not 1 <= value <= MOST:
            raise ValueError(
                f"{uri}: its metadata say action_horizon {horizon!r}, action_dim {dims!r}; whole "
                f"numbers of 1 to {MOST} wanted for --config.shared_noise=True"
            )
    return cast("tuple[int, int]", (horizon, dims))


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Asks the server and reports."""
    options, run = Options(**config.to_dict()), open_run(workdir, config)
    robot = named(options.robot)
    dataset = open_dataset(located(options.dataset, "dataset"))
    warn_of_chunks(dataset, robot.action_horizon, [robot.action_dims])
    cameras = {view: camera for view, camera in options.cameras.items() if view in robot.cameras}
    shown = FrameOptions(cameras, mirror=options.mirror)
    cameras = shown.used
    episode = read_frames(dataset, options.episode, [options.frame], shown, labels="optional")
    frames = {robot.cameras[view]: episode.images[camera][0] for view, camera in cameras.items()}
    raw = robot.join(frames, episode.state[0], episode.prompt)
    with PolicyClient(options.uri, reply_timeout=options.reply_timeout) as client:
        if options.shared_noise:
            client.connect()
            shape = noise_shape(client.metadata, options.uri)
            raw["noise"] = np.random.default_rng(0).standard_normal(shape, np.float32)
        with tqdm.tqdm(unit="call") as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            found = served.attribute(
                client.infer,
                raw,
                robot,
                config=ISSConfig(num_masks=options.num_masks),
                baseline_calls=options.baseline_calls,
                resume=workdir / "answers.npz",
                infer_batch=client.infer_batch,
                progress=progress,
            )
        acted = _acts_on(client, raw, options, dataset, episode, shown) if options.players else None
    sal = found.saliency
    measured = float(np.asarray(sal.effects).mean())
    content: dict[str, Any] = {
        "robot": options.robot,
        "prompt": episode.prompt,
        "effect": measured,
        "floor": found.floor,
        "floor_stderr": found.floor_stderr,
        "floor_share": found.floor / (measured + found.floor),
        "stderr": float(np.asarray(sal.stderr).mean()),
        "spread": float(np.asarray(sal.cells).std()),
    }
    regions = {view: episode.regions[c] for view, c in cameras.items() if c in episode.regions}
    if regions:
        maps = {view: sal.maps[view][None] for view in regions}
        labels = {view: jnp.asarray(region) for view, region in regions.items()}
        content["nmr_at_10"] = float(nuisance_mass_ratio(maps, labels, k=10)[0])
        content["nuisance_area"] = float(chance_level(labels)[0])
    if acted is not None:
        content["acts_on"] = acted.sentence()
        content["fill"] = acted.config.fill if acted.config else ""
    run.write_json("results.json", content | {"cells": np.asarray(sal.cells).tolist()})
    outlined = {view: labels[0] for view, labels in regions.items()}
    run.write_figure("maps.png", found.saliency.plot(regions=outlined or None))
    if acted is not None:
        run.write_csv("players.csv", _player_rows(acted))
        run.write_figure("players.png", acted.plot())
    title = f"episode {options.episode}: {episode.prompt}"
    shown = [] if acted is None else [of_effects(acted, title)]
    write_pages(run, shown, title="What the policy behind the server acts on")
    for name, value in content.items():
        print(f"{name:<14} {value:.4g}" if isinstance(value, float) else f"{name:<14} {value}")
    return content


def _acts_on(
    client: PolicyClient,
    raw: dict[str, Any],
    options: Options,
    dataset: Dataset,
    episode: Episode,
    shown: FrameOptions,
) -> Effects:
    fill, bank = sent_donors(
        dataset, options.episode, episode, shown, fill=options.fill, most=options.donors
    )
    who = sent_players(options.players, episode, shown.used)
    with tqdm.tqdm(unit="call", desc="players") as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return served_players.attribute_players(
            client.infer,
            raw,
            options.robot,
            who,
            bank,
            config=EffectsConfig(draws=options.draws, fill=fill),
            baseline_calls=options.baseline_calls,
            progress=progress,
        )


def _player_rows(found: Effects) -> list[dict[str, Any]]:
    columns = player_columns(found)
    return [
        {"player": name, **{column: float(values[i]) for column, values in columns.items()}}
        for i, name in enumerate(found.shown_names())
    ]


if __name__ == "__main__":
    app.run(main, "explain_served", many_processes=False)
