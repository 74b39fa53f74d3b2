r"""What would an experiment cost? A dry run that needs neither its checkpoint nor its dataset.

    python -m experiments.plan --config=configs/nmr_correlation.py:paper
    python -m experiments.plan --config=configs/nmr_correlation.py
    python -m experiments.plan --config=configs/nmr_correlation.py:paper \
        --config.episodes_per_task=0 --config.seeds="(0,)" \
        --plan.peak_tflops=989 --plan.utilisation=0.4

The command line is the experiment's own, with `experiments.plan` in its place; what the plan
assumes is `configs/plan.py`, whose keys are changed by `--plan.<key>=<value>`. Given itself as
`--config=configs/plan.py`, it plans the experiment that its key `of` names.

Any experiment can be planned whose module has

    def plan(config: ConfigDict, episodes: Episodes) -> list[PlannedItem]

(`experiments.runs.planned`): its work items with the frames and policy runs of each. `episodes` is
the config's dataset where that is there, otherwise the paper's, a table of 3,600 seen and 575
unseen episodes. Of the config this module itself reads `checkpoint` and `dataset` (`embedded`, a
path, or empty for the paper's) and, where it has them, `cameras`, `action_horizon` and `num_steps`.

FLOPs are those of matrix products of one masked copy (`iss_jax.pi05.flops`), so the hours hold as
far as the rate does: `peak_tflops` times `utilisation`. The default is the rate of the paper's own
measurement: 100 masked runs in 5.18 s (App. B), 4.76 TFLOP each by the count of openpi's padded
pass with H = 16, hence 92 TFLOP/s on one GPU, mask generation on the CPU included. Items are dealt
as `run_items` deals them, so the hours on several GPUs are those of the fullest share, summed over
stages (`PlannedItem.stage`). Loading, compiling, tables and figures are not counted. Nothing is
written.
"""

import dataclasses
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
from absl import app, flags, logging
from ml_collections import config_flags

from experiments.inputs.episodes import paper_episodes
from experiments.runs.planned import PlannedItem
from iss_jax.data.dataset import Episodes, open_dataset
from iss_jax.jobs.directory import RunDirectory
from iss_jax.jobs.options import from_config
from iss_jax.jobs.packaged import PACKAGED
from iss_jax.jobs.processes import Processes
from iss_jax.pi05.checkpoint import read_sizes
from iss_jax.pi05.flops import masked_copy_flops
from iss_jax.pi05.observation import VIEWS
from iss_jax.pi05.params import PI05, Sizes


@dataclasses.dataclass(frozen=True)
class Options:
    """One attribute per key of `configs/plan.py`, which says what each means."""

    of: str
    peak_tflops: float
    utilisation: float
    gpus: tuple[int, ...]
    prompt_tokens: int
    episode_length: int
    list_items: bool


def episodes_of(config: ml_collections.ConfigDict, length: int) -> Episodes:
    """The config's dataset, or the paper's episodes where it names none."""
    name = str(config.get("dataset", ""))
    if not name:
        return paper_episodes(length)
    packaged = PACKAGED["dataset"]
    return open_dataset(packaged[name]() if name in packaged else name)


def sizes_of_config(config: ml_collections.ConfigDict) -> tuple[str, Sizes]:
    """Name and sizes of the config's checkpoint, the released π0.5 where it names none."""
    name = str(config.get("checkpoint", ""))
    if not name:
        return "the released pi0.5", PI05
    packaged = PACKAGED["checkpoint"]
    return name, read_sizes(packaged[name]() if name in packaged else name)


def fullest_share(items: Sequence[PlannedItem], processes: int) -> float:
    """Runs of the process that is dealt most of them, summed over stages."""
    stages: dict[int, list[float]] = {}
    for item in items:
        stages.setdefault(item.stage, []).append(item.runs)
    deal, fullest = RunDirectory(Path(), Processes(processes, 0)), 0.0
    for runs in stages.values():
        owners = deal.owners([{"number": number} for number in range(len(runs))])
        fullest += float(np.bincount(owners, weights=runs).max())
    return fullest


def table(
    items: Sequence[PlannedItem], flops: float, rate: float, gpus: Sequence[int]
) -> list[dict[str, Any]]:
    """A row a kind of item and one for all: items, frames, runs, FLOPs and hours.

    Args:
        items: the plan.
        flops: of one run.
        rate: FLOPs a second of one GPU.
        gpus: numbers of GPUs to give hours for.
    """
    rows = []
    for kind in (*dict.fromkeys(item.kind for item in items), None):
        own = [item for item in items if kind in (item.kind, None)]
        runs = sum(item.runs for item in own)
        row = {
            "kind": "all" if kind is None else kind,
            "items": len(own),
            "frames": sum(item.frames for item in own),
            "runs": round(runs),
            "pflop": runs * flops / 1e15,
        }
        hours = {f"hours_{n}": fullest_share(own, n) * flops / rate / 3600 for n in gpus}
        rows.append(row | hours)
    return rows


