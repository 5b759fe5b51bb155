"""The corpus: every document compiles or is refused with a reason and a place, none crashes, none takes long.

    measure.py                 compile, check and draw everything; drive what polls and what can be driven; print counts
    measure.py --json FILE     and write every row
    measure.py --only TEXT     the documents whose path holds the text

The exit code is 1 when a document crashed, took too long, was refused without a place, or too few compiled.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from documents import Library, Row, by_owner, rows
from driving import drive_workflow, inputs_of

from machine.cli.checking import findings_of
from machine.diagram import render
from machine.errors import DocumentError, MachineError
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.runtime.preflight import first_request

__all__ = ["Outcome", "main", "measure", "measure_all"]

ROOT: Final = Path(__file__).resolve().parents[2]
_PROCESSES: Final = 2
_MAX_SECONDS: Final = 2.0
"""For one document, beyond reading its sources."""
_LEAST: Final = 0.97
"""The share of the documents with all their sources that has to compile."""
_CHUNK: Final = 20
"""Documents of one repository that one process takes at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one document."""

    document: str
    complete: bool
    """Whether every source it names is there."""
    compiled: bool = False
    reasons: tuple[str, ...] = ()
    """The codes it was refused with."""
    message: str = ""
    placed: bool = True
    """Whether the refusal names a line."""
    crash: str = ""
    seconds: float = 0.0
    workflows: int = 0
    drawn: int = 0
    findings: dict[str, int] = field(default_factory=dict)
    polls: tuple[str, ...] = ()
    """The workflows that wait in a loop."""
    undriven: dict[str, str] = field(default_factory=dict)
    """The workflows that did not reach an end under scripted answers, and why."""
    unbuilt: dict[str, str] = field(default_factory=dict)
    """The workflows whose first request cannot be built from generated inputs, and why."""


def measure(library: Library, row: Row) -> Outcome:
    """Read, compile, check, draw and drive one document. Never raises."""
    try:
        return _outcome(library, row)
    except Exception:
        return Outcome(document=row.document, complete=row.complete, crash=traceback.format_exc()[-2000:])


def _outcome(library: Library, row: Row) -> Outcome:
    # The time of this process alone: whoever else works on the machine is no fault of a document.
    start, before = time.process_time(), library.seconds
    try:
        description = library.describe(row)
        plans = [build_plan(description, workflow=one.workflow_id) for one in description.document.workflows]
    except MachineError as error:
        return _refusal(row, error)
    seconds = round(time.process_time() - start - (library.seconds - before), 3)
    findings = Counter(one.code for one in findings_of(description))
    drawn = sum(bool(render(plan, format="mermaid")) and bool(render(plan, format="dot")) for plan in plans)
    polling = tuple(plan.workflow for plan in plans if any(state.polls for state in plan.states))
    undriven = {plan.workflow: why for plan in plans if (why := drive_workflow(plan))}
    unbuilt = {plan.workflow: why for plan in plans if (why := _unbuilt(plan))}
    return Outcome(
        document=row.document,
        complete=row.complete,
        compiled=True,
        seconds=seconds,
        workflows=len(plans),
        drawn=drawn,
        findings=dict(findings),
        polls=polling,
        undriven=undriven,
        unbuilt=unbuilt,
    )


def _unbuilt(plan: Plan) -> str:
    """Why the first request cannot be built from generated inputs; empty when it can."""
    try:
        first_request(plan, inputs_of(plan))
    except MachineError as error:
        return f"{error.code} {error.message}"
    return ""


def _refusal(row: Row, error: MachineError) -> Outcome:
    findings = error.findings if isinstance(error, DocumentError) else ()
    errors = [one for one in findings if one.severity == "error"]
    places = [one.place for one in errors] or [error.place]
    return Outcome(
        document=row.document,
        complete=row.complete,
        reasons=tuple(sorted({one.code for one in errors} or {error.code})),
        message=" | ".join(one.message for one in errors) or error.message,
        placed=all(place is not None and (place.line > 0 or not place.pointer) for place in places),
    )


# -- all of them -------------------------------------------------------------------------------------------------------


def measure_all(folder: Path, listed: Sequence[Row]) -> list[Outcome]:
    """Every row, on two processes; those of one repository together, so that a source is parsed once."""
    chunks = [each[at : at + _CHUNK] for each in by_owner(list(listed)) for at in range(0, len(each), _CHUNK)]
    chunks.sort(key=len, reverse=True)
    found: list[Outcome] = []
    with ProcessPoolExecutor(_PROCESSES) as pool:
        for done in as_completed([pool.submit(_measure_some, folder, chunk) for chunk in chunks]):
            found += done.result()
            print(f"{len(found)} of {len(listed)}", end="\r", file=sys.stderr, flush=True)
    order = {row.document: number for number, row in enumerate(listed)}
    return sorted(found, key=lambda one: order[one.document])


def _measure_some(folder: Path, some: list[Row]) -> list[Outcome]:
    library = Library(folder)
    return [measure(library, row) for row in some]


def report(found: Sequence[Outcome]) -> Iterator[str]:
    """The counts, and everything that is not as it should be, by name."""
    complete = [one for one in found if one.complete]
    compiled = [one for one in found if one.compiled]
    share = sum(one.compiled for one in complete) / len(complete) if complete else 1.0
    yield f"{len(found)} documents: {len(compiled)} compile, {len(found) - len(compiled)} are refused"
    workflows, drawn = sum(one.workflows for one in compiled), sum(one.drawn for one in compiled)
    yield f"  {workflows} workflows: {drawn} drawn, {workflows - drawn} rejected"
    yield f"{len(complete)} with every source they need: {share:.1%} compile (at least {_LEAST:.0%} should)"
    slowest = max((one.seconds for one in found), default=0.0)
    yield f"slowest: {slowest:.2f} s beyond reading its sources (at most {_MAX_SECONDS:g} s)"
    polling = [(one.document, workflow) for one in compiled for workflow in one.polls]
    stuck = [(one, workflow) for one in compiled for workflow in one.undriven]
    unbuilt = [(one, workflow) for one in compiled for workflow in one.unbuilt]
    built = sum(one.workflows for one in compiled) - len(unbuilt)
    yield f"{built} first requests are built from generated inputs, {len(unbuilt)} are not"
    yield f"{len(polling)} workflows wait in a loop; {len(stuck)} of all workflows reach no end under scripted answers"
    yield from _table("refused, by reason", Counter(code for one in found for code in one.reasons))
    yield from _table("told by check", Counter(code for one in found for code in one.findings))
    yield "refused though every source is there:"
    yield from (
        f"  {one.document}: {', '.join(one.reasons)} {one.message[:200]}"
        for one in complete
        if not one.compiled and not one.crash
    )
    if unbuilt:
        yield "first request not built:"
        yield from (f"  {one.document} {workflow}: {one.unbuilt[workflow]}" for one, workflow in unbuilt)
    if stuck:
        yield "reach no end:"
        yield from (f"  {one.document} {workflow}: {one.undriven[workflow]}" for one, workflow in stuck)
    yield from (f"BROKEN {line}" for line in broken(found))


def broken(found: Sequence[Outcome]) -> Iterator[str]:
    """What may not be."""
    for one in found:
        if one.crash:
            yield f"{one.document} crashed: {one.crash}"
        if one.seconds > _MAX_SECONDS:
            yield f"{one.document} took {one.seconds:.2f} s"
        if not one.placed:
            yield f"{one.document} was refused without a place: {one.message[:200]}"
        if one.drawn < one.workflows:
            yield f"{one.document} was not drawn"
        for workflow in one.polls:
            if workflow in one.undriven:
                yield f"{one.document} {workflow} polls and reaches no end: {one.undriven[workflow]}"
    complete = [one for one in found if one.complete]
    if complete and sum(one.compiled for one in complete) < _LEAST * len(complete):
        yield "too few documents compile"


def _table(title: str, counts: Counter[str]) -> Iterator[str]:
    if counts:
        yield f"{title}: " + ", ".join(f"{code} {number}" for code, number in sorted(counts.items()))


def _folder() -> Path:
    return Path(os.environ.get("ARAZZO_MACHINE_SHARED", ROOT.parent / "shared")) / "corpus"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every row")
    parser.add_argument("--only", default="", metavar="TEXT", help="documents whose path holds it")
    given = parser.parse_args(arguments)
    folder = _folder()
    if not folder.is_dir():
        print("the corpus is not here: set ARAZZO_MACHINE_SHARED or put the folder beside the checkout")
        return 0
    listed = [row for row in rows(folder) if given.only in row.document]
    found = measure_all(folder, listed)
    for line in report(found):
        print(line)
    if given.json:
        given.json.write_text(json.dumps([asdict(one) for one in found], indent=1), encoding="utf-8")
    return int(any(True for _ in broken(found)))


if __name__ == "__main__":
    sys.exit(main())
