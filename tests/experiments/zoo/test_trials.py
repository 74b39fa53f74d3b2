from collections import Counter

import ml_collections
import numpy as np
import pytest

from configs.parts.zoo import rollout_keys
from configs.zoo_rollout import LADDER
from experiments.planted.cue import INSTRUCTIONS
from experiments.zoo.acting import actor, load
from experiments.zoo.shifts import AXES
from experiments.zoo.trials import run_trials, trial_items, trial_rows
from iss_jax.jobs.directory import gather, open_run

WORDS = ("milk", "ketchup", "butter")
TASKS = {
    f"pick_up_the_{word}": (
        f"pick up the {word} and place it in the basket",
        tuple(f"{name}_1" for name in (*WORDS, "basket")),
    )
    for word in WORDS
}


@pytest.fixture
def options():
    keys = rollout_keys()
    keys.trials = 2
    return keys


def test_every_axis_has_trials_that_start_alike(options):
    items = trial_items("floor", "abc", TASKS, options)
    assert Counter(item["axis"] for item in items) == dict.fromkeys(("none", *AXES), 6)
    starts = {}
    for item in items:
        start = item["init_state"], item["seed"]
        starts.setdefault((item["task"], item["trial"]), set()).add(start)
    assert all(len(own) == 1 for own in starts.values())
    assert len(set.union(*starts.values())) == 6
    # Another policy's start there, too.
    other = trial_items("panel", "def", TASKS, options)
    assert [o["seed"] for o in other] == [i["seed"] for i in items]


def test_the_cue_shows_another_object_of_the_scene_on_its_own_axis_alone(options):
    for item in trial_items("floor", "abc", TASKS, options):
        wanted = INSTRUCTIONS.index(TASKS[item["task"]][0])
        shown = INSTRUCTIONS[item["shown"]]
        assert any(f" the {word} and" in shown for word in WORDS)
        assert (item["shown"] == wanted) == (item["axis"] != "cue")


def test_a_policy_without_a_cue_has_no_trials_of_its_axis(options):
    axes = {item["axis"] for item in trial_items("none", "abc", TASKS, options)}
    assert axes == {"none", *AXES} - {"cue"}


def test_a_ladder_has_every_strength(options):
    options.strengths = ml_collections.ConfigDict(LADDER)
    items = trial_items("tint", "abc", TASKS, options)
    assert {i["strength"] for i in items if i["axis"] == "noise"} == set(LADDER["noise"])
    options.strengths = ml_collections.ConfigDict({"smell": 1.0})
    with pytest.raises(ValueError, match=r"axes \['smell'\] given"):
        trial_items("tint", "abc", TASKS, options)


def test_trials_that_are_there_are_not_run_again(options, tmp_path, monkeypatch):
    run = open_run(tmp_path, ml_collections.ConfigDict({"name": "zoo"}))
    items = trial_items("tint", "abc", TASKS, options)[:3]
    acted = []

    def act(item, policy):
        acted.append(item["axis"])
        return {"success": True, "steps": 7, "seconds": 0.5}

    monkeypatch.setattr("experiments.zoo.trials.acted", act)
    run_trials(run, items[:2], lambda seen: np.zeros((16, 7)), quiet=True)
    run_trials(run, items, lambda seen: np.zeros((16, 7)), quiet=True)
    assert acted == [item["axis"] for item in items]
    rows = trial_rows(4, items, gather(run, items))
    assert rows[0] == {
        "row": 4,
        "axis": "none",
        "strength": 0.0,
        "task": "pick_up_the_milk",
        "trial": 0,
        "success": 1,
        "steps": 7,
        "seconds": 0.5,
    }


@pytest.mark.slow
def test_the_embedded_policy_acts_as_in_other_rollouts():
    """The same flow noise and the same actions as `experiments.inputs.acting.make_policy`'s."""
    from experiments.inputs.acting import make_policy

    how = {"max_token_len": 40, "action_horizon": 16, "num_steps": 1}
    frame = np.linspace(0, 255, 80 * 80 * 3).astype(np.uint8).reshape(80, 80, 3)
    seen = {
        "images": dict.fromkeys(("front", "wrist", "overhead"), frame),
        "state": np.full(8, 0.1, np.float32),
        "prompt": INSTRUCTIONS[0],
        "seed": 3,
    }
    found = actor(load("embedded"), **how)(seen)
    assert found.shape == (16, 7)
    np.testing.assert_allclose(found, make_policy("embedded", **how)(seen), atol=1e-5)