def print_table(rows: Sequence[dict[str, Any]], gpus: Sequence[int]) -> None:
    """The rows under a heading."""
    width = max(len(row["kind"]) for row in rows) + 2
    print(f"{'':<{width}}{'items':>9}{'frames':>11}{'runs':>14}{'PFLOP':>12}", end="")
    print("".join(f"{f'{n} GPU' if n == 1 else f'{n} GPUs':>12}" for n in gpus))
    for row in rows:
        print(f"{row['kind']:<{width}}{row['items']:>9,}{row['frames']:>11,}", end="")
        print(f"{row['runs']:>14,}{row['pflop']:>12,.4g}", end="")
        print("".join(f"{_hours(row[f'hours_{n}']):>12}" for n in gpus))


def _hours(hours: float) -> str:
    if hours < 1 / 60:
        return f"{3600 * hours:,.2g} s"
    return f"{hours:,.1f} h" if hours >= 1 else f"{60 * hours:,.0f} min"


def planner(name: str) -> Any:
    """The function `plan` of an experiment.

    Raises:
        SystemExit: there is no such experiment, or it has no plan.
    """
    try:
        found = importlib.import_module(f"experiments.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"experiments.{name}":
            raise
        raise SystemExit(f"configs/{name}.py: there is no experiments/{name}.py") from None
    if not hasattr(found, "plan"):
        raise SystemExit(f"experiments.{name} has no function plan(config, episodes)")
    return found.plan


def main(config: ml_collections.ConfigDict, workdir: Path | None = None) -> None:
    """Prints the plan of the experiment that `config.of` names; nothing is written."""
    del workdir
    file, _, variant = str(config.of).partition(":")
    name = Path(file).stem
    module = importlib.import_module(f"configs.{name}")
    print_plan(name, module.get_config(*filter(None, [variant])), from_config(config, Options))


def print_plan(name: str, planned: ml_collections.ConfigDict, options: Options) -> None:
    """Prints what an experiment would compute.

    Args:
        name: of the experiment.
        planned: its config.
        options: what is assumed.

    Raises:
        SystemExit: it has no plan, or would compute nothing.
    """
    episodes = episodes_of(planned, options.episode_length)
    items = planner(name)(planned, episodes)
    if not items:
        raise SystemExit(f"experiments.{name}: nothing would be computed")
    sizes_name, sizes = sizes_of_config(planned)
    views = sum(map(bool, planned.get("cameras", dict.fromkeys(VIEWS, "a")).values()))
    horizon, steps = planned.get("action_horizon", 50), planned.get("num_steps", 10)
    flops = masked_copy_flops(
        sizes,
        valid_tokens=options.prompt_tokens,
        present_views=views,
        action_horizon=horizon,
        num_steps=steps,
    ).total
    if options.list_items:
        for item in items:
            print(f"{item.kind}: {item.frames} frames, {item.runs:,.0f} runs")
    print(f"{planned.get('name', name)}, {episodes.root}")
    if not planned.get("dataset", ""):
        print(f"assumed: {options.episode_length} frames an episode (episode_length)")
    print(
        f"a run: {flops / 1e12:.4g} TFLOP ({sizes_name}; {views} views, {horizon} actions, {steps} "
        f"denoising steps)\nassumed: {options.prompt_tokens} prompt tokens (prompt_tokens)\n"
        f"assumed: {options.peak_tflops:g} TFLOP/s (peak_tflops) x {options.utilisation:g} "
        "(utilisation)\n"
    )
    rate = options.peak_tflops * options.utilisation * 1e12
    print_table(table(items, flops, rate, options.gpus), options.gpus)


def command() -> None:
    """Parses the command line and prints the plan."""
    own = Path(__file__).resolve().parents[1] / "configs" / "plan.py"
    config = config_flags.DEFINE_config_file(
        "config", str(own), "The experiment's config, or this command's.", lock_config=True
    )
    plan = config_flags.DEFINE_config_file("plan", str(own), "What is assumed.", lock_config=True)
    flags.DEFINE_string("workdir", None, "Taken from the experiment's command line; not used.")

    def parsed(argv: list[str]) -> None:
        if len(argv) > 1:
            raise app.UsageError(f"unknown arguments {argv[1:]}")
        logging.set_verbosity(logging.WARNING)
        name = Path(config_flags.get_config_filename(flags.FLAGS["config"])).stem
        if name == own.stem:
            main(config.value)
        else:
            print_plan(name, config.value, from_config(plan.value, Options))

    app.run(parsed)


if __name__ == "__main__":
    command()
