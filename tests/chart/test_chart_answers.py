from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from machine.plan.model import Plan
from machine.values import SecretRef

Begin = Callable[..., Any]


def step(name: str, operation: str = "getThing", **fields: Any) -> dict[str, Any]:
    return {"stepId": name, "operationId": operation, **fields}


def action(name: str, kind: str, *conditions: str, **fields: Any) -> dict[str, Any]:
    criteria = {"criteria": [{"condition": one} for one in conditions]} if conditions else {}
    return {"name": name, "type": kind, **criteria, **fields}


BUSY = action("more", "goto", "$response.body#/s == 'busy'", stepId="p")
POLL = step("p", onSuccess=[BUSY, action("done", "end", "$response.body#/s == 'ok'")])
"""A polling step that waits while busy and ends when ok."""


def created(run: Any) -> Any:
    return run.endpoint("pending", 201)


# -- tolerance ---------------------------------------------------------------------------------------------------------

TROUBLES: list[tuple[str, Callable[[Any], Any]]] = [
    *((str(status), lambda run, status=status: run.reply(status)) for status in (408, 425, 429, 500, 502, 503, 504)),
    ("reset", lambda run: run.fail()),
    ("refused", lambda run: run.fail("not_sent", "refused")),
    ("unreadable", lambda run: run.reply(200, form="undecodable")),
]


@pytest.mark.parametrize("trouble", [one[1] for one in TROUBLES], ids=[one[0] for one in TROUBLES])
def test_five_unusable_answers_in_a_row_are_waited_out_and_the_sixth_stops(
    deploy: Begin, trouble: Callable[[Any], Any]
) -> None:
    run = created(deploy())
    for count in range(1, 6):
        trouble(run)
        assert (run.state, run.reason, run.last, run.snapshot.frame.troubles) == ("created", "", "tolerated", count)
    trouble(run)

    assert (run.state, run.reason, run.snapshot.stopped.exit_code) == ("created", "tolerance", 12)
    assert run.message.startswith("pollStatus got no usable answer 6 times in a row: ")
    run.reopen()

    assert (run.state, run.snapshot.frame.troubles, run.pending.step) == ("created", 0, "pollStatus")
    trouble(run)

    assert (run.last, run.snapshot.frame.troubles) == ("tolerated", 1)


def test_a_usable_answer_gives_the_tolerance_back(deploy: Begin) -> None:
    run = created(deploy())
    for _ in range(3):
        for _ in range(5):
            run.reply(503)
        run.endpoint("pending")

        assert (run.state, run.snapshot.frame.troubles) == ("polling", 0)


@pytest.mark.parametrize("status", [400, 404, 409, 410, 501, 505])
def test_another_status_is_an_answer(deploy: Begin, status: int) -> None:
    run = created(deploy()).reply(status)

    assert (run.state, run.reason) == ("failed", "broke")


def test_nothing_is_tolerated_outside_a_polling_loop(drive: Begin, built: Callable[..., Plan]) -> None:
    assert drive(built([step("g")])).reply(503).state == "failed"
    assert drive(built([step("g")])).fail("not_sent", "refused").state == "failed"


def test_a_tolerance_of_none_stops_at_the_first(drive: Begin, built: Callable[..., Plan]) -> None:
    run = drive(built([{**POLL, "x-machine": {"poll": {"tolerate": 0}}}])).reply(503)

    assert (run.reason, run.state) == ("tolerance", "p")


def test_strict_tolerates_nothing(drive: Begin, built: Callable[..., Plan]) -> None:
    assert drive(built([POLL], strict=True)).reply(503).reason == "broke"


def test_retries_of_the_document_and_tolerance_do_not_give_each_other_back(
    drive: Begin, built: Callable[..., Plan]
) -> None:
    again = action("again", "retry", "$statusCode == 503", retryLimit=2, retryAfter=1)
    run = drive(built([{**POLL, "onFailure": [again]}]))
    labels = []
    while not run.reason:
        assert len(labels) < 20
        run.reply(503)
        labels.append(run.last)

    assert labels == ["again", "again", *["tolerated"] * 5, "tolerance used up"]
    assert run.reason == "tolerance"


