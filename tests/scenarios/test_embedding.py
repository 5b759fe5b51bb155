"""The three doors of the Python API, each opened the way a program would: draw, run, embed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import machine
from machine.testing.server import Simulator


def inputs(token: object) -> dict[str, Any]:
    return {"namespace": "acme", "name": "demo", "repository": "gpt2", "hfToken": token}


def test_draw() -> None:
    description = machine.load("deploy-inference-endpoint")
    plan = machine.build_plan(description)
    drawing = machine.render(plan, format="mermaid")

    assert isinstance(description, machine.Description)
    assert drawing.startswith("---") or "stateDiagram" in drawing
    for state in ("created", "polling", "ready", "failed"):
        assert state in drawing
    assert machine.Plan.from_json(json.loads(json.dumps(plan.to_json()))).sha256 == plan.sha256
    assert machine.render_svg(machine.render(plan, format="dot")).startswith("<svg")


def test_run_stop_and_resume(tmp_path: Path) -> None:
    plan = machine.build_plan(machine.load("deploy-inference-endpoint"))
    with Simulator("happy") as simulator, machine.SqliteStore(tmp_path / "runs.db") as store:
        runner = machine.Runner(
            store,
            servers={"inferenceEndpointsApi": simulator.url},
            secret_texts={"hfToken": "a text of the program"},
        )
        settings = machine.Settings(poll_interval=0)
        seen = []
        with runner.start(plan, inputs(machine.Reference("@env:UNUSED")), run_id="demo", settings=settings) as run:
            for record in run:
                seen.append(plan.state(record.target).name)
                if len(seen) == 4:
                    break
        half = runner.result("demo")
        resumed = runner.resume("demo")
        rest = [plan.state(record.target).name for record in resumed]
        result = resumed.result()
        again = runner.resume("demo").result()

    assert seen == ["createEndpoint", "createEndpoint", "created", "polling"]
    assert isinstance(run, machine.Run)
    assert (half.reason, half.resumable, half.exit_code) == ("interrupted", True, 16)
    assert rest[-1] == "ready"
    assert isinstance(result, machine.Result)
    assert result.ready
    assert result.outputs["state"] == "running"
    assert again == result
    assert simulator.creates == simulator.create_requests == 1


class Watch:
    """What an embedding program hangs on the machine."""

    def __init__(self) -> None:
        self.moves: list[tuple[str, str]] = []

    def after_transition(self, source: Any, target: Any) -> None:
        self.moves.append((source.name, target.name))


def test_embed_the_chart_and_drive_it_with_nothing_of_ours() -> None:
    watch = Watch()
    chart = machine.Chart(machine.build_plan(machine.load("deploy-inference-endpoint")), listeners=[watch])
    token = machine.SecretRef("hfToken")
    snapshot, effects, record = chart.advance(chart.begin(), machine.Started(at=0.0, inputs=inputs(token)))
    states = iter(["pending", "initializing", "running"])
    calls = []
    while isinstance(call := effects[0], machine.Call):
        calls.append(f"{call.request.method} {call.request.target}")
        if call.purpose == "look":
            reply = machine.Reply(status=404)
        else:
            body = {"name": "demo", "status": {"state": next(states), "url": "https://demo.example.com"}}
            reply = machine.Reply(status=201 if call.kind == "create" else 200, body=body, form="json")
        # As a program would between two processes: the snapshot is all there is to keep.
        snapshot = machine.Snapshot.from_json(json.loads(json.dumps(snapshot.to_json())))
        snapshot, effects, record = chart.advance(snapshot, machine.Replied(at=call.not_before, reply=reply))

    values, unresolved = chart.outputs(snapshot)

    assert isinstance(effects[0], machine.Finish)
    assert isinstance(record, machine.Record)
    assert calls == ["GET /endpoint/acme/demo", "POST /endpoint/acme", *["GET /endpoint/acme/demo"] * 2]
    assert [target for _, target in watch.moves][-3:] == ["created", "polling", "ready"]
    assert chart.phase(snapshot) == "ready"
    assert values == {"endpointName": "demo", "state": "running", "inferenceUrl": "https://demo.example.com"}
    assert unresolved == ()
    assert "a text" not in json.dumps(snapshot.to_json())
