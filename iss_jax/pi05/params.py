"""openpi's parameter tree: unwrapping it, reading sizes off its leaves, checking it, making one."""

import dataclasses
import math
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, PRNGKeyArray

Params = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class ImageTower:
    """SigLIP's sizes.

    `tokens` is the length of the position table, so images are square with a side of
    `patch * sqrt(tokens)` pixels.
    """

    width: int
    depth: int
    mlp: int
    heads: int
    patch: int
    tokens: int

    @property
    def image_size(self) -> int:
        """Side of the square input image, pixels."""
        return self.patch * math.isqrt(self.tokens)


@dataclasses.dataclass(frozen=True)
class Expert:
    """Sizes of one Gemma expert. A LoRA rank of 0 means no LoRA leaves."""

    width: int
    mlp: int
    attention_rank: int = 0
    ffn_rank: int = 0


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Everything about a π0.5 or π0 that its leaves tell (all but the action horizon).

    `reads_state` tells a π0, which reads the state as a token, from a π0.5.
    """

    image: ImageTower
    vlm: Expert
    action: Expert
    depth: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    action_dim: int
    reads_state: bool = False

    @property
    def model(self) -> str:
        """The name of the model."""
        return "π0" if self.reads_state else "π0.5"


PI05 = Sizes(
    image=ImageTower(width=1152, depth=27, mlp=4304, heads=16, patch=14, tokens=256),
    vlm=Expert(width=2048, mlp=16384),
    action=Expert(width=1024, mlp=4096),
    depth=18,
    heads=8,
    kv_heads=1,
    head_dim=256,
    vocab=257_152,
    action_dim=32,
)
"""The released π0.5 (3,353,433,872 parameters)."""

PI05_LORA = dataclasses.replace(
    PI05,
    vlm=dataclasses.replace(PI05.vlm, attention_rank=16, ffn_rank=16),
    action=dataclasses.replace(PI05.action, attention_rank=32, ffn_rank=32),
)
"""The released π0.5 with openpi's LoRA variants (gemma_2b_lora, gemma_300m_lora), the paper's."""


PI0 = dataclasses.replace(PI05, reads_state=True)
"""The released π0 (3,238,048,528 parameters)."""


def as_params(params: Any) -> Params:
    """The plain nested dict behind any of the forms in which openpi code holds parameters.

    Args:
        params: a nested mapping, an `nnx.State`, either with leaves under "value", either under one
            top-level "params" key.

    Returns:
        Nested dict of arrays, keys as openpi names them.

    Raises:
        TypeError: `params` is none of these.
    """
    if not isinstance(params, Mapping):
        raise TypeError(
            "params: expected openpi's parameter tree as a nested dict or an nnx.State, got "
            f"{type(params).__name__}"
        )
    tree = _unwrap(params)
    if set(tree) == {"params"}:
        tree = tree["params"]
    return tree


def _unwrap(node: Any) -> Any:
    if isinstance(node, Mapping):
        if set(node) == {"value"}:
            return node["value"]
        return {str(key): _unwrap(child) for key, child in node.items()}
    # Leaves of an nnx.State are Variables: `value` on openpi's flax, deprecated on the newest.
    if hasattr(node, "get_value"):
        return node.get_value()
    return node.value if hasattr(node, "value") else node


def flatten(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": leaf}}` as `{"a/b": leaf}`, in the tree's order."""
    flat: dict[str, Any] = {}
    for key, child in params.items():
        path = f"{prefix}{key}"
        flat.update(flatten(child, f"{path}/") if isinstance(child, Mapping) else {path: child})
    return flat


def unflatten(flat: Mapping[str, Any]) -> Params:
    """Inverse of `flatten`."""
    tree: Params = {}
    for path, leaf in flat.items():
        *parents, name = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = leaf
    return tree


def shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Every leaf of a model of these sizes: '/'-joined openpi path -> shape."""
    out: dict[str, tuple[int, ...]] = {}
    image, heads, head_dim = sizes.image, sizes.heads, sizes.head_dim
    img, block = "PaliGemma/img", "PaliGemma/img/Transformer/encoderblock"
    n, w = image.depth, image.width
    for norm in ("LayerNorm_0", "LayerNorm_1"):
        out[f"{block}/{norm}/bias"] = out[f"{block}/{norm}/scale"] = (n, w)
    out[f"{block}/MlpBlock_0/Dense_0/bias"] = (n, image.mlp)
    out[f"{block}/MlpBlock_0/Dense_0/kernel"] = (n, w, image.mlp)
    out[f"{block}/MlpBlock_0/Dense_1/bias"] = (n, w)
    out[f"{block}/MlpBlock_0/Dense_1/kernel"] = (n, image.mlp, w)
    attention = f"{block}/MultiHeadDotProductAttention_0"
    per_head = w // image.heads
    for name in ("key", "query", "value"):
        out[f"{attention}/{name}/bias"] = (n, image.heads, per_head)
        out[f"{attention}/{name}/kernel"] = (n, w, image.heads, per_head)
    out[f"{attention}/out/bias"] = (n, w)
    out[f"{attention}/out/kernel"] = (n, image.heads, per_head, w)
    out[f"{img}/Transformer/encoder_norm/bias"] = (w,)
    out[f"{img}/Transformer/encoder_norm/scale"] = (w,)
    out[f"{img}/embedding/bias"] = (w,)
    out[f"{img}/embedding/kernel"] = (image.patch, image.patch, 3, w)
    out[f"{img}/head/bias"] = (sizes.vlm.width,)
    out[f"{img}/head/kernel"] = (w, sizes.vlm.width)
    out[f"{img}/pos_embedding"] = (1, image.tokens, w)

    llm, layers, n = "PaliGemma/llm", "PaliGemma/llm/layers", sizes.depth
    out[f"{llm}/embedder/input_embedding"] = (sizes.vocab, sizes.vlm.width)
    out[f"{llm}/final_norm/scale"] = (sizes.vlm.width,)
    for name in ("pre_attention_norm", "pre_ffw_norm"):
        out[f"{layers}/{name}/scale"] = (n, sizes.vlm.width)
    w = sizes.action.width
    for name, stack in (
        (f"{llm}/final_norm_1", ()),
        (f"{layers}/pre_attention_norm_1", (n,)),
        (f"{layers}/pre_ffw_norm_1", (n,)),
    ):
        if sizes.reads_state:
            out[f"{name}/scale"] = (*stack, w)
        else:
            out[f"{name}/Dense_0/bias"] = (*stack, 3 * w)
            out[f"{name}/Dense_0/kernel"] = (*stack, w, 3 * w)
    for suffix, expert in (("", sizes.vlm), ("_1", sizes.action)):
        weights = {
            f"{layers}/attn/attn_vec_einsum{suffix}/w": (n, heads, head_dim, expert.width),
            f"{layers}/attn/kv_einsum{suffix}/w": (n, 2, sizes.kv_heads, expert.width, head_dim),
            f"{layers}/attn/q_einsum{suffix}/w": (n, heads, expert.width, head_dim),
            f"{layers}/mlp{suffix}/gating_einsum": (n, 2, expert.width, expert.mlp),
            f"{layers}/mlp{suffix}/linear": (n, expert.mlp, expert.width),
        }
        for path, shape in weights.items():
            out[path] = shape
            rank = expert.attention_rank if path.endswith("/w") else expert.ffn_rank
            if rank:
                stem = path.removesuffix("w") if path.endswith("/w") else f"{path}_"
                out[f"{stem}lora_a"] = (*shape[:-1], rank)
                out[f"{stem}lora_b"] = (*shape[:-2], rank, shape[-1])
    projections = {
        "action_in_proj": (sizes.action_dim, w),
        "action_out_proj": (w, sizes.action_dim),
    }
    if sizes.reads_state:
        projections["state_proj"] = (sizes.action_dim, w)
        projections |= {"action_time_mlp_in": (2 * w, w), "action_time_mlp_out": (w, w)}
    else:
        projections |= {"time_mlp_in": (w, w), "time_mlp_out": (w, w)}
    for name, shape in projections.items():
        out[f"{name}/bias"], out[f"{name}/kernel"] = shape[1:], shape
    return dict(sorted(out.items()))


def sizes_of(params: Params) -> Sizes:
    """Read the model's sizes off its leaves and check every leaf against them.

    Args:
        params: nested dict of arrays or `jax.ShapeDtypeStruct`.

    Raises:
        ValueError: a leaf is missing, extra or misshapen; the message names it, with the shape
            given and the shape wanted.
    """
    flat = flatten(params)
    other = _other_model(flat)
    if other:
        raise ValueError(f"params: {other}; wanted is a π0.5 or π0 tree")

    def shape(path: str, ndim: int) -> tuple[int, ...]:
        if path not in flat:
            raise ValueError(f"params: leaf {path!r} is missing")
        if len(flat[path].shape) != ndim:
            raise ValueError(
                f"params: leaf {path!r} has shape {flat[path].shape}, wanted {ndim} axes"
            )
        return tuple(flat[path].shape)

    def rank(path: str) -> int:
        return flat[path].shape[-1] if path in flat else 0

    img, layers = "PaliGemma/img", "PaliGemma/llm/layers"
    block = f"{img}/Transformer/encoderblock"
    depth, width, heads, _ = shape(f"{block}/MultiHeadDotProductAttention_0/query/kernel", 4)
    patch = shape(f"{img}/embedding/kernel", 4)[0]
    tokens = shape(f"{img}/pos_embedding", 3)[1]
    if math.isqrt(tokens) ** 2 != tokens:
        raise ValueError(
            f"params: '{img}/pos_embedding' has {tokens} tokens, wanted a square number"
        )
    mlp = shape(f"{block}/MlpBlock_0/Dense_0/bias", 2)[1]
    vocab, vlm_width = shape("PaliGemma/llm/embedder/input_embedding", 2)
    n, q_heads, _, head_dim = shape(f"{layers}/attn/q_einsum/w", 4)
    kv_heads = shape(f"{layers}/attn/kv_einsum/w", 5)[2]
    action_dim, action_width = shape("action_in_proj/kernel", 2)
    experts = [
        Expert(
            width=expert_width,
            mlp=shape(f"{layers}/mlp{suffix}/linear", 3)[1],
            attention_rank=rank(f"{layers}/attn/q_einsum{suffix}/lora_a"),
            ffn_rank=rank(f"{layers}/mlp{suffix}/gating_einsum_lora_a"),
        )
        for suffix, expert_width in (("", vlm_width), ("_1", action_width))
    ]
    sizes = Sizes(
        image=ImageTower(width, depth, mlp, heads, patch, tokens),
        vlm=experts[0],
        action=experts[1],
        depth=n,
        heads=q_heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocab=vocab,
        action_dim=action_dim,
        reads_state="state_proj/kernel" in flat and "time_mlp_in/kernel" not in flat,
    )
    wanted = shapes(sizes)
    for path, want in wanted.items():
        if path not in flat:
            raise ValueError(f"params: leaf {path!r} is missing (wanted shape {want})")
        if tuple(flat[path].shape) != want:
            raise ValueError(
                f"params: leaf {path!r} has shape {tuple(flat[path].shape)}, wanted {want}"
            )
    extra = sorted(set(flat) - set(wanted))
    if extra:
        raise ValueError(
            f"params: leaf {extra[0]!r} is not part of a {sizes.model} ({len(extra)} extra)"
        )
    return sizes


def _other_model(flat: Mapping[str, Any]) -> str:
    """What a tree is that is one of openpi's other models; empty where it is none."""
    if not any(path.startswith("PaliGemma/") for path in flat):
        return ""
    experts = ("action_in_proj/", "action_out_proj/", "time_mlp_in/", "PaliGemma/llm/final_norm_1/")
    if "PaliGemma/llm/final_norm/scale" in flat and not any(p.startswith(experts) for p in flat):
        return (
            "this is a π0-FAST or PaliGemma tree (it has no action expert), of which saliency and "
            "player_effects alone can be asked"
        )
    return ""


