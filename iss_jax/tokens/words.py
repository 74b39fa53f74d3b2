"""From sentencepiece pieces to words: which word of the instruction moves the actions how far."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

PARTS = ("template", "instruction", "state")

_SPACE = "▁"


class PromptWord(NamedTuple):
    """A word of a prompt.

    >>> from iss_jax.tokens import PromptWord
    >>> PromptWord(text="milk", part="instruction", pieces=(4, 5)).pieces
    (4, 5)

    Attributes:
        text: As it is read.
        part: Of the prompt: `instruction`, `state` (the bins), or `template` (the words around
            them, marks, and special tokens).
        pieces: Places of its pieces in the prompt.
    """

    text: str
    part: str
    pieces: tuple[int, ...]


def prompt_words(tokenizer: Any, tokens: Int[np.ndarray, " l"], length: int) -> list[PromptWord]:
    """The words of a tokenised prompt (`iss_jax.pi05.tokenizer.prompt_text`).

    A word starts at a piece with a leading space, and at every change between letters or digits and
    marks, so that the comma after an instruction is a word of its own. Bytes that fell back count
    to the word they are in, and are read as UTF-8 together.

    >>> import numpy as np
    >>> from iss_jax import embedded, tokens
    >>> from iss_jax.policies.openpi import checkpoint_tokenizer
    >>> tokenizer = checkpoint_tokenizer(embedded.checkpoint_path())
    >>> ids = np.asarray(tokenizer.encode("pick up the milk", add_bos=True))
    >>> words = tokens.prompt_words(tokenizer, ids, len(ids))
    >>> [word.text for word in words if word.part == "instruction"]
    ['pick', 'up', 'the', 'milk']

    Args:
        tokenizer: Sentencepiece model.
        tokens: Ids.
        length: How many of them are valid.

    Raises:
        ValueError: A length that the prompt does not have.
    """
    if not 0 <= length <= len(tokens):
        raise ValueError(f"length {length} of {len(tokens)} tokens")
    words: list[tuple[bytes, list[int]]] = []
    special = []
    for place, token in enumerate(np.asarray(tokens)[:length].tolist()):
        if tokenizer.is_control(token):
            special.append((tokenizer.id_to_piece(token), [place]))
            continue
        piece = tokenizer.id_to_piece(token)
        starts = piece.startswith(_SPACE) or not words
        # The newline that ends a prompt without a state.
        text = "⏎" if "\n" in piece else piece.replace(_SPACE, " ").strip()
        data = text.encode()
        if tokenizer.is_byte(token):
            data = bytes([int(piece[3:-1], 16)])
            # Beyond ASCII a byte is only part of a letter, which is none of the marks.
            text = data.decode("ascii", "ignore")
            data = data if text.isprintable() else b""
            text = text if text.isprintable() else ""
        before = _read(words[-1][0]) if words else ""
        if text and before and _is_mark(text) != _is_mark(before):
            starts = True
        if starts:
            words.append((data, [place]))
        else:
            words[-1] = (words[-1][0] + data, [*words[-1][1], place])
    found = [PromptWord(text, "template", tuple(places)) for text, places in special]
    parts = _parts([_read(data) for data, _ in words])
    found += [
        PromptWord(_read(data), part, tuple(places))
        for (data, places), part in zip(words, parts, strict=True)
    ]
    return sorted(found, key=lambda word: word.pieces)


def _read(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _is_mark(text: str) -> bool:
    return bool(text) and not any(c.isalnum() for c in text)


def _parts(texts: Sequence[str]) -> list[str]:
    """The part of each word: `Task: <instruction>, State: <bins>; Action:`, or instruction only."""
    template = {"Task", "Task:", "State", "State:", "Action", "Action:"}
    has_template = bool(texts) and texts[0] in template
    part, parts = "instruction", []
    for index, text in enumerate(texts):
        follows = texts[index + 1] if index + 1 < len(texts) else ""
        if has_template and text in template and (index == 0 or part != "instruction"):
            part = "state" if text.startswith("State") else part
            part = "template" if text.startswith("Action") else part
            parts.append("template")
        elif has_template and text == "," and follows in ("State", "State:"):
            part = "state"
            parts.append("template")
        else:
            parts.append("template" if _is_mark(text) else part)
    return parts


def word_scores(
    words: Sequence[PromptWord], scores: Float[np.ndarray, "*b l"]
) -> Float[np.ndarray, "*b words"]:
    """Score of each word: the sum of its pieces', each of which was replaced on its own.

    >>> import numpy as np
    >>> from iss_jax.tokens import PromptWord, word_scores
    >>> words = [PromptWord("the", "instruction", (0,)), PromptWord("milk", "instruction", (1, 2))]
    >>> word_scores(words, np.array([1.0, 2.0, 0.5])).tolist()
    [1.0, 2.5]

    Args:
        words: From `prompt_words`.
        scores: Score of each prompt token, as `TokenSignificance.prompt`.
    """
    values = np.asarray(scores)
    return np.stack([values[..., list(word.pieces)].sum(-1) for word in words], axis=-1)
