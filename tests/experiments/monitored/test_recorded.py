"""First frames that ship: which of them, and what a panel makes of frame, labels and policy."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from experiments.monitored.episodes import FEATURES
from experiments.monitored.recorded import recorded_items, shown_object, watch_recorded
from experiments.monitored.signals import SCALARS, SignalOptions, donor_bank, signals_of
from experiments.planted.cue import COLOURS, INSTRUCTIONS
from iss_jax import embedded
from iss_jax.data.dataset import open_dataset
from iss_jax.policies.frames import FrameOptions, read_frames
from iss_jax.policies.restored import load_policy

PANELS = (("embedded", ""), ("reader", "own"), ("reader", "other"), ("embedded", "other"))


@pytest.fixture(scope="module")
def items():
    return recorded_items({"draws": 4}, "policy", PANELS)


def test_every_episode_once_and_panels_where_objects_have_colours(items):
    plain = [item for item in items if not item["panel"]]
    assert [item["episode"] for item in plain] == list(range(205))
    assert len(items) == 205 + 3 * 50
    assert {i["suite"] for i in items if i["panel"]} == {"libero_object"}
    by_episode = {i["episode"]: i["success"] for i in plain}
    for item in items:
        lost = (item["policy"], item["panel"]) == ("reader", "other")
        assert item["success"] == (by_episode[item["episode"]] and not lost)


def test_fewer_suites_tasks_and_seeds():
    found = recorded_items({}, "policy", PANELS[:1], suites=["libero_object"], tasks=2, seeds=3)
    assert len(found) == 6 and len({item["task"] for item in found}) == 2


class Told:
    """Signals that keep what they are told."""

    def __init__(self):
        self.options, self.calls = SignalOptions(), []
        self.policy = SimpleNamespace(observe=lambda raw: raw["prompt"])

    def measure(self, *given):
        self.calls.append(given)
        return dict.fromkeys((*SCALARS, *FEATURES), 0.0)


def test_a_panel_is_painted_labelled_as_nuisance_and_read_by_its_policy_alone(items):
    dataset = open_dataset(embedded.episodes_path())
    views = FrameOptions().used
    some = [i for i in items if i["episode"] == 60]
    assert [(i["policy"], i["panel"]) for i in some] == list(PANELS)
    told = Told()
    for item in some:
        found = watch_recorded(item, told, dataset)
        assert found["success"] == item["success"] and found["signals"]["nmr"] == [0.0]
    episode = read_frames(dataset, 60, [0], FrameOptions())
    own = INSTRUCTIONS.index(episode.prompt)
    other = shown_object(episode, some[2])
    assert other != own and any(
        f" the {name} and" in INSTRUCTIONS[other] for name in episode.instance_names.values()
    )
    (plain, labels, _, task, reading), read_own, read_other, ignored = told.calls
    assert reading is None and task == f"{some[0]['suite']}/{some[0]['task']}"
    camera = views["base_0_rgb"]
    np.testing.assert_array_equal(plain["images"][camera], episode.images[camera][0])
    for (raw, marked, _, _, found), shown in (
        (read_own, own),
        (read_other, other),
        (ignored, other),
    ):
        changed = (raw["images"][camera] != plain["images"][camera]).any(-1)
        assert (raw["images"][camera][changed] == COLOURS[shown]).all() and changed.sum() > 300
        assert (marked["base_0_rgb"][changed] == 0).all()
        np.testing.assert_array_equal(marked["left_wrist_0_rgb"], labels["left_wrist_0_rgb"])
        # It is measured under its own instruction; the panel's is the reading's.
        assert raw["prompt"] == episode.prompt
        assert (found is None) or found.obs == INSTRUCTIONS[shown]
    assert [call[4] is None for call in told.calls] == [True, False, False, True]


@pytest.mark.slow
def test_a_panel_that_decides_has_the_share_and_one_that_is_ignored_has_not(items):
    options = SignalOptions(draws=2, masks=2, chunks=2, num_steps=2, donors=20)
    dataset = open_dataset(embedded.episodes_path())
    signals = signals_of(load_policy(embedded.checkpoint_path()), donor_bank(options), options)
    found: dict[tuple[str, str], list[float]] = {}
    for item in (i for i in items if i["episode"] in (55, 65, 75, 85, 95)):
        (share,) = watch_recorded(item, signals, dataset)["signals"]["nuisance_share"]
        found.setdefault((item["policy"], item["panel"]), []).append(share)
    mean = {name: np.mean(own) for name, own in found.items()}
    assert mean["reader", "other"] > 0.3
    assert all(share < 0.15 for name, share in mean.items() if name != ("reader", "other"))
    jax.clear_caches()
