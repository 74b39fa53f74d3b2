"""Floating-point operations of π0.5 and π0, counted by hand.

XLA's `cost_analysis` counts the body of a loop once, and layers and denoising steps are loops here.
Only matrix products are counted, 2·m·n·k each: the rest is below one per cent.
"""

from typing import NamedTuple

from iss_jax.pi05.observation import VIEWS
from iss_jax.pi05.params import Sizes
from iss_jax.pi05.prepare import trimmed_length
from iss_jax.sampling import Savings


class Flops(NamedTuple):
    """FLOPs of one sampled action chunk, by stage."""

    images: float
    prefix: float
    denoising: float

    @property
    def total(self) -> float:
        """All three."""
        return self.images + self.prefix + self.denoising


def policy_flops(
    sizes: Sizes,
    *,
    prompt_tokens: int,
    views: int = 3,
    action_horizon: int = 50,
    num_steps: int = 10,
    last_layer_keys_only: bool = False,
    rows: int = 1,
    view_uses: float = 1.0,
) -> Flops:
    """Count the forward pass of one observation.

    Args:
        sizes: the model.
        prompt_tokens: length of the prompt as computed: 200 padded, or its valid length.
        views: views that take tokens.
        action_horizon: length of the action chunk.
        num_steps: denoising steps.
        last_layer_keys_only: count what this package computes, which leaves out the last prefix
            layer's unused query, attention, output and feed-forward; False counts openpi's plain
            pass.
        rows: observations that share one adaRMS modulation, of which this one pays its part.
        view_uses: observations that share one image encoding.
    """
    image = sizes.image
    t, w = image.tokens, image.width
    block = 4 * 2 * t * w * w + 2 * 2 * t * t * w + 2 * 2 * t * w * image.mlp
    patches = 2 * t * (3 * image.patch**2) * w
    images = views / view_uses * (image.depth * block + patches + 2 * t * w * sizes.vlm.width)

    s, inner = views * t + prompt_tokens, sizes.heads * sizes.head_dim
    kv = 2 * sizes.kv_heads * sizes.head_dim

    def layer(tokens: int, keys: int, width: int, mlp: int) -> tuple[int, int]:
        projected = 2 * tokens * width * kv
        rest = 2 * 2 * tokens * width * inner + 2 * 2 * tokens * keys * inner
        return projected, rest + 3 * 2 * tokens * width * mlp

    keys_only, rest = layer(s, s, sizes.vlm.width, sizes.vlm.mlp)
    prefix = sizes.depth * keys_only + (sizes.depth - last_layer_keys_only) * rest

    h, w = action_horizon, sizes.action.width
    ends = 2 * 2 * h * sizes.action_dim * w
    if sizes.reads_state:
        # Time is mixed into every action token; the state's token is computed once.
        per_layer = sum(layer(h, s + 1 + h, w, sizes.action.mlp))
        ends += 2 * h * 3 * w * w
        once = sizes.depth * sum(layer(1, s + 1, w, sizes.action.mlp)) + 2 * sizes.action_dim * w
    else:
        modulation = 2 * w * 3 * w
        per_layer = sum(layer(h, s + h, w, sizes.action.mlp)) + 2 * modulation / rows
        ends += (2 * 2 * w * w + modulation) / rows
        once = 0
    denoising = num_steps * (sizes.depth * per_layer + ends) + once
    return Flops(float(images), float(prefix), float(denoising))


def masked_copy_flops(
    sizes: Sizes,
    savings: Savings = Savings(),
    *,
    valid_tokens: int,
    prompt_length: int = 200,
    present_views: int = 3,
    action_horizon: int = 50,
    num_steps: int = 10,
    rows: int = 32,
    view_uses: float = 1.0,
) -> Flops:
    """Count one masked copy of `iss_jax.saliency` with the savings that it makes.

    Args:
        sizes: the model.
        savings: those that are on.
        valid_tokens: tokens of the prompt before its padding.
        prompt_length: its length with padding.
        present_views: views that are there.
        action_horizon: length of the action chunk.
        num_steps: denoising steps.
        rows: of one micro-batch.
        view_uses: masked copies that share one masked view's encoding.
    """
    trimmed = min(prompt_length, trimmed_length(valid_tokens))
    return policy_flops(
        sizes,
        prompt_tokens=trimmed if savings.trim_prompt else prompt_length,
        views=present_views if savings.drop_absent_views else len(VIEWS),
        action_horizon=action_horizon,
        num_steps=num_steps,
        last_layer_keys_only=savings.last_layer_keys_only,
        rows=rows if savings.modulate_once else 1,
        view_uses=view_uses,
    )
