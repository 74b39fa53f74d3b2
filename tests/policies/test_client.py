"""The client: what is late or lost is asked again, what is no answer is named."""

import contextlib
import socket
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from policy_servers import listening, saying

from iss_jax.policies import wire
from iss_jax.policies.client import PolicyClient, ServerError

RAW = {"front": np.zeros((14, 14, 3), np.uint8), "prompt": "go"}
ANSWER = {"actions": np.zeros((2, 3), np.float32)}


def test_it_asks_again_where_an_answer_is_late_or_lost():
    release, calls = threading.Event(), []

    def infer(raw):
        calls.append(1)
        if len(calls) == 1:
            release.wait(5)
        return {"actions": np.full((1, 1), len(calls), np.float32)}

    with (
        listening(infer) as address,
        PolicyClient(address, reply_timeout=0.5, retries=2, pause=0.6) as client,
    ):
        threading.Timer(0.8, release.set).start()
        # The first answer comes too late, on a connection that was given up.
        assert client.infer(RAW)["actions"].item() == 2
        client._socket.socket.shutdown(socket.SHUT_RDWR)
        assert client.infer(RAW)["actions"].item() == 3
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    nobody = PolicyClient(f"ws://127.0.0.1:{port}", retries=1, pause=0.01)
    with pytest.raises(ConnectionError, match="no answer after 2 attempts"):
        nobody.infer(RAW)


class Interrupted:
    """A socket whose first answer is awaited in vain."""

    def __init__(self):
        self.closed = False

    def send(self, message):
        del message

    def recv(self, timeout):
        if timeout == 0:
            raise TimeoutError
        raise KeyboardInterrupt


def test_a_connection_that_was_interrupted_is_given_up(monkeypatch):
    client, broken = PolicyClient("ws://nowhere"), Interrupted()
    client._socket = broken
    client._open.callback(setattr, broken, "closed", True)
    with pytest.raises(KeyboardInterrupt):
        client.infer(RAW)
    assert broken.closed and client._socket is None

    @contextlib.contextmanager
    def connect(uri, **_):
        yield SimpleNamespace(recv=lambda timeout: "not welcome")

    monkeypatch.setattr("websockets.sync.client.connect", connect)
    with pytest.raises(ValueError, match="'not welcome', not a message"):
        client.connect()
    assert client._socket is None


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (wire.pack([1]), "the answer: list given, a dict wanted"),
        (wire.pack(None), "the answer: NoneType given"),
        (b"\xc1", "the answer: not a message"),
        (wire.pack({"actions": np.zeros((0, 7))}), r"actions of shape \(0, 7\)"),
        (wire.pack({"actions": []}), r"actions of shape \(0,\)"),
        (wire.pack({"actions": np.full((1, 7), np.nan)}), "actions hold nan"),
    ],
)
def test_what_is_no_answer_is_named(answer, message):
    with saying(answer) as address, PolicyClient(address) as client:
        with pytest.raises(ValueError, match=rf"{address}.*{message}"):
            client.infer(RAW)
        assert client._socket is None


@pytest.mark.parametrize("greeting", [wire.pack([1]), b"\xc1", "hello"])
def test_what_is_no_greeting_is_named(greeting):
    with (
        saying(greeting=greeting) as address,
        PolicyClient(address) as client,
        pytest.raises(ValueError, match=r"greet.*(wanted|not a message)"),
    ):
        client.connect()


@pytest.mark.parametrize(
    ("extra", "message"),
    [(wire.pack(ANSWER), "no observation asked for of"), ("late words", "asked for: late words")],
)
def test_an_extra_message_is_not_the_next_answer(extra, message):
    with saying(wire.pack(ANSWER), extra) as address, PolicyClient(address) as client:
        client.infer(RAW)
        time.sleep(0.1)
        with pytest.raises(ValueError, match=message):
            client.infer(RAW)
        # On a connection of its own the next observation has its own answer.
        assert client.infer(RAW)["actions"].shape == (2, 3)


def test_a_message_that_is_too_large_is_named_and_not_sent_again():
    calls = []

    def infer(raw):
        calls.append(1)
        return {"actions": np.zeros((50, 7))}

    with listening(infer, most_bytes=5000) as address:
        with PolicyClient(address, most_bytes=1000) as client:
            with pytest.raises(ValueError, match="an answer is larger than 1000 bytes"):
                client.infer({"prompt": "go"})
            with pytest.raises(ValueError, match="bytes given, at most 1000 wanted"):
                client.infer({"state": np.zeros(1000)})
        wanted = pytest.raises(ValueError, match="the observation is larger than it takes")
        with PolicyClient(address) as client, wanted:
            client.infer({"state": np.zeros(1000)})
    assert len(calls) == 1


def test_an_address_that_is_none_is_named_at_once():
    with pytest.raises(ValueError, match="'http://host' given, ws://host:port wanted"):
        PolicyClient("http://host").infer(RAW)


def test_several_observations_go_in_as_few_messages_as_the_server_takes():
    sizes = []

    def one(raw):
        sizes.append(1)
        return {"actions": np.full((1, 1), raw["number"])}

    def many(observations):
        sizes.append(len(observations))
        return [{"actions": np.full((1, 1), raw["number"])} for raw in observations]

    asked = [{"number": number} for number in range(7)]
    for options, wanted in (
        ({"infer_batch": many, "most_at_once": 3}, [3, 3, 1]),
        ({}, [1] * 7),
    ):
        sizes.clear()
        with listening(one, **options) as address, PolicyClient(address) as client:
            found = client.infer_batch(asked)
        assert [answer["actions"].item() for answer in found] == list(range(7))
        assert sizes == wanted


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({}, "none given, 2 wanted"),
        ({"infer_batch": [ANSWER]}, "1 answers given, 2 wanted"),
        ({"infer_batch": [ANSWER, 3]}, "answer 1: int given"),
        ({"infer_batch": [ANSWER, {"actions": []}]}, r"answer 1: actions of shape \(0,\)"),
    ],
)
def test_answers_to_several_are_counted_and_checked(answer, message):
    greeting = wire.pack({"infer_batch": 8})
    with (
        saying(wire.pack(answer), greeting=greeting) as address,
        PolicyClient(address) as client,
        pytest.raises(ValueError, match=message),
    ):
        client.infer_batch([RAW, RAW])


def test_a_server_that_takes_several_refuses_more():
    with listening(lambda raw: ANSWER, infer_batch=list, most_at_once=2) as address:
        for given, message in (([{}] * 3, "3 observations given, at most 2"), ("x", "str given")):
            with PolicyClient(address) as client, pytest.raises(ServerError, match=message):
                client._ask({wire.BATCH: given})
