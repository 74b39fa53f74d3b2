"""Captions are found by the figure's name, the run's own first."""

from iss_jax.jobs.captions import caption_of


def test_the_first_pattern_that_holds_speaks():
    assert caption_of("figures/nmr_at_k.png") == "NMR against success at the other values of k."
    assert "a point a task" in caption_of("figures/nmr_at_10.png")
    assert caption_of("figures/nmr_at_10.png", {"nmr_at_10.png": "Own."}) == "Own."
    assert caption_of("figures/unheard_of.png") == ""