# -- a refused credential ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_stops_in_its_state_and_is_taken_up_there(deploy: Begin, status: int) -> None:
    run = deploy().reply(status, {"error": "Invalid token"})

    assert (run.state, run.reason, run.snapshot.stopped.exit_code) == ("createEndpoint", "credential", 14)
    assert run.outcomes == ["not_applied"]
    assert run.message.startswith(f"createEndpoint was refused: answered {status}: Invalid token")
    created(run.reopen())
    run.endpoint("pending").reply(status)

    assert (run.state, run.reason) == ("polling", "credential")
    run.reopen()

    assert (run.state, run.pending.delay) == ("polling", 0.0)


def test_a_refusal_that_carried_no_secret_is_an_ordinary_failure(deploy: Begin, built: Callable[..., Plan]) -> None:
    run = deploy()
    run.snapshot = replace(run.snapshot, pending=replace(run.pending, request=replace(run.pending.request, headers=())))

    assert run.reply(401).reason == "broke"


def test_a_refusal_the_document_speaks_of_is_the_documents(drive: Begin, built: Callable[..., Plan]) -> None:
    secret = {"parameters": [{"name": "Authorization", "in": "header", "value": "{$inputs.t}"}]}
    plan = built([step("g", **secret, onFailure=[action("login", "end", "$statusCode == 401")])], inputs={"t": {}})
    inputs = {"t": SecretRef("t")}

    assert drive(plan, inputs).reply(401).state == "login"
    assert drive(plan, inputs).reply(403).reason == "credential"


# -- unmatched, failed and ended ---------------------------------------------------------------------------------------


def test_an_answer_nothing_applies_to_fails_and_names_what_was_observed(deploy: Begin) -> None:
    run = created(deploy()).endpoint("paused")

    assert (run.state, run.reason, run.snapshot.stopped.exit_code) == ("failed", "unmatched", 11)
    assert run.message == "pollStatus succeeded, but nothing the document says applies: state 'paused'"
    run.reopen()

    assert (run.state, run.reason) == ("created", "")
    run.endpoint("running")

    assert run.reason == "ended"


@pytest.mark.parametrize(
    ("policy", "state", "reason"),
    [("next", "z", ""), ("end", "completed", "completed"), ("fail", "failed", "unmatched")],
)
def test_a_policy_decides_about_an_answer_nothing_applies_to(
    drive: Begin, built: Callable[..., Plan], policy: str, state: str, reason: str
) -> None:
    run = drive(built([POLL, step("z")], unmatched=policy)).reply(200, {"s": "odd"})

    assert (run.state, run.reason, run.last) == (state, reason, "unmatched")


def test_wait_criteria_wait_and_are_not_trouble(drive: Begin, built: Callable[..., Plan]) -> None:
    poll = {"wait": [{"condition": "$response.body#/s == 'updating'"}], "visits": 3}
    run = drive(built([{**POLL, "x-machine": {"poll": poll}}])).reply(503).reply(200, {"s": "updating"})

    assert (run.last, run.snapshot.frame.troubles, run.state) == ("wait", 0, "p")


def test_a_step_without_success_criteria_succeeds_on_any_2xx(drive: Begin, built: Callable[..., Plan]) -> None:
    plan = built([step("a"), step("b")])

    assert [drive(plan).reply(status).state for status in (200, 204, 299)] == ["b", "b", "b"]
    assert [drive(plan).reply(status).reason for status in (199, 300, 304, 404)] == ["broke"] * 4


def test_the_end_after_the_last_step_completes_the_run(drive: Begin, built: Callable[..., Plan]) -> None:
    run = drive(built([step("a")], workflow={"outputs": {"x": "$steps.a.outputs.x", "y": "text"}})).reply()

    assert (run.state, run.reason, run.phase) == ("completed", "completed", "ready")
    assert run.chart.outputs(run.snapshot) == ({"x": None, "y": "text"}, ("x",))


def test_an_end_in_on_failure_is_a_failure_that_still_returns_outputs(drive: Begin, built: Callable[..., Plan]) -> None:
    plan = built(
        [step("a", outputs={"why": "$response.body#/detail"}, onFailure=[action("gone", "end")])],
        workflow={"outputs": {"why": "$steps.a.outputs.why"}},
    )
    run = drive(plan).reply(404, {"detail": "no such thing"})

    assert (run.state, run.phase, run.reason, run.snapshot.stopped.exit_code) == (
        "gone",
        "failed",
        "failure_action",
        10,
    )
    assert run.message == "a failed and the document ends with gone: answered 404: no such thing ($statusCode was 404)"
    assert run.chart.outputs(run.snapshot) == ({"why": "no such thing"}, ())
    assert not run.snapshot.recovered


