"""How often a program is traced, told by a function that each trace calls once."""

import contextlib
import functools
from collections.abc import Iterator
from types import ModuleType

import chex
import pytest


@contextlib.contextmanager
def traced_at_most(n: int, module: ModuleType, name: str) -> Iterator[None]:
    """Fails where more than n traces call `module.name`, and, unless n is 0, where none does."""
    seen = []
    function = getattr(module, name)

    @functools.wraps(function)
    def called(*args, **kwargs):
        seen.append(name)
        return function(*args, **kwargs)

    chex.clear_trace_counter()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, chex.assert_max_traces(called, n))
        yield
    assert seen or n == 0, f"no trace has called {name}: compiled before, or no longer used"
