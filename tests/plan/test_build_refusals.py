from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from machine.chart.fates import fates_of
from machine.errors import DocumentError
from machine.plan.build import Shared, build_plan
from machine.plan.model import Plan, Transition
from machine.sources.description import Description, describe

Steps = list[dict[str, Any]]


def step(name: str, operation: str = "getThing", **fields: Any) -> dict[str, Any]:
    return {"stepId": name, "operationId": operation, **fields}


def goto(name: str, target: str, *conditions: str) -> dict[str, Any]:
    return {"name": name, "type": "goto", "stepId": target, **criteria(*conditions)}


def end(name: str, *conditions: str) -> dict[str, Any]:
    return {"name": name, "type": "end", **criteria(*conditions)}


def retry(name: str, *conditions: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "type": "retry", **fields, **criteria(*conditions)}


def criteria(*conditions: str) -> dict[str, Any]:
    return {"criteria": [{"condition": one} for one in conditions]} if conditions else {}


def rows(plan: Plan, name: str, event: str = "replied") -> list[tuple[str, str, str]]:
    """(label, target, stop) of what can happen in the state of that name."""
    names = {one.id: one.name for one in plan.states}
    return [(one.label, names[one.target], one.stop) for one in plan.leaving(plan.named(name).id) if event in one.on]


def edge(plan: Plan, name: str, label: str, event: str = "replied") -> Transition:
    return next(one for one in plan.leaving(plan.named(name).id) if event in one.on and one.label == label)


def findings(refused: pytest.ExceptionInfo[DocumentError]) -> list[tuple[str, int]]:
    return [(one.code, one.place.line) for one in refused.value.findings]


# -- what is refused ---------------------------------------------------------------------------------------------------

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("a step that runs no workflow there is", {"stepId": "a", "workflowId": "other"}, "AZM-P040"),
    ("an operation that is not there", step("a", "nope"), "AZM-D201"),
    ("a goto to no workflow", step("a", onSuccess=[{"name": "x", "type": "goto", "workflowId": "v"}]), "AZM-P040"),
    (
        "a kind of effect for a workflow",
        {"stepId": "a", "workflowId": "w", "x-machine": {"effect": {"kind": "safe"}}},
        "AZM-P043",
    ),
    (
        "a replacement by a text that is no pointer",
        step("a", requestBody={"payload": {}, "replacements": [{"target": "/~x", "value": "1"}]}),
        "AZM-E321",
    ),
    ("a step that is not in the workflow", step("a", outputs={"x": "$steps.nope.outputs.y"}), "AZM-P014"),
    (
        "a regex",
        step("a", successCriteria=[{"context": "$statusCode", "condition": "^(2", "type": "regex"}]),
        "AZM-E300",
    ),
    (
        "an xpath",
        step(
            "a",
            onSuccess=[{**end("x"), "criteria": [{"context": "$response.body", "condition": "/a[", "type": "xpath"}]}],
        ),
        "AZM-E310",
    ),
    ("a field of x-machine nobody knows", step("a", **{"x-machine": {"pol": {}}}), "AZM-P001"),
]


@pytest.mark.parametrize(
    ("bad", "code"), [one[1:] for one in REFUSED], ids=[one[0].replace(" ", "-") for one in REFUSED]
)
def test_what_is_not_compiled_is_refused_with_its_code_and_line(
    built: Callable[..., Plan], bad: dict[str, Any], code: str
) -> None:
    with pytest.raises(DocumentError) as refused:
        built([bad, step("b")])
    ((found, line),) = findings(refused)

    assert found.startswith(code)
    assert line > 1


def test_a_retry_through_the_step_itself_is_a_plain_retry(built: Callable[..., Plan]) -> None:
    plan = built([step("a", onFailure=[retry("x", stepId="a")])])

    assert edge(plan, "a", "x").target == plan.named("a").id


def test_a_workflow_named_by_an_end_has_no_effect(built: Callable[..., Plan]) -> None:
    plan = built([step("a", onSuccess=[{**end("x"), "workflowId": "w"}])])

    assert rows(plan, "a")[0] == ("x", "x", "ended")


