"""Commands as a user calls them, in this process: a new one takes ten seconds to import."""

import contextlib
import io
import runpy
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from absl import app as absl_app
from absl.testing import flagsaver

ROOT = Path(__file__).parents[1]
CODE = {".py", ".pyc", ".md"}


def documented(name: str) -> list[str]:
    """The command line of a command's smoke run, as its configuration has to document it."""
    return ["python", "-m", f"experiments.{name}", f"--config=configs/{name}.py:smoke"]


def smoke(name: str, workdir: Path, *flags: str) -> str:
    """Runs the documented smoke run of a command, which writes to `workdir` and nowhere else.

    Args:
        name: Of the command.
        workdir: Its `--workdir`.
        flags: Further ones, such as where a server is found.

    Returns:
        What it printed.
    """
    _, _, module, *given = documented(name)
    arguments = [*given, f"--workdir={workdir}", *flags]
    printed = io.StringIO()
    before = dict(_data())
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(ROOT))
        # The flags that the command defines are gone afterwards.
        stack.enter_context(flagsaver.flagsaver())
        # It would take pytest's place.
        stack.enter_context(mock.patch.object(absl_app, "faulthandler", None))
        stack.enter_context(mock.patch.object(sys, "argv", [name, *arguments]))
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(warnings.catch_warnings())
        # How ml_collections reads a configuration.
        warnings.filterwarnings("ignore", r"the load_module\(\) method", DeprecationWarning)
        # A module that is imported already would be warned of.
        if (imported := sys.modules.pop(module, None)) is not None:
            stack.callback(sys.modules.__setitem__, module, imported)
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            assert not end.code, f"{name} {' '.join(arguments)}: ended with {end.code}"
    assert dict(_data()) == before, f"{name}: wrote elsewhere than to its --workdir"
    return printed.getvalue()


def _data() -> Iterator[tuple[Path, int]]:
    """Run directories and data files of the checkout, with when they were written."""
    yield from ((path, 0) for path in (ROOT / "runs").glob("*"))
    for folder in ("configs", "docs", "experiments", "iss_jax"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix not in CODE:
                yield path, path.stat().st_mtime_ns
