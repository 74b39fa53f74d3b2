"""Every command has a smoke run, documented, which takes seconds and does what it says."""

import importlib
import re
from collections import Counter

import pytest
from command_line import ROOT, documented, smoke

COMMANDS = sorted(
    path.stem for path in (ROOT / "experiments").glob("*.py") if path.stem != "__init__"
)
NEEDS_THE_SIMULATOR = {"contact_sheets", "fit_hand_response", "zoo_frames", "zoo_rollout"}
# Ten seconds each and more; `make test-slow` runs them.
SLOW = {"explain_episode", "fidelity", "find_shortcut", "robustness", "zoo_measure"}
ONLY_PRINT = {"plan", "success_table"}
# Those whose own tests run it, and say what has to come of it.
ELSEWHERE = Counter(
    name
    for path in sorted((ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r'\b(?:smoke|documented)\("(\w+)"', path.read_text())
)
HERE = [name for name in COMMANDS if name not in ELSEWHERE]


def _marked(name: str):
    marks = (("libero", NEEDS_THE_SIMULATOR), ("slow", SLOW))
    return pytest.param(
        name, marks=[getattr(pytest.mark, m) for m, names in marks if name in names]
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_smoke_run_is_documented_and_known(name):
    config = importlib.import_module(f"configs.{name}")
    lines = [line.strip() for line in config.__doc__.splitlines()]
    assert " ".join(documented(name)) in [line.partition(" #")[0].rstrip(" &") for line in lines]
    assert config.get_config("smoke").name
    with pytest.raises(ValueError, match=r"variant 'smok' given, one of \(.*'smoke'.*\) wanted"):
        config.get_config("smok")


@pytest.mark.parametrize("name", [_marked(name) for name in HERE])
def test_the_documented_run(name, tmp_path):
    printed = smoke(name, tmp_path / "run")
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert printed and bool(written) == (name not in ONLY_PRINT)
    assert ("results.json" in written) == ("report.html" in written)


def test_no_smoke_run_is_tested_twice():
    assert set(ELSEWHERE) <= set(COMMANDS)
    assert {name: count for name, count in ELSEWHERE.items() if count > 1} == {}
