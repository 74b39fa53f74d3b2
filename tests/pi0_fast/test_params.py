import dataclasses

import goldens
import jax
import numpy as np
import pytest

from iss_jax.pi0_fast import params as fast
from iss_jax.pi05 import params as pi05


def test_the_released_tree_is_what_is_no_action_expert():
    """The VLM's part of openpi's π0.5, which its π0-FAST shares leaf for leaf."""
    pi05_real = goldens.param_trees()["pi05_real"]
    wanted = {
        path: tuple(shape)
        for path, (shape, _) in pi05_real.items()
        if path.startswith("PaliGemma/img/")
        or (path.startswith("PaliGemma/llm/") and "_1/" not in f"{path}/")
    }
    assert fast.fast_shapes(fast.PI0_FAST) == wanted


def test_sizes_come_off_the_leaves():
    params = goldens.raw_params("fast_a")
    assert fast.is_fast(params)
    sizes = fast.fast_sizes_of(params)
    assert (sizes.vocab, sizes.depth, sizes.heads, sizes.vlm.width) == (512, 3, 4, 48)
    for other in ("tiny_a", "pi0_a"):
        assert not fast.is_fast(goldens.raw_params(other))
    adapted = dataclasses.replace(sizes, vlm=dataclasses.replace(sizes.vlm, attention_rank=2))
    structs = {
        path: jax.ShapeDtypeStruct(shape, np.float32)
        for path, shape in fast.fast_shapes(adapted).items()
    }
    assert fast.fast_sizes_of(pi05.unflatten(structs)) == adapted


def test_a_broken_tree_names_the_leaf():
    flat = pi05.flatten(goldens.raw_params("fast_a"))
    for path in ("PaliGemma/llm/layers/attn/q_einsum/w", "PaliGemma/llm/layers/mlp/linear"):
        with pytest.raises(ValueError, match=path):
            fast.fast_sizes_of(pi05.unflatten({k: v for k, v in flat.items() if k != path}))