def check_finite_params(params: Params) -> None:
    """Says which leaf is not finite, where values are known. Looks at every number once.

    Args:
        params: nested dict.

    Raises:
        ValueError: a leaf holds NaN or an infinity; the message names it.
    """
    flat = {
        path: leaf
        for path, leaf in flatten(params).items()
        if not isinstance(leaf, Tracer | jax.ShapeDtypeStruct)
        and jnp.issubdtype(leaf.dtype, jnp.floating)
    }
    host = {path: leaf for path, leaf in flat.items() if not isinstance(leaf, jax.Array)}
    fine = {path: np.isfinite(leaf).all() for path, leaf in host.items()}
    fine |= _all_finite({path: leaf for path, leaf in flat.items() if path not in host})
    broken = sorted(path for path, own in fine.items() if not bool(own))
    if broken:
        raise ValueError(
            f"params: leaf {broken[0]!r} holds numbers that are not finite ({len(broken)} of "
            f"{len(flat)} leaves)"
        )


@jax.jit
def _all_finite(flat: dict[str, Array]) -> dict[str, Array]:
    return {path: jnp.isfinite(leaf).all() for path, leaf in flat.items()}


def warn_if_constant(params: Params) -> None:
    """Warn when this model's actions cannot depend on its images.

    A freshly initialised openpi model has a zero image head, and a π0.5 zero adaRMS kernels: its
    saliency is identically zero. Traced parameters cannot be looked at and give no warning.
    """
    head = params["PaliGemma"]["img"]["head"]["kernel"]
    layers = params["PaliGemma"]["llm"]["layers"]
    norms = [layers[f"pre_{name}_norm_1"] for name in ("attention", "ffw")]
    gates = [norm["Dense_0"] for norm in norms if "Dense_0" in norm]
    # A gate is zero for every input only when its bias is zero too.
    gate_leaves = [leaf for dense in gates for leaf in (dense["kernel"], dense["bias"])]
    if any(isinstance(leaf, Tracer) for leaf in (head, *gate_leaves)):
        return
    if not bool(jnp.any(head != 0)):
        warnings.warn(
            "params: 'PaliGemma/img/head/kernel' is all zero (a freshly initialised model?): the "
            "policy ignores its images and its saliency is identically zero",
            stacklevel=3,
        )
    elif gates and not any(bool(jnp.any(leaf != 0)) for leaf in gate_leaves):
        warnings.warn(
            "params: every adaRMS kernel of the action expert is all zero (a freshly initialised "
            "model?): its actions ignore the prefix and its saliency is identically zero",
            stacklevel=3,
        )


