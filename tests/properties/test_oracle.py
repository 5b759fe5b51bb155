"""The machine against a table interpreter: rows read one by one, by somebody who knows nothing of the library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from machine.chart.events import CallFailed, Event, Reopened, Replied, Reply, Resolved, Started
from machine.chart.pacing import poll_delay, retry_after
from machine.chart.settings import Settings
from machine.chart.snapshot import Snapshot
from machine.errors import UsageError
from machine.expressions.evaluate import Context, ResponseView
from machine.expressions.template import references, render
from machine.plan.model import Plan, PollPolicy, Transition
from machine.values import MISSING

UNUSABLE = {408, 425, 429, 500, 502, 503, 504}
UNSAFE = {"create", "unknown"}


class Oracle:
    """What a run is, in plain words: where it is, what it knows, what it has used up."""

    def __init__(self, plan: Plan, *, secret: bool) -> None:
        self.plan, self.secret = plan, secret
        self.states = {one.id: one for one in plan.states}
        self.state = self.origin = plan.states[0].id
        self.pending = self.stopped = False
        self.reason = ""
        self.inputs: Any = {}
        self.steps: dict[str, Any] = {}
        self.due = 0.0
        self.outcome: dict[str, list[str]] = {}
        self.retries: Counter[str] = Counter()
        self.visits: Counter[str] = Counter()
        self.seq = self.calls = self.troubles = self.waited = 0
        self.limits = Settings()
        self.deadline = 0.0

    # -- reading the table ---------------------------------------------------------------------------------------------

    def choose(self, event: Event) -> Transition | None:
        """The first row of the state whose guard holds."""
        taken_up = self.stopped and isinstance(event, (Reopened, Resolved))
        self.source = self.origin if taken_up else self.state
        self.call = self.plan.calls.get(self.states[self.source].step)
        self.look(event)
        for row in self.plan.transitions:
            if row.source == self.source and event.name in row.on and self.applies(row, event):
                return row
        return None

    def look(self, event: Event) -> None:
        self.reply: Reply | None = None
        self.outputs: dict[str, Any] = {}
        self.held = False
        self.context = Context(inputs=self.inputs, steps=self.steps)
        if self.call is None:
            return
        if isinstance(event, Replied):
            self.read(event.reply, {})
        elif isinstance(event, Resolved) and event.choice != "not_sent":
            base = event.reply or Reply(status=0)
            for status in self.call.operation.success_statuses() or (200, 201, 202, 204):
                if not self.held:
                    self.read(replace(base, status=status), event.outputs)

    def read(self, reply: Reply, given_outputs: Any) -> None:
        assert self.call is not None
        body = MISSING if reply.form in ("empty", "undecodable") else reply.body
        seen = Context(
            inputs=self.inputs,
            steps=self.steps,
            status=reply.status,
            response=ResponseView(headers=reply.headers, body=body),
        )
        values = {name: render(one, seen) for name, one in self.call.outputs.items()}
        self.reply = reply
        self.outputs = {name: None if one is MISSING else one for name, one in values.items()} | dict(given_outputs)
        self.context = replace(seen, steps={**self.steps, self.call.step: self.outputs})
        criteria = self.call.success
        self.held = all(one.test(self.context).truth for one in criteria) if criteria else reply.status // 100 == 2

    def applies(self, row: Transition, event: Event) -> bool:
        facts = all(self.fact(name.lstrip("!"), row, event) != name.startswith("!") for name in row.guard.facts)
        return facts and all(one.test(self.context).truth for one in row.guard.criteria)

    def fact(self, name: str, row: Transition, event: Event) -> bool:
        assert self.call is not None
        status = self.reply.status if self.reply else 0
        garbled = self.reply is not None and self.reply.form == "undecodable"
        unknown = isinstance(event, CallFailed) and event.fate == "unknown"
        unusable = isinstance(event, CallFailed) or status in UNUSABLE or garbled
        tolerate = self.call.poll.tolerate if self.call.poll else 0
        settled = event.choice if isinstance(event, Resolved) else ""
        return {
            "held": self.held,
            "doubtful": unknown or (status // 100 == 2 and ((garbled and bool(self.call.outputs)) or self.nameless())),
            "troubled": unusable and self.troubles < tolerate,
            "spent": unusable and self.troubles >= tolerate,
            "refused": status in (401, 403) and self.secret and self.pending,
            "retries": self.retries[row.id] < row.retry_limit,
            "applied": not self.pending and any(one != "not_applied" for one in self.outcome.get(self.call.step, [])),
            "unapplied": status // 100 != 2,
            "not_sent": settled == "not_sent",
            "adopted": settled in ("adopt", "accept"),
            "reissue": settled == "reissue",
            "fails": False,
        }[name]

    def nameless(self) -> bool:
        """Whether the answer lacks an output that stands in the path of another call."""
        assert self.call is not None
        paths = [t for one in self.plan.calls.values() for _, where, t in one.parameters if where == "path"]
        named = {e.name for t in paths for e in references(t) if e.root == "steps" and e.owner == self.call.step}
        return any(self.outputs[name] is None for name in named & set(self.outputs))

    # -- what a row means ----------------------------------------------------------------------------------------------

    def follow(self, row: Transition, event: Event) -> None:
        step = self.call.step if self.call else ""
        self.seq += 1
        self.begin(event)
        self.settle(row, event, step)
        if self.outputs and (isinstance(event, Replied) or "adopted" in row.guard.facts):
            self.steps[step] = self.outputs
        unusable = isinstance(event, CallFailed) or (
            self.reply is not None and (self.reply.status in UNUSABLE or self.reply.form == "undecodable")
        )
        if row.rule == "tolerance":
            self.troubles += 1
        elif isinstance(event, Reopened) or (
            isinstance(event, (Replied, CallFailed)) and not (row.pace == "retry" and unusable)
        ):
            self.troubles = 0
        if row.pace == "retry":
            self.retries[row.id] += 1
        elif row.rule != "tolerance":
            self.retries.clear()
        self.waited = self.waited + 1 if row.pace == "poll" else 0
        self.visits[row.target] += 1
        self.state = row.target
        before = self.due if self.pending else None
        self.reason = row.stop or self.used_up(row, event, before) or self.guess(row, event)
        self.stopped, self.pending = bool(self.reason), not self.reason
        self.origin = self.source if self.states[row.target].kind == "final" else row.target
        target = self.plan.calls.get(self.states[row.target].step)
        if self.pending and target is not None and target.kind in UNSAFE:
            self.outcome.setdefault(target.step, []).append("unknown")

    def begin(self, event: Event) -> None:
        if isinstance(event, Started):
            self.inputs, self.limits = event.inputs, event.settings
            length = self.plan.deadline if self.limits.deadline is None else self.limits.deadline
            self.deadline = event.at + length
        if isinstance(event, Reopened):
            self.limits = replace(self.limits, **event.changes)
            if event.changes.get("deadline") is not None:
                self.deadline = event.at + event.changes["deadline"]

    def settle(self, row: Transition, event: Event, step: str) -> None:
        """What is known of an unsafe call afterwards, and whether one more request left."""
        known = ""
        if isinstance(event, Replied):
            self.calls += 1
            status, asked = event.reply.status, "retry-after" in event.reply.headers
            unclear = status == 408 or (status >= 500 and not (status == 503 and asked))
            known = "applied" if status // 100 == 2 else "unknown" if unclear else "not_applied"
        elif isinstance(event, CallFailed):
            self.calls += event.fate == "unknown"
            known = "unknown" if event.fate == "unknown" else "not_applied"
        elif isinstance(event, Resolved) and "adopted" in row.guard.facts:
            known = "applied"
        elif isinstance(event, Reopened) and self.pending:
            known = "not_applied"
        entries = self.outcome.get(step, [])
        if isinstance(event, (Replied, CallFailed)) and not self.pending:
            known = ""
        if "not_sent" in row.guard.facts:
            entries[:] = ["not_applied" for _ in entries]
        elif known and entries:
            # A call the run went on with is settled for good: as if it had never been open.
            went_on = "held" in row.guard.facts and row.stop in ("", "ended", "completed")
            entries[-1] = "not_applied" if went_on else known

    def guess(self, row: Transition, event: Event) -> str:
        """A call that may have been applied is not sent again because the document leads back to it."""
        call = self.plan.calls[self.states[row.target].step]
        told = isinstance(event, Resolved) or (isinstance(event, Reopened) and self.pending)
        return "in_doubt" if call.kind in UNSAFE and not told and "unknown" in self.outcome.get(call.step, []) else ""

    def used_up(self, row: Transition, event: Event, before: float | None) -> str:
        call = self.plan.calls[self.states[row.target].step]
        unsafe, policy = call.kind in UNSAFE, call.poll or PollPolicy()
        delay = 0.0
        if row.pace != "now":
            asked = retry_after(event.reply.headers, event.at) if isinstance(event, Replied) else None
            planned = row.retry_after if row.pace == "retry" else 0.0
            if row.pace == "poll":
                planned = poll_delay(policy, self.limits, self.waited - 1, event.chance)
            floor = min(planned, 1.0) if row.pace == "poll" else 0.0
            delay = planned if asked is None else max(asked, floor)
        if isinstance(event, Reopened) and before is not None and unsafe:
            delay = max(before - event.at, 0.0)
        self.due = event.at + delay
        if unsafe and event.at + delay >= self.deadline:
            return "deadline"
        if isinstance(event, Reopened) and not unsafe:
            return ""
        if event.at >= self.deadline:
            return "deadline"
        if row.pace == "poll" and self.visits[row.target] > (self.limits.visits or policy.visits):
            return "visits"
        if self.calls >= (self.limits.calls or self.plan.call_limit):
            return "calls"
        return "transitions" if self.seq >= (self.limits.transitions or self.plan.transition_limit) else ""


def open_calls(snapshot: Snapshot) -> dict[str, list[str]]:
    """By step, what is known of each unsafe call; one the run went on with counts as closed."""
    found: dict[str, list[str]] = {}
    for entry in snapshot.ledger:
        found.setdefault(entry.step, []).append(entry.outcome if entry.open else "not_applied")
    return found


@settings(max_examples=220, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.sampled_from(["user", "retrying", "strict", "two loops", "bounded"]))
def test_the_machine_moves_as_the_table_says(
    subjects: Any, events_of: Callable[..., Iterator[Event]], seed: int, name: str
) -> None:
    subject = subjects[name]
    chart = subject.chart
    snapshot = chart.begin()
    oracle = Oracle(chart.plan, secret=subject.secret)
    for event in events_of(seed, subject.inputs, lambda: snapshot):  # noqa: B023  # it is meant to see every new one
        row = oracle.choose(event)
        if row is None:
            with pytest.raises(UsageError) as refused:
                chart.advance(snapshot, event)
            assert refused.value.code == "AZM-C002"
            continue
        snapshot, effects, record = chart.advance(snapshot, event)
        oracle.follow(row, event)
        unbuildable = snapshot.stopped is not None and snapshot.stopped.reason == "request" and not oracle.reason
        if unbuildable:
            # Whether values make a request is another file's matter; that it stops there is the table's.
            oracle.reason, oracle.stopped, oracle.pending, oracle.origin = "request", True, False, row.target
            oracle.outcome = open_calls(snapshot)

        assert (record.transition, record.source, record.target) == (row.id, oracle.source, row.target)
        assert snapshot.frame.state == oracle.state
        assert (snapshot.stopped.reason if snapshot.stopped else "") == oracle.reason
        assert (snapshot.pending is not None) == oracle.pending == (not oracle.stopped)
        assert (snapshot.stopped.source if snapshot.stopped else oracle.origin) == oracle.origin
        assert open_calls(snapshot) == oracle.outcome
        assert snapshot.frame.steps == oracle.steps
        assert (snapshot.seq, snapshot.calls, snapshot.frame.troubles) == (oracle.seq, oracle.calls, oracle.troubles)
        assert dict(snapshot.frame.retries) == {key: used for key, used in oracle.retries.items() if used}
        if snapshot.pending is not None:
            state = oracle.states[oracle.state]
            assert effects == (snapshot.pending,)
            assert snapshot.pending.step == state.step
            assert snapshot.pending.number == snapshot.seq
            assert snapshot.pending.not_before <= max(oracle.deadline, event.at) + 0.001
