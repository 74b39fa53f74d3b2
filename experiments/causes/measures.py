"""How well an attribution finds the cue of one frame."""

import numpy as np
import scipy.stats
from jaxtyping import Bool

from experiments.causes.attributions import Attribution

LEAST_PIXELS = 20
"""Players of fewer pixels do not come first by effect per area."""


def measure(found: Attribution, where: Bool[np.ndarray, "v h w"], *, everywhere: bool) -> dict:
    """The measures of one frame and one cue.

    Args:
        found: What the method says.
        where: The cue's pixels.
        everywhere: Whether the cue is all over the frame, as a tint is: then the effect of the tint
            counts, and methods that do not have one say nothing.

    Returns:
        `share` of the cue in the scores or effects; `rank`, the probability that one of its pixels
        outranks another one; `first`, whether what comes first is the cue: a player at least half
        of whose pixels are the cue's, or the highest pixel; `held`, whether the player that comes
        first is the one that holds most of the cue; `first_dense`, as `first` by effect per area;
        `effect`, mean over the cue's pixels of what the player or the part that holds each of them
        does as a whole; of masks, which have no parts, their scores' mean less that of the map.
        None where there is no answer.
    """
    if everywhere:
        return _of_tint(found)
    pixels = found.pixels
    inside = pixels[where]
    if found.effects is None or found.labels is None:
        positive = np.maximum(pixels, 0.0)
        on_top = float(where[pixels == pixels.max()].mean() >= 0.5)
        ranks = scipy.stats.rankdata(pixels)[where.ravel()]
        rank = (ranks.mean() - (inside.size + 1) / 2) / (pixels.size - inside.size)
        return {
            "share": _ratio(positive[where].sum(), positive.sum()),
            "rank": float(rank),
            "first": on_top,
            "held": on_top,
            "first_dense": on_top,
            "effect": float(
                inside.mean() - pixels.mean()
                if found.wholes is None
                else found.wholes[where].mean()
            ),
        }
    players = len(found.effects)
    known = found.labels >= 0
    areas = np.bincount(found.labels[known], minlength=players)
    own = np.bincount(found.labels[where & known], minlength=players)
    part = own / np.maximum(areas, 1)
    effects = np.where(areas > 0, found.effects, 0.0)
    positive = np.maximum(effects, 0.0)
    # Pixels of one player tie: the ranks are known from how many pixels each has.
    beats = (effects[:, None] > effects[None]) + 0.5 * (effects[:, None] == effects[None])
    rank = (own @ beats @ (areas - own)) / max(own.sum() * (areas - own).sum(), 1)
    rival = positive.max() if found.tint is None else max(positive.max(), found.tint)
    best = int(np.argmax(effects))
    is_first = effects[best] >= rival and effects[best] > 0
    enough = areas >= LEAST_PIXELS
    dense = int(np.argmax(np.where(enough, effects / np.maximum(areas, 1), -np.inf)))
    return {
        "share": _ratio((positive * part).sum(), positive.sum()),
        "rank": float(rank),
        "first": float(is_first and part[best] >= 0.5),
        "held": float(is_first and best == int(np.argmax(own))),
        "first_dense": float(effects[dense] > 0 and part[dense] >= 0.5),
        "effect": float(inside.mean()),
    }


def _of_tint(found: Attribution) -> dict:
    if found.tint is None or found.effects is None:
        names = ("share", "rank", "first", "held", "first_dense", "effect")
        return dict.fromkeys(names)
    rest = float(np.maximum(found.effects, 0.0).sum())
    first = float(found.tint > np.max(found.effects))
    return {
        "share": _ratio(found.tint, rest + found.tint),
        "rank": None,
        "first": first,
        "held": first,
        "first_dense": None,
        "effect": found.tint,
    }


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0
