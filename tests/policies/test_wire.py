"""Messages: what travels comes back, and whatever else arrives is an error before it costs."""

import tracemalloc

import jax.numpy as jnp
import msgpack
import numpy as np
import pytest
from hypothesis import event, given, settings, strategies as st
from policy_servers import listening

from iss_jax.policies import wire

FRAME = np.random.default_rng(0).integers(0, 256, (14, 14, 3), np.uint8)
MESSAGES = {
    "image": FRAME,
    "nested": {"half": np.float16([1.5]), "empty": np.zeros((0, 3), np.int32)},
    "scalar": np.float32(2.5),
    "endless": np.float32(np.inf),
    "flag": np.True_,
    "words": np.array(["pick", "up"]),
    "bytes": np.array([b"ab", b"c"]),
    "text": "pick up",
    "number": 3,
    "big": np.arange(3, dtype=">i8"),
}


def same(found, wanted):
    assert type(found) is type(wanted)
    if isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for name in wanted:
            same(found[name], wanted[name])
    else:
        assert getattr(found, "dtype", None) == getattr(wanted, "dtype", None)
        np.testing.assert_array_equal(found, wanted)


def test_messages_come_back_as_they_were():
    same(wire.unpack(wire.pack(MESSAGES)), MESSAGES)
    same(wire.unpack(wire.pack({"x": jnp.arange(3)})), {"x": np.arange(3, dtype=np.int32)})


@pytest.mark.parametrize(
    "refused",
    [
        np.array([object()]),
        np.complex64(1),
        np.zeros(2, "f4,f4"),
        np.zeros(1, "M8[s]"),
        np.zeros(1, np.longdouble),
        object(),
        {1, 2},
        2**70,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_does_not_travel_is_not_sent(refused):
    with pytest.raises(ValueError, match="travel"):
        wire.pack({"x": refused})


def array(**changes):
    content = {"__ndarray__": True, "dtype": "<f8", "shape": [1], "data": b"12345678", **changes}
    return {name.encode(): value for name, value in content.items() if value is not None}


def scalar(dtype, data):
    return {b"__npgeneric__": True, b"dtype": dtype, b"data": data}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (array(dtype="|O"), "travel"),
        (array(dtype="|V8"), "travel"),
        (array(dtype="<c8"), "travel"),
        (array(dtype="<M8[s]"), "travel"),
        (array(dtype="f4,f4"), "travel"),
        (array(dtype="(2,)f4"), "travel"),
        (array(dtype=3), "travel"),
        (array(dtype=["<f8"]), "travel"),
        (array(dtype="float"), "travel"),
        (array(data=b"1234567"), "7 bytes"),
        (array(data="12345678"), "data are str, bytes wanted"),
        (array(data=None), "not a message"),
        (array(shape=None), "not a message"),
        (array(dtype=None), "not a message"),
        (array(shape="1"), "shape '1', a list of sizes"),
        (array(shape=[True]), r"shape \[True\]"),
        (array(shape=[1.0]), r"shape \[1.0\]"),
        (array(shape=[-1, -1]), r"shape \[-1, -1\]"),
        (array(shape=[1] * 100), "maximum"),
        # 10^15 elements in some eighty bytes, three ways.
        (array(dtype="|S0", shape=[10**15], data=b""), "travel"),
        (array(dtype="<U0", shape=[10**15], data=b""), "travel"),
        (array(shape=[0, 10**15], data=b""), "an empty array"),
        (array(shape=[10**9, 10**9, 0], data=b""), "an empty array"),
        (scalar("|S1", 10**10), "whose value is 10000000000"),
        (scalar("|u1", 300), "300 is beyond uint8"),
        (scalar("|u1", -1), "-1 is beyond uint8"),
        (scalar("<i8", 2**63), "beyond int64"),
        (scalar("<f2", 1e6), "beyond float16"),
        (scalar("<f4", "1"), "whose value is '1'"),
        (scalar("|b1", 2), "whose value is 2"),
        (scalar("<f8", [1.0] * 9), "whose value is"),
        ({b"__npgeneric__": True}, "not a message"),
    ],
)
def test_arrays_that_are_none_are_named(content, message):
    with pytest.raises(ValueError, match=message):
        wire.unpack(msgpack.packb({"x": content}))


