"""Rows in a process that may fail, die or hang: what is lost is the row itself."""

import re
import time

import pytest

from experiments.timing.supervise import Limits, Listener, supervise
from tests.experiments.timing import standins


class Heard:
    """What a caller is told, in order."""

    def __init__(self) -> None:
        self.ready, self.measured, self.failed = [], {}, {}
        self.arguments = {"measured": []}

    def listener(self) -> Listener:
        def measured(name, found):
            self.arguments["measured"].append(name)
            self.measured[name] = found

        return Listener(self.ready.append, measured, self.failed.__setitem__)


def run(names, *, work=standins.work, seconds=60.0, row=30.0):
    heard = Heard()
    limits = Limits(time.monotonic() + seconds, row)
    left = supervise(work, names, heard.arguments, heard.listener(), limits)
    return heard, left


def test_one_process_measures_rows_that_go_well():
    heard, left = run(["a", "b", "c"])
    assert left == {} and heard.failed == {} and list(heard.measured) == ["a", "b", "c"]
    assert len({found["process"] for found in heard.measured.values()}) == 1
    assert len(heard.ready) == 1


def test_rows_that_raise_or_abort_cost_themselves_alone():
    heard, left = run(["a", "fails", "b", "dies", "c"])
    assert left == {} and list(heard.measured) == ["a", "b", "c"]
    assert heard.failed["dies"] == "the process died by signal 6"
    message = r"MemoryError \(standins.py:\d+\): RESOURCE_EXHAUSTED: out of memory\nall.* follow"
    assert re.fullmatch(message, heard.failed["fails"])
    # A new process after each, which is told what was measured before it.
    assert len({found["process"] for found in heard.measured.values()}) == 3
    assert heard.measured["c"]["known"] == ["a", "b"]


def test_a_row_that_hangs_is_ended_and_the_next_measured():
    heard, left = run(["hangs", "a"], row=3.0)
    assert left == {} and list(heard.measured) == ["a"]
    assert heard.failed == {"hangs": "took longer than 3 s"}


def test_at_the_end_of_the_time_the_rest_is_named():
    start = time.monotonic()
    heard, left = run(["a", "hangs", "b"], seconds=4.0)
    assert time.monotonic() - start < 20.0
    assert list(heard.measured) == ["a"] and heard.failed == {}
    assert left == {"hangs": "time was up while it was measured", "b": "no time was left"}


def test_no_process_is_started_without_time():
    heard, left = run(["a"], seconds=-1.0)
    assert left == {"a": "no time was left"} and heard.ready == []


def test_a_process_that_dies_before_its_first_row_is_not_started_again():
    heard, left = run(["a", "b"], work=standins.dies_at_its_start)
    assert left == dict.fromkeys("ab", "the process died by signal 6")
    assert heard.measured == heard.failed == {}


def test_a_caller_that_refuses_what_is_ready_ends_it():
    def refuse(said):
        raise ValueError(said["device"]["kind"])

    listener = Heard().listener()._replace(ready=refuse)
    limits = Limits(time.monotonic() + 60.0, 30.0)
    with pytest.raises(ValueError, match="stand-in"):
        supervise(standins.work, ["hangs"], {"measured": []}, listener, limits)
