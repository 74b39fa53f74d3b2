"""What the field's faithfulness metrics say of each method's map, where the truth is known."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from experiments.causes.runs import Plan, Runner, copies_of, stored
from experiments.causes.scenes import Source, make_cause_scene
from experiments.causes.tables import answers
from iss_jax import faithfulness, interventions, masks as mask_designs
from iss_jax.policies.restored import Policy
from iss_jax.stats.correlation import coefficient

STEPS = 10
WIDE_SIGMA = 224.0
METRICS = {"deletion": 1.0, "insertion": -1.0, "infidelity": -1.0}
"""Metric -> whether more of it is better."""

# Whose runs are the random removals of infidelity.
REMOVALS = "ISS, paper, {}"


def run_metrics(
    source: Source,
    policy: Policy,
    plan: Plan,
    item: Mapping[str, Any],
    result: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Of one frame at alpha 1, a row for each cue but tints, and each method at its largest budget.

    Deletion and insertion go to and from a wide blur; infidelity takes the masked runs of the
    paper's ISS as its random removals.

    Args:
        source: Where frames come from.
        policy: The embedded one.
        plan: What was run.
        item: The work item.
        result: What `run_frame` found.
    """
    scene = make_cause_scene(source, dict(item), plan.donors)
    runner = Runner(scene, policy, plan, item)
    _, height, width, _ = scene.frame.shape
    base = np.asarray(interventions.blur(jnp.asarray(scene.frame), sigma=WIDE_SIGMA))
    families = copies_of(scene, plan, item, composed=False)
    removals = REMOVALS.format(plan.budgets[-1])
    _, masked = families[removals]
    keep = mask_designs.upsample(jnp.asarray(masked.masks, jnp.float32), (height, width))
    gone = 1.0 - np.asarray(keep)
    named, frames = [], []
    for number, cue in enumerate(scene.cues):
        if cue.kind == "tint":
            continue
        moved = stored(result["families"][removals]).at(1.0)[:, number]
        best: dict[str, tuple[int, np.ndarray]] = {}
        for name, (family, copies) in families.items():
            effects = stored(result["families"][name]).at(1.0)[:, number]
            for method, budget, found in answers(plan, family, copies, effects, height, width):
                if budget >= best.get(method, (0, found.pixels))[0]:
                    best[method] = (budget, found.pixels)
        for method, (_, pixels) in best.items():
            sums = np.einsum("nvhw,vhw->n", gone, pixels)
            lost = faithfulness.misfit(jnp.asarray(sums, jnp.float32), jnp.asarray(moved))
            named.append({"method": method, "kind": cue.kind, "infidelity": float(lost)})
            frames.append(curves(scene.frame, base, pixels))
    both = np.concatenate(frames)
    found = stored(runner.polynomials(both, np.zeros(len(both), np.int32))).at(1.0)
    found = found.reshape(len(named), 2, STEPS - 1, -1)
    ends = stored(runner.polynomials(base[None], np.zeros(1, np.int32))).at(1.0)[0]
    kinds = [cue.kind for cue in scene.cues]
    for row, own in zip(named, found, strict=True):
        number = kinds.index(row["kind"])
        whole = max(float(ends[number]), 1e-12)
        down = np.array([0.0, *own[0, :, number], whole]) / whole
        up = np.array([whole, *own[1, :, number], 0.0]) / whole
        row["deletion"] = float(faithfulness.area(jnp.asarray(down)))
        row["insertion"] = float(faithfulness.area(jnp.asarray(up)))
        row |= {"task": item["task"]}
    return named


def curves(
    frame: Float[np.ndarray, "v h w 3"],
    base: Float[np.ndarray, "v h w 3"],
    pixels: Float[np.ndarray, "v h w"],
) -> Float[np.ndarray, "n v h w 3"]:
    """Frames of deletion, then of insertion, without the ends that all methods share."""
    places = faithfulness.order({str(i): jnp.asarray(own) for i, own in enumerate(pixels)})
    place = np.stack([np.asarray(places[str(i)]) for i in range(len(pixels))])
    # Rounded as the places are.
    shares = np.arange(1, STEPS, dtype=np.float32) / np.float32(STEPS)
    first = (place[None] < shares[:, None, None, None])[..., None]
    return np.concatenate([np.where(first, base, frame), np.where(first, frame, base)])


def agreement(
    metrics: Sequence[Mapping[str, Any]], table: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Spearman over methods of each metric's mean with the AUC of the cue's share, kind by kind.

    Args:
        metrics: Of `run_metrics`.
        table: Of `report.summary`, of the same split.
    """
    out = []
    for kind in dict.fromkeys(row["kind"] for row in metrics):
        best: dict[str, Mapping[str, Any]] = {}
        for row in table:
            larger = row["budget"] >= best.get(row["method"], {"budget": 0})["budget"]
            if row["kind"] == kind and larger:
                best[row["method"]] = row
        methods = [m for m in dict.fromkeys(row["method"] for row in metrics) if m in best]
        areas = np.array([best[method]["auc"] for method in methods])
        found: dict[str, Any] = {"kind": kind, "methods": len(methods)}
        for name, sign in METRICS.items():
            means = [
                np.mean([r[name] for r in metrics if r["method"] == m and r["kind"] == kind])
                for m in methods
            ]
            found[name] = coefficient(sign * np.array(means), areas, kind="spearman")
        out.append(found)
    return out
