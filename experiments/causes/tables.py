"""From stored runs to rows: what every method says of every frame, cue and alpha."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool

from experiments.causes.attributions import Attribution, of_masks, of_players, random_pixels
from experiments.causes.copies import Copies, MaskFamily, PlayerFamily
from experiments.causes.measures import measure
from experiments.causes.policy import Quadratic
from experiments.causes.runs import Plan, copies_of, item_key, stored
from experiments.causes.scenes import CauseScene, Source, make_cause_scene

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)

RANDOM = "random"


def rows_of(
    source: Source, plan: Plan, item: Mapping[str, Any], result: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Of one frame, a row for each method, budget, cue and alpha.

    Args:
        source: Where frames come from.
        plan: What was run.
        item: The work item.
        result: What `run_frame` found.
    """
    scene = make_cause_scene(source, dict(item), plan.donors)
    views, height, width, _ = scene.frame.shape
    places = places_of(scene)
    rows = []
    for name, (family, copies) in copies_of(scene, plan, item, composed=False).items():
        polynomials = stored(result["families"][name])
        seen = np.asarray(result["families"][name]["seen"])
        left = readable(family, copies, seen, places)
        for number in range(len(scene.cues)):
            for alpha in ALPHAS:
                effects = polynomials.at(alpha)[:, number]
                for method, budget, found in answers(plan, family, copies, effects, height, width):
                    row = frame_row(item, scene.cues, places, result, number, alpha, found)
                    rows.append({"method": method, "budget": budget, **row, "left": left[number]})
    for number in range(len(scene.cues)):
        for alpha in ALPHAS:
            key = jax.random.fold_in(item_key(item), 2000 + number)
            found = random_pixels(key, np.zeros((views, height, width)))
            row = frame_row(item, scene.cues, places, result, number, alpha, found)
            rows += [
                {"method": RANDOM, "budget": budget, **row, "left": 1.0} for budget in plan.budgets
            ]
    return rows


def answers(
    plan: Plan,
    family: PlayerFamily | MaskFamily,
    copies: Copies,
    effects: np.ndarray,
    height: int,
    width: int,
) -> Iterator[tuple[str, int, Attribution]]:
    """Method, budget and what it says, for every budget of a family.

    Args:
        plan: What was run.
        family: The family.
        copies: Its copies.
        effects: Of each copy.
        height: Of a frame.
        width: Of a frame.
    """
    if isinstance(family, PlayerFamily):
        assert copies.sets is not None
        for budget in plan.budgets_of(family):
            draws = family.draws(copies.sets.shape[-1], budget)
            yield family.name, budget, of_players(family, copies, effects, draws)
        return
    assert copies.masks is not None
    for budget in plan.budgets_of_masks(family):
        some = copies._replace(masks=copies.masks[:budget])
        yield family.name, budget, of_masks(family, some, effects[:budget], (height, width))


def true_effect(result: Mapping[str, Any], cue: int, alpha: float) -> float:
    """What other values of the cue do to the actions, everything else the same."""
    q0, q1, q2 = result["truth"][cue]["q"]
    own = Quadratic(np.array([q0]), np.array([[q1]]), np.array([[q2]]))
    return float(own.at(alpha)[0, 0])


def places_of(scene: CauseScene) -> list[Bool[np.ndarray, "v h w"]]:
    """Each cue's pixels."""
    shape = scene.frame.shape[1:3]
    return [
        np.stack([cue.where.get(view, np.zeros(shape, bool)) for view in scene.views])
        for cue in scene.cues
    ]


def frame_row(
    item: Mapping[str, Any],
    cues: Any,
    places: list[np.ndarray],
    result: Mapping[str, Any],
    number: int,
    alpha: float,
    found: Attribution,
) -> dict[str, Any]:
    """What one method says of one cue at one alpha.

    Args:
        item: The work item.
        cues: Of its scene.
        places: Their pixels.
        result: What `run_frame` found.
        number: Of the cue.
        alpha: How much of the policy it is.
        found: What the method says.
    """
    cue = cues[number]
    own = measure(found, places[number], everywhere=cue.kind == "tint")
    decoys = [
        measure(found, places[i], everywhere=False)["share"]
        for i, other in enumerate(cues)
        if i != number and other.kind != "tint"
    ]
    return {
        "kind": cue.kind,
        "size": cue.size,
        "alpha": alpha,
        "suite": item["task"].split("/")[0],
        "task": item["task"],
        "episode": item["episode"],
        "frame": item["frame"],
        "area": float(places[number].mean()),
        "true": true_effect(result, number, alpha),
        "instruction": result["instruction"],
        **own,
        "decoys": float(np.mean(decoys)),
    }


def readable(
    family: PlayerFamily | MaskFamily, copies: Any, seen: np.ndarray, places: list[np.ndarray]
) -> list[float]:
    """How much of each cue is still read after the intervention: 1 all, 0 nothing.

    Of players replaced alone it is read where the player that holds most of the cue is gone; of
    other methods, over all copies.
    """
    if not isinstance(family, PlayerFamily) or family.estimator != "one_at_a_time":
        return [float(value) for value in seen.mean(0)]
    draws, sets, count = copies.sets.shape
    by_copy = seen.reshape(draws, -1, seen.shape[1])
    labels = np.stack([np.asarray(own) for own in copies.players.labels.values()])
    found = []
    for number, where in enumerate(places):
        if where.all():
            # A tint: where it is replaced itself.
            tinted = by_copy[:, sets:, number]
            found.append(float(tinted.mean()) if tinted.size else 1.0)
            continue
        inside = labels[where & (labels >= 0)]
        holder = int(np.argmax(np.bincount(inside, minlength=count)))
        found.append(float(by_copy[:, holder, number].mean()))
    return found


def error_rows(
    source: Source,
    plan: Plan,
    item: Mapping[str, Any],
    result: Mapping[str, Any],
    reference: Mapping[str, Any],
    family: str,
    draws: int,
) -> list[dict[str, Any]]:
    """Effects of players at each budget with their errors, and their values at many draws.

    Args:
        source: Where frames come from.
        plan: What was run.
        item: The work item.
        result: What `run_frame` found.
        reference: What `run_reference` found of the same frame.
        family: Name of the family.
        draws: Of the reference.
    """
    scene = make_cause_scene(source, dict(item), plan.donors)
    one, copies = copies_of(scene, plan, item, composed=False)[family]
    assert isinstance(one, PlayerFamily) and copies.sets is not None
    players, sets = copies.sets.shape[-1], copies.sets.shape[1]
    few, many = stored(result["families"][family]), stored(reference)
    rows = []
    for number, cue in enumerate(scene.cues):
        for alpha in (0.0, 0.5, 1.0):
            target = many.at(alpha)[:, number].reshape(draws, -1)[:, :sets]
            effects = few.at(alpha)[:, number]
            for budget in plan.budgets_of(one):
                used = one.draws(players, budget)
                found = of_players(one, copies, effects, used)
                assert found.effects is not None and found.stderr is not None
                rows += [
                    {
                        "method": family,
                        "budget": budget,
                        "draws": used,
                        "kind": cue.kind,
                        "alpha": alpha,
                        "task": item["task"],
                        "player": player,
                        "effect": float(found.effects[player]),
                        "stderr": float(found.stderr[player]),
                        "value": float(target[:, player].mean()),
                        "value_stderr": float(target[:, player].std(ddof=1) / np.sqrt(draws)),
                    }
                    for player in range(players)
                ]
    return rows
