"""Episodes that ship, watched frame by frame as if they were acted out now; no simulator."""

from collections.abc import Mapping
from typing import Any

import jax

from experiments.monitored.signals import Signals
from iss_jax import embedded
from iss_jax.data.dataset import Dataset, open_dataset
from iss_jax.policies.frames import FrameOptions, read_frames


def recorded_items(options: Mapping[str, Any], fingerprint: str, tasks: int) -> list[dict]:
    """One item an episode of the seen tasks and of those whose looks were changed.

    Args:
        options: Of the signals.
        fingerprint: Of the policy.
        tasks: The first so many of each suite; all when 0.
    """
    dataset = open_dataset(embedded.episodes_path())
    known: dict[str, list[str]] = {}
    found = []
    for index in range(len(dataset)):
        line = dataset.metadata(index)
        suite = str(line["suite"])
        if suite not in ("libero_object", "libero_spatial", "libero_object_object"):
            continue
        own = known.setdefault(suite, [])
        if line["task"] not in own:
            own.append(str(line["task"]))
        if tasks and own.index(line["task"]) >= tasks:
            continue
        found.append(
            {
                "policy": "embedded",
                "checkpoint": fingerprint,
                "suite": suite,
                "task": line["task"],
                "split": line["split"],
                "panel": "",
                "trial": int(line["seed"]),
                "episode": index,
                "success": bool(line["success"]),
                "steps": int(line["steps"]),
                "signals": dict(options),
            }
        )
    return found


def watch_recorded(item: Mapping[str, Any], signals: Signals, dataset: Dataset) -> dict[str, Any]:
    """The signals of each stored frame of one episode."""
    views = FrameOptions().used
    episode = read_frames(dataset, item["episode"], None, FrameOptions())
    rows = []
    for number in range(len(episode)):
        raw = {
            "images": {camera: episode.images[camera][number] for camera in views.values()},
            "state": episode.state[number],
            "prompt": episode.prompt,
        }
        labels = {view: episode.regions[camera][number] for view, camera in views.items()}
        key = jax.random.fold_in(jax.random.key(item["episode"]), number)
        rows.append(signals.measure(raw, labels, key, f"{item['suite']}/{item['task']}"))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return {"success": item["success"], "steps": item["steps"], "signals": columns}
