r"""Is a shortcut found? Two trained policies that differ in what they were taught.

    python -m experiments.find_shortcut --config=configs/find_shortcut.py

A coloured panel names one object, the instruction another. The first policy was taught to take what
the panel shows, the second to ignore it (`experiments.distil`); both ship with the package. Players
are segments of one look joined over views, replaced one at a time; nothing tells the method where
the panel is, or that there is one. Beside it stands what the paper's map says of the same policies.
The frames are of tasks that neither policy saw in its lessons.

The workdir receives `results.json`, `frames.csv` and `figures/find_shortcut.png`.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import ml_collections
import numpy as np

import iss_jax
from experiments.causes.runs import item_key
from experiments.causes.scenes import open_source, split_tasks
from experiments.distilled.scenes import CuedScene, cued
from experiments.distilled.teacher import Frame, frames_of, observe
from experiments.planted.cue import INSTRUCTIONS
from experiments.runs import app
from iss_jax import EffectsConfig, ISSConfig, embedded
from iss_jax.data.dataset import open_dataset
from iss_jax.effect_estimators import weighted_share
from iss_jax.effects import Effects, example
from iss_jax.jobs.directory import open_run
from iss_jax.pi05.observation import DEFAULT_CAMERAS
from iss_jax.policies.low_rank import planted_policy
from iss_jax.policies.restored import Policy
from iss_jax.results import Cameras
from iss_jax.sampling import Sampling
from iss_jax.viz.effects_rows import effects_rows
from iss_jax.viz.explorer_pages import of_effects, write_pages

PANEL = "panel_one"
POLICIES = {"takes what the panel shows": True, "ignores the panel": False}


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    run = open_run(workdir, config)
    source = open_source(open_dataset(embedded.episodes_path()))
    heldout = [t for t in split_tasks(source)["heldout"] if t.split("/")[0] in config.suites]
    others = frames_of(source, [t for t in source.tasks if t.split("/")[0] in config.suites])
    frames = [middle(others, task) for task in heldout[: config.tasks or None]]
    scenes = [cued(frame, PANEL, others, {}, config.donors) for frame in frames]
    rows, shown, labels = [], [], []
    for name, follows in POLICIES.items():
        policy = planted_policy(follows=follows)
        for number, scene in enumerate(scenes):
            row, effects = explained(scene, policy, config, paper=number < config.shown)
            rows.append({"policy": name, **row})
            if number < config.shown:
                shown.append(effects)
                labels.append(
                    f"policy that {name}\nnamed: {thing(scene.named)}\nshown: {thing(scene.shown)}"
                )
    area = float(np.mean([scene.place.mean() for scene in scenes]))
    content = {
        "panel_area": area,
        "frames": len(scenes),
        "policies": [summary(name, rows) for name in POLICIES],
    }
    run.write_json("results.json", content)
    run.write_csv("frames.csv", rows)
    figure = run.write_figure("find_shortcut.png", effects_rows(shown, labels))
    titles = [label.replace("\n", ", ") for label in labels]
    write_pages(run, list(map(of_effects, shown, titles)), title="Is a shortcut found?")
    if not config.quiet:
        _print(content, figure)
    return content


def thing(number: int) -> str:
    """What an instruction asks for."""
    return INSTRUCTIONS[number].removeprefix("pick up the ").partition(" and ")[0]


def middle(frames: list[Frame], task: str) -> Frame:
    """The middle one of a task's frames."""
    own = [frame for frame in frames if frame.task == task]
    return own[len(own) // 2]


def explained(
    scene: CuedScene, policy: Policy, config: ml_collections.ConfigDict, *, paper: bool
) -> tuple[dict[str, Any], Effects]:
    """A frame's row, with the paper's map if asked for, and its players' effects."""
    frame = scene.frame
    place = {"task": frame.task, "episode": frame.episode, "frame": frame.number}
    key = item_key({"scene": PANEL, **place})
    obs = observe(policy, [scene.images], [frame.state], [scene.named], 40)
    images = {view: obs.images[view] for view in scene.images}
    players = iss_jax.players.by_appearance(images, most=config.players)
    sampling = Sampling(num_steps=config.num_steps)
    call: dict[str, Any] = {"action_horizon": 16, "sampling": sampling, "key": key}
    effects = iss_jax.player_effects(
        policy.params,
        obs,
        players,
        scene.bank,
        config=EffectsConfig(draws=config.draws, fill=config.fill, action_dims=7),
        **call,
    )
    on_panel = None
    if paper:
        iss = ISSConfig.paper(action_dims=7, num_masks=config.num_masks)
        on_panel = mass_on(
            iss_jax.saliency(policy.params, obs, config=iss, **call).maps, scene.where
        )
    part = part_of_panel(players, scene.where)
    share, stderr = panel_share(effects, part)
    row = {
        "task": frame.task,
        "named": scene.named,
        "shown": scene.shown,
        "panel_share": share,
        "panel_share_stderr": stderr,
        "panel_first": bool(part[int(np.argmax(np.asarray(effects.share)))] > 0.5),
        "paper_mass_on_panel": on_panel,
        "runs": EffectsConfig(draws=config.draws).runs(len(players)),
    }
    named = dataclasses.replace(effects, cameras=Cameras(DEFAULT_CAMERAS))
    return row, example(named, 0)


def summary(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One policy over its frames: means, and the standard error of a mean of frames."""
    own = [row for row in rows if row["policy"] == name]
    shares = np.array([row["panel_share"] for row in own])
    return {
        "policy": name,
        "panel_share": float(shares.mean()),
        "panel_share_stderr": float(shares.std(ddof=1) / len(own) ** 0.5) if len(own) > 1 else None,
        "panel_first": sum(row["panel_first"] for row in own),
        "paper_mass_on_panel": float(
            np.mean([x for row in own if (x := row["paper_mass_on_panel"]) is not None])
        ),
        "runs": own[0]["runs"],
    }


def part_of_panel(players: iss_jax.Players, panel: dict[str, np.ndarray]) -> np.ndarray:
    """Which part of each player's pixels shows the panel; players of a batch of one."""
    inside, whole = np.zeros(len(players)), np.zeros(len(players))
    for view, labels in players.labels.items():
        own = np.asarray(labels)[0]
        shows = panel.get(view, np.zeros(own.shape, bool))
        for number in range(len(players)):
            inside[number] += (shows & (own == number)).sum()
            whole[number] += (own == number).sum()
    return inside / np.maximum(whole, 1)


def panel_share(found: Effects, part: np.ndarray) -> tuple[float, float]:
    """The share of the players that mostly show the panel, and its standard error."""
    share, stderr = weighted_share(
        found.effects, found.covariance, jnp.asarray(part > 0.5, jnp.float32)[None, None]
    )
    return float(share[0, 0]), float(stderr[0, 0])


def mass_on(maps: Any, panel: dict[str, np.ndarray]) -> float:
    """Share of a map's sum that lies on the panel."""
    total = sum(float(np.asarray(own).sum()) for own in maps.values())
    on = sum(float(np.asarray(maps[view])[0][inside].sum()) for view, inside in panel.items())
    return on / total


def _print(content: dict[str, Any], figure: Path) -> None:
    print(
        f"\nA coloured panel covers {100 * content['panel_area']:.0f} % of the pixels. Players are "
        "segments of one look; nothing names the panel.\n"
    )
    for row in content["policies"]:
        error = row["panel_share_stderr"]
        spread = "" if error is None else f" ± {100 * error:.0f}"
        print(
            f"  the policy that {row['policy']}: the panel holds {100 * row['panel_share']:.0f}"
            f"{spread} % of the effects,\n      and comes first in {row['panel_first']} of "
            f"{content['frames']} frames; of the paper's map "
            f"{100 * row['paper_mass_on_panel']:.0f} % lies on it."
        )
    print(f"\nfigure:  {figure}")


if __name__ == "__main__":
    app.run(main, "find_shortcut", many_processes=False)
