"""All copies of one frame, run once: effects as polynomials of alpha, for every family and cue."""

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from experiments.causes import policy as constructed
from experiments.causes.copies import (
    LABELLED,
    PLAYER_FAMILIES,
    TOKENS,
    Copies,
    MaskFamily,
    PlayerFamily,
    mask_copies,
    mask_families,
    player_copies,
    players_of,
)
from experiments.causes.scenes import CauseScene, Source, make_cause_scene
from iss_jax.fills import needs_donors
from iss_jax.policies.restored import Policy
from iss_jax.sampling import Sampling

TRUE_DRAWS = 2
"""Flow-noise draws under which the cue's other values are run."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is run on every frame.

    Attributes:
        budgets: Runs of a method, the largest last; the others are its first draws.
        labelled_budget: Of labelled regions, beside those.
        donors: In the bank.
        num_steps: Euler steps.
        max_token_len: Prompts are cut or padded to this.
        noises: Flow-noise draws that there are.
        families: Names of players, masks and partitions; all when empty.
        rows: Copies that are run at once; changes speed only.
    """

    budgets: tuple[int, ...] = (30, 100)
    labelled_budget: int = 16
    donors: int = 40
    num_steps: int = 4
    max_token_len: int = 40
    noises: int = 24
    families: tuple[str, ...] = ()
    rows: int = 64

    @property
    def facts(self) -> dict[str, Any]:
        """What results depend on."""
        return {name: value for name, value in vars(self).items() if name != "rows"}

    @property
    def sampling(self) -> Sampling:
        """How the policy is run."""
        return Sampling(num_steps=self.num_steps)

    @property
    def player_families(self) -> tuple[PlayerFamily, ...]:
        """Those that are run."""
        return tuple(f for f in PLAYER_FAMILIES if self.runs_family(f.name))

    def runs_family(self, name: str) -> bool:
        """Whether a family of that name is run."""
        return not self.families or name in self.families

    @property
    def mask_families(self) -> list[MaskFamily]:
        """Those that are run.

        The first ones of i.i.d. masks serve smaller budgets; balanced masks are balanced in
        themselves, so that the default has its own of each.
        """
        large = mask_families(self.budgets[-1])
        small = [mask_families(runs)[1] for runs in self.budgets[:-1]]
        return [family for family in [*large, *small] if self.runs_family(family.name)]

    def budgets_of(self, family: PlayerFamily) -> tuple[int, ...]:
        """The budgets of a family.

        More draws of a fill that draws nothing would average flow noise only: it has the smallest.
        Patches of tokens are more than the smaller budgets have runs.
        """
        if family.players in LABELLED:
            return (self.labelled_budget, *self.budgets[:-1])
        if family.players == TOKENS:
            return self.budgets[-1:]
        if needs_donors(family.fill):
            return self.budgets
        fine = family.players == "fine looks of a view"
        return self.budgets[-1:] if fine else self.budgets[:1]

    def budgets_of_masks(self, family: MaskFamily) -> tuple[int, ...]:
        """How many of its masks are a method of their own."""
        prefix = family.config is None or family.config.design == "bernoulli"
        if prefix and family.runs == self.budgets[-1]:
            return self.budgets
        return (family.runs,)


def item_key(item: Mapping[str, Any]) -> jax.Array:
    """The key of all that is drawn for one item, of its frame and scene alone."""
    name = "/".join(str(item[part]) for part in ("scene", "task", "episode", "frame"))
    return jax.random.key(zlib.crc32(name.encode()))


def copies_of(
    scene: CauseScene, plan: Plan, item: Mapping[str, Any], *, composed: bool = True
) -> dict[str, tuple[PlayerFamily | MaskFamily, Copies]]:
    """Name -> family and copies; of masks the name ends in their number.

    Args:
        scene: The scene.
        plan: What is run.
        item: The work item.
        composed: Whether the frames are wanted.
    """
    key = item_key(item)
    found: dict[str, tuple[PlayerFamily | MaskFamily, Copies]] = {}
    for family in plan.player_families:
        count = len(players_of(family.players, scene))
        draws = family.draws(count, max(plan.budgets_of(family)))
        found[family.name] = (family, player_copies(family, scene, draws, key, composed=composed))
    for number, masked in enumerate(plan.mask_families):
        name = f"{masked.name}, {masked.runs}"
        own = jax.random.fold_in(key, 100 + number)
        found[name] = (masked, mask_copies(masked, scene, own, composed=composed))
    return found


