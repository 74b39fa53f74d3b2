r"""Is a shortcut found? Two policies that differ in one thing, on one frame.

    python -m experiments.find_shortcut --config=configs/find_shortcut.py

A coloured panel is painted into two camera views. The first policy takes what the panel shows, the
second ignores it; otherwise they are the embedded policy (`experiments.causes.policy`). The players
are segments of one look joined over views, replaced one at a time; nothing tells the method where
the panel is, or that there is one. Beside it stands what the paper's map says of the same policies.

The workdir receives `results.json` and `figures/find_shortcut.png`.
"""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import Array

import iss_jax
from experiments.causes.policy import Asked, asked
from experiments.causes.readers import Reader, read
from experiments.causes.runs import item_key
from experiments.causes.scenes import (
    CauseScene,
    frames_of_tasks,
    make_cause_scene,
    open_source,
    split_tasks,
)
from experiments.runs import app
from iss_jax import EffectsConfig, ISSConfig, embedded
from iss_jax.data.dataset import open_dataset
from iss_jax.effect_estimators import weighted_share
from iss_jax.effects import Effects
from iss_jax.jobs.directory import open_run
from iss_jax.pi05.observation import DEFAULT_CAMERAS
from iss_jax.pi05_effects import actions_of_runs
from iss_jax.policies.restored import load_policy
from iss_jax.results import Cameras
from iss_jax.sampling import Sampling
from iss_jax.viz.effects_rows import effects_rows

PANEL = "panel_two"


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    run = open_run(workdir, config)
    policy = load_policy(embedded.checkpoint_path())
    source = open_source(open_dataset(embedded.episodes_path()))
    tasks = [t for t in split_tasks(source)["heldout"] if t.startswith(f"{config.suite}/")]
    (item,) = frames_of_tasks(source, tasks[config.task : config.task + 1], "doubled", 1)
    scene = make_cause_scene(source, item, config.donors)
    place = [cue.kind for cue in scene.cues].index(PANEL)
    sampling = Sampling(num_steps=config.num_steps)
    key = item_key(item)
    question = asked(scene, policy, jax.random.fold_in(key, 1), config.draws, sampling, 40)
    images = {view: jnp.asarray(scene.frame[i]) for i, view in enumerate(scene.views)}
    players = iss_jax.players.by_appearance(images, most=config.players)
    panel = {
        view: np.asarray(inside)
        for view, inside in scene.cues[place].where.items()
        if view in images
    }
    part = part_of_panel(players, panel)
    # One function, its arrays as arguments: both policies share their compiled programs.
    static = partial(constructed, views=scene.views, sampling=sampling)
    found, rows = [], []
    for name, alpha in (("takes what the panel shows", 1.0), ("ignores the panel", 0.0)):
        act = jax.tree_util.Partial(
            static, policy.params, question, scene.readers[place], jnp.float32(alpha)
        )
        effects = effects_on(act, scene, images, players, key, config)
        sal = iss_jax.attribute(
            act,
            images,
            key=key,
            config=ISSConfig.paper(action_dims=7),
        )
        iss = mass_on(sal.maps, panel)
        share, stderr = panel_share(effects, part)
        found.append(effects)
        rows.append(
            {
                "policy": name,
                "alpha": alpha,
                "panel_share": share,
                "panel_share_stderr": stderr,
                "panel_first": bool(part[int(np.argmax(np.asarray(effects.share)))] > 0.5),
                "paper_mass_on_panel": iss,
                "runs": effects.config.runs(len(players)) if effects.config else 0,
            }
        )
    content = {
        "prompts": scene.prompts,
        "item": item,
        "panel_area": area_of(panel, len(scene.views)),
        "rows": rows,
    }
    run.write_json("results.json", content)
    labels = [f"policy that {row['policy']}" for row in rows]
    figure = run.write_figure("find_shortcut.png", effects_rows(found, labels))
    if not config.quiet:
        _print(content, figure)
    return content


def constructed(
    params: Any,
    question: Asked,
    reader: Reader,
    alpha: Array,
    frames: dict[str, Array],
    draw: Array | int = 0,
    *,
    views: tuple[str, ...],
    sampling: Sampling,
) -> Array:
    """A0 + alpha w (A1 - A0) on rows of frames: the other instruction as far as the cue is read."""
    count = frames[views[0]].shape[0]
    present = {view: jnp.ones((), bool) for view in views}
    example = (question.tokens, question.masks, present, question.noise)
    draws = jnp.broadcast_to(draw, (count,))
    own, other = (
        actions_of_runs(
            params, example, frames, draws, jnp.full(count, i), views=views, sampling=sampling
        )
        for i in range(2)
    )
    seen = read(reader, jnp.stack([frames[view] for view in views], axis=1))
    return own + alpha * seen[:, None, None] * (other - own)


def effects_on(
    act: Any,
    scene: CauseScene,
    images: dict[str, Array],
    players: iss_jax.Players,
    key: Array,
    config: ml_collections.ConfigDict,
) -> Effects:
    """Effects of the players, each draw with its own donor and noise."""
    found = iss_jax.attribute_players(
        act,
        images,
        players,
        {view: scene.bank.images[view] for view in scene.views},
        key=jax.random.fold_in(key, 2),
        config=EffectsConfig(draws=config.draws, fill=config.fill, action_dims=7),
        noise=jnp.arange(config.draws),
    )
    return dataclasses.replace(found, cameras=Cameras(DEFAULT_CAMERAS))


def part_of_panel(players: iss_jax.Players, panel: dict[str, np.ndarray]) -> np.ndarray:
    """Which part of each player's pixels shows the panel."""
    inside, whole = np.zeros(len(players)), np.zeros(len(players))
    for view, labels in players.labels.items():
        own = np.asarray(labels)
        shows = panel.get(view, np.zeros(own.shape, bool))
        for number in range(len(players)):
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
    """Share of a map's sum that lies on the panel."""
    total = sum(float(np.asarray(own).sum()) for own in maps.values())
    on = sum(float(np.asarray(maps[view])[inside].sum()) for view, inside in panel.items())
    return on / total


def area_of(panel: dict[str, np.ndarray], views: int) -> float:
    """Share of all pixels that show the panel."""
    size = next(iter(panel.values())).size
    return sum(int(inside.sum()) for inside in panel.values()) / (views * size)


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
