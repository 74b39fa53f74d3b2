"""What killed writers left is removed, what living ones hold is not."""

import subprocess
import sys

import pytest

from iss_jax.data.atomic import atomic_directory

KILLED = """
import os, signal, sys
from iss_jax.data.atomic import atomic_directory
with atomic_directory(sys.argv[1]) as folder:
    (folder / "half").write_text("a")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_next_run_removes_what_a_killed_one_left(tmp_path):
    out = tmp_path / "out"
    subprocess.run([sys.executable, "-c", KILLED, str(out)], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".out.") and (left / "half").exists()
    others = [tmp_path / name for name in (".out.d.tmp", ".outer.1.tmp", ".out.2", "out.3.tmp")]
    for other in others:
        other.mkdir()
    with atomic_directory(out) as folder:
        assert not left.exists()
        (folder / "whole").write_text("b")
    assert sorted(tmp_path.iterdir()) == sorted([out, *others])
    assert [path.name for path in out.iterdir()] == ["whole"]


def test_a_living_writers_folder_stays(tmp_path):
    out = tmp_path / "out"
    with atomic_directory(out) as first:
        (first / "mine").write_text("a")
        with pytest.raises(KeyboardInterrupt), atomic_directory(out) as second:
            assert second != first and (first / "mine").exists()
            raise KeyboardInterrupt
        assert not second.exists()
    assert [path.name for path in out.iterdir()] == ["mine"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
