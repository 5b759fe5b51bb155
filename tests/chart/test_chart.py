from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from statemachine import StateChart

from machine.chart import chart as module
from machine.chart.chart import Chart, compile_class
from machine.chart.effects import Call, Finish
from machine.chart.events import Cancelled, Reopened, Replied, Reply, Started
from machine.chart.settings import Settings
from machine.errors import BugError, IdentityError, UsageError
from machine.plan.model import Guard, Plan
from machine.values import SecretRef, SecretText, redact

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


@pytest.fixture
def deploy(drive: Begin, user_plan: Plan, user_inputs: dict[str, Any]) -> Begin:
    """``deploy(settings=...)``: a run of the user's document that has asked for its create."""
    return lambda **options: drive(user_plan, user_inputs, **options)


def created(run: Any) -> Any:
    return run.endpoint("pending", 201)


# -- the happy path ----------------------------------------------------------------------------------------------------


def test_a_run_goes_from_its_create_over_polling_to_ready(deploy: Begin) -> None:
    run = deploy()

    assert (run.state, run.phase, run.outcomes) == ("createEndpoint", "created", ["unknown"])
    assert (run.pending.step, run.pending.kind, run.pending.intended, run.pending.delay) == (
        "createEndpoint",
        "create",
        True,
        0.0,
    )
    created(run)

    assert (run.state, run.outcomes, run.pending.kind, run.pending.delay) == ("created", ["applied"], "safe", 0.0)
    assert run.snapshot.ledger[0].identity == {"endpointName": "my-endpoint", "initialState": "pending"}
    run.endpoint("initializing")

    assert (run.state, run.phase, run.pending.delay) == ("polling", "polling", 5.0)
    run.endpoint("pending")

    assert (run.state, run.pending.delay) == ("polling", 7.5)
    run.reply(200, {"name": "my-endpoint", "status": {"state": "running", "url": "https://e.example"}})

    assert (run.state, run.phase, run.reason, run.message) == ("ready", "ready", "ended", "reached ready")
    assert run.snapshot.pending is None
    assert run.snapshot.calls == 4
    assert run.chart.outputs(run.snapshot) == (
        {"endpointName": "my-endpoint", "state": "running", "inferenceUrl": "https://e.example"},
        (),
    )
    assert [one.kind for one in run.records] == ["run.started", *["call.replied"] * 4]
    assert [one.seq for one in run.records] == [1, 2, 3, 4, 5]


def test_the_requests_are_built_from_inputs_and_outputs_with_secrets_left_out(deploy: Begin) -> None:
    run = deploy()
    request = run.pending.request

    assert (request.method, request.target) == ("POST", "/endpoint/acme")
    assert dict(request.headers)["Authorization"] == SecretText(("Bearer ", SecretRef("hfToken")))
    assert request.body["compute"] == {"accelerator": "cpu", "scaling": {"minReplica": 1, "maxReplica": 1}}
    assert run.snapshot.ledger[0].request == "POST /endpoint/acme"
    created(run)

    assert run.pending.request.target == "/endpoint/acme/my-endpoint"


def test_outputs_that_are_not_known_yet_are_null_and_listed(deploy: Begin) -> None:
    run = deploy()

    assert run.chart.outputs(run.snapshot) == (
        {"endpointName": None, "state": None, "inferenceUrl": None},
        ("endpointName", "state", "inferenceUrl"),
    )


def test_a_snapshot_before_the_start_is_in_the_first_state(user_plan: Plan) -> None:
    chart = Chart(user_plan)
    snapshot = chart.begin()

    assert (snapshot.seq, snapshot.pending, snapshot.stopped, snapshot.started) == (0, None, None, None)
    assert (chart.state(snapshot).name, chart.phase(snapshot)) == ("createEndpoint", "starting")


# -- an answer to a call that must not be repeated ---------------------------------------------------------------------


def test_an_unexpected_2xx_breaks_the_run_and_the_ledger_knows_it_was_applied(deploy: Begin) -> None:
    run = deploy().endpoint("pending", 200)

    assert (run.state, run.reason, run.outcomes) == ("failed", "broke", ["applied"])
    assert run.snapshot.ledger[0].identity == {"endpointName": "my-endpoint", "initialState": "pending"}
    assert run.snapshot.ledger[0].status == 200
    assert "answered 200" in run.message
    assert "$statusCode == 201" in run.message


