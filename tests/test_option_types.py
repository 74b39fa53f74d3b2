import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import EffectsConfig, ISSConfig
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


def test_numbers_of_numpy_and_jax_become_pythons():
    found = Options(count=np.int64(3), share=np.float32(0.5), grid=np.array([7, 7]), dims=range(3))
    check_types(found)
    assert (found.count, found.share, found.grid, found.dims) == (3, 0.5, (7, 7), (0, 1, 2))
    assert type(found.count) is int and type(found.share) is float
    config = ISSConfig(action_weights=jnp.ones(7), action_dims=np.arange(7), num_masks=np.int64(9))
    dims, weights = tuple(range(7)), (1.0,) * 7
    assert config == ISSConfig(action_weights=weights, action_dims=dims, num_masks=9)
    hash(config)


@pytest.mark.parametrize("cls", [ISSConfig, EffectsConfig])
@pytest.mark.parametrize(
    "wrong",
    [
        {"action_dims": ()},
        {"action_dims": (0, 0)},
        {"action_dims": (-1,)},
        {"action_weights": ()},
        {"action_dims": 3, "action_weights": (1.0, 1.0)},
    ],
)
def test_dimensions_and_weights_that_cannot_be(cls, wrong):
    with pytest.raises(ValueError, match=rf"{cls.__name__}\.action_"):
        cls(**wrong)
