"""The word plot: how far each word of a prompt moves the actions."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from iss_jax.extras import imports_of
from iss_jax.tokens.words import PARTS, PromptWord
from iss_jax.viz.picture import Figure

with imports_of("viz"):
    from matplotlib.axes import Axes

_COLOURS = dict(zip(PARTS, ("0.6", "C3", "C0"), strict=True))


def word_figure(
    words: Sequence[PromptWord],
    scores: Float[np.ndarray, " words"],
    *,
    title: str = "",
    ylabel: str = "action error when replaced",
) -> Figure:
    """A bar a word, in the order of the prompt, coloured by its part.

    Args:
        words: From `iss_jax.tokens.prompt_words`.
        scores: One a word, from `iss_jax.tokens.word_scores`.
        title: Above the bars.
        ylabel: What a score is.

    Returns:
        The figure, not yet saved or shown.

    Raises:
        ValueError: Not a score for each word.
    """
    figure = Figure(figsize=(max(4.0, 0.32 * len(words)), 3.2), dpi=120, layout="constrained")
    draw_words(figure.subplots(), words, scores)
    axes = figure.axes[0]
    axes.set(ylabel=ylabel)
    axes.set_title(title, fontsize=8, loc="left")
    return figure


def draw_words(
    axes: Axes, words: Sequence[PromptWord], scores: Float[np.ndarray, " words"]
) -> None:
    """The bars of `word_figure`, on axes of one's own."""
    values = np.asarray(scores, float)
    if values.shape != (len(words),):
        raise ValueError(f"scores: {list(values.shape)} given, [{len(words)} words] wanted")
    for part in PARTS:
        chosen = [index for index, word in enumerate(words) if word.part == part]
        if chosen:
            axes.bar(chosen, values[chosen], color=_COLOURS[part], label=part)
    axes.set_xticks(range(len(words)), [word.text for word in words], rotation=60, ha="right")
    axes.tick_params(axis="x", labelsize=7)
    axes.legend(fontsize=7, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
