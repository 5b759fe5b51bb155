from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from machine.chart.chart import Chart
from machine.chart.events import CallFailed, Event, Reopened, Replied, Reply, Resolved
from machine.chart.judge import TROUBLED, Judgement
from machine.errors import BugError
from machine.plan.model import FACTS, Guard, Plan, Transition

Judge = Callable[..., Judgement]


@pytest.fixture
def judge(drive: Callable[..., Any], user_plan: Plan, user_inputs: Mapping[str, Any]) -> Judge:
    """``judge(step, event, **frame)``: the judgement of an event in a state that makes this step's call."""

    def make(step: str, event: Event, **frame: Any) -> Judgement:
        run = drive(user_plan, user_inputs)
        if step == "pollStatus":
            run.endpoint("pending", 201)
        snapshot = run.snapshot.with_frame(replace(run.snapshot.frame, **frame))
        return Judgement.of(user_plan, snapshot, event, user_plan.calls[step], sees_request=False)

    return make


def rule(*facts: str, **fields: Any) -> Transition:
    return Transition(
        id="t_x", source="s", target="s", on=("replied",), label="x", rule="x", guard=Guard(facts=facts), **fields
    )


def replied(status: int, body: Any = None, form: Any = None, **headers: str) -> Replied:
    form = form or ("empty" if body is None else "json")
    return Replied(at=2000.0, reply=Reply(status=status, body=body, form=form, headers=headers))


FAILED, UNSENT = (CallFailed(at=2000.0, fate=fate, cause="reset") for fate in ("unknown", "not_sent"))
NOT_SENT, ADOPT = (Resolved(at=2000.0, choice=choice) for choice in ("not_sent", "adopt"))
REOPENED = Reopened(at=2000.0)
CREATE, POLL = "createEndpoint", "pollStatus"

TRUTHS: list[tuple[str, str, Event, bool, str]] = [
    ("held", CREATE, replied(201), True, "$statusCode was 201"),
    ("held", CREATE, replied(200), False, "success criterion not met"),
    ("held", CREATE, FAILED, False, "no whole answer arrived (reset)"),
    ("held", CREATE, ADOPT, True, "$statusCode was 201"),
    ("held", CREATE, NOT_SENT, False, "nothing was answered"),
    ("!held", CREATE, replied(409), True, "$statusCode was 409"),
    ("!held", CREATE, replied(201), False, "$statusCode was 201"),
    ("doubtful", CREATE, FAILED, True, "no whole answer arrived"),
    ("doubtful", CREATE, UNSENT, False, "the request was not sent"),
    ("doubtful", CREATE, replied(201, form="undecodable"), True, "a body that cannot be read"),
    ("doubtful", CREATE, replied(500, form="undecodable"), False, "answered 500"),
    ("doubtful", CREATE, replied(201, {}), True, "without endpointName"),
    ("troubled", POLL, FAILED, True, "0 of 5 tolerated"),
    ("troubled", POLL, replied(200, form="undecodable"), True, "cannot be read"),
    ("troubled", POLL, replied(404), False, "answered 404"),
    ("spent", POLL, replied(503), False, "0 of 5 tolerated"),
    ("refused", CREATE, replied(401), True, "answered 401"),
    ("refused", POLL, replied(403), True, "answered 403"),
    ("refused", CREATE, replied(404), False, "answered 404"),
    ("refused", CREATE, FAILED, False, "no whole answer"),
    ("applied", CREATE, REOPENED, False, "has not left yet"),
    ("applied", POLL, REOPENED, False, ""),
    ("not_sent", CREATE, NOT_SENT, True, "settled as not sent"),
    ("not_sent", CREATE, ADOPT, False, "settled as sent"),
    ("adopted", CREATE, ADOPT, True, "settled as applied"),
    ("adopted", CREATE, NOT_SENT, False, "not settled as applied"),
]


@pytest.mark.parametrize(
    ("fact", "step", "event", "truth", "why"),
    TRUTHS,
    ids=[f"{fact}-{step}-{event.name}-{truth}" for fact, step, event, truth, _ in TRUTHS],
)
def test_a_fact_is_decided_with_a_reason(
    judge: Judge, fact: str, step: str, event: Event, truth: bool, why: str
) -> None:
    found, reason = judge(step, event).fact(fact, rule(fact))

    assert found is truth
    assert why in reason


@pytest.mark.parametrize("status", sorted(TROUBLED))
def test_the_statuses_that_say_not_now_are_trouble(judge: Judge, status: int) -> None:
    assert judge(POLL, replied(status)).trouble() == (True, f"answered {status}")


@pytest.mark.parametrize(
    ("used", "troubled", "spent"), [(0, True, False), (4, True, False), (5, False, True), (9, False, True)]
)
def test_trouble_is_tolerated_until_it_is_spent(judge: Judge, used: int, troubled: bool, spent: bool) -> None:
    judgement = judge(POLL, replied(503), troubles=used)

    assert judgement.fact("troubled", rule())[0] is troubled
    assert judgement.fact("spent", rule()) == (spent, f"answered 503, {used} of 5 tolerated so far")


