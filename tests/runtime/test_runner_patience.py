"""How long a runner stays with a run, and how somebody else stops it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from machine.errors import UsageError
from machine.plan.model import Plan
from machine.runtime.clock import Interrupts, SystemClock
from machine.runtime.runner import Runner
from machine.stores import SqliteStore
from machine.testing.clock import ManualClock

CREATED = 201, {"name": "my-endpoint", "status": {"state": "pending"}}
PENDING = 200, {"status": {"state": "pending"}}
RUNNING = 200, {"status": {"state": "running", "url": "https://x.example"}}
LOST = "unknown", "reset"


def methods(transport: Any) -> list[str]:
    return [call.request.method for call in transport.calls]


# -- patience ----------------------------------------------------------------------------------------------------------


def test_a_runner_told_not_to_wait_leaves_the_run_at_its_first_wait(
    store: Any, make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any
) -> None:
    clock = ManualClock(0.0)
    transport = scripted(404, CREATED, PENDING)
    runner = make_runner(store, transport=transport, clock=clock, patience="wait")

    left = runner.start(probing_plan, deploy_inputs, run_id="r").result()
    too_early = make_runner(store, transport=scripted(), clock=clock, patience="wait").resume("r").result()
    clock.advance(5.0)
    result = make_runner(store, transport=scripted(RUNNING), clock=clock, patience="wait").resume("r").result()

    assert (left.reason, left.exit_code, left.message) == (
        "waiting",
        16,
        "the next call is due at 1970-01-01T00:00:05.000Z",
    )
    assert (left.next.action, left.resumable, methods(transport)) == ("resume", True, ["GET", "POST", "GET"])
    assert (too_early.reason, result.exit_code, clock.waits) == ("waiting", 0, [])
    assert store.held("r") is None


def test_a_runner_told_to_make_one_call_makes_one_and_never_leaves_an_intent_behind(
    store: Any, make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any
) -> None:
    made = []
    for outcomes in ([404, CREATED], [PENDING], [PENDING], [RUNNING]):
        transport = scripted(*outcomes)
        runner = make_runner(store, transport=transport, patience="call")
        made.append((runner.start(probing_plan, deploy_inputs, run_id="r").result().exit_code, methods(transport)))

    # The create is stored with its intent as soon as the look is answered, so it leaves with it.
    assert made == [(16, ["GET", "POST"]), (16, ["GET"]), (16, ["GET"]), (0, ["GET"])]


def test_a_retry_that_waits_is_left_to_another_process(
    store: Any, make_runner: Any, scripted: Any, retry_plan: Plan
) -> None:
    left = make_runner(store, transport=scripted(409), patience="wait").start(retry_plan, {}, run_id="r").result()
    result = make_runner(store, transport=scripted((201, {"id": 1}))).resume("r").result()

    assert (left.reason, result.exit_code) == ("waiting", 0)


# -- cancelling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "state", "then"),
    [
        pytest.param([404, CREATED, PENDING], "polling", [RUNNING], id="polling"),
        pytest.param([404, CREATED], "created", [RUNNING], id="created"),
        pytest.param([404, LOST], "in_doubt", [(404), CREATED, RUNNING], id="probing"),
        pytest.param([], "createEndpoint", [404, CREATED, RUNNING], id="before-the-look"),
    ],
)
def test_a_run_nobody_holds_is_cancelled_where_it_is_and_can_be_resumed(
    store: Any,
    make_runner: Any,
    scripted: Any,
    probing_plan: Plan,
    deploy_inputs: Any,
    outcomes: list[Any],
    state: str,
    then: list[Any],
) -> None:
    clock = ManualClock()
    with make_runner(store, transport=scripted(*outcomes), clock=clock).start(
        probing_plan, deploy_inputs, run_id="r"
    ) as run:
        records = iter(run)
        for _ in range(len(outcomes) + 1):
            next(records)

    result = make_runner(store, clock=clock).cancel("r")
    clock.advance(600.0)
    transport = scripted(*then)
    resumed = make_runner(store, transport=transport, clock=clock).resume("r").result()

    assert (result.exit_code, result.reason, result.state, result.resumable) == (15, "cancelled", state, True)
    assert (resumed.exit_code, transport.outcomes) == (0, [])
    assert store.held("r") is None


def test_cancelling_in_the_middle_of_a_create_says_that_it_may_have_been_applied(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    with make_runner(store, transport=scripted(CREATED)).start(shipped_plan, deploy_inputs, run_id="r") as run:
        next(iter(run))

    result = make_runner(store).cancel("r")

    assert result.exit_code == 15
    assert [one.outcome for one in result.effects] == ["unknown"]
    assert result.next.action == "resolve"


@pytest.mark.parametrize("outcomes", [[404, CREATED, RUNNING], [404, 400]], ids=["ready", "failed"])
def test_a_run_that_has_ended_cannot_be_cancelled(
    store: Any, make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any, outcomes: Any
) -> None:
    runner = make_runner(store, transport=scripted(*outcomes))
    before = runner.start(probing_plan, deploy_inputs, run_id="r").result()

    with pytest.raises(UsageError):
        runner.cancel("r")

    assert (runner.result("r"), store.held("r")) == (before, None)


def test_a_run_nobody_knows_cannot_be_cancelled(store: Any, make_runner: Any) -> None:
    with pytest.raises(UsageError):
        make_runner(store).cancel("ghost")


def test_a_run_that_is_held_is_asked_to_stop_and_does_before_its_next_call(
    store: Any, make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any
) -> None:
    clock = ManualClock()
    transport = scripted(404, CREATED, PENDING, PENDING)
    run = make_runner(store, transport=transport, clock=clock).start(probing_plan, deploy_inputs, run_id="r")
    records = iter(run)
    for _ in range(4):
        next(records)

    asked = make_runner(store, clock=clock).cancel("r")
    asked_by = store.cancel_requested("r")
    result = run.result()

    assert (asked.reason, "@" in asked_by) == ("running", True)
    assert (result.exit_code, result.reason, methods(transport)) == (15, "cancelled", ["GET", "POST", "GET"])
    assert store.history("r")[-1].event["by"] == asked_by
    assert store.cancel_requested("r") == ""
    assert make_runner(store, transport=scripted(RUNNING)).resume("r").result().exit_code == 0


@pytest.mark.parametrize("later", [0.0, 60.0], ids=["at-once", "when-it-is-time-to-ask"])
def test_a_create_whose_intent_is_stored_leaves_before_a_request_to_stop_is_heard(
    store: Any, make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any, later: float
) -> None:
    clock, transport = ManualClock(), scripted(404, CREATED, PENDING)
    run = make_runner(store, transport=transport, clock=clock).start(probing_plan, deploy_inputs, run_id="r")
    records = iter(run)
    assert [next(records).seq, next(records).seq] == [1, 2]

    make_runner(store).cancel("r")
    clock.advance(later)
    run.result()

    assert methods(transport)[:2] == ["GET", "POST"]
    assert store.load("r").snapshot.ledger[0].outcome == "applied"


def test_a_request_that_was_not_heard_is_forgotten_once_the_run_is_reopened(
    store: Any, make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any
) -> None:
    run = make_runner(store, transport=scripted(404, CREATED, 401)).start(probing_plan, deploy_inputs, run_id="r")
    store.request_cancel("r", "somebody", 0.0)
    run.close()
    store.request_cancel("r", "somebody", 0.0)
    stopped = make_runner(store, transport=scripted()).resume("r").result()

    result = make_runner(store, transport=scripted(404, CREATED, RUNNING)).resume("r").result()

    assert (stopped.reason, result.exit_code) == ("cancelled", 0)


def test_a_wait_is_ended_by_a_request_of_another_process(
    tmp_path: Path, make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any
) -> None:
    polling = threading.Event()

    def polled() -> Any:
        polling.set()
        return PENDING

    results: list[Any] = []

    def drive() -> None:
        with SqliteStore(tmp_path / "runs.db") as store:
            runner: Runner = make_runner(store, transport=scripted(404, CREATED, polled), clock=SystemClock())
            results.append(runner.start(probing_plan, deploy_inputs, run_id="r").result())

    thread = threading.Thread(target=drive)
    thread.start()
    try:
        assert polling.wait(10)
        with SqliteStore(tmp_path / "runs.db") as other:
            asked = make_runner(other, clock=SystemClock()).cancel("r")
    finally:
        thread.join(10)

    assert asked.reason in ("running", "cancelled")
    assert [one.reason for one in results] == ["cancelled"]


# -- the watch ---------------------------------------------------------------------------------------------------------


def test_a_watch_that_is_true_ends_a_wait_at_once_and_says_so() -> None:
    interrupts = Interrupts()
    interrupts.watch = lambda: True
    clock = SystemClock()
    began = clock.now()

    clock.wait(60.0, interrupts)

    assert interrupts.woken
    assert not interrupts.waiting
    assert clock.now() - began < 5.0


def test_a_watch_that_stays_false_lets_a_wait_pass_whole() -> None:
    asked: list[int] = []
    interrupts = Interrupts()
    interrupts.woken = True
    interrupts.watch = lambda: bool(asked.append(1))

    SystemClock().wait(0.01, interrupts)

    assert (interrupts.woken, asked) == (False, [1])


def test_a_watch_that_fails_is_no_secret() -> None:
    def watch() -> bool:
        raise RuntimeError("the store is gone")

    interrupts = Interrupts()
    interrupts.watch = watch

    with pytest.raises(RuntimeError):
        SystemClock().wait(60.0, interrupts)

    assert not interrupts.waiting


def test_a_runner_leaves_no_watch_behind(
    store: Any, make_runner: Any, scripted: Any, probing_plan: Plan, deploy_inputs: Any
) -> None:
    interrupts = Interrupts()
    runner = make_runner(store, transport=scripted(404, CREATED, RUNNING), interrupts=interrupts)

    runner.start(probing_plan, deploy_inputs, run_id="r").result()

    assert interrupts.watch is None
