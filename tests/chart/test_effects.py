from __future__ import annotations

import json

import pytest

from machine.chart.effects import Call, Effect, Finish, effect_from_json
from machine.sources.model import Request
from machine.values import SecretRef, SecretText

REQUEST = Request(
    source="things",
    method="POST",
    target=SecretText(("/things/", SecretRef("t", "percent"))),
    headers=(("Authorization", SecretText(("Bearer ", SecretRef("t")))), ("X-Plain", "x")),
    body={"a": [1, None], "t": SecretRef("t")},
    content_type="application/json",
)

EFFECTS: list[Effect] = [
    Finish(reason="ended"),
    Call(step="a", request=REQUEST, kind="create", not_before=5.5),
    Call(
        step="a",
        request=Request(source="things", method="GET", target="/"),
        kind="safe",
        not_before=5.0,
        delay=4.0,
        number=7,
        intended=False,
    ),
]


@pytest.mark.parametrize("effect", EFFECTS, ids=["finish", "call", "waiting-call"])
def test_an_effect_read_back_from_its_text_is_the_same(effect: Effect) -> None:
    text = json.dumps(effect.to_json())
    again = effect_from_json(json.loads(text))

    assert again == effect
    assert json.dumps(again.to_json()) == text


def test_a_call_is_an_intent_unless_it_says_otherwise() -> None:
    call = Call(step="a", request=REQUEST, kind="create", not_before=5.0)

    assert (call.intended, call.delay, call.number) == (True, 0.0, 1)
