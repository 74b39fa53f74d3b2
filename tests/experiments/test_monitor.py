"""The monitor's bench: its smoke run, and what it says of the numbers that it writes."""

import csv
import json

import numpy as np
from command_line import ROOT, smoke

from experiments.monitored.episodes import read_table


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_smoke(tmp_path):
    run = tmp_path / "run"
    printed = smoke("monitor", run)
    episodes = read_table(ROOT / "docs" / "monitor" / "first.npz")
    content = json.loads((run / "results.json").read_text())
    assert len(episodes) == content["counts"]["episodes"] == len(rows(run / "trials.csv"))
    shares = np.concatenate([one.signals["nuisance_share"] for one in episodes])
    shares = shares[np.isfinite(shares)]
    assert ((shares >= 0) & (shares <= 1)).all() and len(shares) > 0.9 * len(episodes)
    own = {
        r["detector"]: r
        for r in rows(run / "rates.csv")
        if (r["kind"], r["outcome"], r["level"]) == ("as calibrated", "success", "0.1")
    }
    assert set(own) >= {"nuisance share", "entropy", "novelty", "probe", "sum", "clock", "dice"}
    # At the first frame every episode is as old as every other.
    assert float(own["clock"]["rate"]) == 0.0
    assert (run / "figures" / "monitor.png").stat().st_size > 5_000
    assert "false alarms, held out" in printed and (run / "report.html").exists()