def stored(status: int = 200) -> Reply:
    return Reply(status=status, form="json", body={"name": "my-endpoint", "status": {"state": "pending"}})


@pytest.mark.parametrize("reopened", [False, True], ids=["from-failed", "from-doubt"])
def test_accepting_it_adopts_it_with_the_lowest_status_the_description_declares(deploy: Begin, reopened: bool) -> None:
    run = deploy().endpoint("pending", 200)
    if reopened:
        run.reopen()
        assert (run.state, run.reason, run.outcomes) == ("in_doubt", "in_doubt", ["applied"])
        assert run.message == ("createEndpoint was applied, but its answer was not taken for a success: answered 200")
    run.resolve("accept", reply=stored())

    assert (run.state, run.reason, run.outcomes) == ("created", "", ["applied"])
    assert run.snapshot.frame.steps["createEndpoint"] == {"endpointName": "my-endpoint", "initialState": "pending"}
    assert run.records[-1].outputs == run.snapshot.frame.steps["createEndpoint"]
    assert (run.pending.step, run.pending.delay, run.pending.intended) == ("pollStatus", 0.0, False)
    assert "$statusCode was 201" in " ".join(one.why for one in run.records[-1].guards)


def test_the_lowest_declared_2xx_is_tried_first(drive: Begin, built: Callable[..., Plan]) -> None:
    seen = [action("low", "end", "$statusCode == 201"), action("high", "end", "$statusCode == 202")]
    both = built([step("m", "makeThing", onSuccess=seen)])
    high = built([step("m", "makeThing", onSuccess=seen, successCriteria=[{"condition": "$statusCode == 202"}])])
    range_only = built([step("m", "makePart", onSuccess=[action("plain", "end", "$statusCode == 200")])])

    assert drive(both).fail().resolve("adopt").state == "low"
    assert drive(high).fail().resolve("adopt").state == "high"
    assert drive(range_only).fail().resolve("adopt").state == "plain"


def test_adopting_needs_no_answer_but_the_outputs(deploy: Begin) -> None:
    run = deploy().fail()
    run.resolve("adopt", endpointName="other")

    assert (run.state, run.outcomes) == ("created", ["applied"])
    assert run.snapshot.ledger[0].identity == {"endpointName": "other"}
    assert run.pending.request.target == "/endpoint/acme/other"
    assert run.snapshot.frame.steps["createEndpoint"] == {"endpointName": "other", "initialState": None}


def test_what_was_never_sent_is_sent_anew_with_an_intent_of_its_own(deploy: Begin) -> None:
    run = deploy().fail()

    assert (run.state, run.reason, run.outcomes) == ("in_doubt", "in_doubt", ["unknown"])
    assert run.message == "nobody knows whether createEndpoint was applied: no whole answer arrived (reset)"
    run.resolve("not_sent")

    assert (run.state, run.outcomes) == ("createEndpoint", ["not_applied", "unknown"])
    assert (run.pending.step, run.pending.intended) == ("createEndpoint", False)


def test_an_adoption_no_status_fits_stays_in_doubt(drive: Begin, built: Callable[..., Plan]) -> None:
    run = drive(built(make_then_poll(successCriteria=[{"condition": "$response.body#/ok == true"}]))).fail()
    run.resolve("adopt", id="7")

    assert (run.state, run.reason, run.outcomes, run.last) == ("in_doubt", "in_doubt", ["unknown"], "still in doubt")
    assert "m" not in run.snapshot.frame.steps
    run.resolve("accept", reply=Reply(status=200, form="json", body={"ok": True, "id": "7"}))

    assert (run.state, run.outcomes) == ("p", ["applied"])


def test_doubt_stays_doubt_when_it_is_only_reopened(deploy: Begin) -> None:
    run = deploy().fail().reopen().reopen()

    assert (run.state, run.reason, run.outcomes, run.snapshot.calls) == ("in_doubt", "in_doubt", ["unknown"], 1)
    assert run.message == "nobody knows whether createEndpoint was applied: no answer is known"


