"""Replacements: every target type, insertion where a pointer allows it, and never a change to what the run holds."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from machine.errors import BugError, DocumentError, Place, RequestError
from machine.expressions.evaluate import Context
from machine.expressions.replacement import Target, compile_target, restore_target
from machine.expressions.xml import answer_xpath
from machine.values import FileRef, SecretRef, SecretText

PLACE = Place(document="flow.yaml", line=3, column=5)
BODY: Any = {"a": {"b": 1}, "list": [{"sku": "x", "n": 1}, {"sku": "y", "n": 2}]}
CONTEXT = Context(inputs={"sku": "y"}, ask=answer_xpath)


def target(text: str, kind: str = "", version: str = "", *, xml: bool = False, minor: str = "1.1") -> Target:
    made = compile_target(text, kind, version, xml=xml, minor=minor, place=PLACE)

    assert restore_target(json.loads(json.dumps(made.to_json()))).selects == made.selects
    return made


@pytest.mark.parametrize(
    ("text", "kind", "path"),
    [
        ("/a/b", "", ("a", "b")),
        ("/a/new", "", ("a", "new")),
        ("/new", "jsonpointer", ("new",)),
        ("/list/0/n", "", ("list", 0, "n")),
        ("/list/0", "", ("list", 0)),
        ("/list/2", "", ("list", 2)),
        ("/list/-", "", ("list", 2)),
        ("$.a.b", "jsonpath", ("a", "b")),
        ("$.list[?(@.sku=='{$inputs.sku}')].n", "jsonpath", ("list", 1, "n")),
        ("$.list[-1]", "jsonpath", ("list", 1)),
    ],
)
@pytest.mark.parametrize("value", [9, None, {"k": [1]}, SecretRef("t")], ids=["number", "null", "object", "secret"])
def test_a_value_is_set_with_its_type_and_nothing_else_changes(
    text: str, kind: str, path: tuple[Any, ...], value: Any
) -> None:
    before = copy.deepcopy(BODY)
    made: Any = target(text, kind).put(BODY, value, CONTEXT)
    found = made
    for step in path:
        found = found[step]

    assert found == value
    assert before == BODY
    assert made != BODY


def test_all_that_a_jsonpath_selects_is_set() -> None:
    made: Any = target("$.list[*].n", "jsonpath").put(BODY, 0, CONTEXT)

    assert [one["n"] for one in made["list"]] == [0, 0]


def test_the_empty_pointer_is_the_whole_body() -> None:
    assert target("").put(BODY, "x", CONTEXT) == "x"


@pytest.mark.parametrize(
    ("text", "kind", "body"),
    [
        ("/none/b", "", BODY),
        ("/a/b/c", "", BODY),
        ("/list/5", "", BODY),
        ("/list/x", "", BODY),
        ("/list/01", "", BODY),
        ("/list/-/n", "", BODY),
        ("/list/" + "9" * 5000, "", BODY),
        ("$.none", "jsonpath", BODY),
        ("$.list[5]", "jsonpath", BODY),
        ("/a", "", "a text"),
        ("/a", "", SecretText(("a", SecretRef("t")))),
    ],
    ids=lambda one: str(one)[:20],
)
def test_a_target_that_is_not_there_is_an_error_before_anything_is_sent(text: str, kind: str, body: Any) -> None:
    with pytest.raises(RequestError) as refused:
        target(text, kind).put(body, 1, CONTEXT)

    assert refused.value.code == "AZM-E330"
    assert refused.value.next


def test_a_query_whose_value_is_missing_is_an_error() -> None:
    with pytest.raises(RequestError) as refused:
        target("$.list[?@.sku == '{$inputs.none}']", "jsonpath").put(BODY, 1, CONTEXT)

    assert refused.value.code == "AZM-E331"


XML = "<order><id>1</id><line n='1'/></order>"


@pytest.mark.parametrize(
    ("text", "version", "value", "made"),
    [
        ("/order/id", "", 7, '<order><id>7</id><line n="1"/></order>'),
        ("/order/id", "xpath-10", "<&", '<order><id>&lt;&amp;</id><line n="1"/></order>'),
        ("/order/line/@n", "xpath-30", True, '<order><id>1</id><line n="true"/></order>'),
        ("/order/id", "", None, '<order><id></id><line n="1"/></order>'),
        ("/order/id", "", [1], '<order><id>[1]</id><line n="1"/></order>'),
    ],
)
def test_a_target_in_xml_gets_text(text: str, version: str, value: Any, made: str) -> None:
    assert target(text, "xpath" if version else "", version, xml=True).put(XML, value, CONTEXT) == made


@pytest.mark.parametrize(
    ("body", "value", "code"),
    [
        (XML, SecretRef("t"), "AZM-E331"),
        (XML, FileRef(sha256="a", size=1), "AZM-E331"),
        (SecretText(("<order>", SecretRef("t"), "</order>")), "x", "AZM-E330"),
        ({"a": 1}, "x", "AZM-E330"),
        ("<order/>", "x", "AZM-E330"),
    ],
    ids=["secret", "file", "secret-body", "no-xml", "not-there"],
)
def test_what_cannot_be_set_in_xml_is_an_error(body: Any, value: Any, code: str) -> None:
    with pytest.raises(RequestError) as refused:
        target("/order/id", xml=True).put(body, value, CONTEXT)

    assert refused.value.code == code


@pytest.mark.parametrize(
    ("text", "kind", "tokens"),
    [
        ("$.status", "jsonpath", None),
        ("metadata.source", "jsonpointer", ("metadata", "source")),
        ("items[0].n", "jsonpointer", ("items", "0", "n")),
    ],
)
def test_targets_that_1_0_documents_write_are_read_as_what_they_can_only_mean(
    text: str, kind: str, tokens: tuple[str, ...] | None
) -> None:
    made = target(text, minor="1.0")

    assert (made.kind, made.tolerances) == (kind, ("C5",))
    assert tokens is None or made.selects == tokens


@pytest.mark.parametrize(
    ("text", "kind", "xml", "code"),
    [
        ("$.status", "", False, "AZM-E321"),
        ("a.b", "", False, "AZM-E321"),
        ("/a", "xpath", False, "AZM-E332"),
        ("/a", "jsonpointer", True, "AZM-E332"),
        ("/a", "cel", False, "AZM-E332"),
        ("$..[", "jsonpath", False, "AZM-E204"),
        ("/a[", "xpath", True, "AZM-E310"),
    ],
)
def test_a_target_that_cannot_be_read_is_refused_in_1_1(text: str, kind: str, xml: bool, code: str) -> None:
    with pytest.raises(DocumentError) as refused:
        compile_target(text, kind, "", xml=xml, minor="1.1", place=PLACE)

    assert (refused.value.code, refused.value.place) == (code, PLACE)


@pytest.mark.parametrize("stored", [{}, {"type": "cel", "target": "", "version": ""}])
def test_a_stored_target_nobody_wrote_is_refused(stored: dict[str, Any]) -> None:
    with pytest.raises(BugError):
        restore_target(stored)
