"""Charts to run, and things that can happen to them: at random, but the same for the same seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from machine.chart.chart import Chart
from machine.chart.events import CallFailed, Cancelled, Event, Reopened, Replied, Reply, Resolved, Started
from machine.chart.settings import Settings
from machine.chart.snapshot import Snapshot
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.sources.description import Description, describe

ROOT = Path(__file__).resolve().parent.parent.parent

STATUSES = [*[200] * 8, *[201] * 5, 202, 202, 204, 302, 401, 403, 404, 404, 408, 409, 429, 500, *[503] * 4]
STATES = [*["pending", "busy"] * 3, "initializing", "updating", "ok", "running", "paused", "failed", None]


def _step(name: str, operation: str = "getThing", **fields: Any) -> dict[str, Any]:
    return {"stepId": name, "operationId": operation, **fields}


def _action(name: str, kind: str, *conditions: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "criteria": [{"condition": one} for one in conditions], **fields}


_STATE = "$response.body#/status/state"
_OUTPUTS = {"outputs": {"name": "$response.body#/name", "state": _STATE}}

_RETRYING = [
    _step(
        "make",
        "makeThing",
        **_OUTPUTS,
        onSuccess=[
            _action("one-more", "goto", f"{_STATE} == 'busy'", stepId="make"),
            _action("on", "goto", stepId="look"),
        ],
        onFailure=[
            _action("again", "retry", "$statusCode == 503", retryLimit=2, retryAfter=3),
            _action("repair", "goto", "$statusCode == 404", stepId="mend"),
        ],
    ),
    _step(
        "look",
        **_OUTPUTS,
        successCriteria=[{"condition": "$statusCode == 200"}],
        onSuccess=[
            _action("wait", "goto", f"{_STATE} == 'pending'", stepId="look"),
            _action("done", "end", f"{_STATE} == 'running'"),
        ],
        onFailure=[
            _action("patient", "retry", "$statusCode == 503", retryLimit=2),
            _action("gone", "end", "$statusCode == 404"),
        ],
        **{"x-machine": {"poll": {"tolerate": 2, "visits": 4, "wait": [{"condition": f"{_STATE} == 'updating'"}]}}},
    ),
    _step("mend", "putThing", onSuccess=[_action("back", "goto", "$statusCode == 200", stepId="make")]),
]

_TWO_LOOPS = [
    _step("a", **_OUTPUTS),
    _step("b", "listThings", onSuccess=[_action("round", "goto", f"{_STATE} == 'busy'", stepId="a")]),
    _step("c", "patchThing", successCriteria=[{"condition": f"{_STATE} == 'ok'"}], **_OUTPUTS),
    _step(
        "d", "listParts", onSuccess=[_action("more", "goto", "$statusCode == 202", stepId="d"), _action("out", "end")]
    ),
]


def _flow(name: str, *steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    parameters = [{"name": "id", "in": "path", "value": "one"}]
    return {"workflowId": name, "parameters": parameters, **fields, "steps": list(steps)}


def _runs(name: str, workflow: str, **fields: Any) -> dict[str, Any]:
    return {"stepId": name, "workflowId": workflow, **fields}


_SEEN = "$outputs.state"
_WORD = {"type": "object", "required": ["word"], "properties": {"word": {"type": "string"}}}

_FRAMES = [
    _flow(
        "root",
        _runs(
            "make",
            "deploy",
            parameters=[{"name": "word", "value": "$workflows.login.outputs.name"}],
            onFailure=[
                _action("again", "retry", "$statusCode == 503", retryLimit=2, retryAfter=3),
                _action("leave", "goto", "$statusCode == 404", workflowId="recover"),
                _action("renew", "retry", "$statusCode == 401", workflowId="login", retryAfter=2),
            ],
        ),
        _runs(
            "watch",
            "status",
            onSuccess=[
                _action("wait", "goto", f"{_SEEN} == 'pending'", stepId="watch"),
                _action("done", "end", f"{_SEEN} == 'running'"),
                _action("around", "goto", f"{_SEEN} == 'busy'", stepId="make"),
            ],
            onFailure=[_action("elsewhere", "goto", "$statusCode == 404", workflowId="recover")],
            **{"x-machine": {"poll": {"tolerate": 1, "visits": 4}}},
        ),
        dependsOn=["login"],
        outputs={"name": "$steps.make.outputs.name"},
    ),
    _flow("login", _step("log", **_OUTPUTS), outputs={"name": "$steps.log.outputs.name"}),
    _flow(
        "deploy",
        _step(
            "create", "makeThing", **_OUTPUTS, onFailure=[_action("fix", "retry", "$statusCode == 409", stepId="fix")]
        ),
        _step(
            "ready",
            **_OUTPUTS,
            onSuccess=[
                _action("more", "retry", f"{_STATE} == 'pending'", retryLimit=2, retryAfter=1),
                _action("up", "end", f"{_STATE} == 'running'"),
            ],
        ),
        _step("fix", "patchThing"),
        inputs=_WORD,
        outputs={"name": "$steps.create.outputs.name"},
    ),
    _flow("status", _step("look", **_OUTPUTS), outputs={"state": "$steps.look.outputs.state"}),
    _flow(
        "recover",
        _step("renew", "putThing", onFailure=[_action("back", "goto", "$statusCode == 503", workflowId="root")]),
        dependsOn=["login"],
    ),
]
_TIMED = [
    _flow(
        "root",
        _runs("deep", "root", timeout=9000, onFailure=[_action("on", "goto", stepId="look")]),
        _step("look", onSuccess=[_action("more", "goto", "$statusCode == 202", stepId="look"), _action("out", "end")]),
        _step("last", "makeThing", dependsOn=["look", "$workflows.other.steps.o"], timeout=500),
        **{"x-machine": {"transitions": 200}},
    ),
    _flow("other", _step("o")),
]
_TIMED[0]["steps"] = [
    _step(
        "first",
        onSuccess=[_action("down", "goto", "$statusCode == 201", stepId="deep"), _action("on", "goto", stepId="look")],
    ),
    *_TIMED[0]["steps"],
]


@dataclass(frozen=True)
class Subject:
    chart: Chart
    inputs: dict[str, Any]
    secret: bool
    """Whether its requests carry one."""


@pytest.fixture(scope="session")
def subjects(
    user_plan: Plan,
    shipped_plan: Plan,
    user_inputs: dict[str, Any],
    built: Callable[..., Plan],
    composed: Callable[..., Plan],
) -> dict[str, Subject]:
    small = {"calls": 12, "transitions": 15}
    return {
        "user": Subject(Chart(user_plan), user_inputs, True),
        "shipped": Subject(Chart(shipped_plan), user_inputs, True),
        "retrying": Subject(Chart(built(_RETRYING)), {}, False),
        "strict": Subject(Chart(built(_RETRYING, strict=True, unmatched="next")), {}, False),
        "two loops": Subject(Chart(built(_TWO_LOOPS)), {}, False),
        "frames": Subject(Chart(composed(*_FRAMES)), {}, False),
        "timed": Subject(Chart(composed(*_TIMED, version="1.1.0")), {}, False),
        "bounded": Subject(Chart(built(_TWO_LOOPS, workflow={"x-machine": small}, unmatched="end")), {}, False),
    }


@pytest.fixture(scope="session")
def calling_plan(described: Callable[..., Description], user_inputs: dict[str, Any]) -> Plan:
    """A workflow that runs the shipped one, retries it on any failure, and then looks at what it made."""
    shipped = described(ROOT / "workflows/arazzo/deploy-inference-endpoint.arazzo.yaml", trusted=True)
    (workflow,) = shipped.document.workflows
    steps = [
        {
            "stepId": "deploy",
            "workflowId": f"$sourceDescriptions.endpoints.{workflow.workflow_id}",
            "parameters": [{"name": name, "value": f"$inputs.{name}"} for name in user_inputs],
            "onFailure": [{"name": "again", "type": "retry", "retryLimit": 3}],
        }
    ]
    document = {
        "arazzo": "1.0.1",
        "info": {"title": "A caller", "version": "1"},
        "sourceDescriptions": [{"name": "endpoints", "url": "endpoints.arazzo.yaml", "type": "arazzo"}],
        "workflows": [{"workflowId": "caller", "steps": steps, "outputs": {"name": "$steps.deploy.outputs.name"}}],
    }
    entry = describe("caller.json", read=lambda _: json.dumps(document).encode())
    return build_plan(replace(entry, documents={"endpoints": shipped}))


_ODD_BODIES: list[Any] = [None, "", "text", [1], {"status": "none"}]
_HEADERS = [
    *[{}] * 8,
    *({"retry-after": text} for text in ("0", "7", "90000", "soon", "Thu, 01 Jan 1970 00:30:00 GMT")),
]
_LIMITS: list[dict[str, Any]] = [
    *[{}] * 12,
    *({"deadline": length} for length in (0.0, 20.0, 90.0, 600.0)),
    *({"visits": 1}, {"calls": 4}, {"transitions": 6}),
    *({"poll_interval": 0.0}, {"poll_interval": 2.5, "visits": 3}),
]
_CHANGES: list[dict[str, Any]] = [
    *[{}] * 3,
    *({"deadline": 600.0}, {"visits": 9, "calls": 50}, {"transitions": None}),
]


def _reply(chance: Random) -> Reply:
    """An answer of the endpoint service, mostly; sometimes one that makes no sense."""
    name, state = chance.choice(["one"] * 9 + [None]), chance.choice(STATES)
    body: Any = {"name": name, "status": {"state": state, "url": None}}
    if chance.random() < 0.1:
        body = chance.choice(_ODD_BODIES)
    form: Any = "empty" if body is None else "text" if isinstance(body, str) else "json"
    if chance.random() < 0.1:
        body, form = None, "undecodable"
    return Reply(
        status=chance.choice(STATUSES),
        headers=chance.choice(_HEADERS),
        body=body,
        form=form,
        url="https://things.example",
    )


def _next(chance: Random, snapshot: Snapshot, inputs: dict[str, Any], at: float) -> Event:
    """Something that can well happen to a run in this state, and now and then something that cannot."""
    if snapshot.seq == 0:
        return Started(at=at, inputs=inputs, settings=Settings(**chance.choice(_LIMITS)))
    usual = ["reopened", "resolved"] * 3 if snapshot.stopped else ["replied"] * 20
    kind = chance.choice([*usual, "replied", "failed", "resolved", "reopened", "cancelled"])
    when = {"at": at, "chance": chance.choice([0.0, 0.25, 0.5, 0.984375])}
    if kind == "replied":
        return Replied(**when, reply=_reply(chance))
    if kind == "failed":
        return CallFailed(**when, fate=chance.choice(["unknown", "not_sent"]), cause="reset")
    if kind == "reopened":
        return Reopened(**when, changes=chance.choice(_CHANGES))
    if kind == "cancelled":
        return Cancelled(**when)
    given = {name: chance.choice(["x", "x", None]) for name in ("endpointName", "name", "state")}
    choice: Any = chance.choice(["not_sent", "adopt", "accept"])
    return Resolved(
        **when,
        choice=choice,
        reply=_reply(chance) if choice == "accept" else None,
        outputs=given if choice == "adopt" else {},
    )


@pytest.fixture(scope="session")
def events_of() -> Callable[..., Iterator[Event]]:
    """``events_of(seed, inputs, now)``: what happens to a run, each event made for the snapshot ``now()`` gives."""

    def make(seed: int, inputs: dict[str, Any], now: Callable[[], Snapshot]) -> Iterator[Event]:
        chance = Random(seed)
        at = chance.choice([0.0, 1000.0, 1.75e9 + 0.125])
        for _ in range(chance.randint(5, 40)):
            yield _next(chance, now(), inputs, at)
            at = round(at + chance.choice([0.0, 0.5, 1.0, 4.875, 30.0]), 3)

    return make
