"""References that are absent whatever happens: which, at which moment, and what a strict reading makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from machine.chart.turn import outputs_of
from machine.document.model import Workflow
from machine.errors import DocumentError, Place
from machine.expressions.grammar import parse_expression
from machine.expressions.question import nobody
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.plan.sight import Moment, Sight, names_of
from machine.sources.description import Description
from machine.values import MISSING

Json = dict[str, Any]
Found = tuple[str, bool]

SIGHT = Sight(
    minor="1.1",
    inputs=frozenset({"x", "d.o.t"}),
    steps=("s",),
    sources={"api": ("name", "url", "x-more")},
    workflows={
        "w": {"inputs": frozenset({"i"}), "outputs": frozenset({"o"})},
        "far.w": {"inputs": None, "outputs": frozenset()},
    },
)

MOMENTS: tuple[Moment, ...] = ("request", "answer", "return", "end", "any")


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("$statusCode", ["request", "end"]),
        ("$response.body#/a", ["request", "return", "end"]),
        ("$response.header.Location", ["request", "return", "end"]),
        ("$request.query.q", ["request", "return", "end"]),
        ("$url", ["request", "return", "end"]),
        ("$method", ["request", "return", "end"]),
        ("$outputs.o", ["request", "answer", "end"]),
        ("$response.query.q", ["request", "answer", "return", "end", "any"]),
        ("$self", []),
        ("$inputs.x", []),
        ("$inputs", []),
        ("$steps.s.outputs.any", []),
    ],
)
def test_what_can_be_seen_depends_on_the_moment(text: str, absent: list[Moment]) -> None:
    expression = parse_expression(text, place=Place())
    codes = {moment: found.code for moment in MOMENTS if (found := SIGHT.absence(expression, moment))}

    assert codes == dict.fromkeys(absent, "AZM-P028")


@pytest.mark.parametrize(
    ("text", "code", "advice"),
    [
        ("$inputs.d.o.t.deep", "", ""),
        ("$inputs.d.o", "AZM-P021", ""),
        ("$steps.t.outputs.o", "AZM-P014", "steps: s"),
        ("$sourceDescriptions.api.x-more", "", ""),
        ("$sourceDescriptions.api.getThing", "AZM-P029", "fields: name, url, x-more"),
        ("$sourceDescriptions.other.url", "AZM-P029", "source descriptions: api"),
        ("$workflows.w.outputs.o", "", ""),
        ("$workflows.w.outputs", "", ""),
        ("$workflows.w.outputs.p", "AZM-P029", "its outputs: o"),
        ("$workflows.w.inputs.i", "", ""),
        ("$workflows.w.inputs.j", "AZM-P021", "its inputs: i"),
        ("$workflows.v.outputs.o", "AZM-P029", "workflows: w, far.w"),
        ("$workflows.far.w.inputs.unlisted", "", ""),
        ("$workflows.far.w.outputs.o", "AZM-P029", "its outputs: none"),
        ("$components.parameters.page", "AZM-P028", ""),
    ],
)
def test_a_name_that_nothing_has_is_told_with_those_there_are(text: str, code: str, advice: str) -> None:
    found = SIGHT.absence(parse_expression(text, place=Place()), "answer")

    assert ((found.code, found.next) if found else ("", "")) == (code, advice)


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        ({}, set()),
        ({"properties": {"a": {}}}, {"a"}),
        ({"properties": {"a": {}}, "allOf": [{"properties": {"b": {}}}, True]}, {"a", "b"}),
        ({"properties": {"a": {}}, "anyOf": [{"properties": {"b": {}}}]}, None),
        ({"allOf": [{"$ref": "#/$defs/x"}]}, None),
        ({"patternProperties": {"^x-": {}}}, None),
        ({"properties": True, "allOf": 1}, set()),
    ],
    ids=["none", "properties", "all of", "any of", "a reference", "a pattern", "nonsense"],
)
def test_the_inputs_of_a_schema_are_known_where_it_lists_them(schema: Json, names: set[str] | None) -> None:
    found = names_of(Workflow(workflow_id="w", inputs=schema, steps=(), outputs={"o": 1}, place=Place()))

    assert found == {"inputs": names, "outputs": {"o"}}


# -- in a document -----------------------------------------------------------------------------------------------------


def parameter(value: Any) -> Json:
    return {"parameters": [{"name": "q", "in": "query", "value": value}]}


S = "/workflows/0/steps/0"
ABSENT: list[Any] = [
    pytest.param(parameter("$inputs.lost"), {}, "AZM-P021", f"{S}/parameters/0/value", id="an-input"),
    pytest.param(
        {"successCriteria": [{"condition": "$inputs.lost == 1"}]},
        {},
        "AZM-P021",
        f"{S}/successCriteria/0",
        id="an-input-in-a-condition",
    ),
    pytest.param(
        parameter("{$sourceDescriptions.other.url}"), {}, "AZM-P029", f"{S}/parameters/0/value", id="a-source"
    ),
    pytest.param(
        parameter("$sourceDescriptions.things.host"), {}, "AZM-P029", f"{S}/parameters/0/value", id="field-of-a-source"
    ),
    pytest.param({}, {"outputs": {"o": "$workflows.v.outputs.x"}}, "AZM-P029", "/workflows/0/outputs/o", id="workflow"),
    pytest.param(
        {},
        {"outputs": {"o": "$workflows.w.outputs.x"}},
        "AZM-P029",
        "/workflows/0/outputs/o",
        id="output-of-a-workflow",
    ),
    pytest.param(
        {}, {"outputs": {"o": "$workflows.w.inputs.x"}}, "AZM-P021", "/workflows/0/outputs/o", id="input-of-a-workflow"
    ),
    pytest.param(
        {"successCriteria": [{"condition": "$components.parameters.page == 1"}]},
        {},
        "AZM-P028",
        f"{S}/successCriteria/0",
        id="component-in-a-condition",
    ),
    pytest.param({"outputs": {"o": "$outputs.x"}}, {}, "AZM-P028", f"{S}/outputs/o", id="outputs-of-an-operation"),
    pytest.param(parameter("$statusCode"), {}, "AZM-P028", f"{S}/parameters/0/value", id="status-before-the-answer"),
    pytest.param(
        {"requestBody": {"payload": {"a": ["$response.body#/a"]}}},
        {},
        "AZM-P028",
        f"{S}/requestBody/payload/a/0",
        id="answer-before-the-answer",
    ),
    pytest.param({}, {"outputs": {"o": "$url"}}, "AZM-P028", "/workflows/0/outputs/o", id="url-at-the-end"),
    pytest.param(
        {}, {"outputs": {"o": "$response.body#/a"}}, "AZM-P028", "/workflows/0/outputs/o", id="answer-at-the-end"
    ),
    pytest.param(
        {"onSuccess": [{"name": "n", "type": "end", "criteria": [{"condition": "$outputs.x == 1"}]}]},
        {},
        "AZM-P028",
        f"{S}/onSuccess/0/criteria/0",
        id="outputs-in-an-action",
    ),
]


@pytest.mark.parametrize(("step", "workflow", "code", "pointer"), ABSENT)
def test_a_reference_that_is_always_absent_is_told_where_it_stands(
    describe_things: Callable[..., Description], step: Json, workflow: Json, code: str, pointer: str
) -> None:
    description = describe_things([{"stepId": "s", "operationId": "makeThing", **step}], workflow=workflow)
    plan = build_plan(description)

    assert [(one.code, one.place.pointer) for one in plan.notices] == [(code, pointer)]
    if code == "AZM-P021":
        assert build_plan(description, strict=True).notices == plan.notices, "somebody may give it unasked"
        return
    with pytest.raises(DocumentError) as refused:
        build_plan(description, strict=True)
    assert [(one.code, one.place.pointer) for one in refused.value.findings] == [(code, pointer)]


SENT: list[Any] = [
    pytest.param("$request.query.q", [], id="a-parameter-of-the-step"),
    pytest.param("$request.path.id", [], id="a-parameter-of-the-workflow"),
    pytest.param("$request.header.x-one", [], id="a-header-in-other-case"),
    pytest.param("$request.body#/a", [], id="the-body"),
    pytest.param("$request.query.id", ["AZM-P028"], id="given-somewhere-else"),
    pytest.param("$request.header.Accept", ["AZM-P028"], id="a-header-the-driver-adds"),
]


@pytest.mark.parametrize("where", ["outputs", "onSuccess"])
@pytest.mark.parametrize(("text", "codes"), SENT)
def test_a_request_shows_the_parameters_the_step_gives(
    built: Callable[..., Plan], text: str, codes: list[str], where: str
) -> None:
    given = [{"name": "q", "in": "query", "value": 1}, {"name": "X-One", "in": "header", "value": 1}]
    action = {"name": "n", "type": "end", "criteria": [{"condition": f"{text} == 1"}]}
    reading: Json = {"outputs": {"o": text}} if where == "outputs" else {"onSuccess": [action]}
    plan = built([{"stepId": "s", "operationId": "getThing", "parameters": given, **reading}])

    assert [one.code for one in plan.notices] == codes


def test_the_name_of_the_document_is_of_1_1(describe_things: Callable[..., Description]) -> None:
    steps = [{"stepId": "s", "operationId": "makeThing", **parameter("$self")}]
    with pytest.raises(DocumentError) as refused:
        build_plan(describe_things(steps))

    assert [(one.code, one.place.pointer) for one in refused.value.findings] == [
        ("AZM-D114", f"{S}/parameters/0/value")
    ]
    assert build_plan(describe_things(steps, version="1.1.0")).notices == ()


def test_a_step_that_runs_a_workflow_sees_what_that_returned(composed: Callable[..., Plan]) -> None:
    runs = {
        "stepId": "r",
        "workflowId": "child",
        "successCriteria": [{"condition": "$statusCode == 200"}, {"condition": "$response.body#/a == 1"}],
        "outputs": {"o": "$outputs.x", "u": "$url", "n": "$outputs.none"},
        "onSuccess": [{"name": "n", "type": "end", "criteria": [{"condition": "$outputs.none == 1"}]}],
    }
    child = {
        "workflowId": "child",
        "steps": [{"stepId": "s", "operationId": "listThings"}],
        "outputs": {"x": "$inputs"},
    }
    plan = composed({"workflowId": "root", "steps": [runs]}, child)

    assert [(one.code, one.place.pointer) for one in plan.notices if one.code != "C5"] == [
        ("AZM-P028", f"{S}/successCriteria/1"),
        ("AZM-P028", f"{S}/outputs/u"),
        ("AZM-P029", f"{S}/outputs/n"),
        ("AZM-P029", f"{S}/onSuccess/0/criteria/0"),
    ]


SEEN = [
    "$statusCode",
    "$url",
    "$method",
    "$self",
    "$inputs.x",
    "$request.query.fixed",
    "$request.query.other",
    "$response.body#/a",
    "$response.header.h",
    "$response.query.a",
    "$outputs.x",
    "$outputs.none",
    "$steps.p.outputs.x",
    "$workflows.child.outputs.x",
    "$workflows.child.outputs.none",
    "$sourceDescriptions.things.url",
    "$sourceDescriptions.things.none",
]


@pytest.mark.parametrize("text", SEEN)
def test_what_is_said_to_be_absent_is_what_a_run_does_not_have(
    composed: Callable[..., Plan], drive: Callable[..., Any], text: str
) -> None:
    call: Json = {"operationId": "listThings"}
    given = [{"name": "q", "in": "query", "value": text}, {"name": "fixed", "in": "query", "value": 1}]
    steps = [
        {"stepId": "p", **call, "outputs": {"x": "$response.body#/a"}},
        {"stepId": "r", "workflowId": "child", "outputs": {"return": text}},
        {"stepId": "s", **call, "parameters": given, "outputs": {"answer": text}},
    ]
    child = {"workflowId": "child", "steps": [{"stepId": "c", **call}], "outputs": {"x": "$inputs.y"}}
    child |= {"inputs": {"type": "object", "properties": {"y": {"default": 2}}}}
    inputs = {"type": "object", "properties": {"x": {}}}
    plan = composed(
        {"workflowId": "root", "inputs": inputs, "steps": steps, "outputs": {"end": text}}, child, version="1.1.0"
    )
    plan = replace(plan, self_uri="https://flows.example/it")
    run = drive(plan, {"x": 3})
    for _ in range(3):
        last = run.snapshot.pending
        run.reply(200, {"a": 1}, headers={"h": "1"})
    values = {**run.snapshot.frame.steps["r"], **run.snapshot.frame.steps["s"]}
    values |= {"request": "q=" in str(last.request.target) or None}
    values |= {"end": outputs_of(plan, run.snapshot, ask=nobody).get("end")}
    told = {one.place.pointer.rpartition("/")[2] for one in plan.notices if one.code in ("AZM-P028", "AZM-P029")}

    seen = {moment for moment, value in values.items() if value is not None and value is not MISSING}
    assert seen == {"request", "answer", "return", "end"} - {"request" if one == "value" else one for one in told}


def test_a_workflow_that_transfers_to_another_ends_with_the_outputs_of_that_one(composed: Callable[..., Plan]) -> None:
    runs = {"stepId": "r", "workflowId": "child", "outputs": {"o": "$outputs.whatever"}}
    over = [{"name": "over", "type": "goto", "workflowId": "last"}]
    call = {"stepId": "s", "operationId": "listThings"}
    child = {"workflowId": "child", "steps": [{**call, "onSuccess": over}]}
    root = {"workflowId": "root", "steps": [runs], "outputs": {"p": "$workflows.child.outputs.whatever"}}

    assert composed(root, child, {"workflowId": "last", "steps": [call]}).notices == ()


def test_what_all_steps_share_is_not_held_against_those_that_run_a_workflow(composed: Callable[..., Plan]) -> None:
    shared = [{"name": "no", "type": "end", "criteria": [{"condition": "$response.body#/a == 1"}]}]
    steps = [{"stepId": "r", "workflowId": "child"}, {"stepId": "s", "operationId": "listThings"}]
    child = {"workflowId": "child", "steps": [{"stepId": "s", "operationId": "listThings"}]}

    assert composed({"workflowId": "root", "steps": steps, "failureActions": shared}, child).notices == ()
