import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from iss_jax.option_types import check_types


@dataclasses.dataclass(frozen=True)
class Options:
    count: int = 1
    share: float = 0.5
    name: str = ""
    on: bool = False
    grid: tuple[int, int] = (1, 2)
    dims: int | tuple[int, ...] | None = None
    cameras: Mapping[str, int] = dataclasses.field(default_factory=dict)
    decode: Callable[[int], int] = int
    anything: Any = None


@pytest.mark.parametrize(
    "fine",
    [
        {"share": 1},
        {"grid": [3, 4]},
        {"dims": 3},
        {"dims": (3, 4)},
        {"cameras": {"a": 1}},
        {"anything": object()},
    ],
)
def test_values_of_their_types_pass(fine):
    check_types(Options(**fine))


@pytest.mark.parametrize(
    ("wrong", "wanted"),
    [
        ({"count": True}, "an integer, got True"),
        ({"count": 1.0}, r"an integer, got 1\.0"),
        ({"share": float("nan")}, "a finite number, got nan"),
        ({"share": "1"}, "a finite number, got '1'"),
        ({"name": None}, "text, got None"),
        ({"on": []}, r"True or False, got \[\]"),
        ({"grid": (1, 2, 3)}, "a tuple of 2, each an integer"),
        ({"dims": (1, None)}, "an integer or a tuple, each an integer or None"),
        ({"cameras": {"a": "b"}}, "a mapping from text to an integer"),
        ({"decode": 3}, "a function, got 3"),
    ],
)
def test_others_are_named(wrong, wanted):
    (field,) = wrong
    with pytest.raises(ValueError, match=rf"Options\.{field} must be {wanted}"):
        check_types(Options(**wrong))
