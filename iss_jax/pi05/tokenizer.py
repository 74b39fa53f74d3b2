"""Prompts: the text π0.5 reads, its state bins, and the sentencepiece model that cuts it."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from etils import epath

from iss_jax.checks import check_text
from iss_jax.few import few

if TYPE_CHECKING:
    import sentencepiece

FILE_NAME = "paligemma_tokenizer.model"
NUM_BINS = 256


def load_tokenizer(path: epath.PathLike | None = None) -> sentencepiece.SentencePieceProcessor:
    """Open a sentencepiece model.

    Args:
      path: the `.model` file, or a folder that holds exactly one. None looks where openpi caches
        PaliGemma's: `$OPENPI_DATA_HOME` or `~/.cache/openpi`, under `big_vision/`.

    Raises:
      FileNotFoundError: nothing there; the message says how to get PaliGemma's.
    """
    if path is None:
        home = os.environ.get("OPENPI_DATA_HOME", "~/.cache/openpi")
        file = epath.Path(home).expanduser() / "big_vision" / FILE_NAME
        if not file.exists():
            raise FileNotFoundError(
                f"{file}: no tokenizer. Give the path of {FILE_NAME}, or copy "
                f"gs://big_vision/{FILE_NAME} there (openpi does so on its first run; it looks in "
                "$OPENPI_DATA_HOME, then ~/.cache/openpi)"
            )
    else:
        file = epath.Path(path)
        if file.is_dir():
            models = sorted(str(child) for child in file.glob("*.model"))
            if len(models) != 1:
                raise FileNotFoundError(f"{file}: wanted one .model file here, found {few(models)}")
            file = epath.Path(models[0])
        elif not file.exists():
            raise FileNotFoundError(f"{file}: no tokenizer file here")
    return open_tokenizer(file.read_bytes())


def open_tokenizer(proto: bytes) -> sentencepiece.SentencePieceProcessor:
    """A processor from a serialised sentencepiece model."""
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_proto=proto)


def state_bins(state: Any) -> np.ndarray:
    """Normalised state -> bins 0…255 of [−1, 1]; below −1 is bin −1, as in openpi."""
    edges = np.linspace(-1, 1, NUM_BINS + 1)[:-1]
    return np.digitize(np.asarray(state), edges) - 1


def prompt_text(prompt: str, state: Any | None = None) -> str:
    """The text that π0.5 reads: task and discrete state, or the task alone.

    Args:
      prompt: the instruction; stripped, '_' and newlines become spaces.
      state: [s] normalised state at its native dimension, or None (pi05_libero).

    Raises:
      ValueError: the prompt is no text.
    """
    task = check_text("prompt", prompt).strip().replace("_", " ").replace("\n", " ")
    if state is None:
        return task
    bins = " ".join(str(i) for i in state_bins(state))
    return f"Task: {task}, State: {bins};\nAction: "


def tokenize_prompt(
    tokenizer: Any, prompt: str, state: Any | None, max_len: int
) -> tuple[np.ndarray, np.ndarray]:
    """Prompt and state -> ids and validity.

    Args:
      tokenizer: anything with sentencepiece's `encode(text, add_bos=...)`.
      prompt: the instruction.
      state: [s] normalised state, or None for a model whose state is no input; the prompt then
        ends in a separately encoded newline.
      max_len: length to pad (id 0) or cut to.

    Returns:
      ids int32 [max_len], mask bool [max_len].

    Warns:
      UserWarning: the prompt is longer than `max_len`; its end, which holds the state, is lost.
    """
    text = prompt_text(prompt, state)
    ids = list(tokenizer.encode(text, add_bos=True))
    if state is None:
        ids += list(tokenizer.encode("\n", add_bos=False))
    if len(ids) > max_len:
        warnings.warn(f"prompt {prompt!r}: {len(ids)} tokens cut to {max_len}", stacklevel=2)
        ids = ids[:max_len]
    tokens = np.zeros(max_len, np.int32)
    tokens[: len(ids)] = ids
    return tokens, np.arange(max_len) < len(ids)


def tokenize_prompts(
    tokenizer: Any, prompts: Sequence[str], states: Any | None, max_len: int
) -> tuple[np.ndarray, np.ndarray]:
    """`tokenize_prompt` over a batch: ids [b, max_len], mask [b, max_len]."""
    rows = [
        tokenize_prompt(tokenizer, prompt, None if states is None else states[i], max_len)
        for i, prompt in enumerate(prompts)
    ]
    return np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows])


def train_tokenizer(prompts: Sequence[str]) -> bytes:
    """A small sentencepiece model for a closed set of instructions.

    Every word of the instructions and every state bin is one token, so that prompts are short.
    Other text falls back to characters and bytes.

    Args:
      prompts: the instructions.

    Returns:
      The serialised model, to be written to a `.model` file.
    """
    import sentencepiece

    words = sorted({word for prompt in prompts for word in prompt.split()})
    pieces = [f"▁{word}" for word in words]
    numbers = [f"▁{i}" for i in range(-1, NUM_BINS)]
    symbols = ["▁Task:", ",", "▁State:", ";", "▁Action:", *numbers, *pieces]
    corpus = [prompt_text(prompt, np.zeros(1)) for prompt in prompts]
    corpus += [" ".join("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-'0123456789")]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus),
        model_writer=model,
        model_type="bpe",
        vocab_size=len(symbols) + 256 + 128,
        user_defined_symbols=symbols,
        byte_fallback=True,
        hard_vocab_limit=False,
        add_dummy_prefix=True,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        minloglevel=2,
    )
    return model.getvalue()
