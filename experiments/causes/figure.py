"""The figure of `known_causes`: which method finds which kind of cause."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.causes.cues import KINDS


def known_causes_figure(table: Sequence[Mapping[str, Any]]) -> Figure:
    """A panel a split: AUC of each method at its largest budget, kind by kind.

    Args:
        table: Of `report.summary`.
    """
    splits = list(dict.fromkeys(row["split"] for row in table))
    methods = sorted({row["method"] for row in table})
    figure, panels = plt.subplots(
        1,
        len(splits),
        figsize=(3.5 + 3.5 * len(splits), 1.5 + 0.28 * len(methods)),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for panel, split in zip(panels[0], splits, strict=True):
        own = [row for row in table if row["split"] == split]
        kinds = [kind for kind in KINDS if any(row["kind"] == kind for row in own)]
        values = np.full((len(methods), len(kinds)), math.nan)
        for i, method in enumerate(methods):
            for j, kind in enumerate(kinds):
                cells = [r for r in own if r["method"] == method and r["kind"] == kind]
                if cells:
                    values[i, j] = max(cells, key=lambda r: r["budget"])["auc"]
        panel.imshow(values, vmin=0.4, vmax=1.0, cmap="viridis", aspect="auto")
        for i, j in np.argwhere(~np.isnan(values)):
            shade = "black" if values[i, j] > 0.8 else "white"
            panel.text(j, i, f"{values[i, j]:.2f}", ha="center", va="center", color=shade, size=7)
        panel.set_xticks(range(len(kinds)), [k.replace("_", " ") for k in kinds], rotation=30)
        panel.set_yticks(range(len(methods)), methods)
        panel.set_title(f"{split}: AUC of the cue's share")
    return figure
