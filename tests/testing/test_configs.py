"""Configurations of the simulated service: what an update leaves, changes and cannot take away."""

from __future__ import annotations

from typing import Any

import pytest

from machine.testing.configs import existing_config, merged
from machine.testing.profiles import PROFILES, first_problem

OLD = existing_config("demo", 15)


@pytest.mark.parametrize(
    ("changes", "path", "left"),
    [
        pytest.param({"compute": {"scaling": {"maxReplica": 2}}}, "compute scaling maxReplica", 2, id="a-field-deep"),
        pytest.param({"compute": {"scaling": {"maxReplica": 2}}}, "compute scaling minReplica", 1, id="its-neighbour"),
        pytest.param({"name": "other"}, "name", "demo", id="the-name-stays"),
        pytest.param({"type": None}, "type", "public", id="null-is-not-given"),
        pytest.param({"model": {"revision": None}}, "model revision", None, id="null-is-a-revision"),
        pytest.param({"model": {"image": {"tgi": {}}}}, "model image", {"tgi": {}}, id="an-image-as-a-whole"),
    ],
)
def test_an_update_lays_its_fields_over_those_there_are(changes: dict[str, Any], path: str, left: Any) -> None:
    old = {**OLD, "model": {**OLD["model"], "image": {"huggingface": {}}}}
    value: Any = merged(old, changes)
    for key in path.split():
        value = value[key]

    assert value == left
    assert old["compute"]["scaling"]["maxReplica"] == 1


@pytest.mark.parametrize("idle_after", [None, 15])
def test_what_somebody_else_made_is_what_the_service_accepts(idle_after: int | None) -> None:
    config = existing_config("demo", idle_after)

    assert first_problem(config, PROFILES["published"]) == ""
    assert config["compute"]["scaling"]["scaleToZeroTimeout"] == idle_after
