"""The shipped workflows around an endpoint's life, each against the service to its end and through its failures."""

from __future__ import annotations

from typing import Any

import pytest

from machine.chart.settings import Settings
from machine.errors import HostError
from machine.library import load, shipped
from machine.plan.build import build_plan
from machine.runtime.result import Result
from machine.runtime.runner import Runner
from machine.runtime.secrets import Reference
from machine.stores.memory import MemoryStore
from machine.testing.clock import ManualClock
from machine.testing.server import Simulator

DEPLOY = "deploy-inference-endpoint"
ADOPT = "deploy-or-adopt-inference-endpoint"
CHECK = "check-inference-endpoint-health"
DELETE = "delete-inference-endpoint"
PAUSE = "pause-inference-endpoint"
RESUME = "resume-inference-endpoint"
SCALE = "scale-inference-endpoint-to-zero"
TOGGLE = "toggle-endpoint-state"
UPDATE = "update-inference-endpoint"

STORIES = [
    pytest.param(PAUSE, "toggle-running", {}, "paused", {"state": "paused", "readyReplicas": 0}, id="pause"),
    pytest.param(PAUSE, "toggle-initializing", {}, "paused", {"state": "paused"}, id="pause-while-it-starts"),
    pytest.param(PAUSE, "happy", {}, "failed", {"state": None}, id="pause-what-is-not-there"),
    pytest.param(RESUME, "toggle-paused", {}, "ready", {"previousState": "paused", "state": "running"}, id="resume"),
    pytest.param(RESUME, "toggle-running", {}, "alreadyRunning", {"state": None}, id="resume-what-runs"),
    pytest.param(RESUME, "happy", {}, "failed", {"previousState": None}, id="resume-what-is-not-there"),
    pytest.param(SCALE, "idle-running", {}, "scaledToZero", {"state": "scaledToZero"}, id="scale-to-zero"),
    pytest.param(SCALE, "toggle-running", {}, "failed", {"state": None}, id="scale-what-has-no-timeout"),
    pytest.param(DELETE, "toggle-running", {}, "gone", {"lastState": None}, id="delete"),
    pytest.param(DELETE, "happy", {}, "gone", {"lastState": None}, id="delete-what-is-not-there"),
    pytest.param(UPDATE, "toggle-running", {"maxReplica": 2}, "ready", {"state": "running"}, id="update"),
    pytest.param(
        UPDATE, "update-refused-by-image", {"revision": "x"}, "failed", {"state": "updateFailed"}, id="update-fails"
    ),
    pytest.param(UPDATE, "toggle-paused", {"maxReplica": 2}, "failed", {"state": "paused"}, id="update-what-is-paused"),
    pytest.param(TOGGLE, "toggle-running", {}, "paused", {"pausedState": "paused", "resumedState": None}, id="toggle"),
    pytest.param(TOGGLE, "toggle-paused", {}, "resumed", {"resumedState": "pending"}, id="toggle-back"),
    pytest.param(TOGGLE, "toggle-initializing", {}, "failed", {"previousState": "initializing"}, id="toggle-neither"),
    pytest.param(ADOPT, "happy", {"repository": "gpt2"}, "ready", {"foundState": None}, id="adopt-nothing-there"),
    pytest.param(ADOPT, "duplicate-409", {"repository": "gpt2"}, "ready", {"foundState": "running"}, id="adopt"),
    pytest.param(ADOPT, "duplicate-409", {"repository": "bert"}, "failed", {"state": None}, id="adopt-another-model"),
    pytest.param(ADOPT, "ambiguous-create", {"repository": "gpt2"}, "ready", {"state": "running"}, id="adopt-doubt"),
    pytest.param(CHECK, "existing-starting", {}, "healthy", {"state": "running", "readyReplicas": 1}, id="check"),
    pytest.param(CHECK, "health-flaps", {}, "healthy", {"state": "running"}, id="check-what-flaps"),
    pytest.param(CHECK, "toggle-paused", {}, "failed", {"state": "paused"}, id="check-what-is-paused"),
    pytest.param(CHECK, "happy", {}, "failed", {"state": None}, id="check-what-is-not-there"),
]

