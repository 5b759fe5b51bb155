"""The timeline: equal answers in a row are one line, a visit of a state has its length, and nothing is lost."""

from __future__ import annotations

from typing import Any

from machine.chart.events import Reopened
from machine.reports.timeline import rows, spells, stays


def polled(drive: Any, plan: Any, inputs: Any, *states: str) -> Any:
    driven = drive(plan, inputs).endpoint("pending", 201)
    for state in states:
        driven.endpoint(state)
    return driven


def test_answers_in_a_row_that_say_the_same_are_one_spell(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    driven = polled(drive, user_plan, user_inputs, "pending", "pending", "pending", "initializing", "running")
    found = spells(user_plan, driven.records)

    # The first poll was made in another state.
    assert [(one.sent, one.answer, one.count, one.seen) for one in found] == [
        ("", "started", 1, ""),
        ("POST /endpoint/acme", "201", 1, "endpointName my-endpoint, initialState pending"),
        ("GET /endpoint/acme/my-endpoint", "200", 1, "state pending"),
        ("GET /endpoint/acme/my-endpoint", "200", 2, "state pending"),
        ("GET /endpoint/acme/my-endpoint", "200", 1, "state initializing"),
        ("GET /endpoint/acme/my-endpoint", "200", 1, "state running"),
    ]
    assert [record for one in found for record in one.records] == driven.records


def test_a_stay_lasts_from_one_state_to_the_next(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    driven = polled(drive, user_plan, user_inputs, "pending", "pending", "running")
    found = stays(user_plan, driven.records)

    assert [(one.name, one.seconds) for one in found] == [
        ("createEndpoint", 1.0),
        ("created", 1.0),
        ("polling", 14.5),
        ("ready", None),
    ]
    assert sum(one.seconds or 0 for one in found) == driven.records[-1].at - driven.records[0].at


def test_a_run_that_is_taken_up_again_begins_a_stay_where_it_is(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    driven = polled(drive, user_plan, user_inputs, "pending", "failed")
    driven.happen(Reopened(at=2000.0, by="me"))
    found = stays(user_plan, driven.records)

    assert [one.name for one in found][-2:] == ["failed", "polling"]
    assert found[-1].spells[0].answer == "taken up again by me"
    assert found[-2].seconds is not None


def test_what_is_left_out_of_a_long_table_is_counted(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    driven = polled(drive, user_plan, user_inputs, "pending", "initializing", "pending", "initializing", "running")
    whole, short = rows(user_plan, driven.records), rows(user_plan, driven.records, most=2)

    assert whole[0] == short[0] == ["AT", "FOR", "STATE", "SENT", "ANSWER"]
    assert short[1][2] == f"({len(whole) - 3} lines before)"
    assert short[2:] == whole[-2:]


def test_a_stay_as_json_says_what_was_answered_how_often(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    driven = polled(drive, user_plan, user_inputs, "pending", "pending", "pending")
    stay = stays(user_plan, driven.records)[-1].to_json()

    assert (stay["state"], stay["phase"], stay["left"]) == ("polling", "polling", None)
    assert stay["answers"][0]["count"] == 2
    assert stay["answers"][0]["outputs"]["state"] == "pending"
