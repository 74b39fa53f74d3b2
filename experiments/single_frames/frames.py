"""Single frames of an episode dataset, spread over its tasks, with flow noise of their own."""

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import scipy.stats.qmc

from iss_jax.data.dataset import Dataset, Episodes
from iss_jax.few import few
from iss_jax.jobs.options import PolicyOptions
from iss_jax.pi05.observation import Observation
from iss_jax.pi05.params import sizes_of
from iss_jax.policies.frames import read_frames, see, source_of
from iss_jax.policies.restored import Policy


@dataclasses.dataclass(frozen=True)
class SingleFrameOptions(PolicyOptions):
    """A policy and the frames it is shown; see `configs/parts/task_frames.py`."""

    groups: dict[str, tuple[str, ...]]
    frames_per_group: int


def run_keys(options: PolicyOptions, policy: Policy) -> dict[str, Any]:
    """What a work item holds of the options and of the policy, the robot's dimensions included."""
    return options.run_keys(policy) | {"action_dims": len(policy.norm_stats["actions"].mean)}


class Frame(NamedTuple):
    """A batch of one observation.

    Attributes:
        obs: what the policy sees.
        noise: [1, H, A] flow noise that all runs on the frame share.
        prompt: the instruction.
    """

    obs: Observation
    noise: jax.Array
    prompt: str


def choose_frames(
    dataset: Dataset, groups: Mapping[str, Sequence[str]], per_group: int
) -> list[dict[str, Any]]:
    """One frame, the middle one, of episodes of tasks that are spread over each group's.

    More frames are the same ones and others: what was computed for few serves many.

    Args:
        dataset: episodes whose metadata hold `suite`, `task` and `split`.
        groups: name -> the splits that it is made of.
        per_group: frames of a group; 0 for one of each of its tasks. More frames than tasks take
            further episodes of the same tasks.

    Returns:
        `group`, `suite`, `task`, `split`, `episode`, `frame`, `data` and `prompts`
        (`source_of`) for each frame; the groups take turns.

    Raises:
        ValueError: metadata are missing, or a group has no episodes or fewer than are wanted.
    """
    chosen = []
    for group, splits in groups.items():
        tasks = episodes_of_tasks(dataset, splits)
        if not tasks:
            raise ValueError(f"{dataset.root}: no episode of the splits {few(splits)} ({group})")
        names, count = list(tasks), per_group or len(tasks)
        if count > sum(len(episodes) for episodes in tasks.values()):
            raise ValueError(f"{dataset.root}: fewer than {count} episodes of {few(splits)}")
        picked: list[tuple[tuple[str, str, str], int]] = []
        for lap in range(max(len(episodes) for episodes in tasks.values())):
            for place in spread_order(len(names)):
                name = names[place]
                if lap < len(tasks[name]):
                    picked.append((name, tasks[name][lap]))
        chosen.append([_frame(dataset, group, *pair) for pair in picked[:count]])
    most = max(len(frames) for frames in chosen)
    return [frames[turn] for turn in range(most) for frames in chosen if turn < len(frames)]


def spread_order(count: int) -> list[int]:
    """All of 0 to count - 1, so that the first few are spread over the range (van der Corput)."""
    points = scipy.stats.qmc.Halton(1, scramble=False).random(4 * count)[:, 0]
    return list(dict.fromkeys((points * count).astype(int).tolist()))


def episodes_of_tasks(
    dataset: Episodes, splits: Sequence[str]
) -> dict[tuple[str, str, str], list[int]]:
    """Episodes of each suite, task and split, of the splits given.

    Raises:
        ValueError: an episode lacks the metadata that name its task.
    """
    tasks: dict[tuple[str, str, str], list[int]] = {}
    for episode in range(len(dataset)):
        line = dataset.metadata(episode)
        missing = [name for name in ("suite", "task", "split") if name not in line]
        if missing:
            raise ValueError(f"{dataset.root}: episode {episode} lacks the metadata {missing}")
        if line["split"] in splits:
            tasks.setdefault((line["suite"], line["task"], line["split"]), []).append(episode)
    return dict(sorted(tasks.items()))


def _frame(
    dataset: Dataset, group: str, task: tuple[str, str, str], episode: int
) -> dict[str, Any]:
    return {
        "group": group,
        **dict(zip(("suite", "task", "split"), task, strict=True)),
        "episode": episode,
        "frame": dataset.metadata(episode)["length"] // 2,
        **source_of(dataset, episode),
    }


def read_frame(
    item: Mapping[str, Any], dataset: Dataset, policy: Policy, options: SingleFrameOptions
) -> Frame:
    """The frame that an entry of `choose_frames` names.

    Args:
        item: with `suite`, `task`, `episode` and `frame`.
        dataset: of the episodes.
        policy: whose statistics and tokenizer prepare it.
        options: cameras, lengths, and whether the prompt holds the state.
    """
    shown = options.frame_options
    episode = read_frames(dataset, item["episode"], [item["frame"]], shown, labels="none")
    shape = (1, options.action_horizon, sizes_of(policy.params).action_dim)
    noise = jax.random.normal(frame_key(item, "noise"), shape)
    return Frame(see(episode, policy, shown).obs, noise, episode.prompt)


def frame_key(item: Mapping[str, Any], use: str, seed: int = 0) -> jax.Array:
    """A key of the frame's own for each use and seed."""
    name = "/".join(str(item[part]) for part in ("suite", "task", "episode", "frame"))
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(f"{name}/{use}".encode()))
