"""Gemma's two experts: the prefix into a KV cache, the suffix on top of it.

The prefix never attends to the suffix, so one prefix pass serves every denoising step, and in
training every flow-noise sample of the same observation.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Bool, Float, Int

# The value that the reference uses for masked logits; finite, so that a row without any valid key
# becomes uniform where -inf would give NaN.
MASKED_LOGIT = -2.3819763e38
MAX_WAVELENGTH = 10_000.0


class Cache(NamedTuple):
    """Keys (after RoPE) and values of the prefix, one row a layer."""

    k: Float[Array, "layers b s kv_heads head_dim"]
    v: Float[Array, "layers b s kv_heads head_dim"]


def rms_norm(scale: Float[Array, " w"], x: Float[Array, "b t w"]) -> Float[Array, "b t w"]:
    """RMSNorm with (1 + scale), ε = 1e-6, in float32; output in the input's dtype."""
    gain = (jnp.ones((), scale.dtype) + scale).astype(jnp.float32)
    return (_normalised(x) * gain[None, None]).astype(x.dtype)


def adaptive_rms_norm(
    dense: dict[str, Any], x: Float[Array, "b t w"], condition: Float[Array, "c w"]
) -> tuple[Float[Array, "b t w"], Float[Array, "c 1 w"]]:
    """adaRMS: norm(x)·(1 + scale) + shift, and the gate of the residual branch.

    Args:
        dense: projection to (scale, shift, gate), in that order.
        x: tokens.
        condition: one row an example, or a single row shared by the whole batch.
    """
    condition = condition.astype(x.dtype)
    modulation = condition @ dense["kernel"].astype(x.dtype) + dense["bias"].astype(x.dtype)[None]
    scale, shift, gate = jnp.split(modulation[:, None], 3, axis=-1)
    gain = (jnp.ones((), x.dtype) + scale).astype(jnp.float32)
    y = _normalised(x) * gain + shift.astype(jnp.float32)
    return y.astype(x.dtype), gate


def _normalised(x: Array) -> Array:
    x32 = x.astype(jnp.float32)
    return x32 * jax.lax.rsqrt(jnp.mean(jnp.square(x32), axis=-1, keepdims=True) + 1e-6)


def rope(x: Float[Array, "b t n h"], positions: Int[Array, "b t"]) -> Float[Array, "b t n h"]:
    """Rotary positions, half-split pairs, maximal wavelength 10,000; rotated in float32."""
    half = x.shape[-1] // 2
    exponents = (2.0 / x.shape[-1]) * jnp.arange(half, dtype=jnp.float32)
    wavelengths = (MAX_WAVELENGTH**exponents)[None, None, None]
    angles = positions[:, :, None, None].astype(jnp.float32) / wavelengths
    sin, cos = jnp.sin(angles), jnp.cos(angles)
    a, b = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1).astype(x.dtype)


def prefill(
    llm: dict[str, Any],
    tokens: Float[Array, "b s w"],
    mask: Bool[Array, "b s"],
    *,
    last_layer_keys_only: bool = True,
    rematerialise: bool = False,
) -> Cache:
    """Run the prefix through the VLM expert and keep its keys and values.

    Attention is bidirectional among valid tokens. Positions count valid tokens only. The last
    layer's query, attention, output and feed-forward are never used.

    Args:
        llm: the tree under "PaliGemma/llm".
        tokens: embedded prefix, in the compute dtype.
        mask: True where a token is valid.
        last_layer_keys_only: whether what is never used is left out.
        rematerialise: whether a derivative computes each layer again instead of keeping its
            activations.
    """
    return prefill_with_hidden(
        llm,
        tokens,
        mask,
        last_layer_keys_only=last_layer_keys_only,
        rematerialise=rematerialise,
    )[0]


