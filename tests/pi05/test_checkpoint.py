"""openpi's checkpoint layout, read and written."""

import json
import pathlib
import shutil

import chex
import goldens
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import iss_jax
from iss_jax.pi05 import params as P
from iss_jax.pi05.checkpoint import restore_params, save_checkpoint
from iss_jax.pi05.normalize import NormStats, load_norm_stats, normalize
from iss_jax.pi05.tokenizer import load_tokenizer, train_tokenizer

STEP = goldens.FOLDER / "ckpt_tiny_b" / "7"


@pytest.mark.parametrize("path", [STEP, STEP / "params"])
def test_restores_what_openpi_saved(path):
    expected = P.unflatten(dict(goldens.arrays("tiny_b_params")))
    chex.assert_trees_all_equal(restore_params(path), expected, strict=True)


def test_restores_to_dtype_and_sharding():
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:2]), ("x",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    params = restore_params(STEP, dtype=jnp.bfloat16, sharding=sharding)
    expected = goldens.arrays("tiny_b_params")
    for name, leaf in P.flatten(params).items():
        assert leaf.dtype == jnp.bfloat16
        assert leaf.sharding.is_equivalent_to(sharding, leaf.ndim)
        np.testing.assert_array_equal(leaf, jnp.asarray(expected[name]).astype(jnp.bfloat16))


def test_every_leaf_goes_where_its_rule_says():
    """Eight devices, four of which hold one copy of the parameters together."""
    mesh = iss_jax.device_mesh(params=4)
    rule = iss_jax.fsdp(mesh, small=64)
    seen = {}

    def noted(path, shape):
        seen[path] = shape
        return rule(path, shape)

    expected = goldens.arrays("tiny_b_params")
    found = P.flatten(restore_params(STEP, sharding=noted))
    assert seen == {path: leaf.shape for path, leaf in expected.items()}
    held = 0
    for path, leaf in found.items():
        assert leaf.sharding == rule(path, leaf.shape), path
        held += leaf.addressable_shards[0].data.size
        np.testing.assert_array_equal(leaf, expected[path])
    # A quarter each, but for what is small or odd.
    total = sum(leaf.size for leaf in expected.values())
    assert total / 4 <= held < 0.3 * total
    tree = P.unflatten({path: leaf.sharding for path, leaf in found.items()})
    again = P.flatten(restore_params(STEP, sharding=tree))
    assert all(again[path].sharding == leaf.sharding for path, leaf in found.items())
    del tree["action_out_proj"]["bias"]
    with pytest.raises(ValueError, match=r"no entry for leaf 'action_out_proj/bias' \[7\]"):
        restore_params(STEP, sharding=tree)


def test_round_trip(tmp_path):
    params = goldens.raw_params("tiny_c")
    stats = {
        name: NormStats(np.zeros(7), np.ones(7), -np.ones(7), np.arange(7.0))
        for name in ("state", "actions")
    }
    proto = train_tokenizer(["open the drawer"])
    save_checkpoint(tmp_path / "3", params, norm_stats=stats, asset_id="a/b", tokenizer=proto)
    chex.assert_trees_all_equal(restore_params(tmp_path / "3"), params, strict=True)
    np.testing.assert_array_equal(load_norm_stats(tmp_path / "3")["actions"].q99, np.arange(7.0))
    assert load_tokenizer(tmp_path / "3" / "assets").vocab_size() > 256
    with pytest.raises(ValueError, match="already holds params"):
        save_checkpoint(tmp_path / "3", params)
    with pytest.raises(ValueError, match="need an asset_id"):
        save_checkpoint(tmp_path / "4", params, norm_stats=stats)


def test_missing_and_foreign_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        restore_params(tmp_path / "nowhere")
    nowhere = tmp_path.resolve() / "nowhere"
    assert str(raised.value) == (
        f"{nowhere}: no checkpoint here; looked for {nowhere}/_METADATA. Wanted is the folder of "
        "one step, which holds params/_METADATA and assets/<asset_id>/norm_stats.json"
    )
    with pytest.raises(FileNotFoundError, match=r"not an orbax parameter checkpoint.*json$"):
        restore_params(tmp_path)
    # The folder of a whole run: a step below it is meant.
    for step in ("1000", "2000"):
        (tmp_path / step / "params").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"json; steps below it: \['1000', '2000'\]$"):
        restore_params(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"looked for \S*/1000/params/_METADATA\."):
        restore_params(tmp_path / "1000")


