"""Answers of the commands that change frames or labels and look at what becomes of maps."""

from pathlib import Path

from experiments.answers.stored import rows_of, stored
from experiments.perturbed.items import METHODS
from iss_jax.jobs.answer import Answer, interval, number

RANDOM = ("random", "random_same")


def fidelity(folder: Path) -> Answer:
    """Of `experiments.fidelity`: each method's correlation, the random ones as controls."""
    content = stored(folder)
    question = "Do explanations change as the actions do?"
    found = [
        one
        for one in content["correlations"]
        if (one["split"], one["change"], one["kind"]) == ("all", "cosine", "pearson")
        and one["r"] is not None
    ]
    if not found:
        return Answer(question, "Not known: fewer than three episodes.")
    mean: dict[str, list[float]] = {}
    for one in found:
        mean.setdefault(one["method"], []).append(one["r"])
    average = {method: sum(own) / len(own) for method, own in mean.items()}
    best = max((m for m in average if m not in RANDOM), key=average.__getitem__, default="")
    dealt = max((average[m] for m in RANDOM if m in average), default=None)
    if best and dealt is not None and average[best] <= dealt:
        verdict = (
            f"None more than random ones, which reach r = {dealt:.2f} on average; {_title(best)}"
        )
        verdict += f" has {average[best]:.2f}."
    elif best:
        verdict = f"Most those of {_title(best)}: r = {average[best]:.2f} on average"
        verdict += f"; random ones reach {dealt:.2f}." if dealt is not None else "."
    else:
        verdict = f"Random ones reach r = {number(dealt)} on average; nothing else was asked for."
    controls = [
        {
            "method": _title(one["method"]),
            "perturbation": one["perturbation"],
            "r": number(one["r"]),
            "interval": interval(*one["bootstrap"]),
            "given the area": number(one["partial"]["r"]),
        }
        for one in found
    ]
    return Answer(question, verdict, controls, figure="fidelity.png")


def robustness(folder: Path) -> Answer:
    """Of `experiments.robustness`: how alike maps stay, random ones as controls."""
    content = stored(folder)
    one = content["shares"][0]
    methods = {m: v for m, v in one["methods"].items() if v["pearson"]["value"] is not None}
    ranked = sorted(methods, key=lambda m: -methods[m]["pearson"]["value"])
    r = {m: f"{methods[m]['pearson']['value']:.2f}" for m in ranked}
    said = [f"{_title(m)} r = {r[m]}" for m in ranked if m not in RANDOM]
    dealt = [f"{_title(m)} {r[m]}" for m in ranked if m in RANDOM]
    verdict = f"Of {one['episodes']} episodes, maps of clean and noisy frames agree: "
    verdict += ", ".join(said) + (f"; controls: {', '.join(dealt)}." if dealt else ".")
    controls = [
        {
            "method": _title(method),
            "r of the maps": number(found["pearson"]["value"]),
            "interval": interval(found["pearson"]["low"], found["pearson"]["high"]),
            "cosine": number(found["cosine"]["value"], ".4f"),
            "NMR clean": number(found["nmr"]["value"]),
            "NMR noisy": number(found["nmr_noisy"]["value"]),
        }
        for method, found in one["methods"].items()
    ]
    question = "Do explanations stay when nuisance pixels get noisy?"
    return Answer(question, verdict, controls, figure="robustness.png")


def perturbation_grid(folder: Path) -> Answer:
    """Of `experiments.perturbation_grid`: each copy beside the frame itself."""
    rows = rows_of(folder, "results.csv")
    clean, *copies = rows
    most = max(copies, key=lambda row: float(row["action_error"]))
    verdict = (
        f"{most['perturbation']} at strength {most['strength']} moves the actions most (error "
        f"{float(most['action_error']):.2g}); NMR goes from {float(clean['nmr']):.2f} to "
        f"{float(most['nmr']):.2f}."
    )
    controls = [
        {
            "perturbation": row["perturbation"],
            "strength": row["strength"],
            "action error": f"{float(row['action_error']):.2g}",
            "NMR": f"{float(row['nmr']):.2f}",
        }
        for row in rows
    ]
    question = "What do perturbations do to one frame's map?"
    return Answer(question, verdict, controls, figure="perturbations.jpg")


def _title(method: str) -> str:
    return METHODS.get(method, method)


def mask_sensitivity(folder: Path) -> Answer:
    """Of `experiments.mask_sensitivity`: NMR under wrong labels beside the right ones."""
    content = stored(folder)
    clean, *wrong = content["errors"]
    moved = max(wrong, key=lambda row: abs(row["nmr"] - clean["nmr"]))
    verdict = (
        f"At most from {clean['nmr']:.2f} to {moved['nmr']:.2f}, by {moved['error']} of size "
        f"{moved['size']:g}, over {content['frames']} frames; frames then keep their order with "
        f"rank r = {number(moved['rank_frames'])}."
    )
    controls = [
        {
            "error": row["error"],
            "size": f"{row['size']:g}",
            "NMR": number(row["nmr"]),
            "rank r, frames": number(row["rank_frames"]),
            "rank r, random maps": number(row["random_rank_tasks"]),
            "r with success": number(row["success_r"]),
        }
        for row in content["errors"]
    ]
    question = "How much do errors of the region labels change NMR?"
    return Answer(question, verdict, controls, figure="mask_sensitivity.png")
