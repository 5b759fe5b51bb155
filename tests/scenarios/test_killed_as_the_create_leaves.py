"""A runner dies at the worst moment: the create has arrived and works, and its answer reaches nobody."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def killed(shell: Any, told: Any, deploy: Any) -> Callable[..., str]:
    """``killed("--on-doubt", "hold")`` -> the id of a run whose process the server killed on receipt of the create."""

    def begin(*arguments: object) -> str:
        pids: list[int] = []
        known = threading.Event()

        def kill() -> None:
            known.wait()
            told.upon_post = lambda: None
            os.kill(pids[0], signal.SIGKILL)

        told.upon_post = kill
        runner = shell.start("run", *deploy, "--server", told.url, "--id", "worst", *arguments)
        pids.append(runner.pid)
        known.set()
        ended = runner.end()

        assert ended.code == -signal.SIGKILL
        assert "createEndpoint sends POST /endpoint/acme" in ended.err
        assert "arazzo-machine resume worst" in ended.err
        return "worst"

    return begin


@pytest.fixture
def doubtful(killed: Callable[..., str]) -> str:
    """Such a run, of which a person decides."""
    return killed("--on-doubt", "hold")


# -- the machine looks -------------------------------------------------------------------------------------------------


def test_resume_looks_finds_it_and_creates_nothing(shell: Any, told: Any, killed: Any) -> None:
    killed()
    resumed = shell("resume", "--poll-interval", "0s", "--json")
    moves = shell("show", "worst", "--why")

    assert resumed.code == 0
    assert (resumed.json["phase"], resumed.json["outputs"]["state"]) == ("ready", "running")
    assert [effect["outcome"] for effect in resumed.json["effects"]] == ["applied"]
    assert resumed.json["effects"][0]["identity"]["endpointName"] == "demo"
    assert "it was not there before the first send" in moves.out
    # A look before the create, one after the kill, and a poll.
    assert (told.posts, told.gets) == (1, 3)


def test_an_absence_does_not_count_before_it_can(shell: Any, told: Any, killed: Any) -> None:
    killed()
    told.made.clear()
    waiting = shell("resume", "--no-wait", "--settle", "1h", "--json")
    posts_then = told.posts
    sure = shell("resume", "--settle", "0s", "--poll-interval", "0s", "--json")

    assert (waiting.code, waiting.json["reason"]) == (16, "waiting")
    assert waiting.json["state"] == "in_doubt"
    assert posts_then == 1
    assert sure.code == 0
    assert told.posts == 2


def test_what_somebody_else_made_meanwhile_is_not_adopted(shell: Any, told: Any, killed: Any) -> None:
    killed()
    told.made = {**told.made, "model": {"repository": "another"}}
    resumed = shell("resume", "--poll-interval", "0s", "--json")

    assert (resumed.code, resumed.json["reason"]) == (13, "in_doubt")
    assert told.posts == 1


# -- a person decides --------------------------------------------------------------------------------------------------


def test_resume_says_that_nobody_knows_and_sends_nothing(shell: Any, told: Any, deploy: Any, doubtful: str) -> None:
    first = shell("resume", "--json")
    again = shell("resume", doubtful)
    typed_again = shell("run", *deploy, "--server", told.url, "--id", "worst", "--on-doubt", "hold", "--json")

    assert (first.code, again.code, typed_again.code) == (13, 13, 13)
    assert first.json["reason"] == "in_doubt"
    assert [effect["outcome"] for effect in first.json["effects"]] == ["unknown"]
    assert first.json["next"]["action"] == "resolve"
    assert "may have been applied: POST /endpoint/acme; what it made may be there, and may be billed" in again.err
    assert "arazzo-machine resolve worst" in again.err
    assert (told.posts, told.gets) == (1, 1)


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
    assert (posts_then, told.posts, told.gets) == (1, 1, 2)


def test_a_doubt_can_be_settled_before_anybody_resumed(shell: Any, told: Any, doubtful: str) -> None:
    settled = shell("resolve", doubtful, "--not-sent")
    resumed = shell("resume", "--poll-interval", "0s")

    assert (settled.code, resumed.code) == (0, 0)
    assert told.posts == 2


def test_the_evidence_follows_what_is_there(shell: Any, told: Any, doubtful: str) -> None:
    shell("resume")
    found = shell("resolve", doubtful, "--json").json
    mine, told.made = told.made, {**told.made, "model": {"repository": "another"}}
    differs = shell("resolve", doubtful)
    told.made = {}
    absent = shell("resolve", doubtful, "--json")
    nothing = shell("resolve", doubtful, "--adopt", "--json")
    told.made = mine
    adopted = shell("resolve", doubtful, "--adopt", "--json")
    resumed = shell("resume", "--poll-interval", "0s")

    assert found["evidence"]["verdict"] == "found"
    assert differs.code == 13
    assert "  /model/repository: sent 'gpt2', there 'another'  DIFFERS" in differs.out
    assert (absent.code, absent.json["evidence"]["verdict"]) == (13, "absent")
    # What the look did not find can only be named by somebody who knows it.
    assert absent.json["commands"]["adopt"].endswith("--adopt endpointName=VALUE")
    assert (nothing.code, nothing.json["error"]["code"]) == (64, "AZM-U079")
    assert (adopted.code, resumed.code) == (0, 0)
    assert told.posts == 1


def test_nobody_looks_with_a_service_that_is_down(shell: Any, told: Any, doubtful: str, closed_port: int) -> None:
    shell("resume", "--server", f"http://127.0.0.1:{closed_port}")
    done = shell("resolve", doubtful, "--json")

    assert (done.code, done.json["evidence"]["verdict"]) == (13, "unclear")
    assert "no answer" in done.json["evidence"]["why"]


def test_it_is_sent_again_only_for_somebody_who_says_yes(shell: Any, told: Any, doubtful: str) -> None:
    refused = shell("resolve", doubtful, "--reissue", "--json")
    settled = shell("resolve", doubtful, "--reissue", "--yes", "--json")
    posts_then = told.posts
    resumed = shell("resume", "--poll-interval", "0s")

    assert (refused.code, refused.json["error"]["code"]) == (64, "AZM-U078")
    assert (settled.code, resumed.code) == (0, 0)
    assert (posts_then, told.posts) == (1, 2)


def test_its_answer_is_taken_from_a_file(shell: Any, told: Any, doubtful: str, tmp_path: Path) -> None:
    answer = {"status": 201, "headers": {"Content-Type": "application/json"}, "body": {**told.made, "name": "demo"}}
    (tmp_path / "answer.json").write_text(json.dumps(answer))
    settled = shell("resolve", doubtful, "--reply", "answer.json", "--json")
    resumed = shell("resume", "--poll-interval", "0s")

    assert (settled.code, resumed.code) == (0, 0)
    assert settled.json["effects"][0]["identity"]["endpointName"] == "demo"
    assert told.posts == 1
