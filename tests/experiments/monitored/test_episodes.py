"""Trials as one file, without pickles, and back."""

import numpy as np
import pytest
from watched_episodes import episodes

from experiments.monitored.episodes import read_table, trial_rows, watched, write_table


def test_a_table_comes_back(tmp_path):
    made = episodes(tasks=2, trials=2)
    made[1].signals["nmr"][:2] = np.nan
    write_table(tmp_path / "trials.npz", made)
    found = read_table(tmp_path / "trials.npz")
    assert [one[:8] for one in found] == [one[:8] for one in made]
    for one, other in zip(found, made, strict=True):
        for name in one.signals:
            np.testing.assert_allclose(one.signals[name], other.signals[name], rtol=1e-6)
        np.testing.assert_allclose(one.features["image"], other.features["image"], atol=4e-3)
    rows = trial_rows(found)
    assert rows[1]["inferences"] == made[1].length
    assert rows[1]["most_nmr"] == pytest.approx(np.nanmax(made[1].signals["nmr"]), abs=1e-4)


def test_a_file_of_something_else_is_named(tmp_path):
    np.savez(tmp_path / "other.npz", policy=np.zeros(3))
    with pytest.raises(ValueError, match=r"other\.npz: no columns \['suite'"):
        read_table(tmp_path / "other.npz")


def test_nulls_of_a_stored_result_are_unknown_scores():
    made = episodes(tasks=1, trials=1, suites=("a",))[0]
    item = {n: getattr(made, n) for n in ("policy", "suite", "task", "split", "panel", "trial")}
    columns = {name: list(own) for name, own in made.signals.items()}
    columns["nuisance_share"][0] = None
    columns |= {name: own.tolist() for name, own in made.features.items()}
    found = watched(item, {"success": made.success, "steps": made.steps, "signals": columns})
    assert np.isnan(found.signals["nuisance_share"][0]) and found.length == made.length
    assert found.place == "a/task 0"