@pytest.mark.parametrize(("used", "limit", "left"), [(0, 1, True), (1, 1, False), (0, 0, False), (4, 5, True)])
def test_retries_are_counted_by_transition(judge: Judge, used: int, limit: int, left: bool) -> None:
    judgement = judge(POLL, replied(404), retries={"t_x": used, "t_other": 99})

    assert judgement.fact("retries", rule(retry_limit=limit)) == (left, f"{used} of {limit} retries used")


def test_every_fact_that_has_words_is_decided_and_no_other(judge: Judge) -> None:
    judgement = judge(POLL, replied(200, {}))
    for fact in FACTS:
        truth, why = judgement.fact(fact, rule(fact))

        assert isinstance(truth, bool)
        assert isinstance(why, str)
    with pytest.raises(BugError) as refused:
        judgement.fact("unheard_of", rule())

    assert refused.value.code == "AZM-B002"


@pytest.mark.parametrize("fact", [fact for fact in FACTS if not fact.startswith("!")])
def test_a_fact_turned_round_is_its_opposite_for_the_same_reason(judge: Judge, fact: str) -> None:
    judgement = judge(POLL, replied(503))
    truth, why = judgement.fact(fact, rule(fact))

    assert judgement.fact(f"!{fact}", rule(fact)) == (not truth, why)


def test_a_guard_stops_at_the_first_thing_that_does_not_hold_and_keeps_every_reason(
    judge: Judge, user_plan: Plan
) -> None:
    judgement = judge(POLL, replied(200, {"status": {"state": "running"}}))
    still, ready = (one for one in user_plan.leaving(user_plan.named("created").id) if one.rule == "action")

    assert judgement.holds(rule("held", "spent", "adopted")) is False
    assert judgement.holds(still) is False
    assert judgement.holds(ready) is True
    assert judgement.holds(rule()) is True
    assert [one.truth for one in judgement.verdicts] == [False, False, True, True]
    assert "adopted" not in judgement.verdicts[0].why
    assert judgement.verdicts[0].why.endswith("0 of 5 tolerated so far")
    assert "'running'" in judgement.verdicts[1].why
    assert judgement.verdicts[3].why == "nothing else applied"


def test_outputs_are_read_before_criteria_and_null_where_absent(judge: Judge) -> None:
    judgement = judge(POLL, replied(200, {"status": {"state": "x"}}))

    assert judgement.outputs == {"state": "x", "inferenceUrl": None}
    assert judgement.context.steps["pollStatus"] == judgement.outputs
    assert judgement.context.status == 200
    assert judgement.context.method == "GET"
    assert judge(POLL, FAILED).outputs == {}


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        pytest.param({}, {"state": "x" * 50, "inferenceUrl": "y"}, id="it-fits"),
        pytest.param({"createEndpoint": {"o": "z" * 99}}, {"state": None, "inferenceUrl": None}, id="beside-others"),
        pytest.param({"pollStatus": {"o": "z" * 400}}, {"state": "x" * 50, "inferenceUrl": "y"}, id="over-its-own"),
    ],
)
def test_outputs_that_outgrow_what_a_run_keeps_are_null(
    judge: Judge, monkeypatch: pytest.MonkeyPatch, kept: dict[str, Any], expected: dict[str, Any]
) -> None:
    monkeypatch.setattr("machine.chart.judge.MOST_KEPT", 350)

    answer = replied(200, {"status": {"state": "x" * 50, "url": "y"}})
    assert judge(POLL, answer, steps=kept).outputs == expected


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        pytest.param({"201": {}, "200": {}}, 200, id="the-lowest"),
        pytest.param({"202": {}, "404": {}, "2XX": {}, "default": {}}, 202, id="named-ones-only"),
        pytest.param({"2XX": {}}, 200, id="none-is-named"),
    ],
)
def test_adoption_tries_the_statuses_the_description_declares(
    judge: Judge, user_plan: Plan, drive: Callable[..., Any], declared: dict[str, Any], expected: int
) -> None:
    call = user_plan.calls[CREATE]
    call = replace(call, success=(), operation=replace(call.operation, responses=declared))
    snapshot = Chart(user_plan).begin()
    judgement = Judgement.of(user_plan, snapshot, ADOPT, call, sees_request=False)

    assert judgement.reply is not None
    assert judgement.reply.status == expected
    assert judgement.held[0]


def test_outputs_given_by_hand_win_over_those_of_the_stored_answer(judge: Judge) -> None:
    stored = Reply(status=200, form="json", body={"name": "old", "status": {"state": "s"}})
    event = Resolved(at=1.0, choice="accept", reply=stored, outputs={"endpointName": "new"})

    assert judge(CREATE, event).outputs == {"endpointName": "new", "initialState": "s"}
