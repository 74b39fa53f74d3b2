"""Numbers as lines of a rerun recording."""

import numpy as np
import pytest

from iss_jax.viz.rerun_log import RerunLog


def test_a_recording_names_what_was_logged(tmp_path):
    pytest.importorskip("rerun", reason="rerun-sdk (extra `rerun`) is not installed")
    path = tmp_path / "monitor.rrd"
    with RerunLog(path) as log:
        log.log({"monitor/nuisance_share": 0.25, "monitor/late": 1}, step=0)
        log.log({"monitor/frame": np.zeros((4, 4, 3), np.uint8)}, step=1)
        with pytest.raises(ValueError, match="monitor/name: wanted a number"):
            log.log({"monitor/name": "wall"}, step=2)
    content = path.read_bytes()
    assert content.startswith(b"RRF")
    for entity in (b"nuisance_share", b"monitor/late", b"monitor/frame"):
        assert entity in content


def test_without_rerun_the_extra_is_named(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ImportError, match="rerun"):
        RerunLog(tmp_path / "monitor.rrd")
