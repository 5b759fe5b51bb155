"""Records as they happen, on standard error: one updating line on a terminal, one line per change otherwise."""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

import click

from ..chart.effects import Call
from ..chart.snapshot import Record
from ..diagram.model import printable
from ..plan.model import UNSAFE
from ..runtime.clock import Interrupts, SystemClock
from ..runtime.result import timestamp
from ..runtime.run import Run
from ..values import redact
from .app import concealer
from .printing import COLOURS, safe_line

__all__ = ["LiveClock", "Progress"]

_NAME = 16
_NARROWEST = 20


class Progress:
    """A run's observer that tells a person what is happening. ``quiet`` says only what money depends on.

    A stream that cannot be written to any more is given up silently: a run never depends on being watched.
    """

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False, store: str = "") -> None:
        # Standard error is None in a process that was started without one.
        self._stream: TextIO | None = stream or sys.stderr
        self._quiet = quiet
        self._store = store
        self._live = self._stream is not None and self._stream.isatty() and not quiet
        self._open: tuple[str, str] | None = None
        """The line on the terminal that may still be rewritten: what it says, and how long until the next look."""
        self._colour = ""
        self._last: tuple[str, str] = ("", "")

    def __call__(self, run: Run, record: Record) -> None:
        call = next((effect for effect in record.effects if isinstance(effect, Call)), None)
        if record.kind == "run.started":
            self.line(
                f"run {run.id}, {run.plan.workflow}, deadline {_moment(run.snapshot.deadline)}, store {run.where}"
            )
        if not self._quiet and record.kind in ("call.replied", "call.failed", "run.reopened"):
            self._tell(run, record, call)
        if call is not None and call.kind in UNSAFE:
            # Said before the request leaves: whatever happens next, the reader knows how to find the run again.
            sends = f"will send in {call.delay:g} s:" if call.delay else "sends"
            self.line(f"{call.step} {sends} {call.request.method} {redact(call.request.target)}")
            self.line(f"  if anything goes wrong: arazzo-machine resume {run.id}{self._store}")

    def taken_up(self, run: Run) -> None:
        """Say which stored run is gone on with, before anything of it is done; of a ready one nothing will be."""
        stop = run.snapshot.stopped
        state = run.plan.state(run.snapshot.frame.state)
        if state.phase == "ready":
            return
        ending = f", stopped: {stop.reason}" if stop else ""
        self.line(f"run {run.id}, {run.plan.workflow}, is in {state.name}{ending}")

    def _tell(self, run: Run, record: Record, call: Call | None) -> None:
        state = run.plan.state(record.target)
        reply = record.event.get("reply")
        answer = str(reply["status"]) if isinstance(reply, dict) else str(record.event.get("cause", "again"))
        outputs = {key: redact(value) for key, value in record.outputs.items() if value is not None}
        seen = ", ".join(f"{name} {value}" for name, value in outputs.items())
        if record.transition in self._looks(run):
            # Most often a 404, which would be taken for a failure.
            seen = "looked whether it is there already, before it is sent"
        wait = f"next look in {call.delay:g} s" if call is not None and call.delay else ""
        # Looked through before it is cut to the width of the terminal: what is left of a secret would not be found.
        seen = concealer().scrub(seen)
        text = f"{printable(state.name):<{_NAME}} {printable(answer):<5} {printable(seen):<44}".rstrip()
        same = (state.id, answer) == self._last
        self._last = (state.id, answer)
        if not self._live:
            self.line(f"{text:<67} {wait}".rstrip())
            return
        if not same:
            self._close()
        self._colour = COLOURS[state.phase]
        self._open = (text, wait)
        self._draw()

    def _looks(self, run: Run) -> set[str]:
        return {one.id for table in run.plan.tables() for one in table.transitions if one.rule == "look"}

    def line(self, text: str) -> None:
        """A line of its own."""
        self._close()
        self._write(safe_line(text) + "\n")

    def tick(self, seconds: float) -> None:
        """Show how long until the next look, on a terminal."""
        if self._open is not None and self._open[1]:
            self._open = (self._open[0], f"next look in {seconds:.0f} s")
            self._draw()

    def done(self) -> None:
        """Leave the cursor on a line of its own."""
        self._close()

    def _draw(self) -> None:
        """Write the open line over what is there. One that wrapped could not be taken back, so it is cut to fit; how
        long until the next look is never cut off."""
        if self._open is None:
            return
        text, wait = self._open
        room = max(self._width() - 1 - len(wait) - bool(wait), _NARROWEST)
        text = text if len(text) <= room else text[: room - 1] + "\N{HORIZONTAL ELLIPSIS}"
        self._write(f"\r\x1b[2K{click.style(text[:_NAME], fg=self._colour)}{text[_NAME:]} {wait}".rstrip())

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns if self._stream else 80
        except OSError:
            return 80

    def _close(self) -> None:
        if self._open is not None:
            self._open = None
            self._write("\n")

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._stream, self._live, self._open = None, False, None


def _moment(at: float | None) -> str:
    try:
        return timestamp(at) or "never"
    except (ValueError, OverflowError, OSError):
        # Beyond the year 9999. The lines after this one are the ones money depends on.
        return "never"


class LiveClock(SystemClock):
    """The system's clock, telling a Progress every second how long is left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def wait(self, seconds: float, interrupts: Interrupts) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 1:
            super().wait(left % 1 or 1, interrupts)
            if interrupts.woken:
                return
            self._progress.tick(end - time.monotonic())
        super().wait(max(left, 0), interrupts)
