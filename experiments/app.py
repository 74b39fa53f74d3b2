"""Command line of an experiment: `--config=configs/<name>.py:<variant>` and `--workdir`."""

from collections.abc import Callable
from pathlib import Path

import ml_collections
from absl import app, flags, logging
from ml_collections import config_flags


def run(main: Callable[[ml_collections.ConfigDict, Path], object], name: str) -> None:
    """Parses the command line and calls `main(config, workdir)`.

    Single values are changed by `--config.<key>=<value>`; a key that the config lacks is an error.
    The flags are defined here, not at import, so that several experiments may be imported together.

    Args:
        main: the experiment.
        name: its name; the default config is `configs/<name>.py` of this checkout, the default
            workdir `runs/<config.name>`.
    """
    default = Path(__file__).resolve().parents[1] / "configs" / f"{name}.py"
    config = config_flags.DEFINE_config_file(
        "config",
        str(default),
        "Configuration file, with a variant after a colon.",
        lock_config=True,
    )
    workdir = flags.DEFINE_string(
        "workdir", None, "Folder of the results; resumed when it exists. Default: runs/<name>."
    )

    def parsed(argv: list[str]) -> None:
        if logging.get_verbosity() == logging.INFO:
            # absl's default, at which the checkpoint library reports every step.
            logging.set_verbosity(logging.WARNING)
        if len(argv) > 1:
            raise app.UsageError(f"unknown arguments {argv[1:]}")
        main(
            config.value,
            Path(workdir.value or Path("runs") / config.value.to_dict().get("name", name)),
        )

    app.run(parsed)
