"""The benchmarks: clock, ways, tables, and what the FLOP counts say."""

import itertools
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command_line import smoke

import iss_jax
from configs import bench as bench_config, savings as savings_config
from experiments import bench, savings
from experiments.timing import (
    clock as bench_clock,
    rows as bench_rows,
    subject as bench_subject,
)
from iss_jax.pi05 import params as pi05


def test_the_first_calls_are_told_from_the_medians_of_turns(monkeypatch) -> None:
    """Two ways; first 9 and 4 seconds, then three turns of each."""
    seconds = [9.0, 4.0, 1.0, 7.0, 5.0, 8.0, 2.0, 9.0]
    clock = itertools.chain.from_iterable((10.0 * i, 10.0 * i + s) for i, s in enumerate(seconds))
    monkeypatch.setattr(bench_clock.time, "perf_counter", lambda: next(clock))
    order = []
    calls = {name: lambda name=name: order.append(name) for name in ("a", "b")}
    found = bench_clock.timed(calls, repeats=3)
    assert found == {"a": (9.0, 2.0), "b": (4.0, 8.0)}
    assert order == ["a", "b"] * 4


def test_the_peak_is_the_best_call(monkeypatch) -> None:
    seconds = iter([3.0, 0.5, 2.0])
    monkeypatch.setattr(bench_clock, "_seconds", lambda call: next(seconds))
    assert bench_clock.matmul_peak(16, "float32", repeats=3) == 2 * 16**3 / 0.5


def test_costs_and_floors() -> None:
    ways = {"one": bench.Way(1, lambda: None, 2e9), "many": bench.Way(10, lambda: None, 1e10)}
    seconds = {"one": bench_clock.Seconds(1.0, 0.5), "many": bench_clock.Seconds(4.0, 2.0)}
    one, many = bench.table(ways, seconds, peak=1e10)
    assert (one["cost"], many["cost"], many["hz"]) == (1.0, 4.0, 0.5)
    # 10 GFLOP at 10 GFLOP/s are a second, and it took two.
    assert (many["floor_seconds"], many["over_floor"]) == (1.0, 2.0)


def test_rows_are_named_by_what_they_run() -> None:
    assert bench.row_name({"estimator": "clipped", "num_masks": 40}) == "40 clipped runs"
    other = {"num_masks": 1, "estimator": "clipped", "design": "bernoulli"}
    assert bench.row_name(other) == "1 clipped run, design bernoulli"


@pytest.mark.slow
def test_smoke(tmp_path) -> None:
    smoke("bench", tmp_path)
    found = json.loads((tmp_path / "results.json").read_text())
    rows = {row["name"]: row for row in found["rows"]}
    assert list(rows) == [
        *("single inference", "one call a mask", "plain batched", "exact savings"),
        *("1 clipped run, design bernoulli", "3 clipped runs", "NMR by effect"),
    ]
    single, plain = rows["single inference"], rows["plain batched"]
    # The blur is 3 views of 80 pixels, two products each; the blend's upsampling is less.
    assert plain["tflop"] / single["tflop"] == pytest.approx(plain["runs"] + 1, rel=0.05)
    assert rows["exact savings"]["tflop"] < 0.6 * plain["tflop"]
    # Sixteen runs and one that tells whether the policy draws noise of its own.
    exact, effect = rows["exact savings"], rows["NMR by effect"]
    a_run = exact["tflop"] / (exact["runs"] + 1)
    assert effect["runs"] == 16 and effect["tflop"] == pytest.approx(17 * a_run, rel=0.15)
    assert single["cost"] == 1.0 and all(row["seconds"] > 0 for row in rows.values())
    assert (tmp_path / "results.csv").exists()


@pytest.mark.slow
def test_savings_smoke(tmp_path) -> None:
    smoke("savings", tmp_path)
    found = json.loads((tmp_path / "results.json").read_text())
    none, every = found["savings"]
    assert (none["time"], none["flops"]) == (1.0, 1.0)
    assert every["flops"] < 0.6
    assert found["bfloat16"]["cells_pearson"] > 0.99
    assert found["overhead"]["bare"] > 0


def test_the_peak_of_a_process_is_its_own() -> None:
    status = "Name:\tpython\nVmPeak:\t  900 kB\nVmHWM:\t  700 kB\nVmRSS:\t  500 kB\n"
    assert savings.peak_resident_bytes(status) == 700 * 1024


