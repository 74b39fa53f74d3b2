"""LoRA leaves: openpi's scaling, merging, adding."""

import chex
import goldens
import jax
import numpy as np
import pytest

from iss_jax.pi05 import lora, model, params as P
from iss_jax.pi05.observation import preprocess

sample = jax.jit(model.sample_actions)


def test_merged_equals_openpi():
    golden = goldens.arrays("tiny_c")
    merged = lora.merge_lora(goldens.raw_params("tiny_c"), vlm_alpha=8.0, action_alpha=8.0)
    assert len(P.flatten(merged)) == 51
    actions = sample(merged, preprocess(goldens.observation("tiny_c")), goldens.noise("tiny_c"))
    np.testing.assert_allclose(actions, golden["actions"], rtol=0, atol=goldens.ATOL)


def test_alpha_matters_for_attention_only():
    """With alpha = rank openpi's golden is missed: the scaling is really applied."""
    golden = goldens.arrays("tiny_c")
    obs, noise = preprocess(goldens.observation("tiny_c")), goldens.noise("tiny_c")
    unscaled = sample(goldens.raw_params("tiny_c"), obs, noise)
    assert np.abs(unscaled - golden["actions"]).max() > 100 * goldens.ATOL

    def factor(path):
        # alpha 8 over ranks 4 (VLM) and 2 (action expert).
        if "/attn/" in path and path.endswith("lora_b"):
            return 4.0 if "_1/" in path.split("/attn/")[1] else 2.0
        return 1.0

    raw = P.flatten(goldens.raw_params("tiny_c"))
    expected = P.unflatten({path: factor(path) * leaf for path, leaf in raw.items()})
    chex.assert_trees_all_equal(goldens.params("tiny_c"), expected)


def test_adding_changes_nothing_until_trained():
    params = goldens.raw_params("tiny_b")
    adapted = lora.add_lora(params, jax.random.key(0), vlm_rank=4, action_rank=2)
    sizes = P.sizes_of(adapted)
    assert (sizes.vlm.ffn_rank, sizes.action.ffn_rank) == (4, 2)
    assert len(P.flatten(adapted)) == 71
    obs, noise = preprocess(goldens.observation("tiny_b")), goldens.noise("tiny_b")
    np.testing.assert_array_equal(sample(adapted, obs, noise), sample(params, obs, noise))


def test_scaling_needs_lora():
    with pytest.raises(ValueError, match="no attention LoRA leaves"):
        lora.scale(goldens.raw_params("tiny_b"), vlm_alpha=8.0, action_alpha=8.0)


def test_merge_without_lora_is_the_identity():
    params = goldens.raw_params("tiny_b")
    chex.assert_trees_all_equal(lora.merge_lora(params), params, strict=True)
