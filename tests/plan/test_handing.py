"""What workflows give to each other: each rule alone, and what keeps it quiet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from machine.document.findings import Finding
from machine.plan.build import build_plan
from machine.plan.inspect import inspect
from machine.runtime.evaluator import Evaluator
from machine.sources.description import describe

Json = dict[str, Any]
CALL = {"stepId": "s", "operationId": "listThings"}
NEEDS = {"type": "object", "required": ["size"], "properties": {"size": {"type": "integer"}, "note": {}}}


def told_of(api: Json, *flows: Json, version: str = "1.0.1") -> list[Finding]:
    """What is said of the workflow ``a``."""
    document = {
        "arazzo": version,
        "info": {"title": "t", "version": "1"},
        "sourceDescriptions": [{"name": "things", "url": "things.json"}],
        "workflows": flows,
    }
    texts = {"d.json": json.dumps(document).encode(), "things.json": json.dumps(api).encode()}
    description = describe("d.json", read=texts.__getitem__)
    return list(inspect(description, build_plan(description, workflow="a"), ask=Evaluator()))


def given(**values: Any) -> list[Json]:
    return [{"name": name, "value": value} for name, value in values.items()]


def runs(*parameters: Json, **fields: Any) -> Json:
    return {"workflowId": "a", "steps": [{"stepId": "r", "workflowId": "b", "parameters": list(parameters)}], **fields}


def acts(kind: str, type_: str, *parameters: Json, **fields: Any) -> Json:
    more = {"parameters": list(parameters)} if parameters else {}
    action = {"name": "x", "type": type_, "workflowId": "b", **more}
    return {"workflowId": "a", "steps": [{**CALL, kind: [action]}], **fields}


def depends(**fields: Any) -> Json:
    return {"workflowId": "a", "dependsOn": ["b"], "steps": [CALL], **fields}


STEP, ACTION, DEPENDS = "/workflows/0/steps/0", "/workflows/0/steps/0/onSuccess/0", "/workflows/0/dependsOn/0"
OWN = {"inputs": {"type": "object", "properties": {"size": {}}}}
LEADS: list[Any] = [
    pytest.param(runs(), "1.1.0", [("L025", STEP)], id="a-step-that-gives-nothing"),
    pytest.param(runs(**OWN), "1.1.0", [("L025", STEP)], id="a-step-gets-nothing-by-its-name"),
    pytest.param(runs(*given(size=3)), "1.1.0", [], id="a-step-that-gives-it"),
    pytest.param(runs(*given(size="$inputs.size"), **OWN), "1.1.0", [], id="a-step-that-may-give-it"),
    pytest.param(runs(*given(sise=3)), "1.1.0", [("L025", STEP), ("L027", f"{STEP}/parameters/0")], id="another-name"),
    pytest.param(runs(*given(size="3")), "1.1.0", [("L028", f"{STEP}/parameters/0/value")], id="a-constant-of-its-own"),
    pytest.param(runs(*given(size=[1])), "1.0.1", [("L028", f"{STEP}/parameters/0/value")], id="a-list"),
    pytest.param(acts("onSuccess", "goto"), "1.1.0", [("L025", ACTION)], id="a-goto-that-gives-nothing"),
    pytest.param(acts("onSuccess", "goto", **OWN), "1.0.1", [], id="a-goto-of-1.0-passes-on-what-is-declared"),
    pytest.param(acts("onSuccess", "goto"), "1.0.1", [("L026", ACTION)], id="a-goto-of-1.0-with-nothing-declared"),
    pytest.param(
        acts("onSuccess", "goto", *given(size=True)),
        "1.1.0",
        [("L028", f"{ACTION}/parameters/0/value")],
        id="a-constant-of-an-action",
    ),
    pytest.param(
        acts("onFailure", "retry", *given(size=1, x=1)),
        "1.1.0",
        [("L027", "/workflows/0/steps/0/onFailure/0/parameters/1")],
        id="a-repair",
    ),
    pytest.param(depends(), "1.1.0", [("L026", DEPENDS)], id="a-dependency"),
    pytest.param(depends(**OWN), "1.1.0", [], id="a-dependency-by-name"),
]


@pytest.mark.parametrize(("root", "version", "expected"), LEADS)
def test_what_a_workflow_needs_is_asked_of_whoever_runs_it(
    things_api: Json, root: Json, version: str, expected: list[tuple[str, str]]
) -> None:
    told = told_of(things_api, root, {"workflowId": "b", "inputs": NEEDS, "steps": [CALL]}, version=version)
    about = {"AZM-L025", "AZM-L026", "AZM-L027", "AZM-L028"}

    found = [(one.code, one.place.pointer) for one in told if one.code in about]
    assert sorted(found) == [(f"AZM-{code}", place) for code, place in expected]


QUIET = [
    pytest.param({**NEEDS, "properties": {"size": {"default": 1}}}, id="a-default"),
    pytest.param({"type": "object", "properties": {"size": {}}}, id="not-required"),
]


@pytest.mark.parametrize("inputs", QUIET)
def test_what_is_there_anyway_need_not_be_given(things_api: Json, inputs: Json) -> None:
    told = told_of(things_api, runs(), {"workflowId": "b", "inputs": inputs, "steps": [CALL]})

    assert told == []


def test_what_a_dependency_lacks_is_told_with_the_option_that_gives_it(things_api: Json) -> None:
    told = told_of(things_api, depends(), {"workflowId": "b", "inputs": NEEDS, "steps": [CALL]})

    assert [(one.severity, one.suggestion) for one in told] == [
        ("warning", "run with --dep-input b.size=VALUE, or declare size as input here too")
    ]


def test_a_workflow_that_runs_itself_is_told_at_the_step(things_api: Json) -> None:
    call = {"stepId": "s", "operationId": "listThings"}

    def runs(name: str) -> Json:
        return {"stepId": "r", "workflowId": name}

    def places(*flows: Json) -> list[str]:
        return [one.place.pointer for one in told_of(things_api, *flows) if one.code == "AZM-L023"]

    itself = {"workflowId": "a", "steps": [call, runs("a")]}
    ring = [{"workflowId": "a", "steps": [runs("b")]}, {"workflowId": "b", "steps": [call, runs("a")]}]
    over = [{"name": "over", "type": "goto", "workflowId": "a"}]
    transfer = [{"workflowId": "a", "steps": [runs("b")]}, {"workflowId": "b", "steps": [{**call, "onSuccess": over}]}]

    assert places(itself) == ["/workflows/0/steps/1/workflowId"]
    assert places(*ring) == ["/workflows/0/steps/0/workflowId"]
    assert places(*transfer) == []


def test_a_workflow_that_is_read_and_not_run_is_told(things_api: Json) -> None:
    call = {"stepId": "s", "operationId": "listThings"}
    other = {"workflowId": "b", "steps": [call], "outputs": {"x": "$inputs"}}
    reads = {"workflowId": "a", "steps": [call], "outputs": {"o": "$workflows.b.outputs.x"}}

    def told(*flows: Json) -> list[str]:
        return [one.place.pointer for one in told_of(things_api, *flows) if one.code == "AZM-L024"]

    runs = {**reads, "steps": [{"stepId": "r", "workflowId": "b"}]}
    caller = {"workflowId": "c", "steps": [{"stepId": "one", "workflowId": "b"}, {"stepId": "two", "workflowId": "a"}]}

    assert told(reads, other) == ["/workflows/0/outputs/o"]
    assert told({**reads, "dependsOn": ["b"]}, other) == []
    assert told(runs, other) == []
    assert told(reads, other, caller) == [], "who runs it may have run the other one before"


JUMP = [{"name": "j", "type": "goto", "stepId": "c"}]
BY_OTHER = {"stepId": "c", "operationId": "listThings", "dependsOn": ["$workflows.b.steps.s"]}
RUNS_B = {"stepId": "r", "workflowId": "b"}
WAITS = [
    pytest.param([{**CALL, "onSuccess": JUMP}], {"dependsOn": ["t"]}, True, id="a-step-that-is-jumped-over"),
    pytest.param([CALL], {"dependsOn": ["t"]}, False, id="the-step-before"),
    pytest.param([CALL], {"dependsOn": ["$workflows.b.steps.s"]}, True, id="a-step-of-a-workflow-that-does-not-run"),
    pytest.param([RUNS_B], {"dependsOn": ["$workflows.b.steps.s"]}, False, id="a-step-of-one-that-has-run"),
]


@pytest.mark.parametrize(("first", "more", "lost"), WAITS)
def test_a_step_that_depends_on_what_cannot_have_run_is_an_error_at_the_entry(
    things_api: Json, first: list[Json], more: Json, lost: bool
) -> None:
    between, last = {"stepId": "t", "operationId": "listThings"}, {"stepId": "c", "operationId": "listThings", **more}
    root, other = {"workflowId": "a", "steps": [*first, between, last]}, {"workflowId": "b", "steps": [CALL]}
    told = [one for one in told_of(things_api, root, other, version="1.1.0") if one.code == "AZM-L032"]

    assert [one.place.pointer for one in told] == (["/workflows/0/steps/2/dependsOn/0"] if lost else [])
    assert all(one.severity == "error" for one in told)


def test_a_workflow_that_runs_after_the_step_is_no_help(things_api: Json) -> None:
    root, other = {"workflowId": "a", "steps": [BY_OTHER, RUNS_B]}, {"workflowId": "b", "steps": [CALL]}

    def places(*flows: Json) -> list[str]:
        told = told_of(things_api, *flows, version="1.1.0")
        return [one.place.pointer for one in told if one.code == "AZM-L032"]

    assert places(root, other) == ["/workflows/0/steps/0/dependsOn/0"]
    assert places({**root, "dependsOn": ["b"]}, other) == []
    assert places(root, other, {"workflowId": "c", "steps": [RUNS_B, {"stepId": "q", "workflowId": "a"}]}) == []
