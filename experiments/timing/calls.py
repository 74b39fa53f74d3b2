"""The calls that are timed."""

from collections.abc import Callable, Mapping
from typing import Any

import iss_jax
from experiments.timing.subject import Subject


def saliency_call(
    subject: Subject, savings: iss_jax.Savings, config: Mapping[str, Any], micro_batch: int
) -> Callable[[Any], iss_jax.Saliency]:
    """The saliency map of the subject's observation, as a function of its parameters."""
    chosen = iss_jax.ISSConfig(**{"micro_batch": micro_batch or None, **config})

    def call(params: Any) -> iss_jax.Saliency:
        return iss_jax.saliency(
            params,
            subject.obs,
            noise=subject.noise,
            config=chosen,
            sampling=iss_jax.Sampling(savings=savings),
        )

    return call
