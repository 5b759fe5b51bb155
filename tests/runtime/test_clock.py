from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from machine.runtime.clock import Interrupted, Interrupts, SystemClock

SCRIPT = """
import os, signal, sys, threading, time
from machine.runtime.clock import Interrupted, Interrupts, SystemClock
kind, first, second = sys.argv[1], *map(int, sys.argv[2:4])
before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
finished = False
began = time.monotonic()
try:
    with Interrupts().caught() as interrupts:
        if kind == "wait":
            threading.Timer(0.1, os.kill, (os.getpid(), first)).start()
            SystemClock().wait(30.0, interrupts)
        else:
            # A request in flight: the handler runs at once, and only a second signal may end it.
            os.kill(os.getpid(), first)
            if second:
                os.kill(os.getpid(), second)
            finished = True
            SystemClock().wait(30.0, interrupts)
except Interrupted as error:
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    print(error.exit_code, finished, interrupts.waiting, time.monotonic() - began < 5)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "first", "second", "seen"),
    [
        pytest.param("wait", signal.SIGINT, 0, "130 False False True", id="a-wait-ends-at-once"),
        pytest.param("wait", signal.SIGTERM, 0, "143 False False True", id="also-on-sigterm"),
        pytest.param("call", signal.SIGINT, 0, "130 True False True", id="a-request-may-finish"),
        pytest.param("call", signal.SIGINT, signal.SIGTERM, "143 False False True", id="a-second-signal-ends-it"),
    ],
)
def test_a_signal_stops_a_process_where_it_is_safe(kind: str, first: int, second: int, seen: str) -> None:
    command = [sys.executable, "-c", SCRIPT, kind, str(int(first)), str(int(second))]

    done = subprocess.run(command, capture_output=True, text=True, timeout=30)

    assert (done.stdout.strip(), done.stderr) == (seen, "")


@pytest.mark.parametrize("end", ["leave", "raise"])
def test_the_handlers_found_are_put_back(end: str) -> None:
    def mine(*_: Any) -> None:
        """The program's own."""

    before = signal.signal(signal.SIGTERM, mine), signal.getsignal(signal.SIGINT)
    try:
        try:
            with Interrupts().caught() as interrupts:
                caught = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
                if end == "raise":
                    raise Interrupted(signal.SIGTERM)
        except Interrupted:
            pass

        assert signal.getsignal(signal.SIGTERM) is mine
        assert signal.getsignal(signal.SIGINT) is before[1]
        assert caught == (interrupts._handle, interrupts._handle)
    finally:
        signal.signal(signal.SIGTERM, before[0])


def test_the_first_signal_waits_for_a_safe_point_and_the_second_does_not() -> None:
    with Interrupts().caught() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(Interrupted) as at_the_check:
            interrupts.check()
        with pytest.raises(Interrupted) as at_once:
            os.kill(os.getpid(), signal.SIGINT)

    assert (at_the_check.value.signum, at_once.value.signum) == (signal.SIGTERM, signal.SIGINT)


def test_without_a_signal_nothing_is_raised() -> None:
    Interrupts().check()


def test_signals_are_only_caught_in_the_main_thread() -> None:
    seen: list[type[BaseException]] = []

    def elsewhere() -> None:
        try:
            with Interrupts().caught():
                pass
        except ValueError as error:
            seen.append(type(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()

    assert seen == [ValueError]


@pytest.mark.parametrize(
    ("signum", "code", "text"),
    [(signal.SIGINT, 130, "interrupted by SIGINT"), (signal.SIGTERM, 143, "interrupted by SIGTERM")],
    ids=["SIGINT", "SIGTERM"],
)
def test_an_interruption_has_the_exit_code_shells_expect(signum: int, code: int, text: str) -> None:
    error = Interrupted(signum)

    assert (error.exit_code, str(error)) == (code, text)


def test_the_system_clock_tells_milliseconds_since_the_epoch() -> None:
    before = time.time()

    now = SystemClock().now()

    assert before - 0.001 <= now <= time.time() + 0.001
    assert now == round(now, 3)


def test_a_wait_lasts_as_long_as_it_should_and_not_longer_than_a_clock_that_is_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupts = Interrupts()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    began = time.monotonic()

    SystemClock().wait(0.02, interrupts)

    assert 0.02 <= time.monotonic() - began < 1.0
    assert not interrupts.waiting


def test_a_signal_that_came_before_the_wait_ends_it_before_it_begins() -> None:
    interrupts = Interrupts()
    interrupts.signum = signal.SIGINT

    with pytest.raises(Interrupted):
        SystemClock().wait(60.0, interrupts)

    assert not interrupts.waiting


def test_a_wait_without_length_is_over_at_once() -> None:
    SystemClock().wait(0.0, Interrupts())
