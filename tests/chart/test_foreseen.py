"""Which answers are tried: enough to tell apart what a guard or a rule of the machine tells apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machine.chart.events import Replied
from machine.chart.foreseen import Foreseen, foreseen
from machine.plan.model import Plan

LISTED = {"content": {"application/json": {"schema": {"properties": {"state": {"enum": ["new", "done", None]}}}}}}


@pytest.fixture
def tried(built: Callable[..., Plan]) -> Callable[..., list[Foreseen]]:
    def of(responses: dict[str, Any], *conditions: str, method: str = "get", **workflow: Any) -> list[Foreseen]:
        paths = {"/x": {method: {"operationId": "getX", "responses": responses}}}
        criteria = [{"condition": one} for one in conditions]
        step = {
            "stepId": "s",
            "operationId": "getX",
            "onSuccess": [{"name": "yes", "type": "end", **({"criteria": criteria} if criteria else {})}],
        }
        plan = built([step], api={"openapi": "3.1.0", "paths": paths}, version="1.1.0", workflow=workflow)
        return list(foreseen(plan, plan.initial, plan.calls["s"]))

    return of


def statuses(tried: list[Foreseen]) -> dict[int, tuple[str, str]]:
    """By status that is tried: whose it is, and what it would be called."""
    return {one.event.reply.status: (one.among, one.answer.status) for one in tried if isinstance(one.event, Replied)}


def test_every_part_of_a_range_that_a_guard_tells_apart_is_tried(tried: Any) -> None:
    found = statuses(tried({"200": {}, "4XX": {}, "default": {}}, "$statusCode == 404 || 450 <= $statusCode"))

    assert found[200] == ("200", "200")
    assert found[404] == ("4XX", "404")
    assert {name for among, name in found.values() if among == "4XX" and "-" in name} == {"400-449", "450-499"}
    assert {name for among, name in found.values() if among == "default" and name.endswith("XX")} == {
        "2XX",
        "3XX",
        "5XX",
    }
    assert all(among == "4XX" for status, (among, _) in found.items() if 400 <= status < 500)


def test_a_status_stands_for_as_many_as_nothing_tells_from_it(tried: Any) -> None:
    found = tried({"200": {}, "404": {}})
    shares = {one.answer.status: one.share for one in found if isinstance(one.event, Replied)}

    assert sum(shares.values()) == 400
    assert shares["404"] == shares["503"] == 1
    assert {one.among for one in found if one.share > 1} == {"any other"}


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("$response.body#/state == 'done'", ["new", "done", None]),
        ("$response.body#/other == 'done'", []),
    ],
    ids=["looked at", "not looked at"],
)
def test_the_values_of_members_a_guard_looks_at_are_tried(tried: Any, condition: str, found: list[Any]) -> None:
    seen = tried({"200": LISTED}, condition)

    assert [one.answer.values["/state"] for one in seen if one.members] == found
    assert [one.unlisted for one in seen if one.unlisted] == (["#/state"] if found else [])


@pytest.mark.parametrize(
    ("declared", "required", "found"),
    [
        ({"enum": ["a", "b"]}, True, ["a", "b"]),
        ({"type": "boolean", "default": True}, False, [True, False]),
        ({"enum": ["a", "b"]}, False, []),
        ({"type": "string"}, True, []),
        ({"enum": list("abcdefghijk")}, True, []),
        ({"enum": ["a", "b"], "format": "password"}, True, []),
    ],
    ids=["listed", "with a default", "may be missing", "not listed", "too many", "secret"],
)
def test_inputs_with_few_values_are_told_apart(tried: Any, declared: Any, required: bool, found: list[Any]) -> None:
    inputs = {"type": "object", "properties": {"mode": declared}, "required": ["mode"] if required else []}
    seen = tried({"200": {}}, "$inputs.mode != null", inputs=inputs)

    assert [one.inputs["mode"] for one in seen if one.answer.status == "200" and one.inputs] == found
    assert [one.inputs["mode"] for one in seen if one.answer.status == "no answer" and one.inputs] == found


def test_what_has_no_body_is_not_given_one(tried: Any) -> None:
    head = tried({"200": LISTED}, "$response.body#/state == 'done'", method="head")
    gone = [one for one in tried({"204": LISTED, "200": LISTED}) if one.answer.status == "204"]

    assert all(one.bodiless and one.event.reply.form == "empty" for one in head if isinstance(one.event, Replied))
    assert [(one.bodiless, one.members) for one in gone] == [(True, frozenset())]
