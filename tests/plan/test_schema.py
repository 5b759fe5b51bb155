"""Patterns in a schema: bounded wherever the validator would match them, and meaning what they mean to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.plan.model import InputPlan, Plan
from machine.plan.schema import STEPS, misfits_by_jsonschema, mismatch
from machine.runtime.evaluator import Evaluator

ASK = Evaluator()
EVIL = "^(a|aa)+$"
ENDLESS = "a" * 60 + "!"


@pytest.fixture(scope="module")
def base(built: Callable[..., Plan]) -> Plan:
    return built([{"stepId": "a", "operationId": "getThing"}])


def misfits(plan: Plan, schema: dict[str, Any], value: Any) -> list[str]:
    whole = {"properties": {"x": schema}}
    made = replace(plan, inputs=(InputPlan(name="x", schema=schema),), input_schema=whole)
    return list(misfits_by_jsonschema(made, {"x": value}, ASK))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": EVIL}, ENDLESS),
        ({"items": {"pattern": EVIL}}, [ENDLESS]),
        ({"patternProperties": {EVIL: {}}}, {ENDLESS: 1}),
        ({"patternProperties": {EVIL: {}}, "additionalProperties": False}, {ENDLESS: 1}),
        ({"propertyNames": {"pattern": EVIL}}, {ENDLESS: 1}),
    ],
)
def test_a_pattern_that_would_match_for_ever_ends_as_a_misfit(base: Plan, schema: dict[str, Any], value: Any) -> None:
    (problem,) = misfits(base, schema, value)

    assert "took more than" in problem


@pytest.mark.parametrize("left", [{"patternProperties": {EVIL: {}}}, {"dependentSchemas": {ENDLESS: {}}}])
@pytest.mark.parametrize("right", ["unevaluatedProperties", "unevaluatedItems"])
def test_keywords_that_together_escape_the_bound_are_not_used(base: Plan, left: dict[str, Any], right: str) -> None:
    schema = {**left, right: False}

    assert misfits(base, schema, {ENDLESS: 1}) == [
        f"the input schema cannot be used: {next(iter(left))} beside {right} is not supported"
    ]


def doubling(word: str) -> dict[str, Any]:
    """A schema whose definitions refer twice to the next one, forty deep."""
    levels = {f"s{n}": {word: [{"$ref": f"#/properties/x/$defs/s{n + 1}"}] * 2} for n in range(40)}
    return {"$defs": {**levels, "s40": {"type": "integer"}}, "$ref": "#/properties/x/$defs/s0"}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        pytest.param(doubling("allOf"), 1, id="references-that-double"),
        pytest.param(doubling("anyOf"), "x", id="choices-that-double"),
        pytest.param({**doubling("anyOf"), "unevaluatedProperties": False}, {"a": 1}, id="what-is-unevaluated"),
        pytest.param({"uniqueItems": True}, [{"a": n} for n in range(5000)], id="every-item-with-every-other"),
        pytest.param({"anyOf": [{"type": "string"}] * 2000}, ["x" * 200_000], id="messages-that-quote-the-value"),
        pytest.param({"items": {f"k{n}": 1 for n in range(20_000)}}, [1] * 20_000, id="a-wide-schema-of-each-item"),
    ],
)
def test_a_schema_that_takes_for_ever_ends_as_a_misfit(base: Plan, schema: dict[str, Any], value: Any) -> None:
    (problem,) = misfits(base, schema, value)

    assert problem == f"the inputs cannot be held against the input schema of w: it takes more than {STEPS} steps"


def test_a_schema_that_divides_by_nothing_cannot_be_used(base: Plan) -> None:
    assert "cannot be used" in misfits(base, {"multipleOf": 0, "$defs": {}}, 5)[0]


UNUSABLE = [
    ({"properties": 5}, "properties is an object of schemas by their names, not 5 (at /properties/x/properties)"),
    ({"type": "strin"}, "there is no type 'strin'; did you mean string? (at /properties/x/type)"),
    ({"$ref": "#/nowhere"}, "what it refers to leads nowhere, or round in a ring"),
]


@pytest.mark.parametrize(("schema", "why"), UNUSABLE)
def test_a_schema_that_cannot_be_used_is_told_with_its_input(base: Plan, schema: dict[str, Any], why: str) -> None:
    assert misfits(base, schema, {"a": 1}) == [f"the input schema of w cannot be used: {why}"]


@pytest.mark.parametrize(
    ("pattern", "text", "problem"),
    [
        ("^a", "ab", ""),
        ("^a", "b", "does not match ^a"),
        (EVIL, ENDLESS, f"cannot be matched with {EVIL}: matching took more than 0.5 s"),
        ("a", "b" * (1 << 21), "cannot be matched with a: it has more than 1048576 characters"),
    ],
)
def test_a_mismatch_is_said_in_words(pattern: str, text: str, problem: str) -> None:
    assert mismatch(pattern, text, ASK) == problem


NAMES = st.sampled_from(["a", "ab", "b", "x1"])
PATTERNS = st.sampled_from(["a", "^a", "b$", "^x[0-9]$", ""])
INNER = st.sampled_from([{}, {"type": "string"}, False, {"pattern": "a"}])
SCHEMAS = st.fixed_dictionaries(
    {},
    optional={
        "pattern": PATTERNS,
        "properties": st.dictionaries(NAMES, INNER, max_size=2),
        "patternProperties": st.dictionaries(PATTERNS, INNER, max_size=2),
        "additionalProperties": st.booleans() | INNER,
    },
)


@given(SCHEMAS, st.dictionaries(NAMES, st.sampled_from(["a", "b", 1]), max_size=3) | NAMES)
def test_the_bounded_keywords_accept_exactly_what_the_validator_accepts(
    base: Plan, schema: dict[str, Any], value: Any
) -> None:
    valid = jsonschema.Draft202012Validator({"properties": {"x": schema}}).is_valid({"x": value})

    assert (misfits(base, schema, value) == []) is valid
