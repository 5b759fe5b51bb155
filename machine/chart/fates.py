"""Plan -> the fate table: what each answer the description declares would do in each state.

Every answer of ``foreseen.py`` is held against the state's transitions by the machine's own judgement, first match
first. Where a guard looks at what was only sampled, it is judged both ways (``guessing.py``), and the answer has all
the fates it may have and says what they depend on. So a run does one of the things that are said here, and nothing
else. Retries are shown as if none was used yet, what an answer is read into as if it was there, and bodies as if they
could be read; a listed member whose value is not listed has no row. Needs a plan that was just built: a stored one no
longer knows the description's schemas.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

from ..expressions.evaluate import resolve_name
from ..expressions.question import Ask, Asked, nobody
from ..expressions.template import references
from ..plan.model import CallPlan, Plan, State, Transition
from ..sources.model import Request
from ..sources.security import left_open
from ..values import SecretRef, SecretText
from .calling import entry_of
from .chart import steps_that_see_their_request
from .effects import Call
from .events import CallFailed, Replied
from .foreseen import NOT_READY, Answer, Foreseen, foreseen
from .guessing import Guessed, Guesses, Known
from .judge import Judgement
from .snapshot import Frame, Snapshot
from .turn import Turn

__all__ = ["Fate", "Tables", "fates_of", "may_send_credential"]

_MAX_WAYS: Final = 256
"""Ways to guess that are tried for one answer; where there are more, every transition counts as possible."""
_MAX_JUDGED: Final = 5000
"""How often answers are judged in one state; every transition counts as possible for what is left then."""
_USUAL_LENGTH: Final = 512
"""Characters of all conditions of a state. Judging takes as long as they are, so longer ones are judged less often."""
_CREDENTIAL: Final = "whether a credential is sent"
_UNTRIED: Final = "more than can be tried"
_COMES_BACK: Final = "the header retry-after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What one answer does in one state, or may do where it depends on more than the answer says."""

    answer: Answer
    transition: Transition
    held: bool = False
    """Whether the run stops in doubt where the transition leads: the document would send again what may have been
    applied."""
    depends: tuple[str, ...] = ()
    """What decides between this fate and the others of the same answer, in words; empty where there are no others."""

    def to_json(self) -> dict[str, Any]:
        one = self.transition
        return {
            "answer": self.answer.status,
            "values": dict(self.answer.values),
            "depends": list(self.depends),
            "transition": one.id,
            "label": one.label,
            "rule": one.rule,
            "target": one.target,
            "stop": one.stop or ("in_doubt" if self.held else ""),
        }


@dataclass(frozen=True, slots=True)
class _Outcome:
    """All an answer may do: ids of transitions, each with whether the run is held behind it."""

    ends: tuple[tuple[str, bool], ...]
    depends: tuple[str, ...] = ()


_Tried = tuple[Foreseen, _Outcome]
Tables = dict[tuple[str, str, tuple[str, ...]], tuple[Plan, dict[str, tuple[Fate, ...]]]]
"""Fates by the state of a table, for tables that were looked at."""


def fates_of(
    plan: Plan, *, ask: Ask = nobody, own: bool = False, known: Tables | None = None
) -> dict[str, tuple[Fate, ...]]:
    """By the id of each state that makes a call, in any workflow of the plan, what becomes of each answer, in the order
    of the description; ``own`` leaves out the other workflows. ``known`` is for who asks about several plans of one
    document that were compiled alike: what was told of a workflow in one of them is not judged again in the next.

    Members whose value changes nothing are left out: what is listed of them all does the same. ``ask`` matches the
    patterns of conditions.
    """
    asked = Asked({}, ask)
    found: dict[str, tuple[Fate, ...]] = {}
    known = {} if known is None else known
    for table in [plan] if own else plan.tables():
        # Between plans the same workflow has other ids, and other secrets where others hand it some.
        key = (table.document, table.workflow, table.secrets)
        if key not in known:
            known[key] = table, _of_table(plan, table, asked)
        like, fates = known[key]
        states = dict(zip((one.id for one in like.states), table.states, strict=True))
        edges = dict(zip((one.id for one in like.transitions), table.transitions, strict=True))
        for state, each in fates.items():
            found[states[state].id] = tuple(replace(one, transition=edges[one.transition.id]) for one in each)
    return found


