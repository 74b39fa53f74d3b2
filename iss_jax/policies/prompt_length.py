"""How many tokens the prompts of a dataset take: measured, so that none is cut or padded in vain.

A prompt that tells the state differs in length from frame to frame. No prompt is longer than with
every bin of the state at its last, three-digit value.
"""

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from iss_jax.data.dataset import Dataset
from iss_jax.pi05.tokenizer import tokenize_prompt

# Lengths are rounded up to a multiple of this, so that like datasets share a compiled program.
ROUNDED_TO = 8


def longest_prompt(
    tokenizer: Any, prompts: Iterable[str], state_size: int | None, *, most: int
) -> int:
    """Tokens of the longest of some prompts, at most `most`.

    Args:
        tokenizer: as of `iss_jax.pi05.tokenizer.tokenize_prompt`.
        prompts: the instructions.
        state_size: numbers of the state that the prompts tell; None where they tell none.
        most: prompts are cut to this.

    Warns:
        UserWarning: a prompt is cut.
    """
    state = None if state_size is None else np.ones(state_size, np.float32)
    lengths = [int(tokenize_prompt(tokenizer, one, state, most)[1].sum()) for one in prompts]
    return max(lengths)


def measured_length(
    tokenizer: Any, dataset: Dataset, *, discrete_state_input: bool, most: int
) -> int:
    """What the longest prompt of a dataset needs, rounded up, at most the robot's own.

    Args:
        tokenizer: of the policy.
        dataset: the episodes.
        discrete_state_input: whether the prompts tell the state.
        most: `max_token_len` of the robot. A longer prompt is cut there, as the policy cuts it.

    Warns:
        UserWarning: a prompt is longer than that; once, of the longest.
    """
    prompts = {
        prompt for episode in range(len(dataset)) for prompt in dataset.metadata(episode)["tasks"]
    }
    state_size = dataset.state_size if discrete_state_input else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        needed = longest_prompt(tokenizer, prompts or {""}, state_size, most=most + 1)
    if needed > most:
        warnings.warn(
            f"{dataset.root}: prompts of more than {most} tokens, which is what the robot takes; "
            "their ends are cut, as the policy itself cuts them",
            stacklevel=2,
        )
    return min(-(-needed // ROUNDED_TO) * ROUNDED_TO, most)
