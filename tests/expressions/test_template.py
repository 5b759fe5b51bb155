"""Templates: what counts as an expression is decided once, cannot be forged, and renders with its type."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.errors import BugError, DocumentError, Place, RequestError
from machine.expressions.evaluate import Context, ResponseView
from machine.expressions.template import (
    Declared,
    Template,
    compile_template,
    from_json,
    references,
    render,
    to_json,
    tolerances,
)
from machine.values import MISSING, SecretRef, SecretText

DECLARED = Declared(
    inputs=frozenset({"hfToken", "namespace", "name", "a.b", "count", "foo", "foo-bar"}),
    steps={"make": frozenset({"endpointName", "all"})},
)
MADE: dict[str, Any] = {"endpointName": "e1", "all": [{"id": "ü"}], "held": {"t": SecretRef("hfToken")}}
CONTEXT = Context(
    inputs={"hfToken": SecretRef("hfToken"), "namespace": "me", "name": None, "a.b": 1.5, "count": 3, "flag": True},
    steps={"make": MADE},
    response=ResponseView(body={"id": 7}),
    status=201,
)


def compiled(value: Any) -> Template:
    return compile_template(value, place=Place(), declared=DECLARED)


STORED: list[tuple[Any, Any]] = [
    (1, {"lit": 1}),
    (None, {"lit": None}),
    ("text", {"lit": "text"}),
    ("$inputs.namespace", {"expr": "$inputs.namespace"}),
    ("$inputs.unknown", {"expr": "$inputs.unknown"}),
    ("Bearer $inputs.hfToken", {"text": ["Bearer ", {"expr": "$inputs.hfToken"}]}),
    ("Bearer {$inputs.hfToken}", {"text": ["Bearer ", {"expr": "$inputs.hfToken"}]}),
    ("{$inputs.count}", {"text": [{"expr": "$inputs.count"}]}),
    ("Ask $inputs.name.", {"text": ["Ask ", {"expr": "$inputs.name"}, "."]}),
    ("x $inputs.foo-bar y", {"text": ["x ", {"expr": "$inputs.foo-bar"}, " y"]}),
    ("x $inputs.foo-baz y", {"lit": "x $inputs.foo-baz y"}),
    ("x $inputs.a.b.", {"text": ["x ", {"expr": "$inputs.a.b"}, "."]}),
    (
        "$inputs.namespace/$inputs.name",
        {"text": [{"expr": "$inputs.namespace"}, "/", {"expr": "$inputs.name"}]},
    ),
    ("id:$steps.make.outputs.endpointName!", {"text": ["id:", {"expr": "$steps.make.outputs.endpointName"}, "!"]}),
    ("Bearer $steps.make.endpointName", {"text": ["Bearer ", {"expr": "$steps.make.outputs.endpointName"}]}),
    ("Bearer $inputs.other", {"lit": "Bearer $inputs.other"}),
    ("Bearer $steps.other.outputs.x", {"lit": "Bearer $steps.other.outputs.x"}),
    ("see $steps.make", {"lit": "see $steps.make"}),
    ("costs $100", {"lit": "costs $100"}),
    ("$.items[*]", {"lit": "$.items[*]"}),
    ("{$.items}", {"lit": "{$.items}"}),
    ("{$inputs.count", {"text": ["{", {"expr": "$inputs.count"}]}),
    ("status $statusCode", {"lit": "status $statusCode"}),
    ("{$statusCode}{$.x}", {"text": [{"expr": "$statusCode"}, "{$.x}"]}),
    ({"expr": "$x"}, {"object": {"expr": {"lit": "$x"}}}),
    ({"lit": [1]}, {"object": {"lit": {"array": [{"lit": 1}]}}}),
    ([{"a": "$inputs.count"}], {"array": [{"object": {"a": {"expr": "$inputs.count"}}}]}),
]


@pytest.mark.parametrize(("value", "stored"), STORED, ids=[json.dumps(value)[:40] for value, _ in STORED])
def test_a_value_compiles_to_one_stored_form_and_back(value: Any, stored: Any) -> None:
    template = compiled(value)

    assert to_json(template) == stored
    assert from_json(json.loads(json.dumps(stored))) == template


RENDERED: list[tuple[Any, Any]] = [
    ("$inputs.count", 3),
    ("$inputs.flag", True),
    ("$inputs.name", None),
    ("$inputs.unknown", MISSING),
    ("$inputs.hfToken", SecretRef("hfToken")),
    ("Bearer $inputs.hfToken", SecretText(("Bearer ", SecretRef("hfToken")))),
    ("n={$inputs.count} f={$inputs.flag} r={$inputs.a.b} z={$inputs.name}.", "n=3 f=true r=1.5 z=."),
    ("all={$steps.make.outputs.all}", 'all=[{"id":"ü"}]'),
    ("a{$inputs.unknown}b{$inputs.namespace}", "abme"),
    ("a{$inputs.unknown}b", MISSING),
    ({"a": "$inputs.unknown", "b": "$inputs.name", "c": "x{$inputs.unknown}"}, {"b": None}),
    (["$inputs.unknown", "$inputs.count", "x{$inputs.unknown}"], [None, 3, None]),
    ({"a": {"b": [{"c": "$response.body#/id"}]}}, {"a": {"b": [{"c": 7}]}}),
    ({}, {}),
    ([], []),
]


@pytest.mark.parametrize(("value", "expected"), RENDERED, ids=[json.dumps(value)[:40] for value, _ in RENDERED])
def test_a_template_renders_to_a_value_of_the_right_type(value: Any, expected: Any) -> None:
    found = render(compiled(value), CONTEXT)

    assert found == expected
    assert type(found) is type(expected)


def test_each_rendering_makes_new_containers() -> None:
    template = compiled({"a": [1]})

    assert render(template, CONTEXT) is not render(template, CONTEXT)


def test_an_object_with_a_secret_is_not_written_into_text() -> None:
    with pytest.raises(RequestError) as caught:
        render(compiled("{$steps.make.outputs.held}"), CONTEXT)

    assert caught.value.code == "AZM-E030"


def test_a_value_nested_without_end_is_not_written_into_text() -> None:
    deep: Any = 1
    for _ in range(20_000):
        deep = [deep]
    with pytest.raises(RequestError) as caught:
        render(compiled("{$inputs.x}"), Context(inputs={"x": deep}))

    assert caught.value.code == "AZM-E031"


def test_a_payload_nested_without_end_is_refused() -> None:
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    with pytest.raises(DocumentError) as caught:
        compiled(deep)

    assert caught.value.code == "AZM-E020"


@pytest.mark.parametrize("text", ["$inputs.", "a {$inputs.} b", "{$response.x}"])
def test_a_malformed_expression_is_refused_when_it_is_compiled(text: str) -> None:
    with pytest.raises(DocumentError):
        compiled({"a": [text]})


def test_references_come_in_order() -> None:
    template = compiled({"a": "$inputs.count", "b": ["x $inputs.name", "{$statusCode}"]})

    assert [str(one) for one in references(template)] == ["$inputs.count", "$inputs.name", "$statusCode"]


def test_tolerances_name_the_code_and_the_spot() -> None:
    found = tolerances(compiled({"a": "Bearer $inputs.hfToken", "b": "$steps.make.endpointName", "c": "{$url}"}))

    assert [code for code, _ in found] == ["C4", "C5"]
    assert found[0][1].startswith("$inputs.hfToken: ")


@pytest.mark.parametrize(
    "stored",
    [
        None,
        {},
        {"lit": {}},
        {"expr": 1},
        {"text": "x"},
        {"text": [1]},
        {"array": {}},
        {"object": []},
        {"lit": 1, "b": 2},
    ],
)
def test_a_stored_form_nobody_wrote_is_refused(stored: Any) -> None:
    with pytest.raises(BugError):
        from_json(stored)


TEXTS = st.text("ab$inputs.{}/ ", max_size=12) | st.sampled_from(["$inputs.count", "{$inputs.name}", "x $inputs.foo"])
PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(PAYLOADS)
def test_any_template_survives_storage_and_renders(payload: Any) -> None:
    try:
        template = compiled(payload)
    except DocumentError:
        return
    stored = json.loads(json.dumps(to_json(template)))

    assert from_json(stored) == template
    assert render(from_json(stored), CONTEXT) == render(template, CONTEXT)
