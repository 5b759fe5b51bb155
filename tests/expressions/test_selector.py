"""Selector Objects: told apart from plain objects, typed, and of a shape that never depends on the reply."""

from __future__ import annotations

import json
from typing import Any

import pytest

from machine.errors import BugError, DocumentError, Place
from machine.expressions.evaluate import Context, ResponseView
from machine.expressions.selector import compile_selector, is_selector, pointer_tokens, restore_selector
from machine.expressions.xml import answer_xpath
from machine.values import MISSING, SecretRef

PLACE = Place(document="flow.yaml", line=3, column=5)
JSON: Any = {"items": [{"id": 1, "sku": "a"}, {"id": 2, "sku": "b"}], "a/b": {"~": None}, "t": SecretRef("t")}


def selected(selector: str, kind: Any, body: Any = JSON, **inputs: Any) -> Any:
    value = {"context": "$response.body", "selector": selector, "type": kind}
    made = compile_selector(value, minor="1.1", inside=lambda *_: PLACE)
    restored = restore_selector(json.loads(json.dumps(made.to_json())))
    context = Context(response=ResponseView(body=body), inputs=inputs, ask=answer_xpath)

    assert restored == made
    assert restored.read(context) == made.read(context)
    return made.read(context)


@pytest.mark.parametrize(
    ("selector", "kind", "value"),
    [
        ("/items/1/id", "jsonpointer", 2),
        ("", "jsonpointer", JSON),
        ("/a~1b/~0", {"type": "jsonpointer", "version": "rfc6901"}, None),
        ("/none", "jsonpointer", MISSING),
        ("$.items[0].id", "jsonpath", 1),
        ("$.items[0].none", "jsonpath", MISSING),
        ("$.items[*].id", {"type": "jsonpath", "version": "rfc9535"}, [1, 2]),
        ("$.items[?@.sku == 'b'].id", "jsonpath", [2]),
        ("$.items[?@.sku == 'z'].id", "jsonpath", []),
        ("$.items[?@.sku == '{$inputs.sku}'].id", "jsonpath", [1]),
        ("$.items[(@.length-1)].id", {"type": "jsonpath", "version": "draft-goessner-dispatch-jsonpath-00"}, 2),
        ("$.t", "jsonpath", SecretRef("t")),
        ("$..t", "jsonpath", [SecretRef("t")]),
    ],
)
def test_a_selector_gives_a_value_with_its_type(selector: str, kind: Any, value: Any) -> None:
    assert selected(selector, kind, sku="a") == value


@pytest.mark.parametrize(
    ("selector", "kind", "value"),
    [
        ("/r/n", "xpath", ["1", "2"]),
        ("/r/n[1]", {"type": "xpath", "version": "xpath-10"}, "1"),
        ("count(/r/n)", "xpath", 2),
        ("/r/none", "xpath", MISSING),
        ("/r/n[. = {$inputs.n}]", "xpath", "2"),
        ("1 idiv 0", "xpath", MISSING),
    ],
)
def test_an_xpath_gives_one_value_or_a_list(selector: str, kind: Any, value: Any) -> None:
    assert selected(selector, kind, "<r><n>1</n><n>2</n></r>", n=2) == value


@pytest.mark.parametrize("body", [MISSING, None, 5, "text"], ids=str)
@pytest.mark.parametrize(("selector", "kind"), [("/a", "jsonpointer"), ("$.a", "jsonpath"), ("/a", "xpath")])
def test_a_context_without_structure_selects_nothing(selector: str, kind: str, body: Any) -> None:
    assert selected(selector, kind, body) is MISSING


@pytest.mark.parametrize(
    ("value", "truth"),
    [
        ({"context": "$response.body", "selector": "$.a", "type": "jsonpath"}, True),
        ({"context": "$inputs", "selector": "", "type": {"type": "jsonpointer"}}, True),
        ({"context": "body", "selector": "$.a", "type": "jsonpath"}, False),
        ({"context": "$response.body", "selector": "$.a"}, False),
        ({"context": "$response.body", "selector": "$.a", "type": "jsonpath", "x-more": 1}, False),
        ({"context": "$response.body", "selector": 5, "type": "jsonpath"}, False),
        ("$response.body", False),
    ],
)
def test_only_an_object_with_exactly_the_three_fields_is_a_selector(value: Any, truth: bool) -> None:
    assert is_selector(value) is truth


@pytest.mark.parametrize(
    ("kind", "selector", "code"),
    [
        ("cel", "x", "AZM-E320"),
        (5, "x", "AZM-E320"),
        ({"type": "jsonpath", "version": "2"}, "$.a", "AZM-E320"),
        ("jsonpointer", "a", "AZM-E321"),
        ("jsonpointer", "/~", "AZM-E321"),
        ("jsonpath", "$.a ==", "AZM-E204"),
        ("jsonpath", "a", "AZM-E204"),
        ("xpath", "//a[", "AZM-E310"),
        ({"type": "xpath", "version": "xpath-9"}, "//a", "AZM-E312"),
    ],
)
def test_a_selector_that_cannot_be_read_is_refused(kind: Any, selector: str, code: str) -> None:
    with pytest.raises(DocumentError) as refused:
        compile_selector(
            {"context": "$response.body", "selector": selector, "type": kind}, minor="1.1", inside=lambda *_: PLACE
        )

    assert (refused.value.code, refused.value.place) == (code, PLACE)


def test_a_pointer_has_its_escapes_undone_in_the_right_order() -> None:
    assert pointer_tokens("/a~01/b~1c//", PLACE) == ("a~1", "b/c", "", "")


@pytest.mark.parametrize("stored", [{}, {"context": "$inputs", "type": "cel", "version": "", "selector": ""}])
def test_a_stored_selector_nobody_wrote_is_refused(stored: dict[str, Any]) -> None:
    with pytest.raises(BugError):
        restore_selector(stored)
