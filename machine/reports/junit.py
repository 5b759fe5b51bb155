"""A run as JUnit XML, which every CI reads: one suite for the run, one case for each state it was in.

The state in which a run stopped badly is the case that failed, with what may be billed and what to type in its message.
A run that has not ended, or was cancelled, is no failure and no success: its last case is skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from ..chart.snapshot import Record
from ..diagram.model import printable
from ..plan.model import Plan
from ..runtime.result import Result
from .stopping import Way
from .timeline import Stay, stays
from .told import left_behind

__all__ = ["junit"]

_UNDECIDED = frozenset({"running", "interrupted", "waiting", "cancelled"})


def junit(result: Result, plan: Plan, records: Sequence[Record], ways: Sequence[Way] = ()) -> str:
    """The report. ``records`` are in the terms of ``plan``; ``ways`` are how what was made could be ended."""
    # The end itself is no state anything happens in, but where nothing was before it.
    told = [one for one in stays(plan, records) if one.state.kind != "final"] or stays(plan, records)
    undecided = result.reason in _UNDECIDED
    bad = not result.ready and not undecided
    length = records[-1].at - records[0].at if records else 0.0
    counts = {
        "tests": str(len(told)),
        "failures": str(int(bad)),
        "errors": "0",
        "skipped": str(int(undecided)),
        "time": f"{length:.3f}",
    }
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": _text(result.workflow), **counts})
    if result.started:
        suite.set("timestamp", result.started)
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in {"run": result.run, "document": result.document, "exit_code": str(result.exit_code)}.items():
        ElementTree.SubElement(properties, "property", {"name": name, "value": _text(value)})
    for number, stay in enumerate(told, start=1):
        case = ElementTree.SubElement(suite, "testcase", _case(result, stay, number))
        if number < len(told):
            continue
        if bad:
            message = _text(f"{result.state}: {result.message}")
            failure = ElementTree.SubElement(case, "failure", {"type": result.reason, "message": message})
            failure.text = "\n".join(_text(line) for line in _failure(result, ways))
        elif undecided:
            ElementTree.SubElement(case, "skipped", {"message": _text(f"{result.reason}: {result.message}")})
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _case(result: Result, stay: Stay, number: int) -> dict[str, str]:
    return {
        "classname": _text(result.workflow),
        "name": _text(f"{number} {stay.name}"),
        "time": f"{stay.seconds or 0:.3f}",
    }


def _failure(result: Result, ways: Sequence[Way]) -> list[str]:
    following = [f"{result.next.action}: {result.next.command}"] if result.next.command else []
    return [f"{result.reason}: {result.message}", *left_behind(result, ways), *following]


def _text(text: str) -> str:
    """What XML 1.0 can hold (section 2.2): no control character but line ends, no half of a surrogate pair."""
    return printable(text)
