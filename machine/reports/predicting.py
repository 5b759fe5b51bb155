"""Chart + snapshot + an answer nobody gave yet -> where the run would go, and why. Pure: nothing is sent or stored.

The chart itself is asked, so what is said here cannot differ from what a run would do. An answer is given whole, or
imagined: like the last one, with a value put where the guards of the state look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ..chart.chart import Chart
from ..chart.events import Reopened, Replied, Reply
from ..chart.foreseen import foreseen, pointer_text
from ..chart.snapshot import READY, Record, Snapshot
from ..chart.turn import Advanced
from ..diagram.model import printable, span
from ..errors import UsageError
from ..plan.model import CallPlan, Plan, State
from ..sources.nodes import File, Node
from ..sources.shapes import put
from ..values import Json, redact
from .timeline import name_of
from .why import moved

__all__ = ["Prediction", "imagined", "predict"]

_DEEPEST: Final = 8
"""Levels of a body in which a guard's member is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What would become of one answer; ``advanced`` is what the chart made of it."""

    chart: Chart
    before: Snapshot
    reply: Reply
    reopened: bool
    """Whether the run has stopped, so that it would have to be taken up first."""
    advanced: Advanced

    @property
    def request(self) -> str:
        call = self.before.pending
        return f"{call.request.method} {redact(call.request.target)}" if call else ""

    def lines(self, values: dict[str, Json]) -> Iterator[str]:
        """For people. ``values`` are what was put into the answer, by JSON Pointer."""
        plan, after = self.chart.plan, self.advanced.snapshot
        shown = ", ".join(f"{pointer} {value}" for pointer, value in values.items())
        taken_up = "taken up again, " if self.reopened else ""
        yield printable(f"{taken_up}if {self.request} is answered {self.reply.status}{shown and f' with {shown}'}:")
        for move in self.advanced.record.moves:
            yield from moved(plan, move, indent="  ")
        call = after.pending
        if call is not None:
            when = f"in {span(call.delay)}" if call.delay else "at once"
            yield "  " + printable(f"then it sends {call.request.method} {redact(call.request.target)} {when}")
        elif after.stopped is not None:
            stop = after.stopped
            yield "  " + printable(f"then it stops, {stop.reason} (exit {stop.exit_code}): {stop.message}")
        yield "nothing was sent, and nothing was written"

    def to_json(self, values: dict[str, Json]) -> dict[str, Any]:
        after, record, plan = self.advanced.snapshot, self.advanced.record, self.chart.plan
        call, stop = after.pending, after.stopped
        return {
            "if": {"request": self.request, "status": self.reply.status, "values": values},
            "reopened": self.reopened,
            "state": " / ".join(state.name for state in self.chart.path(after)),
            "phase": self.chart.phase(after),
            "reason": stop.reason if stop else None,
            "message": stop.message if stop else None,
            "exit_code": stop.exit_code if stop else None,
            "sends": f"{call.request.method} {redact(call.request.target)}" if call else None,
            "delay": call.delay if call else None,
            "moves": [
                {
                    **move.to_json(),
                    "source": name_of(plan, move.source),
                    "target": name_of(plan, move.target),
                }
                for move in record.moves
            ],
        }


def predict(chart: Chart, snapshot: Snapshot, reply: Reply, *, at: float) -> Prediction:
    """What ``reply`` would do at the moment ``at`` (seconds since the epoch) to the run of a snapshot.

    A run that has stopped is taken up first, as ``resume`` would. Raises UsageError where no answer is awaited.
    """
    before, reopened = _awaiting(chart, snapshot, at)
    advanced = chart.advance(
        before, Replied(at=max(at, before.pending.not_before if before.pending else at), reply=reply)
    )
    return Prediction(chart=chart, before=before, reply=reply, reopened=reopened, advanced=advanced)


