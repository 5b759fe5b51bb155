"""A run as Markdown, for the summary of a CI step or a ticket: how it ended, what may cost, what to type, its timeline.

Every word that came from elsewhere is written in character references where Markdown or HTML could take it for markup,
a link or a mention, so a summary shows what was said and does nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from ..chart.snapshot import Record
from ..diagram.model import printable
from ..plan.model import Plan
from ..runtime.result import Result
from .stopping import Way
from .timeline import rows
from .told import left_behind, took

__all__ = ["escaped", "markdown"]

_PLAIN = frozenset(" ,-/'.;=()?%+$")
"""Punctuation that means nothing inside a line; letters, digits and a colon before a space besides."""


def markdown(result: Result, plan: Plan, records: Sequence[Record], ways: Sequence[Way] = ()) -> str:
    """The report. ``records`` are in the terms of ``plan``; ``ways`` are how what was made could be ended."""
    lines = [f"## {escaped(result.workflow)}: {escaped(result.state)}", ""]
    if not result.ready:
        lines += [escaped(f"{result.reason}: {result.message}"), ""]
    facts = {
        "run": result.run,
        "phase": result.phase,
        "exit code": str(result.exit_code),
        "took": took(result, records),
        "calls": str(result.calls),
        **{name: _plain(value) for name, value in result.outputs.items() if name not in result.unresolved},
    }
    lines += ["| | |", "|---|---|", *(f"| {escaped(name)} | {escaped(value)} |" for name, value in facts.items()), ""]
    behind = left_behind(result, ways)
    if behind:
        lines += [
            "**What may be left on the other side, and billed**",
            "",
            *(f"- {escaped(one)}" for one in behind),
            "",
        ]
    if result.next.command:
        lines += [f"**Next**: <code>{escaped(result.next.command)}</code>", ""]
    head, *told = rows(plan, records)
    lines += [f"| {' | '.join(escaped(cell) for cell in head)} |", "|" + "---|" * len(head)]
    lines += [f"| {' | '.join(escaped(cell) for cell in row)} |" for row in told]
    return "\n".join([*lines, ""])


def _plain(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def escaped(text: str) -> str:
    """The text so that a Markdown renderer shows it as it is, on one line."""
    text = printable(text)
    shown = [
        one if not one.isascii() or one.isalnum() or one in _PLAIN or one + after == ": " else f"&#{ord(one)};"
        for one, after in pairwise(f"{text} ")
    ]
    # Without its dot, or the colon of its scheme, nothing is taken for an address.
    return _ADDRESS.sub(r"\1&#46;", "".join(shown))


_ADDRESS = re.compile(r"(www)\.", re.IGNORECASE)
