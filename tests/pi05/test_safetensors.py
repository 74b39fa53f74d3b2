"""Files of safetensors are read as they were written, and refused where they are not whole."""

import json
import struct

import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax.pi05.safetensors import read_safetensors

RNG = np.random.default_rng(0)
TENSORS = {
    "a.weight": RNG.normal(size=(3, 4)).astype(np.float32),
    "b": np.asarray(RNG.normal(size=(5,)), jnp.bfloat16),
    "count": np.array(7, np.int64),
    "empty": np.zeros((0, 3), np.float16),
}
KINDS = {"float32": "F32", "bfloat16": "BF16", "int64": "I64", "float16": "F16"}


def written(path, tensors, change=lambda header: header, cut=None):
    """A file by the format's own description: length of the header, header, numbers."""
    header, place = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        offsets = [place, place + tensor.nbytes]
        kind = KINDS[tensor.dtype.name]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": offsets}
        place += tensor.nbytes
    text = json.dumps(change(header)).encode()
    numbers = b"".join(tensor.tobytes() for tensor in tensors.values())
    path.write_bytes((struct.pack("<Q", len(text)) + text + numbers)[:cut])
    return path


def test_every_tensor_comes_back_to_the_bit(tmp_path):
    found = read_safetensors(written(tmp_path / "model.safetensors", TENSORS))
    assert list(found) == list(TENSORS)
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape
        assert found[name].tobytes() == tensor.tobytes()
    assert not found["a.weight"].flags.writeable


def test_a_file_of_no_numbers(tmp_path):
    empty = {"empty": TENSORS["empty"]}
    assert read_safetensors(written(tmp_path / "x", empty))["empty"].shape == (0, 3)


def with_entry(**entry):
    return lambda header: header | {"b": header["b"] | entry}


@pytest.mark.parametrize(
    ("change", "cut", "message"),
    [
        (lambda header: header, 4, "cut short"),
        (lambda header: header, 40, "cut short"),
        (lambda header: header, -3, "tensor 'count': bytes 58 to 66"),
        (lambda header: [header], None, "header is a list"),
        (with_entry(dtype="F8_E4M3"), None, "tensor 'b': dtype 'F8_E4M3'"),
        (with_entry(shape=[6]), None, r"BF16 \[6\], which takes 12"),
        (with_entry(shape=[-5]), None, r"BF16 \[-5\]"),
        (with_entry(data_offsets=[900, 910]), None, "bytes 900 to 910"),
        (with_entry(data_offsets=[-10, 0]), None, "bytes -10 to 0"),
        (lambda header: header | {"b": {"dtype": "F32"}}, None, "tensor 'b': its entry"),
    ],
)
def test_what_is_not_whole_is_named(tmp_path, change, cut, message):
    path = written(tmp_path / "model.safetensors", TENSORS, change, cut)
    with pytest.raises(ValueError, match=message):
        read_safetensors(path)


def test_a_file_of_something_else(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 3) + b"{]}" + b"\0" * 9)
    with pytest.raises(ValueError, match="no JSON"):
        read_safetensors(path)
    path.write_bytes(b"\xff" * 64)
    with pytest.raises(ValueError, match="no safetensors file"):
        read_safetensors(path)
    with pytest.raises(FileNotFoundError):
        read_safetensors(tmp_path / "none")
