"""The printed success table and the labelled frames of the contact sheets."""

import numpy as np
import pytest
from command_line import smoke
from scipy import stats

from experiments import contact_sheets, success_table
from iss_jax.data.success import Success

ROWS = [
    Success("pick_up_the_milk", "libero_object", split, 0, seed, 4, won)
    for split, wins in {"seen": (4, 2), "near": (1, 0)}.items()
    for seed, won in zip((0, 13), wins, strict=True)
]


def test_rates_by_seed_and_over_all_with_intervals():
    lines = success_table.lines(ROWS)
    seen = next(line for line in lines if line.startswith("object: pick up the milk"))
    low, high = stats.binomtest(6, 8).proportion_ci(method="wilson")
    assert seen.split()[-6:-2] == ["milk", "100", "50", "75.0"]
    assert seen.endswith(f"[{100 * low:.0f}, {100 * high:.0f}]")
    assert [line for line in lines if "tasks)" in line] == [
        "\nseen (1 tasks)",
        "\nnear (1 tasks)",
    ]
    assert lines[-1].split()[-5:-2] == ["25", "0", "12.5"]


def test_a_seed_without_trials_is_blank():
    rows = [*ROWS, Success("pick_up_the_soup", "libero_object", "near", 0, 13, 4, 4)]
    soup = next(line for line in success_table.lines(rows) if "soup" in line)
    assert soup.split()[4:6] == ["soup", "100"]


def test_the_papers_table_3(tmp_path):
    lines = smoke("success_table", tmp_path).splitlines()
    assert [line for line in lines if line.endswith("tasks)")] == [
        "seen (18 tasks)",
        "unseen_level1 (13 tasks)",
        "unseen_level2 (10 tasks)",
    ]
    tasks = [line for line in lines if line.startswith("agnostos: ")]
    assert len(tasks) == 41 and tasks[0].split()[3:9] == ["84", "88", "88", "88", "88", "87.2"]


def test_nuisance_is_darkened_and_the_rest_is_not():
    image = np.full((6, 6, 3), 200, np.uint8)
    regions = np.zeros((6, 6), np.uint8)
    regions[1:5, 1:5] = 1
    out = contact_sheets.labelled(image, regions, 0.5)
    assert (out[0] == 100).all() and (out[2:4, 2:4] == 200).all()
    assert out[1, 1].tolist() == pytest.approx([51, 136, 255])
