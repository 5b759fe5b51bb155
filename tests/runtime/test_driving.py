"""The loop that moves a run, by itself. Its promises about death and doubt are in ``test_durability`` and around it."""

from __future__ import annotations

from typing import Any

import pytest

from machine.chart.events import Cancelled
from machine.chart.settings import Settings
from machine.errors import HostError, RequestError
from machine.plan.model import Plan
from machine.runtime.driving import Driver

CREATED = 201, {"name": "my-endpoint", "status": {"state": "pending"}}
RUNNING = 200, {"status": {"state": "running", "url": "https://x.example"}}


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
