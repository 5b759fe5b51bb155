"""What differs between two plans of one workflow: told in words, and by rows that have no name of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from machine.plan.compare import Change, Difference, compare
from machine.plan.model import Plan


def make(**fields: Any) -> dict[str, Any]:
    body = {"contentType": "application/json", "payload": {"name": "$inputs.name", "tags": ["a", "b"]}}
    return {"stepId": "make", "operationId": "makeThing", "requestBody": body, **fields}


def action(name: str, kind: str, condition: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "criteria": [{"condition": condition}], **fields}


BUSY = action("busy", "goto", "$response.body#/s == 'busy'", stepId="look")
DONE = action("done", "end", "$response.body#/s == 'ok'")
LOST = action("lost", "end", "$response.body#/s == 'lost'")
CHANGED_BODY = {"contentType": "application/json", "payload": {"name": "other", "tags": ["a", "b"], "size": 1}}


def look(*actions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"stepId": "look", "operationId": "getThing", "onSuccess": list(actions or (BUSY, DONE)), **fields}


Build = Callable[..., Difference]


@pytest.fixture
def between(built: Callable[..., Plan]) -> Build:
    """``between(step, ...)`` -> how that document differs from the one of every test; ``workflow=`` and ``inputs=``."""

    def made(*steps: Any, **fields: Any) -> Difference:
        before = built([make(), look()], inputs={"name": {}})
        return compare(before, built(list(steps), **{"inputs": {"name": {}}, **fields}))

    return made


def said(difference: Difference) -> list[str]:
    return [str(one) for one in difference.changes]


def test_the_same_document_differs_in_nothing_wherever_it_stands(built: Callable[..., Plan]) -> None:
    before = built([make(), look()])
    moved = built([make(description="More lines above the next step."), look()])
    difference = compare(before, replace(moved, document="elsewhere.yaml"))

    assert difference.changes == ()
    assert difference.states == {state.id: state.id for state in before.states}
    assert difference.transitions == {one.id: one.id for one in before.transitions}


@pytest.mark.parametrize(
    ("steps", "fields", "expected"),
    [
        pytest.param(
            [make(requestBody=CHANGED_BODY), look()],
            {},
            [
                "make: request 'body/name': $inputs.name becomes other",
                "make: request 'body/size' is new: 1",
            ],
            id="a-body",
        ),
        pytest.param(
            [make(**{"x-machine": {"effect": {"kind": "idempotent"}}}), look()],
            {},
            ["state in_doubt is gone", "make: effect: create becomes idempotent"],
            id="an-effect",
        ),
        pytest.param(
            [make(), look(BUSY, action("done", "end", "$response.body#/s == 'fine'"))],
            {},
            [
                "look: guard 'done': $response.body#/s == 'ok' becomes $response.body#/s == 'fine'",
                "polling: guard 'done': $response.body#/s == 'ok' becomes $response.body#/s == 'fine'",
            ],
            id="a-guard",
        ),
        pytest.param(
            [make(), look(BUSY, DONE, LOST)],
            {},
            [
                "state lost is new",
                "look: transition 'lost' is new: to lost when $response.body#/s == 'lost'",
                "polling: transition 'lost' is new: to lost when $response.body#/s == 'lost'",
            ],
            id="an-action",
        ),
        pytest.param(
            [make(), look(DONE, BUSY)],
            {},
            ['look: order: ["busy","done"', 'polling: order: ["busy","done"'],
            id="an-order",
        ),
        pytest.param(
            [make(), look(**{"x-machine": {"poll": {"interval": "9s"}}})],
            {},
            ["look: pace 'interval': 5.0 becomes 9.0"],
            id="a-pace",
        ),
        pytest.param(
            [make(), look(**{"x-machine": {"state": "waiting"}})],
            {},
            ["state look: "],
            id="a-name",
        ),
        pytest.param(
            [make(), look()],
            {"inputs": {"name": {}, "size": {"type": "integer"}}, "workflow": {"x-machine": {"deadline": "2h"}}},
            ["input 'size' is new: ", "limit 'deadline': 3600.0 becomes 7200.0"],
            id="an-input-and-a-limit",
        ),
    ],
)
def test_what_differs_is_told_in_words(between: Build, steps: Any, fields: Any, expected: list[str]) -> None:
    told = said(between(*steps, **fields))

    assert len(told) >= len(expected)
    for words in expected:
        assert any(one.startswith(words) for one in told), told


def test_a_row_is_found_again_under_another_id(built: Callable[..., Plan]) -> None:
    before = built([make(), look()])
    after = built([{"stepId": "first", "operationId": "listThings"}, make(), look()])
    difference = compare(before, after)
    names = {before.state(old).name: after.state(new).name for old, new in difference.states.items()}

    assert names == {state.name: state.name for state in before.states}
    for old, new in difference.transitions.items():
        one, other = (next(t for t in plan.transitions if t.id == key) for plan, key in ((before, old), (after, new)))
        assert (one.label, one.on, one.rule) == (other.label, other.on, other.rule)


def test_a_step_that_is_gone_takes_its_states_along(between: Build) -> None:
    difference = between({**look(), "stepId": "watch", "onSuccess": [DONE]})

    assert [one.where for one in difference.changes if one.what == "state" and one.after is None] == [
        "make",
        "look",
        "polling",
        "in_doubt",
    ]


def test_a_change_is_json_with_its_words(between: Build) -> None:
    (change, *_) = between(make(requestBody=CHANGED_BODY), look()).to_json()["changes"]

    assert change == {
        "what": "request",
        "where": "make",
        "before": "$inputs.name",
        "after": "other",
        "name": "body/name",
        "text": "make: request 'body/name': $inputs.name becomes other",
    }


def test_a_long_value_is_cut_in_words_only() -> None:
    change = Change(what="request", where="s", name="body", before="x" * 500, after="y")

    assert len(str(change)) < 200
    assert change.to_json()["before"] == "x" * 500
