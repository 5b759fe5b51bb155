"""The loop that moves a run, by itself. Its promises about death and doubt are in ``test_durability`` and around it."""

from __future__ import annotations

from typing import Any

import pytest

from machine.chart.events import Cancelled
from machine.chart.settings import Settings
from machine.errors import HostError, RequestError
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.runtime.driving import Driver
from machine.sources.description import describe

CREATED = 201, {"name": "my-endpoint", "status": {"state": "pending"}}
RUNNING = 200, {"status": {"state": "running", "url": "https://x.example"}}


@pytest.fixture(scope="module")
def two_steps() -> Plan:
    """A create, and a look at once after it."""
    document = """
        arazzo: 1.0.1
        info: {title: Two, version: 1.0.0}
        sourceDescriptions: [{name: api, url: api.yaml, type: openapi}]
        workflows:
        - workflowId: two
          steps:
          - {stepId: make, operationId: makeThing, successCriteria: [{condition: $statusCode == 201}]}
          - {stepId: look, operationId: readThing, successCriteria: [{condition: $statusCode == 200}]}
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
    texts = {"two.yaml": document.encode(), "api.yaml": openapi.encode()}
    return build_plan(describe("two.yaml", read=texts.__getitem__))


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


def test_a_safe_call_ends_with_its_run_and_a_create_is_given_its_whole_time(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    given: list[tuple[str, float]] = []

    class Timed(scripted):  # type: ignore[misc]
        def perform(self, call: Any, timeout: float) -> Any:
            given.append((call.kind, timeout))
            return super().perform(call, timeout)

    transport = Timed(CREATED, RUNNING)
    settings = Settings(deadline=8.0, call_timeout=30.0)
    make_runner(store, transport=transport).start(shipped_plan, deploy_inputs, run_id="r", settings=settings).result()

    assert given == [("create", 30.0), ("safe", 8.0)]


def test_whoever_asks_a_run_to_stop_while_it_makes_a_create_is_heard_before_the_next_call(
    store: Any, make_runner: Any, scripted: Any, two_steps: Plan
) -> None:
    def asked_meanwhile() -> Any:
        store.request_cancel("r", "somebody", 0.0)
        return 201

    transport = scripted(asked_meanwhile, 200)
    result = make_runner(store, transport=transport).start(two_steps, {}, run_id="r").result()

    assert (result.exit_code, result.reason) == (15, "cancelled")
    assert [call.step for call in transport.calls] == ["make"]
