from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machine.chart.events import Reply
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


RETRYING = make_then_poll(onFailure=[action("again", "retry", retryLimit=5)])


def test_a_document_may_retry_a_create_that_was_refused_but_not_one_that_may_have_been_applied(
    drive: Begin, built: Callable[..., Plan]
) -> None:
    plan = built(RETRYING)
    refused, unsent = drive(plan).reply(429), drive(plan).fail("not_sent")

    assert (refused.pending.step, refused.outcomes) == ("m", ["not_applied", "unknown"])
    assert (unsent.pending.step, unsent.outcomes) == ("m", ["not_applied", "unknown"])
    for run in (drive(plan).reply(500), drive(plan).reply(408), drive(plan).fail("unknown")):
        assert (run.reason, run.outcomes) == ("in_doubt", ["unknown"])
        run.reopen()
        assert (run.state, run.reason) == ("in_doubt", "in_doubt")
        assert run.resolve("not_sent").outcomes == ["not_applied", "unknown"]


@pytest.mark.parametrize("policy", ["hold", "fail", "probe", "reissue"])
def test_no_policy_lets_a_retry_or_a_way_back_send_a_doubtful_create_again(
    drive: Begin, built: Callable[..., Plan], policy: Any
) -> None:
    back = action("back", "goto", stepId="m")
    retrying = built(RETRYING)
    returning = built(
        [step("m", "makeThing", onFailure=[action("on", "goto", stepId="g")]), step("g", onSuccess=[back])]
    )
    retried = drive(retrying, settings=Settings(on_doubt=policy)).fail("unknown")
    returned = drive(returning, settings=Settings(on_doubt=policy)).reply(500).reply(200)

    assert (retried.reason, retried.outcomes) == ("in_doubt", ["unknown"])
    assert (returned.reason, returned.outcomes) == ("in_doubt", ["unknown"])
    assert returned.message == "nobody knows whether m was applied, and g leads back to it"
    assert returned.resolve("not_sent").pending.step == "m"


def test_a_doubt_that_is_taken_for_a_failure_is_still_no_reason_to_lose_what_was_made(deploy: Begin) -> None:
    for answer in ({"form": "undecodable"}, {"body": {"status": {"state": "pending"}}}):
        run = deploy(settings=Settings(on_doubt="fail")).reply(201, **answer)

        assert (run.state, run.reason, run.outcomes) == ("in_doubt", "in_doubt", ["applied"])
        assert run.resolve("adopt", endpointName="my-endpoint").state == "created"


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
