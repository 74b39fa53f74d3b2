"""The recipes of the zoo: 24 of all that there could be, so that no factor hides behind another.

Eighteen recipes have a cue: every kind at every rho on either kind of layouts. Augmentation and
training seed are Latin squares over kind and rho, moved by one where layouts are shuffled. Six have
no cue: every augmentation on either kind of layouts.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from iss_jax.data.table import read_rows

CUES = ("panel", "floor", "tint")
NO_CUE = "none"
RHOS = (0.5, 0.9, 1.0)
AUGMENTATIONS = ("none", "colour", "background")
LAYOUTS = ("native", "shuffled")
SEEDS = (0, 1, 2)

FACTORS = ("cue", "rho", "augmentation", "layouts", "seed")


class Recipe(NamedTuple):
    """How one policy is trained.

    Attributes:
        row: Number in the design, from 1; also the order of the runs.
        cue: Of `CUES`, or `none`.
        rho: How often the cue shows the wanted object for certain; 0 without a cue.
        augmentation: Of `AUGMENTATIONS`.
        layouts: Of the frames it is taught on.
        seed: Of its training.
    """

    row: int
    cue: str
    rho: float
    augmentation: str
    layouts: str
    seed: int

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{self.row:02d}-{self.cue}-{self.rho:g}-{self.augmentation}-{self.layouts}"

    @property
    def group(self) -> str:
        """The recipe without its seed, which resampling keeps together."""
        return f"{self.cue}-{self.rho:g}-{self.augmentation}-{self.layouts}"


def design(order_seed: int = 0) -> list[Recipe]:
    """The 24 recipes, in a random order that a prefix of the runs may stop at.

    >>> recipes = design()
    >>> len(recipes), recipes[0].row, sum(one.cue == "none" for one in recipes)
    (24, 1, 6)

    Args:
        order_seed: Of the order.
    """
    rows = []
    for k, cue in enumerate(CUES):
        for r, rho in enumerate(RHOS):
            for d, layouts in enumerate(LAYOUTS):
                augmentation = AUGMENTATIONS[(k + r + d) % 3]
                rows.append((cue, rho, augmentation, layouts, SEEDS[(k + 2 * r) % 3]))
    for a, augmentation in enumerate(AUGMENTATIONS):
        rows += [
            (NO_CUE, 0.0, augmentation, layouts, SEEDS[(a + d) % 3])
            for d, layouts in enumerate(LAYOUTS)
        ]
    order = np.random.default_rng(order_seed).permutation(len(rows))
    return [Recipe(number, *rows[i]) for number, i in enumerate(order, start=1)]


def read_design(path: str | Path) -> list[Recipe]:
    """The recipes of a table that `zoo_design` wrote.

    Raises:
        ValueError: A row is no recipe, or two have one number.
    """
    found = []
    for number, row in enumerate(read_rows(path), start=2):
        try:
            recipe = Recipe(
                int(row["row"]),
                row["cue"],
                float(row["rho"]),
                row["augmentation"],
                row["layouts"],
                int(row["seed"]),
            )
        except (KeyError, ValueError) as error:
            raise ValueError(f"{path}, line {number}: no recipe ({error})") from error
        known = (
            recipe.cue in (*CUES, NO_CUE),
            0 <= recipe.rho <= 1,
            recipe.augmentation in AUGMENTATIONS,
            recipe.layouts in LAYOUTS,
        )
        if not all(known):
            raise ValueError(f"{path}, line {number}: no recipe of the zoo ({recipe})")
        found.append(recipe)
    if len({one.row for one in found}) < len(found):
        raise ValueError(f"{path}: two recipes have one number")
    return found


def chosen(recipes: Sequence[Recipe], rows: Iterable[int]) -> list[Recipe]:
    """The recipes of some numbers, all where none is given.

    Raises:
        ValueError: There is no recipe of a number.
    """
    by_row = {one.row: one for one in recipes}
    wanted = list(rows) or list(by_row)
    lacking = [row for row in wanted if row not in by_row]
    if lacking:
        raise ValueError(f"rows {lacking} given, 1 to {len(recipes)} wanted")
    return [by_row[row] for row in wanted]


def main_effects(recipes: Sequence[Recipe]) -> dict[str, Float[np.ndarray, "n k"]]:
    """Factor -> centred columns of its effect.

    Rho is a contrast among recipes that have a cue, and 0 where there is none.

    Args:
        recipes: Of a design.
    """
    cue = _levels([one.cue for one in recipes], (NO_CUE, *CUES))
    rho = _levels([one.rho if one.cue != NO_CUE else -1.0 for one in recipes], RHOS)
    has_cue = np.array([one.cue != NO_CUE for one in recipes], float)[:, None]
    columns = {
        "cue": cue[:, 1:] - cue[:, :1],
        "rho": (rho[:, 1:] - rho[:, :1]) * has_cue,
        "augmentation": _contrasts([one.augmentation for one in recipes], AUGMENTATIONS),
        "layouts": _contrasts([one.layouts for one in recipes], LAYOUTS),
        "seed": _contrasts([one.seed for one in recipes], SEEDS),
    }
    return {name: own - own.mean(0) for name, own in columns.items()}


def interaction(recipes: Sequence[Recipe]) -> Float[np.ndarray, "n k"]:
    """Columns of how augmentation acts on reliance: cue times augmentation, centred."""
    effects = main_effects(recipes)
    cue, augmentation = effects["cue"], effects["augmentation"]
    columns = (cue[:, :, None] * augmentation[:, None, :]).reshape(len(recipes), -1)
    return columns - columns.mean(0)


def confounding(recipes: Sequence[Recipe]) -> dict[tuple[str, str], float]:
    """Of every two factors, and of each with the interaction: their largest canonical correlation.

    0: the two can be told apart as if the other did not vary. 1: they cannot be told apart.

    Args:
        recipes: Of a design.
    """
    columns = {**main_effects(recipes), "cue x augmentation": interaction(recipes)}
    names = list(columns)
    bases = {name: np.linalg.qr(_spanning(own))[0] for name, own in columns.items()}
    return {
        (one, other): float(
            np.linalg.svd(bases[one].T @ bases[other], compute_uv=False).max(initial=0.0)
        )
        for i, one in enumerate(names)
        for other in names[i + 1 :]
    }


def confounded(recipes: Sequence[Recipe], *, main: float = 0.2, other: float = 0.6) -> list[str]:
    """What of a design is confounded, in words; nothing where it is sound.

    Args:
        recipes: Of the design.
        main: The largest canonical correlation of two factors that is let pass.
        other: That of a factor with the interaction of cue and augmentation.
    """
    found = [
        f"{one} and {second}: canonical correlation {value:.2f}"
        for (one, second), value in confounding(recipes).items()
        if value > (other if " x " in second else main)
    ]
    model = np.hstack(
        [np.ones((len(recipes), 1)), *main_effects(recipes).values(), interaction(recipes)]
    )
    rank = int(np.linalg.matrix_rank(model))
    if rank < model.shape[1]:
        found.append(f"the model of all of them: rank {rank} of {model.shape[1]} columns")
    return found


def _levels(values: Sequence, levels: Sequence) -> Float[np.ndarray, "n k"]:
    return np.array([[value == level for level in levels] for value in values], float)


def _contrasts(values: Sequence, levels: Sequence) -> Float[np.ndarray, "n k"]:
    found = _levels(values, levels)
    return found[:, 1:] - found[:, :1]


def _spanning(columns: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    """As many independent columns as there are, so that a basis holds no direction of zeros."""
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, sizes > 1e-9 * max(sizes.max(), 1e-300)]
