"""Names for things in recorded frames: `configs/label_instances.py` says how to run it.

Acts a dataset's trials out again, from the suite, task, start and seed of their metadata, and
labels the frames that come out the same to the bit: images, regions, state and action. The others
stay without names. Writes `episodes/` into the run directory, the dataset with instance labels and
all else as it was, and `results.csv`, a row a frame with what differed. Run again, it goes on.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import tqdm

from experiments.making.trials import act_out
from experiments.runs import app, versions
from iss_jax.data.atomic import atomic_directory
from iss_jax.data.convert import differences
from iss_jax.data.dataset import Dataset, open_dataset
from iss_jax.data.episode import Episode
from iss_jax.data.lerobot import write_episode
from iss_jax.data.strided import strided_frames
from iss_jax.few import few
from iss_jax.jobs.directory import RunDirectory, gather, open_run
from iss_jax.jobs.packaged import located
from iss_jax.policies.frames import source_of
from iss_jax.policies.restored import checkpoint_folder, fingerprint


def work_items(config: ml_collections.ConfigDict, dataset: Dataset) -> list[dict[str, Any]]:
    """One item an episode: its trial, and which of the recorded frames it has.

    Raises:
        ValueError: An episode has another number of frames than the configuration says.
    """
    policy = fingerprint(checkpoint_folder(config.checkpoint))
    items = []
    for episode in range(min(len(dataset), config.most or len(dataset))):
        line = dataset.metadata(episode)
        recorded = -(-line["steps"] // config.record_every)
        frames = strided_frames(recorded, 1, config.frames_per_episode)
        if len(frames) != line["length"]:
            raise ValueError(
                f"{dataset.root}, episode {episode}: {line['length']} frames; "
                f"{len(frames)} wanted of {line['steps']} control steps, one in "
                f"{config.record_every}, at most {config.frames_per_episode}"
            )
        named = ("suite", "task", "init_state", "layout_seed")
        items.append(
            {
                "policy": policy,
                **source_of(dataset, episode),
                "episode": episode,
                "frames": frames,
                "record_every": config.record_every,
                "support": line.get("landmarks", "").split(),
                **{name: line[name] for name in named},
            }
        )
    return items


def labelled(stored: Episode, again: Episode | None, frames: list[int]) -> dict[str, Any]:
    """What an episode's trial, acted out again, says of its frames.

    Args:
        stored: The episode of the dataset.
        again: What was recorded again; None where nothing was.
        frames: Which frames of `again` are those of `stored`.

    Returns:
        `instances`, camera -> numbers [t, h, w], 0 in frames that are not the same; `names`,
        number -> name; `differs`, a list a frame of what is not the same.
    """
    numbers = {
        camera: np.zeros(image.shape[:3], np.int32) for camera, image in stored.images.items()
    }
    differs = []
    for row, frame in enumerate(frames):
        if again is None or frame >= len(again):
            differs.append(["the trial ended before"])
            continue
        one = again.take([frame])
        differs.append(_unequal(stored.take([row]), one))
        if not differs[-1]:
            for camera, labels in one.instances.items():
                numbers[camera][row] = labels[0]
    names = {} if again is None else again.instance_names
    return {"instances": numbers, "names": names, "differs": differs}


def _unequal(one: Episode, other: Episode) -> list[str]:
    """What differs between two recordings, but for names and numbers that are not recorded."""
    same = ("fps", "metadata", "features", "instances", "instance_names")
    return differences(
        one, dataclasses.replace(other, **{name: getattr(one, name) for name in same})
    )


def run_trials(
    run: RunDirectory,
    config: ml_collections.ConfigDict,
    dataset: Dataset,
    items: list[dict[str, Any]],
) -> None:
    """Act out every trial that has no result yet, as far as its last frame."""
    from iss_jax.envs.rollout import RolloutItem

    by_trial = {
        RolloutItem(
            item["suite"],
            item["task"],
            item["init_state"],
            "native",
            item["layout_seed"],
            max_steps=config.record_every * item["frames"][-1] + 1,
            record_every=config.record_every,
            support=tuple(item["support"]),
        ): item
        for item in run.unfinished(items)
    }
    results = act_out(config, config.checkpoint, list(by_trial))
    for trial, result in tqdm.tqdm(results, total=len(by_trial), unit="trial"):
        item = by_trial[trial]
        run.save(item, labelled(dataset.read(item["episode"]), result.episode, item["frames"]))


def write_labelled(
    out: Path, dataset: Dataset, items: list[dict[str, Any]], results: list[Mapping[str, Any]]
) -> None:
    """Writes the episodes with their instance labels: all of them, or nothing.

    Raises:
        ValueError: What was written is not what was read, labels apart.
    """
    with atomic_directory(out) as folder:
        for item, result in zip(items, results, strict=True):
            episode = dataset.read(item["episode"])
            named = dataclasses.replace(
                episode,
                instances={
                    camera: np.asarray(numbers, np.int32)
                    for camera, numbers in result["instances"].items()
                },
                instance_names={int(number): name for number, name in result["names"].items()},
            )
            write_episode(folder, named, robot_type=dataset.robot_type)
        written = open_dataset(folder)
        for item in items:
            found = _unequal(dataset.read(item["episode"]), written.read(item["episode"]))
            if found:
                raise ValueError(f"{out} (episode {item['episode']}): differs in {few(found)}")


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment."""
    dataset = open_dataset(located(config.dataset, "dataset"))
    items = work_items(config, dataset)
    run = open_run(workdir, config, layout=versions.EPISODES)
    run_trials(run, config, dataset, items)
    results = gather(run, items)
    rows = [
        {
            "episode": item["episode"],
            "frame": frame,
            "suite": item["suite"],
            "task": item["task"],
            "step": config.record_every * recorded,
            "differs": " ".join(differs),
        }
        for item, result in zip(items, results, strict=True)
        for frame, (recorded, differs) in enumerate(
            zip(item["frames"], result["differs"], strict=True)
        )
    ]
    run.write_csv("results.csv", rows)
    same = sum(not row["differs"] for row in rows)
    print(f"{same} of {len(rows)} frames are the same to the bit and have names")
    out = run.path / "episodes"
    if not out.exists():
        write_labelled(out, dataset, items, results)
    print(f"episodes: {out}")


if __name__ == "__main__":
    app.run(main, "label_instances", many_processes=False)
