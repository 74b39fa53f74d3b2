"""Answers of the commands that replace players."""

from pathlib import Path
from typing import Any

from experiments.answers.stored import rows_of, stored
from iss_jax.jobs.answer import Answer, number, percentage

MOST_FRAMES = 12


def acts_on(folder: Path) -> Answer:
    """Of `experiments.acts_on`: the largest player of each frame, beside its pixels."""
    content = stored(folder)
    frames: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows_of(folder, "players.csv"):
        frames.setdefault((row["episode"], row["frame"]), []).append(row)
    largest = [max(own, key=lambda row: float(row["share"] or "-inf")) for own in frames.values()]
    known = [row for row in largest if row["share"]]
    half = sum(float(row["share"]) > 0.5 for row in known)
    more = sum(float(row["share"]) > float(row["area"]) for row in known)
    verdict = (
        f"In {more} of {len(known)} frames what it acts on most holds a larger share of the "
        f"effects than of the pixels; in {half} it holds more than half of the effects."
    )
    if content["frames"]:
        first = content["frames"][0]
        verdict += f" The first, {first['prompt']}: {first['acts_on']}."
    if "kinds" in content:
        verdict = f"Of its inputs: {content['kinds']}."
    controls = [
        {
            "frame": f"{row['prompt']} (episode {row['episode']})",
            "acts most on": row["player"],
            "share": percentage(float(row["share"]), _float(row["share_stderr"])),
            "of the pixels": percentage(float(row["area"])),
        }
        for row in known[:MOST_FRAMES]
    ]
    return Answer("What does a policy act on?", verdict, controls, figure="acts_on.png")


def find_shortcut(folder: Path) -> Answer:
    """Of `experiments.find_shortcut`: the policy that follows the panel, and its control."""
    content = stored(folder)
    follows, ignores = content["policies"]
    held = [percentage(one["panel_share"], one["panel_share_stderr"]) for one in (follows, ignores)]
    found = follows["panel_first"] > content["frames"] / 2 and not ignores["panel_first"]
    verdict = (
        f"{'Yes' if found else 'Not in most frames'}: the panel holds {held[0]} of the effects "
        f"where the policy {follows['policy']}, and {held[1]} where it {ignores['policy']}."
    )
    controls = [
        {
            "policy": row["policy"],
            "panel's share": own,
            "comes first": f"{row['panel_first']} of {content['frames']} frames",
            "of the pixels": percentage(content["panel_area"]),
            "of the paper's map": percentage(row["paper_mass_on_panel"]),
        }
        for row, own in zip((follows, ignores), held, strict=True)
    ]
    return Answer("Is a shortcut found?", verdict, controls, figure="find_shortcut.png")


def image_use(folder: Path) -> Answer:
    """Of `experiments.image_use`: what images do, beside what all inputs do."""
    content = stored(folder)
    rows = [row for row in rows_of(folder, "frames.csv") if row["reason"] == "0"]
    controls = [
        {
            "frame": f"{row['prompt']} (episode {row['episode']})",
            "images": number(float(row["images"]), ".3g"),
            "all inputs": number(float(row["everything"]), ".3g"),
            "ratio": percentage(float(row["ratio"]), _float(row["stderr"])),
        }
        for row in rows[:MOST_FRAMES]
    ]
    return Answer("Does a policy use its images at all?", content["verdict"], controls)


def explain_served(folder: Path) -> Answer:
    """Of `experiments.explain_served`: what masks do, beside what the server's own noise does."""
    content = stored(folder)
    said = [f"It acts on {content['acts_on']}."] if "acts_on" in content else []
    if "nmr_at_10" in content:
        said.append(
            f"Of the most salient 10 % of the pixels {percentage(content['nmr_at_10'])} are "
            f"nuisance, which covers {percentage(content['nuisance_area'])}."
        )
    controls: list[dict[str, Any]] = [
        {"what": title, "value": number(content[name], ".3g")}
        for name, title in (
            ("effect", "effect of the masks, less the floor"),
            ("floor", "floor: two calls alike"),
            ("floor_share", "the floor's share of what is measured"),
            ("spread", "spread of the map"),
            ("stderr", "standard error of a cell"),
        )
    ]
    question = "What does the policy behind the server look at?"
    return Answer(question, " ".join(said), controls, figure="maps.png")


def _float(text: str) -> float | None:
    return float(text) if text else None
