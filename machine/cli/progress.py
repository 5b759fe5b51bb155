"""Records as they happen, on standard error: one updating line on a terminal, one line per change otherwise."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TextIO

import click

from ..chart.effects import Call
from ..chart.snapshot import Record, Snapshot
from ..diagram.model import printable, span
from ..plan.model import UNSAFE, Plan, State
from ..reports.timeline import LOOKED, answer_of, outputs_of
from ..reports.why import observed
from ..runtime.clock import Interrupts, SystemClock
from ..runtime.result import timestamp
from ..values import redact
from .app import concealer
from .printing import COLOURS, safe_line

__all__ = ["LiveClock", "Progress", "Watched"]

_NAME = 16
_NARROWEST = 36
_WIDEST = 44
"""Of what was seen, where there is no terminal: what follows stands in a column as far as can be."""
_LEAST = 12
"""Characters that are left to what was seen before a time is left out."""
_SPARE = 3
"""Columns left free, so that neither the cursor nor the terminal's own ``^C`` begins another line."""
_CALENDAR = 100 * 365 * 86_400.0
"""A deadline further away is none."""
_QUIETEST = 60.0
"""Seconds for which an unchanged answer is not told again."""


class Watched(Protocol):
    """What is told of: a Run, or what another process has stored of one."""

    @property
    def id(self) -> str: ...
    @property
    def plan(self) -> Plan: ...
    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def where(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """What is known after one record; ``at`` is the moment it is said."""

    state: State
    text: str
    answer: str
    visit: int
    since: float
    at: float
    due: float | None
    deadline: float | None

    def same(self, other: _Line) -> bool:
        return (self.state.id, self.answer, self.text) == (other.state.id, other.answer, other.text)

    @property
    def head(self) -> str:
        phase = "" if self.state.phase == self.state.name else f"({self.state.phase}) "
        return f"{printable(self.state.name):<{_NAME}} {phase}{printable(self.answer):<5} "

    def tail(self) -> list[str]:
        """How it is with time, the most important last."""
        if self.due is None:
            return []
        here, left, wait = self.at - self.since, (self.deadline or 0.0) - self.at, max(self.due - self.at, 0.0)
        return [
            *([f"visit {self.visit}"] if self.visit > 1 else []),
            # Whole seconds: a tail that changes its length makes the line flicker.
            *([f"{span(math.floor(round(here, 3)))} here"] if here >= 1 else []),
            *([f"{span(left)} left"] if self.deadline is not None and left < _CALENDAR else []),
            f"next look in {math.ceil(round(wait, 3))} s",
        ]

    def plain(self, *, brief: bool) -> str:
        """One line of a log. ``brief``: of time only when the next look is."""
        wait = f"next look in {self.due - self.at:.3g} s" if self.due is not None else ""
        tail = wait if brief else ", ".join([*self.tail()[:-1], wait])
        return f"{self.head}{printable(self.text):<{_WIDEST}} {tail}".rstrip()

    def fitted(self, room: int) -> tuple[str, str]:
        """The name of the state, and what follows in at most so many characters with it: first what was seen is cut,
        then columns are given up, then of the times the less important are left out."""
        head, tail, named = self.head, self.tail(), _NAME
        if len(head) + _LEAST + len(", ".join(tail)) > room:
            named = len(head[:_NAME].rstrip())
            head = " ".join(head.split()) + " "
        while len(tail) > 1 and len(head) + _LEAST + len(", ".join(tail)) > room:
            tail.pop(0)
        times = ", ".join(tail)
        text = printable(self.text)
        space = max(room - len(head) - len(times) - bool(times), 1)
        text = text if len(text) <= space else text[: space - 1] + "\N{HORIZONTAL ELLIPSIS}"
        return head[:named], f"{head[named:]}{text} {times}"


class Progress:
    """A run's observer that tells a person what is happening. ``quiet`` says only what money depends on, ``verbose``
    every answer on a line of its own, with the guard that decided.

    On a terminal the last line is written again with every answer and every second; elsewhere an answer that changes
    nothing is told once a minute, so that a log stays short and does not look dead. A stream that cannot be written to
    any more is given up silently: a run never depends on being watched.
    """

    def __init__(
        self, stream: TextIO | None = None, *, quiet: bool = False, verbose: bool = False, store: str = ""
    ) -> None:
        # Standard error is None in a process that was started without one.
        self._stream: TextIO | None = stream or sys.stderr
        self._quiet = quiet
        self._store = store
        self._verbose = verbose
        # A terminal that calls itself dumb cannot go back in a line.
        able = self._stream is not None and self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._live = able and not quiet and not verbose
        # no-color.org: any text in it takes the colour away.
        self._coloured = not os.environ.get("NO_COLOR")
        self._open: _Line | None = None
        """The line on the terminal that may still be rewritten."""
        self._told: tuple[_Line, float] | None = None
        """What was said last, and when."""
        self._state = ""
        self._since = 0.0

    def __call__(self, run: Watched, record: Record) -> None:
        call = next((effect for effect in record.effects if isinstance(effect, Call)), None)
        if record.kind == "run.started":
            self.line(
                f"run {run.id}, {run.plan.workflow}, deadline {_moment(run.snapshot.deadline)}, store {run.where}"
            )
        if record.target != self._state:
            self._state, self._since = record.target, record.at
        if not self._quiet and record.kind != "run.started":
            self._tell(run, record, call)
        if call is not None and call.kind in UNSAFE:
            # Said before the request leaves: whatever happens next, the reader knows how to find the run again.
            sends = f"will send in {call.delay:g} s:" if call.delay else "sends"
            self.line(f"{call.step} {sends} {call.request.method} {redact(call.request.target)}")
            self.line(f"  if anything goes wrong: arazzo-machine resume {run.id}{self._store}")

    def taken_up(self, run: Watched, records: Sequence[Record] = ()) -> None:
        """Say which stored run is gone on with, before anything of it is done; of a ready one nothing will be.
        ``records``, its history, tell since when it is where it is."""
        stop = run.snapshot.stopped
        state = run.plan.state(run.snapshot.frame.state)
        for record in records:
            if record.target != self._state:
                self._state, self._since = record.target, record.at
        if state.phase == "ready":
            return
        ending = f", stopped: {stop.reason}" if stop else ""
        self.line(f"run {run.id}, {run.plan.workflow}, is in {state.name}{ending}")

    def _tell(self, run: Watched, record: Record, call: Call | None) -> None:
        state = run.plan.state(record.target)
        looked = record.transition in {
            one.id for table in run.plan.tables() for one in table.transitions if one.rule == "look"
        }
        seen = LOOKED if looked else outputs_of(record)
        if record.kind in ("run.reopened", "run.cancelled", "doubt.resolved"):
            answer, seen = "", answer_of(record)
        else:
            answer = answer_of(record)
        line = _Line(
            state=state,
            # Looked through before it is cut to the width of the terminal: what is left of a secret would not be found.
            text=concealer().scrub(seen),
            answer=answer,
            visit=run.snapshot.frame.visits.get(record.target, 0),
            since=self._since,
            at=record.at,
            due=record.at + call.delay if call is not None and call.delay else None,
            deadline=run.snapshot.deadline,
        )
        last, moment = self._told or (None, 0.0)
        same = last is not None and last.same(line)
        if self._live:
            if last is None or (last.state.id, last.answer) != (line.state.id, line.answer):
                self._close()
            self._told = line, record.at
            self._open = line
            self._draw()
        elif not same and not self._verbose:
            self._told = line, record.at
            self.line(line.plain(brief=True))
        elif self._verbose or record.at - moment >= _QUIETEST:
            self._told = line, record.at
            self.line(line.plain(brief=False))
        if self._verbose:
            taken = next((one for one in reversed(record.guards) if one.truth), None)
            if taken is not None:
                self.line(f"  by {taken.label}: {observed(run.plan, taken)}")

    def line(self, text: str) -> None:
        """A line of its own."""
        self._close()
        self._write(safe_line(text) + "\n")

    def tick(self, seconds: float) -> None:
        """Show how long until the next look, on a terminal."""
        if self._open is not None and self._open.due is not None:
            self._open = replace(self._open, at=self._open.due - seconds)
            self._draw()

    def done(self) -> None:
        """Leave the cursor on a line of its own."""
        self._close()

    def _draw(self) -> None:
        """Write the open line over what is there. One that wrapped could not be taken back, so it is cut to fit; how
        long until the next look is never cut off."""
        if self._open is not None:
            head, rest = self._open.fitted(max(self._width() - _SPARE, _NARROWEST))
            name = click.style(head, fg=COLOURS[self._open.state.phase]) if self._coloured else head
            self._write(f"\r\x1b[2K{name}{rest}".rstrip())

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
