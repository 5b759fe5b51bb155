"""What is done about doubt: the look before the first send, probes, adoption, keys, and sending again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machine.chart.events import Reply
from machine.chart.settings import Settings
from machine.plan.model import Plan
from machine.values import redact

Begin = Callable[..., Any]

OURS = {"name": "my-endpoint", "model": {"repository": "gpt2"}, "provider": {"region": "us-east-1"}}


def record(state: str = "pending", **other: Any) -> dict[str, Any]:
    return {**OURS, **other, "status": {"state": state, "url": None}}


@pytest.fixture
def begin(drive: Any, shipped_plan: Plan, user_inputs: dict[str, Any]) -> Begin:
    """The shipped workflow, begun; its first look is pending."""

    def start(**settings: Any) -> Any:
        return drive(shipped_plan, user_inputs, settings=Settings(poll_interval=4.0, **settings))

    return start


@pytest.fixture
def sent(begin: Begin) -> Begin:
    """The same after the look before the first send found nothing; the create is pending."""
    return lambda **settings: begin(**settings).reply(404, {"error": "Endpoint not found"})


# -- the look before the first send ------------------------------------------------------------------------------------


def test_a_create_that_can_be_looked_for_is_looked_for_before_it_is_first_sent(begin: Begin) -> None:
    run = begin()

    assert (run.pending.purpose, run.pending.kind, run.pending.request.method) == ("look", "safe", "GET")
    assert redact(run.pending.request.target) == "/endpoint/acme/my-endpoint"
    assert run.snapshot.ledger == ()


@pytest.mark.parametrize(
    ("look", "absent"),
    [
        pytest.param(lambda run: run.reply(404, {"error": "no"}), True, id="not-there"),
        pytest.param(lambda run: run.reply(200, record()), False, id="there"),
        pytest.param(lambda run: run.reply(500), None, id="no-telling"),
        pytest.param(lambda run: run.fail("unknown"), None, id="no-answer"),
        pytest.param(lambda run: run.fail("not_sent", "refused"), None, id="not-sent"),
    ],
)
def test_the_look_never_changes_what_is_sent_and_is_remembered(begin: Begin, look: Any, absent: bool | None) -> None:
    run = look(begin())

    assert (run.last, run.state, run.pending.purpose, run.pending.request.method) == (
        "looked before",
        "createEndpoint",
        "call",
        "POST",
    )
    assert run.snapshot.frame.absent == {"createEndpoint": absent}
    assert run.snapshot.frame.steps == {}
    assert run.outcomes == ["unknown"]


def test_what_was_looked_for_is_forgotten_once_the_step_is_left(sent: Begin) -> None:
    run = sent().reply(201, record())

    assert (run.state, run.snapshot.frame.absent) == ("created", {})


# -- doubt that is probed ----------------------------------------------------------------------------------------------

UNKNOWN = [
    pytest.param(lambda run: run.fail("unknown", "reset"), id="no-answer"),
    pytest.param(lambda run: run.reply(500, {"error": "x"}), id="500"),
    pytest.param(lambda run: run.reply(408), id="408"),
    pytest.param(lambda run: run.reply(503), id="503-without-retry-after"),
    pytest.param(lambda run: run.reply(201, form="undecodable"), id="unreadable"),
]


@pytest.mark.parametrize("lose", UNKNOWN)
def test_what_a_probe_finds_and_matches_is_adopted_with_the_documents_own_outputs(sent: Begin, lose: Any) -> None:
    run = lose(sent())

    assert (run.state, run.pending.purpose, run.pending.kind) == ("in_doubt", "probe", "safe")

    run.reply(200, record("initializing"))

    assert (run.state, run.last, run.outcomes) == ("created", "created", ["applied"])
    assert run.snapshot.frame.steps["createEndpoint"] == {
        "endpointName": "my-endpoint",
        "initialState": "initializing",
    }
    assert run.snapshot.ledger[0].identity == {"endpointName": "my-endpoint", "initialState": "initializing"}


def test_a_503_that_names_a_time_is_a_definite_no(sent: Begin) -> None:
    run = sent().reply(503, headers={"retry-after": "3"})

    assert (run.state, run.reason, run.outcomes) == ("failed", "broke", ["not_applied"])


@pytest.mark.parametrize(
    ("other", "pointer"),
    [
        pytest.param({"model": {"repository": "bert"}}, "/model/repository is 'bert'", id="differs"),
        pytest.param({"provider": {}}, "/provider/region is", id="lacks"),
    ],
)
def test_what_differs_from_what_was_sent_is_never_adopted(sent: Begin, other: Any, pointer: str) -> None:
    run = sent().fail().reply(200, record(**other))

    assert (run.state, run.reason, run.outcomes) == ("in_doubt", "in_doubt", ["unknown"])
    assert any(pointer in verdict.why for verdict in run.records[-1].guards)


@pytest.mark.parametrize("status", [200, 500], ids=["it-was-there", "nobody-knows"])
def test_what_may_have_been_there_before_is_not_adopted_unless_allowed(begin: Begin, status: int) -> None:
    held = begin().reply(status, record()).fail().reply(200, record())
    allowed = begin(adopt_existing=True).reply(status, record()).fail().reply(200, record())

    assert (held.state, held.reason) == ("in_doubt", "in_doubt")
    assert (allowed.state, allowed.reason, allowed.outcomes) == ("created", "", ["applied"])


def test_absence_does_not_count_until_late_application_is_ruled_out(sent: Begin) -> None:
    run = sent(settle=10.0).fail(took=1.0)
    first = run.pending.number
    run.reply(404, took=1.0)

    assert (run.state, run.last, run.pending.purpose) == ("in_doubt", "not there yet", "probe")
    assert run.pending.delay == 4.0

    run.reply(404, took=1.0)

    # 7 of 10 seconds are gone: the last wait is no longer than the rest.
    assert run.pending.delay == 3.0

    run.reply(404, took=0.5)

    assert (run.state, run.last, run.pending.request.method) == ("createEndpoint", "not there", "POST")
    assert run.outcomes == ["not_applied", "unknown"]
    assert run.pending.number > first


def test_what_is_applied_late_is_found_while_absence_does_not_count(sent: Begin) -> None:
    run = sent().fail().reply(404).reply(404).reply(200, record())

    assert (run.state, run.outcomes) == ("created", ["applied"])


def test_a_probe_without_a_usable_answer_is_repeated_and_then_given_up(sent: Begin) -> None:
    run = sent().fail()
    for _ in range(5):
        run.reply(502)
        assert (run.state, run.last) == ("in_doubt", "tolerated")
    run.reply(502)

    assert (run.state, run.reason, run.outcomes) == ("in_doubt", "in_doubt", ["unknown"])
    assert run.reopen().pending.purpose == "probe"


def test_a_probe_whose_credential_is_refused_stops_for_a_new_one(sent: Begin) -> None:
    run = sent().fail().reply(401)

    assert (run.state, run.reason) == ("in_doubt", "credential")
    assert run.reopen().pending.purpose == "probe"


def test_the_deadline_ends_a_search_that_finds_nothing(sent: Begin) -> None:
    run = sent(deadline=8.0).fail()
    for _ in range(4):
        if run.snapshot.pending:
            run.reply(404, took=0.5)

    assert (run.state, run.reason, run.outcomes) == ("in_doubt", "deadline", ["unknown"])


def test_a_probe_is_no_answer_of_the_step(sent: Begin) -> None:
    run = sent().fail().reply(404)

    assert "createEndpoint" not in run.snapshot.frame.steps
    assert run.records[-1].outputs == {}


def test_an_absence_counts_from_when_the_look_left_and_not_from_when_its_answer_came(sent: Begin) -> None:
    run = sent(settle=60.0).fail()
    run.reply(404, took=90.0)

    assert (run.last, run.pending.purpose) == ("not there yet", "probe")
    assert run.reply(404).last == "not there"


# -- conflicts ---------------------------------------------------------------------------------------------------------


def test_a_conflict_on_a_first_attempt_is_somebody_elses(sent: Begin) -> None:
    run = sent().reply(409, {"error": "exists"})

    assert (run.state, run.reason, run.outcomes) == ("failed", "broke", ["not_applied"])


def test_a_conflict_may_be_adopted_when_it_matches(begin: Begin) -> None:
    run = begin(adopt_existing=True).reply(200, record("running")).reply(409).reply(200, record("running"))

    assert (run.state, run.outcomes) == ("created", ["applied"])


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(200, record(model={"repository": "bert"}), id="differs"),
        pytest.param(404, {"error": "no"}, id="quota"),
    ],
)
def test_a_conflict_that_is_not_ours_fails(begin: Begin, status: int, body: Any) -> None:
    run = begin(adopt_existing=True).reply(404).reply(409).reply(status, body)

    assert (run.state, run.reason, run.outcomes) == ("failed", "broke", ["not_applied"])
    assert "answered 409, and it is not ours" in run.message


def test_a_conflict_after_a_doubt_is_probed(sent: Begin) -> None:
    run = sent().fail().resolve("reissue").reply(409)

    assert (run.state, run.pending.purpose) == ("in_doubt", "probe")
    assert run.reply(200, record()).state == "created"


# -- policies ----------------------------------------------------------------------------------------------------------


def test_a_run_may_be_told_to_hold_what_its_document_would_probe(sent: Begin) -> None:
    run = sent(on_doubt="hold").fail()

    assert (run.state, run.reason) == ("in_doubt", "in_doubt")
    assert run.reopen(on_doubt="probe").pending.purpose == "probe"


def test_a_policy_that_was_not_declared_holds(drive: Any, user_plan: Plan, user_inputs: dict[str, Any]) -> None:
    for policy in ("probe", "reissue"):
        run = drive(user_plan, user_inputs, settings=Settings(on_doubt=policy)).fail()

        assert (run.state, run.reason) == ("in_doubt", "in_doubt")


def test_doubt_may_be_taken_for_failure(drive: Any, user_plan: Plan, user_inputs: dict[str, Any]) -> None:
    run = drive(user_plan, user_inputs, settings=Settings(on_doubt="fail")).fail()

    assert (run.state, run.reason, run.outcomes) == ("failed", "broke", ["unknown"])


KEYED = {
    "stepId": "m",
    "operationId": "makeThing",
    "x-machine": {"effect": {"onDoubt": "reissue", "idempotencyKey": {"name": "X-Key", "window": "60s"}}},
}


def key(run: Any) -> str:
    return str(dict(run.pending.request.headers)["X-Key"])


def test_a_call_is_sent_again_under_the_same_key_until_its_fate_is_known(
    drive: Any, built: Callable[..., Plan]
) -> None:
    run = drive(built([KEYED]))
    first = key(run)
    run.fail()

    assert (run.last, run.state, key(run), run.outcomes) == ("send again", "m", first, ["unknown"])

    run.fail().reply(201, {"id": 1})

    assert (run.reason, run.outcomes) == ("completed", ["applied"])


def test_a_definite_no_ends_a_key(drive: Any, built: Callable[..., Plan]) -> None:
    again = {"name": "again", "type": "retry", "retryLimit": 2, "retryAfter": 1}
    run = drive(built([{**KEYED, "onFailure": [again]}]))
    first = key(run)
    run.reply(429)

    assert run.outcomes == ["not_applied", "unknown"]
    assert key(run) != first


@pytest.mark.parametrize(
    ("answer", "last"),
    [
        pytest.param(lambda run: run.reply(503, headers={"retry-after": "1"}), "send again", id="503"),
        pytest.param(lambda run: run.reply(429), "send again", id="429"),
        pytest.param(lambda run: run.reply(500), "send again", id="500"),
        pytest.param(lambda run: run.fail("not_sent", "refused"), "send again", id="not-sent"),
        pytest.param(lambda run: run.reply(401), "in doubt", id="401"),
        pytest.param(lambda run: run.reply(409), "in doubt", id="409"),
        pytest.param(lambda run: run.reply(422), "in doubt", id="422"),
    ],
)
def test_a_no_to_a_call_that_is_sent_again_says_nothing_of_the_first(
    drive: Any, built: Callable[..., Plan], answer: Any, last: str
) -> None:
    run = drive(built([KEYED]))
    first = key(run)
    answer(run.fail())

    assert (run.last, run.outcomes) == (last, ["unknown"])
    if last == "send again":
        assert key(run) == first
    else:
        assert run.reason == "in_doubt"
        assert run.reopen().reason == "in_doubt"
        assert key(run.resolve("reissue")) == first


def test_a_call_that_waits_to_be_sent_again_keeps_its_key_when_it_is_taken_up(
    drive: Any, built: Callable[..., Plan]
) -> None:
    run = drive(built([KEYED]))
    first = key(run)
    run.fail().reopen(deadline=60.0)

    assert (key(run), run.pending.again, run.outcomes) == (first, True, ["unknown"])


def test_an_answer_of_500_is_sent_again_under_its_key(drive: Any, built: Callable[..., Plan]) -> None:
    run = drive(built([KEYED]))
    first = key(run)

    assert (run.reply(500).last, key(run), run.outcomes) == ("send again", first, ["unknown"])


def test_a_key_that_is_too_old_to_be_honoured_holds(drive: Any, built: Callable[..., Plan]) -> None:
    run = drive(built([KEYED])).fail(took=61.0)

    assert (run.state, run.reason) == ("in_doubt", "in_doubt")


def test_two_runs_never_share_a_key(drive: Any, built: Callable[..., Plan]) -> None:
    from machine.chart.events import Started

    plan = built([KEYED])
    keys = set()
    for nonce in ("00", "01"):
        run = drive(plan, start=False)
        run.happen(Started(at=1.0, nonce=nonce))
        keys.add(key(run))

    assert len(keys) == 2


# -- settling by hand --------------------------------------------------------------------------------------------------


def test_a_doubt_is_settled_with_the_reply_a_look_brought(sent: Begin) -> None:
    run = sent(on_doubt="hold").fail()
    run.resolve("adopt", reply=Reply(status=200, body=record("running"), form="json"))

    assert (run.state, run.outcomes) == ("created", ["applied"])
    assert run.snapshot.frame.steps["createEndpoint"]["endpointName"] == "my-endpoint"


def test_a_call_that_is_sent_again_on_request_leaves_the_first_in_doubt(sent: Begin) -> None:
    run = sent(on_doubt="hold").fail().resolve("reissue")

    assert (run.state, run.pending.request.method, run.pending.intended) == ("createEndpoint", "POST", False)
    assert run.outcomes == ["unknown", "unknown"]
