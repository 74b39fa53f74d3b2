"""A result says what it was computed with."""

import subprocess
from pathlib import Path

import jax
import pytest

import iss_jax
from iss_jax.jobs.environment import environment

ROOT = Path(__file__).parents[2]


def test_versions_are_those_that_run():
    packages = environment()["packages"]
    assert (packages["iss-jax"], packages["jax"]) == (iss_jax.__version__, jax.__version__)


def test_the_commit_is_that_of_the_checkout():
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("not a checkout")
    assert environment()["commit"] == found.stdout.strip()
