"""A run is handed on as one text: several machines take it up, nothing is made twice, nobody learns a secret."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

OURS = ["-i", "hfToken=@env:HF_TOKEN", "--allow-host", "127.0.0.1"]
"""Who takes a run up says which secret of theirs goes where, and that the host is one of their own network."""


@pytest.fixture
def service(simulate: Any) -> Any:
    return simulate("happy")


@pytest.fixture
def token(shell: Any, service: Any, deploy: Any, tmp_path: Path) -> Path:
    """The token of a run that polls."""
    command = ["run", *deploy, "--server", service.url, "--poll-interval", "0s", "--id", "one", "--once"]
    for _ in range(4):
        assert shell(*command).code == 16
    path = tmp_path / "run.token"
    path.write_text(shell("show", "one", "--token").out)
    return path


def test_several_stores_at_once_come_to_the_same_and_create_nothing(
    shell: Any, service: Any, token: Path, canary: str
) -> None:
    stores = ["a.db", "b.db", "c.db", "c.db"]
    started = [shell.start("resume", "--token", token, *OURS, "--store", one, "--json") for one in stores]
    done = [one.end() for one in started]
    ids = {one.json["run"] for one in done}
    summary = service.summary()

    assert [one.code for one in done] == [0, 0, 0, 0]
    assert len(ids | {"one"}) == 5
    assert all(one.json["outputs"] == done[0].json["outputs"] for one in done)
    assert done[0].json["outputs"]["state"] == "running"
    assert (summary["creates"], summary["create_requests"]) == (1, 1)
    assert canary not in token.read_text()
    assert shell("resume", "one", "--poll-interval", "0s").code == 0


def test_it_goes_through_a_pipe(shell: Any, service: Any, token: Path) -> None:
    shown = shell.start("show", "one", "--token")
    taken = shell.start("resume", "--token", "-", *OURS, "--store", "b.db", "--json", stdin=shown.process.stdout)
    done = taken.end()

    assert shown.process.wait(30) == 0
    assert (done.code, done.json["phase"]) == (0, "ready")
    assert service.summary()["create_requests"] == 1


@pytest.mark.parametrize("left_out", [OURS[:2], OURS[2:]], ids=["the-secret", "the-host"])
def test_a_token_chooses_neither_a_secret_nor_a_host_of_ours(
    shell: Any, service: Any, token: Path, left_out: list[str]
) -> None:
    polls = service.summary()["polls"]
    given = [one for one in OURS if one not in left_out]
    refused = shell("resume", "--token", token, *given, "--store", "a.db", "--json")

    assert refused.code in (64, 78)
    assert refused.json["error"]["next"]
    assert service.summary()["polls"] == polls


def test_a_token_that_was_changed_is_refused(shell: Any, service: Any, token: Path) -> None:
    data = json.loads(token.read_text())
    data["token"]["options"]["servers"] = {"inferenceEndpointsApi": "http://127.0.0.1:9"}
    polls = service.summary()["polls"]
    done = shell.start("resume", "--token", "-", "--json", stdin=subprocess.PIPE)
    done.process.stdin.write(json.dumps(data))
    ended = done.end()

    assert (ended.code, ended.json["error"]["code"]) == (65, "AZM-T091")
    assert service.summary()["polls"] == polls


@pytest.mark.parametrize(
    ("scenario", "reason", "code"),
    [
        pytest.param("ambiguous-create", "in_doubt", "AZM-U091", id="a-create-may-be-ahead"),
        pytest.param("happy", "ended", "AZM-U090", id="it-has-ended"),
    ],
)
def test_only_a_run_with_nothing_but_safe_calls_ahead_is_handed_on(
    shell: Any, simulate: Any, deploy: Any, scenario: str, reason: str, code: str
) -> None:
    side = ["--server", simulate(scenario).url, "--poll-interval", "0s", "--on-doubt", "hold"]
    ended = shell("run", *deploy, *side, "--id", "one", "--json")
    done = shell("show", "one", "--token", "--json")

    assert ended.json["reason"] == reason
    assert (done.code, done.json["error"]["code"]) == (64, code)


def test_a_simulated_run_is_not_handed_on(shell: Any, deploy: Any) -> None:
    shell("run", *deploy, "--simulate", "--id", "one", "--visits", "1")
    done = shell("show", "one", "--token", "--json")

    assert (done.code, done.json["error"]["code"]) == (64, "AZM-U092")
