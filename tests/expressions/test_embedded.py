"""Embedded expressions: where they are, what they are worth, and what is no value for a condition."""

from __future__ import annotations

from typing import Any

import pytest

from machine.errors import DocumentError, Place
from machine.expressions.embedded import as_text, expressions, fill, split, values
from machine.expressions.evaluate import Context
from machine.expressions.question import Undecided
from machine.values import FileRef, SecretRef

CONTEXT = Context(inputs={"a": "x", "n": 1.5, "t": SecretRef("t"), "o": {"k": [SecretRef("t")]}, "z": None})


@pytest.mark.parametrize(
    ("text", "escapes", "parts"),
    [
        ("a{$inputs.a}b", False, ["a", "$inputs.a", "b"]),
        ("{$inputs.a}{$statusCode}", False, ["$inputs.a", "$statusCode"]),
        ("{$.items} {$5} {x}", False, ["{$.items} {$5} {x}"]),
        (r"\{$inputs.a}", False, ["\\", "$inputs.a"]),
        (r"\{$inputs.a}", True, [r"\{$inputs.a}"]),
        (r"\\{$inputs.a}", True, [r"\\", "$inputs.a"]),
        ("", False, []),
    ],
)
def test_a_text_is_cut_at_expressions_only(text: str, escapes: bool, parts: list[str]) -> None:
    assert [str(part) for part in split(text, Place(), "1.0", escapes=escapes)] == parts


def test_a_malformed_expression_is_refused() -> None:
    with pytest.raises(DocumentError):
        split("a{$inputs.}", Place(), "1.0")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{$inputs.none}", "$inputs.none was absent"),
        ("{$inputs.t}", "$inputs.t was [secret t], and a secret may be compared with nothing but null"),
        ("{$inputs.o}", "$inputs.o was an object with 1 member, and a secret may be compared with nothing but null"),
    ],
)
def test_absent_values_and_secrets_cannot_stand_in_a_condition(text: str, why: str) -> None:
    with pytest.raises(Undecided) as undecided:
        values(split(text, Place(), "1.0"), CONTEXT)

    assert undecided.value.why == why


def test_a_file_stands_for_what_is_known_of_it() -> None:
    context = Context(inputs={"f": FileRef(sha256="ab", size=3)})

    assert values(split("{$inputs.f}", Place(), "1.0"), context) == [
        {"sha256": "ab", "size": 3, "type": "application/octet-stream"}
    ]


def test_values_are_filled_in_in_their_order_by_a_writer_that_sees_what_stands_before() -> None:
    parts = split("a{$inputs.a}b{$inputs.n}", Place(), "1.0")
    spots: list[tuple[str, Any]] = []

    def write(before: str, value: Any) -> tuple[str, str]:
        spots.append((before, value))
        return before.upper(), as_text(value)

    assert fill(parts, values(parts, CONTEXT), write) == "AXB1.5"
    assert spots == [("a", "x"), ("Axb", 1.5)]
    assert [str(one) for one in expressions(parts)] == ["$inputs.a", "$inputs.n"]


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), (1, "1"), (True, "true"), (None, "null"), ([1, "é"], '[1,"é"]'), ({}, "{}")]
)
def test_what_is_no_text_reads_as_json(value: Any, text: str) -> None:
    assert as_text(value) == text
