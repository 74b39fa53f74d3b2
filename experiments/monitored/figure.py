"""The figure: what each detector finds, beside what it rings at for nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.monitored.report import chosen
from iss_jax.extras import imports_of
from iss_jax.viz.picture import Picture

with imports_of("viz"):
    import matplotlib  # noqa: F401

PANELS = (
    ("as calibrated", "same tasks' kind, other tasks"),
    ("shifted", "shifted scenes"),
    ("panel decides", "a panel decides"),
)
FALSE = {
    "as calibrated": "as calibrated",
    "shifted": "shifted",
    "panel decides": "panel agrees",
}
FAILURES, SUCCESSES = "#D55E00", "#0072B2"  # Okabe and Ito's


def monitor_figure(
    rates: Sequence[Mapping[str, Any]], names: Sequence[str], level: float, looks: int
) -> Any:
    """Alarms in failures and in successes, a panel a kind, with intervals by task.

    Args:
        rates: Rows of `experiments.monitored.judge.rates`.
        names: Detectors, from above.
        level: Of false alarms.
        looks: Inferences that counted.
    """
    figure = Picture(figsize=(9.6, 0.36 * len(names) + 1.5), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(PANELS), sharey=True)
    for axes, (kind, title) in zip(panels, PANELS, strict=True):
        parts = (
            (kind, "failure", FAILURES, "o", "failures", -0.14),
            (FALSE[kind], "success", SUCCESSES, "s", "successes", 0.14),
        )
        for of_kind, outcome, colour, marker, label, shift in parts:
            for place, name in enumerate(names):
                own = chosen(
                    rates, detector=name, kind=of_kind, outcome=outcome, level=level, looks=looks
                )
                if not own:
                    continue
                (row,) = own
                if row["low"] is not None:
                    axes.plot(
                        [row["low"], row["high"]], [place + shift] * 2, color=colour, linewidth=1.2
                    )
                axes.plot(
                    row["rate"],
                    place + shift,
                    marker,
                    color=colour,
                    markersize=5,
                    label=label if place == 0 else None,
                )
        axes.axvline(level, color="0.6", linewidth=0.8, linestyle="--")
        axes.set(xlim=(-0.03, 1.03), xlabel="share of episodes that ring")
        axes.set_title(title, fontsize=9, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        handles, _ = axes.get_legend_handles_labels()
        if handles and kind == PANELS[0][0]:
            axes.legend(fontsize=7, frameon=False, loc="lower right")
    panels[0].invert_yaxis()
    return figure
