"""The rows of the released sizes: they lower from shapes alone, and count what they should."""

import jax
import jax.numpy as jnp
import pytest

from configs.bench import get_config
from experiments.timing import row_table, stages
from experiments.timing.measure import Laps, Ready, measure, prepare
from experiments.timing.one_by_one import measure_rows
from experiments.timing.programs import Program
from experiments.timing.rows import PEAK, SINGLE, RowOptions, all_rows
from experiments.timing.subject import subject_shapes
from iss_jax.flops import jaxpr_flops
from iss_jax.pi05 import flops
from iss_jax.pi05.params import PI05

SUITE = (PEAK, SINGLE, "effects of 16 masks", "image encoder", "prefix", "denoising")


@pytest.fixture(scope="module")
def released():
    """Name -> (FLOPs, rows of a micro-batch) of every row of the released sizes, lowered."""
    options = RowOptions.of(get_config("full").to_dict())
    subject, found = subject_shapes(options.subject), {}
    for name, row in all_rows(options).items():
        traced = row.build(subject, 34).traced(subject.params)
        # For a GPU, which need not be there; what it cannot run fails here.
        traced.lower(lowering_platforms=("cuda",))
        jaxpr = traced.jaxpr.jaxpr
        found[name] = jaxpr_flops(jaxpr), stages.images_at_once(jaxpr, subject.sizes)
    return found


@pytest.mark.slow
def test_every_row_of_the_released_sizes_lowers_for_a_gpu(released):
    assert len(released) == 13
    # 16 masks and the baseline at once; a single pass is one row.
    assert released["effects of 16 masks"][1] == 17 and released[SINGLE][1] == 1


@pytest.mark.slow
def test_counted_flops_are_those_counted_by_hand(released):
    copy = flops.masked_copy_flops(PI05, valid_tokens=60, action_horizon=50, rows=34)
    stage = [released[name][0] / 34 for name in ("image encoder", "prefix", "denoising")]
    for counted, by_hand in zip(stage, copy, strict=True):
        assert counted == pytest.approx(by_hand, rel=1e-3)
    plain = flops.policy_flops(PI05, prompt_tokens=200, action_horizon=50)
    assert released[SINGLE][0] == pytest.approx(plain.total, rel=1e-3)
    # 100 masks and the baseline in micro-batches of equal length; blur and blend are products, too.
    counted, rows = released["map, N = 100"]
    assert counted / copy.total == pytest.approx(rows * -(-101 // rows), rel=2e-3)
    assert released["map, N = 100, called outside jit"] == released["map, N = 100"]
    kept, again = (released[f"1 gradient run, {name}"][0] for name in ("kept", "rematerialised"))
    assert 1.2 < again / kept < 1.5


def test_the_peaks_products_are_the_feed_forwards():
    options = RowOptions.of(get_config("full").to_dict())
    subject = subject_shapes(options.subject)
    assert stages.prefix_length(subject) == 3 * 256 + 64
    traced = stages.products(subject, 2).traced(None)
    tokens = 2 * stages.prefix_length(subject)
    assert jaxpr_flops(traced.jaxpr.jaxpr) == stages.PRODUCTS * 2 * 2 * tokens * 2048 * 16384
    assert traced.out_info.dtype == jnp.bfloat16


@pytest.mark.slow
def test_rehearsal_of_the_rows(tmp_path):
    """In a process of their own, as on a GPU, on a shrunk model."""
    content = get_config("rehearsal").to_dict() | {"quiet": True, "rows": SUITE}
    rows = {row["name"]: row for row in measure_rows(content, tmp_path)}
    assert list(rows) == list(SUITE)
    for row in rows.values():
        assert (row["status"], row["reason"]) == ("measured", None)
        assert row["seconds"] > 0 and row["compile_seconds"] > 0 and row["temp_bytes"] >= 0
        # A CPU does not say what it holds, and keeps no compiled programs.
        assert row["device_peak_bytes"] is None and not row["compiled_before"]
    assert rows[PEAK]["share_of_peak"] == 1.0
    effects = rows["effects of 16 masks"]
    assert (effects["images_at_once"], effects["beside"]) == (17, SINGLE)
    assert effects["ratio"] > 1.0
    text = row_table.table_text(rows.values())
    assert len(text.splitlines()) == len(SUITE) + 2 and "sustained" in text


def test_a_program_is_measured_beside_another(monkeypatch):
    """Medians of turns: 2 seconds against 4, after one turn of each that does not count."""
    seconds = iter([9.0, 9.0, 1.0, 5.0, 2.0, 4.0, 3.0, 3.0])
    monkeypatch.setattr("experiments.timing.clock._seconds", lambda call: next(seconds))
    own = Ready(lambda: None, {"flops": 10.0})
    found = measure(own, Laps(3, 0.0, 0.0), Ready(lambda: None, {"flops": 1.0}))
    assert (found["seconds"], found["least_seconds"], found["most_seconds"]) == (2.0, 1.0, 3.0)
    assert (found["ratio"], found["laps"], found["flops_per_second"]) == (0.5, 3, 5.0)


def test_short_calls_are_repeated_for_the_least_seconds(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr("experiments.timing.clock._seconds", lambda call: 0.1)
    monkeypatch.setattr("experiments.timing.clock.time.perf_counter", lambda: next(clock) / 4)
    found = measure(Ready(lambda: None, {"flops": 1.0}), Laps(2, 1.0, 3.0))
    # A quarter of a second a look, and the first look after two turns.
    assert found["laps"] == 13 and found["ratio"] is None


def test_a_program_is_compiled_with_its_memory_and_flops():
    def fn(params, x):
        return x @ params

    program = Program(fn, lambda: (jnp.ones((4, 8)),))
    ready = prepare(program, jnp.ones((8, 2)), PI05)
    assert ready.facts["flops"] == 2 * 4 * 8 * 2
    assert (ready.facts["argument_bytes"], ready.facts["output_bytes"]) == (4 * (32 + 16), 4 * 8)
    assert ready.facts["images_at_once"] is None
    assert jax.tree.all(jax.tree.map(lambda a: bool((a == 8.0).all()), ready.call()))


def test_lines_and_table_name_what_failed():
    found = {
        PEAK: {"seconds": 0.5, "flops": 4e12, "flops_per_second": 8e12, "ratio": None},
        SINGLE: {"seconds": 0.25, "flops": 1e12, "flops_per_second": 4e12, "ratio": None},
        "prefix": {"error": "MemoryError: out of memory\nand more"},
        "whole": {
            "seconds": 20.0,
            "flops": 4e13,
            "flops_per_second": 2e12,
            "ratio": 80.0,
            "beside": SINGLE,
        },
    }
    names = [*found, "denoising"]
    rows = row_table.csv_rows(names, found, {"denoising": "no time was left"})
    statuses = ["measured", "measured", "failed", "measured", "not measured"]
    assert [row["status"] for row in rows] == statuses
    assert [row["share_of_peak"] for row in rows[:2]] == [1.0, 0.5]
    assert row_table.live_line(PEAK, found) == "matrix peak: 500 ms, 4 TFLOP, 8 TFLOP/s"
    assert row_table.live_line("whole", found) == (
        "whole: 20.00 s, 40 TFLOP, 25 % of the peak, 80 × single pass"
    )
    assert row_table.live_line("prefix", found) == "prefix: failed: MemoryError: out of memory"
    lines = row_table.table_text(rows).splitlines()
    assert lines[2].split() == ["single", "pass", "250", "ms", "1", "50", "%", "0", "ms"]
    assert lines[5].endswith("not measured: no time was left")
