"""The machine against a table interpreter: rows read one by one, by somebody who knows nothing of the library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from machine.chart.events import CallFailed, Event, Reopened, Replied, Reply, Resolved, Started
from machine.chart.pacing import poll_delay, retry_after
from machine.chart.settings import Settings
from machine.chart.snapshot import Snapshot
from machine.errors import InputError, UsageError
from machine.expressions.evaluate import Context, ResponseView
from machine.expressions.template import references, render
from machine.plan.inputs import check_inputs
from machine.plan.model import Plan, PollPolicy, Transition
from machine.values import MISSING

UNUSABLE = {408, 425, 429, 500, 502, 503, 504}
UNSAFE = {"create", "unknown"}
GOOD = {"ended", "completed"}
OVER = GOOD | {"broke", "failure_action", "unmatched"}


class Begun(NamedTuple):
    """A workflow begins."""

    name: str = "started"


class Back(NamedTuple):
    """A workflow ended, or could not begin."""

    ok: bool
    outputs: dict[str, Any] | None = None
    status: int | None = None
    troubled: bool = False
    name: str = "returned"


class Blocked(NamedTuple):
    """A call was not made, because what it depends on had not succeeded."""

    name: str = "call_failed"


@dataclass
class Line:
    """One unsafe call."""

    number: int
    way: tuple[str, ...]
    step: str
    outcome: str = "unknown"
    taken: bool = False


@dataclass
class Layer:
    """One workflow under way."""

    table: Plan
    number: int
    way: tuple[str, ...]
    state: str
    inputs: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, Any] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    retries: Counter[str] = field(default_factory=Counter)
    visits: Counter[str] = field(default_factory=Counter)
    troubles: int = 0
    waited: int = 0
    status: int | None = None
    due: float = 0.0
    mark: int = 0
    allowed: float | None = None
    expires: float | None = None
    replaced: tuple[str, ...] = ()

    def copy(self) -> Layer:
        own = {name: type(value)(value) for name, value in vars(self).items() if isinstance(value, (dict, set))}
        return replace(self, **own)


class Oracle:
    """What a run is, in plain words: where it is, what it knows, what it has used up."""

    def __init__(self, plan: Plan, *, secret: bool) -> None:
        self.plan, self.secret = plan, secret
        self.states = {one.id: one for table in plan.tables() for one in table.states}
        self.layers = [Layer(plan, 0, (plan.workflow,), plan.initial.id)]
        self.kept: list[Layer] | None = None
        self.origin = plan.initial.id
        self.pending = False
        self.reason = ""
        self.lines: list[Line] = []
        self.ended: dict[str, tuple[bool, dict[str, Any], dict[str, Any], set[str]]] = {}
        self.entered = self.seq = self.moves = self.calls = 0
        self.due = 0.0
        self.limits = Settings()
        self.deadline = 0.0

    @property
    def top(self) -> Layer:
        return self.layers[-1]

    # -- one event -----------------------------------------------------------------------------------------------------

    def play(self, event: Event) -> list[Transition] | None:
        """Every row the event takes, or None when it cannot happen here."""
        before = self.layers, self.origin
        self.event = event
        self.source = self.top.state
        if self.reason and isinstance(event, (Reopened, Resolved)):
            self.layers, self.source = [one.copy() for one in self.kept or self.layers], self.origin
        self.rows: list[Transition] = []
        self.waits = 0.0
        self.was = self.due if self.pending else None
        happening: Any = event
        while happening is not None:
            row = self.choose(happening)
            if row is None:
                assert not self.rows, "an event that can happen is followed to its end"
                self.layers, self.origin = before
                return None
            self.rows.append(row)
            happening = self.follow(row, happening)
        return self.rows

    def choose(self, happening: Any) -> Transition | None:
        """The first row of the state whose guard holds."""
        table, state = self.top.table, self.states[self.source]
        self.child = table.children.get(state.child)
        self.call = table.calls.get(state.step) if self.child is None else None
        self.look(happening)
        for row in table.transitions:
            if row.source == self.source and happening.name in row.on and self.applies(row, happening):
                return row
        return None

    def seen(self) -> Context:
        sides = {key: {"inputs": one[1], "outputs": one[2]} for key, one in self.ended.items()}
        return Context(inputs=self.top.inputs, steps=self.top.steps, workflows=sides)

    def look(self, happening: Any) -> None:
        self.reply: Reply | None = None
        self.outputs: dict[str, Any] = {}
        self.held = False
        self.context = self.seen()
        if isinstance(happening, Back) and self.child is not None:
            self.take_back(happening)
        elif self.call is None:
            return
        elif isinstance(happening, Replied):
            self.read(happening.reply, {})
        elif isinstance(happening, Resolved) and happening.choice != "not_sent":
            base = happening.reply or Reply(status=0)
            for status in self.call.operation.success_statuses() or (200, 201, 202, 204):
                if not self.held:
                    self.read(replace(base, status=status), happening.outputs)

    def take_back(self, back: Back) -> None:
        assert self.child is not None
        self.held = back.ok
        if back.outputs is None:
            return
        self.context = replace(self.context, outputs=back.outputs, status=back.status)
        self.outputs = back.outputs
        if self.child.outputs is not None:
            values = {name: render(one, self.context) for name, one in self.child.outputs.items()}
            self.outputs = {name: None if one is MISSING else one for name, one in values.items()}
        if self.child.step:
            self.context = replace(self.context, steps={**self.top.steps, self.child.step: self.outputs})
        self.held = back.ok and all(one.test(self.context).truth for one in self.child.success)

    def read(self, reply: Reply, given_outputs: Any) -> None:
        assert self.call is not None
        body = MISSING if reply.form in ("empty", "undecodable") else reply.body
        seen = replace(self.seen(), status=reply.status, response=ResponseView(headers=reply.headers, body=body))
        values = {name: render(one, seen) for name, one in self.call.outputs.items()}
        self.reply = reply
        self.outputs = {name: None if one is MISSING else one for name, one in values.items()} | dict(given_outputs)
        self.context = replace(seen, steps={**self.top.steps, self.call.step: self.outputs})
        criteria = self.call.success
        self.held = all(one.test(self.context).truth for one in criteria) if criteria else reply.status // 100 == 2

    def applies(self, row: Transition, happening: Any) -> bool:
        facts = all(self.fact(name.lstrip("!"), row, happening) != name.startswith("!") for name in row.guard.facts)
        return facts and all(one.test(self.context).truth for one in row.guard.criteria)

    def unusable(self, happening: Any) -> bool:
        if isinstance(happening, Back):
            return happening.troubled
        garbled = self.reply is not None and self.reply.form == "undecodable"
        status = self.reply.status if self.reply else 0
        return isinstance(happening, CallFailed) or status in UNUSABLE or garbled

    def fact(self, name: str, row: Transition, happening: Any) -> bool:
        status = self.reply.status if self.reply else 0
        garbled = self.reply is not None and self.reply.form == "undecodable"
        unknown = isinstance(happening, CallFailed) and happening.fate == "unknown"
        poll = self.call.poll if self.call else self.child.poll if self.child else None
        tolerate = poll.tolerate if poll else 0
        settled = happening.choice if isinstance(happening, Resolved) else ""
        made = status // 100 == 2
        if isinstance(happening, Back):
            made = any(one.outcome != "not_applied" for one in self.lines[self.top.mark :])
        return {
            "held": self.held,
            "doubtful": unknown
            or (status // 100 == 2 and ((garbled and bool(self.call and self.call.outputs)) or self.nameless())),
            "troubled": self.unusable(happening) and self.top.troubles < tolerate,
            "spent": self.unusable(happening) and self.top.troubles >= tolerate,
            "refused": status in (401, 403) and self.secret and self.pending,
            "retries": self.top.retries[row.id] < row.retry_limit,
            "applied": not self.pending and any(one.outcome != "not_applied" and not one.taken for one in self.own()),
            "unapplied": not made,
            "unknown": unknown or unclear(self.reply),
            "not_sent": settled == "not_sent",
            "adopted": settled in ("adopt", "accept"),
            "reissue": settled == "reissue",
            "fails": False,
        }[name]

    def own(self) -> list[Line]:
        """The unsafe calls of the step, in all visits of its workflow that were come to on the same way."""
        step = self.call.step if self.call else ""
        return [one for one in self.lines if (one.way, one.step) == (self.top.way, step)]

    def nameless(self) -> bool:
        """Whether the answer lacks an output that stands in the path of another call."""
        assert self.call is not None
        paths = [t for one in self.top.table.calls.values() for _, where, t in one.parameters if where == "path"]
        named = {e.name for t in paths for e in references(t) if e.root == "steps" and e.owner == self.call.step}
        return any(self.outputs[name] is None for name in named & set(self.outputs))

    # -- what a row means ----------------------------------------------------------------------------------------------

    def follow(self, row: Transition, happening: Any) -> Any:
        """What the row changes; what happens next inside the run, None when it waits or stops."""
        first, layer = len(self.rows) == 1, self.top
        if first:
            self.seq += 1
            self.begin(happening)
        self.moves += 1
        taken_before = [one.taken for one in self.lines]
        self.settle(row, happening)
        self.count(row, happening)
        if not isinstance(happening, (Begun, Back)):
            self.point = [one.copy() for one in self.layers], row.source
            pairs = zip(self.lines, taken_before, strict=False)
            self.closed = next((line for line, before in pairs if line.taken and not before), None)
        if "retries" in row.guard.facts and row.pace == "now":
            layer.due = self.event.at + self.asked(row.retry_after)
        self.source = row.target
        if row.stop in OVER and len(self.layers) > 1:
            return self.leave(row, happening)
        if row.stop:
            return self.stop(row.stop, row, happening)
        if self.states[row.target].kind == "workflow":
            return self.run(row)
        return self.ask(row)

    def begin(self, event: Event) -> None:
        self.pending = False
        if isinstance(event, Started):
            self.top.inputs, self.limits = dict(event.inputs), event.settings
            length = self.plan.deadline if self.limits.deadline is None else self.limits.deadline
            self.deadline = event.at + length
        if isinstance(event, (Reopened, Resolved)):
            for below, layer in zip(self.layers, self.layers[1:], strict=False):
                self.expire(below, layer)
        if isinstance(event, Reopened):
            self.limits = replace(self.limits, **event.changes)
            if event.changes.get("deadline") is not None:
                self.deadline = event.at + event.changes["deadline"]

    def expire(self, below: Layer, layer: Layer) -> None:
        own = [] if layer.allowed is None else [self.event.at + self.waits + layer.allowed]
        layer.expires = min([*own, *([] if below.expires is None else [below.expires])], default=None)

    def settle(self, row: Transition, happening: Any) -> None:
        """What is known of an unsafe call afterwards, and whether one more request left."""
        known = ""
        if isinstance(happening, Replied):
            self.calls += 1
            status = happening.reply.status
            known = "applied" if status // 100 == 2 else "unknown" if unclear(happening.reply) else "not_applied"
        elif isinstance(happening, CallFailed):
            self.calls += happening.fate == "unknown"
            known = "unknown" if happening.fate == "unknown" else "not_applied"
        elif isinstance(happening, Resolved) and "adopted" in row.guard.facts:
            known = "applied"
        elif isinstance(happening, Reopened) and self.was is not None:
            known = "not_applied"
        lines = self.own()
        if isinstance(happening, (Replied, CallFailed)) and self.was is None:
            known = ""
        if "not_sent" in row.guard.facts:
            for line in lines:
                if line.outcome != "not_applied" and not line.taken:
                    line.outcome = "not_applied"
        elif known and lines:
            lines[-1].outcome = known
            if not isinstance(happening, (CallFailed, Reopened)):
                lines[-1].taken = "held" in row.guard.facts and (not row.stop or row.stop in GOOD)

    def count(self, row: Transition, happening: Any) -> None:
        layer = self.top
        step = self.call.step if self.call else self.child.step if self.child else ""
        judged = isinstance(happening, (Replied, Back)) or "adopted" in row.guard.facts
        if step and self.outputs and judged:
            layer.steps[step] = self.outputs
        if step and "held" in row.guard.facts:
            layer.done.add(step)
        if isinstance(happening, Replied):
            layer.status = happening.reply.status
        unusable, again = self.unusable(happening), "retries" in row.guard.facts
        if row.rule == "tolerance":
            layer.troubles += 1
        elif isinstance(happening, Reopened) or (
            isinstance(happening, (Replied, CallFailed, Back, Blocked)) and not (again and unusable)
        ):
            layer.troubles = 0
        if not again and row.rule not in ("tolerance", "repair"):
            layer.retries.clear()
        if again:
            layer.retries[row.id] += 1
        if not isinstance(happening, Begun):
            layer.waited = layer.waited + 1 if row.pace == "poll" else 0
        layer.visits[row.target] += 1
        layer.state = row.target

    # -- workflows -----------------------------------------------------------------------------------------------------

    def leave(self, row: Transition, happening: Any) -> Back:
        layer, ok = self.layers.pop(), row.stop in GOOD
        self.layers.append(layer)
        values = {name: render(one, self.seen()) for name, one in layer.table.outputs.items()}
        outputs = {name: None if one is MISSING else one for name, one in values.items()}
        troubled = not ok and self.unusable(happening)
        for key in layer.replaced:
            self.ended[key] = (ok, self.ended[key][1], outputs, self.ended[key][3])
        self.ended[layer.table.workflow] = (ok, layer.inputs, outputs, layer.done)
        self.layers.pop()
        return self.back(Back(ok, outputs, layer.status, troubled))

    def back(self, back: Back) -> Back:
        self.source = self.top.state
        if back.status is not None:
            self.top.status = back.status
        return back

    def run(self, row: Transition) -> Back | Begun | None:
        table, layer = self.top.table, self.top
        child = table.children[self.states[row.target].child]
        if self.used_up(row, child.poll, unsafe=False):
            return None
        layer.mark = len(self.lines)
        known = self.ended.get(child.workflow)
        if child.role == "dependency" and known is not None and known[0]:
            return Back(True, known[2])
        inputs = self.handed(child)
        deep = len(self.layers) >= 32 and child.role != "transfer"
        ring = child.role == "dependency" and any(one.table.workflow == child.workflow for one in self.layers)
        if inputs is None or deep or ring or not self.ready(child.needs):
            self.point, self.closed = ([one.copy() for one in self.layers], row.target), None
            return Back(False)
        callee = self.plan.table(child.workflow)
        self.entered += 1
        way = (*layer.way, child.step, child.workflow)
        pushed = Layer(callee, self.entered, way, callee.initial.id, inputs, allowed=child.timeout)
        if child.role == "transfer":
            self.ended[table.workflow] = (False, layer.inputs, {}, layer.done)
            before = [one for one in layer.replaced if one != child.workflow]
            pushed.replaced = tuple(dict.fromkeys((*before, table.workflow)))
            pushed.way = (*layer.way[:-1], child.workflow)
            pushed.waited, pushed.allowed = layer.waited, layer.allowed
            pushed.expires = layer.expires
            self.layers.pop()
        else:
            self.expire(layer, pushed)
        self.layers.append(pushed)
        self.source = pushed.state
        return Begun()

    def handed(self, child: Any) -> dict[str, Any] | None:
        callee, values = self.plan.table(child.workflow), {}
        if child.same_named:
            values = {one.name: self.top.inputs[one.name] for one in callee.inputs if one.name in self.top.inputs}
        for name, template in child.parameters:
            value = render(template, self.seen())
            if value is not MISSING:
                values[name] = value
        try:
            return check_inputs(callee, values, inside=True)[0]
        except InputError:
            return None

    def ready(self, needs: Any) -> bool:
        for key, step in needs:
            done = set(self.top.done)
            if key:
                over = self.ended[key][3] if key in self.ended else set()
                done = over.union(*(one.done for one in self.layers if one.table.workflow == key))
            if step not in done:
                return False
        return True

    # -- calls and stops -----------------------------------------------------------------------------------------------

    def ask(self, row: Transition) -> Any:
        """Make the call of the row's target, if nothing forbids it."""
        state, layer, at = self.states[row.target], self.top, self.event.at
        call = layer.table.calls[state.step]
        unsafe = call.kind in UNSAFE
        if self.used_up(row, call.poll, unsafe=unsafe):
            return None
        moment = at + self.waits
        if layer.expires is not None and moment >= layer.expires:
            self.point, self.closed = ([one.copy() for one in self.layers], row.target), None
            while self.top.expires is not None and self.layers[-2].expires is not None:
                if self.layers[-2].expires > moment:  # type: ignore[operator]
                    break
                self.layers.pop()
            self.layers.pop()
            return self.back(Back(False, None, layer.status))
        if not self.ready(call.needs):
            return Blocked()
        if unsafe and self.guesses(call.step):
            self.reason, self.pending, self.kept, self.origin = "in_doubt", False, None, row.target
            return None
        self.pending, self.reason, self.kept, self.origin = True, "", None, row.target
        self.due = moment
        if unsafe:
            self.lines.append(Line(layer.number, layer.way, call.step))
        return None

    def guesses(self, step: str) -> bool:
        """Whether the document alone leads back to a call that may have been applied."""
        told = isinstance(self.event, Resolved) or (isinstance(self.event, Reopened) and self.was is not None)
        mine = [one for one in self.lines if (one.way, one.step) == (self.top.way, step) and not one.taken]
        return not told and any(one.outcome == "unknown" for one in mine)

    def stop(self, reason: str, row: Transition, happening: Any) -> None:
        self.reason, self.pending, self.kept = reason, False, None
        final = self.states[row.target].kind == "final"
        self.origin = row.source if final else row.target
        if final and reason not in GOOD and isinstance(happening, (Begun, Back)):
            self.kept, self.origin = self.point
            if self.closed is not None:
                self.closed.taken = False

    def asked(self, planned: float) -> float:
        event = self.event
        asked = retry_after(event.reply.headers, event.at) if isinstance(event, Replied) else None
        return planned if asked is None else asked

    def used_up(self, row: Transition, poll: PollPolicy | None, *, unsafe: bool) -> bool:
        event, policy = self.event, poll or PollPolicy()
        delay = 0.0
        if row.rule == "repair":
            delay = max(self.top.due - event.at, 0.0)
        elif row.pace == "retry":
            delay = self.asked(row.retry_after)
        elif row.pace == "poll":
            planned = poll_delay(policy, self.limits, self.top.waited - 1, event.chance)
            asked = retry_after(event.reply.headers, event.at) if isinstance(event, Replied) else None
            delay = planned if asked is None else max(asked, min(planned, 1.0))
        if isinstance(event, Reopened) and self.was is not None and self.unsafe_before:
            delay = max(self.was - event.at, 0.0)
        self.waits = max(self.waits, delay)
        found = self.spent(row, policy, unsafe=unsafe) or ("transitions" if len(self.rows) >= 500 else "")
        if found:
            self.reason, self.pending, self.kept, self.origin = found, False, None, row.target
        return bool(found)

    def spent(self, row: Transition, policy: PollPolicy, *, unsafe: bool) -> str:
        event = self.event
        if unsafe and event.at + self.waits >= self.deadline:
            return "deadline"
        if isinstance(event, Reopened) and not unsafe:
            return ""
        if event.at >= self.deadline:
            return "deadline"
        if row.pace == "poll" and self.top.visits[row.target] > (self.limits.visits or policy.visits):
            return "visits"
        if self.calls >= (self.limits.calls or self.plan.call_limit):
            return "calls"
        return "transitions" if self.moves >= (self.limits.transitions or self.plan.transition_limit) else ""

    @property
    def unsafe_before(self) -> bool:
        """Whether the call that pends is unsafe."""
        return self.pending_kind in UNSAFE

    pending_kind = ""


