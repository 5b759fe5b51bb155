"""``check``: everything there is to say about a document, as lines editors understand and as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from machine.library import shipped


def test_the_document_as_people_write_it_is_told_everything(machine: Any, users_arguments: Any) -> None:
    done = machine("check", *users_arguments)
    told = [line.split(":", 3) for line in done.out.splitlines() if ": warning " in line or ": info " in line]

    assert done.code == 0
    assert [one[1] for one in told if " info " in one[3]] == ["30"]
    assert [one[1] for one in told] == ["30", "33", "43", "44", "52", "65", "74", "74", "78", "84"]
    assert done.out.splitlines()[-1] == "0 errors, 9 warnings, 1 info"
    assert "             operationId: getEndpoint" in done.out.splitlines()


def test_strict_makes_tolerances_errors(machine: Any, users_arguments: Any) -> None:
    done = machine("check", *users_arguments, "--strict", "--json")

    assert done.code == 65
    assert {one["code"] for one in done.json["findings"] if one["severity"] == "error"} == {"C1", "C4"}


STRICT = """arazzo: 1.0.1
info: {title: t, version: '1'}
sourceDescriptions: [{name: api, url: api.yaml, type: openapi}]
workflows:
- workflowId: w
  steps:
  - stepId: s
    operationId: one
    parameters: [{name: n, in: body, value: 1}]
    onSuccess: [{name: again, type: retry}]
    onFailure: [{name: more, type: retry, stepId: s}]
    successCriteria:
    - {condition: $.a, type: jsonpath, version: rfc9535, context: $response.body}
"""


def test_what_is_tolerated_is_told_once_a_site_and_strictly_an_error_there(machine: Any, tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(STRICT)
    (tmp_path / "api.yaml").write_text("openapi: 3.1.0\npaths: {/a: {get: {operationId: one}}}\n")

    def told(*more: str) -> list[tuple[str, str, int]]:
        found = machine("check", tmp_path / "flow.yaml", "--json", *more).json["findings"]
        return [(one["code"], one["severity"], one["place"]["line"]) for one in found if "L0" not in one["code"]]

    structure = [("C12", 9), ("C8", 10), ("AZM-D118", 13)]
    whole = sorted([*structure, ("C9", 11)], key=lambda one: one[1])
    assert told() == [(code, "warning", line) for code, line in whole]
    assert told("--strict") == [(code, "error", line) for code, line in whole]
    assert told("--schema-only") == [(code, "warning", line) for code, line in structure]
    assert told("--schema-only", "--strict") == [(code, "error", line) for code, line in structure]


def test_a_step_that_can_only_fail_is_an_error_though_the_document_runs(machine: Any, tmp_path: Path) -> None:
    (tmp_path / "api.yaml").write_text("openapi: 3.1.0\npaths: {'/a/{id}': {get: {operationId: one}}}\n")
    (tmp_path / "flow.yaml").write_text(STRICT.partition("    parameters")[0])
    done = machine("check", tmp_path / "flow.yaml")

    assert done.code == 65
    assert ": error AZM-L022 path parameter 'id'" in done.out
    assert machine("plan", tmp_path / "flow.yaml").code == 0


def test_findings_are_data_with_their_explanation(machine: Any, users_arguments: Any) -> None:
    done = machine("check", *users_arguments, "--json")
    first = done.json["findings"][0]

    assert (done.json["errors"], done.err) == (0, "")
    assert (first["code"], first["severity"], first["place"]["line"]) == ("AZM-L012", "info", 30)
    assert first["explanation"]
    assert first["suggestion"]
    assert first["fix"].startswith("x-machine:")


@pytest.mark.parametrize("name", sorted(shipped()))
def test_the_shipped_workflows_are_clean(machine: Any, name: str) -> None:
    done = machine("check", name)

    assert (done.code, done.out) == (0, "no findings\n")


BAD = """arazzo: 1.0.1
info: {title: t, version: '1'}
sourceDescriptions: [{name: api, url: api.yaml, type: openapi}]
workflows:
- workflowId: w
  steps: [{stepId: s, operationId: one}, {stepId: t, operationID: two}]
- workflowId: v
  steps: [{stepId: s, operationId: one, outputs: {a: '$response.body'}}]
