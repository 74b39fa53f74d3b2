"""A frame with its cues painted, the donors of its copies, and the instructions that compete."""

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from experiments.causes import cues
from experiments.causes.readers import Reader, reader_of, stacked
from iss_jax.background import Background, Groups
from iss_jax.data.dataset import Dataset
from iss_jax.policies.frames import FrameOptions, read_frames

SCENES = {
    "seen": ("panel_one", "patch_presence", "tint"),
    "doubled": ("panel_two", "patch_position"),
    "surfaces": ("texture", "border", "shadow"),
}
"""Cues that share a frame: each is a cause in its turn, and the others then are none. Light last,
for it falls on everything."""


class CauseScene(NamedTuple):
    """What is known of one frame.

    Attributes:
        views: Order of the views.
        cues: Those in the frame.
        readers: What reads each of them.
        frame: The painted frame, [v, h, w, 3] in [-1, 1].
        others: Of each cue, the same frame with its other values, [values, v, h, w, 3].
        bank: Donors, with cues of their own values at the same places.
        groups: Episode and task of the frame.
        regions: View -> region labels.
        state: Of the robot.
        prompts: The frame's own instruction, and another one of its suite.
    """

    views: tuple[str, ...]
    cues: tuple[cues.Cue, ...]
    readers: tuple[Reader, ...]
    frame: np.ndarray
    others: tuple[np.ndarray, ...]
    bank: Background
    groups: Groups
    regions: dict[str, np.ndarray]
    state: np.ndarray
    prompts: tuple[str, str]


class Source(NamedTuple):
    """The frames that scenes are made of.

    Attributes:
        dataset: With region labels.
        options: How the policy is shown its frames.
        tasks: Name of each episode's task.
        suites: And of its suite.
    """

    dataset: Dataset
    options: FrameOptions
    tasks: tuple[str, ...]
    suites: tuple[str, ...]


def open_source(dataset: Dataset) -> Source:
    """A dataset whose episodes say their task and suite."""
    lines = [dataset.metadata(index) for index in range(len(dataset))]
    return Source(
        dataset,
        FrameOptions(max_token_len=40),
        tuple(f"{line['suite']}/{line['task']}" for line in lines),
        tuple(line["suite"] for line in lines),
    )


def split_tasks(source: Source) -> dict[str, list[str]]:
    """Every second task of each suite is for choosing methods, the others are for judging them."""
    found: dict[str, list[str]] = {"chosen": [], "heldout": []}
    for suite in sorted(set(source.suites)):
        own = sorted({t for t, s in zip(source.tasks, source.suites, strict=True) if s == suite})
        found["chosen"] += own[1::2]
        found["heldout"] += own[::2]
    return found


def frames_of_tasks(
    source: Source, tasks: Sequence[str], scene: str, per_task: int
) -> list[dict[str, Any]]:
    """Work items: episodes and frames of tasks, chosen by their names alone."""
    items = []
    for task in tasks:
        episodes = [i for i, own in enumerate(source.tasks) if own == task]
        order = _rng(scene, task).permutation(len(episodes))
        for number in range(per_task):
            episode = episodes[order[number % len(order)]]
            length = source.dataset.metadata(episode)["length"]
            frame = int(_rng(scene, task, number).integers(length))
            items.append({"scene": scene, "task": task, "episode": episode, "frame": frame})
    return items


