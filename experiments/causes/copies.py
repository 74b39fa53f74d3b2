"""Altered copies of a frame, family by family: what each method runs the policy on.

A family is players, a fill and an estimator, or masks on the paper's grid. Copies are composed by
the library's own engine; they do not depend on the policy, and serve every cue and alpha.
"""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from experiments.causes.scenes import CauseScene
from iss_jax import ISSConfig, masks as mask_designs, players as player_makers
from iss_jax.background import draw_donors
from iss_jax.effect_estimators import replaced_sets
from iss_jax.effects_config import EffectsConfig
from iss_jax.fills import Blur, Fill
from iss_jax.interventions import blend, blur
from iss_jax.masked_runs import draw_masks
from iss_jax.player_runs import run_rows
from iss_jax.players import Players
from iss_jax.scenes import donor_frames, make_scene

PAPER_BLUR = Blur(10.0)


@dataclasses.dataclass(frozen=True)
class PlayerFamily:
    """A set of players, what stands in their place, and how their effects are estimated.

    Attributes:
        players: Of `players_of`.
        fill: Of `iss_jax.EffectsConfig`.
        estimator: Likewise.
        like_for_like: Likewise.
    """

    players: str
    fill: str | Fill = "background"
    estimator: str = "one_at_a_time"
    like_for_like: bool = False

    @property
    def name(self) -> str:
        """What tables call it."""
        fill = self.fill if isinstance(self.fill, str) else "paper's blur"
        fill = {"background": "donors", "blur": "wide blur"}.get(fill, fill)
        like = ", like for like" if self.like_for_like else ""
        short = {"one_at_a_time": "alone", "banzhaf": "halves", "shapley": "Shapley"}
        return f"{self.players}, {fill}{like}, {short[self.estimator]}"

    @property
    def with_tint(self) -> bool:
        """Whether the tint is replaced beside the players."""
        return self.fill == "background" and self.estimator == "one_at_a_time"

    def config(self, draws: int) -> EffectsConfig:
        """Options of the library's engine."""
        return EffectsConfig(
            draws=draws,
            fill=self.fill,
            estimator=self.estimator,
            like_for_like=self.like_for_like,
            tint=self.with_tint,
        )

    def draws(self, players: int, budget: int) -> int:
        """As many draws as a budget of runs, baselines included, allows; one at least."""
        return max(1, budget // self.config(1).runs(players, beside=int(self.with_tint)))


@dataclasses.dataclass(frozen=True)
class MaskFamily:
    """Masks on a grid of cells.

    Attributes:
        name: What tables call it.
        config: ISS of `runs` masks; None for RISE's own masks.
        runs: How many masks.
    """

    name: str
    config: ISSConfig | None
    runs: int


def mask_families(runs: int) -> list[MaskFamily]:
    """The paper's ISS, the default, a wide blur, and RISE's own preset, of so many masks."""
    return [
        MaskFamily("ISS, paper", ISSConfig.paper(num_masks=runs), runs),
        MaskFamily("ISS, centred", ISSConfig(num_masks=runs), runs),
        MaskFamily("ISS, centred, wide blur", ISSConfig(num_masks=runs, blur_sigma=224.0), runs),
        MaskFamily("RISE", None, runs),
    ]


PLAYER_FAMILIES = (
    PlayerFamily("joined looks"),
    PlayerFamily("joined looks", "blur"),
    PlayerFamily("joined looks", PAPER_BLUR),
    PlayerFamily("joined looks", "mean"),
    PlayerFamily("joined looks", "background", "banzhaf"),
    PlayerFamily("looks of a view"),
    PlayerFamily("looks of a view", "blur"),
    PlayerFamily("looks of a view", "background", "banzhaf"),
    PlayerFamily("fine joined looks"),
    PlayerFamily("fine joined looks", "blur"),
    PlayerFamily("fine looks of a view"),
    PlayerFamily("fine looks of a view", "blur"),
    PlayerFamily("cells"),
    PlayerFamily("fine cells", "background", "banzhaf"),
    PlayerFamily("token patches"),
    PlayerFamily("token patches", "mean"),
    PlayerFamily("regions"),
    PlayerFamily("regions", "background", like_for_like=True),
    PlayerFamily("regions", "blur"),
    PlayerFamily("regions", "background", "shapley"),
    PlayerFamily("regions and cues"),
    PlayerFamily("regions and cues", "blur"),
)

LOOKS = {
    "joined looks": (12, True),
    "fine joined looks": (24, True),
    "looks of a view": (8, False),
    "fine looks of a view": (16, False),
}
"""Players by appearance: how many, and whether they are joined across views."""

TOKENS = "token patches"
"""What each image token of the embedded policy stands for. The readers of constructed policies read
pixels, which a token that is replaced does not change: so its patch is replaced."""

CELLS = {"cells": (4, 4), "fine cells": (7, 7), TOKENS: (5, 5)}
"""Players of equal size, each view's apart: rows and columns."""

LABELLED = ("regions", "regions and cues")


class Copies(NamedTuple):
    """Copies of one frame by one family.

    Attributes:
        frames: Altered frames.
        draws: Draw of each, hence its flow noise.
        sets: Of players, the sets that each draw replaces.
        players: Labels and names; None for masks.
        masks: Keep bits in [0, 1]: of cells, or of RISE's pixels; None for players.
    """

    frames: Float[np.ndarray, "n v h w 3"]
    draws: Int[np.ndarray, " n"]
    sets: Bool[np.ndarray, "draws sets players"] | None = None
    players: Players | None = None
    masks: np.ndarray | None = None


def players_of(name: str, scene: CauseScene) -> Players:
    """The players of a scene's frame, without batch axis.

    Args:
        name: Of `LOOKS` or `CELLS`, or `regions`, or `regions and cues`, where the places of the
            cues are labelled too.
        scene: The scene.

    Raises:
        ValueError: Another name.
    """
    images = {view: jnp.asarray(scene.frame[i]) for i, view in enumerate(scene.views)}
    if name in LOOKS:
        most, join = LOOKS[name]
        return player_makers.by_appearance(images, most=most, join=join)
    if name in CELLS:
        return player_makers.grid(images, CELLS[name])
    if name not in LABELLED:
        raise ValueError(f"players {name!r} given, of no kind that is known")
    regions = {view: jnp.asarray(labels) for view, labels in scene.regions.items()}
    found = player_makers.from_regions(regions)
    if name == "regions":
        return found
    labels = {view: np.array(own) for view, own in found.labels.items()}
    names = list(found.names)
    for cue in scene.cues:
        if cue.kind != "tint":
            for view, mask in cue.where.items():
                labels[view][mask] = len(names)
            names.append(cue.kind)
    return Players({v: jnp.asarray(own) for v, own in labels.items()}, names=tuple(names))


def player_copies(
    family: PlayerFamily, scene: CauseScene, draws: int, key: Array, *, composed: bool = True
) -> Copies:
    """Every set of players of every draw, replaced; tints last in each draw.

    Args:
        family: The family.
        scene: The scene.
        draws: How many.
        key: Of donors and sets. A larger number of draws begins with the same donors.
        composed: Whether the frames are wanted, rather than what is known of them alone.
    """
    players = players_of(family.players, scene)
    config = family.config(draws)
    count, things = len(players), int(family.with_tint)
    donors = draw_donors(jax.random.fold_in(key, 0), scene.bank.allowed(scene.groups), draws)
    frames = {view: jnp.asarray(scene.frame[i])[None] for i, view in enumerate(scene.views)}
    labels = {view: own[None] for view, own in players.labels.items()}
    regions = {view: jnp.asarray(own, jnp.int32)[None] for view, own in scene.regions.items()}
    # Of all draws at once, so that a half is drawn alike whatever their number.
    sets = np.stack(
        [
            np.asarray(replaced_sets(jax.random.fold_in(key, 1 + d), count, family.config(1)))[0]
            for d in range(draws)
        ]
    )
    table = np.zeros((draws, sets.shape[1] + things, 2 + things), np.int32)
    table[:, :, 0] = np.arange(draws)[:, None]
    table[:, : sets.shape[1], 1] = np.arange(1, 1 + sets.shape[1])
    if things:
        table[:, -1, -1] = 1
    table = table.reshape(-1, table.shape[-1])
    if not composed:
        return Copies(scene.frame[None][:0], table[:, 0], sets, players)
    config = dataclasses.replace(config, micro_batch=len(table) + 1)
    copies = _composed(
        frames,
        labels,
        *donor_frames(scene.bank, donors, scene.views),
        regions,
        jnp.asarray(table),
        jnp.asarray(sets),
        config=config,
    )
    return Copies(np.asarray(copies), table[:, 0], sets, players)


@partial(jax.jit, static_argnames=("config",))
def _composed(
    frames: dict[str, Array],
    labels: dict[str, Array],
    donors: dict[str, Array] | None,
    donor_regions: dict[str, Array] | None,
    regions: dict[str, Array],
    table: Array,
    sets: Array,
    *,
    config: EffectsConfig,
) -> Float[Array, "n v h w 3"]:
    """The engine's copies: a policy whose actions are what it sees."""
    shape = next(iter(frames.values())).shape[1:]
    inside = {view: jnp.ones((1, *shape[:2]), bool) for view in frames}
    scene = make_scene(
        frames, labels, inside, donors, config, regions=regions, donor_regions=donor_regions
    )
    one = jax.tree.map(lambda leaf: leaf[0], scene)

    def seen(shared: Any, example: Any, rows: dict[str, Array], draws: Array, prompts: Array):
        del shared, example, draws, prompts
        return jnp.stack([rows[view] for view in frames], axis=1).reshape(-1, 1, 3 * _size(rows))

    names = ("tint",) if config.tint else ()
    found, _ = run_rows(seen, None, None, one, table, sets, names, tuple(frames), config)
    return found.reshape(-1, len(frames), *shape)


def _size(rows: dict[str, Array]) -> int:
    return sum(row.shape[1] * row.shape[2] for row in rows.values())


def mask_copies(
    family: MaskFamily, scene: CauseScene, key: Array, *, composed: bool = True
) -> Copies:
    """The frame under every mask, all with the first draw's noise."""
    views, height, width, _ = scene.frame.shape
    if family.config is None:
        keep = rise_masks(key, family.runs, views, (height, width))
        frames = scene.frame[None] * keep[..., None] if composed else scene.frame[None][:0]
        return Copies(frames, np.zeros(family.runs, np.int32), masks=keep)
    cells = draw_masks(key, views, family.config)
    if not composed:
        return Copies(
            scene.frame[None][:0], np.zeros(family.runs, np.int32), masks=np.asarray(cells)
        )
    frames = _blended(
        jnp.asarray(scene.frame), cells.astype(jnp.float32), sigma=family.config.blur_sigma
    )
    return Copies(np.asarray(frames), np.zeros(family.runs, np.int32), masks=np.asarray(cells))


@partial(jax.jit, static_argnames=("sigma",))
def _blended(frame: Array, cells: Array, *, sigma: float) -> Array:
    _, height, width, _ = frame.shape
    keep = mask_designs.upsample(cells, (height, width))
    return blend(frame, blur(frame, sigma=sigma), keep)


def rise_masks(
    key: Array, count: int, views: int, shape: tuple[int, int], cells: int = 7, keep: float = 0.5
) -> Float[np.ndarray, "n v h w"]:
    """RISE's own masks: smooth, shifted by up to a cell, half kept (Petsiuk et al. 2018, 3.2).

    Args:
        key: Of bits and shifts.
        count: How many.
        views: Each with bits of its own.
        shape: Of a frame.
        cells: Of each side.
        keep: Probability of a cell.
    """
    size = -(-shape[0] // cells)
    bits_key, shift_key = jax.random.split(key)
    bits = jax.random.bernoulli(bits_key, keep, (count, views, cells, cells)).astype(jnp.float32)
    side = (cells + 1) * size
    large = np.asarray(jax.image.resize(bits, (count, views, side, side), "linear"))
    shifts = np.asarray(jax.random.randint(shift_key, (count, views, 2), 0, size))
    out = np.zeros((count, views, *shape), np.float32)
    for n in range(count):
        for v in range(views):
            row, column = shifts[n, v]
            out[n, v] = large[n, v, row : row + shape[0], column : column + shape[1]]
    return out