def unclear(reply: Reply | None) -> bool:
    """Whether an answer leaves open if the call was carried out."""
    if reply is None or (reply.status == 503 and "retry-after" in reply.headers):
        return False
    return reply.status == 408 or reply.status >= 500


def open_calls(lines: Any) -> dict[tuple[int, str], list[str]]:
    """By step and visit, what is known of each unsafe call; one the run went on with counts as closed."""
    found: dict[tuple[int, str], list[str]] = {}
    for number, step, outcome, taken in lines:
        found.setdefault((number, step), []).append("not_applied" if taken else outcome)
    return found


@settings(max_examples=260, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 2**32), st.sampled_from(["user", "retrying", "strict", "two loops", "bounded", "frames", "timed"])
)
def test_the_machine_moves_as_the_tables_say(
    subjects: Any, events_of: Callable[..., Iterator[Event]], seed: int, name: str
) -> None:
    subject = subjects[name]
    chart = subject.chart
    snapshot = chart.begin()
    oracle = Oracle(chart.plan, secret=subject.secret)
    for event in events_of(seed, subject.inputs, lambda: snapshot):  # noqa: B023  # it is meant to see every new one
        oracle.pending_kind = snapshot.pending.kind if snapshot.pending else ""
        rows = oracle.play(event)
        if rows is None:
            with pytest.raises(UsageError) as refused:
                chart.advance(snapshot, event)
            assert refused.value.code == "AZM-C002"
            continue
        snapshot, effects, record = chart.advance(snapshot, event)
        unbuildable = snapshot.stopped is not None and snapshot.stopped.reason == "request" and not oracle.reason
        if unbuildable:
            # Whether values make a request is another file's matter; that it stops there is the table's.
            oracle.reason, oracle.pending, oracle.kept = "request", False, None
            oracle.lines = oracle.lines[: len(snapshot.ledger)]

        assert [one.transition for one in record.moves] == [row.id for row in rows]
        assert [(one.source, one.target) for one in record.moves] == [(row.source, row.target) for row in rows]
        assert same(snapshot, oracle)
        if snapshot.pending is not None:
            assert effects == (snapshot.pending,)
            assert snapshot.pending.step == oracle.states[oracle.top.state].step
            assert snapshot.pending.number == snapshot.seq
            assert snapshot.pending.not_before <= max(oracle.deadline, event.at) + 0.001


