"""The released π0.5, by its shapes and counts alone."""

from typing import Any

import jax
import jax.numpy as jnp

import iss_jax
from iss_jax.pi05 import flops, params as pi05

# (valid prompt tokens, present views, action horizon) of the released π0.5.
FORMS = {"full": (60, 3, 50), "libero": (20, 2, 10)}


def real_shares(savings: iss_jax.Savings, view_uses: float = 1.0) -> dict[str, float]:
    """FLOPs of a masked copy on the released sizes, in openpi's plain pass, for each form."""
    found = {}
    for form, (tokens, views, horizon) in FORMS.items():
        plain = flops.policy_flops(pi05.PI05, prompt_tokens=200, action_horizon=horizon)
        copy = flops.masked_copy_flops(
            pi05.PI05,
            savings,
            valid_tokens=tokens,
            present_views=views,
            action_horizon=horizon,
            view_uses=view_uses,
        )
        found[form] = copy.total / plain.total
    return found


def released_shapes() -> Any:
    """The released π0.5's parameters in bfloat16, as shapes."""
    return pi05.unflatten(
        {
            path: jax.ShapeDtypeStruct(shape, jnp.bfloat16)
            for path, shape in pi05.shapes(pi05.PI05).items()
        }
    )
