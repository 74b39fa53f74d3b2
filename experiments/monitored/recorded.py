"""Frames of episodes that ship, watched as if they were acted out now; no simulator.

Only the first frame of each is taken: it was seen before anything happened, and every episode has
one. Where the second one stands depends on how long the episode lasted.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from experiments.distilled.cue import painted, places
from experiments.monitored.reader import Reading, reading_of
from experiments.monitored.signals import Signals
from experiments.planted.cue import COLOURS, INSTRUCTIONS
from iss_jax import embedded
from iss_jax.data.dataset import Dataset, open_dataset
from iss_jax.data.episode import Episode
from iss_jax.nmr import Region
from iss_jax.policies.frames import FrameOptions, read_frames

CUE = "panel_one"


def recorded_items(
    options: Mapping[str, Any],
    fingerprint: str,
    panels: Sequence[tuple[str, str]],
    *,
    suites: Sequence[str] = (),
    tasks: int = 0,
    seeds: int = 0,
) -> list[dict[str, Any]]:
    """One item an episode, and one more for each panel in a scene whose objects have colours.

    What came of the episode is what was recorded without a panel, but for the policy that reads a
    panel which shows another object: it does not do what is asked, and counts as failed.

    Args:
        options: Of the signals.
        fingerprint: Of the policy.
        panels: Policy and what its panel shows.
        suites: Of the study; all when empty.
        tasks: The first so many of each suite; all when 0.
        seeds: The first so many episodes of each task; all when 0.
    """
    dataset = open_dataset(embedded.episodes_path())
    known: dict[str, dict[str, int]] = {}
    found = []
    for index in range(len(dataset)):
        line = dataset.metadata(index)
        suite = str(line["suite"])
        own = known.setdefault(suite, {})
        task = str(line["task"])
        number = own[task] = own.get(task, 0) + 1
        too_many = (tasks and list(own).index(task) >= tasks) or (seeds and number > seeds)
        if too_many or (suites and suite not in suites):
            continue
        for policy, panel in panels:
            if panel and suite != "libero_object":
                continue
            found.append(
                {
                    "policy": policy,
                    "checkpoint": fingerprint,
                    "suite": suite,
                    "task": task,
                    "split": line["split"],
                    "panel": panel,
                    "trial": int(line["seed"]),
                    "episode": index,
                    "success": bool(line["success"]) and (policy, panel) != ("reader", "other"),
                    "steps": int(line["steps"]),
                    "signals": dict(options),
                }
            )
    return found


def watch_recorded(item: Mapping[str, Any], signals: Signals, dataset: Dataset) -> dict[str, Any]:
    """The signals of the first frame of one episode."""
    views = FrameOptions().used
    episode = read_frames(dataset, item["episode"], [0], FrameOptions())
    images = {camera: episode.images[camera][0] for camera in views.values()}
    labels = {view: np.array(episode.regions[camera][0]) for view, camera in views.items()}
    raw = {"images": images, "state": episode.state[0], "prompt": episode.prompt}
    reading = None
    if item["panel"]:
        size = signals.options.image_size
        where = places(CUE, list(views.values()), (size, size))
        shown = shown_object(episode, item)
        raw["images"] = painted(images, where, CUE, shown)
        by_view = {view: where[camera] for view, camera in views.items() if camera in where}
        for view, mask in by_view.items():
            labels[view][mask] = Region.NUISANCE
        if item["policy"] == "reader":
            reading = _reading(signals, raw, by_view, shown)
    task = f"{item['suite']}/{item['task']}"
    row = signals.measure(raw, labels, jax.random.key(item["episode"]), task, reading)
    columns = {name: [value] for name, value in row.items()}
    return {"success": item["success"], "steps": item["steps"], "signals": columns}


def _reading(
    signals: Signals, raw: Mapping[str, Any], where: dict[str, np.ndarray], shown: int
) -> Reading:
    told = {**raw, "prompt": INSTRUCTIONS[shown]}
    return reading_of(where, COLOURS[shown], signals.policy.observe(told))


def shown_object(episode: Episode, item: Mapping[str, Any]) -> int:
    """What the panel shows, a place in `INSTRUCTIONS`: what is asked for, or another object."""
    own = INSTRUCTIONS.index(episode.prompt)
    if item["panel"] == "own":
        return own
    there = set(episode.instance_names.values())
    others = [
        i
        for i, text in enumerate(INSTRUCTIONS)
        if i != own and any(f" the {name} and" in text for name in there)
    ]
    return int(np.random.default_rng([own, item["trial"]]).choice(others))