def test_a_2xx_that_cannot_be_read_is_in_doubt_because_its_name_is_lost(deploy: Begin) -> None:
    run = deploy().reply(201, form="undecodable")

    assert (run.state, run.reason, run.outcomes) == ("in_doubt", "in_doubt", ["applied"])
    assert run.message == "createEndpoint was applied, but its answer cannot be read: answered 201"
    run.resolve("adopt", endpointName="my-endpoint")

    assert (run.state, run.outcomes) == ("created", ["applied"])


def test_an_unreadable_2xx_is_a_success_where_nothing_is_read_from_it(drive: Begin, built: Callable[..., Plan]) -> None:
    run = drive(built([step("m", "makeThing"), step("g")])).reply(201, form="undecodable")

    assert (run.state, run.outcomes) == ("g", ["applied"])


OUTCOMES: list[tuple[int, dict[str, str], str]] = [
    (200, {}, "applied"),
    (299, {}, "applied"),
    (302, {}, "not_applied"),
    (400, {}, "not_applied"),
    (401, {}, "not_applied"),
    (408, {}, "unknown"),
    (409, {}, "not_applied"),
    (429, {}, "not_applied"),
    (500, {}, "unknown"),
    (502, {"retry-after": "5"}, "unknown"),
    (503, {}, "unknown"),
    (503, {"retry-after": "5"}, "not_applied"),
    (504, {}, "unknown"),
    (599, {}, "unknown"),
]


@pytest.mark.parametrize(("status", "headers", "outcome"), OUTCOMES)
def test_what_an_answer_says_about_an_unsafe_call(
    drive: Begin, built: Callable[..., Plan], status: int, headers: dict[str, str], outcome: str
) -> None:
    plan = built([step("m", "makeThing", successCriteria=[{"condition": "$statusCode == 1"}])])
    run = drive(plan).reply(status, headers=headers)

    assert (run.state, run.reason, run.outcomes) == ("failed", "broke", [outcome])
    assert run.snapshot.ledger[0].status == status
    run.reopen()

    if outcome == "not_applied":
        assert (run.state, run.outcomes) == ("m", ["not_applied", "unknown"]), "answered definitely: sent anew"
    else:
        assert (run.state, run.reason) == ("in_doubt", "in_doubt")
        assert f"answered {status}" in run.message


def test_a_create_that_was_never_sent_breaks_the_run_and_can_be_sent_anew(deploy: Begin) -> None:
    run = deploy().fail("not_sent", "refused")

    assert (run.state, run.reason, run.outcomes, run.snapshot.calls) == ("failed", "broke", ["not_applied"], 0)
    assert run.message == "createEndpoint failed: the request was not sent (refused)"
    run.reopen()

    assert (run.state, run.pending.intended) == ("createEndpoint", True)


def test_a_failure_action_is_obeyed_for_an_answered_create_but_not_for_an_unanswered_one(
    drive: Begin, built: Callable[..., Plan]
) -> None:
    plan = built(make_then_poll(onFailure=[action("again", "retry", retryLimit=5)]))

    assert drive(plan).reply(500).state == "m"
    assert drive(plan).reply(500).outcomes == ["unknown", "unknown"]
    assert drive(plan).fail("not_sent").state == "m"
    assert drive(plan).fail("unknown").state == "in_doubt"


def test_an_unknown_effect_obeys_every_rule_for_a_create_and_an_idempotent_one_none(
    drive: Begin, built: Callable[..., Plan]
) -> None:
    patched, kept = built([step("x", "patchThing")]), built([step("x", "putThing")])

    assert drive(patched).fail().state == "in_doubt"
    assert drive(kept).fail().state == "failed"
    assert drive(kept).fail().reopen().state == "x"
    assert drive(kept).fail().outcomes == []


def test_each_unsafe_call_has_an_entry_of_its_own(drive: Begin, built: Callable[..., Plan]) -> None:
    more = action("more", "goto", "$statusCode == 202", stepId="m")
    run = drive(built([step("m", "makeThing", onSuccess=[more, action("done", "end")])]))
    run.reply(202, {"id": 1}).reply(202, {"id": 2}).fail()

    assert run.outcomes == ["applied", "applied", "unknown"]
    assert run.state == "in_doubt"
    assert [one.at for one in run.snapshot.ledger] == [1000.0, 1006.0, 1014.5]


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


