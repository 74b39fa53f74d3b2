"""Which frames are looked at."""

import pytest

from experiments.acting_on.frames import choose
from iss_jax import embedded
from iss_jax.data.dataset import open_dataset

DATASET = open_dataset(embedded.episodes_path())


def test_frames_go_from_the_best_to_the_worst_of_several_suites():
    chosen = choose(DATASET, "embedded", 0, 4)
    rates = [one.success.rate for one in chosen]
    assert rates == sorted(rates, reverse=True) and rates[0] == 1.0 and rates[-1] == 0.0
    assert len({one.suite for one in chosen}) == 4
    assert all(one.frame == 1 for one in chosen)
    assert chosen[0].title().endswith("success 25 of 25)")


def test_without_a_success_table_they_are_spread_evenly():
    chosen = choose(DATASET, "", 0, 3)
    assert [one.success for one in chosen] == [None] * 3
    assert chosen[0].episode < 40 and chosen[-1].episode > 160
    assert "success" not in chosen[0].title()


def test_a_small_dataset_has_fewer(monkeypatch):
    class Two:
        root = "two"
        metadata = staticmethod(DATASET.metadata)

        def __len__(self):
            return 2

    assert [one.episode for one in choose(Two(), "", 0, 4)] == [0, 1]


def test_episodes_may_be_named():
    assert [one.episode for one in choose(DATASET, "", 0, 9, (7, 3))] == [7, 3]
    message = r"config.episodes: \[205\] given, .* has episodes 0 to 204"
    with pytest.raises(ValueError, match=message):
        choose(DATASET, "", 0, 1, (0, 205))
