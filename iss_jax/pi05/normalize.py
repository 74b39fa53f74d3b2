"""Normalisation statistics and how openpi uses them: quantiles for π0.5, mean and std for π0."""

import json
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from iss_jax.checks import check_finite
from iss_jax.few import few

NORMALISATIONS = ("quantiles", "mean_std")


class NormStats(NamedTuple):
    """Statistics of one quantity, one entry a dimension, in robot units."""

    mean: np.ndarray
    std: np.ndarray
    q01: np.ndarray | None = None
    q99: np.ndarray | None = None


def normalize(x: Any, stats: NormStats, how: str) -> np.ndarray:
    """[..., d] in robot units as the policy takes it, float32.

    `quantiles`: (x − q01) / (q99 − q01 + 1e-6) · 2 − 1, π0.5's. `mean_std`: (x − mean) /
    (std + 1e-6), π0's. Statistics beyond x's dimensions are not used.

    Args:
        x: states or actions.
        stats: of at least d dimensions.
        how: one of `NORMALISATIONS`.

    Raises:
        ValueError: an unknown `how`, x has more dimensions than the statistics, is not finite, or
            leaves the only value that the statistics know of a dimension.
    """
    low, width = _range(stats, how)
    x = np.asarray(x)
    dims = x.shape[-1]
    if dims > len(low):
        raise ValueError(f"norm stats: of {len(low)} dimensions, {dims} given")
    check_finite("state", x)
    # openpi divides by the 1e-6 alone there.
    wrong = (width[:dims] == 0) & (np.abs(x - low[:dims]) > 1e-6 * (1.0 + np.abs(low[:dims])))
    if wrong.any():
        *_, d = np.argwhere(wrong)[0]
        all_are = "q01 and q99" if how == "quantiles" else "all values"
        raise ValueError(
            f"norm stats: {all_are} of dimension {d} are {low[d]:g}, which a value of "
            f"{x[..., d].flat[0]:g} cannot be normalised by"
        )
    if how == "mean_std":
        scale = 1.0 / (width + 1e-6)
        return _affine(x, scale, -low * scale)
    scale = 2.0 / (width + 1e-6)
    return _affine(x, scale, -low * scale - 1.0)


def unnormalize(x: Any, stats: NormStats, how: str) -> np.ndarray:
    """Inverse of `normalize`; dimensions beyond the statistics pass through."""
    low, width = _range(stats, how)
    if how == "mean_std":
        return _affine(x, width + 1e-6, low)
    scale = (width + 1e-6) / 2.0
    return _affine(x, scale, low + scale)


def _range(stats: NormStats, how: str) -> tuple[np.ndarray, np.ndarray]:
    """Offset and width of each dimension."""
    if how not in NORMALISATIONS:
        raise ValueError(f"normalisation: {how!r} given, one of {NORMALISATIONS} wanted")
    if how == "mean_std":
        return stats.mean, stats.std
    if stats.q01 is None or stats.q99 is None:
        raise ValueError("norm stats: hold no quantiles (q01, q99), which π0.5 normalises with")
    return stats.q01, stats.q99 - stats.q01


def statistics(x: np.ndarray) -> NormStats:
    """Mean, standard deviation, 1 % and 99 % quantiles of [..., d] over all leading axes."""
    flat = np.asarray(x, np.float64).reshape(-1, x.shape[-1])
    q01, q99 = np.quantile(flat, [0.01, 0.99], axis=0)
    return NormStats(flat.mean(0), flat.std(0), q01, q99)


