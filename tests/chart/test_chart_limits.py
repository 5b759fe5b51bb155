from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machine.chart.settings import Settings
from machine.plan.model import Plan

Begin = Callable[..., Any]


def step(name: str, operation: str = "getThing", **fields: Any) -> dict[str, Any]:
    return {"stepId": name, "operationId": operation, **fields}


def action(name: str, kind: str, *conditions: str, **fields: Any) -> dict[str, Any]:
    criteria = {"criteria": [{"condition": one} for one in conditions]} if conditions else {}
    return {"name": name, "type": kind, **criteria, **fields}


BUSY = action("more", "goto", "$response.body#/s == 'busy'", stepId="p")
POLL = step("p", onSuccess=[BUSY, action("done", "end", "$response.body#/s == 'ok'")])
"""A polling step that waits while busy and ends when ok."""


def make_then_poll(**fields: Any) -> list[dict[str, Any]]:
    return [step("m", "makeThing", outputs={"id": "$response.body#/id"}, **fields), POLL]


def created(run: Any) -> Any:
    return run.endpoint("pending", 201)


# -- budgets -----------------------------------------------------------------------------------------------------------


def test_a_deadline_stops_in_the_state_and_reopening_looks_once(deploy: Begin) -> None:
    run = created(deploy(settings=Settings(deadline=10.0)))
    assert run.snapshot.deadline == 1010.0
    run.endpoint("pending", took=2.0)

    assert (run.at, run.pending.delay) == (1003.0, 5.0)
    run.endpoint("pending", took=0.5)

    assert (run.pending.not_before, run.pending.delay) == (1010.0, 1.5), "the last look is at the deadline"
    run.endpoint("pending")

    assert (run.state, run.phase, run.reason) == ("polling", "polling", "deadline")
    assert run.message == (
        "the deadline passed in polling, last answer: state 'pending' (--deadline gives it more time)"
    )
    run.reopen()

    assert (run.state, run.pending.delay) == ("polling", 0.0)
    assert run.endpoint("pending").reason == "deadline"
    assert run.reopen().endpoint("running").reason == "ended"


def test_a_deadline_given_anew_counts_from_then(deploy: Begin) -> None:
    run = created(deploy(settings=Settings(deadline=2.0))).endpoint("pending", took=5.0)
    assert run.reason == "deadline"
    run.reopen(deadline=100.0)

    assert run.snapshot.deadline == run.at + 100.0
    assert run.snapshot.settings.deadline == 100.0
    assert run.endpoint("pending").reason == ""


def test_the_deadline_of_the_document_holds_where_no_other_is_given(drive: Begin, built: Callable[..., Plan]) -> None:
    plan = built([POLL], workflow={"x-machine": {"deadline": "20s"}})

    assert drive(plan).snapshot.deadline == 1020.0
    assert drive(plan, settings=Settings(deadline=5.0)).snapshot.deadline == 1005.0


def test_an_unsafe_call_is_never_first_sent_after_the_deadline(drive: Begin, built: Callable[..., Plan]) -> None:
    plan = built([step("g"), step("m", "makeThing", onFailure=[action("again", "retry", retryAfter=60)])])
    late = drive(plan, settings=Settings(deadline=10.0)).reply(200, took=10.0)

    assert (late.state, late.reason, late.outcomes) == ("m", "deadline", [])
    assert late.reopen().reason == "deadline"
    assert late.reopen(deadline=60.0).pending.step == "m"
    waiting = drive(plan, settings=Settings(deadline=30.0)).reply(200).reply(409)

    assert (waiting.state, waiting.reason, waiting.outcomes) == ("m", "deadline", ["not_applied"])
    assert drive(plan, settings=Settings(deadline=0.0)).reason == "deadline"


def test_a_start_after_the_deadline_sends_nothing(deploy: Begin) -> None:
    run = deploy(settings=Settings(deadline=0.0))

    assert (run.state, run.reason, run.outcomes, run.snapshot.calls) == ("createEndpoint", "deadline", [], 0)