def same(snapshot: Snapshot, oracle: Oracle) -> bool:
    """Whether both say the same of the run, frame by frame."""
    assert (snapshot.stopped.reason if snapshot.stopped else "") == oracle.reason
    assert (snapshot.pending is not None) == oracle.pending == (not oracle.reason)
    kept, source = snapshot.standing
    assert (source, [one.number for one in kept]) == (
        oracle.origin,
        [one.number for one in oracle.kept or oracle.layers],
    )
    lines = [(one.number, one.step, one.outcome, one.taken) for one in oracle.lines]
    ledger = [(one.frame, one.step, one.outcome, one.taken) for one in snapshot.ledger]
    assert open_calls(ledger) == open_calls(lines)
    assert (snapshot.seq, snapshot.moves, snapshot.calls) == (oracle.seq, oracle.moves, oracle.calls)
    assert (snapshot.entered, {key: one.ok for key, one in snapshot.workflows.items()}) == (
        oracle.entered,
        {key: one[0] for key, one in oracle.ended.items()},
    )
    for frame, layer in zip(snapshot.frames, oracle.layers, strict=True):
        assert (frame.workflow, frame.number, frame.state) == (layer.table.workflow, layer.number, layer.state)
        assert (frame.inputs, frame.steps, set(frame.completed)) == (layer.inputs, layer.steps, layer.done)
        assert (frame.troubles, frame.waited, frame.status) == (layer.troubles, layer.waited, layer.status)
        assert dict(frame.retries) == {key: used for key, used in layer.retries.items() if used}
    return True
