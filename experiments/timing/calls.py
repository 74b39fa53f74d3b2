"""The calls that are timed."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp

import iss_jax
from experiments.timing.subject import Subject
from iss_jax import nmr_effect


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


def nmr_call(subject: Subject, micro_batch: int) -> Callable[[Any], iss_jax.NuisanceShare]:
    """NMR by effect of the subject's observation, without its chance level.

    Its cost depends neither on labels nor on donors: thirds of each view are the regions, and
    mirrored frames the donors.
    """
    images = {view: jnp.asarray(image) for view, image in subject.obs.images.items()}
    regions = {
        view: jnp.broadcast_to(
            jnp.arange(image.shape[1])[:, None] * 3 // image.shape[1], image.shape[1:3]
        )[None]
        for view, image in images.items()
    }
    bank = iss_jax.Background(
        {
            view: jnp.concatenate([image[:, ::-1], image[:, :, ::-1]])
            for view, image in images.items()
        },
        regions={
            view: jnp.concatenate([labels[:, ::-1], labels]) for view, labels in regions.items()
        },
    )
    config = dataclasses.replace(nmr_effect.CONFIG, micro_batch=micro_batch or None)

    def call(params: Any) -> iss_jax.NuisanceShare:
        return iss_jax.nmr_by_effect(
            params,
            subject.obs,
            regions,
            bank,
            config=config,
            chance=False,
            action_horizon=subject.noise.shape[-2],
        )

    return call
