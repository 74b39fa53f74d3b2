"""Judging: tasks are kept apart, false alarms keep their level, intervals are by task."""

import numpy as np
import pytest
from watched_episodes import episodes

from experiments.monitored import judge as module
from experiments.monitored.judge import (
    PARTS,
    areas,
    by_task,
    judge,
    kinds,
    of_kind,
    partition,
    rates,
)

SETTINGS = {
    "home": ("a", "b"),
    "levels": (0.2,),
    "horizon": 10,
    "equal_steps": 5,
    "window": 1,
    "seed": 0,
}


@pytest.fixture
def without_networks(monkeypatch):
    """Detectors that need no fitting: what is judged here is the judge."""
    real = module.fitted

    def quick(fit, window, seed):
        # Half of the tasks choose the sum, and come second.
        if len(fit) > len(real_fit):
            real_fit[:] = fit
        names = {"nuisance share": "nuisance_share", "NMR of the paper": "nmr"}
        names |= {"entropy": "entropy", "novelty": "effect", "probe": "moved"}
        return {name: (lambda one, c=column: one.signals[c]) for name, column in names.items()}

    real_fit: list = []
    monkeypatch.setattr(module, "fitted", quick)
    assert real is not quick
    return real_fit


def test_a_partition_has_thirds_of_each_suites_tasks():
    places = [f"a/{i}" for i in range(9)] + [f"b/{i}" for i in range(6)]
    found = partition(places, np.random.default_rng(0))
    for suite, each in (("a", 3), ("b", 2)):
        own = [part for place, part in found.items() if place.startswith(suite)]
        assert [own.count(part) for part in PARTS] == [each] * 3


def test_false_alarms_of_held_out_tasks_keep_their_level_and_failures_that_tell_are_found(
    without_networks,
):
    """600 episodes of 24 tasks, exchangeable: the rate is within 4 of its standard errors."""
    made = episodes({"nuisance_share": 6.0}, tasks=12, trials=25)
    judged = judge(made, partitions=4, **SETTINGS)
    rows = rates(judged, made, execute=16, resamples=200, confidence=0.95)
    own = {(r["detector"], r["outcome"]): r for r in rows if r["looks"] == 10}
    for name in ("nuisance share", "NMR of the paper", "entropy"):
        rate = own[name, "success"]
        assert abs(rate["rate"] - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 150)
        assert rate["low"] < rate["rate"] < rate["high"]
    assert own["any of the five", "success"]["rate"] < 0.25
    assert own["nuisance share", "failure"]["rate"] > 0.99
    # It rings at the first look, ten looks of 16 steps before the end, at 20 Hz.
    assert own["nuisance share", "failure"]["lead_s"] == 8.0
    # Among no failures that tell, as often as in successes.
    assert own["entropy", "failure"]["rate"] < 0.5
    found = {r["detector"]: r for r in areas(judged, made, resamples=200, confidence=0.95)}
    assert found["nuisance share"]["area"] > 0.99 > found["entropy"]["area"]


def test_what_is_fitted_calibrated_and_judged_are_tasks_apart(without_networks, monkeypatch):
    made = episodes(tasks=6, trials=4)
    seen = []
    real = module._ring

    def spy(kind, judged, base, *rest):
        seen.append((kind, {o.place for o in judged}, {o.place for o in base}))
        return real(kind, judged, base, *rest)

    monkeypatch.setattr(module, "_ring", spy)
    judge(made, partitions=1, **SETTINGS)
    fit = {one.place for one in without_networks}
    judged, base = next((j, b) for kind, j, b in seen if kind == "as calibrated")
    assert not (fit & judged or fit & base or judged & base)
    assert len(fit) == len(judged) == len(base) == 4


def test_shifted_and_panel_episodes_are_of_their_kinds():
    made = episodes(suites=("a", "b", "c"))
    made += [
        made[0]._replace(policy=p, panel=s) for p, s in (("reader", "other"), ("reader", "own"))
    ]
    named = kinds(["a", "b", "c"], ("a", "b"))
    counts = {name: len(of_kind(made, kind)) for name, kind in named.items()}
    assert counts == {
        "as calibrated": 72,
        "shifted": 36,
        "panel decides": 1,
        "panel agrees": 1,
        "panel ignored": 0,
    }


def test_intervals_resample_tasks_and_there_are_none_of_five():
    value = np.repeat([0.0, 1.0] * 3, 50)
    places = np.repeat([f"task {i}" for i in range(6)], 50).tolist()
    low, high = by_task(value, places, 2_000, 0.95)
    # 300 episodes alone would give 0.44 to 0.56; tasks are all or nothing.
    assert low < 0.15 and high > 0.85
    assert by_task(value[:250], places[:250], 100, 0.95) == (None, None)