def test_the_released_sizes_shares() -> None:
    """No saving costs openpi's plain pass; each alone takes its part; goals of a masked copy."""
    none, every = (savings.real_shares(s) for s in (iss_jax.Savings.none(), iss_jax.Savings()))
    assert none == {"full": 1.0, "libero": 1.0}
    assert every["full"] <= 0.85 and every["libero"] <= 0.57
    last = savings.real_shares(iss_jax.Savings.none(last_layer_keys_only=True))
    # 5.5 % of the prefix, which is 79 % of the pass.
    assert 1 - last["full"] == pytest.approx(0.055 * 0.79, abs=1e-3)
    assert len(savings.choices(single=True)) == 2 + 2 * len(savings.NAMES)


def test_random_policies_are_of_the_sizes_and_dtype_named(monkeypatch) -> None:
    tiny = bench_subject.with_depth(
        pi05.Sizes(
            image=pi05.ImageTower(width=8, depth=6, mlp=16, heads=2, patch=14, tokens=4),
            vlm=pi05.Expert(width=16, mlp=24),
            action=pi05.Expert(width=12, mlp=16),
            depth=4,
            heads=2,
            kv_heads=1,
            head_dim=8,
            vocab=32,
            action_dim=5,
        ),
        2,
    )
    assert (tiny.depth, tiny.image.depth) == (2, 3)
    monkeypatch.setitem(bench_subject.RANDOM, "tiny", tiny)
    given: dict[str, Any] = bench_config.get_config("full").to_dict()["subject"]
    options = bench_subject.SubjectOptions(**{**given, "policy": "tiny", "present_views": 2})
    subject = bench_subject.make_subject(options)
    assert pi05.sizes_of(subject.params) == tiny
    leaves = jax.tree.leaves(subject.params)
    assert all(leaf.dtype == jnp.bfloat16 for leaf in leaves)
    assert np.isfinite(np.asarray(leaves[0], np.float32)).all()
    assert (subject.valid_tokens, subject.prompt_length, subject.present_views) == (60, 200, 2)
    assert subject.noise.shape == (1, 50, 5)


@pytest.mark.parametrize("variant", bench_config.VARIANTS)
def test_configs_have_the_keys_of_the_options(variant: str) -> None:
    content: dict[str, Any] = bench_config.get_config(variant).to_dict()
    if "budget_s" in content:
        options = bench_rows.RowOptions.of(content)
    else:
        del content["name"]
        options = bench.Options(**content)
        bench_subject.SubjectOptions(**content["subject"])
    for chosen in (options.as_the_paper, options.pearson_0_9):
        iss_jax.ISSConfig(**chosen)


@pytest.mark.parametrize("variant", savings_config.VARIANTS)
def test_savings_configs_have_the_keys_of_the_options(variant: str) -> None:
    content: dict[str, Any] = savings_config.get_config(variant).to_dict()
    del content["name"]
    assert savings.Options(**content).memory_masks


def test_an_unknown_variant_is_named() -> None:
    for module in (bench_config, savings_config):
        with pytest.raises(ValueError, match="'large'"):
            module.get_config("large")


def test_peak_memory_of_a_policy_does_not_grow_with_the_masks() -> None:
    """Compiled, 800 masks against 32 at one micro-batch, within a tenth."""
    sizes = bench_subject.with_depth(bench_subject.RANDOM["middle"], 2)
    content: dict[str, Any] = savings_config.get_config("smoke").to_dict()
    del content["name"]
    shorter: dict[str, Any] = {**content["subject"], "prompt_length": 64}
    content |= {"subject": bench_subject.SubjectOptions(**shorter), "memory_micro_batch": 8}
    options = savings.Options(**content)
    # Shapes are enough to compile.
    shapes = {k: jax.ShapeDtypeStruct(v, jnp.float32) for k, v in pi05.shapes(sizes).items()}
    subject = bench_subject.Subject(
        pi05.unflatten(shapes),
        bench_subject.random_observation(sizes, options.subject),
        jnp.zeros((1, 16, sizes.action_dim)),
        sizes,
    )
    few, many = (savings.temporary_bytes(subject, options, n) for n in (32, 800))
    assert many <= 1.1 * few
    # What would not fit in that is 768 more copies of three frames.
    assert many < 768 * 3 * sizes.image.image_size**2 * 3 * 4