def make_cause_scene(source: Source, item: dict[str, Any], donors: int) -> CauseScene:
    """The scene of one work item.

    Args:
        source: Where frames come from.
        item: Names `scene`, `task`, `episode` and `frame`.
        donors: Frames in the bank, all of other tasks, one a task while there are enough.

    Raises:
        ValueError: The suite has one instruction only.
    """
    rng = _rng(item["scene"], item["task"], item["episode"], item["frame"])
    options = source.options
    episode = read_frames(source.dataset, item["episode"], [item["frame"]], options)
    views = tuple(options.used)
    images = _images(episode, options)
    regions = {view: np.asarray(episode.regions[options.used[view]][0]) for view in views}
    shape = images[views[0]].shape[:2]
    painted = _cues(item["scene"], views, shape, regions, rng)

    def with_values(base: cues.Images, values: Sequence[int]) -> cues.Images:
        for cue, value in zip(painted, values, strict=True):
            base = cue.paint(base, value)
        return base

    own = [cue.own for cue in painted]
    readers, others = [], []
    for number, cue in enumerate(painted):
        plain = images
        for other, value in zip(painted, own, strict=True):
            plain = plain if other is cue else other.paint(plain, value)
        readers.append(reader_of(cue, plain, views))
        changed = [v for v in range(cue.values) if v != cue.own]
        changed = rng.permutation(changed)[:4].tolist()
        frames = [with_values(images, [*own[:number], v, *own[number + 1 :]]) for v in changed]
        others.append(np.stack([stacked(one, views) for one in frames]))
    chosen = _donor_episodes(source, item["task"], donors, rng)
    bank, labels = [], []
    for index in chosen:
        donor = read_frames(source.dataset, index, [int(rng.integers(2))], options)
        values = [int(rng.integers(cue.values)) for cue in painted]
        bank.append(stacked(with_values(_images(donor, options), values), views))
        labels.append([np.asarray(donor.regions[options.used[view]][0]) for view in views])
    numbers = {name: i for i, name in enumerate(sorted(set(source.tasks)))}
    background = Background(
        images={v: jnp.asarray(np.stack([one[i] for one in bank])) for i, v in enumerate(views)},
        regions={
            v: jnp.asarray(np.stack([one[i] for one in labels]), jnp.int32)
            for i, v in enumerate(views)
        },
        episode=jnp.asarray(chosen),
        task=jnp.asarray([numbers[source.tasks[i]] for i in chosen]),
    )
    return CauseScene(
        views=views,
        cues=tuple(painted),
        readers=tuple(readers),
        frame=stacked(with_values(images, own), views),
        others=tuple(others),
        bank=background,
        groups=Groups(jnp.array([item["episode"]]), jnp.array([numbers[item["task"]]])),
        regions=regions,
        state=np.asarray(episode.state),
        prompts=(episode.prompt, _other_prompt(source, item["episode"], rng)),
    )


def _cues(
    scene: str,
    views: tuple[str, ...],
    shape: tuple[int, int],
    regions: dict[str, np.ndarray],
    rng: np.random.Generator,
) -> list[cues.Cue]:
    order = [views[i] for i in rng.permutation(len(views))]
    if scene == "seen":
        return [
            cues.panel_one(order[:1], shape, rng),
            cues.patch_presence(order[1:], shape, rng),
            cues.tint(views, shape, rng),
        ]
    if scene == "doubled":
        # The two cameras that stand still, as a panel on the floor would be seen.
        return [
            cues.panel_two((views[0], views[2]), shape, rng),
            cues.patch_position(views[1:2], shape, rng),
        ]
    surface = {view: labels == 0 for view, labels in regions.items()}
    # Where there is most to paint: on few pixels patterns look alike.
    order.sort(key=lambda view: -int(surface[view].sum()))
    return [
        cues.texture(order[:1], shape, rng, surface),
        cues.border(order[1:2], shape, rng),
        cues.shadow(order[2:], shape, rng),
    ]


def _images(episode: Any, options: FrameOptions) -> cues.Images:
    return {view: np.asarray(episode.images[c][0]) for view, c in options.used.items()}


def _donor_episodes(source: Source, task: str, count: int, rng: np.random.Generator) -> list[int]:
    """Episodes of other tasks, one of each task before the second of any."""
    rounds: dict[str, int] = {}
    ranked = []
    for index in rng.permutation(len(source.tasks)).tolist():
        own = source.tasks[index]
        if own != task:
            rounds[own] = rounds.get(own, 0) + 1
            ranked.append((rounds[own], len(ranked), index))
    return [index for _, _, index in sorted(ranked)[:count]]


def _other_prompt(source: Source, episode: int, rng: np.random.Generator) -> str:
    def prompt(index: int) -> str:
        return source.dataset.metadata(index)["tasks"][0]

    own, suite = prompt(episode), source.suites[episode]
    known = {prompt(i) for i, other in enumerate(source.suites) if other == suite} - {own}
    if not known:
        raise ValueError(f"suite {suite!r}: two instructions at least wanted, got {own!r} alone")
    return str(rng.choice(sorted(known)))


def _rng(*parts: Any) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32("/".join(map(str, parts)).encode()))
