from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machine.errors import DocumentError
from machine.plan.model import Plan

Composed = Callable[..., Plan]


def step(name: str, **fields: Any) -> dict[str, Any]:
    return {"stepId": name, "operationId": "listThings", **fields}


def reading(name: str, *others: str, **fields: Any) -> dict[str, Any]:
    values = [{"name": one, "in": "query", "value": f"$steps.{one}.outputs.x"} for one in others]
    return step(name, parameters=values, outputs={"x": "$response.body#/x"}, **fields)


def flow(name: str, *steps: Any, **fields: Any) -> dict[str, Any]:
    return {"workflowId": name, **fields, "steps": list(steps)}


def codes(refused: pytest.ExceptionInfo[DocumentError]) -> list[str]:
    return [one.code for one in refused.value.findings]


def order(plan: Plan) -> list[str]:
    return [state.step for state in plan.states if state.kind == "call"]


def test_a_workflow_that_uses_depends_on_is_put_in_an_order_that_satisfies_it(composed: Composed) -> None:
    steps = [reading("a", "c"), reading("b", dependsOn=["d"]), reading("c"), reading("d")]
    plan = composed(flow("root", *steps), version="1.1.0")

    assert order(plan) == ["c", "a", "d", "b"]


def test_without_it_the_order_is_the_documents(composed: Composed) -> None:
    plan = composed(flow("root", reading("a", "b"), reading("b")))

    assert order(plan) == ["a", "b"]
    assert [(one.code, one.message) for one in plan.notices] == [
        ("AZM-P024", "step 'a' reads outputs of 'b', which can only run after it")
    ]


@pytest.mark.parametrize("options", [{"version": "1.1.0"}, {"strict": True}], ids=["1.1", "strict"])
def test_a_step_that_reads_what_can_only_come_after_it_is_refused(composed: Composed, options: Any) -> None:
    with pytest.raises(DocumentError) as refused:
        composed(flow("root", reading("a", "b"), reading("b")), **options)

    assert codes(refused) == ["AZM-P024"]


def test_a_loop_may_lead_back_to_a_step_that_reads_what_comes_after_it(composed: Composed) -> None:
    back = [{"name": "back", "type": "goto", "stepId": "a"}]
    plan = composed(flow("root", reading("a", "b"), reading("b", onFailure=back)), version="1.1.0")

    assert plan.notices == ()


@pytest.mark.parametrize("version", ["1.0.1", "1.1.0"])
def test_a_retry_may_first_run_the_step_whose_outputs_are_read(composed: Composed, version: str) -> None:
    login = [{"name": "login", "type": "retry", "stepId": "b"}]
    done = [{"name": "done", "type": "end"}]
    plan = composed(flow("root", reading("a", "b", onFailure=login, onSuccess=done), reading("b")), version=version)

    assert plan.notices == ()


REFUSED = [
    pytest.param([step("a", dependsOn=["no"])], ["AZM-D111"], id="an-unknown-step"),
    pytest.param([step("a", dependsOn=["$workflows.other.steps.no"])], ["AZM-P042"], id="an-unknown-step-elsewhere"),
    pytest.param([step("a", dependsOn=["$workflows.no.steps.s"])], ["AZM-P040"], id="an-unknown-workflow"),
    pytest.param([step("a", dependsOn=["b"]), step("b", dependsOn=["a"])], ["AZM-P044"], id="a-ring"),
    pytest.param([step("a", dependsOn=["a"])], ["AZM-P044"], id="itself"),
    pytest.param([step("a", onSuccess=[{"name": "x", "type": "retry"}])], ["AZM-D104"], id="a-retry-on-success"),
]


@pytest.mark.parametrize(("steps", "expected"), REFUSED)
def test_what_1_1_does_not_allow_is_refused(composed: Composed, steps: Any, expected: list[str]) -> None:
    with pytest.raises(DocumentError) as refused:
        composed(flow("root", *steps), flow("other", step("s")), version="1.1.0")

    assert codes(refused) == expected


def test_needs_name_the_workflow_only_where_it_is_another(composed: Composed) -> None:
    needs = ["s", "$workflows.root.steps.s", "$workflows.other.steps.t", "$sourceDescriptions.far.w.steps.u"]
    plan = composed(
        flow("root", step("s"), step("a", dependsOn=needs)),
        flow("other", step("t")),
        others={"far": [flow("w", step("u"))]},
        version="1.1.0",
    )

    assert plan.calls["a"].needs == (("", "s"), ("", "s"), ("other", "t"), ("far.w", "u"))
    assert plan.callees == {}, "to depend on a step never starts its workflow"


def test_a_retry_on_success_is_a_tolerance_of_1_0(composed: Composed) -> None:
    again = [{"name": "x", "type": "retry"}]
    plan = composed(flow("root", step("a", onSuccess=again)))

    assert "C8" in [one.code for one in plan.notices]
    with pytest.raises(DocumentError) as refused:
        composed(flow("root", step("a", onSuccess=again)), strict=True)
    assert codes(refused) == ["C8"]


@pytest.mark.parametrize("where", ["step", "dependency", "action"])
def test_a_workflow_that_is_not_named_in_full_is_a_tolerance(composed: Composed, where: str) -> None:
    far = {"far": [flow("w", step("u"))]}
    root = {
        "step": flow("root", {"stepId": "r", "workflowId": "w"}),
        "dependency": flow("root", step("a"), dependsOn=["w"]),
        "action": flow("root", step("a", onSuccess=[{"name": "x", "type": "goto", "workflowId": "w"}])),
    }[where]

    assert [one.code for one in composed(root, others=far).notices] == ["C6"]
    with pytest.raises(DocumentError) as refused:
        composed(root, others=far, strict=True)
    assert codes(refused) == ["C6"]


def test_messages_are_refused_with_one_clear_error(composed: Composed) -> None:
    sends = {"stepId": "a", "operationId": "listThings", "action": "send"}
    with pytest.raises(DocumentError) as refused:
        composed(flow("root", sends), version="1.1.0")

    assert codes(refused) == ["AZM-P013"]
