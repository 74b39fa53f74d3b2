"""Single frames of an episode dataset, spread over its tasks, with flow noise of their own."""

import dataclasses
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import scipy.stats.qmc

from experiments.inputs.episodes import Episodes
from iss_jax.data.lerobot import LeRobotDataset, open_dataset
from iss_jax.jobs.packaged import located
from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.observation import Observation
from iss_jax.pi05.params import sizes_of
from iss_jax.policies.restored import Policy, load_policy


@dataclasses.dataclass(frozen=True)
class FrameOptions:
    """A policy and the frames it is shown; see `configs/parts/task_frames.py`."""

    checkpoint: str
    dataset: str
    tokenizer: str
    dtype: str
    cameras: dict[str, str]
    discrete_state_input: bool
    max_token_len: int
    action_horizon: int
    num_steps: int
    groups: dict[str, tuple[str, ...]]
    frames_per_group: int

    def load(self) -> tuple[Policy, LeRobotDataset]:
        """The policy and the dataset.

        Raises:
            FileNotFoundError: One of them is not there.
        """
        checkpoint = located(self.checkpoint, "checkpoint")
        policy = load_policy(checkpoint, tokenizer=self.tokenizer, dtype=self.dtype)
        return policy, open_dataset(located(self.dataset, "dataset"))

    def run_keys(self, policy: Policy) -> dict[str, Any]:
        """What a work item holds of these options, and of the policy."""
        names = ("dtype", "cameras", "discrete_state_input", "max_token_len", "action_horizon")
        return {
            **{name: getattr(self, name) for name in (*names, "num_steps")},
            "checkpoint": policy.fingerprint,
            "action_dims": len(policy.norm_stats["actions"].mean),
        }


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
    dataset: LeRobotDataset, groups: Mapping[str, Sequence[str]], per_group: int
) -> list[dict[str, Any]]:
    """One frame, the middle one, of episodes of tasks that are spread over each group's.

    More frames are the same ones and others: what was computed for few serves many.

    Args:
        dataset: episodes whose metadata hold `suite`, `task` and `split`.
        groups: name -> the splits that it is made of.
        per_group: frames of a group; 0 for one of each of its tasks. More frames than tasks take
            further episodes of the same tasks.

    Returns:
        `group`, `suite`, `task`, `split`, `episode`, `frame` and `data`, a hash of the episode's
        file, for each frame; the groups take turns.

    Raises:
        ValueError: metadata are missing, or a group has no episodes or fewer than are wanted.
    """
    chosen = []
    for group, splits in groups.items():
        tasks = episodes_of_tasks(dataset, splits)
        if not tasks:
            raise ValueError(f"{dataset.root}: no episode of the splits {tuple(splits)} ({group})")
        names, count = list(tasks), per_group or len(tasks)
        if count > sum(len(episodes) for episodes in tasks.values()):
            raise ValueError(f"{dataset.root}: fewer than {count} episodes of {tuple(splits)}")
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
    dataset: LeRobotDataset, group: str, task: tuple[str, str, str], episode: int
) -> dict[str, Any]:
    return {
        "group": group,
        **dict(zip(("suite", "task", "split"), task, strict=True)),
        "episode": episode,
        "frame": dataset.metadata(episode)["length"] // 2,
        "data": hashlib.sha256(dataset.data_path(episode).read_bytes()).hexdigest()[:16],
    }


def read_frame(
    item: Mapping[str, Any], dataset: LeRobotDataset, policy: Policy, options: FrameOptions
) -> Frame:
    """The frame that an entry of `choose_frames` names.

    Args:
        item: with `suite`, `task`, `episode` and `frame`.
        dataset: of the episodes.
        policy: whose statistics and tokenizer prepare it.
        options: cameras, lengths, and whether the prompt holds the state.
    """
    episode = dataset.read(item["episode"], [item["frame"]], regions=False)
    obs = make_observation(
        {camera: episode.images[camera] for camera in options.cameras.values() if camera},
        episode.state,
        [episode.prompt],
        tokenizer=policy.tokenizer,
        norm_stats=policy.norm_stats,
        max_token_len=options.max_token_len,
        cameras=options.cameras,
        discrete_state_input=options.discrete_state_input,
    )
    shape = (1, options.action_horizon, sizes_of(policy.params).action_dim)
    return Frame(obs, jax.random.normal(frame_key(item, "noise"), shape), episode.prompt)


def frame_key(item: Mapping[str, Any], use: str, seed: int = 0) -> jax.Array:
    """A key of the frame's own for each use and seed."""
    name = "/".join(str(item[part]) for part in ("suite", "task", "episode", "frame"))
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(f"{name}/{use}".encode()))
