"""The benchmark's clock and table."""

import itertools

import goldens
import pytest

from configs.bench import VARIANTS, get_config
from experiments import bench


def test_the_first_call_is_told_from_the_median_of_the_others(monkeypatch) -> None:
    # Calls of 9, 1, 5 and 2 seconds.
    clock = itertools.chain([0.0, 9.0], [10.0, 11.0], [20.0, 25.0], [30.0, 32.0])
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(clock))
    assert bench.timed(lambda: None, repeats=3) == (9.0, 2.0)


def test_costs_are_in_single_inferences(monkeypatch) -> None:
    params, obs = goldens.params("tiny_b"), goldens.observation("tiny_b", slice(0, 1))
    seconds = iter([(1.0, 0.5), (4.0, 2.0), (3.0, 1.0)])
    calls = []
    monkeypatch.setattr(
        bench, "timed", lambda call, repeats: (calls.append(call()), next(seconds))[1]
    )
    rows = bench.measure(params, obs, action_horizon=10, num_masks=4, repeats=1)
    assert [row["inferences"] for row in rows] == [1, 4, 5]
    assert [row["cost"] for row in rows] == [1.0, 4.0, 2.0]
    single, loop, sal = calls
    assert single.shape == (1, 10, 7) and len(loop) == 4 and sal.effects.shape == (1, 4)
    # The same noise and observation, so the baseline of the map is the single inference.
    assert abs(single - sal.actions).max() < 2e-5


def test_the_table_names_every_way(capsys) -> None:
    row = {"name": "saliency", "inferences": 5, "first_seconds": 1.5, "seconds": 0.25, "cost": 2.0}
    bench.print_table([row])
    assert capsys.readouterr().out.splitlines()[-1].split() == [
        *("saliency", "5", "1.50", "s", "250.0", "ms", "2.0")
    ]


@pytest.mark.parametrize("variant", VARIANTS)
def test_configs_have_the_keys_of_the_options(variant: str) -> None:
    content = get_config(variant).to_dict()
    del content["name"]
    bench.Options(**content)


def test_an_unknown_variant_is_named() -> None:
    with pytest.raises(ValueError, match="'large'"):
        get_config("large")
