"""A run whose document was edited: its snapshot and records in the terms of the new plan, and what forbids the change.

A run may change to another plan where everything it did would have gone the same way there: then its snapshot is one
the new plan could have come to, and its history still tells how. Each record is judged again by the new plan, from the
snapshot it was made from; nothing is performed. Pure, like all of ``chart/``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from ..errors import IdentityError, MachineError
from ..plan.compare import Difference
from ..plan.model import Plan
from ..values import encode
from .effects import Call, Effect
from .events import Edit, Event, Reopened, event_from_json
from .snapshot import Frame, Move, Record, Snapshot
from .turn import Advanced

__all__ = ["Contradiction", "carried_over", "contradictions", "edit_of", "in_terms_of_now"]

_FROZEN = frozenset({"request", "effect", "outputs"})
"""Aspects of a call that was made which a run rests on, whatever came of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """One thing the run did that the new plan says otherwise. ``seq`` is the record it stands in, 0 for none."""

    state: str
    text: str
    seq: int = 0

    def __str__(self) -> str:
        return f"{self.state}: {self.text} (record {self.seq})" if self.seq else self.text

    def to_json(self) -> dict[str, Any]:
        return {"state": self.state, "text": self.text, "seq": self.seq}


def edit_of(record: Record) -> Edit | None:
    """The change of plan a record begins with, where it does."""
    event = event_from_json(record.event) if record.kind == Reopened.kind else None
    return event.edit if isinstance(event, Reopened) else None


def carried_over(snapshot: Snapshot, edit: Edit) -> Snapshot:
    """The snapshot in the terms of the new plan. Raises IdentityError where one of the two does not belong to it."""
    if snapshot.plan_sha256 != edit.before:
        raise IdentityError(
            "this snapshot was made by another plan", code="AZM-C001", next="use the plan stored with the run"
        )
    try:
        frames, stop = _carried(snapshot.frames, edit), snapshot.stopped
        stopped = (
            replace(stop, source=edit.states[stop.source], frames=_carried(stop.frames, edit))
            if stop is not None
            else None
        )
    except KeyError as error:
        raise IdentityError(
            "the edited plan lacks a state the run was in",
            code="AZM-C014",
            next="keep every state the run went through",
        ) from error
    return replace(snapshot, plan_sha256=edit.after, frames=frames, stopped=stopped)


def _carried(frames: tuple[Frame, ...], edit: Edit) -> tuple[Frame, ...]:
    return tuple(
        replace(
            frame,
            state=edit.states[frame.state],
            visits={edit.states[state]: count for state, count in frame.visits.items()},
            # What is retried by a transition that is gone is retried by none.
            retries={edit.transitions[one]: used for one, used in frame.retries.items() if one in edit.transitions},
        )
        for frame in frames
    )


def in_terms_of_now(records: Sequence[Record]) -> list[Record]:
    """The records of a run with the ids of the plan that applies at its end, so that one plan can tell them all."""
    told: list[Record] = []
    states: Mapping[str, str] | None = None
    transitions: Mapping[str, str] = {}
    for record in reversed(records):
        edit = edit_of(record)
        if states is not None:
            record = replace(record, moves=tuple(_told(move, states, transitions) for move in record.moves))
        told.append(record)
        if edit is not None:
            after, passed = states, transitions
            states = edit.states if after is None else _through(edit.states, after)
            transitions = edit.transitions if after is None else _through(edit.transitions, passed)
    return told[::-1]


def _told(move: Move, states: Mapping[str, str], transitions: Mapping[str, str]) -> Move:
    return replace(
        move,
        source=states[move.source],
        target=states[move.target],
        transition=transitions.get(move.transition, ""),
        guards=tuple(replace(one, transition=transitions.get(one.transition, "")) for one in move.guards),
    )


def _through(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, str]:
    return {one: second[other] for one, other in first.items() if other in second}


