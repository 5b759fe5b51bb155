"""The structure of an Arazzo document: each rule alone, all of them together, and what hostile documents cost."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from machine.document.findings import Finding
from machine.document.load import parse
from machine.document.rules import MAX_FINDINGS, check

Json = dict[str, Any]


def document(version: str = "1.0.1") -> Json:
    """A small document without findings that has one of everything the tests change."""
    return {
        "arazzo": version,
        "info": {"title": "t", "version": "1"},
        "sourceDescriptions": [{"name": "api", "url": "api.yaml", "type": "openapi"}],
        "workflows": [
            {
                "workflowId": "w",
                "inputs": {"type": "object"},
                "steps": [
                    {
                        "stepId": "one",
                        "operationId": "op",
                        "parameters": [{"name": "p", "in": "query", "value": "$inputs.p"}],
                        "successCriteria": [{"condition": "$statusCode == 200"}],
                        "onSuccess": [{"name": "again", "type": "goto", "stepId": "one"}],
                        "onFailure": [{"name": "later", "type": "retry", "retryAfter": 1.5, "retryLimit": 2}],
                        "outputs": {"a": "$response.body#/a"},
                    },
                    {"stepId": "two", "workflowId": "w"},
                ],
                "outputs": {"a": "$steps.one.outputs.a"},
            }
        ],
        "components": {
            "inputs": {"i": {"type": "object"}},
            "parameters": {"p": {"name": "p", "in": "query", "value": 1}},
            "successActions": {"done": {"name": "done", "type": "end"}},
            "failureActions": {"two": {"name": "two", "type": "goto", "stepId": "two"}},
        },
    }


def changed(change: Callable[[Json], object], version: str = "1.0.1") -> tuple[Finding, ...]:
    made = document(version)
    change(made)
    return check(parse(json.dumps(made, indent=1), uri="d.json"))


def put(path: str, value: Any) -> Callable[[Json], object]:
    """Set, or with ``...`` remove, what a slash-separated path leads to."""

    def change(target: Any) -> None:
        *way, last = [int(step) if step.isdigit() else step for step in path.split("/")]
        for step in way:
            target = target[step]
        if value is ...:
            del target[last]
        elif isinstance(target, list) and last == len(target):
            target.append(value)
        else:
            target[last] = value

    return change


STEP = "workflows/0/steps/0"
SELECTOR = {"context": "$response.body", "selector": "$.a", "type": "jsonpath"}


@pytest.mark.parametrize("version", ["1.0.0", "1.0.1", "1.0.7-rc", "1.1.0"])
def test_a_sound_document_has_no_findings(version: str) -> None:
    assert changed(lambda made: None, version) == ()


WRONG = [
    pytest.param("$id", "x", "D101", "error", id="unknown-root-field"),
    pytest.param("$schema", "x", "D101", "warning", id="schema-at-the-root"),
    pytest.param("info/Title", "x", "D101", "error", id="names-are-case-sensitive"),
    pytest.param("info", ..., "D102", "error", id="no-info"),
    pytest.param("info/title", ..., "D102", "error", id="no-title"),
    pytest.param("info/version", 1.0, "D103", "error", id="version-that-is-a-number"),
    pytest.param("arazzo", ..., "D102", "error", id="no-version"),
    pytest.param("arazzo", "2.0.0", "D107", "error", id="unknown-major"),
    pytest.param("arazzo", "1.2.0", "D107", "error", id="unknown-minor"),
    pytest.param("arazzo", 1.0, "D107", "error", id="version-without-quotes"),
    pytest.param("$self", "https://example.com/a", "D114", "error", id="self-in-1.0"),
    pytest.param("sourceDescriptions", [], "D108", "error", id="no-sources"),
    pytest.param("sourceDescriptions", {}, "D103", "error", id="sources-as-an-object"),
    pytest.param("sourceDescriptions/0/url", ..., "D102", "error", id="source-without-url"),
    pytest.param("sourceDescriptions/0/url", "", "D105", "error", id="source-with-empty-url"),
    pytest.param("sourceDescriptions/0/name", "a b", "D105", "error", id="source-name"),
    pytest.param("sourceDescriptions/0/name", "a\n", "D105", "error", id="source-name-with-a-line-end"),
    pytest.param("sourceDescriptions/0/type", "swagger", "D104", "error", id="source-type"),
    pytest.param("sourceDescriptions/0/type", "asyncapi", "D114", "error", id="asyncapi-in-1.0"),
    pytest.param("sourceDescriptions/1", {"name": "api", "url": "b"}, "D106", "error", id="source-twice"),
    pytest.param("workflows", [], "D108", "error", id="no-workflows"),
    pytest.param("workflows/0/workflowId", ..., "D102", "error", id="workflow-without-id"),
    pytest.param("workflows/0/steps", [], "D108", "error", id="no-steps"),
    pytest.param("workflows/0/steps", "one", "D103", "error", id="steps-as-a-string"),
    pytest.param("workflows/0/inputs", [], "D103", "error", id="inputs-as-a-list"),
    pytest.param("workflows/0/inputs/$ref", "#/components/inputs/x", "D120", "error", id="inputs-to-nowhere"),
    pytest.param("workflows/0/dependsOn", ["a", "a"], "D106", "error", id="dependency-twice"),
    pytest.param("workflows/0/dependsOn", [1], "D103", "error", id="dependency-that-is-a-number"),
    pytest.param("workflows/0/outputs/a b", "$statusCode", "D105", "warning", id="output-name-in-1.0"),
    pytest.param("workflows/0/outputs/a", 5, "D118", "warning", id="literal-output-in-1.0"),
    pytest.param("workflows/0/outputs/a", SELECTOR, "D103", "error", id="selector-output-in-1.0"),
    pytest.param("workflows/0/x-machine", [], "D103", "error", id="extension-as-a-list"),
    pytest.param("workflows/0/steps/1/stepId", "one", "D106", "error", id="step-twice"),
    pytest.param("workflows/0/steps/1/stepId", 7, "D103", "error", id="step-id-as-a-number"),
    pytest.param("workflows/0/steps/1/workflowId", "", "D105", "error", id="empty-target"),
    pytest.param("workflows/0/steps/1/requestBody", {"payload": 1}, "D116", "warning", id="body-of-a-workflow"),
    pytest.param("workflows/0/steps/1/operationPath", "a#/b", "D109", "error", id="two-targets"),
    pytest.param("workflows/0/steps/1/workflowId", ..., "D109", "error", id="no-target"),
    pytest.param(f"{STEP}/timeout", 5, "D114", "error", id="timeout-in-1.0"),
    pytest.param(f"{STEP}/dependsOn", ["two"], "D114", "error", id="step-dependency-in-1.0"),
    pytest.param(f"{STEP}/<<", {}, "D101", "error", id="merge-key"),
    pytest.param(f"{STEP}/parameters/0/in", ..., "D117", "error", id="parameter-without-in"),
    pytest.param(f"{STEP}/parameters/0/in", "form", "D104", "error", id="parameter-place"),
    pytest.param(f"{STEP}/parameters/0/in", "body", "C12", "warning", id="body-in-1.0"),
    pytest.param(f"{STEP}/parameters/0/in", "querystring", "D114", "error", id="querystring-in-1.0"),
    pytest.param(f"{STEP}/parameters/0/value", ..., "D102", "error", id="parameter-without-value"),
    pytest.param(f"{STEP}/parameters/0", "p", "D103", "error", id="parameter-as-a-string"),
    pytest.param(
        f"{STEP}/parameters/1", {"name": "p", "in": "query", "value": 2}, "D106", "error", id="parameter-twice"
    ),
    pytest.param(
        f"{STEP}/parameters/1", {"reference": "$components.parameters.p"}, "D106", "error", id="and-by-reference"
    ),
    pytest.param(
        f"{STEP}/parameters/1", {"reference": "$components.parameters.q"}, "D113", "error", id="unknown-component"
    ),
    pytest.param(
        f"{STEP}/onSuccess/1", {"reference": "$components.failureActions.two"}, "D113", "error", id="wrong-kind"
    ),
    pytest.param(
        f"{STEP}/onSuccess/1",
        {"reference": "$components.successActions.done", "value": 1},
        "D116",
        "warning",
        id="value-of-an-action",
    ),
    pytest.param(f"{STEP}/requestBody", {"payload": 1, "replacements": [{"target": "/a"}]}, "D102", "error", id="body"),
    pytest.param(f"{STEP}/successCriteria/0/condition", ..., "D102", "error", id="no-condition"),
    pytest.param(f"{STEP}/successCriteria/0/condition", True, "D103", "error", id="condition-without-quotes"),
    pytest.param(f"{STEP}/successCriteria/0/type", "jsonpath", "D112", "error", id="type-without-context"),
    pytest.param(f"{STEP}/successCriteria/0/type", "jmespath", "D104", "error", id="unknown-type"),
    pytest.param(f"{STEP}/successCriteria/0/context", "$response.body", "D116", "warning", id="context-without-type"),
    pytest.param(f"{STEP}/onSuccess/0/stepId", "none", "D111", "error", id="goto-to-no-step"),
    pytest.param(f"{STEP}/onSuccess/0/stepId", ..., "D110", "error", id="goto-to-nowhere"),
    pytest.param(f"{STEP}/onSuccess/0/workflowId", "w", "D110", "error", id="goto-to-two"),
    pytest.param(f"{STEP}/onSuccess/0/type", "end", "D116", "warning", id="end-with-a-target"),
    pytest.param(f"{STEP}/onSuccess/0/type", "retry", "C8", "warning", id="retry-on-success-in-1.0"),
    pytest.param(f"{STEP}/x-oas-mine", 1, "D122", "warning", id="reserved-prefix"),
    pytest.param("components/inputs/i", {"items": {"$ref": "#/no"}}, "D120", "error", id="deep-reference-to-nowhere"),
    pytest.param(f"{STEP}/onSuccess/0/name", ..., "D102", "error", id="action-without-name"),
    pytest.param(f"{STEP}/onSuccess/0/parameters", [], "D114", "error", id="action-parameters-in-1.0"),
    pytest.param(f"{STEP}/onSuccess/1", {"name": "again", "type": "end"}, "D106", "warning", id="action-name-twice"),
    pytest.param(
        f"{STEP}/onSuccess/1",
        {"name": "again", "type": "goto", "stepId": "one"},
        "D106",
        "error",
        id="the-same-action-twice",
    ),
    pytest.param(f"{STEP}/onFailure/0/retryAfter", -1, "D115", "error", id="negative-delay"),
    pytest.param(f"{STEP}/onFailure/0/retryAfter", 10**400, "D115", "error", id="endless-delay"),
    pytest.param(f"{STEP}/onFailure/0/retryLimit", 1.5, "D103", "error", id="fraction-of-a-retry"),
    pytest.param(f"{STEP}/onFailure/0/retryLimit", True, "D103", "error", id="boolean-is-no-number"),
    pytest.param(f"{STEP}/onFailure/0/stepId", "none", "D111", "error", id="retry-through-no-step"),
    pytest.param(f"{STEP}/onFailure/0/type", "repeat", "D104", "error", id="unknown-action"),
    pytest.param("components/schemas", {}, "D101", "error", id="unknown-components"),
    pytest.param("components/inputs/a b", {}, "D105", "error", id="component-name"),
    pytest.param("components/inputs/i", 1, "D103", "error", id="schema-as-a-number"),
    pytest.param("components/failureActions/two/type", ..., "D102", "error", id="component-without-type"),
]


@pytest.mark.parametrize(("path", "value", "code", "severity"), WRONG)
def test_one_wrong_thing_is_one_finding_at_its_place(path: str, value: Any, code: str, severity: str) -> None:
    findings = changed(put(path, value))

    assert [(one.code.removeprefix("AZM-"), one.severity) for one in findings] == [(code, severity)]
    assert findings[0].place.document == "d.json"
    assert findings[0].place.line > 0


NEW = [
    pytest.param("$self", "https://example.com/a#b", ["D105"], id="self-with-a-fragment"),
    pytest.param("$self", "https://example.com/a", [], id="self"),
    pytest.param("sourceDescriptions/0/type", "asyncapi", [], id="asyncapi"),
    pytest.param(f"{STEP}/timeout", 5000, [], id="timeout"),
    pytest.param(f"{STEP}/timeout", -1, ["D115"], id="negative-timeout"),
    pytest.param(f"{STEP}/timeout", 0, ["D116"], id="no-time-at-all"),
    pytest.param(f"{STEP}/dependsOn", ["two"], [], id="step-dependency"),
    pytest.param(f"{STEP}/dependsOn", [], ["D108"], id="empty-dependency"),
    pytest.param(f"{STEP}/dependsOn", ["none"], ["D111"], id="dependency-on-no-step"),
    pytest.param(f"{STEP}/dependsOn", ["$steps.two"], ["D105"], id="dependency-by-a-wrong-expression"),
    pytest.param(f"{STEP}/dependsOn", ["$workflows.v.steps.s"], [], id="dependency-on-another-workflow"),
    pytest.param(f"{STEP}/successCriteria", [], ["D108"], id="no-criteria"),
    pytest.param(f"{STEP}/channelPath", "a#/b", ["D109"], id="channel-and-operation"),
    pytest.param(f"{STEP}/action", "send", [], id="sending-operation"),
    pytest.param(f"{STEP}/action", "publish", ["D104"], id="unknown-message-action"),
    pytest.param(f"{STEP}/correlationId", "x", ["D104"], id="correlation-without-receive"),
    pytest.param("workflows/0/steps/1/action", "send", ["D104"], id="workflow-that-sends"),
    pytest.param("workflows/0/steps/1", {"stepId": "t", "channelPath": "c"}, ["D102"], id="channel-alone"),
    pytest.param(f"{STEP}/parameters/0/in", "querystring", [], id="querystring"),
    pytest.param(f"{STEP}/parameters/0/in", "body", ["D104"], id="body"),
    pytest.param(
        f"{STEP}/parameters/1",
        {"name": "q", "in": "querystring", "value": "a"},
        ["D104"],
        id="querystring-beside-query",
    ),
    pytest.param(f"{STEP}/parameters/0/value", SELECTOR, [], id="selector-value"),
    pytest.param(f"{STEP}/parameters/0/value", {"a": 1}, [], id="plain-object-value"),
    pytest.param(f"{STEP}/parameters/0/value", {"context": "a", "selector": "b"}, ["D102"], id="half-a-selector"),
    pytest.param(f"{STEP}/outputs/a", SELECTOR, [], id="selector-output"),
    pytest.param(f"{STEP}/outputs/a", 5, ["D103"], id="literal-output"),
    pytest.param(f"{STEP}/outputs/a b", "$statusCode", ["D105"], id="output-name"),
    pytest.param(
        f"{STEP}/outputs/a",
        {**SELECTOR, "type": {"type": "xpath", "version": "rfc9535"}},
        ["D104"],
        id="version-of-another-type",
    ),
    pytest.param(
        f"{STEP}/requestBody",
        {"replacements": [{"target": "/a", "value": SELECTOR, "targetSelectorType": "jmespath"}]},
        ["D104"],
        id="unknown-target-selector",
    ),
    pytest.param(f"{STEP}/onSuccess/0/type", "retry", ["D104"], id="retry-on-success"),
    pytest.param(f"{STEP}/onSuccess/0/retryLimit", 1, ["D101", "D116"], id="retry-limit-on-success"),
    pytest.param(
        f"{STEP}/onSuccess/0",
        {"name": "a", "type": "goto", "stepId": "one", "parameters": []},
        ["D110"],
        id="no-workflow",
    ),
    pytest.param(
        f"{STEP}/onSuccess/0",
        {"name": "a", "type": "goto", "workflowId": "w", "parameters": [{"name": "p", "in": "query", "value": 1}]},
        ["D117"],
        id="action-parameter-with-in",
    ),
]


@pytest.mark.parametrize(("path", "value", "codes"), NEW)
def test_what_came_with_1_1_has_its_own_rules(path: str, value: Any, codes: list[str]) -> None:
    findings = changed(put(path, value), "1.1.0")

    assert [one.code.removeprefix("AZM-") for one in findings] == codes


CRITERIA = [
    pytest.param({"type": "regex"}, "1.0.1", [], id="word"),
    pytest.param({"type": "jsonpath", "version": "draft-goessner-dispatch-jsonpath-00"}, "1.0.1", [], id="sibling"),
    pytest.param({"type": "jsonpath", "version": "rfc9535"}, "1.0.1", ["D118"], id="version-of-1.1"),
    pytest.param({"type": "xpath", "version": "xpath-10"}, "1.1.0", ["C11"], id="sibling-in-1.1"),
    pytest.param({"type": {"type": "xpath", "version": "xpath-30"}}, "1.0.1", [], id="object"),
    pytest.param({"type": {"type": "xpath", "version": "xpath-9"}}, "1.0.1", ["D104"], id="unknown-version"),
    pytest.param({"type": {"type": "jsonpath", "version": "rfc9535"}}, "1.1.0", [], id="object-in-1.1"),
    pytest.param({"type": {"type": "jsonpointer"}}, "1.1.0", ["D104"], id="pointer-is-no-condition"),
    pytest.param({"type": {"version": "xpath-10"}}, "1.0.1", ["D102"], id="object-without-type"),
]


@pytest.mark.parametrize(("fields", "version", "codes"), CRITERIA)
def test_a_criterion_may_name_its_version_beside_or_inside_its_type(
    fields: Json, version: str, codes: list[str]
) -> None:
    criterion = {"condition": "x", "context": "$response.body", **fields}
    findings = changed(put(f"{STEP}/successCriteria/0", criterion), version)

    assert [one.code.removeprefix("AZM-") for one in findings] == codes


@pytest.mark.parametrize(
    ("path", "value", "advice"),
    [
        pytest.param(f"{STEP}/onSucess", [], "did you mean onSuccess?", id="field"),
        pytest.param(f"{STEP}/operationID", "a", "did you mean operationId?", id="case"),
        pytest.param(f"{STEP}/onSuccess/0/stepId", "onee", "did you mean one?", id="step"),
        pytest.param(f"{STEP}/onSuccess/0/type", "gotoo", "did you mean goto?", id="value"),
        pytest.param(f"{STEP}/zzz", 1, "extensions begin with x-", id="nothing-near"),
        pytest.param("info/version", 1.0, "put it in quotes", id="number"),
    ],
)
def test_a_finding_says_what_to_do(path: str, value: Any, advice: str) -> None:
    assert changed(put(path, value))[0].suggestion == advice


def test_everything_wrong_is_told_together_in_the_order_of_the_text() -> None:
    def change(made: Json) -> None:
        for path in ("sourceDescriptions/0/url", f"{STEP}/operationId", "info/title", f"{STEP}/onFailure/0/name"):
            put(path, ...)(made)

    findings = changed(change)

    assert [one.code for one in findings] == ["AZM-D102", "AZM-D102", "AZM-D109", "AZM-D102"]
    assert [one.place.line for one in findings] == sorted(one.place.line for one in findings)


def test_a_repeated_id_names_the_line_of_the_first() -> None:
    tree = parse(json.dumps(document()).replace('"two"', '\n"one"', 1))

    assert "first at line 1" in check(tree)[0].message


def test_headers_that_differ_only_in_case_are_a_warning() -> None:
    def change(made: Json) -> None:
        made["workflows"][0]["steps"][0]["parameters"] = [
            {"name": name, "in": place, "value": 1}
            for name, place in (("X-A", "header"), ("x-a", "header"), ("Q", "query"), ("q", "query"))
        ]

    assert [(one.code, one.severity) for one in changed(change)] == [("AZM-D106", "warning")]


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        pytest.param("[1]", "", id="list"),
        pytest.param("just text", "", id="text"),
        pytest.param("openapi: 3.1.0\ninfo: {}\n", "/openapi", id="openapi"),
        pytest.param("swagger: '2.0'\n", "/swagger", id="swagger"),
    ],
)
def test_something_else_than_an_arazzo_description_is_one_finding(text: str, pointer: str) -> None:
    findings = check(parse(text))

    assert [(one.code, one.place.pointer) for one in findings] == [("AZM-D119", pointer)]


def test_a_shared_action_must_find_its_step_in_every_workflow_that_uses_it() -> None:
    def change(made: Json) -> None:
        made["workflows"].append(deepcopy(made["workflows"][0]))
        made["workflows"][1]["workflowId"] = "v"
        made["workflows"][1]["steps"].pop()
        for workflow in made["workflows"]:
            workflow["failureActions"] = [{"reference": "$components.failureActions.two"}]

    findings = changed(change)

    assert [(one.code, one.place.pointer) for one in findings] == [
        ("AZM-D111", "/workflows/1/failureActions/0/reference")
    ]


def test_what_stands_under_an_extension_is_not_looked_at() -> None:
    def change(made: Json) -> None:
        made["x-any"] = None
        made["workflows"][0]["steps"][0]["x-machine"] = {"state": "x", "unknown": [1]}

    assert changed(change) == ()


def test_a_document_of_nothing_but_mistakes_has_a_bounded_answer() -> None:
    findings = changed(lambda made: made.update({f"onSucess{n}": n for n in range(20_000)}))

    assert len(findings) == MAX_FINDINGS + 1
    assert findings[-1].message == f"{20_000 - MAX_FINDINGS} more findings are not listed"


def test_text_of_the_document_is_escaped_and_cut_in_messages() -> None:
    findings = changed(lambda made: made.update({"\x1b[31m" + "k" * 500: 1}))

    assert "\x1b" not in str(findings[0])
    assert len(str(findings[0])) < 200
