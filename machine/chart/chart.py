"""Plan -> the state machine that executes it, and ``advance``: the only way a run ever moves. Pure.

Theory of operation
===================
The plan's table becomes one python-statemachine class. Its guards ask a Judgement (``judge.py``) and its actions do
one thing: they note which transition fired. Everything a move causes is computed here, from that one fact, as a new
frozen snapshot, a list of effects and a record. So the library decides *where to go* and this file decides *what that
means*; neither touches a network, a disk, a clock or a random number.

One living machine per chart is used as a flyweight: set to the state a snapshot is in, sent one event, read back. A
waiting run therefore holds nothing in memory. A chart belongs to one thread.

    advance(snapshot, event)
        1. the state to judge in     the snapshot's, or ``stopped.source`` of a run that is taken up again
        2. the judgement             outputs, facts, criteria
        3. the machine moves         first guard that holds wins; no guard, no move: python-statemachine refuses
        4. the consequence           ledger, visits, retries, budgets -> the next Call, or a Stop

The class is public (``Chart.machine_class``) and takes listeners, so that a program can hold and watch the machine
itself. Document names are shown by its states and never become attributes: a step called ``send`` is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from statemachine import StateChart
from statemachine.exceptions import TransitionNotAllowed
from statemachine.io import create_machine_class_from_definition

from ..errors import BugError, IdentityError, RequestError, UsageError
from ..expressions.template import references, render
from ..plan.model import CallPlan, Phase, Plan, PollPolicy, State, Transition
from ..sources.serialise import build_request
from ..values import MISSING, redact
from .effects import Call, Effect, Finish
from .events import CallFailed, Event, Reopened, Replied, Resolved, Started
from .explain import stop_message
from .judge import Judgement, context_of, read_value
from .pacing import poll_delay, retry_after
from .snapshot import Frame, LedgerEntry, Outcome, Record, Snapshot, Stop

__all__ = ["Advanced", "Chart", "compile_class"]


class Advanced(NamedTuple):
    """What one event came to."""

    snapshot: Snapshot
    effects: tuple[Effect, ...]
    record: Record


class Chart:
    """A plan that can move. ``listeners`` are python-statemachine listeners and hear every transition."""

    def __init__(self, plan: Plan, *, listeners: Iterable[object] = ()) -> None:
        self.plan = plan
        self.plan_sha256 = plan.sha256
        self.machine_class: type[StateChart[Any]] = compile_class(plan, self.plan_sha256)
        self._listeners = list(listeners)
        self._machine = self.machine_class(listeners=self._listeners)
        self._states: Mapping[str, State] = {state.id: state for state in plan.states}
        self._sees_request = _steps_that_see_their_request(plan)

    def begin(self) -> Snapshot:
        """The snapshot of a run to which nothing has happened yet; Started moves it."""
        frame = Frame(workflow=self.plan.workflow, state=self.plan.initial.id)
        return Snapshot(plan_sha256=self.plan_sha256, frames=(frame,))

    def phase(self, snapshot: Snapshot) -> Phase:
        """The coarse word for lists; ``starting`` reads ``created`` once an unsafe call may have been applied."""
        phase = self._states[snapshot.frame.state].phase
        return "created" if phase == "starting" and snapshot.applied else phase

    def state(self, snapshot: Snapshot) -> State:
        return self._states[snapshot.frame.state]

    def outputs(self, snapshot: Snapshot) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The workflow's outputs as far as they are known, every declared key present, and the keys that are not.

        Outputs of steps that never ran are null, not an error (ambiguity A23).
        """
        context = context_of(self.plan, snapshot)
        values = {name: read_value(value, context) for name, value in self.plan.outputs.items()}
        unresolved = tuple(name for name, value in values.items() if value is MISSING or value is None)
        return {name: None if value is MISSING else value for name, value in values.items()}, unresolved

    def advance(self, snapshot: Snapshot, event: Event) -> Advanced:
        """Apply one event. Raises IdentityError when the snapshot belongs to another plan, UsageError when the event
        cannot happen in its state."""
        if snapshot.plan_sha256 != self.plan_sha256:
            raise IdentityError(
                "this snapshot was made by another plan", code="AZM-C001", next="use the plan stored with the run"
            )
        source = snapshot.frame.state
        if snapshot.stopped and isinstance(event, (Reopened, Resolved)):
            source = snapshot.stopped.source
        call = self.plan.calls.get(self._states[source].step)
        judgement = Judgement.of(
            self.plan, snapshot, event, call, sees_request=call is not None and call.step in self._sees_request
        )
        target = self._move(source, event, judgement)
        fired = judgement.fired
        if fired is None:
            raise BugError("the machine moved and no transition fired", code="AZM-B003")
        return _Consequence(self, snapshot, event, judgement, fired, source, target).conclude()

    def _move(self, source: str, event: Event, judgement: Judgement) -> str:
        # A machine that reached a final state ignores every later event, so a new one takes its place.
        if self._machine.is_terminated:
            self._machine = self.machine_class(listeners=self._listeners)
        if self._states[source].kind == "final":
            raise self._impossible(source, event)
        machine = self._machine
        machine.current_state_value = source
        try:
            machine.send(f"e_{event.name}", judgement=judgement)
        except TransitionNotAllowed as error:
            raise self._impossible(source, event) from error
        return str(machine.current_state_value)

    def _impossible(self, source: str, event: Event) -> UsageError:
        return UsageError(
            f"{event.kind} cannot happen in state {self._states[source].name!r}",
            code="AZM-C002",
            next="see what can with `arazzo-machine plan`",
        )