def test_a_request_that_cannot_be_built_stops_where_it_would_be_made(drive: Begin, built: Callable[..., Plan]) -> None:
    part = [{"name": "id", "in": "path", "value": "$steps.m.outputs.id"}]
    run = drive(built([step("m", "makeThing", outputs={"id": "$response.body#/id"}), step("g", parameters=part)]))
    run.reply(201, {})

    assert (run.state, run.reason, run.snapshot.stopped.exit_code) == ("g", "request", 10)
    assert "'id'" in run.message
    assert run.outcomes == ["applied"]
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
    pytest.param({"retry-after": "Thu, 01 Jan 1970 00:00:01 GMT"}, 0.0, id="past"),
    pytest.param({"retry-after": "0"}, 0.0, id="at-once"),
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


# -- cancelled and taken up again --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["createEndpoint", "created", "polling", "in_doubt"])
def test_cancelling_keeps_the_state_and_what_is_known(deploy: Begin, state: str) -> None:
    run = deploy()
    if state == "in_doubt":
        run.fail()
    elif state != "createEndpoint":
        created(run)
    if state == "polling":
        run.endpoint("pending")
    phase, outcomes = run.phase, run.outcomes
    run.cancel()

    assert (run.state, run.phase, run.outcomes) == (state, phase, outcomes)
    assert (run.reason, run.message, run.snapshot.stopped.exit_code) == ("cancelled", f"cancelled in {state}", 15)
    run.reopen()

    assert run.state == {"createEndpoint": "in_doubt"}.get(state, state)
    assert run.reason == ("in_doubt" if state in ("createEndpoint", "in_doubt") else "")


def test_a_call_that_is_known_not_to_have_left_is_not_in_doubt(drive: Begin, built: Callable[..., Plan]) -> None:
    again = action("again", "retry", retryAfter=60)
    plan = built([step("m", "makeThing", onFailure=[again])])
    run = drive(plan).reply(409)
    assert not run.pending.intended
    run.happen(Reopened(at=1002.0, changes={"deadline": 900.0}))

    assert (run.state, run.reason, run.outcomes) == ("m", "", ["not_applied", "not_applied", "unknown"])
    run = drive(plan, settings=Settings(deadline=100.0)).reply(409)
    run.happen(Reopened(at=5000.0))

    assert (run.state, run.reason, run.outcomes) == ("m", "deadline", ["not_applied", "not_applied"])


@pytest.mark.parametrize(
    "happening",
    [
        lambda run: run.reply(200, {"s": "busy"}),
        lambda run: run.fail(),
        lambda run: run.cancel(),
        lambda run: run.happen(Started(at=9.0)),
    ],
    ids=["replied", "call_failed", "cancelled", "started"],
)
def test_nothing_but_taking_it_up_moves_a_run_that_ended(
    drive: Begin, built: Callable[..., Plan], happening: Callable[[Any], Any]
) -> None:
    run = drive(built([POLL])).reply(200, {"s": "ok"})
    before = run.snapshot
    with pytest.raises(UsageError) as refused:
        happening(run)

    assert refused.value.code == "AZM-C002"
    assert run.snapshot == before
    assert run.reopen().state == "p", "the machine still works"


@pytest.mark.parametrize(
    ("prepare", "event"),
    [
        pytest.param(lambda run: run.fail(), Replied(at=2.0, reply=Reply(status=201)), id="an-answer-in-doubt"),
        pytest.param(lambda run: created(run), Started(at=2.0), id="starting-twice"),
    ],
)
def test_what_cannot_happen_in_a_state_is_refused_and_the_machine_goes_on(
    deploy: Begin, prepare: Callable[[Any], Any], event: Any
) -> None:
    run = deploy()
    prepare(run)
    before = run.snapshot
    with pytest.raises(UsageError) as refused:
        run.happen(event)

    assert refused.value.code == "AZM-C002"
    assert repr(run.state) in refused.value.message
    assert run.snapshot == before
    run.happen(Cancelled(at=3.0))
    assert run.reason == "cancelled"


