"""Can one point at a player? How much of it lies in parts that an eye can make out."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.ndimage
from jaxtyping import Float, Int

from experiments.causes.copies import CELLS, LOOKS, players_of
from experiments.causes.scenes import CauseScene, Source, make_cause_scene
from iss_jax import appearance
from iss_jax.stats.groups import clustered_mean

LEAST_PART = 20
"""Pixels of a connected part that counts."""

ENOUGH = 0.9
"""Of a player's pixels in such parts: then one can point at it."""

PLAIN = {f"plain k-means, {name}": looks for name, looks in LOOKS.items() if "fine" not in name}
"""K-means on colour and a little place alone, what the looks are before they are made coherent."""

KINDS = (*LOOKS, *PLAIN, *CELLS)


def labels_of(kind: str, scene: CauseScene) -> Int[np.ndarray, "v h w"]:
    """The player of every pixel.

    Args:
        kind: Of `KINDS`.
        scene: Whose frame.
    """
    if kind not in PLAIN:
        return np.stack([np.asarray(own) for own in players_of(kind, scene).labels.values()])
    most, join = PLAIN[kind]
    images = {view: jnp.asarray(scene.frame[i]) for i, view in enumerate(scene.views)}
    _, centres = appearance.segments(images, count=most, join=join)
    found = []
    for number, image in enumerate(images.values()):
        inside = jnp.ones(image.shape[:2], bool)
        points = appearance.features(image, inside).reshape(-1, 5)
        first = 0 if join else number * most
        near = appearance.nearest(points, centres[first : first + most]) + first
        found.append(np.asarray(near).reshape(image.shape[:2]))
    return np.stack(found)


def in_parts(labels: Int[np.ndarray, "v h w"], least: int = LEAST_PART) -> Float[np.ndarray, " p"]:
    """Of every player that is there, the share of its pixels in connected parts of so many.

    >>> in_parts(np.array([[[0, 0, 1], [0, 2, 1]]]), least=2).tolist()
    [1.0, 1.0, 0.0]

    Args:
        labels: Of one frame; parts are connected by sides, within a view.
        least: Pixels.
    """
    found = []
    for player in np.unique(labels[labels >= 0]):
        own, held = labels == player, 0
        for view in own:
            parts = np.zeros(view.shape, np.int32)
            scipy.ndimage.label(view, output=parts)
            sizes = np.bincount(parts.ravel())[1:]
            held += int(sizes[sizes >= least].sum())
        found.append(held / own.sum())
    return np.array(found)


def coherence_of(
    source: Source,
    items: Mapping[str, Sequence[dict[str, Any]]],
    *,
    kinds: Sequence[str] = KINDS,
    donors: int = 1,
) -> list[dict[str, Any]]:
    """A row a frame and kind of players.

    Args:
        source: Where frames come from.
        items: Split -> work items of the bench.
        kinds: Of players.
        donors: In the banks of their scenes, which nothing is asked of.
    """
    rows = []
    for split, own in items.items():
        for item in own:
            scene = make_cause_scene(source, item, donors)
            for kind in kinds:
                shares = in_parts(labels_of(kind, scene))
                rows.append(
                    {
                        "split": split,
                        "task": item["task"],
                        "kind": kind,
                        "players": len(shares),
                        "coherent": float((shares >= ENOUGH).mean()),
                        "least": float(shares.min()),
                    }
                )
    return rows


def coherence_table(
    rows: Sequence[Mapping[str, Any]], *, resamples: int, confidence: float
) -> list[dict[str, Any]]:
    """A row a kind: means over the frames of both splits, with intervals by task.

    Args:
        rows: Of `coherence_of`.
        resamples: Of the intervals.
        confidence: Of the intervals.

    Returns:
        `players` of a frame; `coherent`, the share of them of which 90 % lies in parts of twenty
        pixels or more, with `low` and `high`; `least`, the same share of pixels of the frame's
        worst player; and `frames`.
    """
    found = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        own = [row for row in rows if row["kind"] == kind]
        tasks = np.array([row["task"] for row in own])
        coherent = clustered_mean(
            np.array([row["coherent"] for row in own]),
            tasks,
            resamples=resamples,
            confidence=confidence,
        )
        found.append(
            {
                "kind": kind,
                "players": float(np.mean([row["players"] for row in own])),
                "coherent": coherent.value,
                "low": coherent.low,
                "high": coherent.high,
                "least": float(np.mean([row["least"] for row in own])),
                "frames": len(own),
            }
        )
    return found


def coherence_lines(table: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the command prints."""
    return [
        "",
        f"players of which {100 * ENOUGH:.0f} % lies in parts of {LEAST_PART} pixels or more; how "
        "much of the worst one does",
        *(
            f"  {row['kind']:<34} {100 * row['coherent']:.0f} % [{100 * row['low']:.0f}, "
            f"{100 * row['high']:.0f}]   {100 * row['least']:.0f} %   {row['players']:.0f} players"
            for row in table
        ),
    ]
