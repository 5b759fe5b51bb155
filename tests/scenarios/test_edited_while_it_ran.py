"""Somebody mends the document of a run that is under way: it goes on with the mended one, and creates nothing again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def mine(users_deploy: Any, tmp_path: Path) -> tuple[Path, list[object]]:
    """The user's document where it can be edited, with the arguments of a run of it."""
    document, *arguments = users_deploy
    copied = tmp_path / "mine.arazzo.yaml"
    copied.write_text(document.read_text())
    return copied, ["./mine.arazzo.yaml", *arguments]


def change(document: Path, before: str, after: str) -> None:
    text = document.read_text()
    assert before in text
    document.write_text(text.replace(before, after))


def test_a_state_the_document_forgot_is_added_and_the_run_goes_on(shell: Any, told: Any, mine: Any) -> None:
    document, arguments = mine
    told.state = "updating"
    ended = shell("run", *arguments, "--server", told.url, "--poll-interval", "0s", "--id", "one", "--json")
    change(document, "|| $.status.state == 'initializing'", "|| $.status.state == 'updating'")
    told.state = "running"
    same = shell("show", "one", "--json")
    resumed = shell("resume", "--use-edited", "--poll-interval", "0s", "--json")
    again = shell("run", *arguments, "--server", told.url, "--id", "one", "--json")

    assert (ended.code, ended.json["reason"]) == (11, "unmatched")
    assert "edits" not in same.json
    assert (resumed.code, resumed.json["phase"]) == (0, "ready")
    assert {one["what"] for one in resumed.json["edited"]["changes"]} == {"guard"}
    assert len(shell.show("one")["edits"]) == 1
    assert (again.code, again.json["run"]) == (0, "one")
    assert told.posts == 1


def test_a_killed_run_goes_on_with_the_edited_document_too(shell: Any, simulate: Any, mine: Any) -> None:
    document, arguments = mine
    service = simulate("slow-start")
    runner = shell.start("run", *arguments, "--server", service.url, "--poll-interval", "20ms", "--id", "one")
    service.wait_until(lambda summary: summary["polls"] >= 2)
    runner.kill()
    change(document, "- name: ready", "- name: serving")
    refused = shell("resume", "one", "--use-edited", "--document", "nowhere.yaml", "--json")
    resumed = shell("resume", "one", "--use-edited", "--poll-interval", "0s", "--json")

    assert (refused.code, refused.json["error"]["code"]) == (78, "AZM-S020")
    assert (resumed.code, resumed.json["state"]) == (0, "serving")
    assert service.summary()["create_requests"] == 1


def test_what_was_created_cannot_be_edited_away(shell: Any, simulate: Any, mine: Any) -> None:
    document, arguments = mine
    service = simulate("happy")
    command = ["run", *arguments, "--server", service.url, "--poll-interval", "20ms", "--id", "one", "--once"]
    assert shell(*command).code == 16
    change(document, "instanceSize: $inputs.instanceSize", "instanceSize: x4")
    polls = service.summary()["polls"]
    refused = shell("resume", "one", "--use-edited")
    resumed = shell("resume", "one", "--poll-interval", "0s")

    assert refused.code == 65
    assert "request 'body/compute/instanceSize': $inputs.instanceSize becomes x4" in refused.err
    assert "mine.arazzo.yaml was edited; the run goes on with what is stored" in resumed.err
    assert resumed.code == 0
    assert service.summary()["polls"] > polls
    assert service.summary()["create_requests"] == 1
