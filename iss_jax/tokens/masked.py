"""Algorithm 1 in token space: random sets of tokens replaced at once."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Unpack

import jax
from jaxtyping import Array, Bool, Float, Key

from iss_jax import estimators
from iss_jax.masks import sample_masks
from iss_jax.records import Record, record
from iss_jax.tokens.means import TokenMeans
from iss_jax.tokens.prefix import (
    Example,
    Layout,
    Options,
    RunOptions,
    TokenSignificance,
    checked_call,
    each_example,
    replaced_effects,
    significance,
    split,
)


@record
class MaskedSignificance(Record):
    """Expected effects of replacing a token while others are at random.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> from iss_jax import tokens
    >>> means = tokens.mean_embeddings(policy.params, [obs])
    >>> found = tokens.masked_token_significance(
    ...     policy.params, obs, means, num_masks=10, action_horizon=16
    ... )
    >>> scores, errors = found.scores.views["base_0_rgb"], found.stderr["base_0_rgb"]
    >>> scores.shape == errors.shape
    True

    Attributes:
        scores: Estimates of Psi_i(p) = E[delta | token i replaced] (Eq. 11).
        stderr: View -> standard error of each image token's score. It holds the error of the mean
            effect, which all tokens share.
        stderr_prompt: Of each prompt token's.
        contrast_stderr: View -> standard error of each image token's difference to the mean over
            all tokens, which is what ranks tokens.
        contrast_stderr_prompt: Of each prompt token's.
        effects: Effect of each mask.
        masks: Keep bits, over the tokens that are run.
    """

    scores: TokenSignificance
    stderr: dict[str, Float[Array, "b t"]]
    stderr_prompt: Float[Array, "b l"]
    contrast_stderr: dict[str, Float[Array, "b t"]]
    contrast_stderr_prompt: Float[Array, "b l"]
    effects: Float[Array, "b n"]
    masks: Bool[Array, "n s"]

    def plot(
        self, index: int | tuple[int, ...] = 0, *, frames: Mapping[str, Any] | None = None
    ) -> Any:
        """The scores' maps, as `TokenSignificance.plot`."""
        return self.scores.plot(index, frames=frames)


def masked_token_significance(
    params: Any,
    obs: Any,
    means: TokenMeans,
    *,
    keep_prob: float = 0.9,
    num_masks: int = 200,
    design: str = "balanced",
    estimator: str = "centred",
    key: Key[Array, ""] | None = None,
    **run: Unpack[RunOptions],
) -> MaskedSignificance:
    """Algorithm 1 with masks over tokens, as it is printed: m in {0, 1}^(n1 + n2).

    Estimates Psi_i(p) of Eq. 11 by Eq. 12 or by its better variants (`iss_jax.estimators`). That is
    not the exact score of `token_significance`, which replaces one token and keeps all others: it
    tends to that as keep_prob goes to 1 (App. A.1), where hardly a mask replaces a given token, and
    its variance grows without bound.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> from iss_jax import tokens
    >>> means = tokens.mean_embeddings(policy.params, [obs])
    >>> found = tokens.masked_token_significance(
    ...     policy.params, obs, means, num_masks=10, action_horizon=16
    ... )
    >>> found.scores.maps["base_0_rgb"].shape, found.effects.shape
    ((1, 80, 80), (1, 10))

    Args:
        params: openpi's parameter tree, as for `saliency`.
        obs: Batched object with openpi's `Observation` attributes.
        means: Replacements, from `mean_embeddings`.
        keep_prob: p, the probability that a token is kept.
        num_masks: N.
        design: Mask design, see `iss_jax.masks`.
        estimator: See `iss_jax.estimators`.
        key: Key of masks and flow noise, `jax.random.key(0)` when None. The flow noise is that of
            `token_significance` with the same key.
        **run: The other options of `token_significance`.

    Raises:
        ValueError: As `token_significance`, `sample_masks` and `estimate`.
    """
    mask_key, noise_key = jax.random.split(jax.random.key(0) if key is None else key)
    call = checked_call(params, obs, means, noise_key, **run)
    assert call.obs.tokenized_prompt is not None
    tokens = call.layout.visual + call.obs.tokenized_prompt.shape[1]
    masks = sample_masks(
        mask_key, num_masks, 1, grid=(1, tokens), keep_prob=keep_prob, design=design
    ).reshape(num_masks, tokens)
    return _masked(*call, masks, keep_prob=keep_prob, design=design, estimator=estimator)


@partial(jax.jit, static_argnames=("layout", "options", "keep_prob", "design", "estimator"))
def _masked(
    params: Any,
    obs: Any,
    means: TokenMeans,
    noise: Array,
    layout: Layout,
    options: Options,
    masks: Array,
    *,
    keep_prob: float,
    design: str,
    estimator: str,
) -> MaskedSignificance:
    def analyse(example: Example, _: None) -> tuple[Array, ...]:
        effects, baseline = replaced_effects(params, example, masks, options)
        found = estimators.estimate(
            masks,
            effects,
            estimator=estimator,
            design=design,
            keep_prob=keep_prob,
            active=example.mask,
        )
        return found.scores, found.stderr, found.contrast_stderr, effects, baseline

    scores, stderr, contrast, effects, actions = each_example(
        analyse, params, obs, means, noise, layout, options.sampling
    )
    return MaskedSignificance(
        significance(scores, actions, layout, options),
        *split(stderr, layout),
        *split(contrast, layout),
        effects,
        masks,
    )
