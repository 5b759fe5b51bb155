"""Keys that stand twice in a text that is read leniently; what is refused otherwise is tested with the readers."""

from __future__ import annotations

import json

import pytest
import yaml

from machine.document import builder
from machine.document.load import parse
from machine.document.positions import Twice
from machine.errors import DocumentError


@pytest.fixture(params=["c", "python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both parsers of PyYAML: the C one may be missing where it was built without libyaml."""
    if request.param == "python":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    return str(request.param)


def twice(key: str, first: tuple[int, int], again: tuple[int, int]) -> Twice:
    return Twice(key=repr(key), first=first, again=again, uri="api.yaml")


ONE = twice("a", (1, 1), (3, 1))


@pytest.mark.parametrize("positions", [True, False], ids=["positions", "values"])
@pytest.mark.parametrize(
    ("text", "value", "found"),
    [
        pytest.param("a: 1\nb: 2\na: 3\n", {"a": ONE, "b": 2}, [ONE], id="yaml"),
        pytest.param("a: {x: 1}\nb: 2\na: [3]\nc: 4", {"a": ONE, "b": 2, "c": 4}, [ONE], id="containers"),
        pytest.param("a: 1\n\na: 2\na: {b: 3}\n", {"a": ONE}, [ONE], id="three-times"),
        pytest.param(
            '{"a": 1,\n "b": {"c": 2, "c": {"d": 3}}}',
            {"a": 1, "b": {"c": (one := twice("c", (2, 8), (2, 16)))}},
            [one],
            id="json",
        ),
        pytest.param(
            "x: &x {k: 1, k: 2}\ny: *x\nz: &z [1]\nz: 2\nw: *z\n",
            {
                "x": {"k": (k := twice("k", (1, 8), (1, 14)))},
                "y": {"k": k},
                "z": (z := twice("z", (3, 1), (4, 1))),
                "w": [1],
            },
            [k, z],
            id="aliases",
        ),
        pytest.param("200: a\n'200': b\n", {"200": (n := twice("200", (1, 1), (2, 1)))}, [n], id="a-number-and-a-text"),
        pytest.param(
            "a: {b: 1, b: 2}\n\na: {b: 1, b: 2}\n",
            {"a": ONE},
            [twice("b", (1, 5), (1, 11)), ONE, twice("b", (3, 5), (3, 11))],
            id="inside-of-what-stands-twice",
        ),
    ],
)
def test_a_key_that_stands_twice_has_neither_value_where_that_is_let_pass(
    parser: str, positions: bool, text: str, value: object, found: list[Twice]
) -> None:
    tree = parse(text, uri="api.yaml", positions=positions, lenient=True)

    assert tree.value == value
    assert sorted(tree.twice, key=lambda one: one.first) == sorted(found, key=lambda one: one.first)
    assert bool(tree.positions) == positions
    with pytest.raises(DocumentError) as caught:
        parse(text, positions=positions)
    assert caught.value.code == "AZM-D004"


def test_both_places_are_told() -> None:
    assert str(ONE) == "the key 'a' stands twice in one object, at api.yaml:1:1 and 3:1"


def test_how_many_keys_may_stand_twice_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "MAX_TWICE", 2)
    text = "".join(f"{key}: 1\n{key}: 2\n" for key in "ab")

    assert len(parse(text, lenient=True).twice) == 2
    with pytest.raises(DocumentError) as caught:
        parse(text + "c: 1\nc: 2\n", lenient=True)
    assert (caught.value.code, caught.value.place and caught.value.place.line) == ("AZM-D004", 6)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: 1\na: [" + "1, " * 20 + "1]\n", id="values"),
        pytest.param("a: 1\na: " + "[" * 101 + "]" * 101 + "\n", id="depth"),
    ],
)
def test_what_is_lost_counts_as_well(text: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(text, most=10, lenient=True)
    assert caught.value.code in ("AZM-D008", "AZM-D009")


def test_a_whole_text_is_read_the_same() -> None:
    text = json.dumps({"a": {"b": [1, None]}, "c": "d"})

    assert parse(text, lenient=True, positions=False) == parse(text, positions=False)


def test_a_refusal_reads_as_its_words() -> None:
    assert str(builder.Refused("AZM-D004", "it stands twice")) == "it stands twice"
