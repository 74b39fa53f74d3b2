"""Arrays are as large as their file says, and their file accounts for it."""

import io
import zipfile

import numpy as np
import pytest

from iss_jax.data import bounds
from iss_jax.data.npz import load_arrays, read_headers, save_arrays


@pytest.fixture(params=["npz", "npy"])
def whole(request, tmp_path):
    path = tmp_path / f"a.{request.param}"
    if request.param == "npy":
        np.save(path, np.arange(1000.0))
    else:
        save_arrays(path, {"x": np.arange(1000.0), "y": np.array("text")})
    return path


def _header(shape, dtype="<f8"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return buffer.getvalue()


def test_only_what_is_asked_for_is_read(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.arange(3), y=np.array([object()]), z=np.array("text"))
    headers = read_headers(path, "here")
    assert (
        headers["x"].shape == (3,) and headers["y"].dtype == object and set(headers) == set("xyz")
    )
    assert load_arrays(path, "here", ("x", "other"))["x"].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"here, array 'y': holds Python objects"):
        load_arrays(path, "here")


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((10**12,), "<f8"), ((999,), "<f8"), ((1001,), "<f8"), ((-1,), "<f8"), ((1,), "<U1000000000")],
)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_header_that_the_file_does_not_bear_out(tmp_path, shape, dtype, suffix):
    path, content = tmp_path / f"a.{suffix}", _header(shape, dtype) + np.arange(1000.0).tobytes()
    if suffix == "npz":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("x.npy", content)
    else:
        path.write_bytes(content)
    for read in (load_arrays, read_headers):
        with pytest.raises(ValueError, match=r"^here.*: cannot be read \("):
            read(path, "here")


def test_an_array_that_inflates_is_refused_unread(tmp_path, monkeypatch):
    path, zeros = tmp_path / "a.npz", np.zeros(2_000_000)
    np.savez_compressed(path, x=zeros, y=np.ones(3))
    assert load_arrays(path, "here")["x"].nbytes == 16_000_000
    monkeypatch.setattr(bounds, "FREE", 10**6)
    with pytest.raises(ValueError, match=r"here, array 'x': 16000000 bytes of memory wanted by a"):
        load_arrays(path, "here")
    assert load_arrays(path, "here", ["y"])["y"].tolist() == [1, 1, 1]
    # What is written here can be read here, however well it deflates.
    save_arrays(path, {"x": zeros, "y": np.ones(3)})
    assert load_arrays(path, "here")["x"].nbytes == 16_000_000


def test_many_small_arrays_are_one_large_one(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "FREE", 10**6)
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **{f"x{i}": np.zeros(50_000) for i in range(4)})
    with pytest.raises(ValueError, match=r"array 'x2': 1200000 bytes of memory wanted"):
        load_arrays(path, "here")


def test_every_cut_and_every_flip_of_an_npz_is_noticed_or_changes_nothing(whole):
    content, wanted = whole.read_bytes(), load_arrays(whole, "here")
    flips = range(0, len(content), 29) if whole.suffix == ".npz" else range(0, 128, 3)
    for place in flips:
        spoilt = bytearray(content)
        spoilt[place] ^= 4
        for bad in (bytes(spoilt), content[:place]):
            whole.write_bytes(bad)
            try:
                found = load_arrays(whole, "here")
            except ValueError as error:
                assert str(error).startswith("here")
                continue
            for name in set(found) & set(wanted):
                if found[name].dtype == wanted[name].dtype:
                    np.testing.assert_array_equal(found[name].ravel(), wanted[name].ravel())


def test_two_arrays_of_one_name(tmp_path):
    path = tmp_path / "a.npz"
    content = io.BytesIO()
    np.save(content, np.arange(3))
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x.npy", content.getvalue())
        file.writestr("x", content.getvalue())
    with pytest.raises(ValueError, match="here: two arrays are named 'x'"):
        load_arrays(path, "here")
