"""Simple conditions: precedence, literals, errors with a position, and verdicts that say what was seen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.errors import DocumentError, Place
from machine.expressions import simple
from machine.expressions.evaluate import Context, ResponseView
from machine.expressions.simple import compared, operands, parse_condition
from machine.values import SecretRef

PLACE = Place(document="flow.yaml", line=9, column=3)
CONTEXT = Context(
    inputs={"token": SecretRef("token"), "n": 5, "no": False, "empty": [], "zero": 0, "text": "", "list": [{"a": 1}]},
    response=ResponseView(
        headers={"x-rate": "12"}, body={"state": "Running", "name": "it's", "items": [1, 2], "url": None}
    ),
    status=200,
)


def holds(text: str) -> bool:
    return simple.test(parse_condition(text, PLACE), CONTEXT).truth


TRUE = [
    "$statusCode == 200",
    "$statusCode==200",
    " \t$statusCode  ==\n200 ",
    "$statusCode >= 200 && $statusCode < 300",
    "$statusCode == 404 || $statusCode == 200",
    "$statusCode == 200 || $statusCode == 1 && $statusCode == 2",
    "!($statusCode == 404)",
    "!!$inputs.n",
    "!$inputs.zero",
    "!$inputs.text",
    "!$inputs.no",
    "!$inputs.unknown",
    "$inputs.empty",
    "($statusCode) == 200",
    "(($statusCode == 200))",
    "{$statusCode} == {$statusCode}",
    "{$inputs.list}[0].a == 1",
    "$inputs.list[0].a == 1",
    "$response.body#/state == 'running'",
    "$response.body#/name == 'It''s'",
    '$response.body#/state == "RUNNING"',
    "$response.body.items.length == 2",
    "$response.body.items[1] == 2",
    "$response.header.X-Rate > 9",
    "$response.body#/url == null",
    "$response.body#/nope == null",
    "$response.body#/nope != 1",
    "$inputs.token != null",
    "-5 < $inputs.n",
    "1e2 == 100",
    "$response.body#/state == running",
    "true",
]
FALSE = [
    "$statusCode == 201",
    "!$inputs.n",
    "!($statusCode == 200) || false",
    "($statusCode == 200 || $statusCode == 1) && $statusCode == 2",
    "$response.body#/nope < 1",
    "$response.body#/url <= null",
    "$inputs.token == null",
    "$inputs.no == 0",
    "null",
    "''",
]


@pytest.mark.parametrize("text", TRUE)
def test_a_condition_passes(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize("text", FALSE)
def test_a_condition_fails(text: str) -> None:
    assert not holds(text)


REFUSED = [
    ("", "AZM-E100", 0),
    ("==", "AZM-E100", 0),
    ("$statusCode ==", "AZM-E100", 14),
    ("$statusCode = 200", "AZM-E101", 12),
    ("$statusCode & 1", "AZM-E101", 12),
    ("$statusCode | 1", "AZM-E101", 12),
    ("$statusCode }", "AZM-E101", 12),
    ("{$statusCode == 1", "AZM-E102", 0),
    ("{$inputs.a}[*] == 1", "AZM-E103", 11),
    ("$statusCode == 'x", "AZM-E104", 15),
    ("1 < $statusCode < 3", "AZM-E106", 16),
    ("($statusCode == 1) == true", "AZM-E106", 19),
    ("($statusCode == 1", "AZM-E100", 17),
    ("$statusCode == 1)", "AZM-E100", 16),
    ("$statusCode == 1 and true", "AZM-E100", 17),
    ("$statusCode <> 1", "AZM-E100", 13),
    ("!$statusCode == 1", "AZM-E100", 17),
    ("hello", "AZM-E100", 0),
    ("a && b", "AZM-E100", 0),
    ("$statusCode == (1)", "AZM-E100", 15),
    ("(" * 80 + "true" + ")" * 80, "AZM-E105", 65),
    ("!" * 4000 + "true", "AZM-E105", 65),
    ("true" + " && true" * 1000, "AZM-E107", 4096),
]


@pytest.mark.parametrize(("text", "code", "at"), REFUSED, ids=[text[:25] or "empty" for text, _, _ in REFUSED])
def test_a_malformed_condition_is_refused_with_its_character(text: str, code: str, at: int) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_condition(text, PLACE)

    assert (caught.value.code, f"at character {at}:" in caught.value.message) == (code, True), caught.value.message
    assert caught.value.place == PLACE


@pytest.mark.parametrize("text", ["$statusCode.x == 1", "$nope == 1", "$response.body[?(@.a=='b')].c == 1"])
def test_a_malformed_operand_says_where_in_the_condition_it_begins(text: str) -> None:
    with pytest.raises(DocumentError, match="in the operand at character 0 of the condition"):
        parse_condition(text, PLACE)


WHY = [
    ("$statusCode == 201", "$statusCode == 201: $statusCode was 200"),
    ("$statusCode == 1 || $statusCode == 2", "$statusCode == 1 || $statusCode == 2: $statusCode was 200"),
    (
        "$statusCode == 200 && $response.body#/state == 'failed'",
        (
            "$statusCode == 200 && $response.body#/state == 'failed': "
            "$statusCode was 200 and $response.body#/state was 'Running'"
        ),
    ),
    ("$inputs.nope", "$inputs.nope: $inputs.nope was absent"),
    ("$inputs.token != null", "$inputs.token != null: $inputs.token was [secret token]"),
    ("true", "true: nothing in it depends on the run"),
]


@pytest.mark.parametrize(("text", "why"), WHY, ids=[text for text, _ in WHY])
def test_a_verdict_names_what_was_observed(text: str, why: str) -> None:
    assert simple.test(parse_condition(text, PLACE), CONTEXT).why == why


@pytest.mark.parametrize(
    "text",
    [
        "$inputs.token == 'x'",
        "$inputs.token != 'x'",
        "!($inputs.token == 'x')",
        "$inputs.token == 'x' || true",
        "$inputs.token > 1",
        "$inputs.token",
        "!$inputs.token",
    ],
)
def test_a_guard_learns_nothing_about_a_secret(text: str) -> None:
    verdict = simple.test(parse_condition(text, PLACE), CONTEXT)

    assert not verdict.truth
    assert "a secret may be compared with nothing but null" in verdict.why


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("$statusCode == 200", ()),
        ('$response.body#/a == "x"', ("C14",)),
        ("$response.body#a == x", ("C5", "C14")),
        ("$response.body.a[0].b == 1", ()),
    ],
)
def test_a_condition_lists_the_tolerances_it_needed(text: str, codes: tuple[str, ...]) -> None:
    assert parse_condition(text, PLACE).tolerances == codes


def test_a_value_held_only_against_null_does_not_decide_by_its_content() -> None:
    root = parse_condition("$inputs.token != null && !($statusCode == 1)", PLACE).root

    assert [str(one) for one in operands(root)] == ["$inputs.token", "null", "$statusCode", "1"]
    assert "$inputs.token" not in [str(one) for one in compared(root)]


def test_a_value_nested_without_end_fails_with_a_reason() -> None:
    deep: Any = 1
    for _ in range(20_000):
        deep = [deep]
    verdict = simple.test(parse_condition("$inputs.x == $inputs.x", PLACE), Context(inputs={"x": deep}))

    assert not verdict.truth
    assert "nested too deeply" in verdict.why


CONDITIONS = [parse_condition(text, PLACE) for text in TRUE + FALSE]
BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["state", "name", "items", "url", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.sampled_from(CONDITIONS), BODIES)
def test_every_condition_has_a_verdict_for_every_body(condition: simple.Condition, body: Any) -> None:
    context = Context(inputs={"n": body}, response=ResponseView(body=body), status=200)
    verdict = simple.test(condition, context)

    assert isinstance(verdict.truth, bool)
    assert verdict.why.isprintable()


@given(st.text("$statusCode=!&|()<>'\"{}[] .#/01ax\\", max_size=25))
def test_any_text_is_a_condition_or_a_document_error(text: str) -> None:
    try:
        condition = parse_condition(text, PLACE)
    except DocumentError:
        return

    assert isinstance(simple.test(condition, CONTEXT).truth, bool)


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("$inputs.a == 'x{$inputs.b}z'", True),
        ("'{$inputs.n}' == 3", True),
        ("$inputs.a == 'x{$inputs.none}z'", False),
        ("'{$inputs.none}' == null", True),
        ("$inputs.a == 'x{$.b}z'", False),
        ("'{$inputs.o}' == '{\"k\":1}'", True),
    ],
)
def test_a_string_may_have_values_in_it(text: str, truth: bool) -> None:
    context = Context(inputs={"a": "xYz", "b": "y", "n": 3, "o": {"k": 1}})

    assert simple.test(parse_condition(text, PLACE, minor="1.1"), context).truth is truth


@pytest.mark.parametrize("value", [SecretRef("t"), {"k": SecretRef("t")}], ids=["itself", "inside"])
@pytest.mark.parametrize("text", ["'x{$inputs.t}' == 'xs'", "!('x{$inputs.t}' == 'xs')"])
def test_a_string_with_a_secret_in_it_is_compared_with_nothing(text: str, value: Any) -> None:
    verdict = simple.test(parse_condition(text, PLACE), Context(inputs={"t": value}))

    assert not verdict.truth
    assert "a secret may be compared with nothing but null" in verdict.why


def test_the_names_of_1_1_are_asked_for_in_its_conditions() -> None:
    parse_condition("$steps.a b.outputs.c == 1".replace(" b", "/b"), PLACE)
    with pytest.raises(DocumentError) as refused:
        parse_condition("$steps.a/b.outputs.c == 1", PLACE, minor="1.1")

    assert refused.value.code == "AZM-E003"
    assert "in the operand at character 0" in refused.value.message