def compile_class(plan: Plan, digest: str) -> type[StateChart[Any]]:
    """The python-statemachine class of a plan. State and event ids are generated; names are only shown."""
    states: dict[str, Any] = {}
    for state in plan.states:
        states[state.id] = {
            "name": state.name,
            "initial": state is plan.initial,
            "final": state.kind == "final",
            "on": {},
        }
    for one in plan.transitions:
        for event in one.on:
            states[one.source]["on"].setdefault(f"e_{event}", []).append(
                {
                    "target": one.target,
                    "internal": one.source == one.target and one.pace != "poll",
                    "cond": _guard(one, digest),
                    "on": _note(one, digest),
                }
            )
    # The last three are not the library's defaults: a guard that raises would count as false and take the next edge,
    # an unknown event would be ignored, and a move would be written twice, the first time as no state at all.
    made: type[StateChart[Any]] = create_machine_class_from_definition(
        f"Chart_{digest[:12]}",
        states=states,
        catch_errors_as_events=False,
        allow_event_without_transition=False,
        atomic_configuration_update=True,
    )
    return made


def _guard(transition: Transition, digest: str) -> Callable[[Judgement], bool]:
    def guard(judgement: Judgement) -> bool:
        return judgement.holds(transition)

    # The library caches signatures by qualified name, so every generated callable needs one of its own.
    guard.__qualname__ = guard.__name__ = f"guard_{digest[:12]}_{transition.id}"
    return guard


def _note(transition: Transition, digest: str) -> Callable[[Judgement], None]:
    def note(judgement: Judgement) -> None:
        judgement.fired = transition

    note.__qualname__ = note.__name__ = f"note_{digest[:12]}_{transition.id}"
    return note


def _steps_that_see_their_request(plan: Plan) -> frozenset[str]:
    found = set()
    for step, call in plan.calls.items():
        states = {state.id for state in plan.states if state.step == step}
        criteria = [*call.success, *(one for t in plan.transitions if t.source in states for one in t.guard.criteria)]
        used = [
            *(e for t in call.outputs.values() for e in references(t)),
            *(e for c in criteria for e in c.references()),
        ]
        if any(expression.root == "request" for expression in used):
            found.add(step)
    return frozenset(found)