def prefill_with_hidden(
    llm: dict[str, Any],
    tokens: Float[Array, "b s w"],
    mask: Bool[Array, "b s"],
    *,
    last_layer_keys_only: bool = True,
    rematerialise: bool = False,
) -> tuple[Cache, Float[Array, "layers b s w"]]:
    """`prefill`, and every layer's input, which auxiliary training losses read."""
    layers = llm["layers"]
    positions = jnp.cumsum(mask.astype(jnp.int32), axis=1) - 1
    pairs = mask[:, :, None] & mask[:, None, :]
    depth = layers["pre_attention_norm"]["scale"].shape[0]

    def keys_and_values(layer, x):
        y = rms_norm(layer["pre_attention_norm"]["scale"], x)
        kv = _einsum("bsw,ckwh->cbskh", y, layer["attn"]["kv_einsum"])
        return y, rope(kv[0], positions), kv[1]

    def step(x, index):
        # Indexing, not slicing off the last layer, which would copy the whole stack.
        layer = jax.tree.map(
            lambda leaf: jax.lax.dynamic_index_in_dim(leaf, index, keepdims=False), layers
        )
        entered = x
        y, k, v = keys_and_values(layer, x)
        q = rope(_einsum("btw,nwh->btnh", y, layer["attn"]["q_einsum"]), positions)
        mixed = _attend(q, k, v, pairs)
        x = x + _einsum("btnh,nhw->btw", mixed, layer["attn"]["attn_vec_einsum"])
        y = rms_norm(layer["pre_ffw_norm"]["scale"], x)
        return x + _feed_forward(layer["mlp"], y), (k, v, entered)

    if rematerialise:
        step = jax.checkpoint(step, prevent_cse=False)
    if not last_layer_keys_only:
        _, (k, v, hidden) = jax.lax.scan(step, tokens, jnp.arange(depth))
        return Cache(k, v), hidden
    x, (k, v, hidden) = jax.lax.scan(step, tokens, jnp.arange(depth - 1))
    last = jax.tree.map(lambda leaf: leaf[depth - 1], _kv_leaves(layers))
    _, last_k, last_v = keys_and_values(last, x)
    cache = Cache(jnp.concatenate([k, last_k[None]]), jnp.concatenate([v, last_v[None]]))
    return cache, jnp.concatenate([hidden, x[None]])


def suffix(
    llm: dict[str, Any],
    cache: Cache,
    prefix_mask: Bool[Array, "b s"],
    tokens: Float[Array, "b t w"],
    condition: Float[Array, "c w"] | None,
) -> Float[Array, "b t w"]:
    """Run tokens through the action expert on top of a prefix.

    They attend to one another and to every valid token of the cache; their positions continue after
    the valid ones.

    Args:
        llm: the tree under "PaliGemma/llm".
        cache: from `prefill`, and perhaps `extended`.
        prefix_mask: validity of the prefix tokens; what else the cache holds is valid.
        tokens: embedded actions, in the compute dtype.
        condition: adaRMS condition, one row an example or one for all; None where the expert has
            plain norms, as π0's.

    Returns:
        Tokens after the final norm.
    """
    x, _ = _suffix(llm, cache, prefix_mask, tokens, condition)
    return _normed(llm["final_norm_1"], x, condition)[0]


def extended(
    llm: dict[str, Any],
    cache: Cache,
    prefix_mask: Bool[Array, "b s"],
    tokens: Float[Array, "b t w"],
) -> Cache:
    """The cache with tokens of the action expert behind the prefix, which no later token changes.

    π0's state token is one: actions see it and it does not see them, so that its keys and values
    are the same in every denoising step.

    Args:
        llm: the tree under "PaliGemma/llm".
        cache: from `prefill`.
        prefix_mask: validity of the prefix tokens.
        tokens: embedded, in the compute dtype.
    """
    _, (k, v) = _suffix(llm, cache, prefix_mask, tokens, None)
    return Cache(jnp.concatenate([cache.k, k], axis=2), jnp.concatenate([cache.v, v], axis=2))


