from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from machine.document.model import Criterion, Document, Step, Workflow
from machine.errors import DocumentError, Place
from machine.expressions.template import Declared, Literal, references
from machine.plan.calls import compile_criteria, compile_outputs, declared_names
from machine.plan.model import Notice, Plan

HERE = Place(document="d.yaml", line=7, column=1)
DOCUMENT = Document(arazzo="1.0.1", title="t", version="1", sources=(), workflows=())


def step(name: str, operation: str = "getThing", **fields: Any) -> dict[str, Any]:
    return {"stepId": name, "operationId": operation, **fields}


@pytest.mark.parametrize(
    ("operation", "given", "kind"),
    [
        pytest.param("getThing", None, "safe", id="get"),
        pytest.param("putThing", None, "idempotent", id="put"),
        pytest.param("deleteThing", None, "idempotent", id="delete"),
        pytest.param("makeThing", None, "create", id="post"),
        pytest.param("patchThing", None, "unknown", id="patch"),
        pytest.param("makeThing", {"kind": "safe"}, "safe", id="a-search-by-post"),
        pytest.param("getThing", {"kind": "create"}, "create", id="a-get-that-makes"),
        pytest.param("getThing", {"onDoubt": "hold"}, "safe", id="only-the-policy-is-given"),
        pytest.param("makeThing", {}, "create", id="nothing-is-given"),
    ],
)
def test_what_a_call_may_do_comes_from_the_method_or_from_the_document(
    built: Callable[..., Plan], operation: str, given: Any, kind: str
) -> None:
    extension = {"x-machine": {"effect": given}} if given is not None else {}
    call = built([step("a", operation, **extension)]).calls["a"]

    assert call.kind == kind
    assert call.unsafe == (kind in ("create", "unknown"))


@pytest.mark.parametrize(
    ("operation", "extension", "polls"),
    [
        pytest.param("makeThing", {"effect": {"kind": "safe"}}, True, id="a-post-that-is-safe"),
        pytest.param("getThing", {"effect": {"kind": "unknown"}}, False, id="a-get-that-is-not"),
    ],
)
def test_the_effect_decides_whether_a_loop_polls(
    built: Callable[..., Plan], operation: str, extension: dict[str, Any], polls: bool
) -> None:
    again = {"name": "more", "type": "goto", "stepId": "a", "criteria": [{"condition": "$statusCode == 202"}]}
    plan = built([step("a", operation, onSuccess=[again], **{"x-machine": extension})])

    assert any(one.polls for one in plan.states) == polls


def test_parameters_of_the_workflow_come_first_and_are_overridden_by_name_and_place(built: Callable[..., Plan]) -> None:
    plan = built(
        [
            step(
                "a",
                parameters=[
                    {"name": "limit", "in": "query", "value": 5},
                    {"name": "id", "in": "path", "value": "own"},
                ],
            )
        ],
        workflow={
            "parameters": [
                {"name": "id", "in": "path", "value": "shared"},
                {"name": "limit", "in": "header", "value": "kept"},
                {"name": "limit", "in": "query", "value": 1},
            ]
        },
    )

    assert plan.calls["a"].parameters == (
        ("limit", "header", Literal("kept")),
        ("limit", "query", Literal(5)),
        ("id", "path", Literal("own")),
    )


def test_a_body_keeps_its_type_and_a_payload_of_null_is_a_payload(built: Callable[..., Plan]) -> None:
    bodies = [
        {"contentType": "application/merge-patch+json", "payload": {"a": "$inputs.x"}},
        {"payload": None},
        {"contentType": "text/plain"},
    ]
    found = [built([step("a", "patchThing", requestBody=body)], inputs={"x": {}}).calls["a"] for body in bodies]

    assert [(one.content_type, one.body is not None) for one in found] == [
        ("application/merge-patch+json", True),
        ("", True),
        ("text/plain", False),
    ]
    assert found[1].body == Literal(None)


