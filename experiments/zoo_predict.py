"""Which checkpoint will generalise, and what will break it: `configs/zoo_predict.py`.

    python -m experiments.zoo_predict --config=configs/zoo_predict.py

Reads the zoo's tables. The workdir receives `correlations.csv`, `leads.csv` (over validation loss),
`pairs.csv`, `breaks.csv` (axis by axis), `costs.csv`, `results.json`, and three figures.
"""

from pathlib import Path
from typing import Any

import ml_collections

from experiments.runs import app
from experiments.zoo import predict
from experiments.zoo.costs import cost_summary
from experiments.zoo.design import read_design
from experiments.zoo.made_up import made_up
from experiments.zoo.table import TITLES, Zoo, read_zoo
from iss_jax.data.table import read_rows
from iss_jax.jobs.directory import open_run


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    from experiments.zoo.figures import axes_figure, pairs_figure, predicted_figure

    zoo, costs = _zoo(config)
    predict.require_enough(zoo)
    run = open_run(workdir, config)
    drawn = {"resamples": config.resamples, "permutations": config.permutations}
    content = {
        "summary": predict.summary(zoo),
        "correlations": predict.correlations(zoo, **drawn),
        "leads": predict.leads(zoo, resamples=config.resamples),
        "pairs": predict.picks(zoo, resamples=config.resamples),
        "breaks": predict.breaks(zoo, **drawn),
        "costs": cost_summary(costs),
    }
    for name in ("correlations", "leads", "pairs", "breaks", "costs"):
        run.write_csv(f"{name}.csv", content[name])
    run.write_json("results.json", content)
    run.write_figure("predicted.png", predicted_figure(zoo, content["correlations"]))
    run.write_figure("axes.png", axes_figure(zoo, content["breaks"]))
    run.write_figure("pairs.png", pairs_figure(content["pairs"]))
    print("\n".join(lines(content)))
    return content


def _zoo(config: ml_collections.ConfigDict) -> tuple[Zoo, list[dict[str, str]]]:
    """The policies, and the rows of what they cost; a made-up zoo cost nothing."""
    recipes = read_design(config.design)
    if config.tables == "made-up":
        return read_zoo(recipes, *made_up(recipes)), []
    names = ("measures", "trials", "costs")
    measures, trials, costs = (read_rows(Path(config.tables) / f"{n}.csv") for n in names)
    return read_zoo(recipes, measures, trials), costs


def lines(content: dict[str, Any]) -> list[str]:
    """The results in print."""
    about = content["summary"]
    found = [
        f"{about['policies']} policies, mean shifted success {about['least']:.2f} to "
        f"{about['most']:.2f}; ceiling {about['ceiling']:.2f}",
        f"a rank correlation of {about['smallest_shown']:.2f} would have been shown in 4 of 5 zoos",
    ]
    for target in predict.TARGETS:
        found += ["", f"Spearman with shifted success, {target}"]
        found += [
            f"  {TITLES[row['predictor']]:<26}{row['r']:>6.2f} "
            f"[{row['low']:.2f}, {row['high']:.2f}]  p = {row['p']:.2g}"
            for row in content["correlations"]
            if row["target"] == target
        ]
    found += ["", "lead over validation loss"]
    found += [
        f"  {TITLES[row['predictor']]:<26}{row['lead']:>6.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        for row in content["leads"]
    ]
    found += ["", "the better of two is picked"]
    found += [
        f"  {TITLES[row['predictor']]:<26}{row['picked']:>6.2f} "
        f"[{row['low']:.2f}, {row['high']:.2f}]  of {row['pairs']} pairs"
        for row in content["pairs"]
    ]
    found += ["", "what an axis touches against what is lost along it"]
    found += [
        f"  {row['axis']:<12}{row['r']:>6.2f} [{row['low']:.2f}, {row['high']:.2f}]  ceiling "
        f"{row['ceiling']:.2f}"
        for row in content["breaks"]
    ]
    if content["costs"]:
        found += ["", "what a policy costs on one core"]
    found += [
        f"  {row['step']:<18}{row['seconds']:>8.1f} s  {row['inferences']} inferences"
        for row in content["costs"]
    ]
    return found


if __name__ == "__main__":
    app.run(main, "zoo_predict", many_processes=False)
