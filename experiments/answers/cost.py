"""Answers of the commands that measure time, memory and success."""

from pathlib import Path

from experiments.answers.stored import stored
from iss_jax.jobs.answer import Answer, interval, number

MOST_ROWS = 12


def efficiency(folder: Path) -> Answer:
    """Of `experiments.efficiency` and `experiments.bench`: time beside the floor."""
    question = "What does a map cost, in single inferences?"
    rows = stored(folder)["rows"]
    if not rows:
        return Answer(question)
    last = rows[-1]
    times = last.get("slowdown", last.get("cost"))
    verdict = f"{last['name']} takes {times:.1f} single inferences" if times is not None else ""
    if verdict and last.get("over_floor") is not None:
        verdict += f", {last['over_floor']:.1f} times what its arithmetic needs at the peak"
    names = {
        "name": "what",
        "runs": "runs",
        "seconds": "seconds",
        "cost": "in inferences",
        "slowdown": "in inferences",
        "paper_slowdown": "the paper's",
        "over_floor": "over the floor",
    }
    shown = [name for name in names if name in rows[0]][:6]
    controls = [
        {
            names[name]: number(row.get(name), ".3g")
            if isinstance(row.get(name), int | float | None)
            else row[name]
            for name in shown
        }
        for row in rows
    ]
    said = f"{verdict}." if verdict else ""
    return Answer(question, said, controls[:MOST_ROWS])


def savings(folder: Path) -> Answer:
    """Of `experiments.savings`: each exact saving alone, beside none and all."""
    rows = stored(folder)["savings"]
    names = [name for name in rows[0] if isinstance(rows[0][name], int | float | str)][:6]
    controls = [
        {
            name.replace("_", " "): row[name]
            if isinstance(row[name], str)
            else number(row[name], ".3g")
            for name in names
        }
        for row in rows
    ]
    return Answer("What does each exact saving give?", "", controls[:MOST_ROWS])


def rematerialisation(folder: Path) -> Answer:
    """Of `experiments.rematerialisation`: bytes and time both ways."""
    content = stored(folder)
    one = content["measured"]
    verdict = (
        f"Computed again, activations of gradient runs take {one['time']:.2f} times as long and "
        f"{number(one['temporary_bytes_rematerialised'] / one['temporary_bytes'])} of the memory."
    )
    controls = [
        {
            "policy": row["form"],
            "computed again": "yes" if row["rematerialise"] else "no",
            "GB a row": number(row["bytes_a_row"] / 1e9),
            "in forwards": number(row["flops_of_forwards"]),
        }
        for row in content["released"]
    ]
    return Answer("Is it worth computing activations again?", verdict, controls)


def rollout(folder: Path) -> Answer:
    """Of `experiments.rollout`: success under each condition."""
    rows = [row for row in stored(folder) if row["task"] == "all"]
    said = ", ".join(f"{row['condition']} {row['successes']} of {row['trials']}" for row in rows)
    controls = [
        {
            "condition": row["condition"],
            "successes": row["successes"],
            "trials": row["trials"],
            "rate": number(row["rate"]),
            "interval": interval(row["low"], row["high"]),
        }
        for row in rows
    ]
    return Answer("How often does the policy succeed?", f"{said}." if said else "", controls)
