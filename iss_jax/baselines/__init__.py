"""The explanations that ISS is compared with: attention, token norm, gradients, a random control.

`attention` (ATT, App. E.2) and `token_norm` (NORM, App. E.3) are the paper's and look at the image
encoder alone: one pass, neither prompt nor actions. `input_gradient` and `integrated_gradients` go
through the sampled actions, as ISS does, with the flow noise that `saliency` would draw from the
same key. `random_map` deals true scores to random places.

Their maps are those of `Saliency`: one for each of the model's views at the model's image size,
zero where `valid` is False (absent views, padding), so that NMR is
`nuisance_mass_ratio(found.maps, regions, valid=found.valid)`.
"""

from iss_jax.baselines.control import random_map
from iss_jax.baselines.encoder import attention, token_norm
from iss_jax.baselines.explanation import Explanation
from iss_jax.baselines.gradient import input_gradient
from iss_jax.baselines.integrated import IntegratedGradients, integrated_gradients

__all__ = [
    "Explanation",
    "IntegratedGradients",
    "attention",
    "input_gradient",
    "integrated_gradients",
    "random_map",
    "token_norm",
]
