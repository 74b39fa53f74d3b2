"""Answers of commands, from what their runs hold."""

import importlib
import json
import shutil
from pathlib import Path

import pytest

from experiments.answers.by_command import BY_COMMAND, answer_of
from iss_jax.data.table import csv_text

ROOT = Path(__file__).resolve().parents[3]


def run(folder, content, **tables):
    (folder / "results.json").write_text(json.dumps(content))
    for name, rows in tables.items():
        (folder / f"{name}.csv").write_text(csv_text(rows))
    return folder


def answered(command, folder):
    return answer_of(command, folder, "")


@pytest.mark.parametrize("command", sorted(BY_COMMAND))
def test_every_answer_is_of_a_command(command):
    assert (ROOT / "experiments" / f"{command}.py").exists()


def test_a_command_without_an_answer_asks_what_its_text_says(tmp_path):
    about = importlib.import_module("experiments.join").__doc__
    question = answer_of("join", tmp_path, about).question
    assert question.startswith("One table of many runs")
    assert answer_of("join", tmp_path, "").question == "join"


def test_the_largest_player_stands_beside_its_pixels(tmp_path):
    row = {"episode": 3, "frame": 1, "prompt": "lift", "share_stderr": 0.02}
    content = {"frames": [{"prompt": "lift", "acts_on": "bowl 60 ± 2 %"}]}
    players = [
        row | {"player": "bowl", "share": 0.6, "area": 0.1},
        row | {"player": "floor", "share": 0.4, "area": 0.9},
        row | {"player": "floor", "share": "", "area": 0.9, "episode": 4},
    ]
    found = answered("acts_on", run(tmp_path, content, players=players))
    assert "In 1 of 1 frames what it acts on most holds a larger share" in found.verdict
    assert "in 1 it holds more than half" in found.verdict and "bowl 60 ± 2 %" in found.verdict
    assert found.controls == [
        {
            "frame": "lift (episode 3)",
            "acts most on": "bowl",
            "share": "60 ± 2 %",
            "of the pixels": "10 %",
        }
    ]


@pytest.mark.parametrize(("first", "said"), [(3, "Yes: "), (1, "Not in most frames: ")])
def test_a_found_shortcut_needs_its_control(tmp_path, first, said):
    policy = {"panel_share_stderr": None, "paper_mass_on_panel": 0.03}
    content = {
        "panel_area": 0.02,
        "frames": 4,
        "policies": [
            {"policy": "follows", "panel_share": 0.8, "panel_first": first} | policy,
            {"policy": "ignores", "panel_share": 0.0, "panel_first": 0} | policy,
        ],
    }
    found = answered("find_shortcut", run(tmp_path, content))
    assert found.verdict.startswith(said) and "80 % of the effects where the policy follows" in (
        found.verdict
    )
    assert found.controls[1]["panel's share"] == "0 %"


def test_methods_are_compared_with_chance(tmp_path):
    rows = [
        {"view": view, "method": method, "nmr": nmr, "chance": 0.4, "episode": 0, "frame": frame}
        for frame, method, nmr in ((0, "iss", 0.1), (1, "iss", 0.3), (0, "random", 0.0))
        for view in ("all", "front")
    ]
    found = answered("method_overlays", run(tmp_path, rows))
    # Random maps are a control, not a method that may win.
    assert "`iss` lies least on nuisance: NMR 0.20, chance 0.40, over 2 frames" in found.verdict
    assert [row["frames"] for row in found.controls] == [2, 1]


def test_the_published_runs_of_fidelity_and_robustness_are_answered(tmp_path):
    for command in ("fidelity", "robustness"):
        shutil.copy(ROOT / "docs/results" / command / "results.json", tmp_path)
        found = answered(command, tmp_path)
        assert found.controls and "random" in found.verdict
        methods = [row["method"] for row in found.controls]
        assert {"ISS", "ATT", "random"} <= set(methods)


def test_the_published_runs_of_known_and_trained_causes_are_answered(tmp_path):
    for command, name in (("known_causes", "summary"), ("trained_causes", "trained_summary")):
        shutil.copy(ROOT / "docs/results/causes" / f"{name}.csv", tmp_path / "summary.csv")
        found = answered(command, tmp_path)
        means = [float(row["mean AUC"]) for row in found.controls if "random" not in row["method"]]
        assert means == sorted(means, reverse=True) and f"AUC {means[0]:.2f}" in found.verdict
        assert "chance is 0.50" in found.verdict


def test_success_is_given_with_its_interval(tmp_path):
    row = {"condition": "seen", "task": "all", "successes": 3, "trials": 4, "rate": 0.75}
    rows = [row | {"low": 0.3, "high": 0.95}, row | {"task": "lift", "low": 0, "high": 1}]
    found = answered("rollout", run(tmp_path, rows))
    assert found.verdict == "seen 3 of 4." and len(found.controls) == 1
    assert found.controls[0]["interval"] == "0.30 to 0.95"


def test_rows_that_are_not_there_are_no_error(tmp_path):
    assert answered("bench", run(tmp_path, {"rows": []})).controls == ()
    assert "fewer than three" in answered("fidelity", run(tmp_path, {"correlations": []})).verdict
