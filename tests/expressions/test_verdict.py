"""Comparison and the words a verdict is made of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.expressions.verdict import clip, compare, is_refused, number, show, truthy
from machine.values import MISSING, SecretRef, SecretText

SECRET = SecretRef("hfToken")

HOLDS: list[tuple[Any, str, Any]] = [
    (201, "==", 201),
    (201, "==", "201"),
    ("201", "==", 201.0),
    ("9", "<", 10),
    (10, ">", "9.5"),
    ("1e2", ">=", 100),
    ("10", "<", "9"),
    ("Running", "==", "rUNNING"),
    ("a", "<", "B"),
    ("a", "<=", "A"),
    (None, "==", None),
    (None, "==", MISSING),
    (None, "!=", 0),
    (None, "!=", False),
    (None, "!=", ""),
    (MISSING, "!=", "x"),
    (True, "==", True),
    (True, "!=", 1),
    (True, "!=", "true"),
    ("01", "!=", 1),
    ("x", "!=", 1),
    ([1, {"a": None}], "==", [1, {"a": None}]),
    ([True], "!=", [1]),
    ({"a": 1}, "!=", {"a": 1, "b": 2}),
    ([1], "!=", [1, 2]),
    ([1], "!=", {"0": 1}),
    (10**400, ">", 1.5),
]
FAILS: list[tuple[Any, str, Any]] = [
    (None, "!=", MISSING),
    (None, "<", 1),
    (None, "<=", None),
    (MISSING, ">=", MISSING),
    (True, "<", 2),
    (True, ">=", True),
    ("x", "<", 1),
    ([1], "<", [2]),
    ({}, ">=", {}),
    (float("nan"), "==", float("nan")),
]


@pytest.mark.parametrize(("left", "operator", "right"), HOLDS)
def test_a_comparison_holds(left: Any, operator: str, right: Any) -> None:
    assert compare(operator, left, right)


@pytest.mark.parametrize(("left", "operator", "right"), FAILS)
def test_a_comparison_does_not_hold(left: Any, operator: str, right: Any) -> None:
    assert not compare(operator, left, right)


@pytest.mark.parametrize("value", [False, None, MISSING, 0, 0.0, ""])
def test_nothing_fails_when_it_stands_alone(value: Any) -> None:
    assert not truthy(value)


@pytest.mark.parametrize("value", [True, 1, -1, "false", "0", [], {}, [0]])
def test_something_passes_when_it_stands_alone(value: Any) -> None:
    assert truthy(value)


@pytest.mark.parametrize(
    ("left", "right", "refused"),
    [
        (SECRET, "x", True),
        ("x", SecretText(("Bearer ", SECRET)), True),
        ({"a": [SECRET]}, {"a": ["x"]}, True),
        (SECRET, SECRET, True),
        (SECRET, None, False),
        (MISSING, SECRET, False),
        ("x", "y", False),
    ],
)
def test_a_secret_may_be_held_against_null_only(left: Any, right: Any, refused: bool) -> None:
    assert is_refused(left, right) is refused


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", 1), ("-2.5", -2.5), ("1e3", 1000.0), ("1" * 5000, None), ("", None), ("1_0", None), ("\u0661", None)],
)
def test_a_number_is_what_json_spells_as_one(text: str, expected: float | None) -> None:
    assert number(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (MISSING, "absent"),
        (None, "null"),
        (True, "true"),
        (200, "200"),
        (10**4000, "a very large number"),
        ("running", "'running'"),
        ("a\x1b[2J\nb", "'a\\x1b[2J\\nb'"),
        ("x" * 500, "'" + "x" * 80 + "...'"),
        ({"a": 1}, "an object with 1 member"),
        ([], "a list of 0"),
        (SECRET, "[secret hfToken]"),
        (SecretText(("Bearer ", SECRET)), "Bearer [secret hfToken]"),
    ],
)
def test_a_value_is_shown_short_printable_and_without_secrets(value: Any, expected: str) -> None:
    assert show(value) == expected


def test_a_lone_surrogate_can_be_shown() -> None:
    assert clip("\ud800", 10) == "\\ud800"


def test_values_nested_without_end_are_compared_without_recursion() -> None:
    one: Any = 1
    other: Any = 1
    for _ in range(20_000):
        one, other = [one], [other]

    assert compare("==", one, other)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(MISSING)


@given(SCALARS, SCALARS)
def test_unequal_is_the_opposite_of_equal(left: Any, right: Any) -> None:
    assert compare("!=", left, right) is not compare("==", left, right)


@given(SCALARS, SCALARS)
def test_less_is_greater_seen_from_the_other_side(left: Any, right: Any) -> None:
    assert compare("<", left, right) is compare(">", right, left)
    assert compare("<=", left, right) is compare(">=", right, left)
