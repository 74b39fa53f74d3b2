"""A process whose parent is killed ends, busy or not."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from left_over import is_running, left_over

from iss_jax.jobs.parent import end_with_parent

ROOT = Path(__file__).parents[2]
_FAMILY = """
import multiprocessing, os, sys, time
from iss_jax.jobs.parent import end_with_parent

def child(pipe):
    end_with_parent()
    pipe.send(os.getpid())
    while True:
        time.sleep(0.01)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(2)]
    for _, theirs in pipes:
        context.Process(target=child, args=(theirs,)).start()
    print(*[ours.recv() for ours, _ in pipes], flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
def test_children_end_with_a_parent_that_was_killed(tmp_path):
    (tmp_path / "family.py").write_text(_FAMILY)
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "family.py")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    # Not to be read to its end: the children hold it, too.
    with parent.stdout as printed:
        children = [int(word) for word in printed.readline().split()]
        assert len(children) == 2 and all(map(is_running, children))
        parent.kill()
        parent.wait()
    assert left_over(children) == []


def test_a_process_that_was_not_started_by_another_one_goes_on():
    before = threading.active_count()
    end_with_parent()
    assert threading.active_count() == before
