"""Rollouts over processes with a stand-in for the simulator: what ends them, and what is said."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from left_over import left_over

from iss_jax.envs import rollout

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


class Room:
    """A simulator whose trials never succeed; of a recorded frame a megabyte is kept."""

    def __init__(self, suite, task, image_size):
        self.task = SimpleNamespace(suite=suite, name=task)
        self.prompt, self.state, self.panel = "go", np.zeros(8, np.float32), None

    def reset(self, *_):
        pass

    def success(self):
        return False

    def step(self, action):
        time.sleep(0.02)
        return False

    def render(self):
        return {"front": np.zeros((8, 8, 3), np.uint8)}

    def observation(self):
        frame = {"front": np.zeros((640, 640, 3), np.uint8)}
        labels = {"front": np.zeros((640, 640), np.uint8)}
        return SimpleNamespace(
            images=frame, regions=labels, state=self.state, instances={}, instance_names={}
        )


def stand(action="rest", folder=""):
    """A policy in a process of its own, which has the stand-in for a simulator."""
    rollout.make = Room
    if folder:
        (Path(folder) / str(os.getpid())).touch()

    def policy(observation):
        if observation["seed"] == 1:
            if action == "exit":
                sys.exit(0)
            if action == "vanish":
                os._exit(0)
            if action == "die":
                os.kill(os.getpid(), signal.SIGKILL)
        return np.zeros((8, 7), np.float32)

    return policy


def trials(count, **options):
    return [
        rollout.RolloutItem("suite", f"task {seed % 2}", seed=seed, **options)
        for seed in range(count)
    ]


def run(items, action="rest", **options):
    sys.modules.setdefault("test_rollout", sys.modules[__name__])
    return rollout.rollouts(items, "test_rollout:stand", {"action": action}, max_steps=8, **options)


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """The processes import the stand-in by its name."""
    monkeypatch.syspath_prepend(Path(__file__).parent)


def test_every_trial_comes_back_recorded():
    items = trials(4, record_every=4)
    found = dict(run(items))
    assert set(found) == set(items)
    assert all(len(one.episode) == 2 and one.steps == 8 for one in found.values())


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("exit", "failed at .*seed=1.*(\n.*)*SystemExit"),
        ("vanish", r"have ended, \d trials have no result"),
        ("die", "died with exit code -9"),
    ],
)
def test_a_process_that_ends_is_an_error_at_once(action, message):
    since = time.monotonic()
    with pytest.raises(RuntimeError, match=message):
        list(run(trials(2), action, processes=2))
    assert time.monotonic() - since < 30


_COMMAND = """
import sys, time
sys.path.insert(0, sys.argv[1])
from test_rollout import stand, trials
from iss_jax.envs.rollout import rollouts

if __name__ == "__main__":
    options = {"folder": sys.argv[2]}
    items = trials(400, record_every=1)
    for item, result in rollouts(items, "test_rollout:stand", options, max_steps=8):
        print(item.seed, flush=True)
        time.sleep(60)
"""


def test_workers_that_record_end_with_a_command_that_was_killed(tmp_path):
    """They are at work, or wait for the reader of what they have recorded."""
    (tmp_path / "command.py").write_text(_COMMAND)
    (tmp_path / "workers").mkdir()
    command = [sys.executable, tmp_path / "command.py", Path(__file__).parent, tmp_path / "workers"]
    process = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )
    # Not to be read to its end: the workers hold it, too.
    with process.stdout as printed:
        assert printed.readline()
        process.kill()
        process.wait()
    workers = [int(path.name) for path in (tmp_path / "workers").iterdir()]
    assert workers and left_over(workers) == []
