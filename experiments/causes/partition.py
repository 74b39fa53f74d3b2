"""Owen values of the picture's halves on the constructed policies, one of the field's methods.

Where a run is spent depends on what the runs before it did, hence on the cue and on alpha. The
searches of a frame go on side by side and share the runs of sets that several of them ask for.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from experiments.causes.owen import (
    Box,
    halved,
    of_halves,
    owen_values,
    picture,
    pixels_of,
    solved,
    splits_of,
)
from experiments.causes.runs import Plan, Runner, item_key, stored
from experiments.causes.scenes import CauseScene, Source, make_cause_scene
from experiments.causes.tables import ALPHAS, frame_row, places_of
from iss_jax import fills
from iss_jax.background import draw_donors
from iss_jax.policies.restored import Policy
from iss_jax.scenes import donor_frames

# Few sets are asked for at a time.
ROWS = 16


@dataclasses.dataclass(frozen=True)
class PartitionFamily:
    """Owen values of the picture's halves.

    Attributes:
        fill: What stands in the place of a half: `blur`, or `background` for donors.
    """

    fill: str

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"Owen values, {'donors' if self.fill == 'background' else 'wide blur'}"

    def draws(self, budget: int) -> int:
        """Donors over which every set's effect is a mean: one for each 30 runs; a blur has none."""
        return max(1, budget // 30) if fills.needs_donors(self.fill) else 1

    def splits(self, budget: int) -> int:
        """How often a part can be halved at a budget of runs, baselines included."""
        return splits_of(budget // self.draws(budget))

    def instead(
        self,
        frame: Float[np.ndarray, "v h w 3"],
        donors: Mapping[str, Float[Array, "draws h w 3"]],
        draws: int,
    ) -> Float[np.ndarray, "draws v h w 3"]:
        """What stands in the place of pixels that are gone, of every draw.

        Args:
            frame: What is explained.
            donors: View -> donors, views in order.
            draws: How many.
        """
        frames = {view: jnp.asarray(own) for view, own in zip(donors, frame, strict=True)}
        inside = {view: jnp.ones(own.shape[:2], bool) for view, own in frames.items()}
        fill = fills.named(self.fill)(frames, inside)
        found = [fill(inside, {view: own[d] for view, own in donors.items()}) for d in range(draws)]
        return np.stack([np.stack([np.asarray(one[view]) for view in frames]) for one in found])


PARTITIONS = (PartitionFamily("blur"), PartitionFamily("background"))
"""SHAP's own fill is a blur; donors are what other players get."""


def run_partition(
    source: Source,
    policy: Policy,
    plan: Plan,
    item: Mapping[str, Any],
    result: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Of one frame, a row for each partition, budget, cue and alpha.

    Args:
        source: Where frames come from.
        policy: The embedded one.
        plan: What is run.
        item: The work item.
        result: What `run_frame` found.
    """
    scene = make_cause_scene(source, dict(item), plan.donors)
    runner = Runner(scene, policy, dataclasses.replace(plan, rows=ROWS), item)
    shape = scene.frame.shape[:3]
    places = places_of(scene)
    rows = []
    for family in partitions_of(plan):
        draws = max(map(family.draws, plan.budgets))
        instead = stand_ins(family, scene, item_key(item), draws)
        asked = [
            (number, alpha, budget)
            for number, cue in enumerate(scene.cues)
            for alpha in ALPHAS
            for budget in plan.budgets
            if cue.kind != "tint"
        ]
        known: dict[tuple[int, frozenset[Box]], Mapping[str, Any]] = {}
        left: dict[int, list[float]] = {i: [] for i in range(len(asked))}

        def values(
            questions: list[tuple[int, frozenset[Box]]],
            family: PartitionFamily = family,
            asked: Sequence[Any] = asked,
            known: Any = known,
            left: Any = left,
            instead: Any = instead,
        ) -> list[float]:
            wanted = {
                (draw, boxes): None
                for search, boxes in questions
                for draw in range(family.draws(asked[search][2]))
                if (draw, boxes) not in known
            }
            if wanted:
                copies = np.stack(
                    [
                        np.where(pixels_of(boxes, shape)[..., None], instead[draw], scene.frame)
                        for draw, boxes in wanted
                    ]
                )
                found = runner.polynomials(copies, [draw for draw, _ in wanted])
                for i, one in enumerate(wanted):
                    known[one] = {name: [own[i]] for name, own in found.items()}
            answers = []
            for search, boxes in questions:
                number, alpha, budget = asked[search]
                own = [known[draw, boxes] for draw in range(family.draws(budget))]
                answers.append(float(np.mean([stored(o).at(alpha)[0, number] for o in own])))
                left[search] += [o["seen"][0][number] for o in own]
            return answers

        searches = [
            owen_values(picture(shape), halved, family.splits(budget)) for _, _, budget in asked
        ]
        found = dict(zip(asked, solved(searches, values), strict=True))
        still = dict(zip(asked, left.values(), strict=True))
        for number in range(len(scene.cues)):
            for alpha in ALPHAS:
                for budget in plan.budgets:
                    one = (number, alpha, budget)
                    own = of_halves(found.get(one, {}), shape)
                    row = frame_row(item, scene.cues, places, result, number, alpha, own)
                    seen = float(np.mean(still.get(one, [1.0])))
                    rows.append({"method": family.name, "budget": budget, **row, "left": seen})
    return rows


def stand_ins(
    family: PartitionFamily, scene: CauseScene, key: Array, draws: int
) -> Float[np.ndarray, "draws v h w 3"]:
    """What stands in the place of a scene's pixels: the same as for players under the same key.

    Args:
        family: The family.
        scene: The scene.
        key: Of the donors.
        draws: How many.
    """
    allowed = scene.bank.allowed(scene.groups)
    numbers = draw_donors(jax.random.fold_in(key, 0), allowed, draws)
    donors, _ = donor_frames(scene.bank, numbers, scene.views)
    assert donors is not None
    return family.instead(scene.frame, {v: own[0] for v, own in donors.items()}, draws)


def partitions_of(plan: Plan) -> list[PartitionFamily]:
    """Those that are run."""
    return [one for one in PARTITIONS if plan.runs_family(one.name)]
