"""The sweep's table: a row for each preset, number of masks and keep probability."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from iss_jax.stats.correlation import mean_interval

# A map with this relative squared error of its contrasts correlates at 0.9 with the true one.
_ERROR_AT_R90 = 1 / 0.9**2 - 1


def make_rows(
    items: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Rows of `results.csv`.

    Action errors are means over a group's frames, with their standard deviation over seeds, and
    `avg` is the mean of the groups, as in Table 1. The rest are means over frames and seeds;
    `contrast_error` has a 95 % t-interval over frames. `stderr_over_error` compares the reported
    standard errors with the true ones, both as root mean squares over cells, frames and seeds.
    `masks_for_r90` is N times what the squared error has to fall by for a correlation of 0.9.
    """
    first = items[0]
    rows = []
    for preset in first["presets"]:
        for number, count in enumerate(first["num_masks"]):
            for keep_prob in dict.fromkeys(item["keep_prob"] for item in items):
                own = [
                    (item["group"], result["presets"][preset], result)
                    for item, result in zip(items, results, strict=True)
                    if item["keep_prob"] == keep_prob
                ]
                rows.append(
                    {
                        "preset": preset,
                        "num_masks": count,
                        "keep_prob": keep_prob,
                        **_row(own, number, count),
                    }
                )
    return rows


def _row(
    own: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]], number: int, count: int
) -> dict[str, Any]:
    groups = np.array([group for group, _, _ in own])

    def values(metric: str) -> np.ndarray:
        """[frames, seeds]; nan where a value is not defined."""
        return np.array([found[metric][number] for _, found, _ in own], float)

    row: dict[str, Any] = {"frames": len(own), "seeds": values("pearson").shape[1]}
    for metric in ("action_mse", "kept_mse"):
        columns = {
            group: values(metric)[groups == group].mean(0) for group in dict.fromkeys(groups)
        }
        columns["avg"] = np.mean(list(columns.values()), 0)
        for name, by_seed in columns.items():
            row[f"{name}_{metric}"] = float(by_seed.mean())
            row[f"{name}_{metric}_std"] = float(by_seed.std(ddof=1)) if by_seed.size > 1 else 0.0
    chance = np.array([result["random_kept_mse"] for _, _, result in own])
    by_group = [chance[groups == group].mean() for group in dict.fromkeys(groups)]
    row["avg_random_kept_mse"] = float(np.mean(by_group))
    signal = np.array([result["reference"]["signal"] for _, _, result in own])

    squared = values("contrast_error").mean(1)
    error = np.sqrt(np.maximum(squared, 0.0))
    row["contrast_error"] = float(error.mean())
    row["contrast_error_low"], row["contrast_error_high"] = mean_interval(error)
    for metric in ("pearson", "spearman", "random_pearson", "random_spearman"):
        row[metric] = float(np.nanmean(values(metric)))
    random = np.sqrt(np.maximum(values("random_contrast_error").mean(1), 0.0))
    row["random_contrast_error"] = float(random.mean())
    stderr = values("stderr").mean(1)
    row["relative_stderr"] = float(np.sqrt(stderr / signal).mean())
    true = max(float(values("error").mean(1).sum()), 0.0)
    row["stderr_over_error"] = math.sqrt(float(stderr.sum()) / true) if true else math.nan
    row["masks_for_r90"] = float(count * np.median(squared) / _ERROR_AT_R90)
    return row


