"""What a run of NMR against success says first, against its correlations."""

import math

import pytest

from iss_jax.against_success.answer import nmr_answer


def entry(measure, r, p, **changes):
    found = {"measure": measure, "kind": "pearson", "r": r, "p_value": p, "n": 12}
    return found | {"reason": "", "bootstrap": [r - 0.1, r + 0.1]} | changes


def test_nmr_by_effect_leads_and_its_control_stands_beside():
    content = {
        "correlations": [
            entry("nmr@10", -0.1, 0.6, random={"mean": -0.02}),
            entry("nmr_effect", -0.7, 0.01),
            entry("nmr_effect_chance", 0.1, 0.8),
            entry("nmr_effect", -0.5, 0.01, kind="spearman"),
        ]
    }
    found = nmr_answer(content)
    assert found.verdict == (
        "Yes, they tell it: NMR by effect has r = -0.70 with success over 12 rows, p = 0.01."
    )
    assert [row["measure"] for row in found.controls] == [
        *("NMR by effect", "its control, labels shifted", "the paper's NMR@10")
    ]
    assert found.controls[0]["interval"] == "-0.80 to -0.60"
    assert found.controls[2]["r of random maps"] == "-0.02"
    assert found.figure == "nmr_by_effect.png"


@pytest.mark.parametrize(
    ("r", "p", "reason", "said"),
    [
        (-0.3, 0.2, "", "This run cannot tell: "),
        (0.8, 0.001, "", "No, the other way round: "),
        (math.nan, math.nan, "success does not vary", "Not known (success does not vary)."),
        (-0.3, math.nan, "2 clusters", "over 12 rows; 2 clusters."),
    ],
)
def test_what_a_run_cannot_tell_is_said(r, p, reason, said):
    content = {"correlations": [entry("nmr_effect", r, p, reason=reason)]}
    assert said in nmr_answer(content).verdict


def test_without_correlations_and_without_the_papers_k():
    assert "three rows or more" in nmr_answer({"correlations": []}).verdict
    found = nmr_answer({"correlations": [entry("nmr@3", -0.2, 0.4)]})
    assert found.controls[0]["measure"] == "nmr@3"
