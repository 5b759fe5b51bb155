"""A service answers a create with 200 where the document speaks of 201: the endpoint exists, and is not lost."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.slow


def test_a_create_that_worked_after_all_is_accepted(shell: Any, simulate: Any, users_deploy: Any) -> None:
    service = simulate("created-200")
    failed = shell("run", *users_deploy, "--server", service.url, "--poll-interval", "0s", "--id", "paid")
    shown = shell.show("paid")
    settled = shell("resolve", "paid", "--accept", "--json")
    resumed = shell("resume", "paid", "--poll-interval", "0s", "--json")

    assert failed.code == 10
    assert "createEndpoint was applied" in failed.err
    assert "may still be there, and may be billed" in failed.err
    assert "arazzo-machine resolve paid --accept" in failed.err
    assert shown["next"] == {"action": "resolve", "command": "arazzo-machine resolve paid --accept"}
    assert settled.code == 0
    assert settled.json["next"]["command"] == "arazzo-machine resume paid"
    assert resumed.code == 0
    assert resumed.json["outputs"]["endpointName"] == "demo"
    assert resumed.json["unresolved"] == []
    assert (service.summary()["creates"], service.summary()["create_requests"]) == (1, 1)
