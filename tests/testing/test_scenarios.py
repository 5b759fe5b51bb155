"""Every scenario, over real loopback: what create and the polls after it answer, as a table."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from machine.errors import UsageError
from machine.testing.scenarios import SCENARIOS, Scenario, Stage, find_scenario
from machine.testing.server import Simulator

HAPPY = "201 pending | pending pending initializing initializing initializing running running"

SEQUENCES = {
    "happy": HAPPY,
    "slow-start": "201 pending | " + "pending " * 9 + "initializing " * 30 + "running",
    "failed-image": "201 pending | pending pending initializing initializing initializing failed failed",
    "stuck-initializing": "201 pending | pending pending" + " initializing" * 20,
    "scaled-to-zero-mid-wait": "201 pending | pending pending" + " initializing" * 3 + " scaledToZero scaledToZero",
    "paused-by-colleague": "201 pending | pending pending initializing initializing initializing paused paused",
    "update-failed": "201 pending | pending pending updating updating updateFailed updateFailed",
    "deleted-mid-wait": "201 pending | pending pending initializing initializing initializing 404 404",
    "flap": "201 pending | pending pending"
    + " initializing" * 3
    + " running initializing initializing running running",
    "running-without-health": HAPPY,
    "url-late": HAPPY,
    "url-early": HAPPY,
    "created-200": HAPPY.replace("201", "200"),
    "created-202": HAPPY.replace("201", "202"),
    "duplicate-409": "409 | running running",
    "quota-409": "409 | 404 404",
    "ambiguous-create": HAPPY.replace("201 pending", "reset"),
    "create-500-but-created": HAPPY.replace("201 pending", "500"),
    "created-but-unreadable": HAPPY.replace("pending", "unreadable", 1),
    "get-404-grace": HAPPY.replace("| ", "| 404 404 "),
    "poll-502-burst": "201 pending | pending 502 502 502 pending initializing initializing initializing running",
    "poll-429-retry-after": "201 pending | pending 429 pending initializing initializing initializing running",
    "token-expired-401-mid-poll": "201 pending | pending pending initializing 401 401 401",
    "unknown-state": "201 pending | pending pending deleting deleting",
    "missing-status-field": "201 pending | pending pending no-status no-status",
    "nanosecond-timestamps": HAPPY,
    "503-html-body": "201 pending | pending 503 503 pending initializing initializing initializing running",
    "updating-then-running": "201 pending | pending pending updating updating running running",
    "toggle-running": "409 | running running",
    "idle-running": "409 | running running",
    "update-refused-by-image": "409 | running running",
    "toggle-paused": "409 | paused paused",
    "toggle-initializing": "409 | initializing initializing initializing initializing initializing",
    "existing-starting": "409 | pending pending initializing initializing initializing running running",
    "health-flaps": "409 | running running",
    "health-never": "409 | running running",
}


def seen(status: int, content: bytes) -> str:
    """The state when the call worked, else the status."""
    if status >= 300:
        return str(status)
    try:
        return str(json.loads(content).get("status", {"state": "no-status"})["state"])
    except ValueError:
        return "unreadable"


def test_the_table_covers_every_scenario() -> None:
    assert SEQUENCES.keys() == SCENARIOS.keys()


@pytest.mark.parametrize("name", SEQUENCES)
def test_create_and_polls_answer_as_the_table_says(
    name: str, call: Callable[..., Any], create_body: dict[str, Any]
) -> None:
    with Simulator(name) as simulator:
        try:
            status, _, content = call(f"{simulator.url}/endpoint/acme", "POST", create_body)
            state = seen(status, content)
            first = f"{status} {state}" if status < 300 else state
        except ConnectionResetError:
            first = "reset"
        expected = SEQUENCES[name].split(" | ")[1].split()
        polls = [call(f"{simulator.url}/endpoint/acme/my-endpoint") for _ in expected]

    assert first == SEQUENCES[name].split(" | ")[0]
    assert [seen(status, content) for status, _, content in polls] == expected


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_every_timeline_ends_in_a_stage_that_lasts(scenario: Scenario) -> None:
    timelines = [
        scenario.created,
        scenario.resumed,
        scenario.updated,
        *([scenario.existing] if scenario.existing else []),
    ]

    assert [stages[-1].polls for stages in timelines] == [0] * len(timelines)
    assert all(stage.polls > 0 for stages in timelines for stage in stages[:-1])


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_every_summary_is_one_short_line_and_no_shipped_scenario_delays(scenario: Scenario) -> None:
    assert 0 < len(scenario.summary) <= 100
    assert "\n" not in scenario.summary
    assert not any(fault.delay for fault in scenario.faults)


def test_an_unknown_name_is_refused_with_near_matches() -> None:
    with pytest.raises(UsageError, match="did you mean ambiguous-create") as caught:
        find_scenario("ambigous-create")

    assert caught.value.code == "AZM-U701"
    assert caught.value.seen == "ambigous-create"


def test_a_part_of_a_name_finds_the_names_with_that_part() -> None:
    with pytest.raises(UsageError, match="duplicate-409 or quota-409"):
        find_scenario("409")


def test_a_name_like_no_other_is_refused_with_the_whole_list() -> None:
    with pytest.raises(UsageError, match="known are: happy, slow-start"):
        find_scenario("zzz")


def test_a_scenario_of_ones_own_can_be_run(call: Callable[..., Any], create_body: dict[str, Any]) -> None:
    own = Scenario(name="own", summary="at once", created=(Stage(state="running"),))
    with Simulator(own) as simulator:
        _, _, content = call(f"{simulator.url}/endpoint/acme", "POST", create_body)

    assert seen(201, content) == "running"
