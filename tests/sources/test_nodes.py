"""Nodes of a parsed description, and the references between them."""

from __future__ import annotations

from typing import Any

import pytest

from machine.document.positions import Twice
from machine.sources.nodes import File, Node, unclear

FILES: dict[str, Any] = {
    "a.yaml": {
        "one": {"$ref": "#/two"},
        "two": {"x": 1},
        "list": [{"y": 2}],
        "a/b~c": 3,
        200: "ok",
        "loop": {"$ref": "#/loop"},
    },
    "sub/b.yaml": {"up": {"$ref": "../a.yaml#/one"}, "self": {"$ref": "b.yaml#/up"}},
    "https://api.test/v1/a.yaml": {"own": {"$ref": "a.yaml#/x"}, "x": 5, "far": {"$ref": "../b.yaml?raw=1#/y"}},
    "https://api.test/b.yaml?raw=1": {"y": 6},
}


def root(path: str) -> Node:
    return File(path=path, value=FILES[path], beside=FILES).root


@pytest.mark.parametrize(
    ("path", "reference", "expected"),
    [
        ("a.yaml", "#/one", {"x": 1}),
        ("a.yaml", "#/list/0", {"y": 2}),
        ("a.yaml", "#/a~1b~0c", 3),
        ("a.yaml", "#/a~1b%7E0c", 3),
        ("a.yaml", "sub/b.yaml#/self", {"x": 1}),
        ("sub/b.yaml", "#/up", {"x": 1}),
        ("a.yaml", "sub/b.yaml", FILES["sub/b.yaml"]),
        ("a.yaml", "https://api.test/v1/a.yaml#/x", 5),
        ("https://api.test/v1/a.yaml", "#/own", 5),
        ("https://api.test/v1/a.yaml", "#/far", 6),
    ],
)
def test_a_reference_is_followed_to_its_end_through_files(path: str, reference: str, expected: object) -> None:
    start = Node({"$ref": reference}, root(path).file)

    assert start.followed().value == expected


@pytest.mark.parametrize(
    ("reference", "word"),
    [
        ("#/nothing", "nothing there"),
        ("#/list/7", "nothing there"),
        ("#/list/-", "nothing there"),
        ("#anchor", "nothing there"),
        ("c.yaml#/x", "in no file that was read"),
        ("https://api.test/c.yaml#/x", "in no file that was read"),
        ("#/loop", "circle"),
    ],
)
def test_a_reference_that_leads_nowhere_is_an_empty_node_and_a_note(reference: str, word: str) -> None:
    notes: list[str] = []
    found = Node({"$ref": reference}, root("a.yaml").file).followed(notes, "it")

    assert found.value is None
    assert notes[0].startswith("it refers to")
    assert word in notes[0]


def test_members_are_read_without_complaint_whatever_stands_there() -> None:
    node = root("a.yaml")

    assert node.get("two").get("x").value == 1
    assert node.get("two").get("x").get("deeper").value is None
    assert [item.get("y").value for item in node.get("list").entries()] == [2]
    assert node.get("two").entries() == ()
    assert "200" in dict(node.items())


TWICE = Twice(key="'k'", first=(1, 1), again=(2, 1), uri="a.yaml")


@pytest.mark.parametrize(
    ("value", "schemas", "expected"),
    [
        pytest.param({"a": [{"b": TWICE}]}, False, TWICE, id="deep"),
        pytest.param(TWICE, False, TWICE, id="itself"),
        pytest.param({"description": TWICE, "example": TWICE, "x-a": {"b": TWICE}}, False, None, id="prose"),
        pytest.param({"a": {"description": TWICE}}, False, None, id="prose-deeper"),
        pytest.param({"properties": {"description": TWICE}}, False, TWICE, id="a-name"),
        pytest.param({"properties": {"properties": {"description": TWICE}}}, False, None, id="prose-of-a-name"),
        pytest.param({"content": {"a/b": {"schema": {"type": TWICE}}}}, False, None, id="schema"),
        pytest.param({"content": {"a/b": {"schema": {"type": TWICE}}}}, True, TWICE, id="schema-that-is-looked-at"),
        pytest.param({"a": [1, None, "b"]}, True, None, id="whole"),
        pytest.param([[0]] * 5000, True, None, id="long"),
    ],
)
def test_what_is_unclear_about_a_part(value: object, schemas: bool, expected: object) -> None:
    assert unclear(value, schemas=schemas) is expected


def test_below_a_key_that_stands_twice_nothing_is_known_and_references_end_there() -> None:
    root = File(path="a.yaml", value={"a": TWICE, "r": {"$ref": TWICE}}).root

    assert root.get("a").get("b").get("c").value is TWICE
    assert list(root.get("a").items()) == []
    for reference in ("#/a", "#/a/b/c", "#/r"):
        assert Node({"$ref": reference}, root.file).followed().value is TWICE
