"""Between robot and server: the same actions, never later, with the monitor's numbers beside."""

import threading
import time

import numpy as np
import pytest
from policy_servers import listening

from iss_jax.monitoring.lateness import Beside
from iss_jax.monitoring.proxy import ANSWER, watched_server
from iss_jax.policies.client import PolicyClient, ServerError


def policy(raw):
    if "bad" in raw:
        raise ValueError("no such frame")
    return {"actions": np.full((2, 3), raw["frame"].mean(), np.float32), "server_timing": 1.5}


class Proxy:
    """The proxy before a server, in a thread."""

    def __init__(self, uri, beside):
        self.port, self.ready, self.stop = 0, threading.Event(), threading.Event()

        def known(port):
            self.port = port
            self.ready.set()

        options = {"port": 0, "ready": known, "stop": self.stop, "retries": 0}
        self.thread = threading.Thread(target=watched_server, args=(uri, beside), kwargs=options)

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(10)
        return f"ws://127.0.0.1:{self.port}"

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(5)


def frame(value):
    return {"frame": np.full((4, 4), value, np.float32)}


def test_actions_pass_unchanged_while_the_monitor_is_stuck_and_its_answer_follows():
    go, asked = threading.Event(), []

    def measure(raw):
        asked.append(float(raw["frame"].mean()))
        assert go.wait(10)
        return {"nuisance_share": asked[-1]}

    with (
        listening(policy, metadata={"robot": "arm"}, infer_batch=lambda many: many) as server,
        Beside(measure, deadline=30.0) as beside,
        Proxy(server, beside) as address,
        PolicyClient(address, reply_timeout=5) as client,
    ):
        for value in (1.0, 2.0, 3.0):
            # The monitor is held; a proxy that waited for it would run into the time-out.
            answer = client.infer(frame(value))
            np.testing.assert_array_equal(answer["actions"], np.full((2, 3), value))
            assert answer["server_timing"] == 1.5 and answer[ANSWER]["step"] == -1
        assert client.metadata == {"robot": "arm"}
        go.set()
        for _ in range(500):
            if beside.latest().step == 2:
                break
            time.sleep(0.01)
        answer = client.infer(frame(4.0))[ANSWER]
        assert (answer["step"], answer["nuisance_share"], answer["skipped"]) == (2, 3.0, 1)
    assert asked[:2] == [1.0, 3.0]


def test_a_frame_is_measured_after_its_answer_is_sent():
    order = []

    def infer(raw):
        order.append("acted")
        return policy(raw)

    with (
        listening(infer) as server,
        Beside(lambda raw: order.append("measured"), deadline=30.0) as beside,
        Proxy(server, beside) as address,
        PolicyClient(address, reply_timeout=5) as client,
    ):
        for value in (1.0, 2.0):
            client.infer(frame(value))
            for _ in range(500):
                if beside.latest().step == value - 1:
                    break
                time.sleep(0.01)
    assert order == ["acted", "measured"] * 2


def test_an_error_of_the_server_reaches_the_robot_and_the_next_frame_is_answered():
    with (
        listening(policy) as server,
        Beside(lambda raw: {}, deadline=30.0) as beside,
        Proxy(server, beside) as address,
        PolicyClient(address, reply_timeout=5) as client,
    ):
        with pytest.raises(ServerError, match="no such frame"):
            client.infer({"bad": 1})
        assert client.infer(frame(1.0))["actions"].shape == (2, 3)


def test_without_a_server_it_says_so():
    with (
        Beside(lambda raw: {}, deadline=1.0) as beside,
        pytest.raises(ConnectionError, match="no answer after 1 attempts"),
    ):
        watched_server("ws://127.0.0.1:9", beside, retries=0)
