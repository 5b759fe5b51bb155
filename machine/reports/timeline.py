"""Plan + records -> what a run was sent and answered, and how long it stayed in each state. Pure.

A run that polls for an hour has hundreds of records that say one thing. Records in a row that say the same are one
Spell; the Spells of one visit of a state are one Stay. Times are seconds since the epoch, as the records have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..chart.effects import Call
from ..chart.snapshot import Record
from ..diagram.model import printable, span
from ..plan.model import Plan, State
from ..runtime.result import timestamp
from ..values import redact

__all__ = ["LOOKED", "Spell", "Stay", "answer_of", "name_of", "outputs_of", "rows", "spells", "stays"]

LOOKED = "looked whether it is there already, before it is sent"
"""What is said of a look before the first send: most often a 404, which would be taken for a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """Records in a row that say the same: the same move for the same answer to the same call, with the same outputs."""

    records: tuple[Record, ...]
    sent: str
    """``GET /endpoint/acme/demo``; empty where nothing was sent."""
    answer: str
    """A status, the cause why there was none, or what somebody did: ``cancelled by ...``."""
    seen: str
    """The step's outputs, ``state pending, url null`` left out; or that this was only a look."""

    @property
    def count(self) -> int:
        return len(self.records)

    @property
    def last(self) -> Record:
        return self.records[-1]

    @property
    def began(self) -> float:
        return self.records[0].at

    @property
    def ended(self) -> float:
        return self.records[-1].at

    def to_json(self) -> dict[str, Any]:
        return {
            "sent": self.sent or None,
            "answer": self.answer,
            "count": self.count,
            "first": timestamp(self.began),
            "last": timestamp(self.ended),
            "outputs": redact(dict(self.last.outputs)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """One visit of a state: ``left`` is None where the run still is in it."""

    state: State
    name: str
    entered: float
    left: float | None
    spells: tuple[Spell, ...]

    @property
    def seconds(self) -> float | None:
        return None if self.left is None else round(self.left - self.entered, 3)

    def to_json(self) -> dict[str, Any]:
        return {
            "state": self.name,
            "phase": self.state.phase,
            "entered": timestamp(self.entered),
            "left": timestamp(self.left),
            "seconds": self.seconds,
            "answers": [one.to_json() for one in self.spells],
        }


def spells(plan: Plan, records: Sequence[Record]) -> list[Spell]:
    """The records, those in a row that say the same as one."""
    found: list[Spell] = []
    looks = {one.id for table in plan.tables() for one in table.transitions if one.rule == "look"}
    before: Record | None = None
    for record in records:
        made = Spell(
            records=(record,),
            sent=_sent(before) if record.kind in ("call.replied", "call.failed") else "",
            answer=answer_of(record),
            seen=LOOKED if record.transition in looks else outputs_of(record),
        )
        before = record
        if found and _same(found[-1], made):
            made = Spell(records=(*found[-1].records, record), sent=made.sent, answer=made.answer, seen=made.seen)
            found[-1] = made
        else:
            found.append(made)
    return found


def stays(plan: Plan, records: Sequence[Record]) -> list[Stay]:
    """The states a run was in, in order; each with what was answered there. The last one lasts."""
    found: list[tuple[str, float, list[Spell]]] = []
    for spell in spells(plan, records):
        first = spell.records[0]
        if first.kind in ("run.started", "run.reopened"):
            # It belongs to the state the run begins in, or is taken up in.
            if not found or found[-1][0] != first.target:
                found.append((first.target, first.at, []))
            found[-1][2].append(spell)
            continue
        if not found or found[-1][0] != first.source:
            found.append((first.source, first.at, []))
        found[-1][2].append(spell)
        if spell.last.target != spell.last.source:
            found.append((spell.last.target, spell.ended, []))
    states = {state.id: state for table in plan.tables() for state in table.states}
    ends = [*(entered for _, entered, _ in found[1:]), None]
    return [
        Stay(state=states[state], name=name_of(plan, state), entered=entered, left=left, spells=tuple(said))
        for (state, entered, said), left in zip(found, ends, strict=True)
    ]


def rows(plan: Plan, records: Sequence[Record], *, most: int = 40) -> list[list[str]]:
    """The stays as a table for people, its head first: when, how long, where, what was sent and answered. Of a longer
    one the last ``most`` lines, and how many there are before them."""
    lines: list[list[str]] = []
    for stay in stays(plan, records):
        moment = (timestamp(stay.entered) or "")[:19]
        lasted = "" if stay.seconds is None else span(stay.seconds)
        said = [one for one in stay.spells if one.answer != "started"]
        lines.append([moment, lasted, stay.name, *(_said(said[0]) if said else ["", ""])])
        lines += [["", "", "", *_said(one)] for one in said[1:]]
    head = [["AT", "FOR", "STATE", "SENT", "ANSWER"]]
    left_out = len(lines) - most
    if left_out > 0:
        head.append(["", "", f"({left_out} lines before)", "", ""])
    return head + lines[max(left_out, 0) :]


def _said(spell: Spell) -> list[str]:
    times = f"{spell.count} x " if spell.count > 1 else ""
    during = f" in {span(spell.ended - spell.began)}" if spell.count > 1 else ""
    return [spell.sent, ", ".join(filter(None, (f"{times}{spell.answer}{during}", spell.seen)))]


def name_of(plan: Plan, state_id: str) -> str:
    """The state's name; of a workflow that another one runs with that workflow before it."""
    for table in plan.tables():
        for state in table.states:
            if state.id == state_id:
                return printable(state.name if table is plan else f"{table.workflow} / {state.name}")
    return state_id


def answer_of(record: Record) -> str:
    """What came: a status, a cause, or what somebody did."""
    event = record.event
    by = f" by {event['by']}" if event.get("by") else ""
    match record.kind:
        case "call.replied":
            return str(event["reply"]["status"])
        case "call.failed":
            return str(event["cause"])
        case "doubt.resolved":
            return f"settled as {str(event['choice']).replace('_', ' ')}{by}"
        case "run.reopened":
            return f"taken up again{by}"
        case "run.cancelled":
            return f"cancelled{by}"
        case _:
            return "started"


def outputs_of(record: Record) -> str:
    """``state pending, count 3``: what the answer was read into, without what it did not say."""
    known = {name: redact(value) for name, value in record.outputs.items() if value is not None}
    return ", ".join(f"{name} {value}" for name, value in known.items())


def _sent(before: Record | None) -> str:
    """The request the record before asked for."""
    call = next((one for one in before.effects if isinstance(one, Call)), None) if before else None
    return f"{call.request.method} {redact(call.request.target)}" if call else ""


def _same(spell: Spell, other: Spell) -> bool:
    one, two = spell.last, other.last
    return (
        one.kind == two.kind
        and one.kind in ("call.replied", "call.failed")
        and (spell.sent, spell.answer, spell.seen) == (other.sent, other.answer, other.seen)
        and [(move.source, move.target, move.transition) for move in one.moves]
        == [(move.source, move.target, move.transition) for move in two.moves]
    )