def run_frame(
    source: Source, policy: Policy, plan: Plan, item: Mapping[str, Any]
) -> dict[str, Any]:
    """What `tables` is made of: polynomials of every family, of the truth, and readings."""
    scene = make_cause_scene(source, dict(item), plan.donors)
    runner = Runner(scene, policy, plan, item)
    found: dict[str, Any] = {"truth": []}
    batches = {
        name: (copies.frames, copies.draws)
        for name, (_, copies) in copies_of(scene, plan, item).items()
    }
    for number, others in enumerate(scene.others):
        draws = np.repeat(np.arange(TRUE_DRAWS, dtype=np.int32), len(others))
        batches[f"true {number}"] = (np.concatenate([others] * TRUE_DRAWS), draws)
    # In one go, so that few rows are filling.
    whole = runner.polynomials(
        *(np.concatenate(part) for part in zip(*batches.values(), strict=True))
    )
    ends = np.cumsum([len(draws) for _, draws in batches.values()]).tolist()
    parts = {
        name: {part: values[start:end] for part, values in whole.items()}
        for name, start, end in zip(batches, [0, *ends[:-1]], ends, strict=True)
    }
    for number in range(len(scene.others)):
        own = parts.pop(f"true {number}")
        found["truth"].append(
            {
                "q": [float(np.mean(own["q0"]))]
                + [float(np.mean([row[number] for row in own[q]])) for q in ("q1", "q2")],
                "left": float(np.mean([row[number] for row in own["seen"]])),
            }
        )
    found["families"] = parts
    baseline = runner.baseline[:TRUE_DRAWS]
    found["instruction"] = float(np.square(baseline[:, 1] - baseline[:, 0]).mean())
    found["own"] = runner.seen.tolist()
    return found


def run_reference(
    source: Source, policy: Policy, plan: Plan, item: Mapping[str, Any]
) -> dict[str, Any]:
    """Polynomials of one family with many draws, none of them those of `run_frame`."""
    scene = make_cause_scene(source, dict(item), plan.donors)
    runner = Runner(
        scene, policy, dataclasses.replace(plan, noises=item["draws"]), item, noise_number=1001
    )
    (family,) = (f for f in PLAYER_FAMILIES if f.name == item["family"])
    key = jax.random.fold_in(item_key(item), 999)
    copies = player_copies(family, scene, item["draws"], key)
    # Flow noise that `run_frame` does not use either: other draws of another key.
    return runner.polynomials(copies.frames, copies.draws)


class Runner:
    """The constructed policies on copies of one frame.

    Attributes:
        baseline: A0 and A1 of the frame itself, under each flow noise.
        seen: What is read off it.
    """

    def __init__(
        self,
        scene: CauseScene,
        policy: Policy,
        plan: Plan,
        item: Mapping[str, Any],
        noise_number: int = 1000,
    ) -> None:
        self._scene, self._policy, self._plan = scene, policy, plan
        key = jax.random.fold_in(item_key(item), noise_number)
        self._asked = constructed.asked(
            scene, policy, key, plan.noises, plan.sampling, plan.max_token_len
        )
        frames = np.repeat(scene.frame[None], plan.noises, 0)
        self.baseline = self._run(frames, np.arange(plan.noises, dtype=np.int32))
        self.seen = constructed.readings(scene.readers, scene.frame[None], rows=plan.rows)[0]

    def _run(self, frames: np.ndarray, draws: np.ndarray) -> np.ndarray:
        views = self._scene.views
        return constructed.both_actions(
            self._policy,
            self._asked,
            frames,
            draws,
            views,
            self._plan.sampling,
            rows=self._plan.rows,
        )

    def polynomials(self, frames: np.ndarray, draws: Sequence[int] | np.ndarray) -> dict[str, Any]:
        """q0 [n], q1 and q2 [n, cues] of the copies, and the readings left in them."""
        draws = np.asarray(draws, np.int32)
        actions = self._run(frames, draws)
        seen = constructed.readings(self._scene.readers, frames, rows=self._plan.rows)
        found = constructed.quadratic(actions, seen, self.baseline[draws], self.seen)
        return {
            **{name: _short(value) for name, value in found._asdict().items()},
            "seen": np.round(seen, 4).tolist(),
        }


def _short(values: np.ndarray) -> Any:
    return [
        [float(f"{x:.6g}") for x in row] if np.ndim(row) else float(f"{row:.6g}")
        for row in values.tolist()
    ]


def stored(polynomials: Mapping[str, Any]) -> constructed.Quadratic:
    """What `Runner.polynomials` gave, from its stored form."""
    return constructed.Quadratic(*(np.asarray(polynomials[q], float) for q in ("q0", "q1", "q2")))
