"""What a run left on the other side, in the sentences every report of it has."""

from __future__ import annotations

from typing import Any

import pytest

from machine.reports.stopping import Way
from machine.reports.told import left_behind, other_side, took
from machine.runtime.result import Effect, Next, Result


def effect(outcome: str, identity: Any = None) -> Effect:
    return Effect(step="make", kind="create", outcome=outcome, identity=identity, request="POST /things")


def result(**more: Any) -> Result:
    given: dict[str, Any] = {"phase": "failed", "reason": "broke", "exit_code": 10, "next": Next(action="none")}
    words = {name: name for name in ("run", "workflow", "document", "state", "message")}
    return Result(**{**words, **given, **more})


@pytest.mark.parametrize(
    ("one", "said"),
    [
        pytest.param(
            effect("applied", {"name": "demo"}),
            "make was applied (name demo): what it made may still be there, and may be billed",
            id="applied",
        ),
        pytest.param(
            effect("unknown"),
            "make may have been applied: POST /things; what it made may be there, and may be billed",
            id="unknown",
        ),
        pytest.param(
            effect("not_applied"), "make was not applied: nothing was created by POST /things", id="not-applied"
        ),
    ],
)
def test_what_may_cost_money_is_said_in_one_sentence(one: Effect, said: str) -> None:
    assert list(other_side(result(effects=(one,)))) == [said]


WAY = Way(step="make", request="DELETE /things/1", operation="deleteThing")


@pytest.mark.parametrize(
    ("phase", "outcome", "count"),
    [("failed", "applied", 2), ("failed", "unknown", 2), ("failed", "not_applied", 0), ("ready", "applied", 0)],
)
def test_only_what_may_be_left_is_told_with_how_to_end_it(phase: str, outcome: str, count: int) -> None:
    told = left_behind(result(phase=phase, effects=(effect(outcome),)), [WAY])

    assert len(told) == count
    assert told[1:] == ["to stop it: DELETE /things/1"][: count and 1]


def test_how_long_it_took_is_from_the_first_record_to_the_last(user_plan: Any, user_inputs: Any, drive: Any) -> None:
    driven = drive(user_plan, user_inputs).endpoint("pending", 201).endpoint("running")

    assert took(result(), driven.records) == "2s"
    assert took(result(), []) == ""


def test_what_names_a_thing_is_short_whatever_an_output_quotes() -> None:
    quoted = effect("applied", {"all": {"a": ["x" * 1000] * 1000}, "text": "y" * 100_000, "n": 7})

    (said,) = other_side(result(phase="ready", effects=(quoted,)))
    assert "all an object with 1 member" in said
    assert "n 7" in said
    assert len(said) < 500
