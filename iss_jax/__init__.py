"""Interventional saliency of vision-language-action policies (ISS, NMR) in JAX.

>>> import jax.numpy as jnp
>>> import iss_jax
>>> def policy(images):
...     return images["front"][:, :7].mean((1, 2))[:, None, :]
>>> sal = iss_jax.attribute(policy, {"front": jnp.linspace(0, 1, 588).reshape(14, 14, 3)})
>>> top, bottom = sal.cells[0, :3].mean(), sal.cells[0, 4:].mean()
>>> bool(top > bottom)
True

Everything public is in `__all__`; analyses of tokens are in `iss_jax.tokens`, streams of frames in
`iss_jax.strides`, other explanations in `iss_jax.baselines`.
"""

from iss_jax import baselines, faithfulness, fills, perturbations, players, strides, tokens
from iss_jax.adaptive import attribute_until, saliency_until
from iss_jax.adaptive_players import attribute_players_until, player_effects_until
from iss_jax.attribution import attribute
from iss_jax.background import Background, Groups
from iss_jax.config import ISSConfig
from iss_jax.critical import CriticalSet, critical_set
from iss_jax.effects import Effects
from iss_jax.effects_config import EffectsConfig
from iss_jax.nmr import (
    Region,
    chance_level,
    mass_ratio,
    nuisance_mass_ratio,
    regional_mass_ratio,
)
from iss_jax.nmr_effect import nmr_by_effect
from iss_jax.nuisance_share import NuisanceShare
from iss_jax.pi05_effects import player_effects
from iss_jax.pi05_saliency import saliency
from iss_jax.player_attribution import attribute_players
from iss_jax.players import Players
from iss_jax.policies.openpi import from_checkpoint
from iss_jax.results import Saliency
from iss_jax.sampling import Sampling, Savings
from iss_jax.sharding import device_mesh, fsdp

__version__ = "0.1.0"

__all__ = [
    "Background",
    "CriticalSet",
    "Effects",
    "EffectsConfig",
    "Groups",
    "ISSConfig",
    "NuisanceShare",
    "Players",
    "Region",
    "Saliency",
    "Sampling",
    "Savings",
    "__version__",
    "attribute",
    "attribute_players",
    "attribute_players_until",
    "attribute_until",
    "baselines",
    "chance_level",
    "critical_set",
    "device_mesh",
    "faithfulness",
    "fills",
    "from_checkpoint",
    "fsdp",
    "mass_ratio",
    "nmr_by_effect",
    "nuisance_mass_ratio",
    "perturbations",
    "player_effects",
    "player_effects_until",
    "players",
    "regional_mass_ratio",
    "saliency",
    "saliency_until",
    "strides",
    "tokens",
]
