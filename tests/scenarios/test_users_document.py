"""The document somebody wrote, unedited, against what the service may do: never ready when the endpoint is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(params=["as-such-documents-are-written", "the-original"])
def command(request: pytest.FixtureRequest, users_deploy: Any) -> list[object]:
    if request.param == "the-original":
        shared: Path = request.getfixturevalue("shared")
        original = shared / "seed" / "arazzo" / "deploy-inference-endpoint.arazzo.yaml"
        users_deploy = [original, *users_deploy[1:]]
    return ["run", *users_deploy, "--poll-interval", "0s"]


def test_it_deploys(shell: Any, simulate: Any, command: Any) -> None:
    service = simulate("happy")
    done = shell(*command, "--server", service.url, "--json")
    summary = service.summary()

    assert done.code == 0
    assert set(done.json["outputs"]) == {"endpointName", "state", "inferenceUrl"}
    assert None not in done.json["outputs"].values()
    assert (summary["creates"], summary["create_requests"], summary["polls"]) == (1, 1, 6)


def test_a_container_that_exits_is_named_and_is_not_ready(shell: Any, simulate: Any, command: Any) -> None:
    service = simulate("failed-image")
    done = shell(*command, "--server", service.url)

    assert done.code == 11
    assert "state 'failed'" in done.err
    assert "Container exited with code 1" in done.err
    assert "createEndpoint was applied" in done.err
    assert service.summary()["creates"] == 1


def test_a_refused_create_is_shown_and_nothing_is_said_to_exist(shell: Any, simulate: Any, users_deploy: Any) -> None:
    service = simulate("happy", "--profile", "live")
    done = shell("run", *users_deploy, "--server", service.url)

    assert done.code == 10
    assert "answered 400" in done.err
    assert "image" in done.err
    assert "nothing was created by POST /endpoint/acme" in done.err
    assert "billed" not in done.err
    assert service.summary()["creates"] == 0


def test_a_server_that_is_down_is_a_failure(shell: Any, users_deploy: Any, closed_port: int) -> None:
    done = shell("run", *users_deploy, "--server", f"http://127.0.0.1:{closed_port}")

    assert done.code == 10
    assert "the connection could not be made" in done.err
    assert "nothing was created" in done.err
    assert done.out == ""
