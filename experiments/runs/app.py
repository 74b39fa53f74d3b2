"""Command line of an experiment: `--config=configs/<name>.py:<variant>` and `--workdir`.

Several processes share one workdir, on a disk that all can reach: `docs/guide/devices.md`.
"""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import ml_collections
from absl import app, flags, logging
from etils import epath
from ml_collections import config_flags

from iss_jax.jobs import processes
from iss_jax.jobs.joined import own_folder, write_joined


def run(
    main: Callable[[ml_collections.ConfigDict, Path], object],
    name: str,
    *,
    many_processes: bool = True,
) -> None:
    """Parses the command line and calls `main(config, workdir)`.

    Single values are changed by `--config.<key>=<value>`; a key that the config lacks is an error.
    The flags are defined here, not at import, so that several experiments may be imported together.
    Of several processes only the first one prints. Where the workdir holds results at the end, the
    page `report.html` is made of them. With `--add` the run lies in a folder of its own under the
    workdir, whose `results.csv` holds the rows of all of them.

    Args:
        main: the experiment.
        name: its name; the default config is `configs/<name>.py` of this checkout, the default
            workdir `runs/<config.name>`.
        many_processes: whether the experiment deals its work over processes, as all do that use
            `run_items`; otherwise more than one are refused.
    """
    default = Path(__file__).resolve().parents[2] / "configs" / f"{name}.py"
    config = config_flags.DEFINE_config_file(
        "config",
        str(default),
        "Configuration file, with a variant after a colon.",
        lock_config=True,
    )
    workdir = flags.DEFINE_string(
        "workdir", None, "Folder of the results; resumed when it exists. Default: runs/<name>."
    )
    add = flags.DEFINE_bool(
        "add", False, "Add the run to the workdir's table; see `iss_jax.jobs.joined`."
    )
    distributed = flags.DEFINE_bool(
        "distributed", False, "Deal the work over the processes that jax.distributed finds."
    )
    coordinator_address = flags.DEFINE_string(
        "coordinator_address", None, "host:port of process 0, where no cluster can be detected."
    )
    num_processes = flags.DEFINE_integer(
        "num_processes", None, "Processes that share the workdir.", lower_bound=1
    )
    process_id = flags.DEFINE_integer("process_id", None, "Which of them this is.", lower_bound=0)

    def parsed(argv: list[str]) -> None:
        if logging.get_verbosity() == logging.INFO:
            # absl's default, at which the checkpoint library reports every step.
            logging.set_verbosity(logging.WARNING)
        if len(argv) > 1:
            raise app.UsageError(f"unknown arguments {argv[1:]}")
        try:
            found = processes.join(
                distributed=distributed.value,
                coordinator_address=coordinator_address.value,
                num_processes=num_processes.value,
                process_id=process_id.value,
            )
        except ValueError as error:
            raise app.UsageError(str(error)) from None
        if found.count > 1 and not many_processes:
            raise app.UsageError(f"{name} runs in one process, {found.count} given")
        folder = workdir.value or str(Path("runs") / config.value.to_dict().get("name", name))
        with contextlib.ExitStack() as stack:
            if not found.first:
                null = stack.enter_context(open(os.devnull, "w"))
                stack.enter_context(contextlib.redirect_stdout(null))
            path = run_path(folder)
            own = own_folder(path, config.value.to_dict()) if add.value else path
            main(config.value, own)
            if found.first:
                _report(own, name, sys.modules[main.__module__].__doc__ or "")
            if found.first and add.value:
                print(f"table of all runs: {write_joined(path)}")

    app.run(parsed)


def _report(folder: Path, name: str, about: str) -> None:
    """Writes the page of a run directory with results; experiments that make data have none."""
    if (folder / "config.json").exists() and (folder / "results.json").exists():
        from experiments.answers.by_command import answer_of
        from iss_jax.jobs.answer import write_answer
        from iss_jax.jobs.report import write_report

        write_answer(folder, answer_of(name, folder, about))
        print(f"report: {write_report(folder)}")


def run_path(folder: str) -> Path:
    """A local path, or an `epath.Path` for a bucket (`gs://...`), which has the same methods."""
    return epath.Path(folder) if "://" in folder else Path(folder)  # pyright: ignore
