"""Table 2: what is divided by what, and a small run."""

import csv
import json

import pytest
from command_line import smoke

from configs.efficiency import VARIANTS, get_config
from experiments import efficiency
from experiments.timing.clock import Seconds
from experiments.timing.subject import SubjectOptions


def options(variant: str) -> efficiency.Options:
    content = get_config(variant).to_dict()
    del content["name"]
    return efficiency.Options(**content | {"subject": SubjectOptions(**content["subject"])})


@pytest.mark.parametrize("variant", VARIANTS)
def test_configs_have_the_keys_of_the_options(variant: str) -> None:
    found = options(variant)
    assert found.iss == {"design": "bernoulli", "estimator": "fixed"}
    if variant != "smoke":
        assert found.num_masks == (50, 100, 150, 200) and len(found.keep_probs) == 5


def test_slowdowns_are_in_single_inferences_and_the_floor_in_their_flops() -> None:
    seconds = {
        efficiency.SINGLE: Seconds(3.0, 0.5),
        efficiency.SAVING: Seconds(3.0, 0.25),
        "N = 10, p = 0.3": Seconds(9.0, 2.0),
    }
    counted = {"single": 100.0, "saving": 40.0, "run": 20.0}
    single, saving, found = efficiency.table(options("smoke"), counted, seconds, peak=50.0)
    assert single["slowdown"] == 1.0 and saving["slowdown"] == 0.5
    assert found["slowdown"] == 4.0 and found["slowdown_of_savings"] == 8.0
    assert found["hz"] == 0.5 and found["first_seconds"] == 9.0
    # Eleven runs: ten masks and the baseline.
    assert found["floor_slowdown"] == pytest.approx(11 * 20 / 100)
    assert found["floor_seconds"] == pytest.approx(11 * 20 / 50)
    assert found["over_floor"] == pytest.approx(2.0 / (11 * 20 / 50))
    text = efficiency.table_text([single, saving, found], 50.0)
    assert text.splitlines()[-1].startswith("N = 10, p = 0.3")
    assert "9.00 s  2000.0 ms    0.50      4.0      8.0     2.2" in text


def test_the_papers_table_is_quoted_as_printed() -> None:
    # 0.079 s a single inference; latencies of Table 2 at p = 0.3, of which it prints two decimals.
    for num_masks, latency in ((50, 2.59), (100, 5.18), (150, 7.77), (200, 10.36)):
        found = efficiency.PAPER_SLOWDOWN[num_masks]
        assert found == pytest.approx(latency / 0.079, rel=0.01)


def test_smoke_run_writes_its_table(tmp_path) -> None:
    smoke("efficiency", tmp_path)
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [row["num_masks"] for row in rows] == [0, 0, 10]
    assert all(row["seconds"] > 0 for row in rows)
    # The embedded policy's prompts fill a fraction of their 200 tokens.
    assert rows[1]["tflop"] < 0.7 * rows[0]["tflop"]
    assert rows[2]["tflop"] == pytest.approx(11 * rows[1]["tflop"], rel=0.1)
    with (tmp_path / "results.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == [row["name"] for row in rows]
    assert "matrix-product peak" in (tmp_path / "table.txt").read_text()
    assert (tmp_path / "figures" / "efficiency.png").stat().st_size > 1000
