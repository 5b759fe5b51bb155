"""What is guessed and what is judged, and that guesses agree with each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machine.chart.fates import fates_of
from machine.plan.model import Plan
from machine.runtime.evaluator import Evaluator

SCHEMA = {
    "properties": {
        "state": {"enum": ["new", "done"]},
        "sub": {"properties": {"ok": {"type": "boolean"}}},
        "n": {"type": "integer"},
    }
}
API = {
    "openapi": "3.1.0",
    "paths": {
        "/x": {
            "get": {
                "operationId": "getX",
                "responses": {"200": {"content": {"application/json": {"schema": SCHEMA}}}, "default": {}},
            }
        }
    },
}


@pytest.fixture
def told(built: Callable[..., Plan], evaluator: Evaluator) -> Callable[..., dict[str, set[tuple[str, ...]]]]:
    """By label, on what it depends that a 200 gets there."""

    def tell(*actions: Any, version: str = "1.1.0", **step: Any) -> dict[str, set[tuple[str, ...]]]:
        on_success = [
            {"name": f"a{number}", "type": "end", "criteria": [one if isinstance(one, dict) else {"condition": one}]}
            for number, one in enumerate(actions)
        ]
        step = {"stepId": "s", "operationId": "getX", "onSuccess": on_success, **step}
        plan = built([step], api=API, version=version, inputs={"who": {"type": "string"}})
        found: dict[str, set[tuple[str, ...]]] = {}
        for one in fates_of(plan, ask=evaluator)[plan.initial.id]:
            if one.answer.status == "200":
                found.setdefault(one.transition.label, set()).add(one.depends)
        return found

    return tell


@pytest.mark.parametrize(
    ("condition", "depends"),
    [
        ("$response.body#/n > 3", "/n"),
        ("$response.body.sub.other", "/sub/other"),
        ("$response.body", "the body"),
        ("$response.header.X-Name == 'a'", "the header X-Name"),
        ("$inputs.who == 'a'", "$inputs.who"),
        ("$steps.s.outputs.n == 3", "$steps.s.outputs.n"),
        ("$steps.s.outputs.header == 3", "$steps.s.outputs.header"),
        ("$request.path.id == 'one'", "what was sent"),
        ("$url == 'one'", "the address"),
        ({"context": "$response.body#/n", "condition": "^3", "type": "regex"}, "/n"),
        ({"context": "$response.body", "condition": "$.list[?@.n > 1]", "type": "jsonpath"}, "the body"),
        ({"context": "$response.body", "condition": "$.n", "type": "jsonpath"}, "/n"),
    ],
)
def test_what_is_not_known_is_guessed_and_named(told: Any, condition: Any, depends: str) -> None:
    outputs = {"n": "$response.body#/n", "header": "$response.header.X"}

    assert told(condition, outputs=outputs) == {"a0": {(depends,)}, "unmatched": {(depends,)}}


@pytest.mark.parametrize(
    "condition",
    [
        "$response.body#/state == 'done'",
        "$response.body.state == 'done' && $response.body#/sub/ok == true",
        "$steps.s.outputs.state == 'done'",
        "$statusCode == 200 && $method == 'GET'",
        {"context": "$response.body#/state", "condition": "done", "type": "regex"},
        {"context": "$response.body", "condition": "$.state", "type": "jsonpath"},
    ],
)
def test_what_is_known_is_judged(told: Any, condition: Any) -> None:
    found = told(condition, outputs={"state": "$response.body#/state"})

    assert found["a0"] == {()}
    assert set(found) <= {"a0", "unmatched"}


def test_a_query_about_the_object_is_judged_where_its_members_are_known(told: Any) -> None:
    def about(condition: str) -> dict[str, str]:
        return {"context": "$response.body", "condition": condition, "type": "jsonpath"}

    assert told(about("$[?@.state == 'done']"), version="1.0.1") == {"a0": {()}, "unmatched": {()}}
    assert told(about("$.state == 'done' && $.sub.ok == true"), version="1.0.1") == {"a0": {()}, "unmatched": {()}}
    assert told(about("$[?@.n == 1]"), version="1.0.1") == {"a0": {("/n",)}, "unmatched": {("/n",)}}


@pytest.mark.parametrize(
    ("actions", "labels"),
    [
        (["$inputs.who == 'a'", "$inputs.who != 'a'"], {"a0", "a1"}),
        (["$inputs.who == 'a' && $inputs.who == 'b'"], {"unmatched"}),
        (["$inputs.who == 'a' && 'A' == $inputs.who"], {"a0", "unmatched"}),
        (["!($inputs.who == 'a')", "$inputs.who == 'a'"], {"a0", "a1"}),
        (["$response.body#/n == 3 && $response.body#/n > 5"], {"unmatched"}),
        (["$response.body#/state == 'new' || $response.body#/n > 5", "$response.body#/n > 5"], {"a0", "unmatched"}),
    ],
    ids=["negated", "two texts", "without regard to case", "in parentheses", "an order", "one is known"],
)
def test_guesses_agree_with_each_other(told: Any, actions: list[str], labels: set[str]) -> None:
    assert set(told(*actions)) == labels


def test_ways_to_guess_are_bounded_and_then_everything_is_possible(told: Any) -> None:
    many = " && ".join(f"($response.body#/m{number} > 1 || $response.body#/k{number} > 1)" for number in range(20))

    found = told(many, "false")

    assert {"a0", "a1", "unmatched", "broke"} <= set(found)
    assert all("more than can be tried" in one for depends in found.values() for one in depends)
