"""Commands as a person sees them on a terminal of 80 columns -> ``screens.md`` and pictures of two.

The commands run whole and in this process, against the simulator on loopback; only the clock and chance are replaced,
so that nobody waits and every time is the same every time. What is shown is what was written to the terminal, with the
lines it wrote again written again.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Final
from unittest import mock

from tables import block, page

from machine.cli.app import main
from machine.cli.progress import LiveClock
from machine.runtime.clock import Interrupts, SystemClock
from machine.runtime.runner import Runner
from machine.testing.clock import ManualClock
from machine.testing.server import Simulator

__all__ = ["live_picture", "screens", "show_picture"]

ROOT: Final = Path(__file__).resolve().parents[2]
_NARROW: Final = 80
_WIDE: Final = 132
_INPUTS: Final = "-i namespace=acme -i name=demo -i repository=gpt2"
_RUN: Final = f"arazzo-machine run deploy-inference-endpoint --id demo {_INPUTS}"
_LOST: Final = f"arazzo-machine run deploy-inference-endpoint --id lost --on-doubt hold {_INPUTS}"
_STYLE: Final = re.compile(r"\x1b\[(\d+)m")
_SERVER: Final = re.compile(r"(http://)?127\.0\.0\.1:\d+")
_REWRITE: Final = "\r\x1b[2K"
_WAIT: Final = 3
"""The wait in whose middle the run is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What stands on the terminal, line by line, styles included."""

    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(_STYLE.sub("", line).rstrip() for line in self.lines)


class _Terminal(io.StringIO):
    """A terminal that says it is one, and has no size but the usual one."""

    def isatty(self) -> bool:
        return True


class _Session:
    """Commands typed one after the other, by somebody whose clock passes when it is waited for."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.terminal = _Terminal()
        self.live: Screen | None = None
        """The run as it was seen in the middle of a wait."""
        self._folder = folder
        self._waits = 0

    def type(self, command: str, server: Simulator | None = None, *, columns: int = _NARROW) -> Screen:
        """What stands there once the command has ended. ``server`` stands for the service the workflow names."""
        os.environ["COLUMNS"] = str(columns)
        self.terminal.truncate(0)
        self.terminal.seek(0)
        print(f"$ {command}")
        where = ["--server", server.url] if server else []
        with contextlib.suppress(SystemExit):
            main([*shlex.split(command)[1:], *where])
        return self._screen()

    def wait(self, live: LiveClock, seconds: float) -> None:
        """As the real clock waits, second by second."""
        self._waits += 1
        left = seconds
        while left > 1:
            step = left % 1 or 1
            self.clock.advance(step)
            left -= step
            live._progress.tick(left)
            if self._waits == _WAIT and left <= seconds / 2 and self.live is None:
                self.live = self._screen()
        self.clock.advance(left)

    def _screen(self) -> Screen:
        text = self.terminal.getvalue().rstrip("\n")
        text = text.replace(str(self._folder), "/home/me").replace(str(ROOT), "/home/me/arazzo-machine")
        text = _SERVER.sub(lambda found: f"{'https://' if found[1] else ''}api.example.com", text)
        return Screen(lines=tuple(line.rpartition(_REWRITE)[2] for line in text.split("\n")))


@cache
def _screens() -> dict[str, Screen]:
    """The screens by what they show, each after its command was typed."""
    with _session() as session, Simulator("happy") as happy, Simulator("ambiguous-create") as ambiguous:

        def wait(live: LiveClock, seconds: float, interrupts: Interrupts) -> None:
            session.wait(live, seconds)

        with mock.patch.object(LiveClock, "wait", wait):
            found = {
                "run": session.type(_RUN, happy),
                "show": session.type("arazzo-machine show demo", columns=_WIDE),
                "why": session.type("arazzo-machine show demo --why"),
                "lost": session.type(_LOST, ambiguous),
                "runs": session.type("arazzo-machine runs"),
            }
        assert session.live is not None
        return {"live": session.live, **found}


