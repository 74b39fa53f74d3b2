"""Every method that explains a policy, by its name: the one way from a name to a map."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxtyping import Array, Bool, Float, Key

from iss_jax.baselines import (
    attention,
    input_gradient,
    integrated_gradients,
    random_map,
    token_norm,
)
from iss_jax.config import ISSConfig
from iss_jax.pi05.observation import Observation
from iss_jax.pi05_saliency import saliency
from iss_jax.results import Saliency
from iss_jax.sampling import Sampling

Maps = dict[str, Float[Array, "b h w"]]

TITLES = {
    "iss": "ISS",
    "iss_wide": "ISS, wide blur",
    "iss_gradient": "ISS, gradient",
    "attention": "ATT",
    "norm": "NORM",
    "gradient": "input gradient",
    "integrated": "integrated gradients",
    "random": "random",
}
"""Method -> what figures and tables call it."""

METHODS = tuple(TITLES)


class Settings(NamedTuple):
    """What the methods are computed with.

    Attributes:
        iss: Of ISS; its action dimensions, horizon and noise draws are every method's.
        action_horizon: Length of the action chunk.
        sampling: How the policy is run.
        probes: Backward passes of `gradient`.
        gradient_masks: Masks of `iss_gradient`.
        points: Of the path of `integrated`.
        wide_sigma: Blur of `iss_wide` in pixels of a frame 224 high.
    """

    iss: ISSConfig
    action_horizon: int
    sampling: Sampling = Sampling()
    probes: int = 8
    gradient_masks: int = 40
    points: int = 16
    wide_sigma: float = 224.0


def explain(
    method: str,
    params: Any,
    obs: Observation,
    *,
    key: Key[Array, ""],
    settings: Settings,
    noise: Float[Array, "b draws horizon dims"] | None = None,
    valid: Mapping[str, Bool[Array, "b h w"]] | None = None,
    iss: Saliency | None = None,
) -> Maps:
    """View -> the maps of one method, [b, h, w] in pixels of the policy's input.

    Args:
        method: Of `METHODS`.
        params: The policy's parameters.
        obs: The frames; padding is what the policy adds to them.
        key: Of masks, flow noise, probes and random maps.
        settings: What it is computed with.
        noise: Flow noise; drawn from the key when None.
        valid: Pixels that are picture, where the frames were letterboxed before.
        iss: ISS of the same frames where it is known: what `iss` returns, and whose scores `random`
            deals; computed when None.

    Raises:
        ValueError: A method that is not known.
    """
    config = settings.iss
    call = {
        "sampling": settings.sampling,
        "action_horizon": settings.action_horizon,
        "noise": noise,
        "valid": valid,
    }
    counted = {
        "action_dims": config.action_dims,
        "horizon": config.horizon,
        "noise_draws": config.noise_draws,
    }

    def found(**changes: Any) -> Saliency:
        return saliency(params, obs, key=key, config=dataclasses.replace(config, **changes), **call)

    compute: dict[str, Callable[[], Any]] = {
        "iss": lambda: found() if iss is None else iss,
        "iss_wide": lambda: found(blur_sigma=settings.wide_sigma),
        "iss_gradient": lambda: found(estimator="gradient", num_masks=settings.gradient_masks),
        "attention": lambda: attention(params, obs, valid=valid),
        "norm": lambda: token_norm(params, obs, valid=valid),
        "gradient": lambda: input_gradient(
            params, obs, key=key, num_probes=settings.probes, **counted, **call
        ),
        "integrated": lambda: integrated_gradients(
            params, obs, key=key, num_points=settings.points, **counted, **call
        ),
        "random": lambda: random_map(key, found() if iss is None else iss),
    }
    if method not in compute:
        raise ValueError(f"method {method!r} given, one of {METHODS} wanted")
    return compute[method]().maps