def test_a_setting_nobody_knows_is_refused_and_nothing_moved(deploy: Begin) -> None:
    run = created(deploy()).cancel()
    with pytest.raises(UsageError) as refused:
        run.reopen(speed=5)

    assert refused.value.code == "AZM-U010"
    assert run.reason == "cancelled"


def test_a_snapshot_of_another_plan_is_refused(deploy: Begin, shipped_plan: Plan) -> None:
    with pytest.raises(IdentityError) as refused:
        Chart(shipped_plan).advance(deploy().snapshot, Cancelled(at=1.0))

    assert refused.value.code == "AZM-C001"


def test_advancing_changes_nothing_it_was_given(deploy: Begin) -> None:
    run = created(deploy())
    before, text = run.snapshot, run.snapshot.text()
    event = Replied(at=1010.0, reply=Reply(status=200, form="json", body={"status": {"state": "pending"}}))
    one, other = run.chart.advance(before, event), run.chart.advance(before, event)

    assert before.text() == text
    assert one.snapshot.text() == other.snapshot.text()
    assert one.record == other.record


def test_one_chart_serves_many_runs_in_turn(deploy: Begin, drive: Begin, user_inputs: dict[str, Any]) -> None:
    first = deploy()
    second = drive(first.plan, user_inputs, chart=first.chart)
    created(first)
    second.fail()
    first.endpoint("pending")
    third = created(drive(first.plan, user_inputs, chart=first.chart)).endpoint("running")
    first.endpoint("running")

    assert (first.state, second.state, third.state) == ("ready", "in_doubt", "ready")


# -- the record --------------------------------------------------------------------------------------------------------


def test_a_record_says_what_happened_and_why_guard_by_guard(deploy: Begin) -> None:
    run = created(deploy()).endpoint("running")
    record = run.records[-1]
    names = {one.id: one.name for one in run.plan.states}

    assert (names[record.source], names[record.target], record.kind) == ("created", "ready", "call.replied")
    assert [(one.label, one.truth) for one in record.guards] == [("stillStarting", False), ("ready", True)]
    assert "'running'" in record.guards[0].why
    assert record.outputs == {"state": "running", "inferenceUrl": None}
    assert record.effects == (Finish(reason="ended"),)
    assert isinstance(run.records[0].effects[0], Call)
    assert record.guards[-1].transition == record.transition


def test_a_record_of_no_answer_has_no_outputs(deploy: Begin) -> None:
    run = created(deploy()).fail()

    assert run.records[-1].outputs == {}
    assert run.cancel().records[-1].outputs == {}


# -- the library moves it ----------------------------------------------------------------------------------------------


class Heard:
    """A listener that writes down every transition the library makes."""

    def __init__(self) -> None:
        self.moves: list[tuple[str, str, str]] = []

    def after_transition(self, event: Any, source: Any, target: Any) -> None:
        self.moves.append((str(event), source.id, target.id))


def test_every_recorded_move_was_made_by_the_library(
    drive: Begin, user_plan: Plan, user_inputs: dict[str, Any]
) -> None:
    heard = Heard()
    run = created(drive(user_plan, user_inputs, listeners=[heard]))
    run.reply(503).endpoint("pending").cancel().reopen().endpoint("paused").reopen().endpoint("running")
    again = drive(user_plan, user_inputs, chart=run.chart)
    again.fail().reopen().resolve("not_sent").reply(401).reopen().reply(200).resolve("accept", reply=stored())
    records = [*run.records, *again.records]
    events = {
        "run.started": "e_started",
        "call.replied": "e_replied",
        "call.failed": "e_call_failed",
        "doubt.resolved": "e_resolved",
        "run.reopened": "e_reopened",
        "run.cancelled": "e_cancelled",
    }

    assert heard.moves == [(events[one.kind], one.source, one.target) for one in records]
    assert Counter(one.kind for one in records).keys() == events.keys()