class _Consequence:
    """What a fired transition means for the run; made for one event and thrown away."""

    def __init__(
        self,
        chart: Chart,
        before: Snapshot,
        event: Event,
        judgement: Judgement,
        fired: Transition,
        source: str,
        target: str,
    ) -> None:
        self.chart = chart
        self.plan = chart.plan
        self.before = before
        self.event = event
        self.judgement = judgement
        self.fired = fired
        self.source = source
        self.target = target

    def conclude(self) -> Advanced:
        after = replace(self.before, seq=self.before.seq + 1, pending=None, stopped=None)
        after = self._begun(after)
        after = replace(after, ledger=self._ledger(), calls=after.calls + self._left())
        after = after.with_frame(self._frame(after.frame))
        if self.fired.rule == "action" and "!held" in self.fired.guard.facts and not self.fired.stop:
            after = replace(after, recovered=True)
        effect: Effect
        if self.fired.stop:
            after, effect = self._stop(after, self.fired.stop)
        else:
            after, effect = self._call(after)
        record = Record(
            seq=after.seq,
            kind=self.event.kind,
            at=self.event.at,
            event=self.event.to_json(),
            source=self.source,
            target=self.target,
            transition=self.fired.id,
            guards=tuple(self.judgement.verdicts),
            outputs=self._new_outputs(),
            effects=(effect,),
        )
        return Advanced(after, (effect,), record)

    # -- what the event itself changes -----------------------------------------------------------------------------

    def _begun(self, after: Snapshot) -> Snapshot:
        event = self.event
        if isinstance(event, Started):
            settings = event.settings
            length = self.plan.deadline if settings.deadline is None else settings.deadline
            frame = replace(after.frame, inputs=dict(event.inputs))
            after = replace(after, settings=settings, started=event.at, deadline=round(event.at + length, 3))
            return after.with_frame(frame)
        if isinstance(event, Reopened):
            settings = after.settings.changed(event.changes)
            deadline = after.deadline
            if event.changes.get("deadline") is not None:
                deadline = round(event.at + event.changes["deadline"], 3)
            after = replace(after, settings=settings, deadline=deadline)
            return after.with_frame(replace(after.frame, troubles=0))
        return after

    def _left(self) -> int:
        """One more request left, or may have."""
        if isinstance(self.event, CallFailed):
            return int(self.event.fate == "unknown")
        return int(isinstance(self.event, Replied))

    def _ledger(self) -> tuple[LedgerEntry, ...]:
        ledger = self.before.ledger
        entry = self.judgement.last_entry()
        if entry is None:
            return ledger
        changed = entry
        if isinstance(self.event, Replied):
            status = self.event.reply.status
            changed = replace(entry, outcome=_outcome(self.event), status=status)
            if changed.outcome == "applied":
                changed = replace(changed, identity=_identity(self.judgement.outputs))
        elif isinstance(self.event, CallFailed):
            changed = replace(entry, outcome="not_applied" if self.event.fate == "not_sent" else "unknown")
        elif isinstance(self.event, Reopened) and self.before.pending is not None:
            changed = replace(entry, outcome="not_applied")
        elif isinstance(self.event, Resolved) and self.fired.stop != "in_doubt":
            if self.event.choice == "not_sent":
                changed = replace(entry, outcome="not_applied")
            else:
                changed = replace(entry, outcome="applied", identity=_identity(self.judgement.outputs))
        return tuple(changed if one is entry else one for one in ledger)

    def _new_outputs(self) -> Mapping[str, Any]:
        judged = isinstance(self.event, Replied)
        adopted = isinstance(self.event, Resolved) and "adopted" in self.fired.guard.facts
        return self.judgement.outputs if judged or adopted else {}

    def _frame(self, frame: Frame) -> Frame:
        steps = frame.steps
        outputs = self._new_outputs()
        if outputs and self.judgement.call is not None:
            steps = {**steps, self.judgement.call.step: dict(outputs)}
        visits = dict(frame.visits)
        visits[self.target] = visits.get(self.target, 0) + 1
        # A retry keeps its budget only within one visit of its step (ambiguity A14), which a retry and a tolerated
        # answer do not end: each would otherwise give back what the other has used up, and neither would ever end.
        retried, tolerated = self.fired.pace == "retry", self.fired.rule == "tolerance"
        retries = dict(frame.retries) if retried or tolerated else {}
        if retried:
            retries[self.fired.id] = retries.get(self.fired.id, 0) + 1
        troubles = frame.troubles
        if tolerated:
            troubles += 1
        elif isinstance(self.event, (Replied, CallFailed)) and not (retried and self.judgement.trouble()[0]):
            troubles = 0
        return replace(
            frame,
            state=self.target,
            steps=steps,
            visits=visits,
            retries=retries,
            waited=frame.waited + 1 if self.fired.pace == "poll" else 0,
            troubles=troubles,
        )

    # -- what comes next -------------------------------------------------------------------------------------------

    def _stop(self, after: Snapshot, reason: str) -> tuple[Snapshot, Effect]:
        final = self.chart._states[self.target].kind == "final"
        stop = Stop(
            reason=reason,
            message=stop_message(reason, self.plan, after, self.judgement, self.chart._states[self.target]),
            at=self.event.at,
            source=self.source if final else self.target,
        )
        return replace(after, stopped=stop), Finish(reason=reason)

    def _call(self, after: Snapshot) -> tuple[Snapshot, Effect]:
        state = self.chart._states[self.target]
        call = self.plan.calls[state.step]
        delay = self._delay(call, after)
        spent = self._spent(after, state, call, delay)
        if spent:
            return self._stop(after, spent)
        at = self.event.at
        if after.deadline is not None and at + delay > after.deadline >= at:
            # The last look is at the deadline, not one pace behind it.
            delay = round(after.deadline - at, 3)
        try:
            request = self._request(call, after)
        except RequestError as error:
            stop = Stop(reason="request", message=str(error), at=at, source=self.target)
            return replace(after, stopped=stop), Finish(reason="request")
        effect = Call(
            step=call.step,
            request=request,
            kind=call.kind,
            not_before=round(at + delay, 3),
            delay=delay,
            number=after.seq,
            intended=delay == 0 and not isinstance(self.event, Resolved),
        )
        if call.unsafe:
            entry = LedgerEntry(
                step=call.step,
                kind=call.kind,
                outcome="unknown",
                request=f"{request.method} {redact(request.target)}",
                at=effect.not_before,
            )
            after = replace(after, ledger=(*after.ledger, entry))
        return replace(after, pending=effect), effect

    def _delay(self, call: CallPlan, after: Snapshot) -> float:
        if self.fired.pace == "now":
            return 0.0
        asked = retry_after(self.event.reply.headers, self.event.at) if isinstance(self.event, Replied) else None
        if asked is not None:
            return asked
        if self.fired.pace == "retry":
            return self.fired.retry_after
        return poll_delay(call.poll or PollPolicy(), after.settings, after.frame.waited - 1, self.event.chance)

    def _spent(self, after: Snapshot, state: State, call: CallPlan, delay: float) -> str:
        """The budget that forbids the next call, if one does. A run taken up again may make one safe look."""
        at, settings = self.event.at, after.settings
        late = after.deadline is not None and at >= after.deadline
        if call.unsafe and after.deadline is not None and at + delay >= after.deadline:
            return "deadline"
        if isinstance(self.event, Reopened) and not call.unsafe:
            return ""
        if late:
            return "deadline"
        visits = settings.visits or (call.poll or PollPolicy()).visits
        if self.fired.pace == "poll" and after.frame.visits.get(state.id, 0) > visits:
            return "visits"
        if after.calls >= (settings.calls or self.plan.call_limit):
            return "calls"
        if after.seq >= (settings.transitions or self.plan.transition_limit):
            return "transitions"
        return ""

    def _request(self, call: CallPlan, after: Snapshot) -> Any:
        context = context_of(self.plan, after)
        return build_request(
            call.operation,
            [(name, location, render(value, context)) for name, location, value in call.parameters],
            body=render(call.body, context) if call.body is not None else MISSING,
            content_type=call.content_type,
            place=call.place,
        )


def _outcome(event: Replied) -> Outcome:
    """What an answer says about an unsafe call: 2xx applied; 408 and 5xx unknown, because a gateway may have given up
    on a request that went through, except a 503 that names a time to come back; anything else is a definite no."""
    status = event.reply.status
    if 200 <= status < 300:
        return "applied"
    if status == 408 or (status >= 500 and not (status == 503 and "retry-after" in event.reply.headers)):
        return "unknown"
    return "not_applied"


def _identity(outputs: Mapping[str, Any]) -> Any:
    known = {name: value for name, value in outputs.items() if value is not None}
    return known or None
