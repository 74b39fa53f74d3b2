"""What an explained run says first, against its rows."""

from iss_jax.explain.answer import explain_answer


def row(episode, nmr, k=10.0, **changes):
    found = {"episode": episode, "success": True, "k": k, "nmr": nmr, "chance": 0.4, "random": 0.41}
    return found | changes


def test_maps_are_compared_with_chance_over_all_episodes():
    content = {
        "episodes": [row(0, 0.2), row(0, 0.9, k=5.0), row(3, 0.4, success=None)],
        "acts_on": [{"episode": 0, "frame": 4, "acts_on": "bowl 41 ± 5 %"}],
    }
    found = explain_answer(content)
    assert "In frame 4 of episode 0 it acts on bowl 41 ± 5 %." in found.verdict
    # The first k alone: (0.2 + 0.4) / 2.
    # Neither more nor less than chance is claimed: no error of it is known.
    assert "most salient 10 % of the pixels 30 % are nuisance; of random maps it is 40 % on" in (
        found.verdict
    )
    assert [one["outcome"] for one in found.controls] == ["success", "not known"]
    assert found.controls[0]["NMR@10"] == "0.20" and found.controls[0]["random maps"] == "0.41"


def test_without_labels_it_is_said():
    content = {
        "episodes": [row(0, None, k=None)],
        "without_nmr": "episodes [0]: no region labels of all cameras",
    }
    found = explain_answer(content)
    assert found.verdict == "No NMR of episodes [0]: no region labels of all cameras."
    assert found.controls == []
