"""``plan`` and ``diagram``: the machine as text, as data and as a picture, without inputs and without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from machine.plan.model import Plan

DEPLOY = "deploy-inference-endpoint"


def test_a_plan_reads_back_as_the_plan_it_was(machine: Any, shipped_plan: Plan) -> None:
    done = machine("plan", DEPLOY, "--json")
    again = Plan.from_json(done.json)

    assert done.code == 0
    assert {**again.to_json(), "fates": done.json["fates"], "needs": []} == done.json
    assert again.states == shipped_plan.states
    assert again.transitions == shipped_plan.transitions


def test_a_plan_is_told_state_by_state_and_move_by_move(machine: Any) -> None:
    done = machine("plan", DEPLOY)
    lines = done.out.splitlines()
    states = [line.split()[:3] for line in lines[3 : lines.index("", 3)]]

    assert done.code == 0
    assert lines[0].startswith(f"{DEPLOY}: ")
    assert states == [
        ["createEndpoint", "starting", "call"],
        ["created", "created", "call"],
        ["polling", "polling", "call"],
        ["in_doubt", "created", "doubt"],
        ["failed", "failed", "final"],
        ["ready", "ready", "final"],
    ]
    assert any(line.split()[:5] == ["polling", "1.", "stillStarting", "->", "polling"] for line in lines)
    assert any(line.startswith("input hfToken: ") and "secret" in line and "@env:HF_TOKEN" in line for line in lines)
    assert "input revision: optional, default 'main'" in lines
    assert "calls inferenceEndpointsApi: https://api.endpoints.huggingface.cloud/v2" in lines
    assert "effect createEndpoint: create, in doubt it looks: GET /endpoint/{namespace}/{endpoint_name}" in lines
    assert "deadline 3600 s, at most 10000 calls and 10000 transitions" in lines


def test_what_each_answer_would_do_is_told_state_by_state(machine: Any) -> None:
    lines = machine("plan", DEPLOY).out.splitlines()
    start = next(number for number, line in enumerate(lines) if "ANSWERS THAT LEAD THERE" in line)
    rows = [line.split(maxsplit=1) for line in lines[start + 1 : lines.index("", start)]]
    told = {" ".join(rest.split()) for state, rest in rows if state == "polling"}
    fates = machine("plan", DEPLOY, "--json").json["fates"]

    assert "stillStarting -> polling 200 with /status/state pending | initializing | updating" in told
    assert "unmatched -> failed 200 with /status/state paused | scaledToZero" in told
    assert "tolerated -> polling 429; 408; 425; 500; 502; 503; 504; no answer; not sent" in told
    assert {"answer": "200", "values": {"/status/state": "running"}}.items() <= next(
        one for one in fates["s_2"] if one["label"] == "ready"
    ).items()


def test_every_workflow_of_a_document_is_planned_unless_one_is_chosen(machine: Any, things: Any) -> None:
    document = things()
    both = machine("plan", document, "--json").json
    one = machine("plan", document, "-w", "remake", "--json").json

    assert list(both) == ["plans"]
    assert [plan["workflow"] for plan in both["plans"]] == ["make", "remake"]
    assert one == both["plans"][1]
    assert machine("plan", document, "-w", "other").code == 64


def test_what_a_document_is_read_as_is_noted_with_its_place(machine: Any, users_arguments: Any) -> None:
    done = machine("plan", *users_arguments)
    strict = machine("plan", *users_arguments, "--strict", "--json")

    assert done.code == 0
    assert any(line.startswith("note: ") and "deploy.arazzo.yaml:" in line for line in done.out.splitlines())
    assert strict.code == 65


def test_a_document_with_errors_lists_each_with_its_place(machine: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("arazzo: 1.0.1\ninfo: {title: x}\nsourceDescriptions: []\nworkflows: []\n")
    done = machine("plan", "bad.yaml")
    as_json = machine("plan", "bad.yaml", "--json")
    findings = as_json.json["error"]["findings"]

    assert (done.code, as_json.code) == (65, 65)
    assert len(findings) > 1
    assert len(done.err.splitlines()) >= len(findings)
    assert all("bad.yaml:" in line for line in done.err.splitlines())


def test_a_terminal_is_safe_from_a_document(machine: Any, things: Any, tmp_path: Path) -> None:
    path = tmp_path / things()
    path.write_text(path.read_text().replace("Make one thing.", '"\\e]0;mine\\a\\u202e"'))
    for done in (machine("plan", path), machine("plan", path, "--json"), machine("diagram", path, "-w", "make")):
        assert done.code == 0
        assert not set(done.out + done.err) & set("\x1b\x07\u202e")


def test_a_plan_given_as_json_is_what_a_run_stores(machine: Any, deploy: Any, tmp_path: Path) -> None:
    from machine.stores.sqlite import SqliteStore

    run = machine(*deploy, "happy", "--json").json["run"]
    with SqliteStore(tmp_path / "runs.db", read_only=True) as store:
        stored = json.loads(store.blob(store.load(run).head.plan_sha256))

    shown = machine("plan", DEPLOY, "--json").json
    # What answers would do is told of the description, which a run does not need any more.
    del shown["fates"], shown["needs"]

    assert stored == shown


MACHINE = """
arazzo: 1.1.0
info: {title: t, version: "1"}
sourceDescriptions: [{name: things, url: things.yaml, type: openapi}]
workflows:
- workflowId: first
  inputs: {type: object, required: [mode], properties: {mode: {enum: [fast, slow]}, secret: {type: string}}}
  steps:
  - stepId: put
    operationId: putThing
    onSuccess:
    - {name: gone, type: goto, stepId: delete, criteria: [{condition: $inputs.mode == 'slow'}]}
    - {name: known, type: end, criteria: [{condition: $response.body#/known == true}]}
    - {name: other, type: goto, workflowId: second}
  - {stepId: delete, operationId: deleteThing, onSuccess: [{name: back, type: goto, stepId: put}]}
- workflowId: second
  steps:
  - {stepId: only, workflowId: third}
- workflowId: third
  inputs: {type: object, properties: {token: {type: string}}}
  steps:
  - {stepId: only, operationId: putThing, parameters: [{name: X-Token, in: header, value: $inputs.token}]}
"""
API = """
openapi: 3.1.0
servers: [{url: 'https://things.example.com'}]
paths:
  /thing:
    put: {operationId: putThing, responses: {'200': {}}}
    delete: {operationId: deleteThing, responses: {'204': {}}}
"""


def told(machine: Any, folder: Path, workflow: str) -> list[str]:
    """The lines of the workflow's own plan, without what it runs, one space between words."""
    (folder / "machine.yaml").write_text(MACHINE)
    (folder / "things.yaml").write_text(API)
    lines = machine("plan", "machine.yaml", "-w", workflow).out.splitlines()
    end = next((number for number, line in enumerate(lines) if line.startswith("runs ")), len(lines))
    return [" ".join(line.split()) for line in lines[:end]]


def test_what_a_row_depends_on_is_said_in_it(machine: Any, tmp_path: Path) -> None:
    lines = told(machine, tmp_path, "first")

    assert "put gone -> gone 200 with $inputs.mode slow; 2XX with $inputs.mode slow" in lines
    assert "put known -> known 200 with $inputs.mode fast, depending on /known; 2XX" in "\n".join(lines)
    assert "put broke -> failed any other; no answer; not sent" in lines


def test_a_way_back_says_how_it_is_paced(machine: Any, tmp_path: Path) -> None:
    assert "gone 1. back -> put, every 5 s growing by 1.5 to 30 s the step succeeded" in told(
        machine, tmp_path, "first"
    )


def test_a_goto_to_a_workflow_says_what_the_run_becomes(machine: Any, tmp_path: Path) -> None:
    lines = told(machine, tmp_path, "first")

    assert "other * becomes -> second it can begin, and then takes this one's place" in lines
    assert "other 1. broke -> failed otherwise" in lines


def test_a_plan_that_makes_no_calls_has_no_table_of_answers(machine: Any, tmp_path: Path) -> None:
    assert not any("ANSWERS" in line for line in told(machine, tmp_path, "second"))


def test_a_refused_credential_is_told_only_where_one_is_sent(machine: Any, tmp_path: Path) -> None:
    assert not any("credential refused" in line for line in told(machine, tmp_path, "first"))
    assert any("credential refused" in line for line in told(machine, tmp_path, "third"))
