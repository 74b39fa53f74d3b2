"""Options of the effects: what they count and refuse."""

import pytest

from iss_jax import EffectsConfig


def test_runs_are_baselines_and_sets():
    assert EffectsConfig(draws=4).runs(players=3) == 16
    assert EffectsConfig(draws=2, estimator="shapley").runs(players=4) == 2 * 16
    assert EffectsConfig(draws=2, estimator="banzhaf", pairs=5).runs(players=30) == 2 * 11
    assert EffectsConfig(draws=8).runs(players=12, beside=4) == 8 * 17


def test_it_is_hashable_and_takes_lists():
    config = EffectsConfig(action_dims=[0, 2], action_weights=[1, 2])
    assert (config.action_dims, config.action_weights) == ((0, 2), (1.0, 2.0))
    assert hash(config) == hash(EffectsConfig(action_dims=(0, 2), action_weights=(1.0, 2.0)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 0}, "draws must be an integer >= 1, got 0"),
        ({"draws": True}, "draws.*True"),
        ({"pairs": 1.5}, "pairs.*1.5"),
        ({"micro_batch": 0}, "micro_batch.*0"),
        ({"horizon": 0}, "horizon.*0"),
        ({"estimator": "owen"}, "estimator must be one of.*banzhaf.*'owen'"),
        ({"reduction": "max"}, "reduction must be one of.*'max'"),
        ({"fill": "median"}, "fill must be one of.*'median'"),
    ],
)
def test_errors_name_the_option(options, message):
    with pytest.raises(ValueError, match=message):
        EffectsConfig(**options)
