"""Beside a control loop nothing waits, what is late says so, what is skipped is counted."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from iss_jax.envs.rollout import rollout
from iss_jax.monitoring.lateness import Beside


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def held():
    """A measurement that lasts until it is let go, one frame at a time."""
    started, go = threading.Semaphore(0), threading.Semaphore(0)

    def measure(frame):
        started.release()
        assert go.acquire(timeout=5)
        return frame * 10

    return measure, started, go


def test_an_offer_returns_at_once_and_frames_that_were_overtaken_are_skipped():
    measure, started, go = held()
    with Beside(measure, deadline=5.0) as beside:
        begin = time.perf_counter()
        beside.offer(0, 0)
        assert started.acquire(timeout=5)
        for step in (1, 2, 3):
            beside.offer(step, step)
        # The measurement is still held: none of the four offers waited for it.
        assert time.perf_counter() - begin < 4.0
        assert beside.latest()[:2] == (-1, None)
        go.release(2)
        answer = beside.wait(5.0)
    assert (answer.step, answer.value, answer.skipped) == (3, 30, 2)


def test_a_late_answer_says_so_with_its_age():
    clock = Clock()
    measure, started, go = held()
    with Beside(measure, deadline=0.4, clock=clock) as beside:
        beside.offer(0, 1)
        assert started.acquire(timeout=5)
        clock.now = 0.3
        assert not beside.latest().late
        clock.now = 0.5  # overdue, and there is no answer yet
        assert beside.latest().late and beside.latest().step == -1
        go.release()
        answer = beside.wait(5.0)
        assert (answer.step, answer.late, answer.took) == (0, True, 0.5)
        clock.now = 2.0
        assert beside.latest().age == 2.0 and "2.00 s old, late" in beside.latest().sentence()
        beside.offer(1, 1)
        assert started.acquire(timeout=5)
        clock.now = 2.1
        go.release()
        answer = beside.wait(5.0)
        assert (answer.step, answer.late) == (1, False) and answer.took == pytest.approx(0.1)


def test_an_error_ends_nothing_and_is_counted():
    def measure(frame):
        if frame == 0:
            raise ZeroDivisionError("no effect")
        return frame

    told = []
    with Beside(measure, deadline=5.0, told=told.append) as beside:
        beside.offer(0, 0)
        answer = beside.wait(5.0)
        assert (answer.step, answer.failed) == (-1, 1)
        assert answer.sentence() == "no answer yet, 1 failed (ZeroDivisionError: no effect)"
        beside.offer(1, 1)
        assert beside.wait(5.0).value == 1
    assert [one.value for one in told] == [1]


def test_a_logger_that_fails_ends_nothing():
    def told(answer):
        raise OSError("disk full")

    with Beside(lambda frame: frame, deadline=5.0, told=told) as beside:
        beside.offer(0, 7)
        for _ in range(500):
            if beside.latest().failed:
                break
            time.sleep(0.01)
        assert beside.latest().value == 7 and "disk full" in beside.latest().error


def test_of_the_frames_of_a_loop_every_kth_is_measured():
    found = []
    with Beside(found.append, deadline=5.0, every=3) as beside:
        for frame in range(7):
            beside.see(frame)
            beside.wait(5.0)
        assert beside.latest().step == 6
    assert found == [0, 3, 6]


def test_a_measurement_that_never_ends_keeps_nobody():
    with Beside(lambda: threading.Event().wait(), deadline=1.0) as beside:
        beside.offer(0)
        with pytest.raises(TimeoutError, match=r"not answered within 0\.05 s"):
            beside.wait(0.05)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="deadline: 0"):
        Beside(print, deadline=0)
    with pytest.raises(ValueError, match="every"):
        Beside(print, deadline=1.0, every=0)


class Room:
    """A simulator of two inferences; rendering with labels is what a monitor asks for."""

    def __init__(self):
        self.task = SimpleNamespace(suite="suite", name="task")
        self.prompt, self.state, self.order = "go", np.zeros(8, np.float32), []

    def success(self):
        return False

    def step(self, action):
        self.order.append("step")
        return False

    def observation(self):
        pixels, labels = np.full((4, 4, 3), 7, np.uint8), np.ones((4, 4), np.uint8)
        return SimpleNamespace(images={"front": pixels}, regions={"front": labels})


def test_a_rollout_shows_what_the_policy_was_given_once_its_action_is_known():
    room: Any = Room()
    shown = []

    def policy(observation):
        room.order.append("act")
        return np.zeros((2, 7))

    def measure(observation, regions):
        shown.append((observation["images"]["front"].mean(), regions["front"].sum()))

    def halved(images):
        return {camera: image // 2 for camera, image in images.items()}

    with Beside(measure, deadline=5.0) as beside:

        def watch(observation, regions):
            room.order.append("watch")
            beside.see(observation, regions)
            beside.wait(5.0)

        found = rollout(room, policy, execute=2, max_steps=4, transform=halved, watch=watch)
    assert (found.steps, found.success) == (4, False)
    assert room.order == ["act", "watch", "step", "step"] * 2
    assert shown == [(3.0, 16), (3.0, 16)]
