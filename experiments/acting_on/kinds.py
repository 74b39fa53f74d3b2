"""Kinds of input over many frames: the mean share of each, with intervals by task."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.acting_on.frames import ChosenFrame
from iss_jax import Effects
from iss_jax.modalities import TEXT_PLAYERS
from iss_jax.stats.groups import clustered_mean

PICTURES = "all views"
ALL = "all"


def kind_rows(
    frames: Sequence[ChosenFrame], found: Sequence[Effects], *, resamples: int = 2000
) -> list[dict[str, Any]]:
    """A row a suite and kind, and of all suites together where there are several.

    Args:
        frames: What was explained.
        found: Of each, effects of whole inputs without batch axes (`iss_jax.modalities`).
        resamples: Of the intervals, which resample tasks.

    Returns:
        Suite, kind, mean share over the frames that have shares, the ends of its 95 % interval (nan
        of fewer than six tasks), the mean standard error of one frame's share, and frames.
    """
    known = [(frame, own) for frame, own in zip(frames, found, strict=True) if bool(own.valid)]
    suites = list(dict.fromkeys(frame.suite for frame, _ in known))
    rows = []
    for suite in [*suites, *([ALL] if len(suites) > 1 else [])]:
        some = [(frame, own) for frame, own in known if suite in (frame.suite, ALL)]
        tasks = np.array([f"{frame.suite}/{frame.prompt}" for frame, _ in some])
        for kind in (*dict.fromkeys(n for _, own in some for n in own.shown_names()), PICTURES):
            values, errors = zip(*(_share(own, kind) for _, own in some), strict=True)
            mean = clustered_mean(np.array(values), tasks, resamples=resamples)
            row = {"suite": suite, "kind": kind, "share": mean.value}
            row |= {"low": mean.low, "high": mean.high}
            rows.append(row | {"stderr_of_one": float(np.mean(errors)), "frames": len(some)})
    return rows


def _share(own: Effects, kind: str) -> tuple[float, float]:
    """A kind's share of one frame and its standard error; views add up, errors by draw."""
    names = own.shown_names()
    chosen = [
        i
        for i, name in enumerate(names)
        if name == kind or (kind == PICTURES and name not in TEXT_PLAYERS)
    ]
    by_draw = np.asarray(own.by_draw, np.float64)
    part, whole = by_draw[:, chosen].sum(-1), by_draw.sum(-1)
    share = float(part.sum() / whole.sum())
    if len(part) < 2:
        return share, float("nan")
    rest = part - share * whole
    count = len(part)
    return share, float(rest.std(ddof=1) / count**0.5 / whole.mean())


def kind_sentence(rows: Sequence[dict[str, Any]]) -> str:
    """Pictures, instruction and state in words, of all suites or the only one.

    >>> row = {"suite": "all", "low": 0.5, "high": 0.7, "frames": 8}
    >>> kind_sentence([row | {"kind": "all views", "share": 0.6}])
    'all views 60 [50, 70] % (8 frames)'

    Args:
        rows: Of `kind_rows`.
    """
    if not rows:
        return "no shares"
    suite = rows[-1]["suite"]
    own = {row["kind"]: row for row in rows if row["suite"] == suite}
    parts = []
    for kind in (PICTURES, *TEXT_PLAYERS):
        if kind in own:
            share, low, high = (100 * own[kind][name] for name in ("share", "low", "high"))
            ends = f" [{low:.0f}, {high:.0f}]" if np.isfinite(low) else ""
            parts.append(f"{kind} {share:.0f}{ends} %")
    return f"{', '.join(parts)} ({rows[-1]['frames']} frames)"
