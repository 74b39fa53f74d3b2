"""Agreement of cheaper scores with exact ones, ranks of words, and a small run."""

import importlib
import json
import math

import numpy as np
import pytest
from command_line import smoke

from experiments import token_interventions
from experiments.single_frames.token_report import agreement_rows, share_rows, word_rows
from iss_jax.tokens import PromptWord
from iss_jax.viz.words import word_figure

EXACT = np.linspace(0.1, 2.0, 12)


def word(text: str, score: float, part: str = "instruction") -> dict:
    return {"text": text, "part": part, "pieces": [0], "score": score}


def result(scale: float, **changes) -> dict:
    return {
        "exact": (scale * EXACT).tolist(),
        "guesses": [(2.0 * scale * EXACT).tolist()] * 2,
        "masked": {"0.9": EXACT[::-1].tolist()},
        "probes": 4,
        "num_masks": 30,
        "views": {"base_0_rgb": float(scale * EXACT.sum())},
        "words": [word("pick", 1.0), word("the", 0.0), word("bowl", 4.0), word("x", 3.0, "state")],
        **changes,
    }


def test_a_guess_proportional_to_the_scores_makes_estimates_exact():
    budgets = ((2, 3, 4), (0, 6, 0))
    rows = agreement_rows(
        [result(1.0), result(2.0), result(3.0)], ["a", "b", "c"], budgets, 40, 2.0
    )
    found = {(row["method"], row["setting"]): row for row in rows}
    with_guess = found["unbiased", "2 top, 3 drawn, 4 probes"]
    # Five runs, and one forward pass and four gradients of two runs each.
    assert with_guess["cost"] == 5 + 1 + 4 * 2
    assert with_guess["pearson"] == pytest.approx(1) and with_guess["total_error"] < 1e-6
    blind = found["unbiased", "0 top, 6 drawn, 0 probes"]
    assert blind["cost"] == 6 and blind["pearson"] < 0.9 and blind["total_error"] > 0.01
    # Scores without outliers: the interval of the total is a fair one.
    assert blind["coverage"] > 0.8
    masked = found["masks over tokens", "p = 0.9"]
    assert masked["pearson"] == pytest.approx(-1) and masked["cost"] == 30
    linear = found["first order", "8 probes"]
    # Twice the scores: perfectly correlated, and off by as much as they are.
    assert linear["pearson"] == pytest.approx(1) and linear["relative_error"] == pytest.approx(1)


def test_words_are_ranked_within_their_instruction():
    classes = {"function": ("the",), "verb": ("pick",), "relation": ("on",)}
    rows = word_rows([result(1.0)] * 4, ["a", "b", "c", "d"], classes, 200)
    found = {row["words"]: row for row in rows}
    # The state's word does not count, and no instruction has a relation.
    assert set(found) == {"function", "verb", "object"}
    assert [found[name]["rank"] for name in ("function", "verb", "object")] == [0.0, 0.5, 1.0]
    assert found["object"]["relative_score"] == pytest.approx(4 / (5 / 3))
    assert found["object"]["instructions"] == 4
    assert abs(found["object"]["random_rank"] - 0.5) < 0.1
    # All four in first place by chance: one in 81, or in last place.
    assert 1 / 201 <= found["object"]["p_value"] < 0.1
    assert found["verb"]["p_value"] == 1.0


def test_shares_add_up_to_one():
    items = [{"group": "seen", "task": name} for name in "abc"]
    rows = share_rows([result(1.0)] * 3, items)
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    total = EXACT.sum() + 8
    assert {row["part"]: row["share"] for row in rows}["state"] == pytest.approx(3 / total)


def test_the_word_plot_has_a_bar_a_word():
    words = [PromptWord("Task:", "template", (0,)), PromptWord("pick", "instruction", (1,))]
    figure = word_figure(words, np.array([0.5, 2.0]), title="pick")
    axes = figure.axes[0]
    assert [bar.get_height() for bar in axes.patches] == [0.5, 2.0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Task:", "pick"]
    with pytest.raises(ValueError, match=r"\[3\] given, \[2 words\]"):
        word_figure(words, np.zeros(3))


@pytest.mark.parametrize("variant", ["embedded", "smoke", "paper"])
def test_configs_have_the_keys_of_the_options(variant: str) -> None:
    config = importlib.import_module("configs.token_interventions").get_config(variant)
    content = config.to_dict()
    del content["name"]
    token_interventions.Options(**content)


@pytest.mark.slow
def test_smoke_run_writes_tables_and_figures_and_resumes(tmp_path, monkeypatch):
    smoke("token_interventions", tmp_path)
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["frames"] == 2
    # Backwards, a product with weights is one product again, for no gradient of the weights is
    # wanted, and a product within attention is two.
    assert 1.0 < content["probe_price"] < 2.0
    by_method = {row["method"] for row in content["agreement"]}
    assert by_method == {"first order", "masks over tokens", "unbiased", "predicted"}
    assert all(math.isfinite(row["pearson"]) for row in content["agreement"])
    assert {row["words"] for row in content["words"]} >= {"function", "verb", "object"}
    for name in ("agreement.csv", "words.csv", "shares.csv", "figures/token_interventions.png"):
        assert (tmp_path / name).stat().st_size > 100
    assert len(list((tmp_path / "figures").glob("words_*.png"))) == 1
    table = (tmp_path / "agreement.csv").read_text()
    monkeypatch.setattr(token_interventions, "measure", None)
    config = importlib.import_module("configs.token_interventions").get_config("smoke")
    config.quiet = True
    token_interventions.main(config, tmp_path)
    assert (tmp_path / "agreement.csv").read_text() == table
