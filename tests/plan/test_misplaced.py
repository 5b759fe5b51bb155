"""Replacements whose target is never there, told before anything runs; what only a run can tell is not guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machine.errors import DocumentError, RequestError
from machine.expressions.evaluate import Context
from machine.expressions.template import Replaced, render
from machine.plan.build import build_plan
from machine.plan.misplaced import misplaced
from machine.sources.description import Description

LATER = "$inputs.x"
LISTED = {"list": [{"id": "a", "n": 1}, {"id": "b"}], "o": {"k": 1}, "x": LATER, "text": "word"}

CASES: list[tuple[str, Any, list[dict[str, Any]], list[int]]] = [
    ("a member that is there", LISTED, [{"target": "/o/k"}], []),
    ("a new member of an object", LISTED, [{"target": "/o/new"}], []),
    ("the end of a list", LISTED, [{"target": "/list/-"}], []),
    ("an index behind the end", LISTED, [{"target": "/list/3"}], [0]),
    ("past an object that is not there", LISTED, [{"target": "/gone/k"}], [0]),
    ("into a text", LISTED, [{"target": "/text/k"}], [0]),
    ("into a value of the run", LISTED, [{"target": "/x/k/deep"}], []),
    ("the second of two", LISTED, [{"target": "/o/k"}, {"target": "/no/k"}], [1]),
    ("made by the one before", LISTED, [{"target": "/new", "value": {}}, {"target": "/new/k"}], []),
    ("made by the run", LISTED, [{"target": "/new", "value": LATER}, {"target": "/new/k/l"}], []),
    ("without a payload", None, [{"target": "/a"}], []),
    ("into a payload of the run", LATER, [{"target": "/a/b"}], []),
    ("a query", LISTED, [{"target": "$.o.k"}], []),
    ("a query that selects nothing", LISTED, [{"target": "$.o.gone"}], [0]),
    ("a query that counts back", {"list": [{"k": 1}]}, [{"target": "$.list[-1].k"}], []),
    ("a query that counts back into the run", {"list": [LATER]}, [{"target": "$.list[-1].k"}], []),
    ("a filter", {"list": [{"id": "a"}]}, [{"target": "$.list[?@.id == 'a']"}], []),
    ("a filter that selects nothing", {"list": [{"id": "a"}]}, [{"target": "$.list[?@.id == 'z']"}], [0]),
    ("a filter over values of the run", LISTED, [{"target": "$.list[?@.id == 'z']"}], []),
    ("a filter that asks for a pattern", {"list": [{"id": "a"}]}, [{"target": "$.list[?match(@.id, 'z')]"}], []),
]


@pytest.fixture
def body(describe_things: Callable[..., Description]) -> Callable[..., Description]:
    def make(payload: Any, changes: list[dict[str, Any]]) -> Description:
        written: dict[str, Any] = {"replacements": [{"value": 7, **one} for one in changes]}
        if payload is not None:
            written["payload"] = payload
        step = {"stepId": "a", "operationId": "makeThing", "requestBody": written}
        return describe_things([step], inputs={"x": {}})

    return make


@pytest.mark.parametrize(("payload", "changes", "wrong"), [one[1:] for one in CASES], ids=[one[0] for one in CASES])
def test_a_target_that_is_never_there_is_told(body: Any, payload: Any, changes: Any, wrong: list[int]) -> None:
    plan = build_plan(body(payload, changes))
    made = plan.calls["a"].body

    assert isinstance(made, Replaced)
    assert [number for number, _ in misplaced(made)] == wrong
    assert [one.place.pointer.split("/")[-2:] for one in plan.notices if one.code == "AZM-P027"] == [
        [str(number), "target"] for number in wrong
    ]
    if wrong:
        with pytest.raises(RequestError):
            render(made, Context(inputs={"x": {}}))


def test_a_strict_reading_refuses_it(body: Any) -> None:
    with pytest.raises(DocumentError) as refused:
        build_plan(body({"a": 1}, [{"target": "/b/c"}]), strict=True)

    assert [one.code for one in refused.value.findings] == ["AZM-P027"]


def test_what_of_the_payload_is_written_is_not_changed(body: Any) -> None:
    made = build_plan(body({"a": {"k": 1}}, [{"target": "/a/k"}])).calls["a"].body

    assert isinstance(made, Replaced)
    assert [*misplaced(made), *misplaced(made)] == []
    assert render(made.body, Context()) == {"a": {"k": 1}}
