"""Bodies: JSON text, members out of parameters, and replacements, each refused or read at its own line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from machine.errors import DocumentError, RequestError
from machine.expressions.evaluate import Context
from machine.expressions.template import render
from machine.plan.body import is_xml_type
from machine.plan.model import Plan
from machine.values import SecretRef, SecretText

INPUTS: dict[str, Any] = {"n": {}, "o": {}, "s": {}}
VALUES: dict[str, Any] = {"n": 3, "o": {"k": 1}, "s": "text"}


def step(body: Any = None, **fields: Any) -> dict[str, Any]:
    made = {"stepId": "a", "operationId": "makeThing", **fields}
    return {**made, "requestBody": body} if body is not None else made


def sent(plan: Plan) -> Any:
    template = plan.calls["a"].body
    assert template is not None
    return render(template, Context(inputs=VALUES))


BODIES: list[tuple[str, Any, Any]] = [
    ("an object", {"payload": {"a": "$inputs.n"}}, {"a": 3}),
    ("json text", {"contentType": "application/json", "payload": '{"a": "{$inputs.o}"}'}, {"a": {"k": 1}}),
    ("json text by the operation's type", {"payload": '{"a": {$inputs.n}}'}, {"a": 3}),
    ("json text of a suffix type", {"contentType": "application/merge-patch+json", "payload": "[1]"}, [1]),
    ("plain text", {"contentType": "text/plain", "payload": '{"a": {$inputs.n}}'}, '{"a": 3}'),
    ("a word", {"contentType": "application/json", "payload": "word"}, "word"),
    (
        "replacements in order",
        {
            "payload": {"a": 1, "b": 2},
            "replacements": [
                {"target": "/a", "value": "$inputs.o"},
                {"target": "/a/k", "value": 9},
                {"target": "/c", "value": "{$inputs.s}!"},
            ],
        },
        {"a": {"k": 9}, "b": 2, "c": "text!"},
    ),
    ("an absent value", {"payload": {"a": 1}, "replacements": [{"target": "/a", "value": "$inputs.none"}]}, {"a": 1}),
    ("no payload", {"replacements": [{"target": "/a", "value": 1}]}, {"a": 1}),
    (
        "an input is not changed",
        {"payload": "$inputs.o", "replacements": [{"target": "/k", "value": 2}]},
        {"k": 2},
    ),
    (
        "targets as 1.0 documents write them",
        {"payload": {"a": {"b": 1}}, "replacements": [{"target": "$.a.b", "value": 2}, {"target": "a.c", "value": 3}]},
        {"a": {"b": 2, "c": 3}},
    ),
]


@pytest.mark.parametrize(("body", "value"), [one[1:] for one in BODIES], ids=[one[0] for one in BODIES])
def test_a_body_is_what_its_author_means(built: Callable[..., Plan], body: Any, value: Any) -> None:
    assert sent(built([step(body)], inputs=INPUTS)) == value
    assert VALUES["o"] == {"k": 1}


def test_a_replacement_may_be_a_jsonpath_with_a_selected_value(built: Callable[..., Plan]) -> None:
    value = {"context": "$inputs.o", "selector": "/k", "type": "jsonpointer"}
    change = {"target": "$.list[?(@.id=='b')].n", "targetSelectorType": "jsonpath", "value": value}
    payload = {"list": [{"id": "a", "n": 0}, {"id": "b", "n": 0}]}
    plan = built([step({"payload": payload, "replacements": [change]})], inputs=INPUTS, version="1.1.0")

    assert sent(plan) == {"list": [{"id": "a", "n": 0}, {"id": "b", "n": 1}]}


def test_parameters_in_the_body_are_members_of_it(built: Callable[..., Plan]) -> None:
    parameters = [
        {"name": "n", "in": "body", "value": "$inputs.n"},
        {"name": "b", "in": "body", "value": "own"},
        {"name": "id", "in": "path", "value": "x"},
    ]
    alone = built([step(parameters=parameters)], inputs=INPUTS)
    merged = built([step({"payload": {"a": 1, "b": 2}}, parameters=parameters)], inputs=INPUTS)

    assert sent(alone) == {"n": 3, "b": "own"}
    assert sent(merged) == {"a": 1, "b": "own", "n": 3}
    assert [one.code for one in alone.notices if one.code == "C12"] == ["C12", "C12"]
    assert [name for name, _, _ in alone.calls["a"].parameters] == ["id"]
    with pytest.raises(DocumentError) as refused:
        built([step(parameters=parameters)], inputs=INPUTS, strict=True)
    assert {one.code for one in refused.value.findings} == {"C12"}


def test_json_text_that_is_no_json_fails_its_step_and_only_that(built: Callable[..., Plan]) -> None:
    slip = step({"contentType": "application/json", "payload": '{"a": }'})
    plan = built([slip])
    again = Plan.from_json(json.loads(plan.text()))

    assert [one.code for one in plan.notices if "no JSON" in one.message] == ["AZM-P026"]
    for one in (plan, again):
        with pytest.raises(RequestError) as failed:
            sent(one)
        assert failed.value.code == "AZM-E037"
    with pytest.raises(DocumentError) as refused:
        built([slip], strict=True)
    assert refused.value.code == "AZM-E021"


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("members of a text", step({"payload": "x"}, parameters=[{"name": "n", "in": "body", "value": 1}]), "AZM-P060"),
    (
        "no xml to replace in",
        step({"contentType": "text/xml", "replacements": [{"target": "/a", "value": 1}]}),
        "AZM-P061",
    ),
    (
        "a query that is none",
        step({"payload": {}, "replacements": [{"target": "$..[", "value": 1}]}),
        "AZM-E204",
    ),
    ("a step that is not there", step({"payload": '{"a": "{$steps.z.outputs.x}"}'}), "AZM-P014"),
    (
        "a step that is not there, in a replacement",
        step({"payload": {}, "replacements": [{"target": "/a", "value": "$steps.z.outputs.x"}]}),
        "AZM-P014",
    ),
]


@pytest.mark.parametrize(("bad", "code"), [one[1:] for one in REFUSED], ids=[one[0] for one in REFUSED])
def test_a_body_that_cannot_be_read_is_refused_at_its_line(
    built: Callable[..., Plan], bad: dict[str, Any], code: str
) -> None:
    with pytest.raises(DocumentError) as refused:
        built([bad], inputs=INPUTS)

    assert [one.code for one in refused.value.findings] == [code]
    assert refused.value.findings[0].place.line > 1


def test_strict_keeps_what_is_quoted_in_json_text_a_text(built: Callable[..., Plan]) -> None:
    body = {"contentType": "application/json", "payload": '{"a": "{$inputs.o}"}'}
    plan = built([step(body)], inputs=INPUTS, strict=True)

    assert sent(plan) == {"a": '{"k":1}'}


MARKUP = "</n><paid a=\"1\" b='2'>&amp;"


def test_no_value_is_markup_in_a_text_that_is_xml(built: Callable[..., Plan]) -> None:
    from xml.etree import ElementTree

    body = {"contentType": "application/xml", "payload": "<t a='{$inputs.v}'><n>{$inputs.v} of {$inputs.n}</n></t>"}
    plan = Plan.from_json(built([step(body)], inputs=INPUTS).to_json())
    template = plan.calls["a"].body
    assert template is not None
    text = render(template, Context(inputs={**VALUES, "v": MARKUP}))
    root = ElementTree.fromstring(str(text))

    assert [one.tag for one in root.iter()] == ["t", "n"]
    assert (root.get("a"), root[0].text) == (MARKUP, f"{MARKUP} of 3")


@pytest.mark.parametrize("payload", ["$inputs.s", "{$inputs.s}", "{$inputs.s}\n"])
def test_a_value_alone_is_the_xml_it_is(payload: str, built: Callable[..., Plan]) -> None:
    plan = built([step({"contentType": "application/xml", "payload": payload})], inputs=INPUTS)
    template = plan.calls["a"].body
    assert template is not None

    assert str(render(template, Context(inputs={**VALUES, "s": "<a/>"}))).rstrip() == "<a/>"


def form_of(payload: str, built: Callable[..., Plan], s: object) -> object:
    body = {"contentType": "application/x-www-form-urlencoded", "payload": payload}
    template = Plan.from_json(built([step(body)], inputs=INPUTS).to_json()).calls["a"].body
    assert template is not None
    return render(template, Context(inputs={**VALUES, "s": s}))


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        pytest.param("a={$inputs.s}&n={$inputs.n}", "a=x%20y%26b%3D1%2B%C3%A9&n=3", id="in-braces"),
        pytest.param("n=$inputs.n&a=$inputs.s", "n=3&a=x%20y%26b%3D1%2B%C3%A9", id="braceless"),
        pytest.param("{$inputs.s}", "x y&b=1+é", id="a-value-alone-is-the-form-it-is"),
        pytest.param(" {$inputs.s}\n", " x y&b=1+é\n", id="a-value-alone-in-a-block-of-yaml"),
        pytest.param("a=%20+b", "a=%20+b", id="what-the-document-says"),
    ],
)
def test_no_value_makes_a_field_in_a_text_that_is_a_form(
    payload: str, expected: str, built: Callable[..., Plan]
) -> None:
    assert form_of(payload, built, "x y&b=1+é") == expected


def test_a_secret_in_a_text_is_written_as_its_syntax_says(built: Callable[..., Plan]) -> None:
    """In a form that is said where the body is made, once for texts and objects."""
    secret = SecretText(("<", SecretRef("key")))
    body = {"contentType": "application/xml", "payload": "<t>{$inputs.s}</t>"}
    template = built([step(body)], inputs=INPUTS).calls["a"].body
    assert template is not None

    assert render(template, Context(inputs={**VALUES, "s": secret})) == SecretText(
        ("<t>&lt;", SecretRef("key", "html"), "</t>")
    )
    assert form_of("a={$inputs.s}&b=1", built, secret) == SecretText(("a=%3C", SecretRef("key"), "&b=1"))


@pytest.mark.parametrize(
    ("kind", "truth"),
    [
        ("application/xml", True),
        ("Text/XML; charset=utf-8", True),
        ("application/soap+xml", True),
        ("application/json", False),
        ("application/xml-dtd", False),
    ],
)
def test_xml_is_told_by_its_type(kind: str, truth: bool) -> None:
    assert is_xml_type(kind) is truth
