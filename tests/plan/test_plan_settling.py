from __future__ import annotations

from collections.abc import Callable
from typing import Any

from machine.plan.model import Plan

NAME = {"name": "$response.body#/name"}


def step(name: str, operation: str = "getThing", **fields: Any) -> dict[str, Any]:
    return {"stepId": name, "operationId": operation, **fields}


def leaving(plan: Plan, name: str, event: str) -> list[tuple[str, str, str]]:
    names = {one.id: one.name for one in plan.states}
    return [(one.label, names[one.target], one.stop) for one in plan.leaving(plan.named(name).id) if event in one.on]


def test_doubt_is_left_by_the_success_half_of_the_list(built: Callable[..., Plan]) -> None:
    made = [{"name": "made", "type": "end"}]
    plan = built([step("a", "makeThing", onSuccess=made, onFailure=[{"name": "sad", "type": "end"}])])

    assert leaving(plan, "in_doubt", "resolved") == [
        ("not sent", "a", ""),
        ("send again", "a", ""),
        ("made", "made", "ended"),
        ("still in doubt", "in_doubt", "in_doubt"),
    ]
    assert leaving(plan, "in_doubt", "reopened") == [("still in doubt", "in_doubt", "in_doubt")]
    assert leaving(plan, "a", "reopened") == [("in doubt", "in_doubt", "in_doubt"), ("look again", "a", "")]


def test_a_safe_call_has_no_doubt(built: Callable[..., Plan]) -> None:
    plan = built([step("a"), step("b", "putThing")])

    assert [state for state in plan.states if state.kind == "doubt"] == []


def test_an_unsafe_repair_has_a_doubt_of_its_own_that_leads_back_to_what_is_retried(
    built: Callable[..., Plan],
) -> None:
    fix = [{"name": "fix", "type": "retry", "stepId": "r"}]
    plan = built([step("a", onFailure=fix), step("r", "makeThing", outputs=NAME)])
    doubt = plan.named("in_doubt fix for a")

    assert (doubt.step, plan.state(doubt.of).name) == ("r", "fix for a")
    assert leaving(plan, doubt.name, "resolved") == [
        ("not sent", "fix for a", ""),
        ("send again", "fix for a", ""),
        ("repaired", "a", ""),
        ("still in doubt", "in_doubt fix for a", "in_doubt"),
    ]
    assert plan.named("in_doubt r").of == plan.named("r").id
