"""Records as they happen, on standard error: one updating line on a terminal, one line per change otherwise."""

from __future__ import annotations

import sys
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
from .printing import COLOURS, safe_line

__all__ = ["LiveClock", "Progress"]


class Progress:
    """A run's observer that tells a person what is happening. ``quiet`` says only what money depends on."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False, store: str = "") -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._store = store
        self._live = self._stream.isatty() and not quiet
        self._open = ""
        """The line on the terminal that may still be rewritten."""
        self._last: tuple[str, str] = ("", "")

    def __call__(self, run: Run, record: Record) -> None:
        call = next((effect for effect in record.effects if isinstance(effect, Call)), None)
        if record.kind == "run.started":
            self._announce(run)
        if not self._quiet and record.kind in ("call.replied", "call.failed", "run.reopened"):
            self._tell(run, record, call)
        if call is not None and call.kind in UNSAFE:
            # Said before the request leaves: whatever happens next, the reader knows how to find the run again.
            self.line(f"{call.step} sends {call.request.method} {redact(call.request.target)}")
            self.line(f"  if anything goes wrong: arazzo-machine resume {run.id}{self._store}")

    def _announce(self, run: Run) -> None:
        snapshot = run.snapshot
        self.line(f"run {run.id}, {run.plan.workflow}, deadline {timestamp(snapshot.deadline)}")

    def _tell(self, run: Run, record: Record, call: Call | None) -> None:
        state = run.plan.state(record.target)
        reply = record.event.get("reply")
        answer = str(reply["status"]) if isinstance(reply, dict) else str(record.event.get("cause", "again"))
        outputs = {key: redact(value) for key, value in record.outputs.items() if value is not None}
        seen = ", ".join(f"{name} {value}" for name, value in outputs.items())
        wait = f"next look in {call.delay:g} s" if call is not None and call.delay else ""
        name = f"{printable(state.name):<16}"
        name = click.style(name, fg=COLOURS[state.phase]) if self._live else name
        text = f"{name} {answer:<5} {printable(seen):<44} {wait}".rstrip()
        same = (state.id, answer) == self._last
        self._last = (state.id, answer)
        if self._live:
            self._rewrite(text, keep=not same)
        else:
            self.line(text)

    def line(self, text: str) -> None:
        """A line of its own."""
        self._close()
        self._stream.write(safe_line(text) + "\n")
        self._stream.flush()

    def tick(self, seconds: float) -> None:
        """Show how long until the next look, on a terminal."""
        if self._live and self._open:
            head = self._open.partition("next look in")[0]
            self._stream.write(f"\r\x1b[2K{head}next look in {seconds:.0f} s")
            self._stream.flush()

    def _rewrite(self, text: str, *, keep: bool) -> None:
        if keep:
            self._close()
        self._stream.write(f"\r\x1b[2K{text}" if self._open else text)
        self._stream.flush()
        self._open = text

    def _close(self) -> None:
        if self._open:
            self._stream.write("\n")
            self._open = ""

    def done(self) -> None:
        """Leave the cursor on a line of its own."""
        self._close()
        self._stream.flush()


class LiveClock(SystemClock):
    """The system's clock, telling a Progress every second how long is left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def wait(self, seconds: float, interrupts: Interrupts) -> None:
        left = seconds
        while left > 1:
            super().wait(1, interrupts)
            left -= 1
            self._progress.tick(left)
        super().wait(left, interrupts)