def test_a_checkpoint_of_something_else_names_the_leaf(tmp_path):
    flat = P.flatten(goldens.raw_params("tiny_b"))
    flat.pop("action_out_proj/bias")
    save_checkpoint(tmp_path / "0", P.unflatten(flat))
    with pytest.raises(ValueError, match="leaf 'action_out_proj/bias' is missing"):
        restore_params(tmp_path / "0")


def test_norm_stats_of_the_golden_checkpoint():
    stats = load_norm_stats(STEP)
    np.testing.assert_allclose(stats["state"].q01, np.arange(-1.0, -0.35, 0.1))
    np.testing.assert_allclose(stats["actions"].q99, np.arange(1.5, 2.15, 0.1))
    again = load_norm_stats(STEP / "assets" / "toy" / "robot")
    np.testing.assert_array_equal(again["state"].mean, stats["state"].mean)


def test_norm_stats_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no norm_stats.json"):
        load_norm_stats(tmp_path)
    for name in ("a", "b"):
        folder = tmp_path / "assets" / name
        folder.mkdir(parents=True)
        (folder / "norm_stats.json").write_text("{}")
    with pytest.raises(ValueError, match="several statistics"):
        load_norm_stats(tmp_path)
    with pytest.raises(ValueError, match=r"not openpi's norm_stats.json"):
        load_norm_stats(tmp_path / "assets" / "a")


def test_a_leaf_that_is_not_finite_is_named(tmp_path):
    params = restore_params(STEP)
    params["action_out_proj"]["bias"] = params["action_out_proj"]["bias"].at[0].set(jnp.nan)
    save_checkpoint(tmp_path / "1", params)
    with pytest.raises(ValueError, match=r"'action_out_proj/bias' holds.*1 of \d+ leaves"):
        restore_params(tmp_path / "1")


def test_addresses_and_half_downloads_are_named(tmp_path):
    with pytest.raises((ValueError, FileNotFoundError), match="gs://bucket/pi05"):
        restore_params("gs://bucket/pi05")
    # What `pathlib` makes of an address.
    with pytest.raises((ValueError, FileNotFoundError), match="gs://bucket/pi05"):
        restore_params(pathlib.Path("gs://bucket/pi05"))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="a PyTorch checkpoint"):
        restore_params(tmp_path)
    shutil.copytree(STEP, tmp_path / "cut")
    meta = tmp_path / "cut" / "params" / "_METADATA"
    meta.write_text(meta.read_text()[:500])
    with pytest.raises(ValueError, match="cut/params: damaged, or not all of it is there"):
        restore_params(tmp_path / "cut")


def test_lost_files_are_named(tmp_path):
    shutil.copytree(STEP, tmp_path / "lost")
    for file in (tmp_path / "lost" / "params").rglob("d/*"):
        file.unlink()
    with pytest.raises(ValueError, match="lost/params: damaged, or not all of it is there"):
        restore_params(tmp_path / "lost")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q99": [np.nan, 1.0]}, "state: q99 of dimension 0 is nan"),
        ({"q01": [0.0, 3.0]}, "state: of dimension 1 q01 is 3 and q99 1"),
        ({"q01": [0.0]}, r"state: q01 is \[1\], wanted \[2\]"),
        ({"std": [np.inf, 1.0]}, "state: std of dimension 0 is inf"),
        ({"mean": [[0.0]]}, r"state: mean is \[1, 1\]"),
    ],
)
def test_statistics_that_cannot_be(tmp_path, change, message):
    good = {"mean": [0.0, 0.0], "std": [1.0, 1.0], "q01": [0.0, 0.0], "q99": [1.0, 1.0]}
    content = {"norm_stats": {"state": good | change, "actions": good}}
    (tmp_path / "norm_stats.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        load_norm_stats(tmp_path)


@pytest.mark.parametrize(
    ("how", "said", "middle"), [("quantiles", "q01 and q99", -1), ("mean_std", "all values", 0)]
)
def test_a_dimension_that_never_moved_has_one_value(how, said, middle):
    stats = NormStats(*np.array([[0.0, 2.0], [1.0, 0.0], [-1.0, 2.0], [1.0, 2.0]]))
    found = normalize(np.array([[0.0, 2.0]]), stats, how)
    np.testing.assert_allclose(found, [[0, middle]], atol=1e-5)
    with pytest.raises(ValueError, match=rf"{said} of dimension 1 are 2, which a value of 2\.5"):
        normalize(np.array([[0.0, 2.5]]), stats, how)
