"""Prompts are as long as they are."""

import dataclasses
import warnings

import pytest

from iss_jax.policies.prompt_length import longest_prompt, measured_length


class Words:
    """A token a word, and one that begins the text."""

    def encode(self, text, *, add_bos):
        return [1] * (add_bos + len(text.split()) + text.count("\n"))


@dataclasses.dataclass
class Dataset:
    prompts: list
    state_size: int = 3
    root: str = "mine"

    def __len__(self):
        return len(self.prompts)

    def metadata(self, index):
        return {"tasks": self.prompts[index]}


def test_the_longest_prompt_and_the_state_that_it_tells():
    # The beginning, the words, and a newline.
    assert longest_prompt(Words(), ["go", "open the door"], None, most=50) == 5
    # "Task: open the door, State: 255 255 255;\nAction: " and its newline.
    assert longest_prompt(Words(), ["go", "open the door"], 3, most=50) == 1 + 9 + 1


def test_lengths_are_rounded_up_and_never_beyond_the_robots():
    mine = Dataset([["go"], ["go", "a b c d e f g h"]])
    assert measured_length(Words(), mine, discrete_state_input=False, most=200) == 16
    assert measured_length(Words(), mine, discrete_state_input=True, most=200) == 16
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert measured_length(Words(), mine, discrete_state_input=False, most=10) == 10
    with pytest.warns(UserWarning, match="mine: prompts of more than 9 tokens"):
        assert measured_length(Words(), mine, discrete_state_input=False, most=9) == 9
