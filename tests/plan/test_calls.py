from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machine.errors import DocumentError
from machine.expressions.template import Literal, references
from machine.plan.model import Plan


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


def test_a_query_with_a_body_is_safe(built: Callable[..., Plan]) -> None:
    api = {"openapi": "3.2.0", "paths": {"/things": {"query": {"operationId": "find"}}}}

    assert built([step("a", "find")], api=api).calls["a"].kind == "safe"


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


STEP = "/workflows/0/steps/0"
NOWHERE: list[Any] = [
    pytest.param({"operationId": "nope"}, f"{STEP}/operationId", id="an-id"),
    pytest.param({"operationPath": "GET /nope"}, f"{STEP}/operationPath", id="a-path"),
    pytest.param(
        {
            "operationId": "makeThing",
            "x-machine": {"effect": {"onDoubt": "probe", "probe": {"operationId": "nope", "match": {"/a": 1}}}},
        },
        f"{STEP}/x-machine/effect/probe/operationId",
        id="of-a-probe",
    ),
]


@pytest.mark.parametrize(("fields", "place"), NOWHERE)
def test_an_operation_that_is_not_there_is_told_where_it_is_named(
    built: Callable[..., Plan], fields: dict[str, Any], place: str
) -> None:
    with pytest.raises(DocumentError) as refused:
        built([{"stepId": "a", **fields}])

    assert [(one.code, one.place.pointer) for one in refused.value.findings] == [("AZM-D201", place)]


def test_an_operation_that_is_named_oddly_is_told_there_too(built: Callable[..., Plan]) -> None:
    plan = built([{"stepId": "a", "operationPath": "GET /things"}])

    assert [(one.code, one.place.pointer) for one in plan.notices] == [("C6", f"{STEP}/operationPath")]
