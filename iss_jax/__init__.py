"""Interventional saliency of vision-language-action policies (ISS, NMR) in JAX."""

from iss_jax import baselines, perturbations
from iss_jax.adaptive import Adaptive, attribute_until, saliency_until
from iss_jax.attribution import attribute
from iss_jax.config import ISSConfig
from iss_jax.nmr import (
    CriticalSet,
    Region,
    chance_level,
    critical_set,
    mass_ratio,
    nuisance_mass_ratio,
    regional_mass_ratio,
)
from iss_jax.pi05_saliency import saliency
from iss_jax.results import Saliency
from iss_jax.savings import Savings
from iss_jax.sharding import device_mesh, fsdp, mask_mesh
from iss_jax.strides import interpolate, stream, stride_frames
from iss_jax.tokens import (
    MaskedSignificance,
    SampledSignificance,
    TokenMeans,
    TokenSignificance,
    linear_token_significance,
    masked_token_significance,
    mean_embeddings,
    sampled_token_significance,
    significance_total,
    token_significance,
)

__version__ = "0.1.0"

__all__ = [
    "Adaptive",
    "CriticalSet",
    "ISSConfig",
    "MaskedSignificance",
    "Region",
    "Saliency",
    "SampledSignificance",
    "Savings",
    "TokenMeans",
    "TokenSignificance",
    "attribute",
    "attribute_until",
    "baselines",
    "chance_level",
    "critical_set",
    "device_mesh",
    "fsdp",
    "interpolate",
    "linear_token_significance",
    "mask_mesh",
    "masked_token_significance",
    "mass_ratio",
    "mean_embeddings",
    "nuisance_mass_ratio",
    "perturbations",
    "regional_mass_ratio",
    "saliency",
    "saliency_until",
    "sampled_token_significance",
    "significance_total",
    "stream",
    "stride_frames",
    "token_significance",
]
