"""Heads on disk."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax.amortised import init_head, load_head, save_head
from iss_jax.amortised.head import Features


def head():
    one = Features(jnp.ones((3, 4, 6)), jnp.ones((5,)))
    return init_head(jax.random.key(0), one, one, members=2, width=8, grid=(3, 5))


def test_a_head_comes_back_in_half_precision(tmp_path):
    written = head()
    found = load_head(save_head(tmp_path / "head.npz", written))
    assert (found.members, found.grid) == (2, (3, 5))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(written), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


def changed(path, **arrays):
    with np.load(path) as file:
        content = {name: file[name] for name in file.files}
    content |= {name.replace("__", "/"): array for name, array in arrays.items()}
    buffer = io.BytesIO()
    np.savez(buffer, **{name: array for name, array in content.items() if array is not None})
    path.write_bytes(buffer.getvalue())
    return path


def without(path, name):
    with np.load(path) as file:
        content = {key: file[key] for key in file.files if key != name}
    np.savez(path, **content)
    return path


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda path: path.write_bytes(b"no archive") and path,
            r"head.npz: a head's file \(.npz\)",
        ),
        (lambda path: without(path, "leaves/query"), "lacks the leaf 'query'"),
        (lambda path: without(path, "leaves/cells"), r"'cells' has shape \[\], wanted \[members"),
        (lambda path: without(path, "spread/shared"), r"no head, it lacks \['spread/shared'\]"),
        (
            lambda path: changed(path, leaves__wide=np.zeros((2, 8, 9))),
            r"'wide' has shape \[2, 8, 9\], wanted \[2, 8, 16\]",
        ),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path, damage, said):
    path = damage(save_head(tmp_path / "head.npz", head()))
    with pytest.raises(ValueError, match=said):
        load_head(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        load_head(tmp_path / "none.npz")
