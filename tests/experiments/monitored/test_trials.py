"""Which trials there are, in which order, and what a panel shows in them."""

import itertools

import numpy as np

from configs.monitor import get_config
from experiments.monitored.trials import panel_of, trial_items
from experiments.planted.cue import INSTRUCTIONS


def test_every_trial_once_scenes_together_and_suites_in_turn():
    items = trial_items(get_config("rollouts"))
    names = [(i["policy"], i["suite"], i["task"], i["panel"], i["trial"]) for i in items]
    # Of 10 + 8 tasks, of 3, 4 and 3, and three panels on 10 tasks.
    assert len(names) == len(set(names)) == 60 + 64 + 12 + 12 + 12 + 60
    scenes = [(i["suite"], i["task"]) for i in items]
    assert len(set(scenes)) == 28 == 1 + sum(a != b for a, b in itertools.pairwise(scenes))
    # A run that is cut short at half has half of each suite.
    half = scenes[: len(scenes) // 2]
    for suite in ("libero_object", "libero_spatial"):
        all_of, so_far = (len({s for s in own if s[0] == suite}) for own in (scenes, half))
        assert abs(so_far - all_of / 2) <= 1


def test_a_panel_shows_what_is_asked_for_or_another_object_of_the_scene():
    own, other = INSTRUCTIONS[0], INSTRUCTIONS[3]
    objects = ["alphabet_soup_1", "bbq_sauce_1", "basket_1"]
    assert "bbq sauce" in other and "alphabet soup" in own
    shown = {
        panel: panel_of({"panel": panel, "trial": 0}, own, objects, 80)
        for panel in ("", "own", "other")
    }
    assert shown[""] == ({}, -1)
    assert (shown["own"][1], shown["other"][1]) == (0, 3)
    assert {c: int(np.sum(m)) for c, m in shown["own"][0].items()} == {"front": 400}
