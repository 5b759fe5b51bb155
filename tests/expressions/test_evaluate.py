"""Evaluation: every expression has a value or is absent; nothing raises and no type is changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.errors import Place
from machine.expressions.evaluate import Context, RequestView, ResponseView, evaluate, point, resolve_name
from machine.expressions.grammar import parse_expression
from machine.values import MISSING, SecretRef, SecretText

BODY: dict[str, Any] = {
    "name": "e1",
    "status": {"state": "running", "url": None},
    "items": [{"id": 7}, {"id": 8}],
    "a/b": 1,
    "~t": 2,
    "": 3,
    "0": "zero",
    "big": 1.5,
}
CONTEXT = Context(
    inputs={
        "hfToken": SecretRef("hfToken"),
        "a": {"b": {"c": 1}},
        "a.b": {"c": 2},
        "track[title]": "t",
        "nothing": None,
    },
    steps={"make": {"endpointName": "e1", "all": [{"id": 1}], "n": 3}},
    outputs={"x": 5},
    workflows={"w": {"inputs": {"i": 1}, "outputs": {"o": 2}}},
    sources={"api": {"url": "./api.yml"}},
    request=RequestView(headers={"x-id": "9"}, query={"page": 2}, path={"id": "p"}, body={"q": 1}),
    response=ResponseView(headers={"content-type": "application/json"}, body=BODY),
    status=201,
    url=SecretText(("https://h/?t=", SecretRef("hfToken"))),
    method="POST",
    document="urn:flow",
)

VALUES: list[tuple[str, Any]] = [
    ("$statusCode", 201),
    ("$method", "POST"),
    ("$url", CONTEXT.url),
    ("$self", "urn:flow"),
    ("$request.header.X-ID", "9"),
    ("$request.query.page", 2),
    ("$request.path.id", "p"),
    ("$request.body#/q", 1),
    ("$response.header.Content-Type", "application/json"),
    ("$response.header.nope", MISSING),
    ("$response.body", BODY),
    ("$response.body#/status/state", "running"),
    ("$response.body#/status/url", None),
    ("$response.body#/status/none", MISSING),
    ("$response.body#/name/0", MISSING),
    ("$response.body#/items/1/id", 8),
    ("$response.body#/items/01/id", MISSING),
    ("$response.body#/items/-", MISSING),
    ("$response.body#/items/2", MISSING),
    ("$response.body#/items/" + "9" * 4000, MISSING),
    ("$response.body#/items/\u0661", MISSING),
    ("$response.body#/items/length", MISSING),
    ("$response.body#/a~1b", 1),
    ("$response.body#/~0t", 2),
    ("$response.body#/", 3),
    ("$response.body#/0", "zero"),
    ("$response.body#/big", 1.5),
    ("$response.body.items[0].id", 7),
    ("$response.body.items.1.id", 8),
    ("$response.body.items.length", 2),
    ("$response.body.name.length", 2),
    ("$response.body.status.length", MISSING),
    ("$inputs.hfToken", SecretRef("hfToken")),
    ("$inputs.hfToken.x", MISSING),
    ("$inputs.hfToken#/x", MISSING),
    ("$inputs.a.b.c", 2),
    ("$inputs.a#/b/c", 1),
    ("$inputs.track[title]", "t"),
    ("$inputs.nothing", None),
    ("$inputs.unknown", MISSING),
    ("$steps.make.outputs.endpointName", "e1"),
    ("$steps.make.outputs.all[0].id", 1),
    ("$steps.make.outputs.all[*].id", MISSING),
    ("$steps.make.outputs.n.x", MISSING),
    ("$steps.make.endpointName", "e1"),
    ("$steps.nope.outputs.x", MISSING),
    ("$outputs.x", 5),
    ("$workflows.w.inputs.i", 1),
    ("$workflows.w.outputs.o", 2),
    ("$workflows.v.outputs.o", MISSING),
    ("$sourceDescriptions.api.url", "./api.yml"),
    ("$sourceDescriptions.api.operation", MISSING),
    ("$sourceDescriptions.other.url", MISSING),
    ("$components.parameters.x", MISSING),
]


@pytest.mark.parametrize(("text", "expected"), VALUES, ids=[text[:40] for text, _ in VALUES])
def test_an_expression_has_its_value_or_is_absent(text: str, expected: Any) -> None:
    found = evaluate(parse_expression(text, place=Place()), CONTEXT)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "text", [text for text, _ in VALUES if not text.startswith(("$inputs#", "$inputs "))], ids=lambda text: text[:40]
)
def test_everything_is_absent_before_anything_happened(text: str) -> None:
    assert evaluate(parse_expression(text, place=Place()), Context()) is MISSING


def test_a_root_alone_is_all_its_names() -> None:
    expression = parse_expression("$steps.make.outputs", place=Place())

    assert evaluate(expression, CONTEXT) == CONTEXT.steps["make"]


def test_a_pointer_into_a_value_nested_without_end_does_not_recurse() -> None:
    deep: Any = "end"
    for _ in range(50_000):
        deep = {"a": deep}

    assert point(deep, ("a",) * 50_000) == "end"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a", ("a", ())),
        ("a.b", ("a.b", ())),
        ("a.b.c", ("a.b", ("c",))),
        ("a.c[0]", ("a", ("c", "0"))),
        ("a[0]", ("a", ("0",))),
        ("ab", None),
        ("a.", None),
        ("a[*]", None),
        ("", None),
    ],
)
def test_the_longest_declared_name_wins(name: str, expected: tuple[str, tuple[str, ...]] | None) -> None:
    assert resolve_name(name, {"a", "a.b"}) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abs0/~.", max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.lists(st.text("abs01-/~.", max_size=3), max_size=4))
def test_evaluation_never_raises_for_any_body(body: Any, tokens: list[str]) -> None:
    pointer = "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)
    expression = parse_expression(f"$response.body#{pointer}", place=Place())
    found = evaluate(expression, Context(response=ResponseView(body=body)))

    assert tokens or found is body
