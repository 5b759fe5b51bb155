from __future__ import annotations

import signal

import pytest

from machine.runtime.clock import Clock, Interrupted, Interrupts
from machine.testing.clock import ManualClock


def test_waiting_takes_no_time_and_is_written_down() -> None:
    clock: Clock = ManualClock(100.0)

    clock.wait(3600.0, Interrupts())
    clock.wait(0.25, Interrupts())

    assert isinstance(clock, ManualClock)
    assert (clock.now(), clock.waits) == (3700.25, [3600.0, 0.25])


def test_time_can_pass_that_nobody_waited_for() -> None:
    clock = ManualClock(100.0)

    clock.advance(60.0)
    clock.advance(-30.0)

    assert (clock.now(), clock.waits) == (130.0, [])


def test_the_time_is_told_to_the_millisecond() -> None:
    assert ManualClock(0.12345678).now() == 0.123


def test_a_signal_that_has_arrived_ends_a_wait_before_it_begins() -> None:
    clock, interrupts = ManualClock(100.0), Interrupts()
    interrupts.signum = signal.SIGTERM

    with pytest.raises(Interrupted) as caught:
        clock.wait(5.0, interrupts)

    assert caught.value.exit_code == 143
    assert (clock.now(), clock.waits) == (100.0, [])