def load_norm_stats(path: epath.PathLike) -> dict[str, NormStats]:
    """Read openpi's `norm_stats.json`.

    Args:
        path: the file, its folder, or a checkpoint step with exactly one
            `assets/<asset_id>/norm_stats.json`.

    Returns:
        {"state": NormStats, "actions": NormStats}.

    Raises:
        FileNotFoundError: no statistics there.
        ValueError: several sets of statistics, or a malformed file.
    """
    root = epath.Path(path)
    if root.name != "norm_stats.json":
        if (root / "norm_stats.json").exists():
            root = root / "norm_stats.json"
        else:
            found = norm_stats_files(root)
            if not found:
                raise FileNotFoundError(
                    f"{root}: no norm_stats.json here nor under assets/<asset_id>/"
                )
            if len(found) > 1:
                names = [str(file) for file in found]
                raise ValueError(f"{root}: several statistics, name one of them: {few(names)}")
            root = found[0]
    try:
        content = json.loads(root.read_text())["norm_stats"]
        found = {name: _from_json(content[name]) for name in ("state", "actions")}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{root}: not openpi's norm_stats.json ({error!r})") from error
    for name, stats in found.items():
        check_stats(f"{root}: {name}", stats)
    return found


def check_stats(name: str, stats: NormStats) -> None:
    """Says what is wrong with statistics.

    Args:
        name: Of what, for the message.
        stats: The statistics.

    Raises:
        ValueError: Numbers that are not finite, of different length, or quantiles in the wrong
            order; the message names the statistic and the dimension.
    """
    for field, value in stats._asdict().items():
        if value is None:
            continue
        if np.ndim(value) != 1 or len(value) != len(stats.mean):
            raise ValueError(
                f"{name}: {field} is {list(np.shape(value))}, wanted [{np.size(stats.mean)}] as "
                "mean"
            )
        wrong = np.flatnonzero(~np.isfinite(value))
        if wrong.size:
            raise ValueError(
                f"{name}: {field} of dimension {wrong[0]} is {value[wrong[0]]}, a finite number "
                "wanted"
            )
    if stats.q01 is not None and stats.q99 is not None:
        wrong = np.flatnonzero(stats.q01 > stats.q99)
        if wrong.size:
            d = wrong[0]
            raise ValueError(
                f"{name}: of dimension {d} q01 is {stats.q01[d]:g} and q99 {stats.q99[d]:g}, q01 "
                "at most q99 wanted"
            )


def norm_stats_files(step: epath.PathLike) -> list[epath.Path]:
    """Files of statistics in the assets of a checkpoint's step, sorted."""
    assets = epath.Path(step) / "assets"
    return sorted(_search(assets)) if assets.exists() else []


def save_norm_stats(path: epath.PathLike, stats: dict[str, NormStats]) -> None:
    """Write openpi's `norm_stats.json` into the folder `path`."""
    folder = epath.Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        name: {
            field: np.asarray(value).tolist()
            for field, value in entry._asdict().items()
            if value is not None
        }
        for name, entry in stats.items()
    }
    (folder / "norm_stats.json").write_text(json.dumps({"norm_stats": content}, indent=2))


def _search(folder: epath.Path) -> list[epath.Path]:
    # Asset ids may hold slashes ("toy/robot"), so the file lies at any depth.
    found: list[epath.Path] = []
    for child in folder.iterdir():
        if child.is_dir():
            found += _search(child)
        elif child.name == "norm_stats.json":
            found.append(child)
    return found


def _from_json(entry: dict[str, Any]) -> NormStats:
    quantiles = [
        None if entry.get(name) is None else np.asarray(entry[name], np.float64)
        for name in ("q01", "q99")
    ]
    mean, std = (np.asarray(entry[name], np.float64) for name in ("mean", "std"))
    return NormStats(mean, std, *quantiles)


def _affine(x: Any, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    x = np.asarray(x)
    n = min(len(scale), x.shape[-1])
    with np.errstate(over="ignore"):
        head = x[..., :n].astype(np.float64) * scale[:n] + shift[:n]
    found = np.concatenate([head, x[..., n:].astype(np.float64)], axis=-1)
    large = np.abs(found) > np.finfo(np.float32).max
    if large.any():
        raise ValueError(f"norm stats: {found[large][0]:g} comes out, beyond float32")
    return found.astype(np.float32)
