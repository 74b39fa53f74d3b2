r"""Is a shortcut found? Two trained policies that differ in what they were taught, on one frame.

    python -m experiments.find_shortcut --config=configs/find_shortcut.py

A coloured panel is painted into a camera view, of the colour of another object than the instruction
names. The first policy was taught to take what the panel shows, the second to ignore it
(`experiments.distil`). The players are segments of one look joined over views, replaced one at a
time; nothing tells the method where the panel is, or that there is one. Beside it stands what the
paper's map says of the same policies.

The workdir receives `results.json` and `figures/find_shortcut.png`.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import ml_collections
import numpy as np

import iss_jax
from experiments.causes.runs import item_key
from experiments.causes.scenes import frames_of_tasks, open_source, split_tasks
from experiments.distilled.measured import HORIZON, true_effects
from experiments.distilled.scenes import cued
from experiments.distilled.teacher import frames_of, observe
from experiments.planted.cue import INSTRUCTIONS
from experiments.runs import app
from iss_jax import EffectsConfig, ISSConfig, embedded
from iss_jax.data.dataset import open_dataset
from iss_jax.effect_estimators import weighted_share
from iss_jax.effects import Effects, example
from iss_jax.jobs.directory import open_run
from iss_jax.pi05.observation import DEFAULT_CAMERAS
from iss_jax.policies.low_rank import planted_policy
from iss_jax.results import Cameras
from iss_jax.sampling import Sampling
from iss_jax.viz.effects_rows import effects_rows

CUE = "panel_one"


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    run = open_run(workdir, config)
    source = open_source(open_dataset(embedded.episodes_path()))
    tasks = [t for t in split_tasks(source)["heldout"] if t.startswith(f"{config.suite}/")]
    (item,) = frames_of_tasks(source, tasks[config.task : config.task + 1], CUE, 1)
    frames = frames_of(source, [t for t in source.tasks if t.startswith("libero_object")])
    wanted = (item["task"], item["episode"], item["frame"])
    (frame,) = (one for one in frames if one.name == wanted)
    scene = cued(frame, CUE, frames, {}, config.donors)
    sampling = Sampling(num_steps=config.num_steps)
    key = item_key(item)
    longest = config.max_token_len
    found, rows = [], []
    for name, follows in (("takes what the panel shows", True), ("ignores the panel", False)):
        policy = planted_policy(follows)
        obs = observe(policy, [scene.images], [frame.state], [scene.named], longest)
        images = {view: obs.images[view] for view in scene.images}
        call: dict[str, Any] = {"key": key, "action_horizon": HORIZON, "sampling": sampling}
        players = iss_jax.players.by_appearance(images, most=config.players)
        options = EffectsConfig(draws=config.draws, fill=config.fill, action_dims=7)
        effects = example(
            iss_jax.player_effects(policy.params, obs, players, scene.bank, config=options, **call)
        )
        sal = iss_jax.saliency(policy.params, obs, config=ISSConfig.paper(action_dims=7), **call)
        own = {view: np.asarray(labels)[0] for view, labels in players.labels.items()}
        part = part_of_panel(own, len(players), scene.where)
        share, stderr = panel_share(effects, part)
        cue, instruction = true_effects(scene, policy, key, sampling, longest)
        found.append(dataclasses.replace(effects, cameras=Cameras(DEFAULT_CAMERAS)))
        rows.append(
            {
                "policy": name,
                "panel_share": share,
                "panel_share_stderr": stderr,
                "panel_first": bool(part[int(np.argmax(np.asarray(effects.share)))] > 0.5),
                "paper_mass_on_panel": mass_on(sal.maps, scene.where),
                "other_panels": cue,
                "other_instructions": instruction,
                "runs": options.runs(len(players)),
            }
        )
    content = {
        "named": INSTRUCTIONS[scene.named],
        "shown": INSTRUCTIONS[scene.shown],
        "item": item,
        "panel_area": float(scene.place.mean()),
        "rows": rows,
    }
    run.write_json("results.json", content)
    labels = [f"policy that {row['policy']}" for row in rows]
    figure = run.write_figure("find_shortcut.png", effects_rows(found, labels))
    if not config.quiet:
        _print(content, figure)
    return content


def part_of_panel(
    labels: dict[str, np.ndarray], players: int, panel: dict[str, np.ndarray]
) -> np.ndarray:
    """Which part of each player's pixels shows the panel."""
    inside, whole = np.zeros(players), np.zeros(players)
    for view, own in labels.items():
        shows = panel.get(view, np.zeros(own.shape, bool))
        for number in range(players):
            inside[number] += (shows & (own == number)).sum()
            whole[number] += (own == number).sum()
    return inside / np.maximum(whole, 1)


def panel_share(found: Effects, part: np.ndarray) -> tuple[float, float]:
    """The share of the players that mostly show the panel, and its standard error."""
    share, stderr = weighted_share(
        found.effects, found.covariance, jnp.asarray(part > 0.5, jnp.float32)[None]
    )
    return float(share[0]), float(stderr[0])


def mass_on(maps: Any, panel: dict[str, np.ndarray]) -> float:
    """Share of a map's sum that lies on the panel; one map a view, with or without a batch axis."""
    total = sum(float(np.asarray(own).sum()) for own in maps.values())
    on = sum(float(np.asarray(maps[view])[..., inside].sum()) for view, inside in panel.items())
    return on / total


def _print(content: dict[str, Any], figure: Path) -> None:
    print(
        f"\nA coloured panel covers {100 * content['panel_area']:.0f} % of the pixels. Players are "
        "segments of one look; nothing names the panel.\n"
    )
    for row in content["rows"]:
        first = "and comes first" if row["panel_first"] else "and does not come first"
        print(
            f"  the policy that {row['policy']}: the panel holds {100 * row['panel_share']:.0f} ± "
            f"{100 * row['panel_share_stderr']:.0f} % of the effects {first};\n"
            f"      of the paper's map {100 * row['paper_mass_on_panel']:.0f} % lies on it."
        )
    print(f"\nfigure:  {figure}")


if __name__ == "__main__":
    app.run(main, "find_shortcut", many_processes=False)
