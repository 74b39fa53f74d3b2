"""The command line shared by the experiments."""

import subprocess
import sys
from pathlib import Path

import pytest

_MAIN = """
from experiments.runs import app
app.run(lambda config, workdir: print(config.seeds, config.name, workdir), 'nmr_correlation')
"""


def _run(*arguments):
    return subprocess.run(
        [sys.executable, "-c", _MAIN, *arguments],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
    )


def test_default_config_and_workdir():
    result = _run("--config.seeds=(3, 4)")
    assert result.returncode == 0, result.stderr
    name = "nmr_correlation-embedded"
    assert result.stdout.split("\n")[0] == f"(3, 4) {name} {Path('runs') / name}"


def test_variant_and_workdir_are_taken():
    result = _run("--config=configs/nmr_correlation.py:smoke", "--workdir=runs/x")
    assert result.stdout.split("\n")[0] == f"() nmr_correlation-smoke {Path('runs/x')}"


@pytest.mark.parametrize("argument", ["--config.sedes=(3, 4)", "positional"])
def test_typos_are_refused(argument):
    result = _run(argument)
    assert result.returncode != 0
    assert argument.removeprefix("--config.").split("=")[0] in result.stderr + result.stdout


def test_every_experiment_deals_its_work_or_refuses_several_processes():
    """Otherwise each of them would do all of it, and write over the others."""
    deals = ("run_items(", "gather(", "measured(", "explain_episodes(", "many_processes=False")
    folder = Path(__file__).parents[3] / "experiments"
    runs = {path.stem: path.read_text() for path in folder.glob("*.py")}
    runs = {name: text for name, text in runs.items() if "app.run(main, " in text}
    assert len(runs) > 10
    assert [name for name, text in runs.items() if not any(d in text for d in deals)] == []


def test_the_page_is_written_where_there_are_results(tmp_path):
    main = (
        "from experiments.runs import app\n"
        "def main(config, workdir):\n"
        "    workdir.mkdir()\n"
        "    (workdir / 'config.json').write_text('{}')\n"
        "    if config.quiet:\n"
        "        (workdir / 'results.json').write_text('{}')\n"
        "app.run(main, 'nmr_correlation')\n"
    )
    for quiet in (True, False):
        command = [sys.executable, "-c", main, f"--config.quiet={quiet}"]
        folder = tmp_path / str(quiet)
        root = Path(__file__).parents[3]
        subprocess.run([*command, f"--workdir={folder}"], cwd=root, check=True)
        assert (folder / "report.html").exists() == quiet


def test_runs_are_added_to_the_table_of_one_workdir(tmp_path):
    main = (
        "from experiments.runs import app\n"
        "from iss_jax.jobs.directory import open_run\n"
        "def main(config, workdir):\n"
        "    run = open_run(workdir, config)\n"
        "    run.write_csv('results.csv', [{'twice': 2 * config.stride}])\n"
        "app.run(main, 'nmr_correlation')\n"
    )
    root = Path(__file__).parents[3]
    for stride in (2, 5):
        command = [sys.executable, "-c", main, f"--config.stride={stride}", "--add"]
        subprocess.run([*command, f"--workdir={tmp_path}"], cwd=root, check=True)
    lines = (tmp_path / "results.csv").read_text().splitlines()
    assert lines[0] == "run,config.stride,twice"
    assert sorted(line.partition(",")[2] for line in lines[1:]) == ["2,4", "5,10"]
