"""PyTorch trees of π0.5 and π0 become openpi's JAX tree, leaf for leaf.

`torch_names` is the other direction, written here from openpi's description of its own converter:
a layer at a time, by index and by matrix product rather than by reshaping, so that one mistake
cannot hide in both. `test_real_openpi_pytorch.py` has openpi's own classes.
"""

import dataclasses
import struct
from json import dumps

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import iss_jax
from iss_jax.pi05.checkpoint import restore_params
from iss_jax.pi05.from_pytorch import convert_checkpoint, from_pytorch, read_pytorch
from iss_jax.pi05.params import Expert, ImageTower, Sizes, flatten, shapes, unflatten

PI05 = Sizes(
    image=ImageTower(width=12, depth=2, mlp=20, heads=3, patch=4, tokens=4),
    vlm=Expert(width=10, mlp=14),
    action=Expert(width=6, mlp=8),
    depth=3,
    heads=2,
    kv_heads=1,
    head_dim=4,
    vocab=1024,
    action_dim=7,
)
PI0 = dataclasses.replace(PI05, reads_state=True)
V = "paligemma_with_expert.paligemma.model.vision_tower.vision_model."
L = "paligemma_with_expert.paligemma.model.language_model."
E = "paligemma_with_expert.gemma_expert.model."
P = "paligemma_with_expert.paligemma.model.multi_modal_projector.linear."


def jax_leaves(sizes, dtype=np.float32):
    rng = np.random.default_rng(0)
    return {path: rng.normal(0, 0.3, shape).astype(dtype) for path, shape in shapes(sizes).items()}


def put(out, name, kernel, bias):
    out[f"{name}.weight"], out[f"{name}.bias"] = np.swapaxes(kernel, 0, 1), bias


def torch_names(leaves, sizes):
    """The same numbers under PyTorch's names, as its layers [out, in] want them."""
    out = {}
    img, block = "PaliGemma/img", "PaliGemma/img/Transformer/encoderblock"
    out[f"{V}embeddings.patch_embedding.weight"] = np.einsum(
        "hwcd->dchw", leaves[f"{img}/embedding/kernel"]
    )
    out[f"{V}embeddings.patch_embedding.bias"] = leaves[f"{img}/embedding/bias"]
    out[f"{V}embeddings.position_embedding.weight"] = leaves[f"{img}/pos_embedding"][0]
    for i in range(sizes.image.depth):
        layer = f"{V}encoder.layers.{i}."
        for k in (0, 1):
            for theirs, ours in (("weight", "scale"), ("bias", "bias")):
                own = leaves[f"{block}/LayerNorm_{k}/{ours}"][i]
                out[f"{layer}layer_norm{k + 1}.{theirs}"] = own
            dense = f"{block}/MlpBlock_0/Dense_{k}"
            put(
                out,
                f"{layer}mlp.fc{k + 1}",
                *(leaves[f"{dense}/{n}"][i] for n in ("kernel", "bias")),
            )
        attention = f"{block}/MultiHeadDotProductAttention_0"
        for name in ("query", "key", "value"):
            kernel = leaves[f"{attention}/{name}/kernel"][i]
            bias = leaves[f"{attention}/{name}/bias"][i]
            rows = [kernel[:, h, d] for h in range(sizes.image.heads) for d in range(bias.shape[1])]
            out[f"{layer}self_attn.{name[0]}_proj.weight"] = np.stack(rows)
            out[f"{layer}self_attn.{name[0]}_proj.bias"] = np.concatenate(list(bias))
        kernel = leaves[f"{attention}/out/kernel"][i]
        columns = [kernel[h, d] for h in range(len(kernel)) for d in range(kernel.shape[1])]
        out[f"{layer}self_attn.out_proj.weight"] = np.stack(columns, 1)
        out[f"{layer}self_attn.out_proj.bias"] = leaves[f"{attention}/out/bias"][i]
    for theirs, ours in (("weight", "scale"), ("bias", "bias")):
        out[f"{V}post_layernorm.{theirs}"] = leaves[f"{img}/Transformer/encoder_norm/{ours}"]
    put(out, P.rstrip("."), leaves[f"{img}/head/kernel"], leaves[f"{img}/head/bias"])
    out[f"{L}embed_tokens.weight"] = leaves["PaliGemma/llm/embedder/input_embedding"]
    llm = "PaliGemma/llm"
    for stem, s in ((L, ""), (E, "_1")):
        for i in range(sizes.depth):
            layer = f"{stem}layers.{i}."
            q = leaves[f"{llm}/layers/attn/q_einsum{s}/w"][i]
            kv = leaves[f"{llm}/layers/attn/kv_einsum{s}/w"][i]
            o = leaves[f"{llm}/layers/attn/attn_vec_einsum{s}/w"][i]
            gates = leaves[f"{llm}/layers/mlp{s}/gating_einsum"][i]
            out[f"{layer}self_attn.q_proj.weight"] = np.concatenate([head.T for head in q])
            for k, name in enumerate(("k", "v")):
                weight = np.concatenate([head.T for head in kv[k]])
                out[f"{layer}self_attn.{name}_proj.weight"] = weight
            out[f"{layer}self_attn.o_proj.weight"] = np.concatenate(list(o)).T
            out[f"{layer}mlp.gate_proj.weight"] = gates[0].T
            out[f"{layer}mlp.up_proj.weight"] = gates[1].T
            out[f"{layer}mlp.down_proj.weight"] = leaves[f"{llm}/layers/mlp{s}/linear"][i].T
            for theirs, ours in (
                ("input_layernorm", f"pre_attention_norm{s}"),
                ("post_attention_layernorm", f"pre_ffw_norm{s}"),
            ):
                norm(out, f"{layer}{theirs}", leaves, f"{llm}/layers/{ours}", i)
        norm(out, f"{stem}norm", leaves, f"{llm}/final_norm{s}", None)
    for name in {path.partition("/")[0] for path in leaves} - {"PaliGemma"}:
        put(out, name, leaves[f"{name}/kernel"], leaves[f"{name}/bias"])
    return out


