"""What the policy acts on over an episode: its players keep their names from frame to frame."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from iss_jax import Effects, EffectsConfig, Players, fills
from iss_jax.data.dataset import Dataset
from iss_jax.effects import example
from iss_jax.explain.donors import Donors
from iss_jax.explain.frame_players import player_columns, players_of
from iss_jax.explain.options import EpisodeOptions
from iss_jax.explain.overlays import Pictures, pictures_of
from iss_jax.explain.subject import Subject
from iss_jax.jobs.directory import RunDirectory, run_items
from iss_jax.policies.frames import Seen, source_of
from iss_jax.results import Cameras
from iss_jax.strides import interpolate
from iss_jax.viz.effects_figure import players_panels, shown
from iss_jax.viz.frames import magnified


def explain_players(
    run: RunDirectory,
    options: EpisodeOptions,
    dataset: Dataset,
    donors: Donors,
    index: int,
    seen: Seen,
    subject: Subject,
    computed: Int[np.ndarray, " n"],
) -> Effects:
    """Effects of an episode's players, a batch of its n computed frames.

    Raises:
        ValueError: the dataset has no labels of the players that are asked for, or no donors.
    """
    players = players_of(options.players, seen)
    config = EffectsConfig(draws=options.draws, fill=donors.fill, action_dims=subject.action_dims)
    common = {
        "experiment": "explain_episode, players",
        **subject.run_keys(),
        "episode": index,
        **source_of(dataset, index),
        "players": options.players,
        "draws": options.draws,
        **donors.keys(),
        "seed": options.seed,
        # Looks keep the names that they have in the first frame.
        "frames": len(seen.episode) if options.players == "names" else 0,
    }
    groups = donors.groups(dataset, index)

    def compute(item: Mapping[str, Any]) -> dict[str, Any]:
        frame = item["frame"]
        own: Players = jax.tree.map(lambda leaf: leaf[frame : frame + 1], players)
        key = jax.random.fold_in(jax.random.key(item["seed"]), frame)
        return subject.effects_of(seen, frame, own, donors.bank, groups, key, config)

    results = run_items(
        run,
        [{**common, "frame": int(frame)} for frame in computed],
        compute,
        description=f"players, episode {index}",
        quiet=options.quiet,
    )

    def stacked(name: str) -> Any:
        return jnp.asarray(np.array([result[name] for result in results], np.float32))

    return Effects(
        by_draw=stacked("by_draw"),
        moved=stacked("moved"),
        beside={},
        floor=stacked("floor"),
        reason=stacked("reason").astype(jnp.int32),
        players=jax.tree.map(lambda leaf: leaf[jnp.asarray(computed)], players),
        actions=stacked_chunks([result["actions"] for result in results]),
        frames={view: jnp.asarray(image[computed]) for view, image in seen.images.items()},
        cameras=Cameras(seen.cameras),
        config=config,
        unit=subject.unit(config),
    )


def stacked_chunks(chunks: Sequence[Any]) -> Float[Array, "n H A"]:
    """Chunks of several frames; answers in tokens are of different lengths, their ends are NaN.

    >>> stacked_chunks([[[1.0], [2.0]], [[3.0]]]).tolist()
    [[[1.0], [2.0]], [[3.0], [nan]]]
    """
    arrays = [np.asarray(chunk, np.float32) for chunk in chunks]
    longest = max(len(array) for array in arrays)
    whole = [
        np.pad(array, ((0, longest - len(array)), (0, 0)), constant_values=np.nan)
        for array in arrays
    ]
    return jnp.asarray(np.stack(whole))


def of_all_frames(
    found: Effects, kind: str, seen: Seen, computed: Int[np.ndarray, " n"]
) -> Effects:
    """Effects of all T frames, linear in between, with the errors of that interpolation.

    Draws of two frames are independent of each other, so that interpolating them draw by draw
    interpolates the effects and adds up their variances with the squares of the weights.

    Args:
        found: of the computed frames.
        kind: of players, see `players_of`.
        seen: all frames.
        computed: which were computed.
    """
    between = partial(interpolate, frames=jnp.asarray(computed), num_frames=len(seen.episode))
    return dataclasses.replace(
        found,
        by_draw=between(found.by_draw),
        moved=between(found.moved),
        floor=between(found.floor),
        reason=reasons_between(found.reason, computed, len(seen.episode)),
        actions=between(found.actions),
        players=players_of(kind, seen),
        frames={view: jnp.asarray(image) for view, image in seen.images.items()},
    )


def reasons_between(
    reason: Int[Any, "n *p"], computed: Int[np.ndarray, " n"], frames: int
) -> Int[jnp.ndarray, "t *p"]:
    """Why shares are not known: where either neighbour has none, there are none in between.

    >>> reasons_between(np.array([0, 3, 0]), np.array([0, 2, 3]), 4).tolist()
    [0, 3, 3, 0]

    Args:
        reason: Numbers of `iss_jax.effect_reasons`, of the computed frames.
        computed: Which those are.
        frames: T.
    """
    time = np.arange(frames)
    before = np.searchsorted(computed, time, side="right") - 1
    after = np.searchsorted(computed, time)
    known = np.asarray(reason)
    return jnp.asarray(np.maximum(known[before], known[after]), jnp.int32)


def player_table(
    found: Effects, computed: Int[np.ndarray, " n"], times: np.ndarray
) -> list[dict[str, Any]]:
    """A row for each player that a computed frame shows; shares that are not known are empty."""
    values = player_columns(found)
    valid, tested, names = np.asarray(found.valid), np.asarray(found.tested), found.shown_names()
    rows = []
    for row, frame in enumerate(computed.tolist()):
        for i in np.flatnonzero(values["area"][row] > 0):
            own: dict[str, Any] = {name: float(column[row, i]) for name, column in values.items()}
            if not valid[row]:
                own["share"] = own["share_stderr"] = ""
            rows.append(
                {
                    "frame": frame,
                    "time_s": round(float(times[frame]), 4),
                    "player": names[i],
                    **own,
                    "tested": bool(tested[row, i]),
                }
            )
    return rows


def share_panels(found: Effects) -> dict[str, Pictures]:
    """View -> every frame in grey with its players in the colours of their shares.

    Colours are the same in all frames: the largest share that is coloured ends them.
    """
    limit = max(shown(example(found, t)).limit for t in range(len(found.floor)))
    blank = {view: magnified(np.full(i.shape[1:], 127, np.uint8)) for view, i in _frames(found)}

    def draw(t: int) -> dict[str, np.ndarray]:
        one = example(found, t)
        return blank | players_panels(one, shown(one, limit))

    return pictures_of(draw, blank)


def _frames(found: Effects) -> list[tuple[str, np.ndarray]]:
    assert found.frames is not None
    return [(view, np.asarray(image)) for view, image in found.frames.items()]


def footer(config: EffectsConfig | None, names: Sequence[str]) -> str:
    """How the shares were found, in a line."""
    assert config is not None
    return (
        f"{len(names)} players, each replaced alone: {config.draws} draws, fill "
        f"{fills.described(config.fill)}."
    )
