"""Without the simulator, the error says what to install."""

import sys

import pytest

from iss_jax.envs import simulator


def test_missing_extra_is_an_import_error_that_says_how_to_install(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disable")
    monkeypatch.setenv("LIBERO_CONFIG_PATH", "unused")
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(ImportError, match=r'pip install "iss-jax\[libero\]"'):
        simulator.load.__wrapped__()
