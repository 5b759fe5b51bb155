"""A token goes to the service and nowhere else: no stream, log, file or picture shows it, whatever the service says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def leaks(folder: Path, text: str) -> list[str]:
    """The files under a folder that hold a text."""
    return [path.name for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_a_token_is_nowhere_but_in_the_requests(
    shell: Any, told: Any, deploy: Any, canary: str, tmp_path: Path
) -> None:
    # The service quotes the token in what becomes an output.
    told.address = f"https://demo.example.com/?token={canary}"
    told.state = "initializing"
    log = ["--log", "run.log"]
    runner = shell.start("run", *deploy, "--server", told.url, "--poll-interval", "10ms", *log)
    while "initializing" not in runner.wait_for("polling"):
        pass
    runner.process.kill()
    killed = runner.end()
    left = leaks(tmp_path, canary)
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    told.state = "running"
    done = [
        shell("resume", "--json", *log),
        shell("runs"),
        shell("show", (run := shell("runs", "--json").json["runs"][0]["run"]), "--why"),
        shell("show", run, "--why", "--json"),
        shell("diagram", "--run", run, "-o", "run.dot"),
        shell("diagram", "--run", run, "-o", "run.svg"),
    ]

    assert told.tokens == {f"Bearer {canary}"}
    assert files >= {"runs.db", "runs.db-wal", "run.log"}
    assert [one.code for one in done] == [0, 0, 0, 0, 0, 0]
    assert done[0].json["outputs"]["inferenceUrl"] == "https://demo.example.com/?token=[secret hfToken]"
    assert (left, leaks(tmp_path, canary)) == ([], [])
    for one in (killed, *done):
        assert canary not in one.out + one.err
    assert "secret hfToken (@env:HF_TOKEN) goes to 127.0.0.1:" in killed.err
