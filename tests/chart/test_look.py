"""What an answer says of the other side."""

from __future__ import annotations

from typing import Any

import pytest

from machine.chart.events import Reply
from machine.chart.look import Look, Match, body_of, outcome_of
from machine.expressions.evaluate import Context
from machine.plan.model import Plan
from machine.values import MISSING, SecretRef


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (200, {}, "applied"),
        (299, {}, "applied"),
        (302, {}, "not_applied"),
        (400, {}, "not_applied"),
        (408, {}, "unknown"),
        (409, {}, "not_applied"),
        (429, {}, "not_applied"),
        (500, {}, "unknown"),
        (503, {}, "unknown"),
        (503, {"retry-after": "1"}, "not_applied"),
        (504, {"retry-after": "1"}, "unknown"),
    ],
)
def test_a_status_tells_whether_a_call_was_applied(status: int, headers: dict[str, str], outcome: str) -> None:
    assert outcome_of(Reply(status=status, headers=headers)) == outcome


@pytest.mark.parametrize(
    ("form", "body", "seen"),
    [("json", {"a": 1}, {"a": 1}), ("text", "a", "a"), ("empty", None, MISSING), ("undecodable", None, MISSING)],
)
def test_a_body_that_cannot_be_read_is_absent(form: Any, body: Any, seen: Any) -> None:
    assert body_of(Reply(status=200, form=form, body=body)) == seen


@pytest.mark.parametrize(
    ("sent", "seen", "equal"),
    [
        ("a", "a", True),
        ("a", "A", False),
        (1, True, False),
        (1, 1, True),
        (MISSING, MISSING, False),
        (None, MISSING, False),
        ({"a": [1]}, {"a": [1]}, True),
    ],
)
def test_a_field_matches_only_the_same_value_of_the_same_type(sent: Any, seen: Any, equal: bool) -> None:
    assert Match(pointer="/a", sent=sent, seen=seen).equal is equal


def test_a_match_never_shows_a_secret() -> None:
    assert Match(pointer="/a", sent=SecretRef("t"), seen="x").to_json()["sent"] == "[secret t]"


def test_a_look_reads_what_the_document_declares(shipped_plan: Plan, user_inputs: dict[str, Any]) -> None:
    probe = shipped_plan.calls["createEndpoint"].effect.probe
    assert probe is not None
    context = Context(inputs=user_inputs)
    body = {"model": {"repository": "gpt2"}, "provider": {"region": "eu-west-1"}}
    there = Look.at(probe, context, Reply(status=200, form="json", body=body))
    gone = Look.at(probe, context, Reply(status=404))
    unclear = Look.at(probe, context, Reply(status=500))

    assert (there.found[0], there.absent[0], there.matches) == (
        True,
        False,
        (False, "/provider/region is 'eu-west-1' where 'us-east-1' was sent"),
    )
    assert (gone.found[0], gone.absent[0]) == (False, True)
    assert (unclear.found[0], unclear.absent[0]) == (False, False)
