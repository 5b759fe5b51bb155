"""A runner dies at the worst moment: the create has arrived and works, and its answer reaches nobody."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def doubtful(shell: Any, told: Any, deploy: Any) -> str:
    """The id of a run whose process was killed by the server on receipt of the create."""
    pids: list[int] = []
    known = threading.Event()

    def kill() -> None:
        known.wait()
        os.kill(pids[0], signal.SIGKILL)

    told.upon_post = kill
    runner = shell.start("run", *deploy, "--server", told.url, "--id", "worst")
    pids.append(runner.pid)
    known.set()
    ended = runner.end()

    assert ended.code == -signal.SIGKILL
    assert "createEndpoint sends POST /endpoint/acme" in ended.err
    assert "arazzo-machine resume worst" in ended.err
    return "worst"


def test_resume_says_that_nobody_knows_and_sends_nothing(shell: Any, told: Any, deploy: Any, doubtful: str) -> None:
    first = shell("resume", "--json")
    again = shell("resume", doubtful)
    typed_again = shell("run", *deploy, "--server", told.url, "--id", "worst", "--json")

    assert (first.code, again.code, typed_again.code) == (13, 13, 13)
    assert first.json["reason"] == "in_doubt"
    assert [effect["outcome"] for effect in first.json["effects"]] == ["unknown"]
    assert first.json["next"]["action"] == "resolve"
    assert "may have been applied: POST /endpoint/acme; what it made may be there, and may be billed" in again.err
    assert "arazzo-machine resolve worst" in again.err
    assert (told.posts, told.gets) == (1, 0)


def test_what_somebody_found_on_the_other_side_is_adopted(shell: Any, told: Any, doubtful: str) -> None:
    shell("resume")
    settled = shell("resolve", doubtful, "--adopt", "endpointName=demo", "--json")
    posts_then = told.posts
    resumed = shell("resume", "--poll-interval", "0s", "--json")

    assert settled.code == 0
    assert settled.json["effects"][0]["identity"] == {"endpointName": "demo"}
    assert settled.json["next"] == {"action": "resume", "command": "arazzo-machine resume worst"}
    assert resumed.code == 0
    assert resumed.json["outputs"] == {
        "endpointName": "demo",
        "state": "running",
        "inferenceUrl": "https://demo.example.com",
    }
    assert (posts_then, told.posts, told.gets) == (1, 1, 1)


def test_a_doubt_can_be_settled_before_anybody_resumed(shell: Any, told: Any, doubtful: str) -> None:
    told.upon_post = lambda: None
    settled = shell("resolve", doubtful, "--not-sent")
    resumed = shell("resume", "--poll-interval", "0s")

    assert (settled.code, resumed.code) == (0, 0)
    assert told.posts == 2
