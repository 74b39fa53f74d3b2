"""The server: it outlives its clients' faults and shortages, and ends when it is told to."""

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from policy_servers import listening
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from iss_jax.policies import wire
from iss_jax.policies.client import PolicyClient, ServerError

ROOT = Path(__file__).parents[2]
ANSWER = {"actions": np.zeros((2, 3), np.float32)}


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"\xc1", "not a message of openpi's protocol"),
        ("words", "of type str given, a binary one wanted"),
        (wire.pack([1, 2]), "the observation: list given, a dict wanted"),
        (wire.pack({b"__ndarray__": True}), "not a message"),
        (wire.pack({"refused": "\ud800".encode("utf-8", "surrogatepass")}), "ValueError: no \\?"),
    ],
)
def test_a_malformed_message_is_answered_with_its_error(message, said):
    def infer(raw):
        if "refused" in raw:
            raise ValueError("no \ud800")
        return ANSWER

    with listening(infer) as address:
        with connect(address, compression=None) as client:
            client.recv(timeout=5)
            client.send(message)
            answer = client.recv(timeout=5)
            assert isinstance(answer, str) and said.replace("\\", "") in answer
        with PolicyClient(address) as client:
            assert client.infer({})["actions"].shape == (2, 3)


@pytest.mark.parametrize("answer", [None, 3, {"actions": object()}])
def test_a_policy_that_answers_with_something_else_is_an_error_of_the_server(answer):
    with (
        listening(lambda raw: answer) as address,
        PolicyClient(address) as client,
        pytest.raises(ServerError, match="Error"),
    ):
        client.infer({})


def test_a_message_that_is_too_large_is_not_read():
    with (
        listening(lambda raw: ANSWER, most_bytes=1000) as address,
        connect(address, compression=None) as client,
    ):
        client.recv(timeout=5)
        client.send(bytes(2000))
        with pytest.raises(ConnectionClosed, match="1009"):
            client.recv(timeout=5)


def test_it_ends_while_the_policy_computes_and_a_client_waits():
    begun, release, stop = threading.Event(), threading.Event(), threading.Event()

    def infer(raw):
        begun.set()
        release.wait(20)
        return ANSWER

    with listening(infer, stop=stop) as address, connect(address) as client:
        client.recv(timeout=5)
        client.send(wire.pack({}))
        assert begun.wait(5)
        since = time.monotonic()
        stop.set()
        thread = next(t for t in threading.enumerate() if t.name.endswith("(serve)"))
        thread.join(5)
        assert not thread.is_alive() and time.monotonic() - since < 2
        port = int(address.rpartition(":")[2])
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        release.set()


_SERVER = """
import resource, signal, sys, time
from iss_jax.policies.server import serve

# A suite that runs in a shell's background would hand on that interrupts are ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))

def infer(raw):
    if "sleep" in raw:
        time.sleep(60)
    return {"actions": [[1.0]]}

serve(infer, port=0, ready=lambda port: print(port, flush=True))
"""


@contextlib.contextmanager
def started():
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    found = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield found
    finally:
        found.kill()
        found.communicate()


@pytest.fixture
def process():
    with started() as found:
        yield found


@pytest.mark.slow
def test_a_process_without_file_descriptors_goes_on_serving(process):
    port = int(process.stdout.readline())
    with connect(f"ws://127.0.0.1:{port}", compression=None) as first:
        first.recv(timeout=5)
        idle = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(60)]
        time.sleep(0.5)
        # The client that is connected is answered while no other can be.
        first.send(wire.pack({}))
        assert "actions" in wire.unpack(first.recv(timeout=5))
        for one in idle:
            one.close()
        with PolicyClient(f"ws://127.0.0.1:{port}", connect_timeout=5) as client:
            assert client.infer({})["actions"] == [[1.0]]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as reply:
            assert reply.status == 200


@pytest.mark.slow
def test_a_process_ends_within_two_seconds_while_its_policy_computes():
    """The quickest of three: what else a machine does only adds to it."""
    quickest = math.inf
    for _ in range(3):
        with started() as process:
            port = int(process.stdout.readline())
            with connect(f"ws://127.0.0.1:{port}", compression=None) as client:
                client.recv(timeout=5)
                client.send(wire.pack({"sleep": True}))
                time.sleep(0.5)
                since = time.monotonic()
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=30)
                    quickest = min(quickest, time.monotonic() - since)
        if quickest < 2:
            break
    assert quickest < 2


@pytest.mark.slow
def test_a_client_hears_of_a_server_that_is_killed(process):
    port = int(process.stdout.readline())
    threading.Timer(0.3, process.kill).start()
    since = time.monotonic()
    client = PolicyClient(f"ws://127.0.0.1:{port}", retries=1, pause=0.01)
    with client, pytest.raises(ConnectionError, match="no answer after 2 attempts"):
        client.infer({"sleep": True})
    assert time.monotonic() - since < 5


def test_what_is_told_of_an_observation_is_told_after_its_answer_is_sent():
    """It is held until the client has its answer; several at once, and errors, are not told."""
    told, answered = [], threading.Event()

    def sent(raw):
        assert answered.wait(5)
        told.append(raw["number"])

    def infer(raw):
        return ANSWER | {"number": raw["number"]}

    with (
        listening(infer, sent=sent, infer_batch=lambda many: [ANSWER] * len(many)) as address,
        PolicyClient(address, reply_timeout=5) as client,
    ):
        assert client.infer({"number": 1})["number"] == 1
        answered.set()
        assert client.infer({"number": 2})["number"] == 2
        client.infer_batch([{"number": 3}, {"number": 4}])
        with pytest.raises(ServerError, match="KeyError"):
            client.infer({})
    assert told == [1, 2]
