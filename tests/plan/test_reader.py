"""Values and conditions of a workflow: what is refused or noted, and that it is told at the very place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from machine.document.model import Criterion, Document, Step, Workflow
from machine.errors import DocumentError, Place
from machine.expressions.template import Declared
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.plan.reader import Reader, declared_names
from machine.plan.sight import Sight
from machine.sources.description import Description

HERE = Place(document="d.yaml", pointer="/s", line=7, column=1)
DOCUMENT = Document(arazzo="1.0.1", title="t", version="1", sources=(), workflows=(), uri="d.yaml")


def test_declared_names_are_inputs_and_outputs_of_steps() -> None:
    workflow = Workflow(
        workflow_id="w",
        inputs={"type": "object", "properties": {"x": {}, "y.z": {}}},
        steps=(Step(step_id="a", outputs={"o": "1"}, place=HERE), Step(step_id="b", place=HERE)),
        place=HERE,
    )
    tree = {"components": {"parameters": {"page": {"name": "page", "in": "query", "value": 7}}}}

    assert declared_names(workflow, replace(DOCUMENT, arazzo="1.1.0", tree=tree)) == Declared(
        inputs=frozenset({"x", "y.z"}),
        steps={"a": frozenset({"o"}), "b": frozenset()},
        minor="1.1",
        parameters={"page": 7},
    )


@pytest.mark.parametrize("inputs", [{}, {"properties": True}, {"properties": None}], ids=["none", "true", "null"])
def test_a_schema_without_properties_declares_nothing(inputs: dict[str, Any]) -> None:
    workflow = Workflow(workflow_id="w", inputs=inputs, steps=(), place=HERE)

    assert declared_names(workflow, DOCUMENT).inputs == frozenset()


def reader(version: str = "1.0.1", *, strict: bool = False) -> Reader:
    minor = version[:3]
    return Reader(
        document=replace(DOCUMENT, arazzo=version),
        declared=Declared(inputs=frozenset({"a", "b.c"}), steps={"s": frozenset({"o"})}, minor=minor),
        sight=Sight(minor=minor, inputs=frozenset({"a", "b.c"}), steps=("s",)),
        strict=strict,
        notices={},
    )


def told(one: Reader) -> list[tuple[str, str]]:
    return [(notice.code, notice.place.pointer) for notice in one.notices]


@pytest.mark.parametrize(
    ("value", "codes"),
    [
        pytest.param("$inputs.a", [], id="declared"),
        pytest.param("$inputs.a.x", [], id="a-member-of-it"),
        pytest.param("$inputs.a[0]", [], id="an-item-of-it"),
        pytest.param("$inputs.b.c", [], id="a-name-with-a-dot"),
        pytest.param("$inputs.b", ["AZM-P021"], id="half-a-name"),
        pytest.param("{$inputs.z} and {$inputs.z}", ["AZM-P021"], id="undeclared-twice-is-told-once"),
        pytest.param("$steps.s.outputs.unheard", [], id="an-output-of-a-step"),
        pytest.param("Bearer $inputs.a", ["C4"], id="without-braces"),
        pytest.param("$input.a", ["AZM-P031"], id="a-misspelt-root"),
        pytest.param("{$inputs.a} of {$step.s.outputs.o}", ["AZM-P031"], id="a-misspelt-root-in-braces"),
    ],
)
def test_what_a_value_refers_to_is_looked_up_and_noted_where_it_stands(value: str, codes: list[str]) -> None:
    one = reader()
    one.outputs({"x": value, "y/z": value}, HERE, "answer")

    assert told(one) == [(code, f"/s/outputs/{name}") for name in ("x", "y~1z") for code in codes]


def test_a_reference_that_is_text_in_1_1_is_noted() -> None:
    one = reader("1.1.0", strict=True)
    one.value({"l": ["by $inputs.a"]}, HERE, "request")

    assert told(one) == [("AZM-P023", "/s/l/0")]
    assert "it is text" in next(iter(one.notices)).message


def test_a_value_that_names_a_step_of_nowhere_is_refused_with_the_steps_there_are() -> None:
    with pytest.raises(DocumentError) as refused:
        reader().outputs({"x": ["$steps.t.outputs.o"]}, HERE, "answer")

    found = refused.value.findings[0]
    assert (found.code, found.place.pointer) == ("AZM-P014", "/s/outputs/x/0")
    assert found.suggestion == "steps: s"


COMPARISON = Criterion(condition="$.a == 'x'", type="jsonpath", context="$response.body", place=HERE)


def test_a_tolerance_is_noted_once_a_site_and_refused_when_strict() -> None:
    one = reader()
    (compiled,) = one.criteria([COMPARISON], "answer")
    one.criteria([COMPARISON], "answer")

    assert compiled.tolerances == ("C1",)
    assert [notice.code for notice in one.notices] == ["C1"]
    assert str(next(iter(one.notices))).startswith("d.yaml:7:1 /s: C1 $.a == 'x'")
    with pytest.raises(DocumentError) as refused:
        reader(strict=True).criteria([COMPARISON], "answer")
    assert [(one.code, one.severity) for one in refused.value.findings] == [("C1", "error")]


@pytest.mark.parametrize(
    ("text", "kind"), [("$.a == 'x'", "jsonpath"), ("a(", "regex"), ("$statusCode = 200", "simple")]
)
def test_a_condition_that_1_1_lets_fail_is_told_to_never_hold(text: str, kind: str) -> None:
    one = reader("1.1.0")
    context = None if kind == "simple" else "$response.body"
    (compiled,) = one.criteria([Criterion(condition=text, type=kind, context=context, place=HERE)], "answer")

    assert (compiled.reading, compiled.tolerances) == ("invalid", ())
    assert [notice.code for notice in one.notices] == ["AZM-P025"]
    assert "always fails" in next(iter(one.notices)).message


def test_what_a_strict_reading_means_otherwise_is_told() -> None:
    one = reader(strict=True)
    one.criteria([replace(COMPARISON, condition="$[?count(@.a) > 1]")], "answer")

    assert [notice.code for notice in one.notices] == ["C2", "C3"]
    assert "read as RFC 9535 has it" in next(iter(one.notices)).message


def test_every_bad_criterion_of_a_list_is_reported() -> None:
    bad = [Criterion(condition=text, place=HERE) for text in ("$statusCode ==", "==", "$statusCode == 200", "(")]
    with pytest.raises(DocumentError) as refused:
        reader().criteria(bad, "answer")

    assert len(refused.value.findings) == 3


# -- places ------------------------------------------------------------------------------------------------------------

LOST = "$steps.nowhere.outputs.x"
PAYLOAD = {"deep": [{"a": 1}, {"b": LOST}]}
W, S = "/workflows/0", "/workflows/0/steps/0"
SITES: list[Any] = [
    pytest.param({"outputs": {"fine": "$statusCode", "o": LOST}}, {}, f"{S}/outputs/o", id="output-of-a-step"),
    pytest.param({}, {"outputs": {"fine": 1, "o": LOST}}, f"{W}/outputs/o", id="output-of-the-workflow"),
    pytest.param({"requestBody": {"payload": PAYLOAD}}, {}, f"{S}/requestBody/payload/deep/1/b", id="payload"),
    pytest.param(
        {"requestBody": {"contentType": "application/json", "payload": '{"a": "{' + LOST + '}"}'}},
        {},
        f"{S}/requestBody/payload",
        id="json-text",
    ),
    pytest.param(
        {"requestBody": {"payload": {"a": 1}, "replacements": [{"target": "/a", "value": LOST}]}},
        {},
        f"{S}/requestBody/replacements/0/value",
        id="value-of-a-replacement",
    ),
    pytest.param(
        {"requestBody": {"payload": {"a": 1}, "replacements": [{"target": "$.a[?@ == '{" + LOST + "}']", "value": 1}]}},
        {},
        f"{S}/requestBody/replacements/0/target",
        id="target-of-a-replacement",
    ),
    pytest.param(
        {"parameters": [{"name": "q", "in": "query", "value": LOST}]}, {}, f"{S}/parameters/0/value", id="own"
    ),
    pytest.param(
        {}, {"parameters": [{"name": "id", "in": "path", "value": LOST}]}, f"{W}/parameters/0/value", id="shared"
    ),
    pytest.param({"successCriteria": [{"condition": f"{LOST} == 1"}]}, {}, f"{S}/successCriteria/0", id="criterion"),
    pytest.param(
        {"onSuccess": [{"name": "n", "type": "end", "criteria": [{"condition": f"{LOST} == 1"}]}]},
        {},
        f"{S}/onSuccess/0/criteria/0",
        id="criterion-of-an-action",
    ),
]


@pytest.mark.parametrize(("step", "workflow", "pointer"), SITES)
def test_what_is_refused_is_told_at_its_very_place(
    describe_things: Callable[..., Description], step: Any, workflow: Any, pointer: str
) -> None:
    description = describe_things([{"stepId": "s", "operationId": "makeThing", **step}], workflow=workflow)
    with pytest.raises(DocumentError) as refused:
        build_plan(description)

    assert [(one.code, one.place.pointer) for one in refused.value.findings] == [("AZM-P014", pointer)]
    assert refused.value.findings[0].place == description.document.place(pointer)


def test_a_selector_and_a_tolerance_are_told_at_their_very_places(describe_things: Callable[..., Description]) -> None:
    selector = {"context": "$response.body", "selector": "$.a[", "type": "jsonpath"}
    steps = [{"stepId": "s", "operationId": "makeThing", "outputs": {"o": selector}}]
    with pytest.raises(DocumentError) as refused:
        build_plan(describe_things(steps, version="1.1.0"))
    body = {"payload": {"l": [{"t": "Bearer $inputs.x"}]}}
    plan = build_plan(describe_things([{**steps[0], "outputs": {}, "requestBody": body}], inputs={"x": {}}))

    assert [(one.code, one.place.pointer) for one in refused.value.findings] == [
        ("AZM-E204", f"{S}/outputs/o/selector")
    ]
    assert [(one.code, one.place.pointer) for one in plan.notices] == [("C4", f"{S}/requestBody/payload/l/0/t")]


@pytest.mark.parametrize(
    ("root", "code", "pointer"),
    [
        pytest.param({"dependsOn": ["one", "gone"]}, "AZM-P040", f"{W}/dependsOn/1", id="of-a-workflow"),
        pytest.param(
            {"steps": [{"stepId": "s", "operationId": "listThings", "dependsOn": ["$workflows.one.steps.gone"]}]},
            "AZM-P042",
            f"{S}/dependsOn/0",
            id="of-a-step",
        ),
        pytest.param(
            {"steps": [{"stepId": "s", "workflowId": "gone"}]}, "AZM-P040", f"{S}/workflowId", id="a-workflow"
        ),
        pytest.param(
            {
                "steps": [
                    {"stepId": "s", "operationId": "listThings", "dependsOn": ["t"]},
                    {"stepId": "t", "operationId": "listThings", "dependsOn": ["s"]},
                ]
            },
            "AZM-P044",
            f"{S}/dependsOn",
            id="a-ring",
        ),
    ],
)
def test_what_a_workflow_or_step_waits_for_is_told_where_it_is_named(
    composed: Callable[..., Plan], root: Any, code: str, pointer: str
) -> None:
    step = {"stepId": "s", "operationId": "listThings"}
    flows = [{"workflowId": "root", "steps": [step], **root}, {"workflowId": "one", "steps": [step]}]
    with pytest.raises(DocumentError) as refused:
        composed(*flows, version="1.1.0")

    assert [(one.code, one.place.pointer) for one in refused.value.findings] == [(code, pointer)]


@pytest.mark.parametrize("version", ["1.0.1", "1.1.0"])
def test_a_misspelt_root_is_refused_in_a_strict_reading(version: str) -> None:
    with pytest.raises(DocumentError) as refused:
        reader(version, strict=True).value({"x": "$input.a"}, HERE, "request")

    assert refused.value.code == "AZM-P031"
    assert "did you mean $inputs?" in refused.value.message
