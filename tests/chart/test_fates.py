"""What each answer the description declares would do, by asking the machine itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machine.chart import fates
from machine.chart.fates import fates_of, may_send_credential
from machine.plan.model import Plan

STATES = ["new", "busy", "done"]


def api(responses: dict[str, Any]) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {"title": "x", "version": "1"},
        "paths": {
            "/x/{id}": {"get": {"operationId": "getX", "responses": responses}, "post": {"operationId": "makeX"}}
        },
        "components": {
            "schemas": {
                "X": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string"},
                        "state": {"enum": STATES},
                        "sub": {
                            "type": "object",
                            "properties": {"ok": {"type": "boolean"}, "kind": {"enum": ["a", "b"]}},
                        },
                        "many": {"enum": list(range(150))},
                    },
                }
            }
        },
    }


def json_of(name: str) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}


def goto(name: str, step: str, *conditions: str) -> dict[str, Any]:
    return {"name": name, "type": "goto", "stepId": step, "criteria": [{"condition": one} for one in conditions]}


def end(name: str, *conditions: str) -> dict[str, Any]:
    return {"name": name, "type": "end", "criteria": [{"condition": one} for one in conditions]}


def told(plan: Plan, name: str = "") -> list[tuple[str, dict[str, Any], str]]:
    """(status, values, label) of every fate in a state."""
    state = plan.named(name) if name else plan.initial
    return [(one.answer.status, dict(one.answer.values), one.transition.label) for one in fates_of(plan)[state.id]]


def test_every_status_and_every_listed_value_has_a_fate(built: Callable[..., Plan]) -> None:
    plan = built(
        [
            {
                "stepId": "s",
                "operationId": "getX",
                "onSuccess": [
                    goto("again", "s", "$response.body#/state == 'busy'"),
                    end("yes", "$response.body#/state == 'done'"),
                ],
                "onFailure": [end("gone", "$statusCode == 404")],
            }
        ],
        api=api({"200": json_of("X"), "404": {}, "5XX": {}}),
    )

    assert told(plan) == [
        ("200", {"/state": "new"}, "unmatched"),
        ("200", {"/state": "busy"}, "again"),
        ("200", {"/state": "done"}, "yes"),
        ("404", {}, "gone"),
        ("500", {}, "tolerated"),
        ("502", {}, "tolerated"),
        ("503", {}, "tolerated"),
        ("504", {}, "tolerated"),
        ("5XX", {}, "broke"),
        ("2XX", {}, "again"),
        ("2XX", {}, "yes"),
        ("2XX", {}, "unmatched"),
        ("408", {}, "tolerated"),
        ("425", {}, "tolerated"),
        ("429", {}, "tolerated"),
        ("any other", {}, "broke"),
        ("no answer", {}, "tolerated"),
        ("not sent", {}, "tolerated"),
    ]
    assert set(fates_of(plan)) == {state.id for state in plan.states if state.kind == "call"}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("$response.body#/sub/ok == true", {"/sub/ok"}),
        ("$response.body.sub.kind == 'a' && $response.body#/sub/ok == true", {"/sub/kind", "/sub/ok"}),
        ("$steps.s.outputs.found == 'done'", {"/state"}),
        ("$response.header.X == 'state'", set()),
        ("$response.body#/id == 'state'", set()),
    ],
    ids=["boolean", "two members", "through an output", "not the body", "no listed values"],
)
def test_only_members_that_matter_are_varied(built: Callable[..., Plan], condition: str, expected: set[str]) -> None:
    plan = built(
        [
            {
                "stepId": "s",
                "operationId": "getX",
                "outputs": {"found": "$response.body#/state"},
                "onSuccess": [end("yes", condition)],
            }
        ],
        api=api({"200": json_of("X"), "default": {}}),
    )

    assert {pointer for _, values, _ in told(plan) for pointer in values} == expected


def test_jsonpath_guards_are_asked_as_well(built: Callable[..., Plan]) -> None:
    query = {"context": "$response.body", "condition": "$.state == 'done'", "type": "jsonpath"}
    step = {"stepId": "s", "operationId": "getX", "onSuccess": [{"name": "yes", "type": "end", "criteria": [query]}]}
    plan = built([step], api=api({"200": json_of("X")}))

    assert [label for status, _, label in told(plan) if status == "200"] == ["unmatched", "unmatched", "yes"]


def test_how_many_answers_are_tried_is_bounded(built: Callable[..., Plan]) -> None:
    condition = "$response.body#/many > 3 && $response.body#/state == 'done' && $response.body#/sub/ok == true"
    step = {"stepId": "s", "operationId": "getX", "onSuccess": [end("yes", condition)]}

    assert len(told(built([step], api=api({"200": json_of("X")})))) < 300


def test_long_conditions_are_judged_less_often(built: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[int] = []
    real = fates.Judgement.of

    def counting(*given: Any, **more: Any) -> Any:
        judged[-1] += 1
        return real(*given, **more)

    monkeypatch.setattr(fates.Judgement, "of", counting)
    monkeypatch.setattr(fates, "_MAX_JUDGED", 500)
    lengths = []
    for number in (8, 60):
        condition = " || ".join(f"($response.body#/m{at} == 'v' && $statusCode == {200 + at})" for at in range(number))
        actions = [end(f"x{at}", f"$response.body#/m{at} == 'w'") for at in range(20)]
        step = {"stepId": "a", "operationId": "getX", "successCriteria": [{"condition": condition}]}
        plan = built([{**step, "onSuccess": actions}], api=api({"200": json_of("X"), "4XX": {}}))
        judged.append(0)
        fates_of(plan)
        lengths.append(len(condition))

    assert 0 < judged[1] <= 500 // (1 + lengths[1] // 512)
    assert judged[1] < judged[0] <= 500


def test_what_the_description_leaves_unsaid_is_not_held_against_an_answer(built: Callable[..., Plan]) -> None:
    # Without an id in its answer what was made could not be found again, and the call would be in doubt.
    make = {
        "stepId": "make",
        "operationId": "makeX",
        "outputs": {"id": "$response.body#/id"},
    }
    look = {
        "stepId": "look",
        "operationId": "getX",
        "parameters": [{"name": "id", "in": "path", "value": "$steps.make.outputs.id"}],
    }
    described = api({})
    described["paths"]["/x/{id}"]["post"]["responses"] = {"201": {}, "202": json_of("X")}
    plan = built([make, look], api=described)

    assert [label for status, _, label in told(plan) if status in ("201", "202")] == ["next", "next"]


def test_a_stored_plan_no_longer_knows_schemas_and_still_has_fates(shipped_plan: Plan) -> None:
    again = Plan.from_json(shipped_plan.to_json())

    assert [status for status, values, _ in told(again) if not values][:3] == ["200", "201", "202"]


def test_a_retry_that_would_send_again_what_may_have_been_applied_is_told_as_held(built: Callable[..., Plan]) -> None:
    again = {"name": "again", "type": "retry", "retryAfter": 1}
    step = {"stepId": "s", "operationId": "makeX", "onFailure": [again]}
    paths = {"/x/{id}": {"post": {"operationId": "makeX", "responses": {"201": {}, "409": {}, "500": {}}}}}
    plan = built([step], api={**api({}), "paths": paths})
    fates = fates_of(plan)[plan.initial.id]

    assert [(one.answer.status, one.held) for one in fates if one.transition.label == "again"] == [
        ("409", False),
        ("500", True),
        ("408", True),
        ("503", True),
        ("503", False),
        ("5XX", True),
        ("any other", False),
        ("not sent", False),
    ]
    # A 503 that names a time to come back says that nothing was done.
    assert {one.depends for one in fates if one.answer.status == "503"} == {("the header retry-after",)}
    assert {one.to_json()["stop"] for one in fates if one.held} == {"in_doubt"}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([end("e")], {"dependsOn": ["b"]}, None),
        ([goto("j", "c")], {"dependsOn": ["b"]}, {"not ready"}),
        ([goto("j", "c", "$response.header.X == 'a'")], {"dependsOn": ["b"]}, {"200", "not ready"}),
        ([goto("j", "c")], {"dependsOn": ["a"]}, {"200"}),
        ([goto("j", "c")], {}, {"200"}),
    ],
    ids=["never reached", "jumped over", "may be jumped over", "always before", "no dependency"],
)
def test_a_step_whose_dependency_may_not_have_succeeded_may_not_be_ready(
    built: Callable[..., Plan], first: list[Any], second: dict[str, Any], expected: set[str] | None
) -> None:
    responses = {"200": {}}
    steps = [
        {"stepId": "a", "operationId": "getX", "onSuccess": first, "x-machine": {"unmatched": "next"}},
        {"stepId": "b", "operationId": "getX"},
        {"stepId": "c", "operationId": "getX", **second},
    ]
    plan = built(steps, api=api(responses), version="1.1.0")
    fates = {plan.state(state).step: {one.answer.status for one in each} for state, each in fates_of(plan).items()}

    assert ({"200", "not ready"} & fates["c"] if "c" in fates else None) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("$inputs.token", (True,)),
        ("$inputs.password", (True, False)),
        ("$steps.before.outputs.t", (True, False)),
        ("$inputs.plain", (False,)),
        ("text", (False,)),
    ],
)
def test_a_credential_is_refused_only_where_one_is_sent(
    built: Callable[..., Plan], value: str, expected: tuple[bool, ...]
) -> None:
    inputs = {
        "type": "object",
        "required": ["token"],
        "properties": {name: {"type": "string"} for name in ("token", "password", "plain")},
    }
    before = {"stepId": "before", "operationId": "getX", "outputs": {"t": "$response.body#/t"}}
    step = {"stepId": "s", "operationId": "getX", "parameters": [{"name": "X", "in": "header", "value": value}]}
    plan = built([before, step], api=api({"200": {}}), workflow={"inputs": inputs})
    refused = [one for one in fates_of(plan)[plan.named("s").id] if one.answer.status == "401"]

    assert may_send_credential(plan, plan.calls["s"]) == expected
    assert {one.transition.label for one in refused} == {
        (True,): {"credential refused"},
        (True, False): {"credential refused", "broke"},
        (False,): set(),
    }[expected]
    assert {one.depends for one in refused} <= {(), ("whether a credential is sent",)}
