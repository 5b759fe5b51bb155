from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machine.errors import DocumentError
from machine.plan.model import Plan

Composed = Callable[..., Plan]
TEXT = {"type": "string"}


def step(**fields: Any) -> dict[str, Any]:
    return {"stepId": "s", "operationId": "listThings", **fields}


def runs(workflow: str, **given: str) -> dict[str, Any]:
    parameters = [{"name": name, "value": value} for name, value in given.items()]
    return {"stepId": "r", "workflowId": workflow, "parameters": parameters}


def flow(name: str, *steps: Any, inputs: Any = None, **fields: Any) -> dict[str, Any]:
    schema = {"inputs": {"type": "object", "properties": inputs}} if inputs is not None else {}
    return {"workflowId": name, **schema, **fields, "steps": list(steps)}


def sends(credential: str) -> dict[str, Any]:
    return {
        "stepId": "t",
        "operationId": "listThings",
        "parameters": [{"name": "Authorization", "in": "header", "value": credential}],
    }


AUTHORIZED = step(parameters=[{"name": "Authorization", "in": "header", "value": "Bearer {$inputs.k}"}])


def secrets(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {table.workflow: table.secrets for table in plan.tables()}


HANDED = [
    pytest.param(
        flow("root", runs("child", a="$inputs.token"), inputs={"token": TEXT}),
        flow("child", step(), inputs={"a": TEXT, "b": TEXT}),
        {"root": ("token",), "child": ("a",)},
        id="down",
    ),
    pytest.param(
        flow("root", runs("child", a="$inputs#/token"), inputs={"token": TEXT}),
        flow("child", step(), inputs={"a": TEXT}),
        {"root": ("token",), "child": ("a",)},
        id="by-a-pointer",
    ),
    pytest.param(
        flow("root", runs("child", k="$inputs#/mine"), inputs={"mine": TEXT, "other": TEXT}),
        flow("child", sends("Bearer {$inputs#/k}"), inputs={"k": TEXT}),
        {"root": ("mine",), "child": ("k",)},
        id="up-from-a-header-by-a-pointer",
    ),
    pytest.param(
        flow("root", runs("child", a="x-{$inputs.token}"), inputs={"token": TEXT}),
        flow("child", step(), inputs={"a": TEXT}),
        {"root": ("token",), "child": ("a",)},
        id="inside-a-text",
    ),
    pytest.param(
        flow("root", runs("child", k="$inputs.mine"), inputs={"mine": TEXT, "other": TEXT}),
        flow("child", AUTHORIZED, inputs={"k": TEXT}),
        {"root": ("mine",), "child": ("k",)},
        id="up-from-a-header",
    ),
    pytest.param(
        flow("root", step(), inputs={"other": TEXT}, dependsOn=["child"]),
        flow("child", AUTHORIZED, inputs={"k": TEXT}),
        {"root": ("k",), "child": ("k",)},
        id="up-through-a-dependency",
    ),
    pytest.param(
        flow("root", runs("child", k="$inputs.mine"), inputs={"mine": {**TEXT, "x-machine": {"secret": False}}}),
        flow("child", AUTHORIZED, inputs={"k": TEXT}),
        {"root": (), "child": ("k",)},
        id="unless-the-document-says-it-is-none",
    ),
    pytest.param(
        flow("root", runs("child", k="$inputs.mine"), sends("$steps.r.outputs.out"), inputs={"mine": TEXT}),
        flow("child", step(), inputs={"k": TEXT, "l": TEXT}, outputs={"out": "$inputs.k"}),
        {"root": ("mine",), "child": ("k",)},
        id="round-through-an-output",
    ),
    pytest.param(
        flow("root", runs("child", k="$inputs.mine"), sends("$workflows.child.outputs.out"), inputs={"mine": TEXT}),
        flow("child", step(), inputs={"k": TEXT}, outputs={"out": "x {$inputs.k}"}),
        {"root": ("mine",), "child": ("k",)},
        id="round-through-an-output-of-the-workflow",
    ),
    pytest.param(
        flow(
            "root", runs("child", k="$inputs.mine"), sends("Bearer {$workflows.child.inputs.k}"), inputs={"mine": TEXT}
        ),
        flow("child", step(), inputs={"k": TEXT, "l": TEXT}),
        {"root": ("mine",), "child": ("k",)},
        id="round-through-an-input-of-the-workflow",
    ),
    pytest.param(
        flow("root", sends("$workflows.child.inputs.k"), inputs={"other": TEXT}, dependsOn=["child"]),
        flow("child", step(), inputs={"k": TEXT}),
        {"root": ("k",), "child": ("k",)},
        id="round-through-an-input-of-a-dependency",
    ),
    pytest.param(
        flow("root", runs("child", k="$inputs.mine"), sends("$steps.r.outputs.out"), inputs={"mine": TEXT}),
        flow(
            "child",
            step(),
            inputs={"k": {**TEXT, "x-machine": {"secret": False}}},
            outputs={"out": "$inputs.k"},
        ),
        {"root": ("mine",), "child": ("k",)},
        id="round-whatever-the-other-workflow-says",
    ),
    pytest.param(
        flow("root", runs("child", a="$inputs.token", b="$inputs.plain"), inputs={"token": TEXT, "plain": TEXT}),
        flow("child", runs("child", a="$inputs.b", b="$inputs.a"), inputs={"a": TEXT, "b": TEXT}),
        {"root": ("token", "plain"), "child": ("a", "b")},
        id="round-a-ring",
    ),
]


@pytest.mark.parametrize(("root", "child", "expected"), HANDED)
def test_a_secret_is_one_wherever_it_is_handed(
    composed: Composed, root: Any, child: Any, expected: dict[str, tuple[str, ...]]
) -> None:
    assert secrets(composed(root, child)) == expected


@pytest.mark.parametrize("tested", ["$inputs.a", "$inputs#/a"])
def test_a_guard_on_a_secret_that_was_handed_on_is_refused(composed: Composed, tested: str) -> None:
    guarded = step(onSuccess=[{"name": "x", "type": "end", "criteria": [{"condition": f"{tested} == 'y'"}]}])
    child = flow("child", guarded, inputs={"a": TEXT})
    with pytest.raises(DocumentError) as refused:
        composed(flow("root", runs("child", a="$inputs.token"), inputs={"token": TEXT}), child)

    assert [one.code for one in refused.value.findings] == ["AZM-P030"]
    assert composed(flow("root", runs("child", a="$inputs.plain"), inputs={"plain": TEXT}), child).callees


def test_a_guard_of_a_step_that_runs_a_workflow_is_looked_at_too(composed: Composed) -> None:
    guarded = {**runs("child"), "successCriteria": [{"condition": "$inputs.token == 'y'"}]}
    with pytest.raises(DocumentError) as refused:
        composed(flow("root", guarded, inputs={"token": TEXT}), flow("child", step()))

    assert [one.code for one in refused.value.findings] == ["AZM-P030"]


def test_a_secret_goes_down_a_chain_of_hundreds_written_from_its_end(composed: Composed) -> None:
    last = flow("w0", step(), inputs={"a": TEXT})
    chain = [flow(f"w{n}", runs(f"w{n - 1}", a="$inputs.a"), inputs={"a": TEXT}) for n in range(1, 300)]
    plan = composed(flow("root", runs("w299", a="$inputs.token"), inputs={"token": TEXT}), *reversed(chain), last)

    assert set(secrets(plan).values()) == {("token",), ("a",)}