def reference_rows(
    items: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """A row a keep probability: how good its references are, and how far they agree with others'.

    Correlations are corrected for the noise of both references, and means over frames.
    """
    references: dict[float, list[Mapping[str, Any]]] = {}
    for item, result in zip(items, results, strict=True):
        references.setdefault(item["keep_prob"], []).append(result["reference"])
    rows = []
    for keep_prob, own in references.items():
        row = {
            "keep_prob": keep_prob,
            "action_mse": float(np.mean([one["action_mse"] for one in own])),
            "contrast_std": float(np.mean([math.sqrt(one["signal"]) for one in own])),
            "reliability": float(np.mean([_reliability(one) for one in own])),
        }
        for other, theirs in references.items():
            found = [
                np.corrcoef(a["scores"], b["scores"])[0, 1]
                / math.sqrt(_reliability(a) * _reliability(b))
                for a, b in zip(own, theirs, strict=True)
            ]
            row[f"r_with_{other}"] = 1.0 if other == keep_prob else float(np.mean(found))
        rows.append(row)
    return rows


def _reliability(reference: Mapping[str, Any]) -> float:
    return reference["signal"] / (reference["signal"] + reference["noise"])


def table_text(content: Mapping[str, Any]) -> str:
    """Table 1 of each preset, wider: errors in 1e-3, as in the paper."""
    rows = content["rows"]
    groups = [name.removesuffix("_action_mse") for name in rows[0] if name.endswith("_action_mse")]
    lines = []
    for preset in dict.fromkeys(row["preset"] for row in rows):
        own = [row for row in rows if row["preset"] == preset]
        frames, seeds = own[0]["frames"], own[0]["seeds"]
        lines.append(f"{preset}: {frames} frames, {seeds} seeds; action errors in 1e-3")
        head = "".join(f"{f'{group} MSE':>16}" for group in groups)
        lines.append(
            f"{'N':>5}{'p':>5}{head}{'best kept':>15}{'random kept':>12}"
            f"{'contrast error':>22}{'r':>7}{'rank r':>7}{'random r':>9}"
            f"{'stderr':>8}{'/ true':>7}{'N, r=.9':>9}"
        )
        for row in own:
            cells = "".join(
                f"{_pm(row[f'{group}_action_mse'], row[f'{group}_action_mse_std']):>16}"
                for group in groups
            )
            interval = f"[{row['contrast_error_low']:.2f}, {row['contrast_error_high']:.2f}]"
            lines.append(
                f"{row['num_masks']:5d}{row['keep_prob']:5.1f}{cells}"
                f"{_pm(row['avg_kept_mse'], row['avg_kept_mse_std']):>15}"
                f"{1e3 * row['avg_random_kept_mse']:12.2f}"
                f"{row['contrast_error']:8.2f} {interval:>13}"
                f"{row['pearson']:7.2f}{row['spearman']:7.2f}{row['random_pearson']:9.2f}"
                f"{row['relative_stderr']:8.2f}{row['stderr_over_error']:7.2f}"
                f"{row['masks_for_r90']:9.0f}"
            )
        lines.append("")
    references = content["references"]
    names = [name for name in references[0] if name.startswith("r_with_")]
    lines.append("what a map of infinitely many masks would be, by p, and its r with that of p =")
    head = "".join(f"{name.removeprefix('r_with_'):>7}" for name in names)
    lines.append(f"{'p':>5}{'MSE':>9}{'contrast std':>14}{'reliability':>13}{head}")
    lines.extend(
        f"{row['keep_prob']:5.1f}{1e3 * row['action_mse']:9.2f}"
        f"{1e3 * row['contrast_std']:14.3f}{row['reliability']:13.3f}"
        + "".join(f"{row[name]:7.2f}" for name in names)
        for row in references
    )
    return "\n".join(lines) + "\n"


def _pm(value: float, spread: float) -> str:
    return f"{1e3 * value:.2f} ± {1e3 * spread:.2f}"


def figure(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Heat maps over N and p: the paper's quantity in both readings, and the map's error."""
    from matplotlib.figure import Figure

    panels = {
        "avg_action_mse": ("action MSE of masked runs, 1e-3", 1e3, "{:.2f}"),
        "avg_kept_mse": ("action MSE, best cells kept, 1e-3", 1e3, "{:.2f}"),
        "contrast_error": ("relative error of the map", 1.0, "{:.2f}"),
        "spearman": ("rank correlation of the map", 1.0, "{:.2f}"),
    }
    presets = list(dict.fromkeys(row["preset"] for row in rows))
    counts = list(dict.fromkeys(row["num_masks"] for row in rows))
    probs = list(dict.fromkeys(row["keep_prob"] for row in rows))
    drawn = Figure(figsize=(12.5, 3.0 * len(presets)), dpi=120, layout="constrained")
    grid = drawn.subplots(len(presets), len(panels), squeeze=False)
    for line, preset in zip(grid, presets, strict=True):
        for axes, (name, (title, scale, form)) in zip(line, panels.items(), strict=True):
            found = {
                (row["num_masks"], row["keep_prob"]): scale * row[name]
                for row in rows
                if row["preset"] == preset
            }
            values = np.array([[found[count, prob] for prob in probs] for count in counts])
            # Of two panels in a column the colours mean the same.
            column = [scale * row[name] for row in rows]
            image = axes.imshow(values, vmin=min(column), vmax=max(column), cmap="viridis")
            middle = (min(column) + max(column)) / 2
            for (i, j), value in np.ndenumerate(values):
                colour = "white" if value < middle else "black"
                axes.text(j, i, form.format(value), ha="center", va="center", color=colour, size=8)
            axes.set_xticks(range(len(probs)), [f"{prob:g}" for prob in probs])
            axes.set_yticks(range(len(counts)), [str(count) for count in counts])
            axes.set_title(f"{preset}\n{title}", fontsize=8)
            axes.set(xlabel="keep probability p", ylabel="masks N")
            drawn.colorbar(image, ax=axes, shrink=0.8)
    return drawn
