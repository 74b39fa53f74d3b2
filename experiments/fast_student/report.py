"""How far two divergences agree, beside how far each agrees with itself."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.stats

from iss_jax.stats.groups import clustered_mean

MEASURES = ("kl", "error")

FACTS = ("task", "episode", "frame")
"""What says which frame a row is of; every other column is a number, or empty."""


def frame_row(facts: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """One frame's numbers.

    Args:
        facts: Which frame it is, and how well the student knows it.
        found: From `experiments.fast_student.measured.both`.
    """
    effects = {name: np.asarray(found[name]["effects"]) for name in MEASURES}
    cells = {name: np.asarray(found[name]["cells"]).reshape(2, -1) for name in MEASURES}
    players = {name: np.asarray(found[name]["players"]) for name in MEASURES}
    moved = effects["error"].ravel()
    return {
        **facts,
        "masks": _spearman(effects["kl"].ravel(), moved),
        "still": float((moved == 0).mean()),
        "maps": np.mean([_pearson(cells["kl"][i], cells["error"][1 - i]) for i in (0, 1)]).item(),
        "maps_kl": _pearson(*cells["kl"]),
        "maps_error": _pearson(*cells["error"]),
        "players": _spearman(players["kl"], players["error"]),
        "same_first": float(players["kl"].argmax() == players["error"].argmax()),
        "nuisance_kl": found["kl"]["shares"][0],
        "nuisance_error": found["error"]["shares"][0],
    }


def summary(
    rows: Sequence[dict[str, Any]], *, resamples: int, confidence: float
) -> list[dict[str, Any]]:
    """Means over frames with intervals by task, a row a quantity.

    Args:
        rows: From `frame_row`.
        resamples: Of the bootstrap.
        confidence: Of the intervals.
    """
    tasks = np.unique([row["task"] for row in rows], return_inverse=True)[1]
    found = []
    for name in (name for name in rows[0] if name not in FACTS):
        values = _column(rows, name)
        known = np.isfinite(values)
        mean = (float("nan"),) * 3
        if known.any():
            mean = clustered_mean(
                values[known], tasks[known], resamples=resamples, confidence=confidence
            )
        columns = dict(zip(("mean", "low", "high"), mean, strict=True))
        found.append({"quantity": name, **columns, "frames": int(known.sum())})
    return found


def disattenuated(rows: Sequence[dict[str, Any]]) -> float:
    """Correlation of maps of other masks over what each divergence's own noise allows.

    Spearman's correction for attenuation: the mean of `maps` by the root of the product of the
    means of `maps_kl` and `maps_error`; NaN where one of these is not positive.
    """
    columns = np.stack([_column(rows, name) for name in ("maps", "maps_kl", "maps_error")])
    columns = columns[:, np.isfinite(columns).all(0)]
    if not columns.size:
        return float("nan")
    between, kl, error = columns.mean(1).tolist()
    return between / np.sqrt(kl * error).item() if min(kl, error) > 0 else float("nan")


def lines(content: dict[str, Any]) -> list[str]:
    """What is printed."""
    told = [f"{content['frames']} frames, {content['tasks']} tasks"]
    told += [
        f"{row['quantity']:<16} {row['mean']:8.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        for row in content["summary"]
    ]
    return [*told, f"{'disattenuated':<16} {content['disattenuated']:8.3f}"]


def _column(rows: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    """One quantity of all frames; NaN where it is not known, which files hold as nothing."""
    return np.array([row[name] for row in rows], float)


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    return float("nan") if not (x.std() and y.std()) else float(np.corrcoef(x, y)[0, 1])


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    return _pearson(scipy.stats.rankdata(x), scipy.stats.rankdata(y))