def imagined(
    chart: Chart, snapshot: Snapshot, records: Sequence[Record], *, at: float, status: int | None, value: str | None
) -> tuple[Reply, dict[str, Json]]:
    """An answer nobody gave, and what was put into it by JSON Pointer.

    Like the last answer of ``records``, with another ``status``; or with ``value``, a text or ``/POINTER=TEXT``, where
    the guards of the state look. Raises UsageError where that is no place, or where it is several.
    """
    before, _ = _awaiting(chart, snapshot, at)
    standing = chart.standing(before)
    call = standing.call
    last = next((one.event["reply"] for one in reversed(records) if one.event.get("reply")), None)
    like = Reply.from_json(last) if last is not None else Reply(status=200)
    # The last answer may be that of another operation, with another success.
    success = (call.operation.success_statuses() if call else ()) or (200,)
    wanted = status if status is not None else like.status if like.status in success else success[0]
    # What a service says of a failure has seldom the form of a success.
    body = like.body if like.form == "json" and (200 <= wanted < 300) == (200 <= like.status < 300) else None
    values: dict[str, Json] = {}
    if value is not None:
        pointer, mark, text = value.partition("=") if value.startswith("/") else ("", "", "")
        places = [_tokens(pointer)] if mark else _places(standing.table, standing.state, call, body, wanted)
        if len(places) != 1:
            listed = [pointer_text(tokens) for tokens in places]
            raise UsageError(
                "the guards look at several members"
                if places
                else "no guard of this state looks at a text of the answer",
                code="AZM-U123",
                seen=", ".join(listed[:10]) or standing.state.name,
                next=f"say which: --if-state {listed[0] if listed else '/POINTER'}=VALUE, or give the answer with --if",
            )
        values = {pointer_text(places[0]): text if mark else value}
        body = put(body, places[0], text if mark else value)
    reply = Reply(status=wanted, body=body, form="empty" if body is None else "json", url=like.url)
    return reply, values


def _awaiting(chart: Chart, snapshot: Snapshot, at: float) -> tuple[Snapshot, bool]:
    """The run with a call it waits for, and whether it had to be taken up."""
    stop = snapshot.stopped
    if stop is None:
        return snapshot, False
    if stop.reason in READY:
        raise UsageError(
            "the run is ready: it waits for no answer", code="AZM-U121", next="ask about a run that still goes on"
        )
    taken_up = chart.advance(snapshot, Reopened(at=at)).snapshot
    if taken_up.pending is None:
        again = taken_up.stopped.message if taken_up.stopped else ""
        raise UsageError(
            "the run would send nothing if it was taken up, so there is no answer to it",
            code="AZM-U122",
            seen=again,
            next="see what can be done: arazzo-machine show RUN",
        )
    return taken_up, True


def _places(table: Plan, state: State, call: CallPlan | None, body: Any, status: int) -> list[tuple[str, ...]]:
    """Where in a body like this one the guards of a state look for a text: asked of the fate table, which is given the
    body's own texts as the values they may have."""
    if call is None:
        return []
    operation = replace(
        call.operation,
        responses={str(status): {}},
        reply_schemas={str(status): Node(_schema(body, 0), File(value=None))},
    )
    # What the outputs are read from counts only where the conditions name nothing of the body.
    for outputs in ({}, call.outputs):
        asked = replace(call, operation=operation, outputs=outputs)
        for one in foreseen(table, state, asked):
            if one.members:
                return [_tokens(pointer) for pointer in one.answer.values if not pointer.startswith("$")]
    return []


def _schema(body: Any, depth: int) -> dict[str, Any]:
    """A schema of just this body, in which each text is a listed value."""
    if isinstance(body, dict) and depth < _DEEPEST:
        return {"type": "object", "properties": {str(name): _schema(one, depth + 1) for name, one in body.items()}}
    if isinstance(body, list) and body and depth < _DEEPEST:
        return {"type": "array", "items": _schema(body[0], depth + 1)}
    return {"enum": [body]} if isinstance(body, str) else {}


def _tokens(pointer: str) -> tuple[str, ...]:
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])
