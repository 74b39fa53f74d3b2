"""The console script: `iss-jax <command> --key value ...`, with what each command needs.

A command is a module of this folder with a `SUMMARY`, a docstring that is its help, `get_config()`
with its keys and their defaults, and `run(config, workdir)`. Where it has `WORDS`, words without a
flag that come first give those keys, in their order. Every key is a flag: `--checkpoint X`,
`--iss.num_masks 50`. Beside them stand `--workdir`, a run directory that is resumed where it
exists, and `--add`: the run then lies in a folder of its own under the workdir, whose `results.csv`
holds the rows of all runs that were added, with the keys in which they differ as columns.
"""

import importlib
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_collections
from absl import app, flags, logging
from ml_collections import config_flags

from iss_jax.jobs.joined import own_folder, write_joined

COMMANDS = ("doctor", "explain", "nmr", "regions", "compare", "serve")

WORKDIR, ADD, TRACEBACK = "workdir", "add", "traceback"


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a command; ends the process with its status.

    Args:
        argv: of the process, its name first.

    Raises:
        SystemExit: always; 0 when all went well, 1 for what absl cannot parse, 2 for an unknown
            command.
    """
    words = list(sys.argv if argv is None else argv)
    if len(words) < 2 or words[1] in ("help", "--help", "-h"):
        print(usage())
        raise SystemExit(0)
    name = words[1]
    if name not in COMMANDS:
        print(f"iss-jax: no command {name!r}; wanted one of {', '.join(COMMANDS)}", file=sys.stderr)
        raise SystemExit(2)
    command = importlib.import_module(f"iss_jax.cli.{name}")
    if any(word in ("--help", "-h") for word in words[2:]):
        print(help_of(command, name))
        raise SystemExit(0)
    run_command(command, name, words[2:])


def usage() -> str:
    """What there is, a line a command."""
    lines = ["usage: iss-jax <command> [--key value ...]", ""]
    lines += [
        f"  {name:<9} {importlib.import_module(f'iss_jax.cli.{name}').SUMMARY}" for name in COMMANDS
    ]
    return "\n".join([*lines, "", "iss-jax <command> --help says what a command takes."])


def help_of(command: ModuleType, name: str) -> str:
    """A command's docstring, and its keys with their defaults."""
    keys = [f"  --{key} ({value!r})" for key, value in _flat(command.get_config())]
    return "\n".join(
        [str(command.__doc__).strip(), "", f"Keys of iss-jax {name}, and their defaults:", *keys]
    )


def run_command(command: ModuleType, name: str, words: Sequence[str]) -> None:
    """Parses the words of a command and calls its `run(config, workdir)`."""
    default = command.get_config()
    values = flags.FlagValues()
    workdir = flags.DEFINE_string(
        WORKDIR, None, "Folder of the results; resumed when it exists.", flag_values=values
    )
    add = flags.DEFINE_bool(
        ADD, False, "Add the run to the table of the workdir.", flag_values=values
    )
    trace = flags.DEFINE_bool(TRACEBACK, False, "Say where an error arose.", flag_values=values)
    try:
        named = named_words(words, getattr(command, "WORDS", ()))
        given = [name, *as_flags(named, default)]
        # It looks for the keys in these words as it is defined.
        config = config_flags.DEFINE_config_dict(
            "config", default, lock_config=True, flag_values=values, sys_argv=given
        )
        rest = values(given)
        if rest[1:]:
            raise flags.Error(f"unknown arguments {rest[1:]}")
        if add.value and not workdir.value:
            raise flags.Error("--add given without --workdir, the folder of all runs")
        if not flags.FLAGS.is_parsed():
            flags.FLAGS([name])
    except (flags.Error, AttributeError, TypeError, ValueError) as error:
        print(f"iss-jax {name}: {error}\niss-jax {name} --help says more.", file=sys.stderr)
        raise SystemExit(1) from None

    def called(argv: list[str]) -> Any:
        del argv
        if logging.get_verbosity() == logging.INFO:
            # absl's default, at which the checkpoint library reports every step.
            logging.set_verbosity(logging.WARNING)
        folder = workdir.value
        if folder and add.value:
            folder = str(own_folder(Path(folder), config.value.to_dict()))
        try:
            status = command.run(config.value, folder)
        except (ValueError, IndexError, OSError) as error:
            # What was given cannot be; other errors are the program's own.
            if trace.value:
                raise
            print(f"iss-jax {name}: {error}\n(--{TRACEBACK} says where)", file=sys.stderr)
            raise SystemExit(1) from None
        if workdir.value and add.value:
            print(f"table of all runs: {write_joined(Path(workdir.value))}")
        return status if isinstance(status, int) else 0

    app.run(called, argv=[name])


def named_words(words: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Words without a flag that come first, as the flags of some keys.

    >>> named_words(["one", "two", "--seed", "3"], ("a", "b"))
    ['--a=one', '--b=two', '--seed', '3']
    """
    own = list(itertools.takewhile(lambda word: not word.startswith("--"), words))
    own = own[: len(keys)]
    return [*(f"--{key}={word}" for key, word in zip(keys, own, strict=False)), *words[len(own) :]]


def as_flags(words: Sequence[str], config: ml_collections.ConfigDict) -> list[str]:
    """`--key value` and `--key=value` as `--config.key=value`, lists without their brackets too.

    >>> from ml_collections import ConfigDict
    >>> as_flags(["--episodes", "0,1", "--workdir=out"], ConfigDict({"episodes": ()}))
    ['--config.episodes=(0,1,)', '--workdir=out']

    Raises:
        ValueError: a word is no flag, or has no value.
    """
    found, rest = [], list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise ValueError(f"{word!r} given, a flag such as --dataset wanted")
        key, equals, value = word[2:].partition("=")
        own = key.removeprefix("config.")
        first = own.split(".")[0]
        switch = key in (ADD, TRACEBACK) or (
            first in config and isinstance(_value(config, own), bool)
        )
        if not equals and switch:
            # `--quiet` alone, as absl has it.
            value = rest.pop(0) if rest and rest[0].lower() in ("true", "false") else "True"
        elif not equals:
            if not rest:
                raise ValueError(f"{word} has no value")
            value = rest.pop(0)
        if first not in config:
            if key not in (WORKDIR, ADD, TRACEBACK) and not key.startswith("config."):
                wanted = ", ".join(f"--{name}" for name in [*config, WORKDIR, ADD, TRACEBACK])
                raise ValueError(f"{word!r} given, one of {wanted} wanted")
            found.append(f"--{key}={value}")
            continue
        if isinstance(_value(config, own), tuple) and value[:1] not in ("(", "["):
            value = f"({value},)" if value else "()"
        found.append(f"--config.{own}={value}")
    return found


def _value(config: ml_collections.ConfigDict, key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, ml_collections.ConfigDict) or part not in value:
            return None
        value = value[part]
    return value


def _flat(config: ml_collections.ConfigDict, inside: str = "") -> list[tuple[str, Any]]:
    found = []
    for key, value in config.items():
        if isinstance(value, ml_collections.ConfigDict) and value:
            found += _flat(value, f"{inside}{key}.")
        else:
            found.append((f"{inside}{key}", value))
    return found


if __name__ == "__main__":
    main()
