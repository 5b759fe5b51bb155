"""The promises of ``runtime/runner.py`` that only show when a process dies: order, doubt, and never a second create."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from machine.chart.settings import Settings
from machine.errors import BugError, UsageError
from machine.plan.model import Plan
from machine.runtime.clock import Interrupted, Interrupts
from machine.runtime.http import Transport
from machine.runtime.result import Result
from machine.stores import MemoryStore
from machine.testing.clock import ManualClock
from machine.testing.server import Simulator

CREATED = 201, {"name": "my-endpoint", "status": {"state": "pending"}}
MADE = 201, {"id": 7}
WRITES = ("create", "restart", "append", "mark_intent", "keep")


def polled(state: str) -> Any:
    return 200, {"status": {"state": state}}


class Killed(BaseException):
    """The process died here: nothing may catch it."""


class Fuse:
    """Counts boundaries, one before and one after each operation, and dies at the chosen one."""

    def __init__(self, at: int = 0) -> None:
        self.left = at
        self.count = 0
        self.log: list[str] = []

    def boundary(self) -> None:
        self.count += 1
        self.left -= 1
        if self.left == 0:
            raise Killed

    def around(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            self.boundary()
            result = operation(*args, **kwargs)
            self.log.append(name)
            self.boundary()
            return result

        return guarded


class FusedStore:
    """A store whose every write can be the last thing a process does."""

    def __init__(self, store: Any, fuse: Fuse) -> None:
        self._store = store
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._store, name)
        return self._fuse.around(name, operation) if name in WRITES else operation


def fused(transport: Any, fuse: Fuse) -> Callable[..., Any]:
    """A transport maker whose every call can be the last thing a process does."""

    class Fused:
        def __init__(self, *parts: Any) -> None:
            self._inner = transport(*parts)

        def perform(self, call: Any, timeout: float) -> Any:
            return fuse.around(f"{call.request.method} {call.number}", self._inner.perform)(call, timeout)

        def close(self) -> None:
            self._inner.close()

    return Fused


@pytest.fixture
def drive(make_runner: Any) -> Callable[..., Result | None]:
    """``drive(store, verb, fuse, transport, url="", ...)`` -> the result, or None where the process died."""

    def run(
        store: Any, verb: Callable[[Any], Any], fuse: Fuse, transport: Any = Transport, url: str = "", **options: Any
    ) -> Result | None:
        runner = make_runner(FusedStore(store, fuse), url, transport=fused(transport, fuse), **options)
        try:
            result: Result = verb(runner).result()
        except Killed:
            return None
        return result

    return run


# -- order -------------------------------------------------------------------------------------------------------------


def test_an_intent_is_stored_before_its_call_leaves_and_an_outcome_before_the_next(
    store: Any, drive: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    fuse = Fuse()
    transport = scripted(CREATED, polled("pending"), 502, polled("running"))

    drive(store, lambda runner: runner.start(shipped_plan, deploy_inputs, run_id="r"), fuse, transport)

    assert fuse.log == [
        *("create", "POST 1", "append"),
        *("GET 2", "append", "GET 3", "append", "GET 4", "append"),
    ]


def test_a_call_that_waits_gets_an_intent_of_its_own(store: Any, drive: Any, scripted: Any, retry_plan: Plan) -> None:
    fuse = Fuse()
    transport = scripted(409, ("not_sent", "refused"), MADE)

    drive(store, lambda runner: runner.start(retry_plan, {}, run_id="r"), fuse, transport)

    assert fuse.log == [
        *("create", "POST 1", "append"),
        *("mark_intent", "POST 2", "append"),
        *("mark_intent", "POST 3", "append"),
    ]


def test_what_is_on_disk_when_a_create_leaves_says_so(
    store: Any, make_runner: Any, scripted: Any, retry_plan: Plan
) -> None:
    seen = []

    def look() -> Any:
        call = store.load("r").snapshot.pending
        seen.append((call.number, call.intended or store.intent("r") == call.number))
        return 409 if len(seen) < 3 else MADE

    make_runner(store, transport=scripted(look, look, look)).start(retry_plan, {}, run_id="r").result()

    assert seen == [(1, True), (2, True), (3, True)]


# -- death at every boundary -------------------------------------------------------------------------------------------


def boundaries(count: int) -> list[Any]:
    return [pytest.param(at, id=f"at-{at}") for at in range(1, count + 1)]


@pytest.mark.parametrize("at", boundaries(26))
def test_wherever_a_process_dies_there_is_never_a_second_create(
    store: Any, drive: Any, make_runner: Any, shipped_plan: Plan, deploy_inputs: Any, secret: str, at: int
) -> None:
    def start(runner: Any) -> Any:
        return runner.start(shipped_plan, deploy_inputs, run_id="r")

    with Simulator("updating-then-running", token=secret) as simulator:
        first = drive(store, start, Fuse(at), url=simulator.url)
        known = bool(store.runs())
        seen = simulator.create_requests
        answered = known and len(store.history("r")) > 1
        fuse = Fuse()
        second = drive(store, (lambda runner: runner.resume("r")) if known else start, fuse, url=simulator.url)

        assert first is None
        assert second is not None
        if known and not answered:
            # Between the intent and the outcome of the create: nobody can know, so nothing is sent.
            assert (second.exit_code, second.reason) == (13, "in_doubt")
            assert simulator.create_requests == seen
            assert drive(store, start, Fuse(), url=simulator.url).exit_code == 13
            settle(make_runner(store), simulator)
            second = drive(store, lambda runner: runner.resume("r"), Fuse(), url=simulator.url)
        assert second.exit_code == 0
        assert (simulator.creates, simulator.create_requests) == (1, 1)
        assert second.effects[-1].outcome == "applied"


def settle(runner: Any, simulator: Simulator) -> None:
    """Settle the doubt by what is true on the other side, as a person would who looked."""
    if simulator.creates:
        runner.resolve("r", "adopt", outputs={"endpointName": "my-endpoint"})
    else:
        runner.resolve("r", "not_sent")


def test_every_boundary_of_that_run_was_tried(drive: Any, shipped_plan: Plan, deploy_inputs: Any, secret: str) -> None:
    fuse = Fuse()
    with Simulator("updating-then-running", token=secret) as simulator:
        drive(
            MemoryStore(),
            lambda runner: runner.start(shipped_plan, deploy_inputs, run_id="r"),
            fuse,
            url=simulator.url,
        )

    assert fuse.count == 26


@pytest.mark.parametrize("at", boundaries(18))
def test_wherever_a_process_dies_a_delayed_retry_is_sent_once_or_in_doubt(
    store: Any, drive: Any, scripted: Any, retry_plan: Plan, at: int
) -> None:
    clock = ManualClock()
    transport = scripted(409, ("not_sent", "refused"), MADE)
    first = drive(store, lambda runner: runner.start(retry_plan, {}, run_id="r"), Fuse(at), transport, clock=clock)
    if not store.runs():
        with pytest.raises(UsageError):
            drive(store, lambda runner: runner.resume("r"), Fuse(), transport)
        return
    pending = store.load("r").snapshot.pending
    may_have_left = pending is not None and (pending.intended or store.intent("r") == pending.number)
    before = len(transport.calls)

    second = drive(store, lambda runner: runner.resume("r"), Fuse(), transport, clock=clock)

    assert first is None
    assert second is not None
    if pending is None:
        assert (second.exit_code, len(transport.calls)) == (0, before)
    elif may_have_left:
        assert (second.exit_code, second.reason, len(transport.calls)) == (13, "in_doubt", before)
    else:
        assert second.exit_code == 0
        assert len({call.number for call in transport.calls}) == len(transport.calls) == 3


@pytest.mark.parametrize("away", [0.0, 10.0, 100.0, -100.0])
def test_a_resumed_retry_waits_the_rest_and_never_longer_than_was_planned(
    store: Any, make_runner: Any, scripted: Any, retry_plan: Plan, away: float
) -> None:
    clock = ManualClock()
    run = make_runner(store, transport=scripted(409), clock=clock).start(retry_plan, {}, run_id="r")
    records = iter(run)
    assert [next(records).seq, next(records).seq] == [1, 2]
    run.close()
    clock.advance(away)

    result = make_runner(store, transport=scripted(MADE), clock=clock).resume("r").result()

    assert result.exit_code == 0
    assert sum(clock.waits) == {0.0: 30.0, 10.0: 20.0, 100.0: 0.0, -100.0: 30.0}[away]


@pytest.mark.parametrize("asleep", ["between-two-processes", "in-the-middle-of-a-wait"])
def test_a_create_is_not_first_sent_after_the_deadline(
    store: Any, make_runner: Any, scripted: Any, retry_plan: Plan, asleep: str
) -> None:
    class Laptop(ManualClock):
        def wait(self, seconds: float, interrupts: Interrupts) -> None:
            super().wait(seconds, interrupts)
            self.advance(3600.0)

    clock = Laptop() if asleep == "in-the-middle-of-a-wait" else ManualClock()
    transport = scripted(409)
    runner = make_runner(store, transport=transport, clock=clock)
    run = runner.start(retry_plan, {}, run_id="r", settings=Settings(deadline=60.0))
    if asleep == "between-two-processes":
        records = iter(run)
        assert [next(records).seq, next(records).seq] == [1, 2]
        run.close()
        clock.advance(3600.0)
        run = runner.resume("r")

    result = run.result()

    assert (result.exit_code, result.reason, len(transport.calls)) == (12, "deadline", 1)
    assert [one.outcome for one in result.effects] == ["not_applied", "not_applied"]


def test_a_retry_whose_fate_is_unknown_is_not_repeated(
    store: Any, make_runner: Any, scripted: Any, retry_plan: Plan
) -> None:
    transport = scripted(409, ("unknown", "timeout"))

    result = make_runner(store, transport=transport).start(retry_plan, {}, run_id="r").result()

    assert (result.exit_code, len(transport.calls)) == (13, 2)
    assert [one.outcome for one in result.effects] == ["not_applied", "unknown"]


@pytest.mark.parametrize("at", boundaries(6))
def test_a_call_that_was_settled_as_not_sent_is_sent_exactly_once(
    store: Any, drive: Any, make_runner: Any, scripted: Any, retry_plan: Plan, at: int
) -> None:
    make_runner(store, transport=scripted(("unknown", "reset"))).start(retry_plan, {}, run_id="r").result()
    make_runner(store).resolve("r", "not_sent")
    transport = scripted(MADE)

    died = drive(store, lambda runner: runner.resume("r"), Fuse(at), transport)
    marked = store.intent("r") != 0
    done = store.load("r").snapshot.stopped is not None
    sent = len(transport.calls)
    result = make_runner(store, transport=transport).resume("r").result()

    assert died is None
    assert (result.exit_code, len(transport.calls)) == (13 if marked and not done else 0, sent if marked else 1)
    assert sent == (1 if at >= 4 else 0)


@pytest.mark.parametrize("at", boundaries(2))
def test_a_poll_that_may_have_been_sent_is_sent_again(
    store: Any, drive: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any, at: int
) -> None:
    transport = scripted(CREATED, *[polled("running")] * 2)
    start = 6
    drive(store, lambda runner: runner.start(shipped_plan, deploy_inputs, run_id="r"), Fuse(start + at), transport)
    numbers = [call.number for call in transport.calls]

    result = drive(store, lambda runner: runner.resume("r"), Fuse(), transport)

    assert (result.exit_code, numbers) == (0, [1, 2][:at])
    assert [call.number for call in transport.calls] == [*numbers, 2]


# -- what came of a call is not lost over a fault of ours --------------------------------------------------------------


@pytest.mark.parametrize("verb", ["resume", "start"])
def test_an_answer_that_could_not_be_judged_is_judged_later(
    store: Any,
    make_runner: Any,
    scripted: Any,
    shipped_plan: Plan,
    deploy_inputs: Any,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
) -> None:
    runner = make_runner(store, transport=scripted(CREATED, polled("running")))
    run = runner.start(shipped_plan, deploy_inputs, run_id="r")

    def broken(*_: Any) -> Any:
        raise BugError("a fault of ours", code="AZM-B999")

    monkeypatch.setattr(run.chart, "advance", broken)
    with pytest.raises(BugError):
        run.result()
    kept = store.kept("r")

    assert kept is not None
    assert (kept["event"], kept["reply"]["status"], store.held("r")) == ("replied", 201, None)
    with pytest.raises(UsageError) as early:
        # Nobody may settle what is already known.
        runner.resolve("r", "not_sent")
    with pytest.raises(UsageError) as cancelled:
        runner.cancel("r")

    assert early.value.code == cancelled.value.code == "AZM-U055"

    again = runner.start(shipped_plan, deploy_inputs, run_id="r") if verb == "start" else runner.resume("r")
    assert again.result().exit_code == 0
    assert (store.kept("r"), len(runner.reach.transport.calls)) == (None, 2)


def test_a_run_that_a_kept_answer_ends_is_not_taken_up_again(
    store: Any, make_runner: Any, scripted: Any, retry_plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner(store, transport=scripted((201, {"id": 1})))
    run = runner.start(retry_plan, {}, run_id="r")
    with monkeypatch.context() as patch:
        patch.setattr(run.chart, "advance", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run.result()

    result = runner.resume("r").result()

    assert (result.exit_code, result.resumable) == (0, False)
    assert [one.kind for one in store.history("r")] == ["run.started", "call.replied"]


# -- signals -----------------------------------------------------------------------------------------------------------


def test_a_signal_while_waiting_stops_a_run_that_goes_on_later(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    class Struck(ManualClock):
        def wait(self, seconds: float, interrupts: Interrupts) -> None:
            interrupts.waiting = True
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("the wait went on")

    with Interrupts().caught() as interrupts:
        runner = make_runner(
            store, transport=scripted(CREATED, polled("pending")), interrupts=interrupts, clock=Struck()
        )
        result = runner.start(shipped_plan, deploy_inputs, run_id="r").result()

    assert (result.exit_code, result.reason, result.next.action) == (143, "interrupted", "resume")
    assert make_runner(store, transport=scripted(polled("running"))).resume("r").result().exit_code == 0


def test_a_signal_during_a_create_lets_it_finish(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    def struck() -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return CREATED

    with Interrupts().caught() as interrupts:
        runner = make_runner(store, transport=scripted(struck), interrupts=interrupts)
        result = runner.start(shipped_plan, deploy_inputs, run_id="r").result()

    assert (result.exit_code, result.effects[0].outcome) == (130, "applied")
    assert make_runner(store, transport=scripted(polled("running"))).resume("r").result().exit_code == 0


def test_a_second_signal_during_a_create_leaves_a_doubt(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    def struck_twice() -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the request went on")

    with Interrupts().caught() as interrupts:
        runner = make_runner(store, transport=scripted(struck_twice), interrupts=interrupts)
        result = runner.start(shipped_plan, deploy_inputs, run_id="r").result()
    transport = scripted()

    assert (result.exit_code, store.held("r")) == (130, None)
    assert make_runner(store, transport=transport).resume("r").result().exit_code == 13
    assert transport.calls == []


def test_a_runner_that_was_interrupted_sends_nothing_more(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    interrupts = Interrupts()
    interrupts.signum = signal.SIGINT
    transport = scripted()

    with pytest.raises(Interrupted) as stop:
        make_runner(store, transport=transport, interrupts=interrupts).start(shipped_plan, deploy_inputs)

    assert (stop.value.exit_code, transport.calls, store.runs()) == (130, [], [])
