"""Whether an episode succeeded, as metadata say it: a truth value, 0 or 1, or a word."""

from __future__ import annotations

from collections.abc import Iterable

from iss_jax.data.dataset import Dataset
from iss_jax.few import short

SUCCESS = "success"
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def outcome(value: object, where: str) -> bool | None:
    """What a value says of success.

    >>> [outcome(value, "episode 3") for value in (True, "False", "0", "yes", 1, "", None)]
    [True, False, False, True, True, None, None]

    Args:
        value: True or False, 0 or 1, or one of the words true, false, yes, no, 0 and 1 in any case.
            None and an empty text say nothing.
        where: what it is of, for the message.

    Raises:
        ValueError: it is anything else; a text is not taken for True because it is one.
    """
    if value is None:
        return None
    if isinstance(value, str):
        word = value.strip().casefold()
        if not word:
            return None
        if word in _WORDS:
            return _WORDS[word]
    elif value in (0, 1):
        return bool(value)
    raise ValueError(
        f"{where}: success is {short(value, 80)}, one of true, false, 1, 0, yes and no wanted"
    )


def check_outcomes(dataset: Dataset, episodes: Iterable[int]) -> None:
    """Says that metadata of an episode say success in a way that is not understood.

    Args:
        dataset: the episodes.
        episodes: the numbers of those that are looked at.

    Raises:
        ValueError: as `outcome`; the message names the dataset and the episode.
    """
    for index in episodes:
        outcome(dataset.metadata(index).get(SUCCESS), f"{dataset.root}, episode {index}")
