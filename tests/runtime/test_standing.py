"""Where a stored run stands, and which runs may be forgotten."""

from __future__ import annotations

import getpass
from dataclasses import replace
from typing import Any

import pytest

from machine.chart.chart import Chart
from machine.chart.effects import Call
from machine.chart.settings import Settings
from machine.chart.snapshot import LedgerEntry, Snapshot, Stop
from machine.errors import UsageError
from machine.plan.model import Plan
from machine.runtime.standing import (
    given_anew,
    leaves_at_once,
    merged_options,
    prune,
    ready,
    sha256,
    starts_over,
    who,
)
from machine.testing.clock import ManualClock

CREATED = 201, {"name": "my-endpoint", "status": {"state": "pending"}}
RUNNING = 200, {"status": {"state": "running"}}
FAILED = 200, {"status": {"state": "failed"}}


@pytest.mark.parametrize(
    ("given", "stored", "changes"),
    [
        pytest.param(None, Settings(), {}, id="nothing-given"),
        pytest.param(Settings(), Settings(deadline=5.0), {}, id="a-default-changes-nothing"),
        pytest.param(Settings(deadline=5.0), Settings(deadline=5.0), {}, id="the-same"),
        pytest.param(Settings(deadline=6.0), Settings(deadline=5.0), {"deadline": 6.0}, id="another"),
        pytest.param(Settings(on_doubt="hold"), Settings(), {"on_doubt": "hold"}, id="a-policy"),
    ],
)
def test_only_what_was_given_and_is_new_changes_a_run(given: Any, stored: Settings, changes: dict[str, Any]) -> None:
    assert given_anew(given, stored) == changes


@pytest.mark.parametrize(
    ("given", "after"),
    [
        pytest.param({}, {"servers": {"a": "x"}, "hosts": ["h"]}, id="nothing"),
        pytest.param({"servers": {"b": "y"}}, {"servers": {"a": "x", "b": "y"}, "hosts": ["h"]}, id="maps-are-merged"),
        pytest.param({"hosts": []}, {"servers": {"a": "x"}, "hosts": ["h"]}, id="nothing-given-keeps"),
        pytest.param({"hosts": ["i"]}, {"servers": {"a": "x"}, "hosts": ["i"]}, id="a-list-replaces"),
    ],
)
def test_options_given_anew_are_laid_over_those_a_run_has(given: Any, after: Any) -> None:
    assert merged_options({"servers": {"a": "x"}, "hosts": ["h"]}, given) == after


@pytest.mark.parametrize(
    ("changes", "leaves"),
    [
        pytest.param({}, True, id="an-intended-create"),
        pytest.param({"kind": "unknown"}, True, id="of-unknown-kind"),
        pytest.param({"intended": False}, False, id="not-yet-intended"),
        pytest.param({"kind": "safe"}, False, id="safe"),
        pytest.param({"kind": "idempotent"}, False, id="idempotent"),
    ],
)
def test_only_an_intended_unsafe_call_leaves_at_once(make_call: Any, changes: dict[str, Any], leaves: bool) -> None:
    call: Call = make_call("POST")

    assert leaves_at_once(replace(call, **{"intended": True, **changes})) is leaves
    assert not leaves_at_once(None)


def at(plan: Plan, reason: str, *outcomes: Any) -> Snapshot:
    stop = Stop(reason=reason, message="", at=1.0, source=plan.initial.id) if reason else None
    ledger = tuple(LedgerEntry(step="createEndpoint", kind="create", outcome=one) for one in outcomes)
    return replace(Chart(plan).begin(), stopped=stop, ledger=ledger)


@pytest.mark.parametrize(
    ("reason", "outcomes", "is_ready", "over"),
    [
        pytest.param("ended", ["applied"], True, False, id="ended"),
        pytest.param("completed", [], True, False, id="completed"),
        pytest.param("broke", ["not_applied"], False, True, id="refused"),
        pytest.param("unmatched", [], False, True, id="unmatched-and-nothing-made"),
        pytest.param("failure_action", ["not_applied", "applied"], False, False, id="made-then-failed"),
        pytest.param("broke", ["unknown"], False, False, id="perhaps-made"),
        pytest.param("deadline", ["not_applied"], False, False, id="out-of-time"),
        pytest.param("", [], False, False, id="under-way"),
    ],
)
def test_a_run_starts_over_only_when_it_ended_badly_and_nothing_can_have_been_made(
    probing_plan: Plan, reason: str, outcomes: list[str], is_ready: bool, over: bool
) -> None:
    snapshot = at(probing_plan, reason, *outcomes)

    assert (ready(snapshot), starts_over(snapshot)) == (is_ready, over)


def test_a_digest_is_of_the_bytes() -> None:
    assert sha256(b"").startswith("e3b0c44298fc1c14")


@pytest.mark.parametrize("error", [OSError, KeyError])
def test_who_moved_a_run_is_told_even_where_nobody_has_a_name(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def nameless() -> str:
        raise error

    assert "@" in who()

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert who().startswith("unknown@")


# -- forgetting --------------------------------------------------------------------------------------------------------


def test_runs_that_ended_for_good_before_a_moment_are_forgotten_and_no_others(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    clock = ManualClock(1000.0)

    def run(name: str, *outcomes: Any) -> None:
        made = make_runner(store, transport=scripted(*outcomes), clock=clock)
        made.start(shipped_plan, deploy_inputs, run_id=name).result()

    run("ready", CREATED, RUNNING)
    run("refused", 409)
    run("in-doubt", ("unknown", "reset"))
    run("made-and-failed", CREATED, FAILED)
    clock.advance(100.0)
    run("young", CREATED, RUNNING)
    make_runner(store, clock=clock).start(shipped_plan, deploy_inputs, run_id="under-way").close()

    forgotten = prune(store, 1050.0)

    assert sorted(forgotten) == ["ready", "refused"]
    assert {one.head.id for one in store.runs()} == {"in-doubt", "made-and-failed", "young", "under-way"}
    assert make_runner(store).plan_of(store.load("young")).text() == shipped_plan.text()
    assert prune(store, 1050.0) == []
    with pytest.raises(UsageError):
        store.load("ready")


def test_a_run_somebody_holds_is_kept(
    store: Any, make_runner: Any, scripted: Any, shipped_plan: Plan, deploy_inputs: Any
) -> None:
    make_runner(store, transport=scripted(CREATED, RUNNING)).start(shipped_plan, deploy_inputs, run_id="r").result()

    with store.lock("r"):
        assert prune(store, 1e12) == []
    assert prune(store, 1e12) == ["r"]
