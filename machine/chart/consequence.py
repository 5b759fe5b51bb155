"""A fired transition -> what it means for the run: the next snapshot, the next call or stop, and the record.

``chart.py`` lets python-statemachine decide where to go; this file computes everything that follows from it, once, as
frozen values. Budgets, pacing, the ledger of unsafe calls and idempotency keys are applied here and nowhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from ..errors import RequestError
from ..expressions.template import render
from ..plan.model import UNSAFE, CallPlan, Plan, PollPolicy, State, Transition
from ..sources.model import Request
from ..sources.serialise import build_request
from ..values import MISSING, redact
from .effects import Call, Effect, Finish
from .events import CallFailed, Event, Reopened, Replied, Resolved, Started
from .explain import stop_message
from .judge import Judgement, context_of
from .look import outcome_of
from .pacing import poll_delay, retry_after
from .snapshot import Advanced, Frame, LedgerEntry, Record, Snapshot, Stop

__all__ = ["conclude", "probe_request"]

_ADOPTING = frozenset({"adopted", "ours"})
"""Facts of the transitions that take a thing on the other side for the step's result."""


def conclude(
    plan: Plan,
    states: Mapping[str, State],
    before: Snapshot,
    event: Event,
    judgement: Judgement,
    fired: Transition,
    target: str,
) -> Advanced:
    """What one fired transition comes to."""
    return _Consequence(plan, states, before, event, judgement, fired, target).conclude()


def probe_request(plan: Plan, snapshot: Snapshot, call: CallPlan) -> Request:
    """The safe look at what an unsafe call makes. Raises RequestError when it cannot be built."""
    probe = call.effect.probe
    if probe is None:
        raise RequestError(f"step {call.step!r} has no probe", code="AZM-R030", place=call.place)
    context = context_of(plan, snapshot)
    parameters = [(name, location, render(value, context)) for name, location, value in probe.parameters]
    return build_request(probe.operation, parameters, place=call.place)