def test_criteria_outputs_and_pace_are_compiled(built: Callable[..., Plan]) -> None:
    again = {"name": "more", "type": "goto", "stepId": "a", "criteria": [{"condition": "$statusCode == 202"}]}
    poll = {"interval": "2s", "max": 60, "visits": 3, "tolerate": 0, "wait": [{"condition": "$statusCode == 404"}]}
    call = built(
        [
            step(
                "a",
                successCriteria=[{"condition": "$statusCode == 200"}],
                outputs={"s": "$response.body#/s", "plain": "text"},
                onSuccess=[again],
                **{"x-machine": {"poll": poll}},
            )
        ]
    ).calls["a"]

    assert [one.text for one in call.success] == ["$statusCode == 200"]
    assert {name: len(references(value)) for name, value in call.outputs.items()} == {"s": 1, "plain": 0}
    assert call.poll is not None
    assert (call.poll.interval, call.poll.backoff, call.poll.max, call.poll.jitter) == (2.0, 1.5, 60.0, 0.1)
    assert (call.poll.visits, call.poll.tolerate) == (3, 0)
    assert [one.text for one in call.poll.wait] == ["$statusCode == 404"]
    assert call.place.line > 0


def test_an_operation_may_be_named_by_its_path(built: Callable[..., Plan]) -> None:
    path = "{$sourceDescriptions.things.url}#/paths/~1things~1{id}/get"

    assert built([{"stepId": "a", "operationPath": path}]).calls["a"].operation.operation_id == "getThing"


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


DECLARED = Declared(inputs=frozenset({"a", "b.c"}), steps={"s": frozenset({"o"})})


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
    ],
)
def test_what_a_value_refers_to_is_looked_up_and_noted(value: str, codes: list[str]) -> None:
    notices: list[Notice] = []
    compile_outputs({"x": value, "y": value}, HERE, DECLARED, notices, strict=False)

    assert [one.code for one in notices] == codes
    assert all(one.place == HERE for one in notices)


def test_a_reference_that_is_text_in_1_1_is_noted() -> None:
    notices: list[Notice] = []
    compile_outputs({"x": "by $inputs.a"}, HERE, replace(DECLARED, minor="1.1"), notices, strict=True)

    assert [(one.code, one.place) for one in notices] == [("AZM-P023", HERE)]
    assert "it is text" in notices[0].message


def test_nothing_is_called_undeclared_where_nothing_is_declared() -> None:
    notices: list[Notice] = []
    compile_outputs({"x": "$inputs.z"}, HERE, Declared(), notices, strict=False)

    assert notices == []


def test_a_value_that_names_a_step_of_nowhere_is_refused_with_the_steps_there_are() -> None:
    with pytest.raises(DocumentError) as refused:
        compile_outputs({"x": ["$steps.t.outputs.o"]}, HERE, DECLARED, [], strict=False)

    assert refused.value.findings[0].code == "AZM-P014"
    assert refused.value.findings[0].suggestion == "steps: s"


COMPARISON = Criterion(condition="$.a == 'x'", type="jsonpath", context="$response.body", place=HERE)


def test_a_tolerance_is_noted_once_a_site_and_refused_when_strict() -> None:
    notices: list[Notice] = []
    (compiled,) = compile_criteria([COMPARISON], "1.0", notices, strict=False)
    compile_criteria([COMPARISON], "1.0", notices, strict=False)

    assert compiled.tolerances == ("C1",)
    assert [one.code for one in notices] == ["C1"]
    assert str(notices[0]).startswith("d.yaml:7:1: C1 $.a == 'x'")
    with pytest.raises(DocumentError) as refused:
        compile_criteria([COMPARISON], "1.0", [], strict=True)
    assert [(one.code, one.severity) for one in refused.value.findings] == [("C1", "error")]


def test_a_comparison_that_1_1_calls_an_error_is_not_tolerated_there() -> None:
    notices: list[Notice] = []
    (compiled,) = compile_criteria([COMPARISON], "1.1", notices, strict=False)

    assert compiled.tolerances == ()
    assert [one.code for one in notices] == ["AZM-P022"]
    assert "it always fails" in notices[0].message


def test_every_bad_criterion_of_a_list_is_reported() -> None:
    bad = [Criterion(condition=text, place=HERE) for text in ("$statusCode ==", "==", "$statusCode == 200", "(")]
    with pytest.raises(DocumentError) as refused:
        compile_criteria(bad, "1.0", [], strict=False)

    assert len(refused.value.findings) == 3
