"""A Plan driven to an end by scripted answers, and again with a kill and a resume after each move.

The answers are made from what the description declares and from the literals the guards name; which of them leads on
is found by asking the machine, which is pure and can be asked as often as one likes.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Any, Final

from machine.chart.chart import Chart
from machine.chart.events import CallFailed, Event, Replied, Reply, Started
from machine.chart.foreseen import foreseen
from machine.chart.snapshot import Snapshot
from machine.expressions.grammar import split_path
from machine.expressions.template import references
from machine.plan.model import CallPlan, Plan, State
from machine.runtime.evaluator import Evaluator
from machine.sources.nodes import File
from machine.sources.shapes import put, sample
from machine.values import SecretRef

__all__ = ["Path", "drive_workflow", "find_path", "inputs_of"]

READY: Final = frozenset({"ended", "completed"})
_ENDS: Final = READY | {"broke", "failure_action", "unmatched"}
_ROUNDS: Final = 2
"""How often each loop is walked before it is left."""
_SPOKEN_OF: Final = frozenset({"action", "next", "wait"})
"""Rules of what the document speaks of: once an answer for each such transition is known, no more are looked for."""
_MAX_EVENTS: Final = 200
_MAX_STATES: Final = 200
_LITERAL: Final = re.compile(
    r"'((?:[^']|'')*)'|\"([^\"]*)\"|(?<![\w.#/$])(-?\d+(?:\.\d+)?)(?![\w.])|\b(true|false|null)\b"
)
_QUERY: Final = re.compile(r"[$@]((?:\.[A-Za-z_][\w-]*|\[\d+\]|\['[^']*'\])+)")
_STATUS: Final = re.compile(r"\$statusCode\s*[<>=!]=?\s*(\d{3})")

Tokens = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Events that lead from the start to an end, and why it ends there."""

    events: tuple[Event, ...]
    reason: str
    states: tuple[str, ...]
    """The names of the states on the way."""


def drive_workflow(plan: Plan) -> str:
    """Why a workflow does not reach an end, or differs when it is killed on the way; empty when all is well."""
    found = find_path(plan)
    if isinstance(found, str):
        return found
    whole = _replayed(plan, found.events, killed=False)
    broken = _replayed(plan, found.events, killed=True)
    return "" if whole == broken else "a kill on the way changes where it ends"


def find_path(plan: Plan) -> Path | str:
    """A short way to a success, else to another end, through as many loops as it can have; or why there is none."""
    return _Driver(plan).find()


@dataclass(frozen=True, slots=True)
class _Way:
    """How far a run has come, and how."""

    snapshot: Snapshot
    events: tuple[Event, ...]
    states: tuple[State, ...]


class _Driver:
    """Looks for a way through one plan, and remembers the answers of each state."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.chart = Chart(plan, evaluate=Evaluator())
        self.answers: dict[str, tuple[Event, ...]] = {}

    def find(self) -> Path | str:
        chart = self.chart
        begun = chart.advance(chart.begin(), Started(at=1000.0, inputs=inputs_of(self.plan))).snapshot
        best: tuple[int, int, Path] | None = None
        stops: list[str] = []
        seen = set[tuple[object, ...]]()
        waiting: deque[_Way] = deque([_Way(begun, (), (chart.state(begun),))])
        while waiting and len(seen) < _MAX_STATES:
            way = waiting.popleft()
            looped = frozenset(state.id for state in way.states if state.polls)
            if (stopped := way.snapshot.stopped) is not None:
                if stopped.reason in _ENDS:
                    names = tuple(state.name for state in way.states)
                    rank = (stopped.reason in READY, len(looped))
                    if best is None or rank > best[:2]:
                        best = (*rank, Path(events=way.events, reason=stopped.reason, states=names))
                stops.append(f"{stopped.reason}: {stopped.message[:150]}")
                continue
            for event, after in self.moves(way.snapshot):
                state = chart.state(after)
                more: tuple[Event, ...] = ()
                if state.polls:
                    after, more = self.round(after)
                reason = after.stopped.reason if after.stopped else ""
                key = (*(frame.state for frame in after.frames), reason, looped)
                if key not in seen:
                    seen.add(key)
                    waiting.append(_Way(after, (*way.events, event, *more), (*way.states, state)))
        return best[2] if best else f"no end is reached; stops: {'; '.join(dict.fromkeys(stops)) or 'none'}"

    def moves(self, snapshot: Snapshot) -> Iterator[tuple[Event, Snapshot]]:
        """What can happen next: for each transition some answer takes, the first such answer."""
        fired = set[Any]()
        leaving = self.plan.leaving(snapshot.frame.state)
        wanted = {one.id for one in leaving if one.rule in _SPOKEN_OF and "replied" in one.on}
        for event in self.events(snapshot):
            advanced = self.chart.advance(snapshot, event)
            if advanced.record.transition not in fired:
                fired.add(advanced.record.transition)
                yield event, advanced.snapshot
                if wanted <= fired:
                    return

    def round(self, snapshot: Snapshot) -> tuple[Snapshot, tuple[Event, ...]]:
        """Some more rounds of the loop the run waits in, as far as its answers allow."""
        events: tuple[Event, ...] = ()
        for _ in range(_ROUNDS - 1):
            again = next((one for one in self.moves(snapshot) if _same_place(one, snapshot)), None)
            if again is None:
                break
            events, snapshot = (*events, again[0]), again[1]
        return snapshot, events

    def events(self, snapshot: Snapshot) -> Iterator[Event]:
        """Answers to the pending call: those with the literals of the guards first, then what is declared."""
        pending = snapshot.pending
        assert pending is not None
        at = max(pending.not_before, 1000.0) + 1.0
        state = self.chart.state(snapshot)
        if pending.purpose != "call":
            yield from (Replied(at=at, reply=Reply(status=status, body={}, form="json")) for status in (404, 200))
            return
        if state.id not in self.answers:
            table = self.plan.table(snapshot.frame.workflow)
            call = table.calls[state.step]
            declared = list(foreseen(table, state, call))
            bodies = {
                one.answer.status: one.event.reply.body for one in reversed(declared) if isinstance(one.event, Replied)
            }
            found = (*_spoken_of(table, state, call, bodies), *(one.event for one in declared))
            self.answers[state.id] = found[:_MAX_EVENTS]
        for event in self.answers[state.id]:
            if isinstance(event, (Replied, CallFailed)):
                yield replace(event, at=at)


def _same_place(move: tuple[Event, Snapshot], before: Snapshot) -> bool:
    event, after = move
    return isinstance(event, Replied) and after.stopped is None and after.frame.state == before.frame.state


def _replayed(plan: Plan, events: tuple[Event, ...], *, killed: bool) -> str:
    """The last snapshot's text; ``killed`` reads the snapshot back from its text before each event."""
    text = json.dumps(plan.to_json())
    chart = Chart(Plan.from_json(json.loads(text)), evaluate=Evaluator())
    snapshot = chart.advance(chart.begin(), Started(at=1000.0, inputs=inputs_of(plan))).snapshot
    for event in events:
        if killed:
            snapshot = Snapshot.from_json(json.loads(snapshot.text()))
        snapshot = chart.advance(snapshot, event).snapshot
    return snapshot.text()


