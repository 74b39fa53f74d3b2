"""Which frames two policies are compared on, and what one of them acts on in each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from iss_jax.data.dataset import Dataset
from iss_jax.data.strided import strided_frames
from iss_jax.effects_config import EffectsConfig
from iss_jax.explain.donors import Donors
from iss_jax.explain.frame_players import players_of
from iss_jax.explain.subject import Subject
from iss_jax.few import few
from iss_jax.jobs.directory import RunDirectory, run_items
from iss_jax.nmr import Region
from iss_jax.players import Players, sums
from iss_jax.policies.frames import Seen, read_frames, source_of
from iss_jax.side_by_side.options import CompareOptions


class Chosen(NamedTuple):
    """Frames of one episode."""

    episode: int
    frames: list[int]


def choose(dataset: Dataset, options: CompareOptions) -> list[Chosen]:
    """The episodes that the options name, or some that are spread over the dataset.

    Raises:
        ValueError: an episode that is not there, or that is named twice.
    """
    count = len(dataset)
    wrong = [episode for episode in options.episodes if not 0 <= episode < count]
    if wrong:
        raise ValueError(f"--episodes: {few(wrong)} given, {dataset.root} has 0 to {count - 1}")
    twice = sorted({e for e in options.episodes if options.episodes.count(e) > 1})
    if twice:
        raise ValueError(
            f"--episodes: {few(twice)} named more than once in {few(options.episodes)}, each "
            "wanted once"
        )
    # Of the middle of each part, so that one episode is none of the ends.
    most = min(options.num_episodes, count)
    spread = [int((number + 0.5) * count / most) for number in range(most)]
    return [
        Chosen(
            episode,
            strided_frames(dataset.metadata(episode)["length"], 1, options.frames_per_episode),
        )
        for episode in options.episodes or spread
    ]


def acts_on(
    run: RunDirectory,
    options: CompareOptions,
    dataset: Dataset,
    chosen: list[Chosen],
    subject: Subject,
    donors: Donors,
    name: str,
    like: Sequence[Sequence[Mapping[str, Any]]] | None = None,
) -> list[list[dict[str, Any]]]:
    """What a policy acts on in every chosen frame.

    The key of a frame depends on the seed, the episode and the frame alone: two policies get the
    same donors and the same flow noise.

    Args:
        run: where results are kept.
        options: of the comparison.
        dataset: the episodes.
        chosen: the frames.
        subject: the policy.
        donors: those of both policies.
        name: of the policy, for the progress bar.
        like: what this found of the other policy, whose players must be the same.

    Returns:
        Of every episode and frame: `names`, `named` (whether a name is of one thing in all
        episodes), `areas`, `part` (of each player the part that is nuisance; None without labels),
        `mark` (tells players apart), and `by_draw`, `moved`, `reason` and `actions` of
        `iss_jax.Effects`.

    Raises:
        ValueError: the dataset lacks images, or labels of the players that are asked for; or the
            other policy has other players.
    """
    config = EffectsConfig(draws=options.draws, fill=donors.fill, action_dims=subject.action_dims)
    found = []
    for number, one in enumerate(chosen):
        episode = read_frames(
            dataset, one.episode, one.frames, subject.frame_options, labels="optional"
        )
        seen = subject.see(episode)
        players = players_of(options.players, seen)
        about = [described(_row(players, row), seen, row) for row in range(len(one.frames))]
        if like is not None:
            _check_same(about, like[number], one, name)
        groups = donors.groups(dataset, one.episode)
        common = {
            "experiment": "compare",
            **subject.run_keys(),
            "episode": one.episode,
            **source_of(dataset, one.episode),
            "players": options.players,
            "draws": options.draws,
            **donors.keys(),
            "seed": options.seed,
            # Looks keep the names that they have in the first of them.
            "frames": one.frames,
        }

        def compute(
            item: Mapping[str, Any], seen: Seen = seen, players: Players = players, groups=groups
        ) -> dict[str, Any]:
            row = item["frames"].index(item["frame"])
            own = _row(players, row)
            key = jax.random.fold_in(jax.random.key(item["seed"]), item["episode"])
            key = jax.random.fold_in(key, item["frame"])
            return subject.effects_of(seen, row, own, donors.bank, groups, key, config)

        effects = run_items(
            run,
            [{**common, "frame": frame} for frame in one.frames],
            compute,
            description=f"{name}, episode {one.episode}",
            quiet=options.quiet,
        )
        found.append([{**own, **more} for own, more in zip(effects, about, strict=True)])
    return found


def _row(players: Players, row: int) -> Players:
    return jax.tree.map(lambda leaf: leaf[row : row + 1], players)


def _check_same(
    own: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]], one: Chosen, name: str
) -> None:
    for frame, a, b in zip(one.frames, own, other, strict=True):
        if a["mark"] != b["mark"]:
            raise ValueError(
                f"episode {one.episode}, frame {frame}: {name} sees it at another size or with "
                "other cameras than the policy that it is compared with, so that their players "
                "are not the same. A server is sent frames as they were recorded, a checkpoint "
                "sees them at its input size: serve both (iss-jax serve), or record frames of "
                "that size"
            )


def described(players: Players, seen: Seen, row: int) -> dict[str, Any]:
    """What is said of the players of one frame beside their effects.

    Args:
        players: A batch of one.
        seen: The frames.
        row: Which of them.
    """
    mark = hashlib.sha256(repr(players.names).encode())
    for view in sorted(players.labels):
        mark.update(np.asarray(players.labels[view], np.int32).tobytes())
    return {
        "names": [_by_camera(name, seen.cameras) for name in players.names],
        "named": _is_named(players, seen),
        "areas": np.asarray(players.areas())[0].tolist(),
        "part": nuisance_part(players, seen, row),
        "mark": mark.hexdigest()[:16],
    }


def nuisance_part(players: Players, seen: Seen, row: int) -> list[float] | None:
    """Of each player the part of its pixels that is labelled nuisance; None without labels."""
    if set(players.labels) - set(seen.regions):
        return None
    count = len(players)
    inside = whole = np.zeros(count)
    for view, labels in players.labels.items():
        nuisance = jnp.asarray(seen.regions[view][row : row + 1] == Region.NUISANCE)
        inside = inside + np.asarray(sums(labels, nuisance, count))[0]
        whole = whole + np.asarray(sums(labels, jnp.ones(labels.shape), count))[0]
    return (inside / np.maximum(whole, 1)).tolist()


def _is_named(players: Players, seen: Seen) -> bool:
    """Whether names are those of things or regions; a look is one of its own episode."""
    return players.centres is None and set(seen.views) <= set(players.labels)


def _by_camera(name: str, cameras: Mapping[str, str]) -> str:
    view = next((view for view in cameras if f"{name} ".startswith(f"{view} ")), "")
    return cameras[view] + name.removeprefix(view) if view else name
