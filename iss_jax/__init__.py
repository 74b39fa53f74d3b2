"""Interventional saliency of vision-language-action policies (ISS, NMR) in JAX."""

from iss_jax.attribution import ISSConfig, Saliency, attribute
from iss_jax.saliency import saliency

__all__ = ["ISSConfig", "Saliency", "attribute", "saliency"]
