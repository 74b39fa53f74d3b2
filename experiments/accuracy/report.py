"""Printed tables and the figure of `estimator_accuracy`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def print_table(
    rows: list[dict[str, Any]],
    bias: list[dict[str, Any]],
    found: Sequence[Mapping[str, Any]],
    cost: Mapping[str, float],
) -> None:
    """Prints the rows, and how good the reference is."""
    reliability = [one["frame"]["reliability"] for one in found]
    print(f"\n{len(found)} frames")
    print(f"reference: reliability {np.mean(reliability):.3f}, at least {min(reliability):.3f}")
    print(f"a gradient run in plain ones: {cost['flops']:.2f} counted, {cost['time']:.2f} timed")
    print("\nruns: with gradients + plain")
    print(
        f"{'estimator':14}{'design':11}{'runs':>8}{'cost':>7}  Pearson [95 %]       Spearman"
        "  contrast error  overlap  NMR error"
    )
    for row in rows:
        interval = f"[{row['pearson_low']:.2f}, {row['pearson_high']:.2f}]"
        runs = f"{row['gradient_runs']}+{row['plain_runs']}"
        print(
            f"{row['estimator']:14}{row['design']:11}{runs:>8}{row['cost']:7.1f}"
            f"  {row['pearson']:5.2f} {interval:14} {row['spearman']:8.2f}"
            f"{row['contrast_error']:16.2f}{row['overlap']:9.2f}{row['nmr_error']:11.3f}"
        )
    print("\nsquared, over the variance of the map; medians over frames")
    print(
        f"{'estimator':14}{'design':11}{'runs':>8}   bias  variance  claimed  of contrasts"
        "  frames with less bias"
    )
    for row in bias:
        runs = f"{row['gradient_runs']}+{row['plain_runs']}"
        print(
            f"{row['estimator']:14}{row['design']:11}{runs:>8}{row['bias']:7.3f}"
            f"{row['variance']:10.3f}{row['claimed']:9.3f}{row['claimed_contrast']:14.3f}"
            f"{row['frames_below']:8d} of {len(found)}"
        )
    print("\nframes: share of the effects that single cells make, tail of the gradients' lengths,")
    print("correlation of all gradient runs together")
    for one in found:
        about = one["frame"]
        print(
            f"reliability {about['reliability']:.2f}  additive {about['additive']:.2f}"
            f"  tail {about['tail']:5.1f}  gradient {about['all_gradient']:.2f}"
            f"  clipped {about['all_clipped']:.2f}"
        )


def figure(rows: list[dict[str, Any]]) -> Any:
    """Pearson correlation with the converged map against cost.

    Without what coincides with `centred` or nearly so: `ratio`, and other estimators on the runs of
    designs that are not i.i.d.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(8, 4.5), layout="constrained")
    axes = drawn.subplots()
    rows = [
        row
        for row in rows
        if row["estimator"] != "ratio"
        and (
            row["estimator"] == "centred"
            or row["design"] == "bernoulli"
            or row["gradient_runs"]
            or not row["plain_runs"]
        )
    ]
    axes.set_prop_cycle(color=[colormaps["tab20"](index) for index in range(20)])
    for kind in dict.fromkeys((row["estimator"], row["design"]) for row in rows):
        part = [row for row in rows if (row["estimator"], row["design"]) == kind]
        axes.errorbar(
            [row["cost"] for row in part],
            [row["pearson"] for row in part],
            yerr=[row["pearson_high"] - row["pearson"] for row in part],
            label=", ".join(kind),
            marker="o",
            markersize=3,
            linewidth=1,
        )
    axes.set(xlabel="cost, forward equivalents", ylabel="Pearson r with the converged map")
    axes.set(xscale="log", ylim=(0, 1))
    drawn.legend(loc="outside right upper", fontsize=7)
    return drawn
