"""Results come back from their files bit for bit, and files that are none are named."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_records import KINDS, map_of_two, results, tokens

import iss_jax
from iss_jax import ISSConfig
from iss_jax.data.npz import load_arrays, save_arrays
from iss_jax.record_file import LAYOUT
from iss_jax.results import Cameras


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_back_bit_for_bit(kind, tmp_path):
    found = results()[kind]
    found.save(tmp_path / "a.npz")
    again = type(found).load(tmp_path / "a.npz")
    assert jax.tree.structure(again) == jax.tree.structure(found)
    for one, two in zip(jax.tree.leaves(found), jax.tree.leaves(again), strict=True):
        if isinstance(one, float):
            assert type(two) is float and two == one
        else:
            assert two.dtype == one.dtype and two.shape == one.shape
            assert two.tobytes() == np.asarray(one).tobytes()
    again.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() and repr(again) == repr(found)


def whole():
    """A map with everything that a map can have: odd names, bfloat16, NaN, infinity."""
    found = map_of_two()
    maps = {"observation/image": found.maps["front"], "..\\wrist é": found.maps["wrist"]}
    odd = found.stderr.at[0].set(jnp.inf).at[1].set(-0.0)
    return dataclasses.replace(
        found,
        maps=maps,
        valid=dict(zip(maps, found.valid.values(), strict=True)),
        stderr=odd,
        actions=jnp.linspace(-1, 1, 24).reshape(2, 4, 3).astype(jnp.bfloat16),
        gradients=jnp.full((2, 3, 2, 2, 2), jnp.nan, jnp.float16),
        frames={view: np.arange(384, dtype=np.uint8).reshape(2, 8, 8, 3) for view in maps},
        cameras=Cameras(dict(zip(maps, ["Kopf <1>", "Hand"], strict=True))),
        config=ISSConfig(
            num_masks=7,
            grid=(2, 2),
            estimator="clipped",
            action_dims=(0, 2),
            action_weights=(0.1, 1 / 3),
        ),
        unit="mean squared error, robot units",
    )


def test_all_of_a_map_comes_back(tmp_path):
    found = whole()
    found.save(tmp_path / "map.npz")
    again = iss_jax.Saliency.load(tmp_path / "map.npz")
    assert again.cameras == found.cameras and list(again.maps) == list(found.maps)
    assert again.config == found.config and again.unit == found.unit
    assert again.actions.dtype == jnp.bfloat16
    for one, two in zip(jax.tree.leaves(found), jax.tree.leaves(again), strict=True):
        assert two.tobytes() == np.asarray(one).tobytes()
    np.testing.assert_array_equal(
        iss_jax.critical_set(again, 10).size, iss_jax.critical_set(found, 10).size
    )


def test_the_file_is_plain_arrays_without_pickle_and_is_written_whole(tmp_path, monkeypatch):
    whole().save(tmp_path / "map.npz")
    with np.load(tmp_path / "map.npz", allow_pickle=False) as file:
        header = json.loads(str(file["record"]))
        assert file["cells"].shape == (2, 2, 2, 2)
        assert file["maps/observation/image"].shape == (2, 8, 8)
        assert all(file[name].dtype != object for name in file.files)
    assert header["layout"] == LAYOUT and header["kind"] == "Saliency"
    before = (tmp_path / "map.npz").read_bytes()
    monkeypatch.setattr(np.lib.format, "write_array", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        whole().save(tmp_path / "map.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["map.npz"]
    assert (tmp_path / "map.npz").read_bytes() == before


def changed(path, change):
    """A file with another header."""
    whole().save(path)
    arrays = load_arrays(path, "")
    header = json.loads(str(arrays["record"]))
    change(header, arrays)
    arrays["record"] = np.asarray(json.dumps(header))
    save_arrays(path, arrays)


FAULTS = {
    "layout 99, this version of iss_jax reads 1": lambda h, a: h.update(layout=99),
    "holds a TokenSignificance, Saliency wanted": lambda h, a: h.update(kind="TokenSignificance"),
    r"lacks the array 'cells'": lambda h, a: a.pop("cells"),
    r"lacks the fields \['cells'\]": lambda h, a: h["fields"].pop("cells"),
    r"has the unknown \['colour'\]": lambda h, a: h["fields"].update(colour={"kind": "none"}),
    "array 'cells' is float64, float32 noted": lambda h, a: a.update(
        cells=a["cells"].astype(np.float64)
    ),
    "unexpected keyword argument 'depth'": lambda h, a: h["facts"]["config"].update(depth=3),
    "estimator must be one of": lambda h, a: h["facts"]["config"].update(estimator="best"),
    "malformed": lambda h, a: h["fields"].update(cells={"dtype": "float32"}),
    "holds a 'Thing', which this version does not know": lambda h, a: h["fields"].update(
        cells={"kind": "Thing", "fields": {}, "facts": {}}
    ),
}


@pytest.mark.parametrize("message", FAULTS)
def test_a_file_that_is_none_says_what_it_lacks(message, tmp_path):
    changed(tmp_path / "map.npz", FAULTS[message])
    with pytest.raises(ValueError, match=rf"map\.npz: .*{message}"):
        iss_jax.Saliency.load(tmp_path / "map.npz")


def test_missing_foreign_and_damaged_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        iss_jax.Saliency.load(tmp_path / "none.npz")
    np.savez(tmp_path / "foreign.npz", a=np.ones(2))
    with pytest.raises(ValueError, match=r"foreign\.npz: no result.*lacks the text 'record'"):
        iss_jax.Saliency.load(tmp_path / "foreign.npz")
    np.savez(tmp_path / "text.npz", record=np.asarray("{"))
    with pytest.raises(ValueError, match=r"text\.npz: its text 'record' cannot be read"):
        iss_jax.Saliency.load(tmp_path / "text.npz")
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04torn")
    with pytest.raises(ValueError, match=r"torn\.npz: cannot be read"):
        iss_jax.Saliency.load(tmp_path / "torn.npz")
    objects = np.empty(1, object)
    np.savez(tmp_path / "pickled.npz", record=objects, allow_pickle=True)
    with pytest.raises(ValueError, match=r"pickled\.npz.*Python objects"):
        iss_jax.Saliency.load(tmp_path / "pickled.npz")
    tokens().save(tmp_path / "tokens.npz")
    with pytest.raises(ValueError, match=r"holds a TokenSignificance, Saliency wanted"):
        iss_jax.Saliency.load(tmp_path / "tokens.npz")
