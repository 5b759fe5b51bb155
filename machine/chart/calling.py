"""The next call of a run: what is sent, when, and whether a budget forbids it. Pure.

Budgets, pacing and idempotency keys are applied here and nowhere else.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Literal

from ..errors import RequestError
from ..expressions.question import Ask
from ..expressions.template import render
from ..plan.model import UNSAFE, CallPlan, Plan, PollPolicy, State
from ..sources.model import Request
from ..sources.serialise import build_request
from ..values import MISSING, redact
from .consequence import Fired
from .effects import Call
from .events import CallFailed, Event, Reopened, Replied, Resolved
from .judge import context_of
from .pacing import poll_delay, retry_after
from .snapshot import LedgerEntry, Snapshot

__all__ = [
    "Purpose",
    "delay_of",
    "entry_of",
    "forbidden",
    "guesses",
    "next_call",
    "probe_request",
    "purpose_of",
    "retry_due",
]

Purpose = Literal["call", "look", "probe"]


def probe_request(plan: Plan, snapshot: Snapshot, call: CallPlan, *, ask: Ask) -> Request:
    """The safe look at what an unsafe call makes; ``plan`` is the table of the snapshot's top frame. Raises
    RequestError when it cannot be built."""
    probe = call.effect.probe
    if probe is None:
        raise RequestError(f"step {call.step!r} has no probe", code="AZM-R030", place=call.place)
    context = context_of(plan, snapshot, ask=ask)
    parameters = [(name, location, render(value, context)) for name, location, value in probe.parameters]
    return build_request(probe.operation, parameters, place=call.place)


def purpose_of(state: State, call: CallPlan, event: Event, after: Snapshot) -> Purpose:
    """A state of doubt probes. A create that can be probed is looked for once before it is first sent, so that a thing
    that was there before is never taken for ours."""
    if state.kind == "doubt":
        return "probe"
    first = call.effect.probe is not None and call.step not in after.frame.absent
    return "look" if call.unsafe and first and not isinstance(event, Resolved) else "call"


# -- when --------------------------------------------------------------------------------------------------------------


def delay_of(fired: Fired, policy: PollPolicy | None, event: Event, start: Snapshot, after: Snapshot) -> float:
    """Seconds to wait because of one move, before what its target does. ``start`` is the run before the event."""
    one, pending = fired.transition, start.pending
    if isinstance(event, Reopened) and pending is not None and pending.kind in UNSAFE:
        # Taken up while it waits to be sent: the rest of the wait is still owed.
        return round(min(max(pending.not_before - event.at, 0.0), pending.delay), 3)
    probing = fired.purpose == "probe" and isinstance(fired.event, (Replied, CallFailed))
    if one.pace == "now" or (one.pace == "probe" and not probing):
        return 0.0
    if one.rule == "repair":
        # The wait counts from the failure, not from the end of what was done about it.
        return round(max(after.frame.due - event.at, 0.0), 3)
    if one.pace == "retry":
        return _retry_wait(fired, event)
    asked = _asked(event)
    planned = poll_delay(policy or PollPolicy(), after.settings, after.frame.waited - 1, event.chance)
    if asked is not None:
        # "At once" is not an answer to a loop: it would ask as fast as the other side can answer.
        return max(asked, min(planned, 1.0))
    if one.pace == "probe" and fired.judgement.look is not None and fired.judgement.look.absent[0]:
        entry = fired.judgement.last_entry()
        due = (entry.at if entry else 0.0) + fired.judgement.settle
        return round(min(planned, max(due - event.at, 0.0)), 3)
    return planned


def retry_due(fired: Fired, event: Event) -> float:
    """When a step may be retried that is repaired first: as long after its failure as a plain retry would wait."""
    return round(event.at + _retry_wait(fired, event), 3)


def _retry_wait(fired: Fired, event: Event) -> float:
    """Failure Action Object, retryAfter: a Retry-After header of the answer overrules it."""
    asked = _asked(event)
    return fired.transition.retry_after if asked is None else asked


def _asked(event: Event) -> float | None:
    """What the answer that was just heard asks to wait, in whichever workflow it was heard."""
    return retry_after(event.reply.headers, event.at) if isinstance(event, Replied) else None


def forbidden(
    fired: Fired, policy: PollPolicy | None, root: Plan, event: Event, after: Snapshot, delay: float, *, unsafe: bool
) -> str:
    """The budget that forbids what the target does, if one does. A run taken up again may make one safe look.

    The limits of calls, transitions and time are those of the whole run; how often a loop is walked is its own.
    """
    at, settings = event.at, after.settings
    late = after.deadline is not None and at >= after.deadline
    if unsafe and after.deadline is not None and at + delay >= after.deadline:
        return "deadline"
    if isinstance(event, Reopened) and not unsafe:
        return ""
    if late:
        return "deadline"
    visits = settings.visits or (policy or PollPolicy()).visits
    if fired.transition.pace in ("poll", "probe") and after.frame.visits.get(fired.target.id, 0) > visits:
        return "visits"
    if after.calls >= (settings.calls or root.call_limit):
        return "calls"
    if after.moves >= (settings.transitions or root.transition_limit):
        return "transitions"
    return ""


# -- what --------------------------------------------------------------------------------------------------------------


def next_call(
    plan: Plan,
    call: CallPlan,
    purpose: Purpose,
    event: Event,
    after: Snapshot,
    delay: float,
    reissued: bool,
    *,
    ask: Ask,
) -> Call:
    """The call a state makes; ``plan`` is its table. Raises RequestError where the values at hand make no request."""
    at = event.at
    if after.deadline is not None and at + delay > after.deadline >= at:
        # The last look is at the deadline, not one pace behind it.
        delay = round(after.deadline - at, 3)
    request = (
        _request(plan, call, after, reissued, ask) if purpose == "call" else probe_request(plan, after, call, ask=ask)
    )
    left = [] if after.frame.expires is None else [max(round(after.frame.expires - at - delay, 3), 0.001)]
    return Call(
        step=call.step,
        request=request,
        kind=call.kind if purpose == "call" else "safe",
        not_before=round(at + delay, 3),
        delay=delay,
        number=after.seq,
        purpose=purpose,
        intended=delay == 0 and not isinstance(event, Resolved),
        again=reissued,
        timeout=min([*left, *([call.timeout] if call.timeout is not None else [])], default=None),
    )


def guesses(call: CallPlan, event: Event, start: Snapshot, after: Snapshot) -> bool:
    """Whether the document alone, by a retry or a way back, would send again what may have been applied. Its key makes
    that safe, or somebody who says so; a call that is pending already was decided about before."""
    told = isinstance(event, Resolved) or (isinstance(event, Reopened) and start.pending is not None)
    return not told and any(one.open and one.outcome == "unknown" for one in after.entries(call.step))


def entry_of(effect: Call, after: Snapshot) -> Snapshot:
    """The run with one more line in its ledger, for an unsafe call that is about to be made."""
    entry = LedgerEntry(
        frame=after.frame.number,
        path=after.frame.path,
        step=effect.step,
        kind=effect.kind,
        outcome="unknown",
        request=f"{effect.request.method} {redact(effect.request.target)}",
        at=effect.not_before,
    )
    return replace(after, ledger=(*after.ledger, entry))


def _request(plan: Plan, call: CallPlan, after: Snapshot, reissued: bool, ask: Ask) -> Request:
    context = context_of(plan, after, ask=ask)
    parameters = [(name, location, render(value, context)) for name, location, value in call.parameters]
    if call.effect.key is not None:
        parameters.append((call.effect.key.name, "header", _key(call, after, reissued)))
    return build_request(
        call.operation,
        parameters,
        body=render(call.body, context) if call.body is not None else MISSING,
        content_type=call.content_type,
        place=call.place,
    )


def _key(call: CallPlan, after: Snapshot, reissued: bool) -> str:
    """The idempotency key: new for every visit of the workflow and after every definite answer, the same as long as
    nobody knows. What is sent again under its key is the same effect, whatever was heard of it."""
    sent = after.entries(call.step)
    known = [one.outcome != "unknown" for one in sent]
    if reissued:
        known[-1] = False
    # The open ones may be of an earlier visit: the key is that of the first of them.
    opened = next((number for number, one in enumerate(reversed(known)) if one), len(known))
    number = sent[-opened].frame if opened else after.frame.number
    definite = sum(one for one, entry in zip(known, sent, strict=True) if entry.frame == number)
    return hashlib.sha256(f"{after.nonce}:{number}:{call.step}:{definite}".encode()).hexdigest()[:32]
