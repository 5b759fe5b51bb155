"""What is allowed in a document and may not be what was meant: each rule alone, and what keeps it quiet."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from machine.document.findings import Finding
from machine.plan.build import build_plan
from machine.plan.inspect import inspect
from machine.runtime.evaluator import Evaluator
from machine.sources.description import Description, describe

Json = dict[str, Any]


def step(name: str, operation: str = "getThing", **fields: Any) -> Json:
    return {"stepId": name, "operationId": operation, **fields}


def goto(name: str, target: str, *conditions: str) -> Json:
    return {"name": name, "type": "goto", "stepId": target, **criteria(*conditions)}


def end(name: str, *conditions: str) -> Json:
    return {"name": name, "type": "end", **criteria(*conditions)}


def criteria(*conditions: str) -> Json:
    return {"criteria": [{"condition": one} for one in conditions]} if conditions else {}


def described(api: Json, *flows: Json, **fields: Any) -> Description:
    """A document of these workflows and fields."""
    document = {
        "arazzo": "1.0.1",
        "info": {"title": "t", "version": "1"},
        "sourceDescriptions": [{"name": "things", "url": "things.json"}],
        "workflows": flows,
        **fields,
    }
    texts = {"d.json": json.dumps(document).encode(), "things.json": json.dumps(api).encode()}
    return describe("d.json", read=texts.__getitem__)


@pytest.fixture
def found(describe_things: Callable[..., Description]) -> Callable[..., list[Finding]]:
    def find(*steps: Json, **options: Any) -> list[Finding]:
        description = describe_things(steps, **options)
        return list(inspect(description, build_plan(description), ask=Evaluator()))

    return find


def codes(findings: list[Finding]) -> list[str]:
    return [one.code.removeprefix("AZM-") for one in findings]


BY_PATTERN: Json = {"context": "$statusCode", "type": "regex"}
HELD: Json = {"x-machine": {"effect": {"onDoubt": "hold"}}}
PACED: Json = {"x-machine": {"poll": {"interval": "2s"}}}
LOOP = [goto("again", "s", "$response.body#/x == 1"), end("out", "$response.body#/x == 2")]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([step("s", successCriteria=[{"condition": "$statusCode == 200"}])], [], id="the-only-success"),
        pytest.param(
            [step("m", "makeThing", **HELD, successCriteria=[{"condition": "$statusCode == 201"}])],
            ["L011"],
            id="one-success-pinned",
        ),
        pytest.param(
            [step("m", "makeThing", **HELD, successCriteria=[{"condition": "$statusCode < 300"}])], [], id="all-pass"
        ),
        pytest.param(
            [step("m", "makeThing", **HELD, successCriteria=[{**BY_PATTERN, "condition": "^201$"}])],
            ["L011"],
            id="one-success-pinned-by-a-pattern",
        ),
        pytest.param(
            [step("s", successCriteria=[{"condition": "$statusCode == 418"}])], ["L019"], id="undeclared-status"
        ),
        pytest.param(
            [step("s", onFailure=[end("gone", "$statusCode == 404")])], ["L019"], id="undeclared-in-an-action"
        ),
        pytest.param(
            [step("p", "makePart", **HELD, onSuccess=[end("x", "$statusCode == 201")])], [], id="one-of-a-range"
        ),
        pytest.param([step("m", "makeThing")], ["L012"], id="no-policy-for-doubt"),
        pytest.param([step("m", "patchThing")], ["L012"], id="no-policy-for-a-patch"),
        pytest.param([step("m", "putThing"), step("d", "deleteThing")], [], id="idempotent-calls-need-none"),
        pytest.param(
            [step("m", "makeThing", **{"x-machine": {"effect": {"kind": "safe"}}})],
            [],
            id="a-post-that-changes-nothing",
        ),
        pytest.param([step("s", onSuccess=LOOP)], ["L013"], id="loop-without-a-pace"),
        pytest.param([step("s", **PACED, onSuccess=LOOP)], [], id="loop-with-a-pace"),
        pytest.param(
            [
                step("m", "makeThing", **HELD),
                step("s", onSuccess=[goto("again", "m", "$response.body#/x == 1"), end("y")]),
            ],
            ["L014"],
            id="loop-through-a-create",
        ),
        pytest.param(
            [step("s", onSuccess=[goto("t", "t", "$response.body#/x == 1")]), step("t", "putThing")],
            ["L016"],
            id="falls-into-a-change",
        ),
        pytest.param(
            [step("s", onSuccess=[goto("t", "t", "$response.body#/x == 1")]), step("t")], [], id="falls-into-a-look"
        ),
        pytest.param(
            [step("s", onSuccess=[goto("t", "t", "$response.body#/x == 1"), end("no")]), step("t", "putThing")],
            [],
            id="an-action-for-all-others",
        ),
        pytest.param(
            [
                step("s", onSuccess=[goto("t", "t", "$response.body#/x == 1")], **{"x-machine": {"unmatched": "fail"}}),
                step("t", "putThing"),
            ],
            [],
            id="decided-what-falls",
        ),
        pytest.param(
            [step("s", outputs={"a": "$response.body#/a"}), step("t", outputs={"b": "$steps.s.outputs.b"})],
            ["L017"],
            id="output-never-declared",
        ),
        pytest.param(
            [step("t", outputs={"b": "$steps.s.outputs.a"}), step("s", outputs={"a": "$response.body#/a"})],
            ["L018"],
            id="read-too-early",
        ),
        pytest.param(
            [
                step("t", onSuccess=[end("out", "$steps.s.outputs.a == 1"), goto("on", "s")]),
                step("s", outputs={"a": "$response.body#/a"}, onSuccess=[goto("back", "t")], **PACED),
            ],
            ["L013"],
            id="read-before-in-the-text-but-after-in-the-flow",
        ),
        pytest.param(
            [step("s", parameters=[{"name": "q", "in": "query", "value": 1}])], ["L020"], id="undeclared-parameter"
        ),
        pytest.param(
            [step("s", parameters=[{"name": "odd", "in": "path", "value": 1}])], ["L033"], id="not-in-the-path"
        ),
        pytest.param(
            [step("s", parameters=[{"name": "Authorization", "in": "header", "value": "x"}])],
            [],
            id="credentials-are-known",
        ),
        pytest.param(
            [step("s", "getLocked", parameters=[{"name": "x-things", "in": "header", "value": "x"}])],
            [],
            id="credentials-of-a-scheme",
        ),
        pytest.param([step("s", onSuccess=[end("x")]), step("t")], ["P020"], id="unreachable-step"),
    ],
)
def test_what_may_not_be_meant_is_told(found: Any, steps: list[Json], expected: list[str]) -> None:
    assert codes(found(*steps)) == expected


UNFILLED: list[Any] = [
    pytest.param([], [(1, "id")], id="nothing-gives-it"),
    pytest.param([{"name": "id", "in": "path", "value": None}], [(1, "id")], id="null-is-no-value"),
    pytest.param([{"name": "id", "in": "query", "value": "x"}], [(1, "id")], id="given-somewhere-else"),
    pytest.param([{"name": "id", "in": "path", "value": "$inputs.x"}], [], id="given"),
]


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "only-in-the-path"])
@pytest.mark.parametrize(("given", "expected"), UNFILLED)
def test_a_path_parameter_without_a_value_is_an_error_at_the_step(
    found: Any, things_api: Json, given: list[Json], expected: list[tuple[int, str]], declared: bool
) -> None:
    api = deepcopy(things_api)
    if not declared:
        del api["paths"]["/things/{id}"]["parameters"]
    steps = [step("a", "listThings"), step("s", parameters=given)]
    findings = [
        one for one in found(*steps, api=api, inputs={"x": {}}, workflow={"parameters": []}) if one.severity == "error"
    ]

    assert [(int(one.place.pointer.split("/")[4]), one.message.split("'")[1]) for one in findings] == expected
    assert all(one.code == "AZM-L022" for one in findings)
    assert "AZM-L021" not in [one.code for one in findings]


def test_outputs_of_a_step_are_listed_by_name_and_those_of_a_transfer_are_not_known(things_api: Json) -> None:
    call = {"stepId": "s", "operationId": "listThings"}
    over = [{"name": "over", "type": "goto", "workflowId": "c"}]
    many = dict.fromkeys("zyxwv", "$response.body")
    root = {
        "workflowId": "a",
        "steps": [{"stepId": "r", "workflowId": "b"}, {**call, "outputs": many}],
        "outputs": {"o": "$steps.r.outputs.late", "p": "$steps.s.outputs.none"},
    }
    transferring = {"workflowId": "b", "steps": [{**call, "onSuccess": over}]}
    last = {"workflowId": "c", "steps": [call], "outputs": {"late": "$inputs"}}
    description = described(things_api, root, transferring, last)
    findings = inspect(description, build_plan(description, workflow="a"))

    assert [(one.code, one.suggestion) for one in findings if one.code == "AZM-L017"] == [
        ("AZM-L017", "its outputs: v, w, x, y, z")
    ]


def test_what_the_compiler_says_of_the_order_is_not_said_twice(found: Any) -> None:
    parameter = {"name": "q", "in": "query", "value": "$steps.t.outputs.o"}
    findings = found(step("s", parameters=[parameter]), step("t", outputs={"o": "$response.body#/o"}))

    assert [(one.code, one.place.pointer) for one in findings if one.code in ("AZM-P024", "AZM-L018")] == [
        ("AZM-P024", "/workflows/0/steps/0/parameters/0/value")
    ]


def test_what_lets_a_step_fail_is_an_error_and_what_nobody_must_act_on_an_info(found: Any) -> None:
    text = {"contentType": "application/json", "payload": '{"a": }'}
    findings = found(step("m", "makeThing", requestBody=text), step("n", "makeThing"))

    assert {(one.code, one.severity) for one in findings} == {("AZM-P026", "error"), ("AZM-L012", "info")}


AT = "/workflows/0/inputs/properties"
INPUTS: list[Any] = [
    pytest.param({"properties": 5}, ("L029", AT), id="properties"),
    pytest.param({"properties": {"a": 5}}, ("L029", f"{AT}/a"), id="a property"),
    pytest.param({"properties": {"a": {"type": "strin"}}}, ("L029", f"{AT}/a/type"), id="type"),
    pytest.param(
        {"properties": {"a": {"type": "integer", "default": "1"}}},
        ("L030", f"{AT}/a/default"),
        id="default",
    ),
    pytest.param(
        {"properties": {"a": {"$ref": "#/components/inputs/c"}}}, ("L029", "/components/inputs/c/items"), id="$ref"
    ),
    pytest.param({"properties": {"a": {"type": "integer", "default": 1}}}, None, id="sound"),
]


@pytest.mark.parametrize(("schema", "expected"), INPUTS)
def test_an_input_schema_that_is_none_is_told_at_its_line(
    things_api: Json, schema: Json, expected: tuple[str, str] | None
) -> None:
    flow = {"workflowId": "a", "inputs": {"type": "object", **schema}, "steps": [step("s", "listThings")]}
    description = described(things_api, flow, components={"inputs": {"c": {"items": 3}}})
    told = inspect(description, build_plan(description), ask=Evaluator())

    assert [(one.code.removeprefix("AZM-"), one.place.pointer) for one in told] == ([expected] if expected else [])


def test_a_required_parameter_nobody_gives_is_told(found: Any, things_api: Json) -> None:
    api = deepcopy(things_api)
    api["paths"]["/things"]["get"]["parameters"] = [
        {"name": "page", "in": "query", "required": True},
        {"name": "X-Api", "in": "header", "required": True},
        {"name": "Authorization", "in": "header", "required": True},
        {"name": "more", "in": "query"},
    ]
    given = [{"name": "x-api", "in": "header", "value": "1"}]

    findings = found(step("s", "listThings", parameters=given), api=api)
    assert [one.message for one in findings] == ["GET /things requires the query parameter 'page'"]


BODY: Json = {
    "content": {
        "application/json": {
            "schema": {
                "required": ["name", "size"],
                "properties": {
                    "name": {},
                    "size": {"required": ["width"], "properties": {"width": {}, "height": {}}},
                    "note": {},
                },
            }
        }
    }
}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"name": "$inputs.free"}, ["body/name"]),
        ({"size": {"width": "$inputs.free", "height": "$inputs.free"}}, ["body/size/width"]),
        ({"name": "$inputs.wanted", "note": "$inputs.free"}, []),
        ({"name": "$inputs.filled"}, []),
        ({"name": "x{$inputs.free}"}, []),
    ],
    ids=["top", "deeper", "required or optional on both sides", "default", "part of a text"],
)
def test_an_optional_input_for_something_required_is_told_at_its_line(
    found: Any, things_api: Json, payload: Json, expected: list[str]
) -> None:
    api = deepcopy(things_api)
    api["paths"]["/things"]["post"]["requestBody"] = BODY
    body = {"contentType": "application/json", "payload": payload}
    findings = found(
        step("m", "makeThing", requestBody=body, **HELD),
        api=api,
        inputs={"free": {}, "wanted": {}, "filled": {"default": 1}},
        workflow={
            "inputs": {
                "type": "object",
                "required": ["wanted"],
                "properties": {"free": {}, "wanted": {}, "filled": {"default": 1}},
            }
        },
    )

    assert [one.message.rpartition(" ")[2] for one in findings] == expected
    assert all(one.code == "AZM-L015" and one.place.line > 0 for one in findings)


def test_the_document_as_people_write_it_is_told_everything_line_by_line(
    described: Callable[..., Description], user_document: Path
) -> None:
    description = described(user_document)
    findings = inspect(description, build_plan(description))

    assert [(one.place.line, one.code) for one in findings] == [
        (30, "AZM-L012"),
        (33, "C4"),
        (43, "AZM-L015"),
        (44, "AZM-L015"),
        (52, "AZM-L011"),
        (65, "C4"),
        (74, "AZM-L013"),
        (78, "C1"),
        (84, "C1"),
    ]
    assert {one.code for one in findings if one.severity != "warning"} == {"AZM-L012"}
    assert all(one.severity in ("warning", "info") for one in findings)


def test_findings_are_told_once_and_in_the_order_of_the_document(found: Any) -> None:
    shared = [{"name": "q", "in": "query", "value": "$inputs.nothing"}]
    findings = found(step("t", "makeThing"), step("s", "makePart"), inputs={"x": {}}, workflow={"parameters": shared})

    assert findings == sorted(findings, key=lambda one: (one.place.line, one.place.column))
    assert len(findings) == len(set(findings))
