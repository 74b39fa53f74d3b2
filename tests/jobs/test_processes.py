"""Real processes share a run directory: nothing lost, nothing twice, the same tables."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from iss_jax.jobs import processes

pytestmark = pytest.mark.slow

_CONFIG = """
import ml_collections

def get_config():
    return ml_collections.ConfigDict({"name": "squares", "seeds": 23})
"""

# Each computed item leaves a line. The process named by KILLED dies in its third item, once.
_EXPERIMENT = """
import os, signal, time
from pathlib import Path
import numpy as np
from experiments.runs import app
from iss_jax.jobs import directory
from iss_jax.jobs.processes import current
from iss_jax.jobs.directory import open_run, run_items

def main(config, workdir):
    directory.PATIENCE_S = float(os.environ.get("PATIENCE", directory.PATIENCE_S))
    run, log, calls = open_run(workdir, config), Path(os.environ["LOG"]), []
    import jax

    assert (jax.process_count(), jax.process_index()) == (1, 0), "jax still counts the others"
    seen = jax.config.values["jax_cuda_visible_devices"]
    assert seen == os.environ.get("SLURM_LOCALID", "all"), "one GPU a process under Slurm"

    def compute(item):
        calls.append(item)
        if os.environ.get("KILLED") == str(current().index) and len(calls) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)
        with log.open("a") as file:
            file.write(f"{item['seed']} {current().index}\\\\n")
        return float(np.random.default_rng(item["seed"]).normal())

    items = [{"seed": seed} for seed in range(config.seeds)]
    found = run_items(run, items, compute, description="squares")
    run.write_csv("results.csv", [{"seed": i, "value": v} for i, v in enumerate(found)])
    run.write_json("results.json", {"values": found})
    print("tables written")

if __name__ == "__main__":
    app.run(main, "squares", many_processes="ONE" not in os.environ)
"""


@pytest.fixture
def start(tmp_path):
    """Starts the experiment; what is still running when a test ends is ended."""
    (tmp_path / "config.py").write_text(_CONFIG)
    (tmp_path / "squares.py").write_text(_EXPERIMENT.replace("\\\\n", "\\n"))
    root, started = str(Path(__file__).parents[2]), []

    def begin(workdir, *flags, **variables):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "XLA"))}
        environment |= {"PYTHONPATH": root, "LOG": str(tmp_path / f"{workdir}.log"), **variables}
        command = [sys.executable, str(tmp_path / "squares.py"), *flags]
        command += [f"--config={tmp_path / 'config.py'}", f"--workdir={tmp_path / workdir}"]
        started.append(
            subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def finish(*started):
    out = []
    for process in started:
        stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
        out.append(stdout)
    return out


def tables(folder):
    return [(folder / name).read_bytes() for name in ("results.csv", "results.json")]


def computed(tmp_path, workdir):
    lines = (tmp_path / f"{workdir}.log").read_text().splitlines()
    return sorted(int(line.split()[0]) for line in lines), {line.split()[1] for line in lines}


def test_four_processes_one_of_which_is_killed_and_started_again(start, tmp_path):
    finish(start("one"))
    four = ["--num_processes=4"]
    run = [start("four", *four, f"--process_id={index}", KILLED="2") for index in range(4)]
    assert run[2].wait(timeout=120) == -9
    first = len((tmp_path / "four.log").read_text().splitlines())
    run[2] = start("four", *four, "--process_id=2")
    printed = finish(*run)
    first_lines = [text.splitlines()[:1] for text in printed]
    assert first_lines == [["tables written"], [], [], []]
    assert 2 <= first < 23 and computed(tmp_path, "four") == (list(range(23)), set("0123"))
    assert tables(tmp_path / "four") == tables(tmp_path / "one")


def test_a_process_that_is_killed_and_stays_away_is_stood_in_for(start, tmp_path):
    finish(start("one"))
    two = ["--num_processes=2"]
    first, second = (
        start("two", *two, f"--process_id={index}", KILLED="1", PATIENCE="1") for index in range(2)
    )
    assert second.wait(timeout=120) == -9
    finish(first)
    assert computed(tmp_path, "two") == (list(range(23)), set("01"))
    assert tables(tmp_path / "two") == tables(tmp_path / "one")


@pytest.mark.parametrize("cluster", ["slurm", "coordinator"])
def test_two_processes_meet_through_jax_distributed(start, tmp_path, cluster):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = []
    for index in range(2):
        if cluster == "coordinator":
            flags = [f"--coordinator_address=127.0.0.1:{port}"]
            flags += ["--num_processes=2", f"--process_id={index}"]
            run.append(start("two", *flags))
        else:
            # What Slurm tells the tasks of a step; jax derives its port from the job's number.
            variables = {
                "SLURM_JOB_ID": str(port),
                "SLURM_STEP_NODELIST": "127.0.0.1",
                "SLURM_NTASKS": "2",
                "SLURM_PROCID": str(index),
                "SLURM_LOCALID": str(index),
                "SLURM_STEP_NUM_NODES": "1",
            }
            run.append(start("two", "--distributed", **variables))
    finish(*run)
    assert computed(tmp_path, "two") == (list(range(23)), set("01"))
    found = json.loads((tmp_path / "two" / "results.json").read_text())
    assert found["values"] == [float(np.random.default_rng(i).normal()) for i in range(23)]


@pytest.mark.parametrize(
    ("flags", "variables", "message"),
    [
        (["--num_processes=2", "--process_id=1"], {"ONE": ""}, "squares runs in one process"),
        (["--distributed"], {}, "give --coordinator_address"),
    ],
)
def test_flags_that_do_not_fit_are_refused(start, tmp_path, flags, variables, message):
    process = start("none", *flags, **variables)
    text = "".join(process.communicate(timeout=120))
    assert process.returncode != 0 and message in text, text
    assert not (tmp_path / "none").exists()


def test_processes_need_what_names_them():
    with pytest.raises(ValueError, match="coordinator_address needs"):
        processes.join(coordinator_address="127.0.0.1:1")
    with pytest.raises(ValueError, match="both wanted or neither"):
        processes.join(num_processes=4)
    with pytest.raises(ValueError, match="4 given, 0 to 3 wanted"):
        processes.join(num_processes=4, process_id=4)
    assert processes.current() == processes.Processes(1, 0)
