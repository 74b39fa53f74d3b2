"""The FLOP count against a count by hand and against XLA on loop-free pieces."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import pytest

from iss_jax.flops import count_flops
from iss_jax.pi05 import flops, model, params as P, siglip
from iss_jax.pi05.observation import VIEWS
from iss_jax.sampling import Sampling, Savings


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


def test_goals_of_a_masked_copy():
    """Share of openpi's plain pass: with 60 of 200 prompt tokens; two views, 20 tokens, H = 10."""
    full, libero = ({"action_horizon": h, "num_steps": 10} for h in (50, 10))
    for form, given, exact, reusing in (
        (full, {"valid_tokens": 60}, 0.85, 0.77),
        (libero, {"valid_tokens": 20, "present_views": 2}, 0.57, 0.52),
    ):
        plain = flops.policy_flops(P.PI05, prompt_tokens=200, **form).total
        assert flops.masked_copy_flops(P.PI05, **given, **form).total <= exact * plain
        shared = flops.masked_copy_flops(P.PI05, **given, **form, view_uses=3)
        assert shared.total <= reusing * plain
        off = flops.masked_copy_flops(P.PI05, Savings.none(), **given, **form)
        assert off.total == plain


@pytest.mark.parametrize("released", [P.PI05, P.PI0], ids=["pi05", "pi0"])
@pytest.mark.parametrize("savings", [Savings(), Savings.none()])
def test_against_a_count_of_the_traced_program(savings, released):
    """Every product of the program, its loops as often as they run: equal to the last digit."""
    sizes = dataclasses.replace(
        released,
        image=P.ImageTower(width=24, depth=3, mlp=40, heads=2, patch=14, tokens=16),
        vlm=P.Expert(width=32, mlp=48),
        action=P.Expert(width=20, mlp=28),
        depth=4,
        heads=2,
        head_dim=8,
        vocab=32,
        action_dim=5,
    )
    struct, rows = jax.ShapeDtypeStruct, 6
    tree = P.unflatten({k: struct(v, jnp.float32) for k, v in P.shapes(sizes).items()})
    length = 16 if savings.trim_prompt else 40
    views = VIEWS[:2] if savings.drop_absent_views else VIEWS
    obs = model.Observation(
        images={view: struct((rows, 56, 56, 3), jnp.float32) for view in views},
        image_masks={view: struct((rows,), jnp.bool_) for view in views},
        state=struct((rows, 5), jnp.float32),
        tokenized_prompt=struct((rows, length), jnp.int32),
        tokenized_prompt_mask=struct((rows, length), jnp.bool_),
    )
    sample = functools.partial(model.sample_actions, sampling=Sampling(7, savings=savings))
    found = count_flops(sample, tree, obs, struct((rows, 9, 5), jnp.float32))
    count = flops.masked_copy_flops(
        sizes,
        savings,
        valid_tokens=11,
        prompt_length=40,
        present_views=2,
        action_horizon=9,
        num_steps=7,
        rows=rows,
    )
    assert found == pytest.approx(rows * count.total, rel=1e-9)


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
