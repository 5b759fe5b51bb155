"""A clock that nobody has to wait for: a start time -> a Clock whose waits pass at once and are written down.

With it a run that polls for an hour takes no time, and a test can say exactly how long each wait was planned to be.
It reads no other clock.
"""

from __future__ import annotations

from ..runtime.clock import Interrupts

__all__ = ["ManualClock"]


class ManualClock:
    """Implements ``runtime.clock.Clock``. ``start`` is in seconds since the epoch; ``waits`` lists what was waited."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self.waits: list[float] = []

    def now(self) -> float:
        return round(self._now, 3)

    def wait(self, seconds: float, interrupts: Interrupts) -> None:
        """Let that much time pass at once. Raises Interrupted, and no time passes, when a signal has arrived."""
        interrupts.check()
        self.waits.append(round(seconds, 3))
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass that nobody waited for: a process that was away, a slow answer. Negative: set back."""
        self._now += seconds
