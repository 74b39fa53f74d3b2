"""What a run says first: its question, the answer in a sentence, and the controls beside it."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iss_jax.data.atomic import write_bytes

NAME = "answer.json"
MOST_COLUMNS = 6
NOT_KNOWN = "not known"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the page of a run begins with.

    >>> Answer("Is it found?", "Yes, in 3 of 4 frames.", figure="found.png").question
    'Is it found?'

    Attributes:
        question: The title of the page.
        verdict: The answer, in a sentence or two; empty where there is none.
        controls: Rows of the table beside the figure, which hold what the answer is compared with:
            column -> text or number. Numbers that are not known are None.
        figure: Name of the figure that stands beside the table; the run's first when empty.
        captions: Name of a figure -> what it shows, where `iss_jax.jobs.captions` says nothing or
            not enough.

    Raises:
        ValueError: No question, or rows of other or of too many columns.
    """

    question: str
    verdict: str = ""
    controls: Sequence[Mapping[str, Any]] = ()
    figure: str = ""
    captions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.question.strip():
            raise ValueError("question: empty, one wanted")
        columns = [list(row) for row in self.controls]
        for own in columns:
            if own != columns[0] or len(own) > MOST_COLUMNS:
                raise ValueError(
                    f"controls: columns {own} given, those of the first row {columns[0]} wanted, "
                    f"{MOST_COLUMNS} at most"
                )


def write_answer(folder: Path, answer: Answer) -> Path:
    """Writes `answer.json`, which the run's page begins with.

    Args:
        folder: The run directory.
        answer: What it says.
    """
    content = dataclasses.asdict(answer)
    content["controls"] = [
        {name: None if _unknown(value) else value for name, value in row.items()}
        for row in answer.controls
    ]
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    write_bytes(folder / NAME, f"{text}\n".encode())
    return folder / NAME


def answer_from(content: Any, where: str) -> Answer | None:
    """The answer that a file held.

    Args:
        content: Of `answer.json`; None where there is none.
        where: What a message names.

    Raises:
        ValueError: It is no answer.
    """
    if content is None:
        return None
    names = {field.name for field in dataclasses.fields(Answer)}
    if not isinstance(content, dict) or not set(content) <= names:
        raise ValueError(f"{where}: cannot be read (keys of {sorted(names)} wanted)")
    try:
        return Answer(**content)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{where}: cannot be read ({error})") from error


def number(value: float | None, form: str = ".2f") -> str:
    """A number as texts hold it.

    >>> number(0.256), number(None), number(float("nan"))
    ('0.26', 'not known', 'not known')
    """
    return NOT_KNOWN if value is None or not math.isfinite(value) else format(value, form)


def percentage(value: float | None, error: float | None = None) -> str:
    """A share in per cent, with its standard error where one is known.

    >>> percentage(0.256), percentage(0.256, 0.041), percentage(None)
    ('26 %', '26 ± 4 %', 'not known')
    """
    if value is None or not math.isfinite(value):
        return NOT_KNOWN
    spread = "" if error is None or not math.isfinite(error) else f" ± {100 * error:.0f}"
    return f"{100 * value:.0f}{spread} %"


def interval(low: float | None, high: float | None, form: str = ".2f") -> str:
    """The ends of an interval as texts hold them.

    >>> interval(0.1, 0.25), interval(None, None)
    ('0.10 to 0.25', 'none')
    """
    ends = (low, high)
    if any(end is None or not math.isfinite(end) for end in ends):
        return "none"
    return f"{low:{form}} to {high:{form}}"


def _unknown(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
