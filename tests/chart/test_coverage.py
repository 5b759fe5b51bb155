"""Answers nobody thought of, as findings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from machine.chart.coverage import uncovered
from machine.document.findings import Finding
from machine.plan.build import build_plan
from machine.sources.description import Description

BODY = {
    "content": {"application/json": {"schema": {"properties": {"state": {"enum": ["new", "busy", "done", "lost"]}}}}}
}


@pytest.fixture
def told(describe_things: Callable[..., Description]) -> Callable[..., list[Finding]]:
    def find(step: dict[str, Any], responses: dict[str, Any], *more: dict[str, Any], **workflow: Any) -> list[Finding]:
        operations = {"get": {"operationId": "getX", "responses": responses}, "delete": {"operationId": "deleteX"}}
        paths = {"/x/{id}": operations}
        step = {"stepId": "s", "operationId": "getX", **step}
        described = describe_things([step, *more], workflow=workflow, api={"openapi": "3.1.0", "paths": paths})
        return list(uncovered(described, build_plan(described)))

    return find


@pytest.fixture
def findings(told: Callable[..., list[Finding]]) -> Callable[..., list[str]]:
    """What is said of values and statuses that are known to match nothing."""

    def find(step: dict[str, Any], responses: dict[str, Any], **workflow: Any) -> list[str]:
        return [one.message for one in told(step, responses, **workflow) if one.code == "AZM-L010"]

    return find


def actions(*states: str) -> list[dict[str, Any]]:
    return [
        {
            "name": state,
            "type": "goto" if state == "busy" else "end",
            **({"stepId": "s"} if state == "busy" else {}),
            "criteria": [{"condition": f"$response.body#/state == '{state}'"}],
        }
        for state in states
    ]


def test_listed_values_that_match_nothing_are_named(findings: Any) -> None:
    assert findings({"onSuccess": actions("busy", "done")}, {"200": BODY}) == [
        "2 of 4 values of /state match no action of s: new, lost; then the run fails"
    ]


@pytest.mark.parametrize(
    ("step", "workflow"),
    [
        ({"onSuccess": actions("busy", "done", "new", "lost")}, {}),
        ({"onSuccess": actions("busy")}, {}),
        ({}, {}),
        ({"onSuccess": actions("busy", "done"), "x-machine": {"unmatched": "fail"}}, {}),
        ({"onSuccess": actions("busy", "done")}, {"x-machine": {"unmatched": "end"}}),
    ],
    ids=["all spoken of", "a loop left by matching nothing", "no actions", "decided", "decided for the workflow"],
)
def test_what_is_spoken_of_or_decided_is_no_finding(findings: Any, step: Any, workflow: Any) -> None:
    assert findings(step, {"200": BODY}, **workflow) == []


def test_a_declared_success_no_action_speaks_of_is_named(findings: Any) -> None:
    step = {"onSuccess": [{"name": "made", "type": "end", "criteria": [{"condition": "$statusCode == 201"}]}]}

    assert findings(step, {"200": {}, "201": {}, "404": {}}) == [
        "GET /x/{id} may answer 200, and no action of s applies; then the run fails"
    ]


@pytest.mark.parametrize(
    "conditions",
    [
        ["$response.body#/state == 'new' && $inputs.mode == 'fast'", "$response.body#/state == 'new'"],
        ["$response.body#/state == 'new' && $inputs.who == 'me'"],
        ["$response.body#/state == 'new' && $response.header.X-Name == 'me'"],
    ],
    ids=["an input that is listed", "an input that is not", "a header"],
)
def test_what_depends_on_more_than_the_answer_is_no_finding(findings: Any, conditions: list[str]) -> None:
    more = [
        {"name": f"m{number}", "type": "end", "criteria": [{"condition": one}]} for number, one in enumerate(conditions)
    ]
    inputs = {"type": "object", "required": ["mode"], "properties": {"mode": {"enum": ["fast", "slow"]}, "who": {}}}

    assert findings({"onSuccess": [*actions("busy", "done", "lost"), *more]}, {"200": BODY}, inputs=inputs) == []


def test_null_and_values_that_are_the_body_are_values_too(findings: Any) -> None:
    listed = {"content": {"application/json": {"schema": {"enum": ["x", "y", None]}}}}
    step = {"onSuccess": [{"name": "d", "type": "end", "criteria": [{"condition": "$response.body == 'x'"}]}]}

    assert findings(step, {"200": listed}) == [
        "2 of 3 values of the body match no action of s: y, null; then the run fails"
    ]


def ends(*conditions: str) -> dict[str, Any]:
    return {
        "onSuccess": [
            {"name": f"e{number}", "type": "end", "criteria": [{"condition": one}]}
            for number, one in enumerate(conditions)
        ]
    }


AGAIN = {"name": "again", "type": "goto", "stepId": "s", "criteria": [{"condition": "$response.body#/n == 1"}]}
MAY_END: list[Any] = [
    pytest.param(ends("$response.body#/x == 1"), {}, ["L031"], id="ends by a condition alone"),
    pytest.param({}, {"successActions": ends("$response.body#/x == 1")["onSuccess"]}, ["L031"], id="for all steps"),
    pytest.param(ends("$response.body#/x == 1", "$response.body#/x != 1"), {}, [], id="a condition and its opposite"),
    pytest.param(ends("$statusCode == 200"), {}, [], id="every success there is"),
    pytest.param(ends("$response.body#/state == 'new'"), {}, ["L010"], id="values that are listed"),
    pytest.param({**ends("$response.body#/x == 1"), "x-machine": {"unmatched": "fail"}}, {}, [], id="decided"),
    pytest.param({"onSuccess": [AGAIN, *ends("$response.body#/x == 1")["onSuccess"]]}, {}, [], id="a loop"),
    pytest.param({}, {}, [], id="no actions"),
]


@pytest.mark.parametrize(("step", "workflow", "codes"), MAY_END)
def test_a_success_that_may_match_nothing_is_told(told: Any, step: Any, workflow: Any, codes: list[str]) -> None:
    found = told(step, {"200": BODY, "404": {}}, **workflow)

    assert [one.code.removeprefix("AZM-") for one in found] == codes


def test_a_step_that_is_never_reached_because_of_it_is_named(told: Any) -> None:
    (found,) = told(ends("$response.body#/x == 1"), {"200": {}}, {"stepId": "t", "operationId": "deleteX"})

    assert found.code == "AZM-L031"
    assert "t, which is next by position, is never reached; the run fails" in found.message


@pytest.mark.parametrize(("more", "codes"), [({}, ["AZM-L031"]), ({"x-machine": {"unmatched": "end"}}, [])])
def test_a_step_that_runs_a_workflow_may_match_nothing_too(
    describe_things: Callable[..., Description], more: Any, codes: list[str]
) -> None:
    call = {"stepId": "s", "operationId": "getThing"}
    description = describe_things([call, {"stepId": "r", "workflowId": "w", **ends("$outputs.x == 1"), **more}])

    assert [one.code for one in uncovered(description, build_plan(description))] == codes


def test_values_are_shown_as_the_document_writes_them(findings: Any) -> None:
    listed = {"content": {"application/json": {"schema": {"properties": {"x": {"enum": [True, 1, "a"]}}}}}}

    assert findings(ends("$response.body#/x == 'a'"), {"200": listed}) == [
        "2 of 3 values of /x match no action of s: true, 1; then the run fails"
    ]


def test_the_document_as_people_write_it_leaves_five_of_eight_values(
    described: Callable[..., Description], user_document: Path
) -> None:
    description = described(user_document)
    found = uncovered(description, build_plan(description))

    assert [(one.code, one.place.line, one.message[:18]) for one in found] == [("AZM-L010", 74, "5 of 8 values of /")]
