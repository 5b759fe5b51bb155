"""``show`` on a damaged run: everything that can still be read of it, and a name for everything that cannot.

A snapshot that is lost is recomputed from the history where that is whole, and said to be. Nothing is repaired, and
nothing goes on from here: what is shown is for a person who has to know what may be running, and billed, elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

from ..errors import MachineError
from .app import exit_with

if TYPE_CHECKING:
    from ..chart.snapshot import Snapshot
    from ..plan.model import Plan
    from ..runtime.result import Result
    from ..stores.base import RunHead
    from ..stores.remains import Remains
    from ..stores.sqlite import SqliteStore

__all__ = ["show_remains"]


def show_remains(store: SqliteStore, run_id: str, error: MachineError, *, why: bool, as_json: bool) -> NoReturn:
    """Show what is left of a run and end with ``error``, the first damage that was met."""
    from ..reports.why import why_lines
    from .printing import echo_json, run_lines, say

    remains = store.remains(run_id)
    snapshot, recomputed = _snapshot(store, remains)
    plan = _plan(store, remains, snapshot)
    head = remains.head or _head(run_id, plan)
    result = _result(head, plan, snapshot)
    if as_json:
        readable = {
            **(
                {name: value for name, value in result.to_json().items() if name != "next"}
                if result
                else {"run": run_id}
            ),
            "recomputed": recomputed,
            "history": [one.to_json() for one in remains.records],
        }
        damage = [one.to_json() for one in remains.damage]
        echo_json({"error": error.to_json(), "damage": damage, "readable": readable})
        exit_with(error.exit_code)
    for one in remains.damage:
        say(f"damaged   {one.seen}: {one.message}", err=False)
    if recomputed:
        say("snapshot  lost, and recomputed from the history", err=False)
    if result is not None and head is not None:
        for line in run_lines(result, head, []):
            if not line.startswith("next "):
                say(line, err=False)
    say(f"records   {len(remains.records)} can be read" + ("" if why else " (--why tells them)"), err=False)
    if why:
        for line in why_lines(plan, remains.records) if plan is not None else _bare(remains):
            say(line, err=False)
    raise error


def _snapshot(store: SqliteStore, remains: Remains) -> tuple[Snapshot | None, bool]:
    """The stored snapshot; else the one the history leads to, where none of it is missing."""
    from ..runtime.history import recomputed

    seqs = [record.seq for record in remains.records]
    whole = bool(seqs) and seqs == list(range(1, len(seqs) + 1))
    if remains.snapshot is not None or remains.head is None or not whole:
        return remains.snapshot, False
    try:
        *_, last = recomputed(store, remains.head, remains.records)
    except MachineError:
        return None, False
    return last.snapshot, True


def _plan(store: SqliteStore, remains: Remains, snapshot: Snapshot | None) -> Plan | None:
    from ..plan.model import Plan

    digest = snapshot.plan_sha256 if snapshot else remains.head.plan_sha256 if remains.head else ""
    try:
        return Plan.from_json(json.loads(store.blob(digest)))
    except MachineError:
        return None


def _head(run_id: str, plan: Plan | None) -> RunHead | None:
    """What the plan knows of a run whose own row is lost."""
    from ..stores.base import RunHead

    if plan is None:
        return None
    return RunHead(
        id=run_id,
        workflow=plan.workflow,
        document=plan.document,
        created=0.0,
        plan_sha256=plan.sha256,
        inputs_sha256="",
    )


def _result(head: RunHead | None, plan: Plan | None, snapshot: Snapshot | None) -> Result | None:
    from ..runtime.result import Result
    from ..runtime.run import chart_of

    if head is None or plan is None or snapshot is None:
        return None
    return Result.of(head, chart_of(plan), snapshot, held=False)


def _bare(remains: Remains) -> Iterator[str]:
    """The records without the plan that names their states."""
    from ..runtime.result import timestamp

    for record in remains.records:
        yield f"{record.seq:>4}  {timestamp(record.at)}  {record.kind}"
