"""Doubt in a person's hands: which call is open, the safe look at what it made, and the event that settles it.

A look is performed once, outside the journal: nothing is decided or stored by it. Nothing here sends anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..chart.calling import probe_request
from ..chart.chart import Chart, Standing
from ..chart.effects import Call
from ..chart.events import CallFailed, Replied, Reply, Resolved
from ..chart.judge import context_of
from ..chart.look import Look
from ..chart.snapshot import READY, LedgerEntry, Record, Snapshot
from ..errors import UsageError
from ..plan.model import CallPlan
from ..values import redact
from .result import needed_outputs
from .run import Run

__all__ = ["Choice", "Evidence", "doubtful_call", "evidence", "probe_call", "resolution"]

Choice = Literal["not_sent", "adopt", "accept", "reissue"]
"""How somebody settles a doubt; see ``chart.events.Resolved``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a call in doubt. ``verdict`` of the look: ``found``, ``absent``, ``unclear``, or ``none`` where
    the document declares no look; ``age`` in seconds since the intent."""

    step: str
    sent: str
    """The request in doubt, without secrets."""
    request: str
    """That of the look; empty where there was none."""
    verdict: str
    why: str
    age: float
    settled: bool
    """Whether an absence counts: late application can be ruled out."""
    fields: tuple[Mapping[str, Any], ...] = ()
    reply: Reply | None = None
    outputs: tuple[str, ...] = ()
    """The outputs of the step that somebody who adopts it without a look has to know."""
    choices: tuple[Choice, ...] = ()
    """How it can be settled."""

    def to_json(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "sent": self.sent,
            "request": self.request,
            "verdict": self.verdict,
            "why": self.why,
            "age": self.age,
            "settled": self.settled,
            "fields": [dict(one) for one in self.fields],
            "outputs": list(self.outputs),
        }


def doubtful_call(run: Run, store_flag: str = "") -> tuple[CallPlan, LedgerEntry]:
    """The unsafe call whose fate is open where a run stopped or is being looked for, with its line of the ledger.

    Raises UsageError AZM-U050 when there is none.
    """
    where = _open_place(run)
    call = where.call if where is not None else None
    entries = where.open_calls if where is not None else []
    ready = run.snapshot.stopped is not None and run.snapshot.stopped.reason in READY
    if call is None or not call.unsafe or ready or not entries:
        raise UsageError(
            f"nothing is in doubt in run {run.id}",
            code="AZM-U050",
            next=f"arazzo-machine show {run.id}{store_flag}",
        )
    return call, entries[-1]


def probe_call(chart: Chart, snapshot: Snapshot, call: CallPlan, at: float) -> Call | None:
    """The look as a call a transport can perform; None where the document declares none."""
    if call.effect.probe is None:
        return None
    where = chart.standing(snapshot)
    request = probe_request(where.table, where.snapshot, call, ask=chart.evaluate)
    return Call(step=call.step, request=request, kind="safe", not_before=at, number=snapshot.seq, purpose="probe")


def evidence(
    run: Run, history: Sequence[Record], at: float, look: Call | None, event: Replied | CallFailed | None
) -> Evidence:
    """What is known of the call in doubt, and what the look's outcome says about it. ``history`` is told in the terms
    of the run's present plan."""
    call, entry = doubtful_call(run)
    where = run.chart.standing(run.snapshot)
    age = round(max(at - entry.at, 0.0), 3)
    settle = run.snapshot.settings.settle if run.snapshot.settings.settle is not None else call.effect.settle
    known = Evidence(
        step=call.step,
        sent=entry.request,
        request=f"{look.request.method} {redact(look.request.target)}" if look else "",
        verdict="none",
        why="the document declares no probe, so there is nothing safe to look with",
        age=age,
        settled=age >= settle,
        outputs=tuple(needed_outputs(where.table, call.step)),
        choices=_choices(run, history, entry),
    )
    if isinstance(event, CallFailed):
        return replace(known, verdict="unclear", why=f"the look got no answer: {event.message or event.cause}")
    if event is None or call.effect.probe is None:
        return known
    seen = Look.at(call.effect.probe, context_of(where.table, where.snapshot, ask=run.chart.evaluate), event.reply)
    if not seen.found[0]:
        return replace(known, verdict="absent" if seen.absent[0] else "unclear", why=seen.absent[1])
    return replace(
        known,
        verdict="found",
        why=seen.matches[1],
        fields=tuple(one.to_json() for one in seen.fields),
        reply=event.reply,
    )


def _choices(run: Run, history: Sequence[Record], entry: LedgerEntry) -> tuple[Choice, ...]:
    """What somebody may say of the call. What is known to have been applied is not taken for not sent."""
    stored: tuple[Choice, ...] = ("accept",) if _last_success(run, history) is not None else ()
    unsent: tuple[Choice, ...] = ("not_sent",) if entry.outcome != "applied" else ()
    return ("adopt", *stored, *unsent, "reissue")


def resolution(
    run: Run,
    history: Sequence[Record],
    choice: Choice,
    outputs: Mapping[str, Any],
    reply: Reply | None,
    *,
    at: float,
    chance: float,
    by: str,
    store_flag: str = "",
) -> Resolved:
    """What somebody says became of a call, as an event.

    Raises UsageError when nothing is in doubt, when there is no stored answer to accept, or when ``outputs`` names an
    output the step does not have.
    """
    call, entry = doubtful_call(run, store_flag)
    if choice == "not_sent" and entry.outcome == "applied":
        raise UsageError(
            f"{call.step} was answered {entry.status}: it is known to have been applied",
            code="AZM-U054",
            next=f"arazzo-machine resolve {run.id}{store_flag} --accept, or --reissue --yes to make a second one",
        )
    unknown = sorted(set(outputs) - set(call.outputs))
    if unknown:
        raise UsageError(
            f"step {call.step!r} has no output {unknown[0]!r}",
            code="AZM-U051",
            next=f"it has: {', '.join(call.outputs) or 'none'}",
        )
    if choice == "accept" and reply is None:
        reply = _last_success(run, history)
        if reply is None:
            raise UsageError(
                f"run {run.id} holds no successful answer that can be read",
                code="AZM-U052",
                next="settle it with --not-sent or --adopt OUTPUT=VALUE",
            )
    return Resolved(at=at, chance=chance, choice=choice, outputs=outputs, reply=reply, by=by)


def _open_place(run: Run) -> Standing | None:
    """Where a run stopped; or where it looks by itself, which somebody who knows more need not wait for."""
    stop, pending = run.snapshot.stopped, run.snapshot.pending
    if stop is not None or (pending is not None and pending.purpose == "probe"):
        return run.chart.standing(run.snapshot)
    return None


def _last_success(run: Run, history: Sequence[Record]) -> Reply | None:
    """The answer of the call in doubt, where it was a success that can be read."""
    where = run.chart.standing(run.snapshot)
    frame, state = where.snapshot.frame, where.state
    looks = {one.id for one in where.table.transitions if one.rule == "look"}
    for record in reversed(history):
        move = record.moves[0]
        here = (move.frame, move.source) == (frame.number, state.of or state.id)
        if here and record.kind == Replied.kind and move.transition not in looks:
            reply = Reply.from_json(record.event["reply"])
            return reply if 200 <= reply.status < 300 and reply.form != "undecodable" else None
    return None
