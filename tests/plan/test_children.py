from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machine.errors import DocumentError
from machine.plan.model import ChildPlan, Plan

Composed = Callable[..., Plan]


def step(name: str = "s", **fields: Any) -> dict[str, Any]:
    return {"stepId": name, "operationId": "listThings", **fields}


def flow(name: str, *steps: Any, inputs: Any = None, **fields: Any) -> dict[str, Any]:
    schema = {"inputs": {"type": "object", "properties": inputs}} if inputs is not None else {}
    return {"workflowId": name, **schema, **fields, "steps": list(steps)}


def given(*names: str, **more: str) -> list[dict[str, Any]]:
    return [{"name": name, "value": f"from {name}", **more} for name in names]


def child(plan: Plan, role: str) -> ChildPlan:
    return next(one for one in plan.children.values() if one.role == role)


def names(one: ChildPlan) -> list[str]:
    return [name for name, _ in one.parameters]


def test_of_what_all_steps_share_a_workflow_gets_what_it_has_an_input_for(composed: Composed) -> None:
    root = flow(
        "root",
        {"stepId": "r", "workflowId": "child", "parameters": given("b", "odd")},
        parameters=given("a", "b", "c", **{"in": "header"}),
    )
    made = child(composed(root, flow("child", step(), inputs={"a": {}, "b": {}})), "step")

    assert names(made) == ["a", "b", "odd"]
    assert (made.step, made.workflow, made.outputs, made.same_named) == ("r", "child", None, False)


def test_outputs_that_are_declared_are_the_steps_own(composed: Composed) -> None:
    root = flow("root", {"stepId": "r", "workflowId": "child", "outputs": {"x": "$outputs.y"}})
    made = child(composed(root, flow("child", step())), "step")

    assert list(made.outputs or ()) == ["x"]


@pytest.mark.parametrize(("version", "same"), [("1.0.1", True), ("1.1.0", False)])
def test_an_action_of_1_0_hands_on_what_has_the_same_name(composed: Composed, version: str, same: bool) -> None:
    over = [{"name": "over", "type": "goto", "workflowId": "child"}]
    fix = [{"name": "fix", "type": "retry", "workflowId": "child"}]
    plan = composed(flow("root", step(onSuccess=over, onFailure=fix)), flow("child", step()), version=version)

    assert [child(plan, role).same_named for role in ("transfer", "repair")] == [same, same]


def test_an_action_that_gives_parameters_gives_nothing_else(composed: Composed) -> None:
    over = [{"name": "over", "type": "goto", "workflowId": "child", "parameters": given("a")}]
    made = child(composed(flow("root", step(onSuccess=over)), flow("child", step()), version="1.1.0"), "transfer")

    assert (names(made), made.same_named) == (["a"], False)


def test_a_child_read_back_is_the_same(composed: Composed) -> None:
    again = [{"name": "again", "type": "goto", "stepId": "r", "criteria": [{"condition": "$outputs.x == 1"}]}]
    root = flow(
        "root",
        {
            "stepId": "r",
            "workflowId": "child",
            "parameters": given("a"),
            "outputs": {"x": "$outputs.x"},
            "successCriteria": [{"condition": "$statusCode == 200"}],
            "onSuccess": again,
            "timeout": 900,
            "dependsOn": ["q"],
        },
        step("q"),
        dependsOn=["child"],
    )
    plan = composed(root, flow("child", step()), version="1.1.0")
    made = child(plan, "step")

    assert (made.timeout, made.needs, made.poll is not None) == (0.9, (("", "q"),), True)
    assert [ChildPlan.from_json(one.to_json()) for one in plan.children.values()] == list(plan.children.values())
    assert Plan.from_json(plan.to_json()).text() == plan.text()


def test_every_value_that_cannot_be_read_is_reported(composed: Composed) -> None:
    bad = {
        "stepId": "r",
        "workflowId": "child",
        "parameters": [*given("a"), {"name": "b", "value": "$steps.no.outputs.x"}],
    }
    bad |= {"outputs": {"o": "$steps.ghost.outputs.x"}, "successCriteria": [{"condition": "$statusCode =="}]}
    with pytest.raises(DocumentError) as refused:
        composed(flow("root", bad), flow("child", step()))

    assert sorted(one.code for one in refused.value.findings) == ["AZM-E100", "AZM-P014", "AZM-P014"]
