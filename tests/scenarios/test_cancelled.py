"""Somebody stops a run from another terminal: it stops within a second, loses nothing in flight, and can go on."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("where", ["server", "simulated"])
def test_a_run_that_waits_is_cancelled_within_a_second(shell: Any, simulate: Any, deploy: Any, where: str) -> None:
    if where == "server":
        service = simulate()
        side = ["--server", service.url, "--poll-interval", "600s"]
    else:
        side = ["--simulate", "slow-start"]
    runner = shell.start("run", *deploy, *side, "--id", "one", "--json")
    runner.wait_for("next look in")
    before = time.monotonic()
    cancelled = shell("cancel", "one", "--json")
    took = time.monotonic() - before
    ended = runner.end()
    resumed = shell("resume", "--poll-interval", "0s", "--json")

    assert (cancelled.code, ended.code) == (0, 15)
    # A second, and what a process takes to start on a machine with more to do than this.
    assert took < 5
    assert cancelled.json == ended.json == {**ended.json, "reason": "cancelled", "resumable": True}
    assert ended.json["next"] == {"action": "resume", "command": "arazzo-machine resume one"}
    assert (resumed.code, resumed.json["phase"]) == (0, "ready")


def test_a_request_in_flight_is_finished_and_its_answer_kept(shell: Any, told: Any, deploy: Any) -> None:
    told.hold = "POST"
    runner = shell.start("run", *deploy, "--server", told.url, "--id", "one", "--json")
    assert told.arrived.wait(30)
    cancelling = shell.start("cancel", "one", "--json")
    while not shell.cancel_requested("one"):
        assert cancelling.process.poll() is None
    told.release.set()
    cancelled, ended = cancelling.end(), runner.end()
    told.hold = ""
    resumed = shell("resume", "--poll-interval", "0s", "--json")

    assert (cancelled.code, ended.code) == (0, 15)
    assert (ended.json["reason"], ended.json["state"]) == ("cancelled", "created")
    assert [effect["outcome"] for effect in ended.json["effects"]] == ["applied"]
    assert resumed.code == 0
    assert told.posts == 1


def test_a_run_nobody_holds_is_cancelled_at_once_whatever_became_of_its_runner(
    shell: Any, simulate: Any, deploy: Any
) -> None:
    service = simulate("slow-start")
    runner = shell.start("run", *deploy, "--server", service.url, "--poll-interval", "600s", "--id", "one")
    runner.wait_for("next look in")
    runner.kill()
    cancelled = shell("cancel", "one", "--json")
    again = shell("cancel", "one", "--json")
    resumed = shell("resume", "--poll-interval", "0s", "--json")

    assert (cancelled.code, cancelled.json["reason"]) == (0, "cancelled")
    assert (again.code, again.json["reason"]) == (0, "cancelled")
    assert resumed.code == 0
    assert service.summary()["create_requests"] == 1
