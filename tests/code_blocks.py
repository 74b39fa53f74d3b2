"""The code blocks of the documentation, and what a command line tells without being run."""

import dataclasses
import importlib
import importlib.util
import re
import runpy
import shlex
import sys
import tomllib
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from absl import app, flags

from iss_jax.cli import main as cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md")),
)

# Stands before a block that no test runs, with the reason.
NOT_RUN = re.compile(r"^<!-- not run: (.+) -->$")


@dataclasses.dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: Path from the root of the checkout.
        line: Of its first line of code, from 1.
        language: What stands behind the fence.
        code: Its text.
        not_run: The reason that the page gives, or an empty string.
    """

    page: str
    line: int
    language: str
    code: str
    not_run: str


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found, code, start, language, before = [], [], 0, None, ""
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        if line.startswith("```"):
            if language is None:
                code, start, language = [], number + 1, line[3:].strip()
            else:
                reason = NOT_RUN.match(before)
                text = "\n".join(code) + "\n"
                found.append(Block(page, start, language, text, reason[1] if reason else ""))
                language, before = None, ""
        elif language is not None:
            code.append(line)
        elif line.strip():
            before = line
    assert language is None, f"{page}: the block of line {start} has no end"
    return found


def commands(code: str) -> Iterator[list[str]]:
    """The commands of a shell block, word by word, without what a shell puts around them.

    Loops and variables are the shell's: `$i` stays as it is, `do python ...` begins at `python`.
    """
    lines = [line for line in code.replace("\\\n", " ").splitlines() if line.strip()]
    for line in lines:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set(";&|"):
                if words:
                    yield words
                words = []
            elif word in ("do", "then") and not words:
                continue
            else:
                words.append(word)


def checked(words: list[str]) -> bool:
    """Checks one command as far as it can be without running it; whether anything was to check.

    Raises:
        AssertionError: It names a target, an extra, a module, a file, a flag or a config key that
            there is not.
    """
    words = [word for word in words if not re.match(r"^[A-Z_]+=", word) or words[0] == "make"]
    if "python" in words[:6] and "-m" in words:
        start = words.index("-m")
        module, arguments = words[start + 1], words[start + 2 :]
        if module.startswith("experiments."):
            check_experiment(module, arguments)
        elif module == "pytest":
            check_files(arguments)
        else:
            assert importlib.util.find_spec(module), f"python -m {module}: no such module"
        return True
    if words[:1] == ["iss-jax"]:
        check_console(words[1:])
        return True
    if words[:1] == ["make"]:
        check_make(words[1:])
        return True
    if words[:2] == ["pip", "install"]:
        check_extras(" ".join(words))
        return True
    return False


def check_make(words: list[str]) -> None:
    """Targets and variables are in the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    for word in words:
        name, _, value = word.partition("=")
        wanted = rf"^{name}\s*\?=" if value else rf"^{name}:.*## "
        assert re.search(wanted, makefile, re.MULTILINE), f"make {word}: not in the Makefile"


def check_extras(command: str) -> None:
    """What stands in brackets behind the package is an extra of it."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for names in re.findall(r"(?:\.|iss-jax)\[([\w,-]+)\]", command):
        unknown = set(names.split(",")) - set(extras["optional-dependencies"])
        assert not unknown, f"{command}: no extras {sorted(unknown)}"


def check_files(arguments: list[str]) -> None:
    """Paths are those of files."""
    for path in (word for word in arguments if "/" in word):
        assert (ROOT / path).exists(), f"pytest {path}: no such file"


def check_experiment(module: str, arguments: list[str]) -> None:
    """The command's own parser takes its flags: the config loads, every key is one of its keys."""
    file = ROOT / f"{module.replace('.', '/')}.py"
    assert file.exists(), f"python -m {module}: no such command"
    parsed = []

    def parse_only(main, argv=None) -> None:
        rest = flags.FLAGS(sys.argv if argv is None else argv)
        assert len(rest) == 1, f"{module}: unknown arguments {rest[1:]}"
        parsed.append(main)

    before = set(flags.FLAGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(app, "run", parse_only)
        patch.setattr(sys, "argv", [str(file), *filter(None, map(as_given, arguments))])
        try:
            runpy.run_path(str(file), run_name="__main__")
        finally:
            for name in set(flags.FLAGS) - before:
                delattr(flags.FLAGS, name)
            flags.FLAGS.unparse_flags()
    assert len(parsed) == 1, f"python -m {module}: runs nothing"


def check_console(words: list[str]) -> None:
    """The console script's own parser takes the words of a command, which is not run."""
    name, *given = map(as_given, words)
    assert name in cli.COMMANDS, f"iss-jax {name}: no such command"
    command = importlib.import_module(f"iss_jax.cli.{name}")
    kept: list[str] = []
    stand_in: Any = types.SimpleNamespace(
        get_config=command.get_config,
        run=lambda config, workdir: kept.append(name),
        WORDS=getattr(command, "WORDS", ()),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "run", lambda main, argv: main(argv))
        patch.setattr(cli, "write_joined", lambda folder: folder)
        if "--help" not in given:
            cli.run_command(stand_in, name, given)
            assert kept == [name], f"iss-jax {' '.join(words)}: not parsed"


def as_given(argument: str) -> str:
    """An argument as a reader gives it: a number for a variable that a loop counts.

    Arithmetic of the shell, `$((gpu + 1))`, is a digit too.
    """
    argument = re.sub(r"\$\(\([^)]*\)\)", "1", argument)
    argument = re.sub(r"(?:(?<==)|^)\$(i|n|steps)$", "1", argument)
    return re.sub(r"\$\w+", "1", argument) if "keep_probs" in argument else argument
