"""Somebody's document stays as it is; a second file says where the token comes from and how to settle doubt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

OVERLAY = """
overlay: 1.0.0
info: {title: What we know of this service, version: 1.0.0}
actions:
- target: $.workflows[*].inputs.properties.hfToken
  update:
    x-machine: {secret: true, from: '@env:HF_TOKEN'}
- target: $.workflows[*].steps[?@.stepId=='createEndpoint']
  update:
    x-machine:
      effect:
        onDoubt: probe
        probe:
          operationId: getEndpoint
          parameters:
          - {name: Authorization, in: header, value: 'Bearer {$inputs.hfToken}'}
          - {name: namespace, in: path, value: $inputs.namespace}
          - {name: endpoint_name, in: path, value: $inputs.name}
          match: {/model/repository: $inputs.repository}
"""


@pytest.fixture
def annotated(users_deploy: Any, tmp_path: Path) -> list[object]:
    """The user's document with an overlay, and without a word about the token."""
    (tmp_path / "ours.overlay.yaml").write_text(OVERLAY)
    return [*users_deploy[:-2], "--overlay", "ours.overlay.yaml"]


def test_a_lost_create_is_found_by_the_look_the_overlay_declares(shell: Any, simulate: Any, annotated: Any) -> None:
    service = simulate("ambiguous-create")
    command = ["run", *annotated, "--server", service.url, "--poll-interval", "0s", "--id", "one"]
    done = shell(*command, "--on-doubt", "probe", "--json")
    again = shell(*command, "--json")
    summary = service.summary()

    assert done.code != 11, done.json["message"]
    assert [one["outcome"] for one in done.json["effects"]] == ["applied"]
    assert again.json["run"] == "one"
    assert (summary["creates"], summary["create_requests"]) == (1, 1)


def test_the_token_comes_from_where_the_overlay_says(shell: Any, told: Any, annotated: Any, canary: str) -> None:
    done = shell("run", *annotated, "--server", told.url)

    assert done.code == 0
    assert told.tokens == {f"Bearer {canary}"}
    assert "secret hfToken (@env:HF_TOKEN) goes to 127.0.0.1:" in done.err
    assert canary not in done.out + done.err


def test_a_resume_needs_the_overlay_no_more(shell: Any, told: Any, annotated: Any, tmp_path: Path) -> None:
    told.state = "initializing"
    left = shell("run", *annotated, "--server", told.url, "--no-wait", "--id", "one")
    (tmp_path / "ours.overlay.yaml").unlink()
    told.state = "running"
    resumed = shell("resume", "--poll-interval", "0s")

    assert (left.code, resumed.code) == (16, 0)
    assert told.posts == 1


def test_without_it_there_is_no_look_to_ask_for(shell: Any, told: Any, users_deploy: Any) -> None:
    done = shell("run", *users_deploy, "--server", told.url, "--on-doubt", "probe", "--json")

    assert (done.code, done.json["error"]["code"]) == (64, "AZM-U077")
    assert told.posts == 0


def test_the_plan_tells_what_the_overlay_added(shell: Any, annotated: Any) -> None:
    words = [one for number, one in enumerate(annotated) if "-i" not in annotated[max(number - 1, 0) : number + 1]]
    done = shell("plan", *words)

    assert "in doubt it looks: GET /endpoint/{namespace}/{endpoint_name}" in done.out
    assert "secret (x-machine.secret), from @env:HF_TOKEN" in done.out
