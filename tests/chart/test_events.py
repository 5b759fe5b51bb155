from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.chart.events import (
    CallFailed,
    Cancelled,
    Event,
    Reopened,
    Replied,
    Reply,
    Resolved,
    Started,
    event_from_json,
)
from machine.chart.settings import Settings
from machine.errors import DamageError
from machine.values import MISSING, SecretRef, SecretText

REPLY = Reply(
    status=201,
    headers={"location": SecretText(("/x?t=", SecretRef("t", "percent")))},
    body={"token": SecretRef("t"), "$secret": "no mark", "list": [1, None, 1.5, MISSING]},
    form="json",
    url=SecretText(("https://h/", SecretRef("t"))),
)

EVENTS: list[Event] = [
    Started(
        at=1.5, chance=0.25, inputs={"t": SecretRef("t"), "n": {"a": [1]}}, settings=Settings(deadline=5.0, calls=3)
    ),
    Started(at=0.0),
    Replied(at=2.0, reply=REPLY),
    Replied(at=2.0, reply=Reply(status=204)),
    Replied(at=2.0, reply=Reply(status=200, body="text", form="text")),
    Replied(at=2.0, reply=Reply(status=200, form="undecodable")),
    CallFailed(at=3.0, fate="unknown", cause="reset", message="it went away"),
    CallFailed(at=3.0, fate="not_sent", cause="dns"),
    Resolved(at=4.0, choice="not_sent", by="me"),
    Resolved(at=4.0, choice="adopt", outputs={"id": SecretRef("t"), "n": None}, by="me"),
    Resolved(at=4.0, choice="accept", reply=REPLY),
    Reopened(at=5.0, changes={"deadline": 60.0, "calls": None}, by="me"),
    Cancelled(at=6.0, by="me"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_an_event_read_back_from_its_text_is_the_same(event: Event) -> None:
    text = json.dumps(event.to_json())
    again = event_from_json(json.loads(text))

    assert again == event
    assert json.dumps(again.to_json()) == text
    assert event.to_json()["event"] == event.name


def test_every_event_has_a_name_of_its_own() -> None:
    assert {(one.name, one.kind) for one in EVENTS} == {
        ("started", "run.started"),
        ("replied", "call.replied"),
        ("call_failed", "call.failed"),
        ("resolved", "doubt.resolved"),
        ("reopened", "run.reopened"),
        ("cancelled", "run.cancelled"),
    }


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"event": "unheard_of", "at": 1.0},
        {"event": []},
        {"event": "cancelled"},
        {"event": "cancelled", "at": 1.0, "more": 1},
        {"event": "replied", "at": 1.0, "reply": None, "chance": 0.5, "x": 1},
        {"event": "replied", "at": 1.0, "reply": {}},
        {"event": "replied", "at": 1.0, "reply": 5},
        {"event": "replied", "at": 1.0},
        {"event": "started", "at": 1.0, "settings": {"speed": 5}},
        {"event": "started", "at": 1.0, "settings": None},
        {"event": "resolved", "at": 1.0, "choice": "adopt", "outputs": {"$text": 5}},
        {"event": "started", "at": 1.0, "inputs": {"x": {"$literal": 5}}},
        [],
        "replied",
        None,
    ],
    ids=str,
)
def test_what_is_no_event_is_called_damaged(data: Any) -> None:
    with pytest.raises(DamageError) as refused:
        event_from_json(data)

    assert refused.value.code == "AZM-T012"


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(), st.sampled_from(["$secret", "$text", "$literal"])), inner, max_size=3),
    ),
    max_leaves=10,
)


@given(JSON, JSON)
def test_no_body_and_no_input_can_forge_a_secret(body: Any, given_input: Any) -> None:
    reply = Replied(at=1.0, reply=Reply(status=200, body=body, form="json"))
    start = Started(at=1.0, inputs={"x": given_input})

    for event in (reply, start):
        assert event_from_json(json.loads(json.dumps(event.to_json()))) == event