def test_all_problems_of_a_document_are_reported_together(built: Callable[..., Plan]) -> None:
    regex = {"context": "$statusCode", "condition": "^(2", "type": "regex"}
    steps = [
        step(
            "a",
            "nope",
            parameters=[{"name": "q", "in": "query", "value": "$steps.ghost.outputs.x"}],
            requestBody={"payload": "$steps.phantom.outputs.x", "replacements": [{"target": "/~", "value": "1"}]},
            successCriteria=[regex, {"condition": "$statusCode =="}],
            outputs={"x": "$steps.spectre.outputs.x", "y": "$steps.shade.outputs.y"},
            onSuccess=[{"name": "x", "type": "goto", "workflowId": "w"}],
            onFailure=[retry("y", stepId="b"), {**end("z"), "criteria": [regex]}],
            **{"x-machine": {"state": 5, "poll": {"interval": "soon", "jitter": 7}, "odd": 1}},
        ),
        {"stepId": "b", "workflowId": "other"},
    ]
    inputs = {"p": {"x-machine": {"secret": 1}}, "q": {"x-machine": {"from": "HOME"}}}

    with pytest.raises(DocumentError) as refused:
        built(steps, inputs=inputs, workflow={"x-machine": {"calls": 0}, "outputs": {"o": "$steps.wraith.outputs.x"}})
    found = [code for code, _ in findings(refused)]

    assert Counter(found) == {
        "AZM-D201": 1,
        "AZM-E100": 1,
        "AZM-E300": 2,
        "AZM-E321": 1,
        "AZM-P001": 7,
        "AZM-P040": 1,
        "AZM-P014": 5,
    }
    assert refused.value.exit_code == 65
    assert refused.value.message.startswith(f"{len(found)} errors")


def test_what_all_steps_inherit_is_refused_once(built: Callable[..., Plan]) -> None:
    regex = {"context": "$statusCode", "condition": "^(2", "type": "regex"}
    shared_fields = {
        "failureActions": [{**end("x"), "criteria": [regex]}],
        "parameters": [{"name": "id", "in": "path", "value": "$steps.ghost.outputs.x"}],
    }

    with pytest.raises(DocumentError) as refused:
        built([step("a"), step("b"), step("c")], workflow=shared_fields)
    assert sorted(code for code, _ in findings(refused)) == ["AZM-E300", "AZM-P014"]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([{"stepId": f"s{number}", "operationId": "getThing"} for number in range(501)], id="steps"),
        pytest.param(
            [
                {
                    "stepId": "a",
                    "operationId": "getThing",
                    "onSuccess": [{"name": f"a{number}", "type": "end"} for number in range(250)],
                    "onFailure": [{"name": f"b{number}", "type": "end"} for number in range(250)],
                }
            ],
            id="actions",
        ),
    ],
)
def test_a_machine_too_large_to_build_in_time_is_refused(built: Callable[..., Plan], steps: list[Any]) -> None:
    with pytest.raises(DocumentError) as caught:
        built(steps)

    assert caught.value.code == "AZM-P019"
    assert "501 steps and actions can be reached" in caught.value.message


# -- many workflows that lead to each other ----------------------------------------------------------------------------


def mesh(count: int, operation: str = "go") -> Description:
    """A document whose every workflow depends on all before it."""
    call = {"stepId": "s", "operationId": operation}
    flows = [
        {"workflowId": f"w{n}", "steps": [call], **({"dependsOn": [f"w{m}" for m in range(n)]} if n else {})}
        for n in range(count)
    ]
    source = {"name": "s", "url": "s.json", "type": "openapi"}
    document = {"arazzo": "1.0.1", "info": {"title": "t", "version": "1"}, "workflows": flows}
    api = {
        "openapi": "3.1.0",
        "info": {"title": "s", "version": "1"},
        "paths": {"/": {"post": {"operationId": "go", "responses": {"200": {}, "404": {}}}}},
    }
    texts = {"d": json.dumps({**document, "sourceDescriptions": [source]}).encode(), "s.json": json.dumps(api).encode()}
    return describe("d", read=texts.__getitem__)


def test_plans_that_share_drafts_are_those_that_do_not() -> None:
    described, shared, known = mesh(5), Shared(), dict[Any, Any]()
    for name in (f"w{number}" for number in range(5)):
        plan = build_plan(described, workflow=name, shared=shared)

        assert plan == build_plan(described, workflow=name)
        assert fates_of(plan, known=known) == fates_of(plan)
        assert fates_of(plan, own=True).items() <= fates_of(plan).items()


def test_a_mistake_is_told_of_each_plan_that_can_reach_it() -> None:
    described, shared = mesh(3, operation="nowhere"), Shared()

    for name, mistakes in (("w0", 1), ("w1", 2), ("w2", 3), ("w0", 1)):
        with pytest.raises(DocumentError) as refused:
            build_plan(described, workflow=name, shared=shared)
        assert len(refused.value.findings) == mistakes


def test_workflows_that_lead_to_the_same_ones_over_and_over_are_refused_together_and_not_alone() -> None:
    described, shared = mesh(40), Shared()
    for number in range(32):
        build_plan(described, workflow=f"w{number}", shared=shared)
    with pytest.raises(DocumentError) as refused:
        build_plan(described, workflow="w32", shared=shared)

    assert refused.value.code == "AZM-P032"
    assert refused.value.next == "choose one workflow with -w"
    assert len(list(build_plan(described, workflow="w39").tables())) == 40


def test_only_workflows_that_lead_back_to_themselves_are_asked_for_their_ring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[str] = []
    monkeypatch.setattr("machine.plan.build.find_cycle", lambda graph: looked.append("") or ())

    build_plan(mesh(30), workflow="w29")
    assert looked == []