def continued(
    llm: dict[str, Any],
    tokens: Float[Array, "b t w"],
    positions: Int[Array, "b t"],
    pairs: Bool[Array, "b t s"],
    past: Cache | None = None,
) -> tuple[Float[Array, "b t w"], Cache]:
    """Run tokens through the VLM expert behind what a cache holds, to the final norm.

    π0-FAST's Gemma reads its prefix and writes its action tokens with this.

    Args:
        llm: the tree under "PaliGemma/llm".
        tokens: embedded, in the compute dtype.
        positions: of the tokens.
        pairs: which key each token sees; the past's come first, its own last.
        past: keys and values of earlier tokens.

    Returns:
        Tokens after the final norm, and their own keys and values.
    """
    layers = llm["layers"]
    if past is None:
        depth, kv_heads, head_dim = (layers["attn"]["kv_einsum"]["w"].shape[i] for i in (0, 2, 4))
        nothing = jnp.zeros((depth, tokens.shape[0], 0, kv_heads, head_dim), tokens.dtype)
        past = Cache(nothing, nothing)

    def step(x, xs):
        layer, past_k, past_v = xs
        y = rms_norm(layer["pre_attention_norm"]["scale"], x)
        kv = _einsum("bsw,ckwh->cbskh", y, layer["attn"]["kv_einsum"])
        own_k, own_v = rope(kv[0], positions), kv[1]
        q = rope(_einsum("btw,nwh->btnh", y, layer["attn"]["q_einsum"]), positions)
        k = jnp.concatenate([past_k, own_k], axis=1)
        v = jnp.concatenate([past_v, own_v], axis=1)
        x = x + _einsum("btnh,nhw->btw", _attend(q, k, v, pairs), layer["attn"]["attn_vec_einsum"])
        y = rms_norm(layer["pre_ffw_norm"]["scale"], x)
        return x + _feed_forward(layer["mlp"], y), (own_k, own_v)

    vlm = {name: leaf for name, leaf in layers.items() if not name.endswith("_1")}
    vlm["attn"] = {n: leaf for n, leaf in layers["attn"].items() if not n.endswith("_1")}
    x, (k, v) = jax.lax.scan(step, tokens, (vlm, past.k, past.v))
    return rms_norm(llm["final_norm"]["scale"], x), Cache(k, v)


def _suffix(
    llm: dict[str, Any],
    cache: Cache,
    prefix_mask: Bool[Array, "b s"],
    tokens: Float[Array, "b t w"],
    condition: Float[Array, "c w"] | None,
) -> tuple[Array, tuple[Array, Array]]:
    layers = llm["layers"]
    b, t, _ = tokens.shape
    further = cache.k.shape[2] - prefix_mask.shape[1]
    start = jnp.sum(prefix_mask.astype(jnp.int32), axis=1, keepdims=True) + further
    positions = start + jnp.arange(t)[None]
    visible = jnp.concatenate([prefix_mask, jnp.ones((b, further + t), bool)], axis=1)
    pairs = jnp.broadcast_to(visible[:, None], (b, t, visible.shape[1]))

    def step(x, xs):
        layer, prefix_k, prefix_v = xs
        y, gate = _normed(layer["pre_attention_norm_1"], x, condition)
        kv = _einsum("bsw,ckwh->cbskh", y, layer["attn"]["kv_einsum_1"])
        q = rope(_einsum("btw,nwh->btnh", y, layer["attn"]["q_einsum_1"]), positions)
        own_k, own_v = rope(kv[0], positions), kv[1]
        k = jnp.concatenate([prefix_k, own_k], axis=1)
        v = jnp.concatenate([prefix_v, own_v], axis=1)
        mixed = _attend(q, k, v, pairs)
        x = x + _gated(_einsum("btnh,nhw->btw", mixed, layer["attn"]["attn_vec_einsum_1"]), gate)
        y, gate = _normed(layer["pre_ffw_norm_1"], x, condition)
        return x + _gated(_feed_forward(layer["mlp_1"], y), gate), (own_k, own_v)

    return jax.lax.scan(step, tokens, (_action_leaves(layers), cache.k, cache.v))


