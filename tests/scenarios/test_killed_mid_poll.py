"""A runner is killed while it watches; a bare ``resume`` finds the run and goes on watching the same endpoint."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.slow


def test_a_bare_resume_goes_on_after_a_kill_and_nothing_is_created_twice(
    shell: Any, simulate: Any, deploy: Any
) -> None:
    service = simulate("slow-start")
    runner = shell.start("run", *deploy, "--server", service.url, "--poll-interval", "20ms", new=True)
    service.wait_until(lambda summary: summary["polls"] >= 3)
    runner.kill()

    (before,) = shell("runs", "--json").json["runs"]
    resumed = shell("resume", "--poll-interval", "0s", "--json")
    summary = service.summary()

    assert (before["phase"], before["reason"], before["resumable"]) == ("polling", "interrupted", True)
    assert before["next"] == {"action": "resume", "command": f"arazzo-machine resume {before['run']}"}
    assert resumed.code == 0
    assert resumed.json["run"] == before["run"]
    assert resumed.json["outputs"]["state"] == "running"
    assert f"run {before['run']}, deploy-inference-endpoint, is in polling" in resumed.err
    assert (summary["creates"], summary["create_requests"], summary["polls"]) == (1, 1, 41)


def test_a_simulated_run_goes_on_too_because_its_simulator_is_remembered(shell: Any, deploy: Any) -> None:
    runner = shell.start("run", *deploy, "--simulate", "--poll-interval", "20ms", new=True)
    runner.wait_for("initializing")
    runner.kill()

    resumed = shell("resume", "--json")

    assert resumed.code == 0
    # A look, a create and six polls, however they were divided between the two processes; a poll may have been made
    # twice.
    assert resumed.json["calls"] in (7, 8)
    assert [effect["outcome"] for effect in resumed.json["effects"]] == ["applied"]
