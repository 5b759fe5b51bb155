"""Time and interruption: the two things that happen to a driver from outside while it waits.

A driver waits in exactly one place, ``Clock.wait``. The first signal ends a wait at once and lets a request in flight
finish; a second ends that too. Nothing is lost either way: what is pending stands in the journal.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

__all__ = ["GLANCE", "Clock", "Interrupted", "Interrupts", "SystemClock", "held_back"]

_LONGEST_SLEEP = 3600.0
GLANCE = 0.5
"""Seconds between two looks at whether somebody asked the run to stop."""


class Interrupted(BaseException):
    """A signal asked the driver to stop. The run is resumable.

    Not an Exception: libraries swallow those where they probe for something, and the signal would be lost.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signum).name}")
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """128 plus the signal's number, as shells count."""
        return 128 + self.signum


class Interrupts:
    """Turns SIGINT and SIGTERM into an Interrupted at the next safe point."""

    def __init__(self) -> None:
        self.signum = 0
        self.waiting = False
        self.watch: Callable[[], bool] | None = None
        """Asked twice a second during a wait; true ends the wait early."""
        self.woken = False
        """Whether the last wait was ended early."""

    @contextmanager
    def caught(self) -> Iterator[Interrupts]:
        """Handle the two signals inside the block; the handlers found are put back. Main thread only."""
        before = {one: signal.signal(one, self._handle) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        again = self.signum != 0
        self.signum = signum
        if self.waiting or again:
            raise Interrupted(signum)

    def check(self) -> None:
        """Raise Interrupted when a signal has arrived."""
        if self.signum:
            raise Interrupted(self.signum)


@contextmanager
def held_back() -> Iterator[None]:
    """Let the two signals wait until the block has ended, for a few lines that must not be left halfway."""
    if threading.current_thread() is not threading.main_thread():
        # Handlers only ever run in the main thread.
        yield
        return
    came: list[int] = []
    before = {one: signal.signal(one, lambda signum, _: came.append(signum)) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        for signum in came:
            signal.raise_signal(signum)


class Clock(Protocol):
    """What a driver needs of time."""

    def now(self) -> float:
        """Seconds since the epoch, to the millisecond."""

    def wait(self, seconds: float, interrupts: Interrupts) -> None:
        """Return after that long, or raise Interrupted."""


class SystemClock:
    """The machine's own clock; waiting follows the monotonic one, which nobody sets."""

    def now(self) -> float:
        return round(time.time(), 3)

    def wait(self, seconds: float, interrupts: Interrupts) -> None:
        end = time.monotonic() + seconds
        longest = _LONGEST_SLEEP if interrupts.watch is None else GLANCE
        interrupts.woken = False
        interrupts.waiting = True
        try:
            interrupts.check()
            while (left := end - time.monotonic()) > 0:
                if interrupts.watch is not None and interrupts.watch():
                    interrupts.woken = True
                    return
                time.sleep(min(left, longest))
        finally:
            interrupts.waiting = False