def init(key: PRNGKeyArray, sizes: Sizes) -> dict[str, Any]:
    """A float32 tree for training from scratch.

    Weights are normal with variance 1/fan_in; unlike openpi's fresh tree the image head and the
    adaRMS gates do not start at zero, so that a small model learns to look from its first step.
    LoRA's `lora_b` starts at zero, so that adding it changes nothing.

    Args:
        key: PRNG key.
        sizes: the model.
    """
    flat = shapes(sizes)
    keys = dict(zip(flat, jax.random.split(key, len(flat)), strict=True))
    return unflatten({path: _init_leaf(path, shape, keys[path]) for path, shape in flat.items()})


def _init_leaf(path: str, shape: tuple[int, ...], key: PRNGKeyArray) -> Array:
    name = path.rsplit("/", 1)[-1]
    if name == "bias" and "_norm_1/" in path:
        # scale = shift = 0, gate = 1: every residual branch is open at the start.
        third = shape[-1] // 3
        return jnp.zeros(shape, jnp.float32).at[..., 2 * third :].set(1.0)
    if name == "bias" or (name == "scale" and "/llm/" in path) or name.endswith("lora_b"):
        return jnp.zeros(shape, jnp.float32)
    if name == "scale":
        return jnp.ones(shape, jnp.float32)
    if name == "input_embedding":
        # The prompt's embedding is multiplied by sqrt(width) when it is looked up.
        return jax.random.normal(key, shape, jnp.float32) / math.sqrt(shape[-1])
    if name == "pos_embedding":
        return jax.random.normal(key, shape, jnp.float32) / math.sqrt(shape[-1])
    if "_norm_1/" in path:
        return jax.random.normal(key, shape, jnp.float32) * (0.1 / math.sqrt(shape[-2]))
    return jax.random.normal(key, shape, jnp.float32) / math.sqrt(_fan_in(path, shape))


def _fan_in(path: str, shape: tuple[int, ...]) -> int:
    if "attn_vec_einsum" in path and path.endswith("/w"):
        return shape[-3] * shape[-2]
    if path.endswith("/out/kernel"):
        return shape[-3] * shape[-2]
    if "MultiHeadDotProductAttention_0" in path:
        return shape[-3]
    if path.endswith("img/embedding/kernel"):
        return math.prod(shape[:3])
    return shape[-2]


def count(params: Params) -> int:
    """Number of parameters, from shapes alone."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