def test_the_outputs_of_the_latest_attempt_win_and_no_answer_leaves_them(
    drive: Begin, built: Callable[..., Plan]
) -> None:
    run = drive(built([{**POLL, "outputs": {"s": "$response.body#/s"}}])).reply(200, {"s": "busy"})

    assert run.snapshot.frame.steps == {"p": {"s": "busy"}}
    assert run.fail().snapshot.frame.steps == {"p": {"s": "busy"}}
    assert run.reply(503).snapshot.frame.steps == {"p": {"s": None}}


def test_an_output_that_cannot_be_written_is_unknown_and_the_answer_is_not_lost(
    drive: Begin, built: Callable[..., Plan]
) -> None:
    plan = built(
        [step("m", "makeThing", outputs={"all": "got {$response.body}", "id": "$response.body#/id"})],
        workflow={"outputs": {"o": "{$steps.m.outputs.x} {$inputs.i}"}},
    )
    run = drive(plan, {"i": {"a": SecretRef("s")}}).reply(201, {"id": 5, "token": SecretRef("s")})

    assert (run.reason, run.snapshot.frame.steps) == ("completed", {"m": {"all": None, "id": 5}})
    assert run.chart.outputs(run.snapshot) == ({"o": None}, ("o",))


# -- retries -----------------------------------------------------------------------------------------------------------


def test_a_retry_is_limited_paced_and_marks_the_run_recovered(drive: Begin, built: Callable[..., Plan]) -> None:
    again = action("again", "retry", retryLimit=2, retryAfter=7.5)
    run = drive(built([step("a", onFailure=[again])])).reply(404)

    assert (run.state, run.pending.delay, run.snapshot.recovered) == ("a", 7.5, True)
    assert run.reply(404).pending.delay == 7.5
    run.reply(404)

    assert (run.state, run.reason, run.snapshot.calls) == ("failed", "broke", 3)
    assert drive(built([step("a", onFailure=[again])])).reply(404).reply(200).snapshot.recovered


def test_a_retry_without_a_limit_is_tried_once_after_a_second(drive: Begin, built: Callable[..., Plan]) -> None:
    run = drive(built([step("a", onFailure=[action("again", "retry")])])).fail("not_sent")

    assert run.pending.delay == 1.0
    assert run.fail("not_sent").reason == "broke"


def test_an_exhausted_retry_makes_room_for_the_next_action_that_matches(
    drive: Begin, built: Callable[..., Plan]
) -> None:
    actions = [
        action("first", "retry", "$statusCode == 404", retryLimit=1),
        action("other", "retry", "$statusCode == 410", retryLimit=1),
        action("second", "retry", retryLimit=1),
        action("give-up", "end"),
    ]
    run = drive(built([step("a", onFailure=actions)]))
    labels = [run.reply(404).last for _ in range(3)]

    assert labels == ["first", "second", "give-up"]


def test_entering_a_step_again_starts_its_retries_afresh(drive: Begin, built: Callable[..., Plan]) -> None:
    again = action("again", "retry", retryLimit=1)
    back = action("back", "goto", "$statusCode == 202", stepId="a")
    run = drive(built([step("a", "putThing", onFailure=[again]), step("b", "putThing", onSuccess=[back])]))
    labels = []
    for status in (404, 200, 202, 404, 404):
        labels.append(run.reply(status).last)

    assert labels == ["again", "next", "back", "again", "broke"]


def test_a_goto_in_on_failure_recovers_the_run(drive: Begin, built: Callable[..., Plan]) -> None:
    done = [action("done", "end")]
    plan = built([step("a", onFailure=[action("repair", "goto", stepId="c")]), step("b", onSuccess=done), step("c")])
    run = drive(plan).reply(404)

    assert (run.state, run.snapshot.recovered, run.pending.delay) == ("repair", True, 0.0)
    assert not drive(plan).reply(200).snapshot.recovered
