"""The loop that moves a run, by itself. Its promises about death and doubt are in ``test_durability`` and around it."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from machine.chart.events import Cancelled
from machine.chart.settings import Settings
from machine.errors import HostError, RequestError
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.runtime.clock import Interrupts
from machine.runtime.driving import Driver
from machine.sources.description import describe
from machine.testing.clock import ManualClock

CREATED = 201, {"name": "my-endpoint", "status": {"state": "pending"}}
RUNNING = 200, {"status": {"state": "running", "url": "https://x.example"}}


@pytest.fixture(scope="module")
def four_steps() -> Plan:
    """A look, a create, and two looks, all at once."""
    document = """
        arazzo: 1.0.1
        info: {title: Four, version: 1.0.0}
        sourceDescriptions: [{name: api, url: api.yaml, type: openapi}]
        workflows:
        - workflowId: four
          steps:
          - stepId: first
            operationId: readThing
            successCriteria: [{condition: $statusCode == 404}]
            onFailure: [{name: soon, type: retry, retryAfter: 1, retryLimit: 1}]
          - {stepId: make, operationId: makeThing, successCriteria: [{condition: $statusCode == 201}]}
          - {stepId: look, operationId: readThing, successCriteria: [{condition: $statusCode == 200}]}
          - {stepId: again, operationId: readThing, successCriteria: [{condition: $statusCode == 200}]}
    """
    openapi = """
        openapi: 3.1.0
        info: {title: Things, version: 1.0.0}
        servers: [{url: 'https://things.example.com'}]
        paths:
          /thing:
            post: {operationId: makeThing, responses: {'201': {description: made}}}
            get: {operationId: readThing, responses: {'200': {description: there}}}
    """
    texts = {"four.yaml": document.encode(), "api.yaml": openapi.encode()}
    return build_plan(describe("four.yaml", read=texts.__getitem__))


@pytest.mark.parametrize(
    "error",
    [RequestError("no", code="AZM-R001"), HostError("no", code="AZM-C030")],
    ids=["a-request-that-cannot-be-built", "a-host-that-is-not-allowed"],
)
def test_what_is_refused_before_it_is_sent_is_an_outcome(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any, error: Exception
) -> None:
    result = make_runner(store, transport=scripted(error)).start(shipped_plan, deploy_inputs, run_id="r").result()

    assert (result.exit_code, result.effects[0].outcome) == (10, "not_applied")
    assert store.history("r")[-1].event["cause"] == "unsendable"


def test_an_event_is_stored_before_anybody_hears_of_it(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    stored: list[bool] = []
    transport = scripted(CREATED, RUNNING)
    runner = make_runner(
        store, transport=transport, observers=[lambda run, record: stored.append(store.history("r")[-1] == record)]
    )
    runner.start(shipped_plan, deploy_inputs, run_id="r").result()

    assert stored == [True] * 3


def test_a_driver_moves_whatever_run_it_is_given(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    runner = make_runner(store, transport=scripted(CREATED, RUNNING))
    driver: Driver = runner._driver
    run = runner.start(shipped_plan, deploy_inputs, run_id="r")
    record = driver.apply(run, Cancelled(at=runner.clock.now(), by="a test"))

    assert (record.kind, run.snapshot.stopped and run.snapshot.stopped.reason) == ("run.cancelled", "cancelled")
    assert not driver.late(run)
    assert list(run) == [store.history("r")[0]]


@pytest.mark.parametrize(
    ("deadline", "slept", "left"), [(8.0, 0.0, 8.0), (0.5, 0.0, 0.5), (60.0, 0.0, 30.0), (8.0, 8.0, 30.0)]
)
def test_a_safe_call_ends_with_its_run_and_a_create_is_given_its_whole_time(
    store: Any,
    make_runner: Any,
    scripted: Any,
    shipped_plan: Plan,
    deploy_inputs: Any,
    deadline: float,
    slept: float,
    left: float,
) -> None:
    given: list[tuple[str, float]] = []

    class Timed(scripted):  # type: ignore[misc]
        def perform(self, call: Any, timeout: float) -> Any:
            given.append((call.kind, timeout))
            return super().perform(call, timeout)

    transport = Timed(CREATED, RUNNING)
    settings = Settings(deadline=deadline, call_timeout=30.0)
    clock = ManualClock()
    runner = make_runner(
        store,
        transport=transport,
        clock=clock,
        observers=[lambda run, record: clock.advance(slept * (record.seq == 2))],
    )
    runner.start(shipped_plan, deploy_inputs, run_id="r", settings=settings).result()

    assert given == [("create", 30.0), ("safe", left)]


def test_whoever_asks_a_run_to_stop_while_it_makes_a_create_is_heard_before_the_next_call(
    store: Any, make_runner: Any, scripted: Any, four_steps: Plan
) -> None:
    def asked_meanwhile() -> Any:
        store.request_cancel("r", "somebody", 0.0)
        return 201

    transport = scripted(404, asked_meanwhile, 200)
    result = make_runner(store, transport=transport).start(four_steps, {}, run_id="r").result()

    assert (result.exit_code, result.reason) == (15, "cancelled")
    assert [call.step for call in transport.calls] == ["first", "make"]


def test_whether_anybody_asked_is_looked_up_twice_a_second_and_after_a_create(
    store: Any, make_runner: Any, scripted: Any, four_steps: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    transport, requested = scripted(404, 201, 200, 200), store.cancel_requested

    def counted(run_id: str) -> str:
        asked.append(len(transport.calls))
        return str(requested(run_id))

    monkeypatch.setattr(store, "cancel_requested", counted)
    make_runner(store, transport=transport).start(four_steps, {}, run_id="r").result()

    assert asked == [0, 2]


def test_a_clock_that_is_set_back_does_not_make_a_call_wait_that_was_to_leave_at_once(
    store: Any, make_runner: Any, scripted: Any, four_steps: Plan
) -> None:
    clock = ManualClock()
    runner = make_runner(
        store,
        transport=scripted(404, 201, 200, 200),
        clock=clock,
        patience="wait",
        observers=[lambda run, record: clock.advance(-60.0)],
    )

    assert runner.start(four_steps, {}, run_id="r").result().exit_code == 0
    assert clock.waits == []


@pytest.mark.parametrize(("slept", "sent"), [(39.999, 2), (40.0, 1)], ids=["just-in-time", "at-its-deadline"])
def test_a_create_that_waited_is_begun_only_before_the_deadline(
    store: Any, make_runner: Any, scripted: Any, retry_plan: Plan, slept: float, sent: int
) -> None:
    clock, transport = ManualClock(), scripted(409, (201, {"id": 1}))

    def sleep(run: Any, record: Any) -> None:
        if record.seq == 2:
            clock.advance(slept)

    runner = make_runner(store, transport=transport, clock=clock, observers=[sleep])
    result = runner.start(retry_plan, {}, run_id="r", settings=Settings(deadline=40.0)).result()

    assert (len(transport.calls), result.ready) == (sent, sent == 2)
    assert [one.outcome for one in result.effects] == ["not_applied", "applied" if sent == 2 else "not_applied"]


def test_an_answer_after_which_a_create_would_leave_is_kept_where_a_signal_came_meanwhile(
    store: Any, make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any
) -> None:
    interrupts = Interrupts()

    def stopped_meanwhile() -> Any:
        interrupts.signum = signal.SIGINT
        return 404

    look, rest = scripted(stopped_meanwhile), scripted(CREATED, RUNNING)
    runner = make_runner(store, transport=look, interrupts=interrupts)
    stopped = runner.start(probing_plan, deploy_inputs, run_id="r").result()
    stored, kept = store.load("r").snapshot.pending, store.kept("r")
    result = make_runner(store, transport=rest).resume("r").result()

    assert (stopped.exit_code, stored and stored.request.method, kept is not None) == (130, "GET", True)
    assert (result.exit_code, store.kept("r")) == (0, None)
    assert [[call.request.method for call in one.calls] for one in (look, rest)] == [["GET"], ["POST", "GET"]]


def test_a_runner_that_does_not_wait_leaves_a_wait_of_one_second_too(
    store: Any, make_runner: Any, scripted: Any, four_steps: Plan
) -> None:
    left = make_runner(store, transport=scripted(200), patience="wait").start(four_steps, {}, run_id="r").result()

    assert (left.reason, left.exit_code) == ("waiting", 16)