@pytest.mark.parametrize("code", [-1, 0, 42, 127])
@pytest.mark.parametrize(
    "put", [lambda x: x, lambda x: [x], lambda x: {"x": x}, lambda x: {x: 1}, lambda x: {"y": [x]}]
)
def test_extension_types_are_named(code, put):
    time = code == -1
    extension = msgpack.Timestamp(3) if time else msgpack.ExtType(code, b"abcd")
    message = msgpack.packb(put(extension))
    with pytest.raises(
        ValueError, match=rf"an extension type {code}{'' if time else ' of 4 byte'}"
    ):
        wire.unpack(message)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xc1",
        b"\x81",
        b"\x80\x80",
        b"\xa2\xff\xfe",
        b"\x81\x90\x01",  # a list as a key
        b"\x91" * 3000,
        b"\xdd\xff\xff\xff\xff",
        wire.pack({"x": FRAME})[:-1],
    ],
    ids=repr,
)
def test_bytes_that_are_no_message_are_named(message):
    with pytest.raises(ValueError, match="not a message of openpi's protocol"):
        wire.unpack(message)


def test_nested_lists_cannot_claim_more_than_they_hold():
    """Each level says that it holds as many items as the message has bytes."""
    size = 500_000
    message = b"".join(b"\xdd" + size.to_bytes(4, "big") for _ in range(400)) + bytes(size)
    tracemalloc.start()
    with pytest.raises(ValueError, match="not a message"):
        wire.unpack(message)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_sizes_have_a_limit_on_both_sides():
    with pytest.raises(ValueError, match="bytes given, at most 100 wanted"):
        wire.pack({"x": FRAME}, 100)
    with pytest.raises(ValueError, match="bytes given, at most 100 wanted"):
        wire.unpack(wire.pack({"x": FRAME}), 100)
    with pytest.raises(ValueError, match="of type str given, a binary one wanted"):
        wire.unpack("text")  # pyright: ignore
    with pytest.raises(ValueError, match="the answer: list given, a dict wanted"):
        wire.unpack_dict(wire.pack([1]), "the answer")


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(), st.binary()
)
SPELLED = st.sampled_from(
    [b"__ndarray__", b"__npgeneric__", b"dtype", b"shape", b"data", "actions"]
)
DTYPES = st.sampled_from(["<f4", "|u1", "<i8", "|b1", "<U3", "|S0", "|O", ">f8", "<f16", "V8"])
CONTENT = st.recursive(
    st.one_of(LEAVES, DTYPES),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(SPELLED, st.text()), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(CONTENT)
def test_any_content_is_read_or_refused(content):
    try:
        found = wire.unpack(msgpack.packb(content))
    except ValueError:
        event("refused by name")
        return
    event("read")
    wire.pack(found)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_any_damage_is_read_or_refused(data):
    message = bytearray(wire.pack(MESSAGES))
    for _ in range(data.draw(st.integers(1, 4))):
        # The heads are at the ends: most of the middle is a picture.
        place = data.draw(st.integers(0, len(message) - 1))
        message[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 3))
    try:
        wire.unpack(bytes(message[: len(message) - cut]))
    except ValueError:
        event("refused by name")
    else:
        event("read")


def test_openpis_own_client_understands_it():
    packing = pytest.importorskip("openpi_client.msgpack_numpy", reason="openpi-client, numpy < 2")
    from openpi_client.websocket_client_policy import WebsocketClientPolicy

    same(packing.unpackb(wire.pack(MESSAGES)), MESSAGES)
    same(wire.unpack(packing.packb(MESSAGES)), MESSAGES)
    with listening(lambda raw: {"actions": np.asarray(raw["state"]) * 2}) as address:
        host, port = address.removeprefix("ws://").split(":")
        answer = WebsocketClientPolicy(host, int(port)).infer({"state": np.arange(3.0)})
    np.testing.assert_array_equal(answer["actions"], [0.0, 2.0, 4.0])
