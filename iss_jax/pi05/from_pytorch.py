"""openpi's and LeRobot's PyTorch checkpoints of π0.5 and π0 as openpi's JAX tree, leaf for leaf.

    convert_checkpoint("pi05_libero_pytorch", "pi05_libero_jax")
    policy = iss_jax.from_checkpoint("pi05_libero_jax", "pi05_libero")

What differs between the two: layers lie in one leaf each here and apart there; a linear layer is
[in, out] here and [out, in] there; heads have an axis of their own here. The names of PyTorch are
those of `transformers`' PaliGemma, under `paligemma_with_expert.`.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from iss_jax.few import few
from iss_jax.pi05.checkpoint import save_checkpoint
from iss_jax.pi05.params import Params, check_finite_params, sizes_of, unflatten
from iss_jax.pi05.safetensors import read_safetensors

__all__ = ["FILE", "IMAGE_HEADS", "convert_checkpoint", "from_pytorch", "read_pytorch"]

FILE = "model.safetensors"
IMAGE_HEADS = 16  # of SigLIP So400m/14
ROOT = "paligemma_with_expert."
TOWER = "paligemma.model.vision_tower.vision_model."
PROJECTOR = "paligemma.model.multi_modal_projector.linear."
LANGUAGE = "paligemma.model.language_model."
EXPERT = "gemma_expert.model."
# The table of embeddings is tied to the head, and a file keeps one of the two.
EMBEDDINGS = (f"{LANGUAGE}embed_tokens.weight", "paligemma.lm_head.weight")
# What the JAX tree does not hold: the expert's head, which nothing reads, and tables of numbers.
UNUSED = ("gemma_expert.lm_head.weight", "rotary_emb.inv_freq", "embeddings.position_ids")
PROJECTIONS = (
    "action_in_proj",
    "action_out_proj",
    "time_mlp_in",
    "time_mlp_out",
    "state_proj",
    "action_time_mlp_in",
    "action_time_mlp_out",
)

Move = Callable[[np.ndarray], np.ndarray]


def from_pytorch(
    tensors: Mapping[str, Any], *, image_heads: int = IMAGE_HEADS, kv_heads: int = 1
) -> Params:
    """openpi's JAX tree of a PyTorch π0.5 or π0.

    Args:
        tensors: Name -> array, as `state_dict` or a safetensors file names them; with LeRobot's
            `model.` before each name or without.
        image_heads: Attention heads of the image tower, which no shape tells.
        kv_heads: Heads of keys and values in both experts.

    Returns:
        Nested dict of numpy arrays in the tensors' dtypes, checked leaf by leaf: what
        `iss_jax.saliency` takes.

    Raises:
        ValueError: A tensor is missing, has a shape that does not fit, or belongs to no leaf; the
            message names it. Or layers of one leaf have several dtypes, a leaf is not finite, or
            the head is another table than the embeddings.
    """
    source = _Source(tensors)
    flat: dict[str, np.ndarray] = {}
    _tower(flat, source, image_heads)
    head_dim = source.one(f"{ROOT}{LANGUAGE}layers.0.self_attn.k_proj.weight").shape[0] // kv_heads
    for suffix, names in (("", LANGUAGE), ("_1", EXPERT)):
        _expert(flat, source, f"{ROOT}{names}", suffix, head_dim, kv_heads)
    table = source.tied(*(f"{ROOT}{name}" for name in EMBEDDINGS))
    flat["PaliGemma/llm/embedder/input_embedding"] = table
    for name in PROJECTIONS:
        if source.has(f"{name}.weight"):
            flat[f"{name}/kernel"] = source.one(f"{name}.weight").T
            flat[f"{name}/bias"] = source.one(f"{name}.bias")
    left = source.left()
    if left:
        raise ValueError(f"tensors: {few(left)} belong to no leaf of a π0.5 or π0")
    params = unflatten(dict(sorted(flat.items())))
    sizes_of(params)
    check_finite_params(params)
    return params


def read_pytorch(path: Any, **heads: int) -> Params:
    """The JAX tree of a file or a folder that holds `model.safetensors`.

    Args:
        path: The file, or the folder that openpi or LeRobot wrote.
        heads: Of `from_pytorch`: image_heads, kv_heads.

    Raises:
        FileNotFoundError: There is none.
        ValueError: As for `read_safetensors` and `from_pytorch`.
    """
    return from_pytorch(read_safetensors(_file(path)), **heads)


def convert_checkpoint(source: Any, out: Any, **heads: int) -> Path:
    """Writes a PyTorch checkpoint of openpi as a JAX one, with its `assets/`.

    >>> from iss_jax.pi05.from_pytorch import convert_checkpoint
    >>> convert_checkpoint("pi05_droid_pytorch", "pi05_droid_jax")  # doctest: +SKIP
    PosixPath('pi05_droid_jax')

    Args:
        source: The folder with `model.safetensors`, and `assets/` where openpi kept statistics.
        out: The folder of the step to write; it must not hold `params` yet.
        heads: Of `from_pytorch`.

    Returns:
        The folder, for `iss_jax.from_checkpoint`.

    Raises:
        FileNotFoundError: As for `read_pytorch`.
        ValueError: Likewise, or `out` holds parameters already.
    """
    file, out = _file(source), Path(out).expanduser()
    if (out / "params").exists():
        raise ValueError(f"{out}: already holds params")
    params = read_pytorch(file, **heads)
    assets = file.parent / "assets"
    # Parameters come last, and appear at once: what was cut short before can be repeated.
    if assets.is_dir():
        shutil.copytree(assets, out / "assets", dirs_exist_ok=True)
    save_checkpoint(out, params)
    return out


def _file(path: Any) -> Path:
    path = Path(path).expanduser()
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"{path}: no {FILE}, a PyTorch checkpoint wanted")
    return file


class _Source:
    """Tensors by name, of which it is known which were taken."""

    def __init__(self, tensors: Mapping[str, Any]):
        whole = any(name.startswith(f"model.{ROOT}") for name in tensors)
        self._tensors = {n.removeprefix("model.") if whole else n: t for n, t in tensors.items()}
        self._taken: set[str] = set()

    def has(self, name: str) -> bool:
        return name in self._tensors

    def one(self, name: str) -> np.ndarray:
        if name not in self._tensors:
            known = [other for other in self._tensors if not other.startswith(ROOT)]
            raise ValueError(
                f"tensors: {name!r} is missing; {len(self._tensors)} given, such as "
                f"{few(known or list(self._tensors), 3)}"
            )
        self._taken.add(name)
        return np.asarray(self._tensors[name])

    def tied(self, *names: str) -> np.ndarray:
        """The first that is there; the others are the same table, and count as taken."""
        there = [name for name in names if self.has(name)] or list(names[:1])
        found = [self.one(name) for name in there]
        for name, other in zip(there[1:], found[1:], strict=True):
            same = other.shape == found[0].shape and not np.any(other != found[0])
            # A table with NaN differs from itself; it is refused later, as a leaf.
            if not same and not np.isnan(found[0]).any():
                raise ValueError(
                    f"tensors: {name!r} differs from {there[0]!r}; the model has one table for "
                    "both, the same numbers wanted"
                )
        return found[0]

    def layers(self, stem: str, name: str, move: Move = np.asarray) -> np.ndarray:
        """One tensor of every layer, moved into place and stacked."""
        depth = 0
        while self.has(f"{stem}{depth}.{name}"):
            depth += 1
        found = [
            _moved(f"{stem}{i}.{name}", self.one(f"{stem}{i}.{name}"), move)
            for i in range(max(depth, 1))
        ]
        if len({(one.shape, one.dtype) for one in found}) > 1:
            unlike = sorted({f"{one.dtype} {list(one.shape)}" for one in found})
            raise ValueError(f"tensors: {stem}*.{name} differ between layers: {unlike}")
        return np.stack(found)

    def left(self) -> list[str]:
        return sorted(n for n in set(self._tensors) - self._taken if not n.endswith(UNUSED))


def _moved(name: str, tensor: np.ndarray, move: Move) -> np.ndarray:
    try:
        return move(tensor)
    except ValueError as error:
        raise ValueError(
            f"tensors: {name!r} of shape {list(tensor.shape)} does not split into heads: {error}"
        ) from error


def _tower(flat: dict[str, np.ndarray], source: _Source, heads: int) -> None:
    img, tower = "PaliGemma/img", f"{ROOT}{TOWER}"
    patches = source.one(f"{tower}embeddings.patch_embedding.weight")
    flat[f"{img}/embedding/kernel"] = patches.transpose(2, 3, 1, 0)
    flat[f"{img}/embedding/bias"] = source.one(f"{tower}embeddings.patch_embedding.bias")
    positions = source.one(f"{tower}embeddings.position_embedding.weight")
    flat[f"{img}/pos_embedding"] = positions[None]
    block, layers = f"{img}/Transformer/encoderblock", f"{tower}encoder.layers."
    for norm, name in (("LayerNorm_0", "layer_norm1"), ("LayerNorm_1", "layer_norm2")):
        flat[f"{block}/{norm}/scale"] = source.layers(layers, f"{name}.weight")
        flat[f"{block}/{norm}/bias"] = source.layers(layers, f"{name}.bias")
    for dense, name in (("Dense_0", "mlp.fc1"), ("Dense_1", "mlp.fc2")):
        flat[f"{block}/MlpBlock_0/{dense}/kernel"] = source.layers(
            layers, f"{name}.weight", _turned
        )
        flat[f"{block}/MlpBlock_0/{dense}/bias"] = source.layers(layers, f"{name}.bias")
    attention = f"{block}/MultiHeadDotProductAttention_0"
    for name in ("query", "key", "value"):
        stem = f"self_attn.{name[0]}_proj"
        flat[f"{attention}/{name}/kernel"] = source.layers(
            layers, f"{stem}.weight", lambda x: x.T.reshape(x.shape[1], heads, -1)
        )
        flat[f"{attention}/{name}/bias"] = source.layers(
            layers, f"{stem}.bias", lambda x: x.reshape(heads, -1)
        )
    flat[f"{attention}/out/kernel"] = source.layers(
        layers, "self_attn.out_proj.weight", lambda x: x.T.reshape(heads, -1, x.shape[0])
    )
    flat[f"{attention}/out/bias"] = source.layers(layers, "self_attn.out_proj.bias")
    for norm, name in (("scale", "weight"), ("bias", "bias")):
        flat[f"{img}/Transformer/encoder_norm/{norm}"] = source.one(f"{tower}post_layernorm.{name}")
    flat[f"{img}/head/kernel"] = source.one(f"{ROOT}{PROJECTOR}weight").T
    flat[f"{img}/head/bias"] = source.one(f"{ROOT}{PROJECTOR}bias")


def _expert(
    flat: dict[str, np.ndarray],
    source: _Source,
    stem: str,
    suffix: str,
    head_dim: int,
    kv_heads: int,
) -> None:
    llm, layers = "PaliGemma/llm", f"{stem}layers."

    def per_head(x: np.ndarray) -> np.ndarray:
        return x.reshape(-1, head_dim, x.shape[1]).transpose(0, 2, 1)

    keys, values = (
        source.layers(layers, f"self_attn.{name}_proj.weight", per_head) for name in ("k", "v")
    )
    if keys.shape[1] != kv_heads:
        raise ValueError(f"tensors: {stem} has {keys.shape[1]} heads of keys, {kv_heads} wanted")
    attention = f"{llm}/layers/attn"
    flat[f"{attention}/kv_einsum{suffix}/w"] = np.stack([keys, values], 1)
    flat[f"{attention}/q_einsum{suffix}/w"] = source.layers(
        layers, "self_attn.q_proj.weight", per_head
    )
    flat[f"{attention}/attn_vec_einsum{suffix}/w"] = source.layers(
        layers, "self_attn.o_proj.weight", lambda x: x.T.reshape(-1, head_dim, x.shape[0])
    )
    gates = [source.layers(layers, f"mlp.{n}_proj.weight", _turned) for n in ("gate", "up")]
    flat[f"{llm}/layers/mlp{suffix}/gating_einsum"] = np.stack(gates, 1)
    flat[f"{llm}/layers/mlp{suffix}/linear"] = source.layers(
        layers, "mlp.down_proj.weight", _turned
    )
    for ours, theirs in (
        ("pre_attention_norm", "input_layernorm"),
        ("pre_ffw_norm", "post_attention_layernorm"),
    ):
        own = f"{llm}/layers/{ours}{suffix}"
        if source.has(f"{layers}0.{theirs}.weight"):
            flat[f"{own}/scale"] = source.layers(layers, f"{theirs}.weight")
        else:
            flat[f"{own}/Dense_0/kernel"] = source.layers(layers, f"{theirs}.dense.weight", _turned)
            flat[f"{own}/Dense_0/bias"] = source.layers(layers, f"{theirs}.dense.bias")
    own = f"{llm}/final_norm{suffix}"
    if source.has(f"{stem}norm.weight"):
        flat[f"{own}/scale"] = source.one(f"{stem}norm.weight")
    else:
        flat[f"{own}/Dense_0/kernel"] = source.one(f"{stem}norm.dense.weight").T
        flat[f"{own}/Dense_0/bias"] = source.one(f"{stem}norm.dense.bias")


def _turned(x: np.ndarray) -> np.ndarray:
    return x.T
