"""Why a run moved, in sentences: what was seen, what was refused, what would have been taken, each of it once."""

from __future__ import annotations

from typing import Any

import pytest

from machine.reports.why import why_lines


@pytest.fixture
def told(user_plan: Any, user_inputs: Any, drive: Any) -> str:
    driven = drive(user_plan, user_inputs).endpoint("pending", 201)
    for state in ("pending", "pending", "pending", "pending", "running"):
        driven.endpoint(state)
    return "\n".join(why_lines(user_plan, driven.records))


def test_equal_polls_are_told_once_with_their_number_and_time(told: str) -> None:
    assert "GET /endpoint/acme/my-endpoint was answered 200, 3 times in 21s: state pending" in told
    assert "stayed in polling, each of 3 times, by stillStarting: " in told


def test_what_would_have_moved_it_is_told_once_for_a_state(told: str) -> None:
    lines = [line.strip() for line in told.splitlines()]

    assert sum(line.startswith("else ready when ") for line in lines) == 2
    assert sum(line.startswith("else, by the machine's own rules: ") for line in lines) == 3


def test_what_was_refused_is_told_with_what_it_needed_and_what_was_seen(told: str) -> None:
    text = " ".join(told.split())

    assert "polling -> ready, by ready: " in text
    assert "not stillStarting (to polling), which needs $.status.state == 'pending' || " in text


def test_a_call_without_an_answer_is_told_by_its_cause(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    told = "\n".join(why_lines(user_plan, drive(user_plan, user_inputs).fail("unknown", "reset").records))

    assert "POST /endpoint/acme got no answer (reset)" in told
    assert "createEndpoint -> in_doubt, by in doubt: no whole answer arrived (reset)" in told


def test_no_control_character_of_a_service_is_told(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    driven = drive(user_plan, user_inputs).endpoint("\x1b]0;mine\x07\u202e", 201).endpoint("\x9b2J\r\n")

    assert not set("\n".join(why_lines(user_plan, driven.records))) & set("\x1b\x07\u202e\x9b\r")


def test_a_workflow_is_named_once_in_a_sentence(composed: Any, drive: Any) -> None:
    steps = [{"stepId": name, "operationId": "listThings"} for name in ("x", "y")]
    plan = composed(
        {"workflowId": "root", "steps": [{"stepId": "r", "workflowId": "second"}]},
        {"workflowId": "second", "steps": steps},
    )
    lines = [line.strip() for line in why_lines(plan, drive(plan, {}).reply(200, []).reply(200, []).records)]

    assert any(line.startswith("second / x -> y, by ") for line in lines)
    assert any(line.startswith("second / y -> completed, by ") for line in lines)
    assert any(line.startswith("r -> completed, by ") for line in lines)
