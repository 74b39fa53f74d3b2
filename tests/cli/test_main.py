"""The console script's words and answers."""

from pathlib import Path

import pytest
from ml_collections import ConfigDict

from iss_jax.cli import main as cli
from iss_jax.jobs.directory import open_run


@pytest.fixture
def config():
    return ConfigDict({"checkpoint": "", "episodes": (), "quiet": False, "iss": {"num_masks": 10}})


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--checkpoint", "a"], ["--config.checkpoint=a"]),
        (["--checkpoint=a=b"], ["--config.checkpoint=a=b"]),
        (["--episodes", "3"], ["--config.episodes=(3,)"]),
        (["--episodes=(1,2)"], ["--config.episodes=(1,2)"]),
        (["--quiet"], ["--config.quiet=True"]),
        (["--quiet", "false"], ["--config.quiet=false"]),
        (["--iss.num_masks", "5"], ["--config.iss.num_masks=5"]),
        (["--config.iss.num_masks=5"], ["--config.iss.num_masks=5"]),
        (["--workdir", "out"], ["--workdir=out"]),
    ],
)
def test_words_become_flags(config, words, wanted):
    assert cli.as_flags(words, config) == wanted


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["here"], "'here' given, a flag"),
        (["--checkpoint"], "has no value"),
        (["--chekpoint", "a"], "--checkpoint"),
    ],
)
def test_bad_words_are_named(config, words, said):
    with pytest.raises(ValueError, match=said):
        cli.as_flags(words, config)


def test_words_without_a_flag_are_the_keys_that_a_command_says():
    command = Command()
    command.WORDS = ("checkpoint",)
    with pytest.raises(SystemExit):
        cli.run_command(command, "keep", ["here", "--iss.num_masks", "4"])
    assert command.kept[0][0]["checkpoint"] == "here"
    # One more than there are keys is a mistake.
    assert cli.named_words(["a", "b"], ("checkpoint",)) == ["--checkpoint=a", "b"]
    assert cli.named_words(["--seed", "3"], ("checkpoint",)) == ["--seed", "3"]


def test_an_unknown_command_names_the_known_ones(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["iss-jax", "explian"])
    assert ended.value.code == 2
    assert "explain" in capsys.readouterr().err


def test_usage_lists_every_command(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["iss-jax"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(name in said for name in cli.COMMANDS)


class Command:
    """What it keeps."""

    SUMMARY = "keeps"

    def __init__(self):
        self.kept = []

    def get_config(self):
        return ConfigDict({"checkpoint": "", "episodes": (), "iss": {"num_masks": 10}})

    def run(self, config, workdir):
        self.kept.append((config.to_dict(), workdir))


def test_a_command_gets_its_config_and_workdir():
    command = Command()
    words = ["--checkpoint", "a", "--episodes", "0,2", "--iss.num_masks", "4", "--workdir", "out"]
    with pytest.raises(SystemExit) as ended:
        cli.run_command(command, "keep", words)
    assert not ended.value.code
    wanted = {"checkpoint": "a", "episodes": (0, 2), "iss": {"num_masks": 4}}
    assert command.kept == [(wanted, "out")]


def test_runs_are_added_to_one_table(tmp_path, capsys):
    """A sweep: one workdir, a column that tells the runs apart, a run given twice once."""

    class Writes(Command):
        def run(self, config, workdir):
            run = open_run(Path(workdir), config)
            run.write_csv("results.csv", [{"masks": 2 * config.iss.num_masks}])

    for num_masks in ("3", "5", "3"):
        words = ["--iss.num_masks", num_masks, "--add", "--workdir", str(tmp_path)]
        with pytest.raises(SystemExit) as ended:
            cli.run_command(Writes(), "writes", words)
        assert not ended.value.code
    assert "table of all runs" in capsys.readouterr().out
    lines = (tmp_path / "results.csv").read_text().splitlines()
    assert lines[0] == "run,config.iss.num_masks,masks"
    assert sorted(line.partition(",")[2] for line in lines[1:]) == ["3,6", "5,10"]
    with pytest.raises(SystemExit) as ended:
        cli.run_command(Writes(), "writes", ["--add"])
    assert ended.value.code == 1
    assert "--add given without --workdir" in capsys.readouterr().err


def test_help_shows_keys_and_defaults():
    said = cli.help_of(Command(), "keep")
    assert "What it keeps." in said
    assert "--iss.num_masks (10)" in said


@pytest.mark.parametrize("words", [["--iss.num_masks", "many"], ["--no", "1"]])
def test_bad_values_end_with_a_message(capsys, words):
    with pytest.raises(SystemExit) as ended:
        cli.run_command(Command(), "keep", words)
    assert ended.value.code == 1
    assert "iss-jax keep" in capsys.readouterr().err


class Refusing(Command):
    """It cannot."""

    def run(self, config, workdir):
        raise ValueError("--episodes: 99 given")


def test_what_cannot_be_is_said_without_a_traceback(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.run_command(Refusing(), "keep", ["--checkpoint", "a"])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "iss-jax keep: --episodes: 99 given" in said and "Traceback" not in said
    with pytest.raises(ValueError, match="99 given"):
        cli.run_command(Refusing(), "keep", ["--traceback"])