@contextlib.contextmanager
def _session() -> Iterator[_Session]:
    """A folder, a terminal, a token and a time of its own; what was there before is put back."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())).resolve()
        session = _Session(folder)
        stack.enter_context(contextlib.chdir(folder))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ARAZZO_MACHINE_", "HF_"))}
        kept.pop("NO_COLOR", None)
        ours = {"ARAZZO_MACHINE_STORE": "runs.db", "XDG_CONFIG_HOME": str(folder), "TERM": "xterm"}
        stack.enter_context(mock.patch.dict(os.environ, {**kept, **ours, "HF_TOKEN": "a-token-of-nobody"}, clear=True))
        stack.enter_context(mock.patch.object(SystemClock, "now", session.clock.now))
        stack.enter_context(mock.patch.dict(Runner.__init__.__kwdefaults__, {"chance": lambda: 0.5}))
        stack.enter_context(contextlib.redirect_stdout(session.terminal))
        stack.enter_context(contextlib.redirect_stderr(session.terminal))
        yield session


# -- written down ------------------------------------------------------------------------------------------------------


def screens() -> str:
    """The page."""
    found = _screens()
    return page(
        "Screens",
        "What a terminal of 80 columns shows. The commands were run whole, against the simulator in place of the "
        "service; only the clock and chance were replaced, so that the page is the same every time.",
        "![A terminal in the middle of a run](screen-live.svg)",
        "## While it runs",
        "The last line is written again with every answer and every second: the state, the answer, what was seen in "
        "it, how often the state was visited, how long the run has been there, what is left of the deadline, and when "
        "the next look is.",
        block(found["live"].text),
        "## When it has ended",
        block(found["run"].text),
        "## What happened",
        f"On a terminal of {_WIDE} columns; what does not fit is folded.",
        block(found["show"].text),
        "## Why",
        block(found["why"].text),
        "## When an answer is lost",
        block(found["lost"].text),
        "## What there is",
        block(found["runs"].text),
    )


_CELL: Final = (8.4, 19)
"""Pixels of one character, and from line to line."""
_PAD: Final = 16
_PAPER: Final = "#0d1117"
_INK: Final = "#e6edf3"
_INKS: Final = {"31": "#ff7b72", "32": "#4ade80", "33": "#e3b341", "34": "#79b8ff", "37": "#c9d1d9"}
"""By the code of a terminal's foreground colour."""


def live_picture() -> str:
    """A terminal in the middle of a run, as an SVG."""
    return _svg(_screens()["live"], _NARROW)


def show_picture() -> str:
    """A run that has ended, shown on a wide terminal, as an SVG."""
    return _svg(_screens()["show"], _WIDE)


def _svg(screen: Screen, columns: int) -> str:
    """The screen in a window. A terminal is dark by day as well, so it has one set of colours; each run of one colour
    is stretched to its columns, so that a reader's font changes no alignment."""
    width, height = _CELL
    rows = [row for line in screen.lines for row in _rows(line, columns)]
    whole = (round(columns * width + 2 * _PAD), len(rows) * height + 2 * _PAD + 8)
    size = f'width="{whole[0]}" height="{whole[1]}" viewBox="0 0 {whole[0]} {whole[1]}"'
    fonts = "ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f'<rect width="100%" height="100%" rx="8" fill="{_PAPER}" stroke="#30363d"/>',
        f'<g font-family="{fonts}" font-size="14">',
    ]
    for number, row in enumerate(rows):
        y = _PAD + 16 + number * height
        for at, text, ink in row:
            x, long = round(_PAD + at * width, 1), round(len(text) * width, 1)
            lines.append(
                f'<text xml:space="preserve" x="{x}" y="{y}" textLength="{long}" lengthAdjust="spacingAndGlyphs" '
                f'fill="{ink}">{escape(text, quote=False)}</text>'
            )
    return "\n".join([*lines, "</g>", "</svg>", ""])


def _rows(line: str, columns: int) -> Iterator[list[tuple[int, str, str]]]:
    """A line as the terminal breaks it: for each row its pieces of one colour, as (column, text, colour)."""
    ink, at = _INK, 0
    row: list[tuple[int, str, str]] = []
    for number, piece in enumerate(_STYLE.split(line)):
        if number % 2:
            ink = _INKS.get(piece, _INK)
            continue
        while piece:
            if at == columns:
                yield row
                row, at = [], 0
            head, piece = piece[: columns - at], piece[columns - at :]
            if head.strip():
                row.append((at + len(head) - len(head.lstrip()), head.strip(), ink))
            at += len(head)
    yield row
