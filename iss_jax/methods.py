"""Every explanation of some frames, by name."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jaxtyping import Array, Float, Key

from iss_jax import ISSConfig, saliency
from iss_jax.baselines import (
    attention,
    input_gradient,
    integrated_gradients,
    random_map,
    token_norm,
)
from iss_jax.pi05.observation import Observation

Maps = dict[str, Float[Array, "b h w"]]


class Settings(NamedTuple):
    """What the explanations are computed with.

    Attributes:
        iss: of ISS.
        action_horizon: length of the action chunk.
        num_steps: denoising steps.
        probes: backward passes of `input_gradient`.
        gradient_masks: masks of ISS with the `gradient` estimator.
    """

    iss: ISSConfig
    action_horizon: int
    num_steps: int
    probes: int
    gradient_masks: int


METHODS = ("iss", "iss_gradient", "attention", "norm", "input_gradient", "integrated", "random")
TITLES = {
    "iss": "ISS",
    "iss_gradient": "ISS, gradient",
    "attention": "ATT",
    "norm": "NORM",
    "input_gradient": "input gradient",
    "integrated": "integrated gradients",
    "random": "random",
}


def explain(
    params: Any,
    obs: Observation,
    key: Key[Array, ""],
    methods: Sequence[str],
    settings: Settings,
) -> dict[str, Maps]:
    """Method to its maps of every view.

    Args:
        params: the policy.
        obs: the frames; padding is what the policy adds to them.
        key: of masks, flow noise, probes and random maps.
        methods: of `METHODS`.
        settings: what they are computed with.

    Raises:
        ValueError: a method that is not known.
    """
    unknown = sorted(set(methods) - set(METHODS))
    if unknown:
        raise ValueError(f"methods: {unknown} given, of {METHODS} wanted")
    iss = settings.iss
    call = {
        "key": key,
        "num_steps": settings.num_steps,
        "action_horizon": settings.action_horizon,
    }
    dims = {"action_dims": iss.action_dims, "horizon": iss.horizon}
    fewer = dataclasses.replace(iss, estimator="gradient", num_masks=settings.gradient_masks)
    found = {}
    if {"iss", "random"} & set(methods):
        found["iss"] = saliency(params, obs, config=iss, **call)
    compute: dict[str, Callable[[], Any]] = {
        "iss": lambda: found["iss"],
        "iss_gradient": lambda: saliency(params, obs, config=fewer, **call),
        "attention": lambda: attention(params, obs),
        "norm": lambda: token_norm(params, obs),
        "input_gradient": lambda: input_gradient(
            params, obs, num_probes=settings.probes, **dims, **call
        ),
        "integrated": lambda: integrated_gradients(params, obs, **dims, **call),
        "random": lambda: random_map(key, found["iss"]),
    }
    return {name: compute[name]().maps for name in methods}
