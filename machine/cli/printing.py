"""What the verbs say to people: results, errors, tables. Text only; colours are click's and vanish in a pipe.

Everything printed passes ``printable``: no control or bidirectional character of a document, a reply or a path
reaches a terminal. And it passes the command's concealer: a secret this process was given is printed by name, wherever
a text that holds it came from.
"""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..diagram.model import printable
from ..diagram.table import columns as table
from ..errors import CredentialError, DocumentError, EditError, MachineError, UsageError
from ..values import redact
from .app import concealer

if TYPE_CHECKING:
    from ..reports.stopping import Way
    from ..runtime.result import Result
    from ..stores.base import RunHead

__all__ = [
    "COLOURS",
    "ask_for",
    "echo_bytes",
    "echo_json",
    "echo_text",
    "error_lines",
    "fitted_table",
    "json_text",
    "plain",
    "print_result",
    "run_lines",
    "safe_line",
    "say",
    "table",
]

COLOURS = {"starting": "white", "created": "blue", "polling": "yellow", "ready": "green", "failed": "red"}


_FOLDED = 20
"""Columns that the last one of a table has to have on a terminal to be folded there."""


def fitted_table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table for standard output: on a terminal with its last column folded to what is left of the width, else, for
    programs and files, with each row on one line."""
    lines = list(table(rows))
    width = shutil.get_terminal_size().columns
    begins = lines[0].rfind(printable(rows[0][-1]))
    if not sys.stdout.isatty() or width - begins < _FOLDED:
        yield from lines
        return
    for line in lines:
        first, *rest = textwrap.wrap(line[begins:], width - begins, break_on_hyphens=False) or [""]
        yield (line[:begins] + first).rstrip()
        yield from (" " * begins + one for one in rest)


def say(text: str = "", *, err: bool = True) -> None:
    """One line; to standard error unless it is a result."""
    click.echo(safe_line(text), err=err)


def safe_line(text: str) -> str:
    """The text with nothing in it that a terminal obeys; its indentation is ours and stays."""
    text = concealer().scrub(text)
    indent = len(text) - len(text.lstrip(" "))
    return " " * indent + printable(text)


def echo_json(value: Any) -> None:
    """The one object on standard output, in ASCII: no character of a reply reaches a terminal or trips an encoding."""
    click.echo(json_text(value))


def echo_text(text: str) -> None:
    """A text alone on standard output: as it is for a program, and for a terminal with nothing in it that one obeys."""
    if sys.stdout.isatty():
        for line in text.splitlines() or [""]:
            say(line, err=False)
    else:
        click.echo(concealer().scrub(text))


def echo_bytes(data: bytes, what: str) -> None:
    """Bytes on standard output. Raises UsageError AZM-U142 where that is a terminal."""
    if sys.stdout.isatty():
        raise UsageError(
            f"{what}, which are not for a terminal", code="AZM-U142", next="send them to a file: ... > FILE"
        )
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.flush()


def json_text(value: Any) -> str:
    """The value as JSON in which the command's secrets stand by name."""
    return json.dumps(redact(concealer().conceal(value)))


def ask_for(name: str) -> str:
    """The secret a person at the terminal types; it is not shown. Raises CredentialError where nobody can be asked."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise CredentialError(
            f"{name!r} is to be asked for, and standard input is no terminal",
            code="AZM-C022",
            next=f"give another reference: -i {name}=@env:VARIABLE",
        )
    return str(click.prompt(safe_line(name), hide_input=True, err=True))


def error_lines(error: MachineError) -> Iterator[str]:
    """An error as a person reads it: each finding on a line, then what to do."""
    findings = error.findings if isinstance(error, DocumentError) else ()
    if findings:
        yield from (safe_line(str(finding)) for finding in findings)
    else:
        yield safe_line(f"error: {error}")
        contradictions = error.contradictions if isinstance(error, EditError) else ()
        yield from (safe_line(f"  {one}") for one in contradictions)
    if error.next and not findings:
        yield safe_line(f"  {error.next}")


def plain(value: Any) -> str:
    """An output as a person reads it: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def print_result(result: Result, ways: Sequence[Way] = ()) -> None:
    """Outputs on standard output; how it ended, what is known of the other side, how to end that and what to do on
    standard error."""
    from ..reports.told import other_side

    for name, value in result.outputs.items():
        if name not in result.unresolved or result.ready:
            say(f"{name}: {plain(value)}", err=False)
    if result.ready:
        return
    say()
    say(f"{result.state}: {result.message}")
    for line in other_side(result, ways):
        say(f"  {line}")
    if result.next.command:
        say(f"  {result.next.action}: {result.next.command}")


def run_lines(
    result: Result, head: RunHead, edits: Sequence[Mapping[str, Any]], ways: Sequence[Way] = ()
) -> Iterator[str]:
    """A run as a person reads it."""
    from ..reports.told import other_side

    yield f"run       {result.run}"
    yield f"workflow  {result.workflow} ({result.document})"
    if head.origin:
        yield f"origin    run {head.origin['run']}, by its token {head.origin['token'][:12]}"
    for edit in edits:
        yield f"edited    {edit['at']} by {edit['by']}: plan {edit['before'][:12]} became {edit['after'][:12]}"
    yield f"state     {result.state}, phase {result.phase}"
    yield f"reason    {result.reason}: {result.message}"
    yield f"started   {result.started}" + (f", ended {result.ended}" if result.ended else "")
    yield f"calls     {result.calls}"
    for name, value in result.outputs.items():
        yield f"output    {name}: {plain(value) if name not in result.unresolved else 'not known'}"
    for line in other_side(result, ways):
        yield f"effect    {line}"
    if result.next.command:
        yield f"next      {result.next.action}: {result.next.command}"
