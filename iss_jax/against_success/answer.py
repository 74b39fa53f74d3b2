"""What the page of NMR against success says first."""

import math
from collections.abc import Mapping
from typing import Any

from iss_jax.jobs.answer import Answer, interval, number

QUESTION = "Do explanations that lie on nuisance tell where the policy fails?"
SHOWN = {
    "nmr_effect": "NMR by effect",
    "nmr_effect_anything": "the same, replaced by anything",
    "nmr_effect_chance": "its control, labels shifted",
    "attention_nmr@10": "NMR@10 of attention",
    "norm_nmr@10": "NMR@10 of token norms",
    "nmr@10": "the paper's NMR@10",
    "chance": "control, nuisance share of the area",
}


def nmr_answer(content: Mapping[str, Any]) -> Answer:
    """The answer of a run.

    Args:
        content: What `results.json` holds, see `iss_jax.against_success.job.write_results`.
    """
    found = {e["measure"]: e for e in content["correlations"] if e["kind"] == "pearson"}
    if not found:
        return Answer(QUESTION, "No correlation with success: three rows or more are wanted.")
    named = {name: title for name, title in SHOWN.items() if name in found}
    # Without the paper's k the first measure that there is.
    named = named or {name: name for name in list(found)[:1]}
    controls = []
    for name, title in named.items():
        one, random = found[name], found[name].get("random") or {}
        low, high = one.get("bootstrap") or (None, None)
        controls.append(
            {
                "measure": title,
                "r with success": number(one["r"]),
                "interval": interval(low, high),
                "p": number(one["p_value"], ".2g"),
                "r of random maps": number(random["mean"]) if "mean" in random else "none",
            }
        )
    first = next(iter(named))
    return Answer(QUESTION, _verdict(named[first], found[first]), controls, _figure(named))


def _figure(named: Mapping[str, str]) -> str:
    return "nmr_by_effect.png" if "nmr_effect" in named else ""


def _verdict(title: str, one: Mapping[str, Any]) -> str:
    r, p = one["r"], one["p_value"]
    if r is None or math.isnan(r):
        return f"Not known ({one['reason']})."
    about = f"{title} has r = {r:.2f} with success over {one['n']} rows"
    if p is None or math.isnan(p):
        return f"{about}; {one['reason'] or 'how sure that is is not known'}."
    told = "Yes, they tell it" if p < 0.05 and r < 0 else "This run cannot tell"
    if p < 0.05 and r > 0:
        told = "No, the other way round"
    return f"{told}: {about}, p = {p:.2g}."
