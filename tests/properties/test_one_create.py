"""Whatever the network does, a service never holds two things of one run, and a held doubt is never sent again.

The other side is a small truthful model: it applies what reaches it, perhaps late but within the settle time, refuses
a name that is taken, and answers probes from what it holds at that moment.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machine.chart.chart import Chart
from machine.chart.events import CallFailed, Event, Reopened, Replied, Reply, Resolved, Started
from machine.chart.settings import Settings
from machine.chart.snapshot import Snapshot
from machine.plan.model import Plan
from machine.runtime.evaluator import Evaluator

SETTLE = 30.0


class Service:
    """Holds what was created, by when it is there; ``unique`` refuses a name that is taken."""

    def __init__(self, chance: random.Random, *, unique: bool) -> None:
        self.chance = chance
        self.unique = unique
        self.there: list[float] = []

    def create(self, at: float) -> Reply:
        if self.unique and any(moment <= at for moment in self.there):
            return Reply(status=409, form="json", body={"error": "exists"})
        self.there.append(at)
        return Reply(status=201, form="json", body=self.record())

    def look(self, at: float) -> Reply:
        if any(moment <= at for moment in self.there):
            return Reply(status=200, form="json", body=self.record())
        return Reply(status=404, form="json", body={"error": "no"})

    def record(self) -> dict[str, Any]:
        state = self.chance.choice(["pending", "running"])
        return {
            "name": "my-endpoint",
            "model": {"repository": "gpt2"},
            "provider": {"region": "us-east-1"},
            "status": {"state": state, "url": "u"},
        }


def outcome(service: Service, method: str, at: float) -> Event:
    """What becomes of one request: answered, lost before, lost after, applied late, or a gateway that gave up."""
    fate = service.chance.random()
    if fate < 0.1:
        return CallFailed(at=at, fate="not_sent", cause="refused")
    if fate < 0.2:
        return CallFailed(at=at, fate="unknown", cause="reset")
    if method == "POST" and fate < 0.35:
        if not service.unique or not service.there:
            service.there.append(at + service.chance.uniform(0, SETTLE - 0.5))
        return CallFailed(at=at, fate="unknown", cause="timeout")
    reply = service.create(at) if method == "POST" else service.look(at)
    if fate < 0.5:
        return CallFailed(at=at, fate="unknown", cause="cut")
    if fate < 0.6:
        return Replied(at=at, reply=Reply(status=service.chance.choice([500, 502, 503])))
    return Replied(at=at, chance=service.chance.random(), reply=reply)


def live(chart: Chart, inputs: dict[str, Any], service: Service, policy: str | None) -> Snapshot:
    """One run to where it stops for good; it is taken up again whenever it may be, as a loop in a shell would."""
    at = 1000.0
    chosen = Settings(on_doubt=policy, settle=SETTLE, poll_interval=2.0, deadline=1e6)  # type: ignore[arg-type]
    snapshot = chart.advance(chart.begin(), Started(at=at, inputs=inputs, settings=chosen, nonce="0")).snapshot
    for _ in range(120):
        if snapshot.pending is not None:
            at = max(at, snapshot.pending.not_before) + service.chance.uniform(0.05, 1.0)
            event = outcome(service, snapshot.pending.request.method, at)
        elif snapshot.stopped is not None and snapshot.stopped.reason in ("ended", "completed"):
            return snapshot
        elif snapshot.stopped is not None and snapshot.stopped.reason == "in_doubt" and policy == "hold":
            at += SETTLE
            seen = service.look(at)
            event = (
                Resolved(at=at, choice="adopt", reply=seen)
                if seen.status == 200
                else Resolved(at=at, choice="not_sent")
            )
        elif snapshot.applied or (snapshot.stopped and snapshot.stopped.reason == "in_doubt"):
            at += 1.0
            event = Reopened(at=at)
        else:
            return snapshot
        snapshot = chart.advance(snapshot, event).snapshot
    return snapshot


@pytest.fixture(scope="session")
def charts(shipped_plan: Plan, calling_plan: Plan) -> dict[str, Chart]:
    """The shipped workflow, and another document's that runs it and looks whether it is there."""
    return {"alone": Chart(shipped_plan), "run by another": Chart(calling_plan, evaluate=Evaluator())}


@pytest.mark.parametrize("policy", ["probe", "hold"])
@pytest.mark.parametrize("which", ["alone", "run by another"])
@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_there_is_never_a_second_create(
    charts: dict[str, Chart], user_inputs: dict[str, Any], which: str, policy: str, seed: int
) -> None:
    service = Service(random.Random(seed), unique=False)
    snapshot = live(charts[which], user_inputs, service, policy)

    assert len(service.there) <= 1
    if snapshot.stopped is not None and snapshot.stopped.reason == "ended":
        assert len(service.there) == 1


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_nothing_is_adopted_that_was_there_before(shipped_plan: Plan, user_inputs: dict[str, Any], seed: int) -> None:
    service = Service(random.Random(seed), unique=True)
    service.there.append(0.0)
    snapshot = live(Chart(shipped_plan), user_inputs, service, "probe")

    assert all(entry.outcome != "applied" for entry in snapshot.ledger)