def _normed(norm: dict[str, Any], x: Array, condition: Array | None) -> tuple[Array, Array | None]:
    """adaRMS with its gate, or the plain norm, which has none."""
    if condition is None:
        return rms_norm(norm["scale"], x), None
    return adaptive_rms_norm(norm["Dense_0"], x, condition)


def _gated(branch: Array, gate: Array | None) -> Array:
    return branch if gate is None else branch * gate


def _kv_leaves(layers: dict[str, Any]) -> dict[str, Any]:
    return {
        "pre_attention_norm": layers["pre_attention_norm"],
        "attn": {"kv_einsum": layers["attn"]["kv_einsum"]},
    }


def _action_leaves(layers: dict[str, Any]) -> dict[str, Any]:
    names = ("pre_attention_norm_1", "pre_ffw_norm_1", "mlp_1")
    attention = {name: leaf for name, leaf in layers["attn"].items() if name.endswith("_1")}
    return {"attn": attention} | {name: layers[name] for name in names}


def _attend(q: Array, k: Array, v: Array, pairs: Bool[Array, "b t s"]) -> Array:
    q = q * jnp.asarray(q.shape[-1] ** -0.5, q.dtype)
    # Query heads come in groups, each of which shares one head of keys and values.
    q = rearrange(q, "b t (k g) h -> b t k g h", k=k.shape[2])
    logits = jnp.einsum("btkgh,bskh->bkgts", q, k, preferred_element_type=jnp.float32)
    logits = jnp.where(pairs[:, None, None], logits, MASKED_LOGIT)
    weights = jax.nn.softmax(logits, axis=-1).astype(q.dtype)
    return rearrange(jnp.einsum("bkgts,bskh->btkgh", weights, v), "b t k g h -> b t (k g) h")


def _feed_forward(mlp: dict[str, Any], x: Array) -> Array:
    gating = mlp["gating_einsum"]
    a, b = (mlp.get(f"gating_einsum_lora_{side}") for side in "ab")
    gate, value = (
        _matmul(x, gating[i], None if a is None or b is None else (a[i], b[i])) for i in range(2)
    )
    hidden = jax.nn.gelu(gate, approximate=True) * value
    lora = (mlp["linear_lora_a"], mlp["linear_lora_b"]) if "linear_lora_a" in mlp else None
    return _matmul(hidden, mlp["linear"], lora)


def _matmul(x: Array, w: Array, lora: tuple[Array, Array] | None) -> Array:
    y = x @ w.astype(x.dtype)
    if lora is None:
        return y
    return y + (x @ lora[0].astype(x.dtype)) @ lora[1].astype(x.dtype)


# An activation through `lora_a`, then through `lora_b`. The output projection has no head axis left
# between the two, so both of its factors are summed over heads, each on its own.
_LORA_EQUATIONS = {
    "bsw,ckwh->cbskh": ("bsw,ckwr->cbskr", "cbskr,ckrh->cbskh"),
    "btw,nwh->btnh": ("btw,nwr->btnr", "btnr,nrh->btnh"),
    "btnh,nhw->btw": ("btnh,nhr->btr", "btr,nrw->btw"),
}


def _einsum(equation: str, x: Array, leaf: dict[str, Array]) -> Array:
    y = jnp.einsum(equation, x, leaf["w"].astype(x.dtype))
    if "lora_a" not in leaf:
        return y
    down, up = _LORA_EQUATIONS[equation]
    low = jnp.einsum(down, x, leaf["lora_a"].astype(x.dtype))
    return y + jnp.einsum(up, low, leaf["lora_b"].astype(x.dtype))