def _of_table(plan: Plan, table: Plan, ask: Ask) -> dict[str, tuple[Fate, ...]]:
    ready = _readiness(table)
    calls = [state for state in table.states if state.kind == "call"]
    seeing = steps_that_see_their_request(table)
    return {state.id: tuple(_State(plan, table, state, ask, seeing).fates(*ready[state.id])) for state in calls}


class _State:
    """One state that makes a call, and the machine's judgement with guesses in it."""

    def __init__(self, plan: Plan, table: Plan, state: State, ask: Ask, seeing: Collection[str]) -> None:
        self.plan, self.table, self.state, self.ask = plan, table, state, ask
        self.call = table.calls[state.step]
        self._sees = state.step in seeing
        self.guesses = Guesses()
        self._left = _MAX_JUDGED
        self.states = {one.id: one for one in table.states}
        self.edges = {one.id: one for one in table.transitions if one.source == state.id}
        self._guessed = [self._guessing(one) for one in self.edges.values()]
        success = tuple(Guessed.like(one, self.guesses) for one in self.call.success)
        self._judged = replace(self.call, success=success)
        tested = [*self.call.success, *(one for edge in self.edges.values() for one in edge.guard.criteria)]
        self._price = 1 + sum(len(one.text) for one in tested) // _USUAL_LENGTH
        self._standing = {sent: _standing(table, state, sent) for sent in may_send_credential(table, self.call)}

    def _guessing(self, edge: Transition) -> Transition:
        criteria = tuple(Guessed.like(one, self.guesses) for one in edge.guard.criteria)
        return replace(edge, guard=replace(edge.guard, criteria=criteria))

    def fates(self, ready: bool, unready: bool) -> Iterator[Fate]:
        """``ready``: whether what the step depends on may have succeeded; ``unready``: whether it may not have."""
        tried = [(one, self._of(one)) for one in foreseen(self.table, self.state, self.call)] if ready else []
        for _, of_key in groupby(tried, lambda one: one[0].among):
            for answer, outcome in _labelled(list(of_key)):
                yield from self._fates(answer, outcome)
        if unready:
            never = CallFailed(at=0.0, fate="not_sent", cause="not_ready")
            standing = replace(next(iter(self._standing.values())), pending=None, ledger=())
            ends, about = self._ends(None, never, standing)
            yield from self._fates(
                Answer(status=NOT_READY, values={}),
                _Outcome(tuple(ends), tuple(about) if len(ends) > 1 else ()),
            )

    def _fates(self, answer: Answer, outcome: _Outcome) -> Iterator[Fate]:
        for transition, held in outcome.ends:
            yield Fate(answer=answer, transition=self.edges[transition], held=held, depends=outcome.depends)

    def _of(self, seen: Foreseen) -> _Outcome:
        """What may become of an answer, whatever is not known of it."""
        ends: dict[tuple[str, bool], None] = {}
        about: dict[str, None] = {}
        several: set[tuple[tuple[str, bool], ...]] = set()
        for sent, standing in self._standing.items():
            for hint, event in self._variants(seen.event):
                each, guessed = self._ends(seen, event, self._given(standing, seen))
                several.add(tuple(sorted(each)))
                ends.update(each)
                about.update(guessed if len(each) > 1 else {})
                if len(several) > 1:
                    about.update({_CREDENTIAL: None} if sent != next(iter(self._standing)) else {})
                    about.update({_COMES_BACK: None} if hint else {})
        return _Outcome(tuple(ends), tuple(about) if len(ends) > 1 else ())

    def _variants(self, event: Replied | CallFailed) -> Iterator[tuple[bool, Replied | CallFailed]]:
        """The same answer as the headers may have it that rules of the machine look at."""
        yield False, event
        if isinstance(event, Replied) and event.reply.status == 503 and self.call.unsafe:
            yield True, replace(event, reply=replace(event.reply, headers={"retry-after": "1"}))

    def _given(self, standing: Snapshot, seen: Foreseen) -> Snapshot:
        return standing.with_frame(replace(standing.frame, inputs={**standing.frame.inputs, **seen.inputs}))

    def _ends(
        self, seen: Foreseen | None, event: Replied | CallFailed, before: Snapshot
    ) -> tuple[dict[tuple[str, bool], None], dict[str, None]]:
        """Where every way to guess leads, and what was guessed about."""
        ends: dict[tuple[str, bool], None] = {}
        known = Known(plan=self.table, call=self.call, seen=seen)
        self.guesses.begin(known)
        edges = [one for one in self._guessed if event.name in one.on]
        for _ in range(min(_MAX_WAYS, self._left // self._price)):
            self._left -= self._price
            judgement = Judgement.of(
                self.table, before, event, self._judged, sees_request=self._sees, ask=self.ask, kept=0
            )
            # What an output is read from is not held against an answer where the description leaves it unsaid.
            judgement.outputs = {
                name: "text" if value is None and not known.output(name) else value
                for name, value in judgement.outputs.items()
            }
            taken = next(one for one in edges if judgement.holds(one))
            ends[taken.id, self._held(judgement, self.edges[taken.id])] = None
            if not self.guesses.again():
                return ends, self.guesses.about
        possible = [(one.id, held) for one in edges for held in (False, *((True,) if self._repeats(one) else ()))]
        return dict.fromkeys(possible), {**self.guesses.about, _UNTRIED: None}

    def _held(self, judgement: Judgement, taken: Transition) -> bool:
        """Whether the run stops in doubt behind a transition that does not say so itself."""
        event = judgement.event
        if not self._repeats(taken):
            return False
        assert isinstance(event, (Replied, CallFailed))
        turn = Turn(self.plan, self.states, judgement.snapshot, event, Asked({}, self.ask))
        judgement.fired = taken
        turn.take(judgement, taken.target)
        stopped = turn.now.stopped
        return stopped is not None and stopped.reason == "in_doubt"

    def _repeats(self, taken: Transition) -> bool:
        """Whether a transition would do again what may not be done twice."""
        return self.call.unsafe and not taken.stop and self.states[taken.target].step == self.state.step


# -- what a run would have come with -----------------------------------------------------------------------------------


def may_send_credential(plan: Plan, call: CallPlan) -> tuple[bool, ...]:
    """Whether a credential goes with a call: both, where only a run can tell, because an earlier answer may be one."""
    given = {(where, name.lower() if where == "header" else name) for name, where, _ in call.parameters}
    if left_open(call.operation, given):
        return (True,)
    declared = {one.name: one for one in plan.inputs}
    sent: dict[bool, None] = {}
    for one in (one for each in _sent(call) for one in references(each)):
        found = resolve_name(one.name, declared) if one.root == "inputs" else None
        if found is not None and declared[found[0]].secret:
            if declared[found[0]].required:
                return (True,)
            sent[True] = None
        elif one.root in ("steps", "workflows", "response", "outputs"):
            sent[True] = None
    return (*sent, False)


def _sent(call: CallPlan) -> list[Any]:
    return [*(value for _, _, value in call.parameters), *(() if call.body is None else (call.body,))]


def _standing(plan: Plan, state: State, sent: bool) -> Snapshot:
    """A run that waits for the answer of a state's call, with every input it could have been given and everything its
    earlier steps could have handed on; ``sent``: with a credential."""
    call = plan.calls[state.step]
    inputs: dict[str, Any] = {one.name: SecretRef(one.name) if one.secret else "text" for one in plan.inputs}
    earlier = {step: one.outputs for step, one in plan.calls.items()}
    earlier |= {one.step: one.outputs for one in plan.children.values() if one.step and one.outputs is not None}
    steps = {step: dict.fromkeys(outputs, "text") for step, outputs in earlier.items()}
    carried = (("authorization", SecretText((SecretRef("credential"),))),) if sent else ()
    pending = Call(
        step=call.step,
        request=Request(source=call.operation.source, method=call.operation.method, target="/", headers=carried),
        kind=call.kind,
        not_before=0.0,
    )
    frame = Frame(workflow=plan.workflow, state=state.id, inputs=inputs, steps=steps)
    standing = Snapshot(plan_sha256="", frames=(frame,), pending=pending)
    return entry_of(pending, standing) if call.unsafe else standing


def _readiness(table: Plan) -> dict[str, tuple[bool, bool]]:
    """By state: whether what its step depends on may have succeeded when it is entered, and whether it may not have
    (Step Object, dependsOn). Of a step of another workflow both may be."""
    calls = {state.id: table.calls.get(state.step) for state in table.states if state.kind == "call"}
    ready = {state.id: (True, False) for state in table.states}
    needed = dict.fromkeys(step for call in calls.values() if call for key, step in call.needs if not key)
    while True:
        behind = {step: _behind(table, step, {one for one, (may, _) in ready.items() if not may}) for step in needed}
        found = dict(ready)
        for state, call in calls.items():
            ways = [behind[step] for key, step in (call.needs if call else ()) if not key]
            foreign = any(key for key, _ in (call.needs if call else ()))
            may = all((state, True) in one for one in ways)
            found[state] = may, foreign or any((state, False) in one for one in ways)
        if found == ready:
            return ready
        ready = found


def _behind(table: Plan, step: str, never: set[str]) -> set[tuple[str, bool]]:
    """Every state that can be reached, with whether the step has succeeded by then; in states of ``never`` nothing
    succeeds."""
    steps = {state.id: state.step for state in table.states}
    leaving: dict[str, list[Transition]] = {}
    for one in table.transitions:
        leaving.setdefault(one.source, []).append(one)
    waiting = [(table.initial.id, False)]
    reached: set[tuple[str, bool]] = set()
    while waiting:
        here = waiting.pop()
        if here in reached:
            continue
        reached.add(here)
        state, done = here
        for edge in leaving.get(state, ()):
            held = "held" in edge.guard.facts
            if not (held and state in never):
                waiting.append((edge.target, done or (held and steps[state] == step)))
    return reached


# -- what is said of it ------------------------------------------------------------------------------------------------


def _labelled(tried: Sequence[_Tried]) -> Iterator[tuple[Answer, _Outcome]]:
    """The answers of one key of the description. The statuses of a range that do otherwise than most of it come first,
    by their own names; the rest has the name of the range."""
    parts: dict[str, list[_Tried]] = {}
    for one, outcome in tried:
        parts.setdefault(one.answer.status, []).append((one, outcome))
    reduced = {name: _reduced(part) for name, part in parts.items()}
    does = {name: json.dumps([[dict(one.values), _shape(outcome)] for one, outcome in reduced[name]]) for name in parts}
    shares: dict[str, int] = {}
    for name, part in parts.items():
        shares[does[name]] = shares.get(does[name], 0) + part[0][0].share
    most = max(shares, key=lambda one: shares[one])
    usual = [name for name in parts if does[name] == most]
    # What a whole hundred does is said once, not again of each of its statuses.
    hundreds = {name: f"{name[0]}XX" for name in parts if not name.endswith("XX") and f"{name[0]}XX" in parts}
    covered = [name for name, hundred in hundreds.items() if does[name] == does[hundred]]
    covered += [
        name
        for name, hundred in hundreds.items()
        if not parts[name][0][0].spoken_of and _within(reduced[name], reduced[hundred])
    ]
    unusual = [name for name in parts if name not in usual and name not in covered]
    for name in (*unusual, usual[0]):
        for answer, outcome in reduced[name]:
            key = tried[0][0].among if name == usual[0] else name
            yield replace(answer, status=key), outcome


def _within(some: Sequence[tuple[Answer, _Outcome]], more: Sequence[tuple[Answer, _Outcome]]) -> bool:
    """Whether what is said of some answers is one of the things that are said of others anyway."""
    return all(
        set(outcome.ends) <= set(wider.ends)
        for answer, outcome in some
        for other, wider in more
        if all(other.values.get(name, value) == value for name, value in answer.values.items())
    )


def _shape(outcome: _Outcome) -> tuple[list[tuple[str, bool]], tuple[str, ...]]:
    return sorted(outcome.ends), outcome.depends


def _reduced(tried: list[_Tried]) -> list[tuple[Answer, _Outcome]]:
    """The fates of one status without the members that do not matter to any of them, whatever their values are."""
    fates = [(one.answer, outcome) for one, outcome in tried if not one.unlisted]
    for pointer in tuple(fates[0][0].values):
        without: dict[str, tuple[Answer, _Outcome]] = {}
        matters = False
        unlisted = [(one.answer, outcome) for one, outcome in tried if one.unlisted == f"#{pointer}"]
        for answer, outcome in (*fates, *unlisted):
            values = {name: value for name, value in answer.values.items() if name in fates[0][0].values}
            values.pop(pointer, None)
            known = without.setdefault(json.dumps(values), (replace(answer, values=values), outcome))
            matters = matters or _shape(known[1]) != _shape(outcome)
        fates = fates if matters else list(without.values())
    return fates