CHANGES = {
    "toggle-neither": [],
    "resume-what-runs": [],
    "adopt": [],
    "adopt-another-model": [],
    "adopt-doubt": ["POST"],
    "adopt-nothing-there": ["POST"],
    "check": [],
    "check-what-flaps": [],
    "delete": ["DELETE"],
    "toggle": ["POST"],
    "update": ["PUT"],
}
"""What is sent, besides looks, in the stories where that is the point."""


@pytest.mark.parametrize(("name", "scenario", "inputs", "state", "outputs"), STORIES)
def test_a_workflow_ends_where_its_prose_says(
    request: pytest.FixtureRequest,
    name: str,
    scenario: str,
    inputs: dict[str, Any],
    state: str,
    outputs: dict[str, Any],
) -> None:
    plan = build_plan(load(name))
    given = {"namespace": "acme", "name": "demo", "hfToken": Reference("@env:HF_TOKEN"), **inputs}
    with Simulator(scenario) as simulator, MemoryStore() as store:
        runner = Runner(
            store,
            clock=ManualClock(),
            servers=dict.fromkeys(plan.servers, simulator.url),
            secret_texts={"hfToken": "not-a-real-token"},
        )
        with runner.start(plan, given, run_id="story") as run:
            result = run.result()
        sent = [one["method"] for one in simulator.requests if one["method"] != "GET"]

    assert result.state == state
    assert {key: result.outputs[key] for key in outputs} == outputs
    story = request.node.callspec.id
    assert sent == CHANGES.get(story, sent)


def checked(scenario: str, clock: ManualClock, **settings: Any) -> tuple[Result, list[int]]:
    """What a check came to, and what the health route answered on its way."""
    plan = build_plan(load(CHECK))
    given = {"namespace": "acme", "name": "demo", "hfToken": Reference("@env:HF_TOKEN")}
    with Simulator(scenario) as simulator, MemoryStore() as store:
        runner = Runner(
            store,
            clock=clock,
            chance=lambda: 0.5,
            servers=dict.fromkeys(plan.servers, simulator.url),
            secret_texts={"hfToken": "not-a-real-token"},
        )
        with runner.start(plan, given, run_id="check", settings=Settings(**settings)) as run:
            result = run.result()
        looks = [one["status"] for one in simulator.requests if one["path"] == "/v2/health"]
        sent = [one["auth"] for one in simulator.requests if one["path"] == "/v2/health"]

    assert {one["token"] for one in sent} == {"absent"}, "the endpoint itself is not sent the token"
    return result, looks


def test_health_counts_three_times_in_a_row_with_a_pause_before_each() -> None:
    clock = ManualClock()
    result, looks = checked("health-flaps", clock)

    assert result.ready
    assert looks == [200, 503, 200, 200, 503, 200, 200, 200]
    # 5 s before a second look and a third; to read the endpoint again takes longer each time, up to 30 s.
    assert [wait for wait in clock.waits if wait] == [5.0, 7.5, 5.0, 5.0, 11.25, 5.0, 5.0]


@pytest.mark.parametrize(
    ("settings", "reason"), [({}, "deadline"), ({"visits": 4}, "visits")], ids=["an-hour", "visits"]
)
def test_an_endpoint_that_never_answers_uses_up_the_budget(settings: dict[str, Any], reason: str) -> None:
    result, looks = checked("health-never", ManualClock(), **settings)

    assert (result.reason, result.exit_code) == (reason, 12)
    assert result.outputs["state"] == "running"
    assert set(looks) == {503}


def test_nobody_can_check_without_saying_where_the_endpoint_is() -> None:
    plan = build_plan(load(CHECK))
    given = {"namespace": "acme", "name": "demo", "hfToken": Reference("@env:HF_TOKEN")}
    runner = Runner(MemoryStore(), secret_texts={"hfToken": "not-a-real-token"})

    with pytest.raises(HostError, match="'endpointItself' does not say which server to call") as caught:
        runner.start(plan, given, run_id="lost")
    assert caught.value.next == "name it: --server endpointItself=https://HOST/PATH"


def test_every_shipped_workflow_has_a_story() -> None:
    told = {one.values[0] for one in STORIES}

    assert told | {DEPLOY} == set(shipped())
