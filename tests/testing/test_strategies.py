"""What the strategies make is worth trying: mostly well formed, and damaged where they say so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from machine.errors import MachineError
from machine.expressions.grammar import is_expression
from machine.plan.build import build_plan
from machine.sources.description import describe
from machine.testing import strategies
from machine.testing.strategies import API, Damage

SOME = settings(
    max_examples=200, deadline=None, database=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck)
)


def compiles(document: Any) -> bool:
    texts = {"w.yaml": json.dumps(document).encode(), "things.json": json.dumps(API).encode()}
    try:
        build_plan(describe("w.yaml", read=texts.__getitem__))
    except MachineError:
        return False
    return True


def is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("strategy", "holds"),
    [
        pytest.param(strategies.documents(), compiles, id="a-document-that-compiles"),
        pytest.param(strategies.documents(), lambda one: not compiles(one), id="a-document-that-does-not"),
        pytest.param(strategies.texts(), is_json, id="a-text-that-is-whole"),
        pytest.param(strategies.texts(), lambda one: not is_json(one), id="a-text-that-is-damaged"),
        pytest.param(strategies.expressions(), is_expression, id="an-expression"),
        pytest.param(strategies.expressions(), lambda one: not is_expression(one), id="nearly-an-expression"),
        pytest.param(strategies.conditions(), lambda one: "&&" in one, id="a-condition-of-several"),
        pytest.param(strategies.queries(), lambda one: "[?" in one, id="a-query-with-a-filter"),
        pytest.param(strategies.replies(), lambda one: one.form == "undecodable", id="an-unreadable-answer"),
        pytest.param(strategies.bodies(), lambda one: not is_json(one[0]), id="a-body-that-is-no-json"),
    ],
)
def test_a_strategy_reaches_what_it_is_for(strategy: st.SearchStrategy[Any], holds: Any) -> None:
    try:
        find(strategy, holds, settings=SOME)
    except NoSuchExample:
        pytest.fail("200 examples and none of that kind")


@settings(max_examples=50, deadline=None, database=None)
@given(strategies.json_values())
def test_values_are_json(value: Any) -> None:
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    json.dumps(value, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        (Damage(kind="cut", at=3, length=1, data=b"x"), b"abc"),
        (Damage(kind="insert", at=3, length=1, data=b"xy"), b"abcxydef"),
        (Damage(kind="zero", at=4, length=9, data=b"x"), b"abcd\0\0"),
        (Damage(kind="change", at=5, length=1, data=b"xyz"), b"abcdex"),
        (Damage(kind="change", at=8, length=1, data=b"x"), b"axcdef"),
    ],
)
def test_damage_changes_one_place(damage: Damage, left: bytes) -> None:
    assert damage.apply(b"abcdef") == left


@settings(max_examples=50, deadline=None, database=None)
@given(strategies.damages())
def test_every_damage_can_be_done(damage: Damage) -> None:
    assert isinstance(damage.apply(b"abcdef"), bytes)
    assert isinstance(damage.apply(b""), bytes)