"""


def test_errors_of_structure_are_told_all_at_once(machine: Any, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(BAD)
    done = machine("check", path)
    only = machine("check", path, "--schema-only", "--json")

    assert (done.code, only.code) == (65, 65)
    assert done.out.splitlines()[-1] == "2 errors, 0 warnings"
    assert {one["code"] for one in only.json["findings"]} == {"AZM-D101", "AZM-D109"}


def test_the_structure_alone_needs_no_sources(machine: Any, tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text(BAD.replace("operationID", "operationId"))

    assert machine("check", path, "--schema-only").out == "no findings\n"
    done = machine("check", path, "--json")
    assert done.code == 65
    assert [(one["code"], one["place"]["line"], one["severity"]) for one in done.json["findings"]] == [
        ("AZM-S001", 3, "error")
    ]


def test_a_source_nothing_needs_is_a_warning(machine: Any, tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    text = BAD.replace("[{name: api,", "[{name: lost, url: lost.yaml}, {name: api,").replace(
        "operationID", "operationId"
    )
    path.write_text(text)
    (tmp_path / "api.yaml").write_text(
        "openapi: 3.1.0\npaths: {/a: {get: {operationId: one}, put: {operationId: two}}}\n"
    )
    done = machine("check", path, "--json")

    assert done.code == 0
    assert [(one["code"], one["severity"]) for one in done.json["findings"]] == [("AZM-S001", "warning")]


def test_what_is_wrong_with_another_document_is_told_there(machine: Any, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(BAD)
    (tmp_path / "api.yaml").write_text(
        "openapi: 3.1.0\npaths: {/a: {get: {operationId: one}, put: {operationId: two}}}\n"
    )
    path = tmp_path / "flow.yaml"
    text = BAD.replace("[{name: api,", "[{name: other, url: other.yaml, type: arazzo}, {name: api,")
    path.write_text(text.replace("operationID", "operationId"))
    done = machine("check", path, "--json")

    assert done.code == 65
    assert {Path(one["place"]["document"]).name for one in done.json["findings"]} == {"other.yaml"}


def test_a_document_that_is_none_is_told_where_it_ends(machine: Any, tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text("arazzo: [")
    done = machine("check", path, "--json")

    assert done.code == 65
    assert done.json["findings"][0]["code"] == "AZM-D003"
    assert machine("check", tmp_path / "none.yaml").code == 78
    assert machine("check", "nothing-of-the-kind").code == 64


CALLED = """arazzo: 1.0.1
info: {title: t, version: '1'}
sourceDescriptions: [{name: api, url: api.yaml}]
workflows:
- workflowId: inner
  steps:
  - stepId: s
    operationId: one
    successCriteria: [{context: $response.body, condition: $.x == 3, type: jsonpath}]
    outputs: {a: $steps.s.outputs.none}
"""
CALLING = """- workflowId: main
  steps: [{stepId: a, workflowId: inner}, {stepId: b, workflowId: inner}]
- workflowId: second
  steps: [{stepId: a, workflowId: inner}]
"""


@pytest.mark.parametrize("strict", [False, True], ids=["tolerant", "strict"])
@pytest.mark.parametrize("chosen", [["-w", "main"], []], ids=["one", "all"])
@pytest.mark.parametrize("apart", [False, True], ids=["one document", "two documents"])
def test_what_is_said_of_a_workflow_that_another_runs_is_told_once_where_it_stands(
    machine: Any, tmp_path: Path, apart: bool, chosen: list[str], strict: bool
) -> None:
    (tmp_path / "api.yaml").write_text("openapi: 3.1.0\npaths: {/a: {get: {operationId: one}}}\n")
    (tmp_path / "inner.yaml").write_text(CALLED)
    calling = CALLING
    if apart:
        calling = CALLING.replace("workflowId: inner", "workflowId: $sourceDescriptions.far.inner")
        head = CALLED.partition("- workflowId")[0].replace("[{", "[{name: far, url: inner.yaml, type: arazzo}, {")
        (tmp_path / "flow.yaml").write_text(head + calling)
    else:
        (tmp_path / "flow.yaml").write_text(CALLED + calling)
    done = machine("check", tmp_path / "flow.yaml", "--json", *chosen, *(["--strict"] if strict else []))
    where = "inner.yaml" if apart else "flow.yaml"

    told = [(one["code"], Path(one["place"]["document"]).name, one["place"]["line"]) for one in done.json["findings"]]
    assert told == [("C1", where, 9), *([] if strict else [("AZM-L017", where, 10)])]
    assert done.code == (65 if strict else 0)


def test_what_follows_by_position_says_more_than_that_the_run_fails(machine: Any, tmp_path: Path) -> None:
    paths = "{/a: {get: {operationId: one}, put: {operationId: two}}}"
    (tmp_path / "api.yaml").write_text(f"openapi: 3.1.0\npaths: {paths}\n")
    end = "{name: e, type: end, criteria: [{condition: $response.body#/x == 1}]}"
    go = "{name: g, type: goto, stepId: t, criteria: [{condition: $response.body#/x == 2}]}"
    head = STRICT.partition("    parameters")[0]

    def told(actions: str, more: str = "") -> list[str]:
        (tmp_path / "flow.yaml").write_text(f"{head}    onSuccess: [{actions}]\n{more}")
        return [one["code"] for one in machine("check", tmp_path / "flow.yaml", "--json").json["findings"]]

    assert told(end) == ["AZM-L031"]
    assert told(f"{end}, {go}", "  - {stepId: t, operationId: two}\n") == ["AZM-L016"]
