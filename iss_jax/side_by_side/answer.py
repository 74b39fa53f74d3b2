"""What the page of two compared policies says first."""

from collections.abc import Mapping
from typing import Any

from iss_jax.jobs.answer import NOT_KNOWN, Answer, interval, percentage


def compare_answer(content: Mapping[str, Any]) -> Answer:
    """The answer of a run.

    Args:
        content: What `results.json` holds, see `iss_jax.side_by_side.job.compare`.
    """
    controls = [
        {
            "acts on": row["player"],
            content["a"]: percentage(row["share_a"]),
            content["b"] if content["b"] != content["a"] else f"{content['b']} again": percentage(
                row["share_b"]
            ),
            "difference": percentage(row["difference"]),
            "interval": interval(row["low"], row["high"]),
            "frames": row["frames"],
        }
        for row in content["compared"]
    ]
    return Answer(
        f"What do {content['a']} and {content['b']} act on, and where do they differ?",
        str(content["says"] or NOT_KNOWN),
        controls,
        figure="compared.png",
    )