def test_a_loop_is_bounded_by_its_visits(drive: Begin, built: Callable[..., Plan]) -> None:
    plan = built([{**POLL, "x-machine": {"poll": {"visits": 3}}}])
    run = drive(plan)
    for _ in range(3):
        assert run.reply(200, {"s": "busy"}).reason == ""
    run.reply(200, {"s": "busy"})

    assert (run.state, run.reason, run.snapshot.calls) == ("polling", "visits", 4)
    assert "--visits raises it" in run.message
    assert run.reopen().reason == ""
    assert run.reply(200, {"s": "busy"}).reason == "visits"
    assert run.reopen(visits=50).reply(200, {"s": "busy"}).reason == ""
    assert (
        drive(plan, settings=Settings(visits=1)).reply(200, {"s": "busy"}).reply(200, {"s": "busy"}).reason == "visits"
    )


@pytest.mark.parametrize(
    ("settings", "reason"),
    [(Settings(calls=2), "calls"), (Settings(transitions=3), "transitions")],
    ids=["calls", "transitions"],
)
def test_calls_and_transitions_are_bounded(deploy: Begin, settings: Settings, reason: str) -> None:
    run = created(deploy(settings=settings)).endpoint("pending")

    assert (run.state, run.phase, run.reason, run.snapshot.calls) == ("polling", "polling", reason, 2)
    assert f"--{reason} raises it" in run.message
    assert run.reopen().pending.step == "pollStatus"
    assert run.endpoint("pending").reason == reason
    assert run.reopen(**{reason: 100}).endpoint("pending").reason == ""


def test_the_limits_of_the_document_hold_where_no_others_are_given(drive: Begin, built: Callable[..., Plan]) -> None:
    plan = built([POLL], workflow={"x-machine": {"calls": 1}})

    assert drive(plan).reply(200, {"s": "busy"}).reason == "calls"
    assert drive(plan, settings=Settings(calls=2)).reply(200, {"s": "busy"}).reason == ""


def test_a_used_up_limit_allows_no_unsafe_call_when_a_run_is_reopened(drive: Begin, built: Callable[..., Plan]) -> None:
    plan = built(make_then_poll(onFailure=[action("again", "retry", retryLimit=9)]))
    run = drive(plan, settings=Settings(calls=1)).reply(409)

    assert (run.state, run.reason, run.outcomes) == ("m", "calls", ["not_applied"])
    assert run.reopen().reason == "calls"
    assert run.reopen(calls=5).pending.step == "m"


def test_calls_count_what_left_or_may_have(deploy: Begin) -> None:
    run = created(deploy())
    counts = [run.snapshot.calls]
    for event in (lambda: run.fail("not_sent", "dns"), lambda: run.fail(), lambda: run.endpoint("pending")):
        event()
        counts.append(run.snapshot.calls)

    assert counts == [1, 1, 2, 3]


FIXED = {"name": "id", "in": "path", "value": "one"}


def test_what_was_made_and_cannot_be_named_is_in_doubt_and_can_be_adopted(
    drive: Begin, built: Callable[..., Plan]
) -> None:
    part = [{"name": "id", "in": "path", "value": "$steps.m.outputs.id"}]
    run = drive(built([step("m", "makeThing", outputs={"id": "$response.body#/id"}), step("g", parameters=part)]))
    run.reply(201, {})

    assert (run.state, run.reason, run.outcomes) == ("in_doubt", "in_doubt", ["applied"])
    assert run.resolve("adopt", id="seven").pending.request.target == "/things/seven"


def test_a_request_that_cannot_be_built_stops_where_it_would_be_made(drive: Begin, built: Callable[..., Plan]) -> None:
    part = [{"name": "id", "in": "path", "value": "$steps.m.outputs.id"}]
    id_of = {"id": "$response.body#/id"}
    run = drive(built([step("m", parameters=[FIXED], outputs=id_of), step("g", parameters=part)]))
    run.reply(200, {})

    assert (run.state, run.reason, run.snapshot.stopped.exit_code) == ("g", "request", 10)
    assert "'id'" in run.message
    assert run.reopen().reason == "request"
    first = drive(built([step("g", parameters=[{"name": "id", "in": "path", "value": "$inputs.x"}])]))

    assert (first.state, first.reason) == ("g", "request")


