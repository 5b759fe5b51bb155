from __future__ import annotations

import signal
from typing import Any

import pytest

from machine.errors import BusyError, IdentityError
from machine.runtime.clock import Interrupted
from machine.stores import MemoryStore

CREATED = 201, {"name": "my-endpoint", "status": {"state": "pending"}}
PENDING = 200, {"status": {"state": "pending"}}
RUNNING = 200, {"status": {"state": "running"}}


@pytest.fixture
def begin(scripted: Any, make_runner: Any, shipped_plan: Any, deploy_inputs: Any) -> Any:
    """``begin(store, *outcomes, **options)`` -> a run ``r`` that was started and not driven, and its transport."""

    def start(store: Any, *outcomes: Any, **options: Any) -> Any:
        transport = scripted(*(outcomes or (CREATED, PENDING, RUNNING)))
        runner = make_runner(store, transport=transport, **options)
        return runner.start(shipped_plan, deploy_inputs, run_id="r"), transport

    return start


def test_iterating_gives_each_record_as_it_is_stored(begin: Any, store: Any) -> None:
    run, _ = begin(store)
    kinds = []

    for record in run:
        assert store.history("r")[-1] == record
        assert store.load("r").snapshot == run.snapshot
        kinds.append(record.kind)

    assert kinds == ["run.started", "call.replied", "call.replied", "call.replied"]
    assert [one.kind for one in store.history("r")] == kinds


def test_nothing_is_sent_before_somebody_iterates(begin: Any, store: Any) -> None:
    run, transport = begin(store)

    assert transport.calls == []
    assert store.load("r").snapshot.pending is not None
    run.close()


def test_the_result_drives_what_is_left(begin: Any, store: Any) -> None:
    run, transport = begin(store)
    records = iter(run)

    first = next(records)
    result = run.result()

    assert (first.seq, result.exit_code, len(transport.calls)) == (1, 0, 3)


def test_a_run_left_between_its_intent_and_its_call_is_in_doubt(begin: Any, store: Any) -> None:
    run, transport = begin(store)
    next(iter(run))

    again, later = begin(store)

    assert again.result().exit_code == 13
    assert transport.calls == later.calls == []


def test_a_result_can_be_asked_for_again(begin: Any, store: Any) -> None:
    run, transport = begin(store)

    assert run.result() == run.result()
    assert list(run) == []
    assert (len(transport.calls), transport.closed) == (3, 1)


@pytest.mark.parametrize("how", ["result", "iterate", "break", "close", "leave", "raise", "die"])
def test_the_run_is_given_back_however_it_ends(begin: Any, store: Any, how: str) -> None:
    run, _ = begin(store, CREATED, KeyboardInterrupt() if how == "die" else RUNNING)
    assert store.held("r") is not None

    if how == "result":
        run.result()
    elif how == "iterate":
        assert len(list(run)) == 3
    elif how == "break":
        for _record in run:
            break
        del _record
    elif how == "close":
        run.close()
    elif how == "leave":
        with run:
            pass
    elif how == "raise":
        with pytest.raises(ZeroDivisionError), run:
            raise ZeroDivisionError
    else:
        with pytest.raises(KeyboardInterrupt):
            run.result()

    assert store.held("r") is None


@pytest.mark.parametrize("how", ["close", "leave"])
def test_a_run_that_was_given_back_is_not_driven_any_more(begin: Any, store: Any, how: str) -> None:
    run, transport = begin(store)
    if how == "leave":
        with run:
            pass
    run.close()

    result = run.result()

    assert transport.calls == []
    assert (result.exit_code, result.resumable) == (16, True)


def test_while_it_is_held_nobody_else_gets_it(begin: Any, store: Any, make_runner: Any) -> None:
    run, _ = begin(store)

    with run, pytest.raises(BusyError):
        make_runner(store).resume("r")


def test_a_start_that_is_refused_gives_the_run_back(
    begin: Any, store: Any, make_runner: Any, shipped_plan: Any, deploy_inputs: Any
) -> None:
    run, _ = begin(store)
    run.close()

    with pytest.raises(IdentityError):
        make_runner(store).start(shipped_plan, {**deploy_inputs, "name": "another"}, run_id="r")

    assert store.held("r") is None


def test_the_transport_is_closed_when_the_run_stops_and_when_it_is_left(begin: Any) -> None:
    run, transport = begin(MemoryStore())

    for record in run:
        if record.seq == 2:
            break
    run.close()

    assert transport.closed == 1


# -- observers ---------------------------------------------------------------------------------------------------------


class Grumbler:
    def __call__(self, run: Any, record: Any) -> None:
        raise ValueError("a text that may hold anything")


def test_an_observer_sees_every_record_after_it_is_stored(begin: Any, store: Any) -> None:
    seen = []

    def watch(run: Any, record: Any) -> None:
        seen.append((run.id, record, store.history("r")[-1] == record))

    run, _ = begin(store, observers=[watch])
    records = list(run)

    assert seen == [("r", record, True) for record in records]


def test_an_observer_that_fails_changes_nothing_and_is_remembered(begin: Any, store: Any) -> None:
    seen = []

    def broken(run: Any, record: Any) -> None:
        raise OSError("no space left")

    run, _ = begin(store, observers=[broken, Grumbler(), lambda run, record: seen.append(record.seq)])
    result = run.result()

    assert (result.exit_code, result.calls, seen) == (0, 3, [1, 2, 3, 4])
    assert len(run.troubles) == 8
    assert run.troubles[0].endswith("broken: OSError")
    assert run.troubles[1] == "Grumbler: ValueError"
    assert "anything" not in "".join(run.troubles)


def test_a_signal_that_reaches_an_observer_stops_the_run(begin: Any, store: Any) -> None:
    def stop(run: Any, record: Any) -> None:
        if record.seq == 3:
            raise Interrupted(signal.SIGINT)

    run, _ = begin(store, observers=[stop])
    result = run.result()

    assert (result.exit_code, run.signum, run.troubles) == (130, signal.SIGINT, [])
    assert store.load("r").snapshot.seq == 3
