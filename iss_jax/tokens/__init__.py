"""Interventions on single tokens of the prefix, visual and language ones (Sec. 4.1, Eq. 4 to 6).

- `token_significance`: exact, one run a token.
- `sampled_token_significance`: unbiased for the same scores, from runs of some of the tokens and
  gradients; with standard errors, also of sums over tokens (`significance_total`).
- `linear_token_significance`: first order, from gradients alone.
- `masked_token_significance`: Algorithm 1 in token space. Another quantity: the expected effect
  when a token is replaced and others are at random, which tends to the exact score only where
  nearly all others are kept.
- `prompt_words`, `word_scores`: from sentencepiece pieces to the words of the instruction.
"""

from iss_jax.tokens.exact import token_significance
from iss_jax.tokens.gradient import linear_token_significance
from iss_jax.tokens.masked import MaskedSignificance, masked_token_significance
from iss_jax.tokens.means import TokenMeans, mean_embeddings
from iss_jax.tokens.prefix import TokenSignificance
from iss_jax.tokens.sampled import (
    SampledSignificance,
    sampled_token_significance,
    significance_total,
)
from iss_jax.tokens.words import PromptWord, prompt_words, word_scores

__all__ = [
    "MaskedSignificance",
    "PromptWord",
    "SampledSignificance",
    "TokenMeans",
    "TokenSignificance",
    "linear_token_significance",
    "masked_token_significance",
    "mean_embeddings",
    "prompt_words",
    "sampled_token_significance",
    "significance_total",
    "token_significance",
    "word_scores",
]
