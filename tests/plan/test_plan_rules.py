from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machine.errors import DocumentError
from machine.plan.model import Plan

Composed = Callable[..., Plan]


def step(name: str, operation: str = "listThings", **fields: Any) -> dict[str, Any]:
    return {"stepId": name, "operationId": operation, **fields}


def runs(name: str, workflow: str, **fields: Any) -> dict[str, Any]:
    return {"stepId": name, "workflowId": workflow, **fields}


def action(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "criteria": [{"condition": "$statusCode == 202"}], **fields}


def flow(name: str, *steps: Any, **fields: Any) -> dict[str, Any]:
    return {"workflowId": name, **fields, "steps": list(steps)}


def shown(plan: Plan) -> list[tuple[str, str, str]]:
    return [(state.name, state.kind, state.phase) for state in plan.states if state.kind != "final"]


def rows(plan: Plan, name: str, event: str) -> list[tuple[str, str, str]]:
    names = {one.id: one.name for one in plan.states}
    return [(one.label, names[one.target], one.pace) for one in plan.leaving(plan.named(name).id) if event in one.on]


SAFE = flow("safe", step("s"))
MAKES = flow("makes", step("m", "makeThing"))


def test_ids_are_counted_on_from_one_workflow_to_the_next(composed: Composed) -> None:
    plan = composed(flow("root", runs("a", "safe"), runs("b", "makes")), SAFE, MAKES)
    states = [state.id for table in plan.tables() for state in table.states]
    transitions = [one.id for table in plan.tables() for one in table.transitions]

    assert states == [f"s_{number}" for number in range(len(states))]
    assert transitions == [f"t_{number}" for number in range(len(transitions))]
    assert [table.workflow for table in plan.tables()] == ["root", "safe", "makes"]


def test_phases_know_what_a_workflow_may_have_applied(composed: Composed) -> None:
    outer = flow("outer", runs("o", "makes"))
    plan = composed(flow("root", runs("a", "safe"), runs("b", "outer"), runs("c", "safe")), SAFE, outer, MAKES)

    assert shown(plan) == [("a", "workflow", "starting"), ("b", "workflow", "starting"), ("c", "workflow", "created")]


def test_dependencies_come_before_the_first_step_in_their_order(composed: Composed) -> None:
    plan = composed(flow("root", step("a"), dependsOn=["makes", "safe"]), SAFE, MAKES)

    assert shown(plan) == [("makes", "workflow", "starting"), ("safe", "workflow", "created"), ("a", "call", "created")]
    assert rows(plan, "safe", "returned") == [("completed before", "a", "now"), ("broke", "failed", "none")]
    assert plan.initial.name == "makes"


@pytest.mark.parametrize(("callee", "polls"), [("safe", True), ("makes", False)])
def test_a_loop_polls_where_all_it_runs_is_safe(composed: Composed, callee: str, polls: bool) -> None:
    loop = [action("more", "goto", stepId="a"), action("out", "end")]
    plan = composed(flow("root", runs("a", callee, onSuccess=loop)), SAFE, MAKES)
    entry = plan.initial
    more = next(one for one in plan.leaving(entry.id) if one.label == "more")

    assert (plan.state(more.target).name, more.pace) == ("polling" if polls else "a", "poll")
    assert (plan.children[entry.child].poll is not None) == polls
    assert ("tolerated" in [label for label, _, _ in rows(plan, "a", "returned")]) == polls


def test_the_next_step_is_no_way_out_where_it_runs_something_unsafe(composed: Composed) -> None:
    first = step("a", onSuccess=[action("only", "end")])
    safe = composed(flow("root", first, runs("b", "safe")), SAFE)
    makes = composed(flow("root", first, runs("b", "makes")), MAKES)

    assert ("unmatched", "b", "now") in rows(safe, "a", "replied")
    assert ("unmatched", "failed", "none") in rows(makes, "a", "replied")


def test_a_transfer_has_one_state_for_all_who_take_it(composed: Composed) -> None:
    over = [{"name": "over", "type": "goto", "workflowId": "safe"}]
    plan = composed(flow("root", step("a"), step("b"), failureActions=over), SAFE)

    assert shown(plan)[-1] == ("over", "workflow", "starting")
    assert rows(plan, "a", "replied")[1] == rows(plan, "b", "replied")[1] == ("over", "over", "now")
    assert rows(plan, "over", "returned") == [("broke", "failed", "none")]


def test_only_a_transfer_that_may_lead_back_is_paced(composed: Composed) -> None:
    over = step("a", onSuccess=[{"name": "over", "type": "goto", "workflowId": "b"}])
    back = step("b", onSuccess=[{"name": "back", "type": "goto", "workflowId": "a"}])

    assert rows(composed(flow("a", over), flow("b", step("s"))), "a", "replied")[0] == ("over", "over", "now")
    assert rows(composed(flow("a", over), flow("b", back)), "a", "replied")[0] == ("over", "over", "poll")


def test_a_repair_leads_back_whatever_comes_of_it(composed: Composed) -> None:
    fix = [{"name": "fix", "type": "retry", "stepId": "r", "retryLimit": 3, "retryAfter": 2}]
    plan = composed(flow("root", step("a", onFailure=fix), step("b", onFailure=fix), step("r")))

    assert [name for name, _, _ in shown(plan)] == ["a", "b", "r", "fix for a", "fix for b"]
    assert rows(plan, "fix for b", "replied") == [("repaired", "b", "retry"), ("not repaired", "b", "retry")]
    entering = next(one for one in plan.transitions if one.label == "fix")
    assert (entering.pace, entering.retry_limit, entering.retry_after) == ("now", 3, 2.0)


def test_a_step_that_only_repairs_is_reached(composed: Composed) -> None:
    fix = [{"name": "fix", "type": "retry", "stepId": "r"}]
    done = [{"name": "done", "type": "end"}]
    plan = composed(flow("root", step("a", onFailure=fix, onSuccess=done), step("r")))

    assert [one.code for one in plan.notices] == []
    assert "r" in plan.calls


def test_what_no_state_runs_is_no_part_of_the_plan(composed: Composed) -> None:
    done = [{"name": "done", "type": "end"}]
    plan = composed(flow("root", step("a", onSuccess=done, onFailure=done), runs("b", "safe")), SAFE)

    assert (plan.callees, plan.children) == ({}, {})
    assert [one.code for one in plan.notices] == ["AZM-P020"]


def test_a_step_that_runs_its_own_workflow_needs_no_second_table(composed: Composed) -> None:
    again = [action("deeper", "goto", stepId="b"), action("out", "end")]
    plan = composed(flow("root", step("a", onSuccess=again), runs("b", "root")))

    assert plan.callees == {}
    assert plan.table("root") is plan


def test_workflows_that_wait_for_each_other_are_refused(composed: Composed) -> None:
    with pytest.raises(DocumentError) as refused:
        composed(flow("a", step("s"), dependsOn=["b"]), flow("b", step("s"), dependsOn=["a"]))

    assert [(one.code, "a -> b -> a" in one.message) for one in refused.value.findings] == [("AZM-P045", True)]


def test_everything_wrong_with_what_is_run_is_reported_with_it(composed: Composed) -> None:
    with pytest.raises(DocumentError) as refused:
        composed(flow("root", step("a", "nope"), runs("b", "bad")), flow("bad", step("s", "neither")))

    assert [one.code for one in refused.value.findings] == ["AZM-D201", "AZM-D201"]
