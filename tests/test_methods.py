"""One name, one method: which function it is, and with which options."""

import dataclasses

import pytest

from iss_jax import ISSConfig, baselines, methods
from iss_jax.methods import METHODS, TITLES, Settings, explain
from iss_jax.sampling import Sampling

ISS = ISSConfig(num_masks=10, action_dims=7, horizon=3)
SETTINGS = Settings(
    ISS, 4, Sampling(num_steps=2), probes=5, gradient_masks=3, points=6, wide_sigma=99.0
)


def recorded(name):
    def call(*args, **options):
        return baselines.Explanation({"view": (name, args, options)}, {})

    return call


@pytest.fixture
def functions(monkeypatch):
    """Gradients take minutes to compile, so none is called."""
    for name in (
        "saliency",
        "attention",
        "token_norm",
        "input_gradient",
        "integrated_gradients",
        "random_map",
    ):
        monkeypatch.setattr(methods, name, recorded(name))


def test_each_name_is_its_method(functions):
    call = {"key": "key", "noise": "noise", "valid": "valid"}
    sampled = call | {"sampling": Sampling(num_steps=2), "action_horizon": 4}
    counted = {"action_dims": 7, "horizon": 3, "noise_draws": 1}
    few = dataclasses.replace(ISS, estimator="gradient", num_masks=3)
    wide = dataclasses.replace(ISS, blur_sigma=99.0)
    expected = {
        "iss": ("saliency", {"config": ISS, **sampled}),
        "iss_wide": ("saliency", {"config": wide, **sampled}),
        "iss_gradient": ("saliency", {"config": few, **sampled}),
        "attention": ("attention", {"valid": "valid"}),
        "norm": ("token_norm", {"valid": "valid"}),
        "gradient": ("input_gradient", {"num_probes": 5, **counted, **sampled}),
        "integrated": ("integrated_gradients", {"num_points": 6, **counted, **sampled}),
    }
    assert set(TITLES) == set(METHODS) == {*expected, "random"}
    for name, (function, options) in expected.items():
        found = explain(name, "params", "obs", settings=SETTINGS, **call)
        assert found["view"] == (function, ("params", "obs"), options)


def test_random_maps_deal_the_scores_of_iss_known_or_computed(functions):
    def dealt(iss):
        return explain("random", "params", "obs", key="key", settings=SETTINGS, iss=iss)["view"]

    name, (key, of), _ = dealt(None)
    assert (name, key, of.maps["view"][0]) == ("random_map", "key", "saliency")
    assert dealt("known")[1] == ("key", "known")
    known = baselines.Explanation({"view": "known"}, {})
    found = explain("iss", "params", "obs", key="key", settings=SETTINGS, iss=known)
    assert found == {"view": "known"}


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="method 'magic' given, one of"):
        explain("magic", "params", "obs", key="key", settings=SETTINGS)
