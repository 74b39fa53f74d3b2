"""Write the design of the zoo and say what of it is confounded: `configs/zoo_design.py`.

    python -m experiments.zoo_design --config=configs/zoo_design.py --workdir=docs/zoo

The workdir receives `design.csv`, a row a policy in the order of the runs, and `confounding.csv`,
the largest canonical correlation of every two factors.
"""

from pathlib import Path

import ml_collections

from experiments.runs import app
from experiments.zoo.design import FACTORS, confounded, confounding, design
from iss_jax.data.atomic import write_bytes
from iss_jax.data.table import csv_text


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment.

    Raises:
        ValueError: The design is confounded; the message says what with what.
    """
    recipes = design(config.order_seed)
    found = confounded(recipes)
    if found:
        raise ValueError(f"the design is confounded: {'; '.join(found)}")
    pairs = [
        {"one": one, "other": other, "canonical_correlation": round(value, 3)}
        for (one, other), value in confounding(recipes).items()
    ]
    rows = [{"row": one.row, **{name: getattr(one, name) for name in FACTORS}} for one in recipes]
    workdir.mkdir(parents=True, exist_ok=True)
    write_bytes(workdir / "design.csv", csv_text(rows).encode())
    write_bytes(workdir / "confounding.csv", csv_text(pairs).encode())
    worst = max(pairs, key=lambda pair: pair["canonical_correlation"])
    print(
        f"{len(rows)} recipes in {workdir / 'design.csv'}; the most alike are {worst['one']} and "
        f"{worst['other']}: {worst['canonical_correlation']:g}"
    )


if __name__ == "__main__":
    app.run(main, "zoo_design", many_processes=False)