def test_a_machine_whose_guards_are_gone_goes_elsewhere(
    drive: Begin, user_plan: Plan, user_inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unguarded(plan: Plan, digest: str) -> type[StateChart[Any]]:
        return compile_class(
            replace(plan, transitions=tuple(replace(one, guard=Guard()) for one in plan.transitions)), digest
        )

    assert created(drive(user_plan, user_inputs)).state == "created"
    monkeypatch.setattr(module, "compile_class", unguarded)

    assert created(drive(user_plan, user_inputs)).state == "in_doubt", "the first transition is taken"


def test_a_machine_that_does_not_move_is_a_bug_and_not_a_guess(
    drive: Begin, user_plan: Plan, user_inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = drive(user_plan, user_inputs)
    monkeypatch.setattr(run.chart.machine_class, "send", lambda *_, **__: None)
    with pytest.raises(BugError) as refused:
        created(run)

    assert refused.value.code == "AZM-B003"


def test_a_guard_that_raises_is_not_taken_for_one_that_does_not_hold(
    drive: Begin, user_plan: Plan, user_inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = drive(user_plan, user_inputs)
    before = run.snapshot
    with monkeypatch.context() as patched:
        patched.setattr(module.Judgement, "holds", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            created(run)

    assert run.snapshot == before
    assert created(run).state == "created", "and the machine still works"


def test_the_class_shows_the_documents_names_and_uses_none(user_plan: Plan) -> None:
    chart = Chart(user_plan)
    machine = chart.machine_class()

    assert [state.name for state in machine.states] == [one.name for one in user_plan.states]
    assert [state.id for state in machine.states] == [one.id for one in user_plan.states]
    assert machine.configuration_values == {"s_0"}


AWKWARD = ["send", "states", "model", "__init__", "current_state", "e_replied", "s_0", "on_transition", "é", "a b"]


@pytest.mark.parametrize("name", AWKWARD)
def test_a_step_with_any_name_runs(drive: Begin, built: Callable[..., Plan], name: str) -> None:
    back = action(name, "goto", "$statusCode == 202", stepId=name)
    run = drive(built([step(name, onSuccess=[back, action(name, "end")]), step("unreached")]))

    assert (run.state, run.pending.step) == (name, name)
    assert run.reply(202).reply(200).reason == "ended"


# -- what an expression can see ----------------------------------------------------------------------------------------


def test_a_guard_may_look_at_what_was_sent_and_at_its_own_outputs(drive: Begin, built: Callable[..., Plan]) -> None:
    seen = [
        action("query", "end", "$request.query.q == 'x'", "$request.header.X-Tag == 'y'", "$request.path.id == 'one'"),
        action("other", "end"),
    ]
    parameters = [{"name": "q", "in": "query", "value": "$inputs.q"}, {"name": "X-Tag", "in": "header", "value": "y"}]
    plan = built([step("a", parameters=parameters, onSuccess=seen)], inputs={"q": {"type": "string"}})

    assert drive(plan, {"q": "x"}).reply().state == "query"
    assert drive(plan, {"q": "z"}).reply().state == "other"
    body = built(
        [
            step(
                "a",
                "makeThing",
                requestBody={"contentType": "application/json", "payload": {"n": 5}},
                outputs={
                    "sent": "$request.body#/n",
                    "at": "$url",
                    "by": "$method",
                    "from": "$sourceDescriptions.things.url",
                },
                onSuccess=[action("mine", "end", "$steps.a.outputs.sent == 5")],
            )
        ]
    )
    run = drive(body).reply(201)

    assert run.state == "mine"
    assert run.snapshot.frame.steps["a"] == {
        "sent": 5,
        "at": "https://things.example/v1",
        "by": "POST",
        "from": "things.json",
    }


def test_headers_are_seen_without_regard_to_case(drive: Begin, built: Callable[..., Plan]) -> None:
    plan = built([step("a", outputs={"where": "$response.header.LOCATION"})])

    assert drive(plan).reply(200, headers={"location": "/x"}).snapshot.frame.steps["a"] == {"where": "/x"}


def test_a_secret_in_a_path_is_shown_by_name_in_the_ledger(drive: Begin, built: Callable[..., Plan]) -> None:
    parameters = [{"name": "id", "in": "path", "value": "$inputs.token"}]
    run = drive(
        built([step("a", "patchThing", parameters=parameters)], inputs={"token": {}}), {"token": SecretRef("t")}
    )

    assert run.snapshot.ledger[0].request == "PATCH /things/[secret t]"
    assert redact(run.pending.request.target) == "/things/[secret t]"