class _Consequence:
    """Made for one event and thrown away."""

    def __init__(
        self,
        plan: Plan,
        states: Mapping[str, State],
        before: Snapshot,
        event: Event,
        judgement: Judgement,
        fired: Transition,
        target: str,
    ) -> None:
        self.plan = plan
        self.states = states
        self.before = before
        self.event = event
        self.judgement = judgement
        self.fired = fired
        self.source = fired.source
        self.target = target
        self.purpose = before.pending.purpose if before.pending else "call"

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
            after = replace(
                after,
                settings=settings,
                nonce=event.nonce,
                started=event.at,
                deadline=round(event.at + length, 3),
            )
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
        changed = self._settled(entry)
        if self.fired.rule == "absent" or "not_sent" in self.fired.guard.facts:
            # Whoever says that nothing is there says it of every call of the step that was open.
            return tuple(
                replace(one, outcome="not_applied", ruled_out=True) if one.step == entry.step and one.open else one
                for one in ledger
            )
        return tuple(changed if one is entry else one for one in ledger)

    def _settled(self, entry: LedgerEntry) -> LedgerEntry:
        """What the event tells of the step's latest unsafe call."""
        event, outputs = self.event, self.judgement.outputs
        taken = "held" in self.fired.guard.facts and self.fired.stop in ("", "ended", "completed")
        answered = isinstance(event, (Replied, CallFailed)) and self.purpose == "call"
        if answered and self.before.pending is None:
            return entry
        if isinstance(event, Replied) and self.purpose == "call":
            outcome = outcome_of(event.reply)
            identity = _identity(outputs) if outcome == "applied" else entry.identity
            return replace(entry, outcome=outcome, status=event.reply.status, identity=identity, taken=taken)
        if isinstance(event, CallFailed) and self.purpose == "call":
            return replace(entry, outcome="not_applied" if event.fate == "not_sent" else "unknown")
        if _ADOPTING & set(self.fired.guard.facts):
            return replace(entry, outcome="applied", identity=_identity(outputs), taken=taken)
        if isinstance(event, Reopened) and self.before.pending is not None and self.before.pending.kind == entry.kind:
            return replace(entry, outcome="not_applied")
        return entry

    def _new_outputs(self) -> Mapping[str, Any]:
        judged = isinstance(self.event, Replied) and self.purpose == "call"
        adopted = bool(_ADOPTING & set(self.fired.guard.facts))
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
            waited=frame.waited + 1 if self.fired.pace in ("poll", "probe") else 0,
            troubles=troubles,
            absent=self._absent(frame),
        )

    def _absent(self, frame: Frame) -> Mapping[str, bool | None]:
        """What is known of the other side before the first send; it holds for one visit of the step."""
        call, look = self.judgement.call, self.judgement.look
        if call is None or call.effect.probe is None:
            return frame.absent
        if self.fired.rule == "look":
            known = None if look is None else True if look.absent[0] else False if look.found[0] else None
            return {**frame.absent, call.step: known}
        if self.states[self.target].step != call.step:
            return {step: known for step, known in frame.absent.items() if step != call.step}
        return frame.absent

    # -- what comes next -------------------------------------------------------------------------------------------

    def _stop(self, after: Snapshot, reason: str) -> tuple[Snapshot, Effect]:
        final = self.states[self.target].kind == "final"
        stop = Stop(
            reason=reason,
            message=stop_message(reason, self.plan, after, self.judgement, self.states[self.target]),
            at=self.event.at,
            source=self.source if final else self.target,
        )
        return replace(after, stopped=stop), Finish(reason=reason)

    def _call(self, after: Snapshot) -> tuple[Snapshot, Effect]:
        state = self.states[self.target]
        call = self.plan.calls[state.step]
        purpose = self._purpose(state, call, after)
        unsafe = call.unsafe and purpose == "call"
        delay = self._delay(call, after)
        spent = self._spent(after, state, call, delay, unsafe=unsafe)
        if spent:
            return self._stop(after, spent)
        at = self.event.at
        if after.deadline is not None and at + delay > after.deadline >= at:
            # The last look is at the deadline, not one pace behind it.
            delay = round(after.deadline - at, 3)
        try:
            request = self._request(call, after) if purpose == "call" else probe_request(self.plan, after, call)
        except RequestError as error:
            stop = Stop(reason="request", message=str(error), at=at, source=self.target)
            return replace(after, stopped=stop), Finish(reason="request")
        effect = Call(
            step=call.step,
            request=request,
            kind=call.kind if purpose == "call" else "safe",
            not_before=round(at + delay, 3),
            delay=delay,
            number=after.seq,
            purpose=purpose,
            intended=delay == 0 and not isinstance(self.event, Resolved),
        )
        if unsafe and self.fired.rule != "reissue":
            # Sent again under the same key it is the same effect, so the ledger keeps one line for it.
            entry = LedgerEntry(
                step=call.step,
                kind=call.kind,
                outcome="unknown",
                request=f"{request.method} {redact(request.target)}",
                at=effect.not_before,
            )
            after = replace(after, ledger=(*after.ledger, entry))
        return replace(after, pending=effect), effect

    def _purpose(self, state: State, call: CallPlan, after: Snapshot) -> Literal["call", "look", "probe"]:
        """A state of doubt probes. A create that can be probed is looked for once before it is first sent, so that a
        thing that was there before is never taken for ours."""
        if state.kind == "doubt":
            return "probe"
        first = call.effect.probe is not None and call.step not in after.frame.absent
        asked = isinstance(self.event, Resolved)
        return "look" if call.unsafe and first and not asked else "call"

    def _delay(self, call: CallPlan, after: Snapshot) -> float:
        pending = self.before.pending
        if isinstance(self.event, Reopened) and pending is not None and pending.kind in UNSAFE:
            # Taken up while it waits to be sent: the rest of the wait is still owed.
            return round(min(max(pending.not_before - self.event.at, 0.0), pending.delay), 3)
        if self.fired.pace == "now" or (self.fired.pace == "probe" and not self._probing()):
            return 0.0
        asked = retry_after(self.event.reply.headers, self.event.at) if isinstance(self.event, Replied) else None
        if self.fired.pace == "retry":
            return self.fired.retry_after if asked is None else asked
        planned = poll_delay(call.poll or PollPolicy(), after.settings, after.frame.waited - 1, self.event.chance)
        if asked is not None:
            # "At once" is not an answer to a loop: it would ask as fast as the other side can answer.
            return max(asked, min(planned, 1.0))
        if self.fired.pace == "probe" and self.judgement.look is not None and self.judgement.look.absent[0]:
            entry = self.judgement.last_entry()
            due = (entry.at if entry else 0.0) + self.judgement.settle
            return round(min(planned, max(due - self.event.at, 0.0)), 3)
        return planned

    def _probing(self) -> bool:
        return self.purpose == "probe" and isinstance(self.event, (Replied, CallFailed))

    def _spent(self, after: Snapshot, state: State, call: CallPlan, delay: float, *, unsafe: bool) -> str:
        """The budget that forbids the next call, if one does. A run taken up again may make one safe look."""
        at, settings = self.event.at, after.settings
        late = after.deadline is not None and at >= after.deadline
        if unsafe and after.deadline is not None and at + delay >= after.deadline:
            return "deadline"
        if isinstance(self.event, Reopened) and not unsafe:
            return ""
        if late:
            return "deadline"
        visits = settings.visits or (call.poll or PollPolicy()).visits
        if self.fired.pace in ("poll", "probe") and after.frame.visits.get(state.id, 0) > visits:
            return "visits"
        if after.calls >= (settings.calls or self.plan.call_limit):
            return "calls"
        if after.seq >= (settings.transitions or self.plan.transition_limit):
            return "transitions"
        return ""

    def _request(self, call: CallPlan, after: Snapshot) -> Request:
        context = context_of(self.plan, after)
        parameters = [(name, location, render(value, context)) for name, location, value in call.parameters]
        if call.effect.key is not None:
            parameters.append((call.effect.key.name, "header", self._key(call, after)))
        return build_request(
            call.operation,
            parameters,
            body=render(call.body, context) if call.body is not None else MISSING,
            content_type=call.content_type,
            place=call.place,
        )

    def _key(self, call: CallPlan, after: Snapshot) -> str:
        """The idempotency key: new after every definite no, the same as long as nobody knows."""
        definite = sum(one.step == call.step and one.outcome == "not_applied" for one in after.ledger)
        return hashlib.sha256(f"{after.nonce}:{call.step}:{definite}".encode()).hexdigest()[:32]


def _identity(outputs: Mapping[str, Any]) -> Any:
    known = {name: value for name, value in outputs.items() if value is not None}
    return known or None