def norm(out, name, leaves, path, layer):
    def own(leaf):
        return leaves[f"{path}/{leaf}"] if layer is None else leaves[f"{path}/{leaf}"][layer]

    if f"{path}/scale" in leaves:
        out[f"{name}.weight"] = own("scale")
    else:
        put(out, f"{name}.dense", own("Dense_0/kernel"), own("Dense_0/bias"))


def converted(tensors, **heads):
    return from_pytorch(tensors, **{"image_heads": 3} | heads)


@pytest.mark.parametrize("sizes", [PI05, PI0], ids=["pi05", "pi0"])
@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_every_leaf_is_the_one_that_went_out(sizes, dtype):
    leaves = jax_leaves(sizes, dtype)
    found = flatten(converted(torch_names(leaves, sizes)))
    assert list(found) == sorted(leaves)
    for path, leaf in leaves.items():
        assert found[path].dtype == leaf.dtype, path
        np.testing.assert_array_equal(found[path], leaf, err_msg=path)


def test_several_heads_of_keys():
    sizes = dataclasses.replace(PI05, kv_heads=2)
    leaves = jax_leaves(sizes)
    found = flatten(converted(torch_names(leaves, sizes), kv_heads=2))
    for path, leaf in leaves.items():
        np.testing.assert_array_equal(found[path], leaf, err_msg=path)


def test_lerobots_names_the_tied_head_and_what_nothing_reads():
    leaves = jax_leaves(PI05)
    tensors = torch_names(leaves, PI05)
    table = tensors.pop(f"{L}embed_tokens.weight")
    tensors["paligemma_with_expert.paligemma.lm_head.weight"] = table
    tensors["paligemma_with_expert.gemma_expert.lm_head.weight"] = np.zeros((1024, 6))
    tensors[f"{V}embeddings.position_ids"] = np.arange(4)
    tensors[f"{L}rotary_emb.inv_freq"] = np.zeros(2)
    found = flatten(converted({f"model.{name}": tensor for name, tensor in tensors.items()}))
    for path, leaf in leaves.items():
        np.testing.assert_array_equal(found[path], leaf, err_msg=path)


def without(name):
    return lambda tensors: {n: t for n, t in tensors.items() if n != name}


def with_tensor(name, change):
    return lambda tensors: tensors | {name: change(tensors.get(name))}


FIRST = f"{L}layers.1.self_attn.q_proj.weight"


@pytest.mark.parametrize(
    ("change", "heads", "message"),
    [
        (without("action_in_proj.bias"), {}, "'action_in_proj.bias' is missing"),
        (without(f"{L}norm.weight"), {}, "norm.dense.weight' is missing"),
        (lambda _: {"vision.w": np.zeros(3)}, {}, r"missing; 1 given, such as \['vision.w'\]"),
        (with_tensor("lora.weight", lambda _: np.zeros(3)), {}, r"\['lora.weight'\] belong to no"),
        (with_tensor(FIRST, lambda x: x[:-1]), {}, "q_proj.weight' of shape"),
        (
            with_tensor(FIRST, lambda x: x.astype(np.float16)),
            {},
            r"float16 .* differ|differ between",
        ),
        (with_tensor("action_in_proj.bias", lambda x: x[1:]), {}, "leaf 'action_in_proj/bias'"),
        (lambda tensors: tensors, {"image_heads": 5}, "does not split into heads"),
    ],
)
def test_what_does_not_fit_is_named(change, heads, message):
    tensors = change(torch_names(jax_leaves(PI05), PI05))
    with pytest.raises(ValueError, match=message):
        converted(tensors, **heads)


def write_safetensors(path, tensors):
    header, numbers = {}, b""
    for name, tensor in tensors.items():
        span = [len(numbers), len(numbers) + tensor.nbytes]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": span}
        numbers += np.ascontiguousarray(tensor).tobytes()
    text = dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + numbers)


def test_a_folder_becomes_a_checkpoint_with_its_assets(tmp_path):
    leaves = jax_leaves(PI05)
    source = tmp_path / "torch"
    (source / "assets" / "robot").mkdir(parents=True)
    (source / "assets" / "robot" / "norm_stats.json").write_text("{}")
    write_safetensors(source / "model.safetensors", torch_names(leaves, PI05))
    out = convert_checkpoint(source, tmp_path / "jax", image_heads=3)
    found = flatten(jax.device_get(restore_params(out)))
    for path, leaf in leaves.items():
        np.testing.assert_array_equal(found[path], leaf, err_msg=path)
    assert (out / "assets" / "robot" / "norm_stats.json").read_text() == "{}"
    with pytest.raises(ValueError, match="already holds params"):
        convert_checkpoint(source, out, image_heads=3)
    with pytest.raises(FileNotFoundError, match=r"no model\.safetensors"):
        read_pytorch(tmp_path)


def test_the_converted_tree_is_one_that_saliency_takes():
    tree = converted(torch_names(jax_leaves(PI05), PI05))
    assert iss_jax.pi05.params.sizes_of(tree) == PI05
    assert jax.tree.structure(tree) == jax.tree.structure(unflatten(jax_leaves(PI05)))
