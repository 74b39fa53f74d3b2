"""Answers of commands, from what their runs hold."""

import importlib
import json
import shutil
from pathlib import Path

import pytest

from experiments.answers.by_command import BY_COMMAND, answer_of
from iss_jax.data.table import csv_text, read_rows

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


def test_images_stand_beside_all_inputs(tmp_path):
    row = {"prompt": "lift", "episode": 3, "images": 0.1, "everything": 0.4, "ratio": 0.25}
    frames = [row | {"stderr": 0.05, "reason": 0}, row | {"stderr": "", "reason": 2}]
    content = {"verdict": "It uses its images: they do 25 % of what all inputs do (one frame)."}
    found = answered("image_use", run(tmp_path, content, frames=frames))
    assert found.verdict == content["verdict"]
    (shown,) = found.controls  # one of unknown shares is left out
    assert (shown["images"], shown["all inputs"], shown["ratio"]) == ("0.1", "0.4", "25 ± 5 %")


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


PUBLISHED = {
    # Where it lies, and what `results.json` calls it.
    "adaptive_stopping": ({"": "stopping/stopping"}, "maps agree better than those of as many"),
    "efficiency": ({"rows": "cost/results"}, "single inferences"),
    "estimator_accuracy": ({"rows": "accuracy/results"}, "r = 0.9 is reached first by"),
    "hyperparameters": ({"rows": "masks/results"}, "masks of keep probability"),
    "kl_and_error": ({"summary": "kl/summary"}, "Maps of both agree with r ="),
    "mask_sensitivity": ({"errors": "labels/results"}, "over 205 frames"),
    "token_interventions": (
        {"agreement": "tokens/agreement", "shares": "tokens/shares"},
        "has the largest share of what single tokens do",
    ),
}
BESIDE = {"frames": 205, "disattenuated": 0.9}


@pytest.mark.parametrize("command", PUBLISHED)
def test_published_tables_are_answered(command, tmp_path):
    tables, said = PUBLISHED[command]
    content = {
        key: [{n: number_or_text(v) for n, v in row.items()} for row in read_rows(path)]
        for key, path in ((k, ROOT / f"docs/results/{name}.csv") for k, name in tables.items())
    }
    given = content[""] if "" in content else BESIDE | content
    found = answered(command, run(tmp_path, given))
    assert said in found.verdict and found.controls
    assert not [row for row in found.controls if "nan" in row.values()]


def number_or_text(text):
    try:
        return float(text) if text else None
    except ValueError:
        return text


def test_the_published_grid_of_perturbations_is_answered(tmp_path):
    shutil.copy(ROOT / "docs/results/perturbations/results.csv", tmp_path)
    found = answered("perturbation_grid", tmp_path)
    clean, *copies = found.controls
    assert clean["perturbation"] == "none" and clean["action error"] == "0"
    most = max(copies, key=lambda row: float(row["action error"]))
    assert found.verdict.startswith(f"{most['perturbation']} at strength {most['strength']}")


def test_planted_shortcuts_stand_beside_what_replacing_the_panel_tells(tmp_path):
    areas = [
        {"rho": rho, "measure": measure, "value": value, "low": 0.4, "high": 0.6}
        for rho, measure, value in (
            *((1.0, "iss_rank", 0.5), (1.0, "panel_share", 1.0), (1.0, "attention_top", 0.7)),
            (0.5, "iss_rank", 0.9),
        )
    ]
    found = answered("planted_shortcuts", run(tmp_path, {"auc": areas}))
    assert found.verdict == (
        "Best attention top: AUC 0.70, where replacing the panel itself reaches 1.00; "
        "chance is 0.50."
    )
    assert [row["measure"] for row in found.controls] == [
        *("panel share", "attention top", "iss rank")
    ]


def test_random_scores_stay_in_the_table_however_long_it_is(tmp_path):
    areas = [
        {"rho": 1.0, "measure": name, "value": value, "low": 0.4, "high": 0.6}
        for name, value in [(f"method_{i}", 0.9) for i in range(20)] + [("random_rank", 0.5)]
    ]
    found = answered("planted_shortcuts", run(tmp_path, {"auc": areas}))
    assert len(found.controls) == 11 and found.controls[-1]["measure"] == "random rank"


def test_results_that_are_not_understood_leave_the_question(tmp_path):
    """A run that is done has its page, whatever its results look like."""
    found = answer_of("fidelity", run(tmp_path, {}), "Do maps change? More.")
    assert (found.question, found.verdict) == ("Do maps change?", "")


def test_success_is_given_with_its_interval(tmp_path):
    row = {"condition": "seen", "task": "all", "successes": 3, "trials": 4, "rate": 0.75}
    rows = [row | {"low": 0.3, "high": 0.95}, row | {"task": "lift", "low": 0, "high": 1}]
    found = answered("rollout", run(tmp_path, rows))
    assert found.verdict == "seen 3 of 4." and len(found.controls) == 1
    assert found.controls[0]["interval"] == "0.30 to 0.95"


def test_rows_that_are_not_there_are_no_error(tmp_path):
    assert answered("bench", run(tmp_path, {"rows": []})).controls == ()
    assert "fewer than three" in answered("fidelity", run(tmp_path, {"correlations": []})).verdict