def inputs_of(plan: Plan) -> dict[str, Any]:
    """A value for every input, by its schema."""
    found: dict[str, Any] = {}
    for one in plan.inputs:
        if one.secret:
            found[one.name] = SecretRef(one.name)
        else:
            value = one.schema.get("default", sample(File(value=one.schema).root))
            found[one.name] = "text" if value is None else value
    return found


# -- answers -----------------------------------------------------------------------------------------------------------


def _spoken_of(plan: Plan, state: State, call: CallPlan, bodies: Mapping[str, Any]) -> Iterator[Replied]:
    """Answers that hold what a guard names, in every combination of its members and literals. ``bodies`` are declared
    ones by status."""
    criteria = [*call.success, *(one for edge in plan.leaving(state.id) for one in edge.guard.criteria)]
    texts = [one.text for one in criteria]
    named = [int(one) for text in texts for one in _STATUS.findall(text)]
    declared = [*call.operation.success_statuses(), 200]
    pointers = dict.fromkeys(tokens for one in criteria for tokens in _pointers(one))
    values = [*_distinct(_literals(texts)), "text", [{}], []]
    for status in dict.fromkeys([*(one for one in declared if one in named), *named, *declared]):
        body = bodies.get(str(status))
        for output in _output_pointers(call):
            body = put(body, output, "text") if _missing(body, output) else body
        yield _reply(status, body)
        for chosen in islice(product(values, repeat=min(len(pointers), 3)), 60 if pointers else 0):
            filled = body
            for tokens, value in zip(pointers, chosen, strict=False):
                filled = put(filled, tokens, value)
            yield _reply(status, filled)


def _reply(status: int, body: Any) -> Replied:
    return Replied(at=0.0, reply=Reply(status=status, body=body, form="empty" if body is None else "json"))


def _distinct(values: Iterator[Any]) -> Iterator[Any]:
    """Each value once, where 1 and true are two."""
    yield from {(type(one), one): one for one in values}.values()


def _pointers(criterion: Any) -> Iterator[Tokens]:
    """The members of the answer's body a criterion looks at."""
    for one in criterion.references():
        if one.root == "response" and one.part == "body" and (one.pointer or one.name):
            yield _without_length((*(split_path(one.name) or ()), *one.pointer))
    base = criterion.context
    if base is not None and str(base).startswith("$response.body"):
        for path in _QUERY.findall(criterion.text):
            if tokens := split_path(path.removeprefix(".")):
                yield _without_length((*base.pointer, *tokens))


def _without_length(tokens: Tokens) -> Tokens:
    return tokens[:-1] if tokens[-1:] in (("length",), ("size",)) else tokens


def _output_pointers(call: CallPlan) -> Iterator[Tokens]:
    for template in call.outputs.values():
        for one in references(template):
            if one.root == "response" and one.part == "body" and (one.pointer or one.name):
                yield (*(split_path(one.name) or ()), *one.pointer)


def _missing(body: Any, tokens: Tokens) -> bool:
    for token in tokens:
        if isinstance(body, dict):
            body = body.get(token)
        elif isinstance(body, list) and token.isdecimal() and int(token) < len(body):
            body = body[int(token)]
        else:
            return True
    return body is None


def _literals(texts: list[str]) -> Iterator[Any]:
    for text in texts:
        for single, double, number, word in _LITERAL.findall(text):
            if number:
                value = float(number) if "." in number else int(number)
                yield from (value, value + 1, value - 1)
            elif word:
                yield {"true": True, "false": False, "null": None}[word]
            else:
                yield single or double
