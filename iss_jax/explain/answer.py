"""What a page of explained episodes says first."""

from collections.abc import Mapping
from typing import Any

from iss_jax.jobs.answer import Answer, number

QUESTION = "What does the policy look at, and act on?"


def explain_answer(content: Mapping[str, Any]) -> Answer:
    """The answer of a run.

    Args:
        content: What `results.json` holds, see `iss_jax.explain.episodes.explain_episodes`.
    """
    rows = [row for row in content["episodes"] if row["k"] is not None]
    k = rows[0]["k"] if rows else 0
    rows = [row for row in rows if row["k"] == k]
    said = [s for s in (_acts(content), _looks(rows, k)) if s]
    if not rows and "without_nmr" in content:
        said.append(f"No NMR of {content['without_nmr']}.")
    outcomes = {True: "success", False: "failure", None: "not known"}
    controls = [
        {
            "episode": row["episode"],
            "outcome": outcomes[row["success"]],
            f"NMR@{k:g}": number(row["nmr"]),
            "chance": number(row["chance"]),
            "random maps": number(row["random"]),
        }
        for row in rows
    ]
    return Answer(QUESTION, " ".join(said), controls, figure="overlays.png")


def _acts(content: Mapping[str, Any]) -> str:
    sentences = content.get("acts_on") or []
    if not sentences:
        return ""
    one = sentences[len(sentences) // 2]
    return f"In frame {one['frame']} of episode {one['episode']} it acts on {one['acts_on']}."


def _looks(rows: list[Mapping[str, Any]], k: float) -> str:
    if not rows:
        return ""
    nmr, chance = (sum(row[name] for row in rows) / len(rows) for name in ("nmr", "chance"))
    # Not "more" or "less": the maps' own noise moves it by more than most differences from chance.
    return (
        f"Of the most salient {k:g} % of the pixels {100 * nmr:.0f} % are nuisance; of random maps "
        f"it is {100 * chance:.0f} % on average."
    )
