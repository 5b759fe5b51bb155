"""A workflow runs the shipped one as a step; the runner dies in the middle of it, and nothing is made twice."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CALLER = Path(__file__).resolve().parents[1] / "documents" / "caller.arazzo.yaml"


@pytest.fixture
def calls(told: Any) -> list[object]:
    """The document, its inputs, and the one server all of it is sent to."""
    inputs = ["namespace=acme", "name=demo", "hfToken=@env:HF_TOKEN"]
    servers = [f"{name}={told.url}" for name in ("api", "endpoints.inferenceEndpointsApi")]
    flags = [*(("-i", one) for one in inputs), *(("--server", one) for one in servers)]
    return [CALLER, *(word for pair in flags for word in pair), "--poll-interval", "0s"]


def test_a_step_that_runs_a_workflow_is_part_of_the_run(shell: Any, told: Any, calls: Any) -> None:
    done = shell("run", *calls, "--id", "whole", "--json")
    why = shell("show", "whole", "--why").out
    drawn = shell("diagram", "--run", "whole", "--format", "mermaid").out

    assert (done.code, done.json["outputs"]) == (0, {"name": "demo", "state": "running"})
    assert (told.posts, done.json["calls"], [one["outcome"] for one in done.json["effects"]]) == (1, 4, ["applied"])
    assert "then returned\n         deploy -> look, by " in why
    assert '" as w_1 {' in drawn
    assert "s_0 --> w_1 : runs<br/>x1" in drawn


def test_a_kill_inside_the_workflow_resumes_inside_it(shell: Any, told: Any, calls: Any) -> None:
    told.state = "initializing"
    told.hold = "GET"
    told.release.set()
    polled = shell.start("run", *calls, "--id", "deep", "--poll-interval", "100ms")
    polled.wait_for("polling")
    polled.kill()
    seen = shell.show("deep")
    told.state = "running"
    resumed = shell("resume", "deep", "--json")

    assert (seen["state"], seen["phase"], seen["resumable"]) == ("deploy / polling", "polling", True)
    assert (resumed.code, resumed.json["outputs"]["state"]) == (0, "running")
    assert told.posts == 1


@pytest.fixture
def killed(shell: Any, told: Any, calls: Any) -> Callable[..., None]:
    """``killed("--on-doubt", "hold")``: a run whose process died on receipt of the create, two workflows deep."""

    def begin(*arguments: object) -> None:
        pids: list[int] = []
        known = threading.Event()

        def kill() -> None:
            known.wait()
            told.upon_post = lambda: None
            os.kill(pids[0], signal.SIGKILL)

        told.upon_post = kill
        runner = shell.start("run", *calls, "--id", "worst", *arguments)
        pids.append(runner.pid)
        known.set()
        assert runner.end().code == -signal.SIGKILL

    return begin


def test_a_create_that_was_lost_two_workflows_deep_is_found_again(shell: Any, told: Any, killed: Any) -> None:
    killed()
    resumed = shell("resume", "worst", "--json")

    assert (resumed.code, resumed.json["outputs"]) == (0, {"name": "demo", "state": "running"})
    assert (told.posts, [one["outcome"] for one in resumed.json["effects"]]) == (1, ["applied"])


def test_a_person_settles_it_two_workflows_deep(shell: Any, told: Any, killed: Any) -> None:
    killed("--on-doubt", "hold")
    held = shell("resume", "worst", "--json")
    looked = shell("resolve", "worst", "--json")
    settled = shell("resolve", "worst", "--adopt", "endpointName=demo", "--json")
    resumed = shell("resume", "worst", "--json")

    assert (held.code, held.json["state"], held.json["next"]["action"]) == (13, "deploy / in_doubt", "resolve")
    assert looked.code in (0, 13)
    assert settled.json["state"] == "deploy / created"
    assert (resumed.code, told.posts) == (0, 1)


def test_a_token_is_refused_while_a_create_may_lie_ahead_in_a_workflow(shell: Any, told: Any, calls: Any) -> None:
    told.state = "pending"
    shell("run", *calls, "--no-wait", "--id", "early", "--poll-interval", "5s")
    refused = shell("show", "early", "--token")

    assert refused.code == 64, "the step may be retried, and with it the create"
    assert "createEndpoint" in refused.err
