"""What each step of the zoo costs, from the table of costs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def cost_summary(costs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a step: seconds and inferences of one policy, hours of all.

    >>> one = {"row": 1, "step": "maps", "seconds": 8, "inferences": 700}
    >>> cost_summary([one, {**one, "row": 2, "seconds": 10}])
    [{'step': 'maps', 'seconds': 9.0, 'inferences': 700, 'hours': 0.005, 'policies': 2}]

    Args:
        costs: Rows with `step`, `seconds` and `inferences`, which may be empty.
    """
    found = []
    for step in dict.fromkeys(row["step"] for row in costs):
        own = [row for row in costs if row["step"] == step]
        seconds = [float(row["seconds"]) for row in own]
        runs = [float(row["inferences"]) for row in own if row["inferences"] != ""]
        found.append(
            {
                "step": step,
                "seconds": round(float(np.mean(seconds)), 1),
                "inferences": round(float(np.mean(runs))) if runs else "",
                "hours": round(sum(seconds) / 3600, 3),
                "policies": len(own),
            }
        )
    return found
