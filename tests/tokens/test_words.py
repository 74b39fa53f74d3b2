"""Words from sentencepiece pieces."""

import numpy as np
import pytest

from iss_jax import embedded
from iss_jax.pi05.tokenizer import load_tokenizer, prompt_text, tokenize_prompt
from iss_jax.tokens import prompt_words, word_scores


class Pieces:
    """A tokenizer whose ids are places in a list of pieces."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces

    def id_to_piece(self, token: int) -> str:
        return self.pieces[token]

    def is_control(self, token: int) -> bool:
        return self.pieces[token].startswith("<s")

    def is_byte(self, token: int) -> bool:
        return self.pieces[token].startswith("<0x")

    def words(self):
        return prompt_words(self, np.arange(len(self.pieces)), len(self.pieces))


def test_words_of_the_embedded_policy_are_those_of_its_prompt():
    tokenizer = load_tokenizer(next(iter((embedded.checkpoint_path() / "assets").glob("*.model"))))
    state = np.array([-1.0, 0.0, 1.0])
    instruction = "pick up the black bowl and place it on the plate"
    ids, mask = tokenize_prompt(tokenizer, instruction, state, 48)
    words = prompt_words(tokenizer, ids, int(mask.sum()))
    by_part = {
        part: [word.text for word in words if word.part == part]
        for part in ("instruction", "state", "template")
    }
    assert by_part["instruction"] == instruction.split()
    assert by_part["state"] == ["0", "128", "255"]
    assert by_part["template"] == ["<s>", "Task:", ",", "State:", ";", "Action:"]
    # Every piece belongs to one word, in order.
    assert [piece for word in words for piece in word.pieces] == list(range(int(mask.sum())))
    assert "Task: " + instruction in prompt_text(instruction, state)


def test_pieces_of_a_word_are_joined_and_marks_stand_alone():
    words = Pieces(
        "<s>", "Task", ":", "▁put", "▁ket", "ch", "up", ",", "▁State", ":", "▁", "1", "2", "▁7", ";"
    ).words()
    assert [(word.text, word.part) for word in words] == [
        ("<s>", "template"),
        ("Task", "template"),
        (":", "template"),
        ("put", "instruction"),
        ("ketchup", "instruction"),
        (",", "template"),
        ("State", "template"),
        (":", "template"),
        ("12", "state"),
        ("7", "state"),
        (";", "template"),
    ]
    assert words[4].pieces == (4, 5, 6) and words[8].pieces == (10, 11, 12)
    scores = word_scores(words, np.arange(15.0)[None])
    assert scores.shape == (1, 11) and scores[0, 4] == 4 + 5 + 6


def test_a_prompt_without_state_is_instruction_up_to_its_newline():
    words = Pieces("<s>", "open", "▁the", "▁", "<0x7A>", "<0x6F>", "▁box", "\n").words()
    assert [(word.text, word.part) for word in words] == [
        ("<s>", "template"),
        ("open", "instruction"),
        ("the", "instruction"),
        ("zo", "instruction"),
        ("box", "instruction"),
        ("⏎", "template"),
    ]


def test_bytes_of_a_letter_are_read_together():
    words = Pieces("<s>", "▁caf", "<0xC3>", "<0xA9>", "s", "▁o", "<0xE7>", "\n").words()
    # The second letter lacks its other bytes.
    assert [word.text for word in words] == ["<s>", "cafés", "o\ufffd", "⏎"]
    assert words[1].pieces == (1, 2, 3, 4)


def test_a_length_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="length 3 of 2 tokens"):
        prompt_words(Pieces("a", "b"), np.arange(2), 3)
