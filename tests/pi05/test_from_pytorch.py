"""PyTorch trees of π0.5 and π0 become openpi's JAX tree, leaf for leaf.

`torch_tree.torch_names` is the other direction; `test_real_openpi_pytorch.py` has openpi's own
classes.
"""

import dataclasses
import shutil
import struct
from json import dumps

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from torch_tree import LANGUAGE, TOWER, torch_names

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


def jax_leaves(sizes, dtype=np.float32):
    rng = np.random.default_rng(0)
    return {path: rng.normal(0, 0.3, shape).astype(dtype) for path, shape in shapes(sizes).items()}


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
    table = tensors.pop(f"{LANGUAGE}embed_tokens.weight")
    tensors["paligemma_with_expert.paligemma.lm_head.weight"] = table
    tensors["paligemma_with_expert.gemma_expert.lm_head.weight"] = np.zeros((1024, 6))
    tensors[f"{TOWER}embeddings.position_ids"] = np.arange(4)
    tensors[f"{LANGUAGE}rotary_emb.inv_freq"] = np.zeros(2)
    found = flatten(converted({f"model.{name}": tensor for name, tensor in tensors.items()}))
    for path, leaf in leaves.items():
        np.testing.assert_array_equal(found[path], leaf, err_msg=path)


def without(name):
    return lambda tensors: {n: t for n, t in tensors.items() if n != name}


def with_tensor(name, change):
    return lambda tensors: tensors | {name: change(tensors.get(name))}


HEAD = "paligemma_with_expert.paligemma.lm_head.weight"


def test_a_head_that_is_the_same_table_is_taken():
    leaves = jax_leaves(PI05)
    tensors = torch_names(leaves, PI05)
    tensors[HEAD] = tensors[f"{LANGUAGE}embed_tokens.weight"].copy()
    path = "PaliGemma/llm/embedder/input_embedding"
    np.testing.assert_array_equal(flatten(converted(tensors))[path], leaves[path])


def set_to_nan(tensor):
    tensor = tensor.copy()
    tensor.flat[3] = np.nan
    return tensor


FIRST = f"{LANGUAGE}layers.1.self_attn.q_proj.weight"


@pytest.mark.parametrize(
    ("change", "heads", "message"),
    [
        (without("action_in_proj.bias"), {}, "'action_in_proj.bias' is missing"),
        (without(f"{LANGUAGE}norm.weight"), {}, "norm.dense.weight' is missing"),
        (lambda _: {"vision.w": np.zeros(3)}, {}, r"missing; 1 given, such as \['vision.w'\]"),
        (with_tensor("lora.weight", lambda _: np.zeros(3)), {}, r"\['lora.weight'\] belong to no"),
        (with_tensor(FIRST, lambda x: x[:-1]), {}, "q_proj.weight' of shape"),
        (
            with_tensor(FIRST, lambda x: x.astype(np.float16)),
            {},
            r"float16 .* differ|differ between",
        ),
        (with_tensor("action_in_proj.bias", lambda x: x[1:]), {}, "leaf 'action_in_proj/bias'"),
        (
            lambda tensors: tensors | {HEAD: 2 * tensors[f"{LANGUAGE}embed_tokens.weight"]},
            {},
            r"lm_head.weight' differs from .*embed_tokens.weight'",
        ),
        (with_tensor(HEAD, lambda _: np.zeros((2, 10), np.float32)), {}, "lm_head.weight' differs"),
        (with_tensor("action_in_proj.bias", set_to_nan), {}, "action_in_proj/bias"),
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


def test_a_conversion_that_was_cut_short_can_be_repeated(tmp_path, monkeypatch):
    source = tmp_path / "torch"
    (source / "assets").mkdir(parents=True)
    write_safetensors(source / "model.safetensors", torch_names(jax_leaves(PI05), PI05))

    def full(*_args, **_kwargs):
        raise OSError("no space left")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space left"):
        patch.setattr(shutil, "copytree", full)
        convert_checkpoint(source, tmp_path / "jax", image_heads=3)
    out = convert_checkpoint(source, tmp_path / "jax", image_heads=3)
    assert (out / "params").is_dir() and (out / "assets").is_dir()


def test_the_converted_tree_is_one_that_saliency_takes():
    tree = converted(torch_names(jax_leaves(PI05), PI05))
    assert iss_jax.pi05.params.sizes_of(tree) == PI05
    assert jax.tree.structure(tree) == jax.tree.structure(unflatten(jax_leaves(PI05)))
