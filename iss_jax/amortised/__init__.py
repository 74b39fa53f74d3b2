"""A map in one pass: a small head on what the policy computes anyway.

>>> from iss_jax import embedded
>>> from iss_jax.amortised import load_head, predict
>>> head = load_head(embedded.head_path())
>>> head.members, head.grid
(4, (7, 7))
"""

from iss_jax.amortised.head import Head, contrasts_of_members, init_head
from iss_jax.amortised.head_file import load_head, save_head
from iss_jax.amortised.one_pass import Predicted, features_of, predict
from iss_jax.amortised.trust import agreement_with_runs

__all__ = [
    "Head",
    "Predicted",
    "agreement_with_runs",
    "contrasts_of_members",
    "features_of",
    "init_head",
    "load_head",
    "predict",
    "save_head",
]
