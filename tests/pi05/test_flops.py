"""The FLOP count against a count by hand and against XLA on loop-free pieces."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from iss_jax.pi05 import flops, model, params as P, siglip


def test_real_model():
    """openpi's own layers, counted one by one: 0.664, 3.975 and 0.389 TFLOP, in all 5.03."""
    count = flops.policy_flops(P.PI05, prompt_tokens=200)
    assert count.total == pytest.approx(5.03e12, rel=0.02)
    for got, wanted in zip(count, (0.664e12, 3.975e12, 0.389e12), strict=True):
        assert got == pytest.approx(wanted, rel=0.02)


def test_shares_that_trimming_and_dropping_save():
    """Those of the same count: 5.5 % of the prefix, 43 % for two views and a short prompt."""
    full = flops.policy_flops(P.PI05, prompt_tokens=200)
    ours = flops.policy_flops(P.PI05, prompt_tokens=200, last_layer_keys_only=True)
    assert 1 - ours.prefix / full.prefix == pytest.approx(0.055, abs=0.001)
    libero = flops.policy_flops(P.PI05, views=2, prompt_tokens=20, action_horizon=10)
    padded = flops.policy_flops(P.PI05, prompt_tokens=200, action_horizon=10)
    assert 1 - libero.total / padded.total == pytest.approx(0.43, abs=0.01)


def _measured(function, *args) -> float:
    cost = jax.jit(function).lower(*args).compile().cost_analysis()
    return (cost[0] if isinstance(cost, list) else cost)["flops"]


def test_against_xla_where_no_loop_repeats():
    """Depth 1 (images) and 2 (prefix: its scan runs once) so that loop bodies count right.

    Wide layers make matrix products dominate; 3 % is left for norms, softmax and activations.
    """
    sizes = P.Sizes(
        image=P.ImageTower(width=256, depth=1, mlp=512, heads=2, patch=16, tokens=64),
        vlm=P.Expert(width=512, mlp=2048),
        action=P.Expert(width=256, mlp=1024),
        depth=2,
        heads=2,
        kv_heads=1,
        head_dim=256,
        vocab=64,
        action_dim=8,
    )
    tree = P.unflatten(
        {k: jax.ShapeDtypeStruct(v, jnp.float32) for k, v in P.shapes(sizes).items()}
    )
    struct = jax.ShapeDtypeStruct
    count = flops.policy_flops(sizes, prompt_tokens=36, views=1, last_layer_keys_only=True)
    images = _measured(
        lambda p, x: siglip.encode(p["PaliGemma"]["img"], x).tokens,
        tree,
        struct((1, 128, 128, 3), jnp.float32),
    )
    assert images == pytest.approx(count.images, rel=0.03)
    prefix = model.Prefix(struct((1, 100, 512), jnp.float32), struct((1, 100), jnp.bool_))
    assert _measured(model.prefill, tree, prefix) == pytest.approx(count.prefix, rel=0.03)

    one = dataclasses.replace(sizes, depth=1)
    tree = P.unflatten({k: struct(v, jnp.float32) for k, v in P.shapes(one).items()})
    cache = model.Cache(*(struct((1, 1, 100, 1, 256), jnp.float32) for _ in "kv"))
    step = _measured(
        model.velocity,
        tree,
        cache,
        struct((1, 100), jnp.bool_),
        struct((1, 50, 8), jnp.float32),
        struct((1,), jnp.float32),
    )
    count = flops.policy_flops(one, prompt_tokens=36, views=1, num_steps=1)
    assert step == pytest.approx(count.denoising, rel=0.05)
