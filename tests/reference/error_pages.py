"""Codes that were seen, the tree of errors, reasons of the chart -> the pages of exit codes, errors and findings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from sightings import Sighting, sightings
from tables import cell, page, table

from machine import errors
from machine.chart.snapshot import EXIT_CODES
from machine.plan.codes import CODES, severity_of
from machine.plan.reader import _REFUSED

__all__ = ["EXITS", "GROUPS", "REASONS", "error_codes", "exit_codes", "finding_codes"]

EXITS: Final[Mapping[int, str]] = {
    0: "ready: an end was reached, and nothing stayed unmatched that was not allowed to",
    10: "failed",
    11: "unmatched: the document says nothing about an answer",
    12: "out of budget",
    13: "in doubt: nobody knows whether a call was applied; `resolve` settles it",
    14: "a secret is refused or cannot be had, in a run that has begun",
    15: "cancelled",
    16: "left for another command (`--once`, `--no-wait`), or nobody runs it; resumable",
    64: "the command is not well formed",
    65: "bad document, bad input, damaged store, other inputs under the same id",
    70: "a bug of ours",
    74: "a file cannot be read or written",
    75: "another runner holds the run",
    78: "a source, a host or a credential is missing, and no run exists yet",
    130: "interrupted by SIGINT; resumable",
    143: "interrupted by SIGTERM; resumable",
}

REASONS: Final[Mapping[str, str]] = {
    "ended": "an action of type `end` after a success",
    "completed": "the last step succeeded and nothing followed",
    "broke": "a step failed and no action took it further",
    "failure_action": "an action of type `end` under `onFailure`",
    "request": "a request could not be built from what was known",
    "unmatched": "the criteria held, no action applied, and the policy is `fail`",
    "deadline": "`--deadline` passed",
    "visits": "a loop went round `--visits` times",
    "calls": "`--calls` requests were sent",
    "transitions": "`--transitions` transitions were made",
    "tolerance": "too many unusable answers in a row (`x-machine.poll.tolerate`)",
    "in_doubt": "a call that must not be repeated on a guess may have been applied",
    "credential": "a secret was refused (401, 403) or could not be had",
    "cancelled": "somebody asked for it",
}

GROUPS: Final[Mapping[str, str]] = {
    "B": "Bugs of ours",
    "C": "Credentials, hosts and identity",
    "D": "Documents and overlays",
    "E": "Expressions, conditions and payloads",
    "I": "Inputs",
    "P": "Compiling",
    "R": "Requests",
    "S": "Sources",
    "T": "Stores and files",
    "U": "Usage",
}

_TREE: Final = re.compile(r"── (\w+) +(\d+) +(.+)")
_SEVERITIES: Final = ("error", "warning", "info")
_SHOWN: Final = 3
"""Messages of one code; the others differ from them in detail."""


def exit_codes() -> str:
    """Every exit code, the reasons a run stops for, and the classes of errors, each with its code."""
    classes = _TREE.findall(errors.__doc__ or "")
    kinds = {code: [name for name, number, _ in classes if int(number) == code] for code in EXITS}
    rows = [[f"`{code}`", text, ", ".join(f"`{one}`" for one in kinds[code])] for code, text in EXITS.items()]
    reasons = [[f"`{reason}`", f"`{code}`", REASONS[reason]] for reason, code in EXIT_CODES.items()]
    raised = [[f"`{name}`", f"`{number}`", text] for name, number, text in classes]
    return page(
        "Exit codes",
        "An exit code says whether the work is done and who has to act. With `--json` standard output is one JSON "
        "object on every one of them. Scripts may rely on these numbers; see [versions](../versioning.md).",
        table(["exit", "meaning", "errors"], rows),
        "## Why a run stopped",
        "The `reason` of a result that has stopped. Others are `running`, `waiting` (`--once`, `--no-wait`) and "
        "`interrupted`: nobody runs it and it can go on where it was.",
        table(["reason", "exit", "when"], reasons),
        "## Classes of errors",
        "In Python every error is a `machine.MachineError` with `code`, `message`, `place`, `seen`, `next` and "
        "`exit_code`. The classes are in `machine.errors`.",
        table(["class", "exit", "what"], raised),
    )


def error_codes(found: Sequence[Sighting] | None = None) -> str:
    """Every code that is not explained as a finding: its class, what is said, and what to do."""
    found = sightings() if found is None else found
    parts = []
    for letter, title in GROUPS.items():
        codes = sorted({one.code for one in found if one.code[4] == letter and one.code not in CODES})
        rows = [_row([one for one in found if one.code == code]) for code in codes]
        parts += [f"## {title}", table(["code", "class", "exit", "what is said", "what to do"], rows)]
    return page(
        "Error codes",
        "What the commands print at the end of an error, and what `--json` has under `error.code`. A code keeps its "
        "meaning for ever; the words around it may become better. What stands in braces is filled in. Codes that "
        "`check` explains are on the page of [findings](findings.md), the numbers on that of "
        "[exit codes](exit-codes.md). A credential that a run which has begun cannot have exits 14.",
        *parts,
    )


def _row(places: Sequence[Sighting]) -> list[str]:
    (kind,) = {one.kind for one in places}
    exit_code = "65" if kind == "Finding" else str(getattr(errors, kind).exit_code)
    if kind == "Finding" and all(one.severity != "error" for one in places):
        exit_code = ""
    said = list(dict.fromkeys(one.message for one in places))
    shown = "<br>".join(cell(text) for text in said[:_SHOWN])
    if len(said) > _SHOWN:
        shown += f"<br>and {len(said) - _SHOWN} more like these"
    advice = "<br>".join(cell(text) for text in list(dict.fromkeys(one.next for one in places if one.next))[:_SHOWN])
    return [f"`{places[0].code}`", kind, exit_code, shown, advice]


def finding_codes(found: Sequence[Sighting] | None = None) -> str:
    """Every code ``check`` explains, by what it is about, with its severity."""
    found = sightings() if found is None else found
    groups = {
        "The structure of a document": "AZM-D1",
        "What it refers to": "AZM-D2 AZM-P AZM-S",
        "What is allowed, and may not be what was meant": "AZM-L",
        "Tolerances": "C",
    }
    parts = []
    for title, prefixes in groups.items():
        codes = [code for code in CODES if code.startswith(tuple(prefixes.split()))]
        rows = [[f"`{code}`", _severity(code, found), CODES[code].title, cell(CODES[code].why)] for code in codes]
        parts += [f"## {title}", table(["code", "severity", "what", "why it is told"], rows)]
    return page(
        "Findings",
        "What `arazzo-machine check` tells about a document, each with its line and what to do about it. An `error` "
        "keeps a document from being compiled (exit 65); a `warning` and an `info` do not. A tolerance is what other "
        "documents do that the specification does not have, and how it is read: a warning, and with `--strict` an "
        "error, but for C13, which is a rule of the machine that `--strict` takes away.",
        *parts,
    )


def _severity(code: str, found: Sequence[Sighting]) -> str:
    if not code.startswith("AZM-"):
        return "" if code == "C13" else "warning"
    words = set()
    for one in found:
        if one.code != code:
            continue
        said = set(one.severity.split(" / ")) & set(_SEVERITIES)
        if one.kind != "Finding" or code in _REFUSED:
            said = {"error"}
        words |= said or {severity_of(code)}
    return " or ".join(word for word in _SEVERITIES if word in words)
