"""Answers of the commands that know the cause."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.answers.stored import rows_of, stored
from iss_jax.jobs.answer import Answer, interval, number

MOST_METHODS = 10
KNOWN = "Which explanation finds a cause that is known exactly?"
TRAINED = "Which explanation finds a cause inside a trained network?"
PLANTED = "Which explanation finds a shortcut that was planted?"


def known_causes(folder: Path) -> Answer:
    """Of `experiments.known_causes`: AUC of each method over kinds of cues."""
    if not (folder / "summary.csv").exists():
        return Answer("Can one point at a player?")
    rows = [row for row in rows_of(folder, "summary.csv") if _known(row["auc"])]
    split = "heldout" if any(row["split"] == "heldout" for row in rows) else "chosen"
    own = [row for row in rows if row["split"] == split]
    return _ranked(KNOWN, own, "kind", "known_causes.png")


def trained_causes(folder: Path) -> Answer:
    """Of `experiments.trained_causes`: the same over cues that networks were taught."""
    rows = [row for row in rows_of(folder, "summary.csv") if _known(row["auc"])]
    return _ranked(TRAINED, rows, "cue", "")


def planted_shortcuts(folder: Path) -> Answer:
    """Of `experiments.planted_shortcuts`: AUC of each method; 0.5 is chance."""
    rows = [row for row in stored(folder)["auc"] if row["value"] is not None]
    if not rows:
        return Answer(PLANTED, "Not known: policies of both kinds are wanted.")
    most = max(row["rho"] for row in rows)
    own = [row for row in rows if row["rho"] == most]
    truth = [row for row in own if row["measure"] == "panel_share"]
    scores = sorted((r for r in own if r["measure"] != "panel_share"), key=lambda r: -r["value"])
    best = scores[0]
    verdict = f"Best {best['measure'].replace('_', ' ')}: AUC {best['value']:.2f}"
    if truth:
        verdict += f", where replacing the panel itself reaches {truth[0]['value']:.2f}"
    controls = [
        {
            "measure": row["measure"].replace("_", " "),
            "AUC": number(row["value"]),
            "interval": interval(row["low"], row["high"]),
        }
        for row in [*truth, *_with_random(scores, "measure")]
    ]
    return Answer(PLANTED, f"{verdict}; chance is 0.50.", controls, "planted_shortcuts.png")


def _with_random(rows: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The first rows, and of the others the random ones: controls are never left out."""
    return [row for i, row in enumerate(rows) if i < MOST_METHODS or "random" in str(row[name])]


def _known(text: str) -> bool:
    return text != "" and math.isfinite(float(text))


def _ranked(question: str, rows: Sequence[Mapping[str, str]], kind: str, figure: str) -> Answer:
    """Methods by their mean AUC over kinds; random ones are kept as controls."""
    groups: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for row in rows:
        groups.setdefault((row["method"], row["budget"]), []).append(row)
    table: list[dict[str, Any]] = []
    for (method, budget), own in groups.items():
        values = [float(row["auc"]) for row in own]
        worst = min(own, key=lambda row: float(row["auc"]))
        table.append(
            {
                "method": method,
                "runs": budget,
                "mean AUC": sum(values) / len(values),
                "worst AUC": number(float(worst["auc"])),
                "worst on": worst.get(kind, ""),
            }
        )
    if not table:
        return Answer(question, "Not known: no frame has a cause and a control.")
    table.sort(key=lambda row: -row["mean AUC"])
    best = table[0]
    random = [row for row in table if "random" in row["method"]]
    verdict = (
        f"Best {best['method']} with {best['runs']} runs: AUC {best['mean AUC']:.2f} on average, "
        f"{best['worst AUC']} on {best['worst on']}"
    )
    if random:
        verdict += f"; random maps have {random[0]['mean AUC']:.2f}"
    shown = _with_random(table, "method")
    controls = [row | {"mean AUC": number(row["mean AUC"])} for row in shown]
    return Answer(question, f"{verdict}; chance is 0.50.", controls, figure)
