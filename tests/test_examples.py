"""Every public function and class shows how it is used, in an example that runs."""

import doctest
import importlib
import inspect
import types

import pytest

import iss_jax

MODULES = (
    "iss_jax",
    "iss_jax.baselines",
    "iss_jax.fills",
    "iss_jax.perturbations",
    "iss_jax.players",
    "iss_jax.strides",
    "iss_jax.tokens",
    "iss_jax.stats.correlation",
    "iss_jax.stats.groups",
    "iss_jax.policies.callback",
    "iss_jax.policies.live",
    "iss_jax.policies.openpi",
    "iss_jax.policies.served",
)


def documented() -> dict[str, object]:
    """Full name -> function or class, of all public lists."""
    found: dict[str, object] = {"iss_jax": iss_jax}
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, types.FunctionType | type):
                found[f"{module.__name__}.{name}"] = value
    return found


def runnable(value: object) -> int:
    """Lines of the docstring's example that are run."""
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(value) or "")
    return sum(doctest.SKIP not in example.options for example in examples)


@pytest.mark.parametrize("name", documented())
def test_a_public_name_has_an_example(name):
    assert runnable(documented()[name]), f"{name}: an example in its docstring is wanted"


def test_an_example_that_is_skipped_is_none():
    def shown():
        """Shows.

        >>> 1 + 1  # doctest: +SKIP
        3
        """

    def run():
        """Runs.

        >>> 1 + 1
        2
        """

    assert (runnable(shown), runnable(run), runnable(None.__class__)) == (0, 1, 0)
