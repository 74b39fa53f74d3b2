"""`Sampling` and `Savings`: hashable, checked, honoured by every analysis that runs a policy."""

import dataclasses
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import iss_jax
from iss_jax import Sampling, Savings, baselines, tokens
from iss_jax.pi05 import model
from iss_jax.pi05.observation import VIEWS
from tests import test_pi05_saliency as tiny_pi05

params = tiny_pi05.params
MEANS = tokens.TokenMeans(jnp.zeros(16), jnp.zeros(16))
ANALYSES = {
    "saliency": lambda *call, **options: iss_jax.saliency(
        *call, config=iss_jax.ISSConfig(num_masks=2, estimator="gradient", keep_prob=0.5), **options
    ),
    "input_gradient": baselines.input_gradient,
    "integrated_gradients": baselines.integrated_gradients,
    "token_significance": lambda *call, **options: tokens.token_significance(
        *call, MEANS, **options
    ),
    "linear_token_significance": lambda *call, **options: tokens.linear_token_significance(
        *call, MEANS, **options
    ),
}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "Sampling.num_steps must be an integer >= 1, got 0"),
        ({"num_steps": 2.0}, "Sampling.num_steps must be an integer >= 1, got 2.0"),
        ({"num_steps": True}, "Sampling.num_steps must be an integer >= 1, got True"),
        ({"dtype": jnp.int32}, "Sampling.dtype must be a floating dtype, got .*int32"),
        ({"dtype": "half a float"}, "Sampling.dtype must be a floating dtype, got 'half a float'"),
        ({"rematerialise": 1}, "Sampling.rematerialise must be True or False, got 1"),
        ({"savings": None}, "Sampling.savings must be iss_jax.Savings, got None"),
    ],
)
def test_errors_name_the_attribute(options, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**options)


def test_a_saving_is_on_or_off():
    with pytest.raises(ValueError, match=r"Savings\.modulate_once must be True or False, got 1"):
        Savings(modulate_once=1)  # pyright: ignore[reportArgumentType]


def test_equal_options_are_one_key_of_a_program():
    """One dtype has many names; each would be a compilation."""
    spellings = {Sampling(dtype=d) for d in (jnp.bfloat16, "bfloat16", jnp.dtype("bfloat16"))}
    assert len(spellings) == 1
    assert Sampling().resolved(jnp.dtype("float32")) == Sampling(dtype=np.float32)
    assert Sampling(dtype="bfloat16").resolved("float32").dtype == jnp.bfloat16
    assert Savings.none(trim_prompt=True) != Savings.none()
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sampling().num_steps = 3  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    "function",
    [
        iss_jax.saliency,
        baselines.input_gradient,
        baselines.integrated_gradients,
        tokens.token_significance,
        model.sample_actions,
        model.prefill,
        model.denoise,
    ],
)
def test_no_function_takes_a_part_of_it_beside_it(function):
    names = set(inspect.signature(function).parameters)
    assert "sampling" in names
    assert not names & {field.name for field in dataclasses.fields(Sampling)}


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_does_as_it_says(params, name):
    """Read off the traced program: 12 image tokens and 40 of the prompt, or 8 and 16."""
    obs = tiny_pi05.observation(image_masks={v: np.full(2, v != VIEWS[1]) for v in VIEWS})

    def program(sampling):
        def call(params):
            return ANALYSES[name](params, obs, noise=tiny_pi05.NOISE, sampling=sampling)

        return str(jax.make_jaxpr(call)(params))

    plain = program(Sampling())
    changed = program(Sampling(7, jnp.bfloat16, rematerialise=True, savings=Savings.none()))
    for text, is_in in ((plain, True), (changed, False)):
        assert ("length=10" in text, "length=7" in text) == (is_in, not is_in)
        assert ("52,16]" in text) is not is_in
        assert ("bf16[" in text) is not is_in
    assert changed.count("remat") > plain.count("remat")
