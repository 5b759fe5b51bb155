"""Templates: what counts as an expression is decided once, cannot be forged, and renders with its type."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.errors import DocumentError, Place, RequestError
from machine.expressions.evaluate import Context, ResponseView
from machine.expressions.grammar import parse_expression
from machine.expressions.replacement import compile_target
from machine.expressions.selector import compile_selector
from machine.expressions.stored import from_json, to_json
from machine.expressions.template import (
    LARGEST,
    Declared,
    Quoted,
    Replaced,
    Select,
    Template,
    bare_references,
    compile_template,
    leaves,
    references,
    render,
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


GROWING: list[Any] = [
    pytest.param("{$response.body}{$response.body}", id="a-text"),
    pytest.param("an object: {$steps.make.outputs.all}", id="an-object-in-a-text"),
    pytest.param({"a": ["$response.body", {"b": "$response.body"}]}, id="an-object"),
    pytest.param(["$steps.make.outputs.all", "$steps.make.outputs.all"], id="a-list"),
]


@pytest.mark.parametrize("value", GROWING)
def test_a_value_that_grows_with_each_use_is_not_made(value: Any) -> None:
    half = "x" * (LARGEST // 2)
    shared = [half[: LARGEST // 4]] * 3
    context = replace(CONTEXT, response=ResponseView(body=half), steps={"make": {"all": [shared, shared]}})

    with pytest.raises(RequestError) as caught:
        render(compiled(value), context)

    assert caught.value.code == "AZM-E040"


def test_a_large_value_is_handed_on_as_it_is() -> None:
    large = "x" * (LARGEST + 1)

    assert render(compiled("$response.body"), replace(CONTEXT, response=ResponseView(body=large))) is large


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
    made = compiled({"a": ["Bearer $inputs.hfToken"], "b": "$steps.make.endpointName", "c": "{$url}", "d": 1})
    found = [(steps, *one) for steps, leaf in leaves(made) for one in tolerances(leaf)]

    assert [one[:2] for one in found] == [(("a", 0), "C4"), (("b",), "C5")]
    assert found[0][2].startswith("$inputs.hfToken: ")


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


PARAMETERS = {"page": 7, "who": "$inputs.namespace", "self": "$components.parameters.self"}
LATER = replace(DECLARED, minor="1.1", parameters=PARAMETERS)


def test_a_selector_is_one_in_1_1_and_a_plain_object_in_1_0() -> None:
    value = {"p": {"context": "$response.body", "selector": "/id", "type": "jsonpointer"}}

    assert render(compile_template(value, place=Place(), declared=LATER), CONTEXT) == {"p": 7}
    assert render(compiled(value), CONTEXT) == {"p": {**value["p"], "context": {"id": 7}}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("$components.parameters.page", 7),
        ("$components.parameters.who", "me"),
        ({"a": ["$components.parameters.page"]}, {"a": [7]}),
    ],
)
def test_a_parameter_of_components_stands_for_its_value(value: Any, expected: Any) -> None:
    assert render(compile_template(value, place=Place(), declared=LATER), CONTEXT) == expected


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("$components.parameters.none", "AZM-E023"),
        ("$components.successActions.page", "AZM-E023"),
        ("$components.parameters.self", "AZM-E020"),
        ("$inputs.a b", "AZM-E003"),
        ("x{$steps.a/b.outputs.c}", "AZM-E003"),
        ({"context": "$response.body", "selector": "x", "type": "cel"}, "AZM-E320"),
    ],
)
def test_what_1_1_does_not_allow_is_refused_there(value: Any, code: str) -> None:
    with pytest.raises(DocumentError) as refused:
        compile_template(value, place=Place(), declared=LATER)

    assert refused.value.code == code


NODES: list[Template] = [
    Quoted(parse_expression("$inputs.count", place=Place())),
    Select(
        compile_selector(
            {"context": "$response.body", "selector": "$.id", "type": "jsonpath"},
            minor="1.1",
            inside=lambda *_: Place(),
        )
    ),
    Replaced(
        compiled({"a": "Bearer $inputs.hfToken"}),
        (
            (
                compile_target("$.a[?@.b == '{$inputs.count}']", "jsonpath", "", xml=False, minor="1.1", place=Place()),
                compiled(["$inputs.namespace"]),
            ),
        ),
    ),
]


@pytest.mark.parametrize("node", NODES, ids=lambda node: type(node).__name__)
def test_every_kind_of_template_survives_storage(node: Template) -> None:
    stored = json.loads(json.dumps(to_json(node)))

    assert from_json(stored) == node
    assert to_json(from_json(stored)) == stored


def test_all_that_a_body_depends_on_is_told() -> None:
    assert [str(one) for one in references(NODES[2])] == ["$inputs.hfToken", "$inputs.count", "$inputs.namespace"]
    assert [str(one) for one in references(NODES[1])] == ["$response.body"]
    assert [steps for steps, _ in leaves(NODES[2])] == [
        ("payload", "a"),
        ("replacements", 0, "target"),
        ("replacements", 0, "value", 0),
    ]


@pytest.mark.parametrize(
    ("text", "older", "newer", "bare"),
    [
        ("x{$inputs.name}", "x", "xnull", ()),
        ("by $inputs.namespace", "by me", "by $inputs.namespace", ("$inputs.namespace",)),
        ("{$inputs.count} $inputs.count", "3 3", "3 $inputs.count", ("$inputs.count",)),
        ("by $inputs.unheard", "by $inputs.unheard", "by $inputs.unheard", ()),
    ],
)
def test_text_of_1_1_is_read_by_its_grammar(text: str, older: str, newer: str, bare: tuple[str, ...]) -> None:
    value = {"a": [text]}
    first, later = compiled(value), compile_template(value, place=Place(), declared=LATER)

    assert render(first, CONTEXT) == {"a": [older]}
    assert render(later, CONTEXT) == {"a": [newer]}
    assert [one for _, leaf in leaves(later) for one in bare_references(leaf)] == list(bare)
    assert [one for _, leaf in leaves(first) for one in bare_references(leaf)] == []
    assert render(from_json(json.loads(json.dumps(to_json(later)))), CONTEXT) == {"a": [newer]}


def test_a_text_that_quotes_a_value_many_times_writes_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr("machine.expressions.template.json.dumps", lambda value, **_: written.append("") or "[1]")

    assert render(compiled("{$response.body}" * 50), replace(CONTEXT, response=ResponseView(body=[1]))) == "[1]" * 50
    assert len(written) == 1
