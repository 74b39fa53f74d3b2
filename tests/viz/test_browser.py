"""`make test-browser` passes where there is no Chromium, and says that nothing was tried."""

import shutil
import subprocess
from pathlib import Path

from tests.viz.browser import NAMES

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "browser"


def ran(folder, *, python="false"):
    """The script where nothing but these programs is on the path."""
    for name in ("bash", "dirname"):
        path = shutil.which(name)
        assert path is not None
        (folder / name).symlink_to(path)
    words = ["bash", str(SCRIPT), python]
    env = {"PATH": str(folder), "ISS_NOT_TRIED": str(folder / "lines")}
    return subprocess.run(words, env=env, capture_output=True, text=True)


def test_without_a_chromium_nothing_is_tried_and_that_is_said(tmp_path):
    done = ran(tmp_path)
    assert done.returncode == 0 and "the pages were NOT tried in a browser" in done.stdout
    # For the last lines of a whole run, where a part that passed says no more than "ok".
    assert (tmp_path / "lines").read_text() == done.stdout


def test_one_that_does_not_start_is_none(tmp_path):
    (tmp_path / NAMES[0]).symlink_to("/bin/false")
    done = ran(tmp_path)
    assert done.returncode == 0 and "NOT tried" in done.stdout


def test_with_one_the_marked_tests_are_run(tmp_path):
    (tmp_path / NAMES[-1]).symlink_to("/bin/true")
    echo = shutil.which("echo")
    assert echo is not None
    done = ran(tmp_path, python=echo)
    assert done.stdout == "-m pytest -q -m browser tests/viz\n"
