"""Who records is alone: order of threads, without a clock."""

import threading
from collections.abc import Callable

import pytest

from streamgen_engines.runtimes.capture_gate import CaptureGate

LONG_S = 10.0
"""Until a test fails, and none waits for it to pass."""


def begun(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_many_may_run_at_once() -> None:
    gate, both = CaptureGate(), threading.Barrier(2)

    def run() -> None:
        with gate.running():
            both.wait(LONG_S)

    threads = [begun(run) for _ in range(2)]
    for thread in threads:
        thread.join(LONG_S)
    assert not both.broken
    assert not any(thread.is_alive() for thread in threads)


def test_who_records_waits_for_those_inside_and_nobody_enters_meanwhile() -> None:
    gate = CaptureGate()
    order: list[str] = []
    wants, recording, leave = threading.Event(), threading.Event(), threading.Event()

    def record() -> None:
        wants.set()
        with gate.recording():
            order.append("recording")
            recording.set()
            assert leave.wait(LONG_S)
            order.append("recorded")

    def run() -> None:
        with gate.running():
            order.append("ran")

    with gate.running():
        recorder = begun(record)
        assert wants.wait(LONG_S)
        order.append("still inside")
    assert recording.wait(LONG_S)
    runner = begun(run)
    leave.set()
    for thread in (recorder, runner):
        thread.join(LONG_S)
    assert order == ["still inside", "recording", "recorded", "ran"]


def test_one_that_wants_to_record_goes_before_those_that_come_later() -> None:
    gate = CaptureGate()
    order: list[str] = []
    with gate.running():
        recorder = begun(lambda: _noted(gate, order))
        while not gate._wanted:
            assert recorder.is_alive()

        def run() -> None:
            with gate.running():
                order.append("ran")

        runner = begun(run)
    for thread in (recorder, runner):
        thread.join(LONG_S)
    assert order == ["recorded", "ran"]


def _noted(gate: CaptureGate, order: list[str]) -> None:
    with gate.recording():
        order.append("recorded")


def test_a_thread_that_is_inside_passes_again() -> None:
    gate = CaptureGate()
    with gate.running(), gate.running():
        pass
    with gate.recording(), gate.running():
        pass
    with gate.recording():
        pass


def test_a_thread_that_runs_cannot_record_as_well() -> None:
    gate = CaptureGate()
    with gate.running(), pytest.raises(AssertionError, match="wait for itself"), gate.recording():
        pass
    with gate.recording():
        pass


def test_what_fails_inside_leaves_it_open() -> None:
    gate = CaptureGate()
    for way in (gate.running, gate.recording):
        with pytest.raises(ZeroDivisionError), way():
            raise ZeroDivisionError
    thread = begun(lambda: _noted(gate, []))
    thread.join(LONG_S)
    assert not thread.is_alive()
