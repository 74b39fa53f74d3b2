"""The zoo's tables as they are kept: gathered from what each policy left, ready to be committed."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.zoo.design import Recipe
from iss_jax.data.atomic import atomic_path, write_bytes
from iss_jax.data.table import csv_text, read_rows

TABLES = ("trials", "measures", "costs", "training")
LEAVES = "leaves"


def keep(folder: Path, recipe: Recipe, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """What one policy came to, in a folder of its own: a file a table.

    Args:
        folder: Of all policies; each has one of its name.
        recipe: Of the policy.
        tables: Name -> rows. The last one is written last: with it the policy is done.
    """
    for name, rows in tables.items():
        write_bytes(folder / recipe.name / f"{name}.csv", csv_text(rows).encode())


def is_done(folder: Path, recipe: Recipe) -> bool:
    """Whether all tables of a policy are there."""
    return all((folder / recipe.name / f"{name}.csv").exists() for name in TABLES)


def gather(folder: Path, recipes: Iterable[Recipe], into: Path) -> list[Recipe]:
    """Writes the tables of all policies that are done, and copies their leaves.

    Several processes may do so: whoever is last has seen all that is done by then.

    Args:
        folder: Of all policies, see `keep`.
        recipes: Of the design, in the order of the tables.
        into: Receives a file a table, and `leaves/<name>.npz`.

    Returns:
        Those that are done.
    """
    done = [one for one in recipes if is_done(folder, one)]
    for name in TABLES:
        rows = [row for one in done for row in read_rows(folder / one.name / f"{name}.csv")]
        if rows:
            write_bytes(into / f"{name}.csv", csv_text(rows).encode())
    for one in done:
        target = into / LEAVES / f"{one.name}.npz"
        source = folder / one.name / "leaves.npz"
        if source.exists() and not target.exists():
            with atomic_path(target) as temporary:
                shutil.copyfile(source, temporary)
    return done