# -- pacing ------------------------------------------------------------------------------------------------------------


def test_the_pace_slows_to_its_cap_and_starts_afresh_after_a_way_on(drive: Begin, built: Callable[..., Plan]) -> None:
    poll = {"interval": 1, "backoff": 2, "max": 5, "jitter": 0}
    run = drive(built([{**POLL, "x-machine": {"poll": poll}}]))
    delays = [run.reply(200, {"s": "busy"}).pending.delay for _ in range(5)]

    assert delays == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_chance_spreads_the_pace_within_its_share(deploy: Begin) -> None:
    delays = [created(deploy()).endpoint("pending", chance=chance).pending.delay for chance in (0.0, 0.5, 0.999)]

    assert delays == [4.5, 5.0, 5.499]


def test_a_given_interval_is_fixed(deploy: Begin) -> None:
    run = created(deploy(settings=Settings(poll_interval=2.0)))

    assert [run.endpoint("pending").pending.delay for _ in range(3)] == [2.0, 2.0, 2.0]
    still = created(deploy(settings=Settings(poll_interval=0.0))).endpoint("pending")

    assert still.pending.delay == 0.0


HEADERS = [
    pytest.param({"retry-after": "42"}, 42.0, id="seconds"),
    pytest.param({"retry-after": "Thu, 01 Jan 1970 00:17:22 GMT"}, 40.0, id="date"),
    pytest.param({"retry-after": "Thu, 01 Jan 1970 00:00:01 GMT"}, 1.0, id="past"),
    pytest.param({"retry-after": "0"}, 1.0, id="at-once"),
    pytest.param({"retry-after": "soon"}, 5.0, id="unreadable"),
    pytest.param({}, 5.0, id="absent"),
]


@pytest.mark.parametrize(("headers", "delay"), HEADERS)
@pytest.mark.parametrize("status", [200, 503])
def test_retry_after_wins_over_the_pace_of_a_loop(
    drive: Begin, built: Callable[..., Plan], headers: dict[str, str], delay: float, status: int
) -> None:
    run = drive(built([POLL])).reply(status, {"s": "busy"}, headers=headers, took=2.0)

    assert run.at == 1002.0
    assert run.pending.delay == delay
    assert run.pending.not_before == 1002.0 + delay


def test_retry_after_wins_over_the_delay_of_a_retry(drive: Begin, built: Callable[..., Plan]) -> None:
    run = drive(built([step("a", onFailure=[action("again", "retry", retryAfter=3)])]))

    assert run.reply(503, headers={"retry-after": "9"}).pending.delay == 9.0


def test_retry_after_does_not_slow_a_way_on(drive: Begin, built: Callable[..., Plan]) -> None:
    run = drive(built([step("a"), step("b")])).reply(200, headers={"retry-after": "9"})

    assert run.pending.delay == 0.0


def test_retry_after_is_cut_at_the_deadline(deploy: Begin) -> None:
    run = created(deploy(settings=Settings(deadline=60.0))).reply(503, headers={"retry-after": "3600"})

    assert (run.pending.not_before, run.pending.delay) == (1060.0, 58.0)


def test_a_paced_unsafe_call_has_no_intent_until_it_is_due(drive: Begin, built: Callable[..., Plan]) -> None:
    again = action("again", "retry", retryAfter=3)
    run = drive(built([step("m", "makeThing", onFailure=[again])])).reply(409)

    assert (run.pending.intended, run.pending.delay, run.pending.number) == (False, 3.0, run.snapshot.seq)
    assert drive(run.plan).reply(503, headers={"retry-after": "0"}).pending.intended
