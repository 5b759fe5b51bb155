"""A job types the same command again and again, at once too, and is killed: one endpoint, one result."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.slow


def test_one_id_creates_once_and_then_gives_its_stored_result(shell: Any, simulate: Any, deploy: Any) -> None:
    service = simulate("slow-start")
    command = ["run", *deploy, "--server", service.url, "--id", "nightly", "--poll-interval"]
    first = shell.start(*command, "20ms")
    service.wait_until(lambda summary: summary["polls"] >= 2)
    first.kill()

    second = shell(*command, "0s", "--json")
    after_second = service.summary()
    third = shell(*command, "0s", "--json", environment={"HF_TOKEN": None})
    after_third = service.summary()

    assert (second.code, third.code) == (0, 0)
    assert third.json == second.json
    assert after_second["creates"] == after_second["create_requests"] == 1
    assert after_third == after_second


def test_an_id_is_not_taken_by_other_inputs_or_another_side(shell: Any, simulate: Any, deploy: Any) -> None:
    service = simulate()
    command = ["run", *deploy, "--id", "nightly", "--poll-interval", "0s"]
    shell(*command, "--server", service.url)

    other_inputs = shell(*command, "--server", service.url, "-i", "name=other", "--json")
    other_side = shell(*command, "--simulate", "--json")

    assert (other_inputs.code, other_side.code) == (65, 65)
    assert "arazzo-machine resume nightly" in other_inputs.json["error"]["next"]
    assert "without --simulate" in other_side.json["error"]["message"]
    assert service.summary()["create_requests"] == 1


def test_a_run_in_which_nothing_was_applied_starts_over(shell: Any, told: Any, closed_port: int, deploy: Any) -> None:
    command = ["run", *deploy, "--id", "nightly", "--poll-interval", "0s", "--json"]
    refused = shell(*command, "--server", f"http://127.0.0.1:{closed_port}")
    again = shell(*command, "--server", told.url)

    assert (refused.code, again.code) == (10, 0)
    assert told.posts == 1


def test_five_at_once_and_five_after_a_kill_make_one_thing(shell: Any, simulate: Any, deploy: Any) -> None:
    service = simulate("slow-start")
    command = ["run", *deploy, "--server", service.url, "--id", "nightly", "--json", "--poll-interval"]
    crowd = [shell.start(*command, "20ms") for _ in range(5)]
    service.wait_until(lambda summary: summary["polls"] >= 3)
    for one in crowd:
        one.process.kill()
    before = [one.end() for one in crowd]
    after = [one.end() for one in [shell.start(*command, "5ms") for _ in range(5)]]
    results = [one.json for one in after if one.code == 0]
    summary = service.summary()

    assert {one.code for one in before} <= {75, -9}
    assert [one.code for one in before].count(-9) >= 1
    assert {one.code for one in after} <= {0, 75}
    assert len(results) >= 1
    assert all(one == results[0] for one in results)
    assert results[0]["phase"] == "ready"
    for one in after:
        assert one.code == 0 or one.json["error"]["code"].startswith("AZM-T")
    assert (summary["creates"], summary["create_requests"]) == (1, 1)
