"""Numbers by name, for writers and replies."""

import math

import pytest

from iss_jax.monitoring.alarm import Alarm, conformal_threshold
from iss_jax.monitoring.lateness import Answer
from iss_jax.monitoring.lines import logged, numbers
from iss_jax.monitoring.shares import Shares

SHARES = Shares(0.25, 0.05, {"wall": 0.25, "can": 0.75}, {"wall": 1.0, "can": 0.9}, 0.1)


def answer(step, value, late=False):
    return Answer(step, value, 0.5, 0.1, late, 2, 1, "")


def test_shares_are_flattened_and_late_answers_say_so():
    found = numbers(answer(8, SHARES, late=True))
    assert found["nuisance_share"] == 0.25 and found["share/can"] == 0.75
    assert (found["step"], found["late"], found["skipped"], found["failed"]) == (8, 1, 2, 1)
    assert all(isinstance(value, int | float) for value in found.values())


def test_before_the_first_answer_there_is_no_share():
    assert set(numbers(answer(-1, None))) == {
        "step",
        "age_s",
        "took_s",
        "late",
        "skipped",
        "failed",
    }


def test_a_writer_gets_every_answer_and_whether_the_alarm_has_rung():
    written = []

    class Writer:
        def log(self, data, /, step):
            written.append((step, data))

    alarm = Alarm(conformal_threshold([0.3] * 9, 0.1), horizon=10)
    told = logged(Writer(), alarm=alarm)
    unknown = SHARES._replace(nuisance=math.nan, reason="no donor")
    for step, value in enumerate((SHARES, unknown, SHARES._replace(nuisance=0.4))):
        told(answer(step, value))
    assert [(step, data["monitor/alarm"]) for step, data in written] == [(0, 0), (1, 0), (2, 1)]
    assert not unknown.known and written[0][1]["monitor/share/wall"] == 0.25


def test_tensorboard_takes_them(tmp_path):
    pytest.importorskip("tensorboardX")
    from iss_jax.viz.tensorboard import TensorboardLog

    with TensorboardLog(tmp_path) as log:
        logged(log)(answer(0, SHARES))
    (file,) = tmp_path.iterdir()
    assert b"monitor/nuisance_share" in file.read_bytes()
