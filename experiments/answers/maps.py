"""Answers of the commands that compare maps, masks and tokens."""

from pathlib import Path

from experiments.answers.stored import stored
from iss_jax.jobs.answer import Answer, interval, number

MOST_ROWS = 12


def method_overlays(folder: Path) -> Answer:
    """Of `experiments.method_overlays`: each method's NMR beside chance."""
    rows = [row for row in stored(folder) if row["view"] == "all"]
    methods: dict[str, list[dict]] = {}
    for row in rows:
        methods.setdefault(row["method"], []).append(row)

    def mean(method: str, name: str) -> float:
        return sum(row[name] for row in methods[method]) / len(methods[method])

    least = min((m for m in methods if m != "random"), key=lambda m: mean(m, "nmr"))
    frames = len({(row["episode"], row["frame"]) for row in rows})
    verdict = (
        f"The map of `{least}` lies least on nuisance: NMR {mean(least, 'nmr'):.2f}, chance "
        f"{mean(least, 'chance'):.2f}, over {frames} frame{'s' if frames > 1 else ''}."
    )
    controls = [
        {
            "method": method,
            "NMR": f"{mean(method, 'nmr'):.2f}",
            "chance": f"{mean(method, 'chance'):.2f}",
            "frames": len(own),
        }
        for method, own in methods.items()
    ]
    return Answer("Where do explanations differ on the same frames?", verdict, controls)


def hyperparameters(folder: Path) -> Answer:
    """Of `experiments.hyperparameters`: error and agreement of maps, random ones beside."""
    rows = stored(folder)["rows"]
    best = max(rows, key=lambda row: row["pearson"])
    verdict = (
        f"The nearest to a converged map has {best['num_masks']} masks of keep probability "
        f"{best['keep_prob']:g} ({best['preset']}): r = {best['pearson']:.2f}; as many random "
        f"scores have {number(best['random_pearson'])}."
    )
    controls = [
        {
            "preset": row["preset"],
            "masks": row["num_masks"],
            "keep probability": f"{row['keep_prob']:g}",
            "r": number(row["pearson"]),
            "r of random": number(row["random_pearson"]),
            "relative error": number(row["contrast_error"]),
        }
        for row in sorted(rows, key=lambda row: -row["pearson"])[:MOST_ROWS]
    ]
    question = "How many masks, and how dense?"
    return Answer(question, verdict, controls, figure="hyperparameters.png")


def estimator_accuracy(folder: Path) -> Answer:
    """Of `experiments.estimator_accuracy`: the cheapest way to r = 0.9, and the best."""
    rows = stored(folder)["rows"]
    known = [row for row in rows if row["pearson"] is not None]
    good = [row for row in known if row["pearson"] >= 0.9]
    best = min(good, key=lambda r: r["cost"]) if good else max(known, key=lambda r: r["pearson"])
    verdict = "r = 0.9 is reached first" if good else "None reaches r = 0.9; the nearest is reached"
    verdict += (
        f" by {best['estimator']} on {best['design']} masks, at the cost of {best['cost']:.0f} "
        f"forward passes (r = {best['pearson']:.2f})."
    )
    controls = [
        {
            "estimator": row["estimator"],
            "masks": row["design"],
            "cost": number(row["cost"], ".0f"),
            "r": number(row["pearson"]),
            "interval": interval(row["pearson_low"], row["pearson_high"]),
        }
        for row in sorted(known, key=lambda row: row["cost"])
    ]
    question = "How faithful is a map for what it costs?"
    return Answer(question, verdict, controls[:MOST_ROWS], figure="accuracy.png")


def adaptive_stopping(folder: Path) -> Answer:
    """Of `experiments.adaptive_stopping`: agreement beside that of fixed numbers of masks."""
    rows = stored(folder)
    better = sum(row["agreement"] > row["agreement_fixed"] for row in rows)
    verdict = (
        f"In {better} of {len(rows)} settings maps agree better than those of as many masks for "
        "every frame."
    )
    controls = [
        {
            "estimator": row["estimator"],
            "target": f"{row['target']:g}",
            "masks": number(row["masks_mean"], ".0f"),
            "agreement": number(row["agreement"]),
            "of fixed masks": number(row["agreement_fixed"]),
            "least, fixed": f"{number(row['agreement_least'])}, "
            f"{number(row['agreement_fixed_least'])}",
        }
        for row in rows
    ]
    question = "Can a map stop when it is good enough?"
    return Answer(question, verdict, controls[:MOST_ROWS])


def token_interventions(folder: Path) -> Answer:
    """Of `experiments.token_interventions`: what moves the actions, and cheaper ways to it."""
    content = stored(folder)
    shares: dict[str, list[float]] = {}
    for row in content["shares"]:
        shares.setdefault(row["part"], []).append(row["share"])
    mean = {part: sum(own) / len(own) for part, own in shares.items()}
    largest = max(mean, key=mean.__getitem__)
    verdict = (
        f"{largest} has the largest share of what single tokens do, {100 * mean[largest]:.0f} %, "
        f"over {content['frames']} frames."
    )
    controls = [
        {
            "way": row["method"],
            "setting": row["setting"],
            "cost in runs": number(row["cost"], ".0f"),
            "r with exact": number(row["pearson"]),
            "interval": interval(row["pearson_low"], row["pearson_high"]),
        }
        for row in content["agreement"]
    ]
    question = "Which tokens move the actions?"
    return Answer(question, verdict, controls[:MOST_ROWS], figure="token_interventions.png")


def kl_and_error(folder: Path) -> Answer:
    """Of `experiments.kl_and_error`: agreement of both beside each one's with itself."""
    content = stored(folder)
    found = {row["quantity"]: row for row in content["summary"]}
    titles = {
        "maps": "maps, KL against error",
        "maps_kl": "control: KL against itself, other masks",
        "maps_error": "control: error against itself, other masks",
        "masks": "masked runs, rank r",
        "players": "players, rank r",
        "same_first": "the same player first",
    }
    controls = [
        {
            "what agrees": title,
            "mean": number(found[name]["mean"]),
            "interval": interval(found[name]["low"], found[name]["high"]),
            "frames": found[name]["frames"],
        }
        for name, title in titles.items()
        if name in found
    ]
    verdict = (
        f"Maps of both agree with r = {number(found['maps']['mean'])}, less the masks' noise "
        f"{number(content['disattenuated'])}, over {content['frames']} frames."
    )
    question = "Does the squared error of actions stand in for the KL of their distribution?"
    return Answer(question, verdict, controls)
