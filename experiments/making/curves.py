"""Training curves, as in Figure 9: parameter norm and loss against steps."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure


def training_curves(rows: Sequence[Mapping[str, float]]) -> Figure:
    """Plot a run's metrics.

    Args:
        rows: one mapping a logged step with "step", "param_norm", "loss", and optionally
            "validation_loss".

    Returns:
        A figure of two panels; the caller saves it.
    """
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    norm, loss = figure.subplots(1, 2)
    steps = [row["step"] for row in rows]
    norm.plot(steps, [row["param_norm"] for row in rows], color="tab:green")
    norm.set(xlabel="training steps", ylabel="parameter L2 norm")
    loss.plot(steps, [row["loss"] for row in rows], label="training", linewidth=0.8)
    held_out = [(row["step"], row["validation_loss"]) for row in rows if "validation_loss" in row]
    if held_out:
        loss.plot(*zip(*held_out, strict=True), marker="o", markersize=3, label="validation")
        loss.legend()
    loss.set(xlabel="training steps", ylabel="flow-matching loss", yscale="log")
    return figure