def contradictions(
    records: Sequence[Record],
    snapshots: Sequence[Snapshot],
    before: Plan,
    after: Plan,
    advance: Callable[[Snapshot, Event], Advanced],
    difference: Difference,
) -> list[Contradiction]:
    """Why a run may not go on with the plan ``after``; empty when it may.

    ``records`` is its whole history, ``snapshots`` what each record was made from, ``before`` its present plan,
    ``advance`` that of the new plan's chart. A stop in which the run was left may go otherwise now: that is what a
    document is edited for.
    """
    told = in_terms_of_now(records)
    visited = {state for one in told for move in one.moves for state in (move.source, move.target)}
    asked = {one.target for one in told if any(isinstance(effect, Call) for effect in one.effects)}
    found = list(_changed(visited, asked, before, difference))
    if found:
        # What is not there any more can judge nothing.
        return found
    edit = Edit(before=before.sha256, after=after.sha256, states=difference.states, transitions=difference.transitions)
    passed = [(number, earlier) for number, one in enumerate(records) if (earlier := edit_of(one)) is not None]
    for number, (record, snapshot) in enumerate(zip(told, snapshots, strict=True)):
        left = number + 1 == len(records) or records[number + 1].kind == Reopened.kind
        stopped = not any(isinstance(effect, Call) for effect in record.effects)
        if (stopped and left) or any(number == other for other, _ in passed):
            continue
        for other, earlier in passed:
            snapshot = carried_over(snapshot, earlier) if other > number else snapshot
        found += _otherwise(record, carried_over(snapshot, edit), before, after, advance, edit)
    return found


def _changed(visited: set[str], asked: set[str], before: Plan, difference: Difference) -> Iterator[Contradiction]:
    """What is gone, or is another call, among the states the run was in. A call that could not even be asked for, as
    its request could not be built, may become another one."""
    names: dict[str, str] = {}
    done: set[str] = set()
    for table in before.tables():
        behind = "" if table.workflow == before.workflow else f"{table.workflow}/"
        for state in table.states:
            if state.id in visited:
                keys = {f"{behind}{key}": state.name for key in (state.step, state.child) if key}
                names |= keys
                done |= set(keys) if state.kind != "call" or state.id in asked else set()
                names[f"{behind}{state.name}"] = state.name
    for change in difference.changes:
        gone = change.what == "state" and change.before is not None
        if change.where in names and (gone or (change.what in _FROZEN and change.where in done)):
            yield Contradiction(state=names[change.where], text=str(change))


def _otherwise(
    record: Record,
    snapshot: Snapshot,
    before: Plan,
    after: Plan,
    advance: Callable[[Snapshot, Event], Advanced],
    edit: Edit,
) -> Iterator[Contradiction]:
    """Where the new plan would have led another way, or asked for another call."""
    state = before.state(record.source).name
    try:
        _, effects, again = advance(snapshot, event_from_json(record.event))
    except MachineError as error:
        yield Contradiction(state=state, text=error.message, seq=record.seq)
        return
    for old, new in zip_longest(record.moves, again.moves):
        if (
            old is None
            or new is None
            or (edit.states[old.target], edit.transitions.get(old.transition))
            != (
                new.target,
                new.transition,
            )
        ):
            was, becomes = _label(before, old), _label(after, new)
            yield Contradiction(state=state, text=f"it took {was} and would take {becomes}", seq=record.seq)
            return
    if [encode(one.outputs) for one in record.moves] != [encode(one.outputs) for one in again.moves]:
        yield Contradiction(state=state, text="its outputs would be others", seq=record.seq)
    elif [_essence(one) for one in record.effects] != [_essence(one) for one in effects]:
        yield Contradiction(state=state, text="it would ask for another call", seq=record.seq)


def _label(plan: Plan, move: Move | None) -> str:
    if move is None:
        return "nothing more"
    one = next(one for table in plan.tables() for one in table.transitions if one.id == move.transition)
    return f"{one.label!r} to {plan.state(one.target).name}"


def _essence(effect: Effect) -> tuple[Any, ...]:
    """What an effect does to the world, without when it is done."""
    if isinstance(effect, Call):
        return effect.step, effect.request.to_json(), effect.kind, effect.purpose
    return (effect.reason,)
