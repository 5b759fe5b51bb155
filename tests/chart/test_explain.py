from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machine.chart.explain import said
from machine.plan.model import Plan
from machine.values import SecretRef, SecretText


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "Bad token"}, "Bad token"),
        ({"error": {"message": "Bad token", "code": 5}}, "Bad token"),
        ({"title": "Forbidden", "detail": "Not you"}, "Not you"),
        ({"message": "  spaced  "}, "spaced"),
        ({"message": "", "reason": "quota"}, "quota"),
        ({"message": {"a": {"detail": "deep"}}}, "deep"),
        ({"a": {"b": {"c": {"detail": "too deep"}}}}, ""),
        ({"message": 5, "error": None, "errors": ["x"]}, ""),
        ({"message": SecretRef("t")}, "[secret t]"),
        ({"message": SecretText(("no ", SecretRef("t")))}, "no [secret t]"),
        ([{"message": "in a list"}], ""),
        ("plain text", ""),
        (None, ""),
        ({}, ""),
    ],
    ids=str,
)
def test_the_other_sides_own_words_are_found_under_well_known_names(body: Any, words: str) -> None:
    assert said(body) == words


def test_its_words_are_kept_short() -> None:
    assert said({"message": "x" * 5000}) == "x" * 300


@pytest.fixture
def started(drive: Callable[..., Any], user_plan: Plan, user_inputs: dict[str, Any]) -> Any:
    return drive(user_plan, user_inputs)


MESSAGES: list[tuple[str, Callable[[Any], Any], str]] = [
    (
        "a failure quotes the answer",
        lambda run: run.reply(409, {"error": "name taken"}),
        (
            "createEndpoint failed: answered 409: name taken "
            "(success criterion not met: $statusCode == 201: $statusCode was 409)"
        ),
    ),
    (
        "no answer says how far it got",
        lambda run: run.fail("not_sent", "dns"),
        "createEndpoint failed: the request was not sent (dns)",
    ),
    (
        "unmatched names what was seen and said",
        lambda run: run.endpoint("pending", 201).reply(200, {"status": {"state": "failed", "message": "no capacity"}}),
        "pollStatus succeeded, but nothing the document says applies: state 'failed', it said 'no capacity'",
    ),
    (
        "and where nothing was seen the status",
        lambda run: run.endpoint("pending", 201).reply(200, {}),
        "pollStatus succeeded, but nothing the document says applies: answered 200",
    ),
    ("the end", lambda run: run.endpoint("pending", 201).endpoint("running"), "reached ready"),
    ("cancelled", lambda run: run.cancel(), "cancelled in createEndpoint"),
    (
        "cancelled while waiting",
        lambda run: run.endpoint("pending", 201).endpoint("pending").cancel(),
        "cancelled in polling",
    ),
    (
        "doubt after an unclear answer",
        lambda run: run.reply(500, {"error": "oops"}).reopen(),
        "nobody knows whether createEndpoint was applied: answered 500",
    ),
]


@pytest.mark.parametrize(
    ("happen", "message"), [one[1:] for one in MESSAGES], ids=[one[0].replace(" ", "-") for one in MESSAGES]
)
def test_a_stop_is_explained_in_a_sentence(started: Any, happen: Callable[[Any], Any], message: str) -> None:
    happen(started)

    assert started.message == message


def test_a_secret_in_an_answer_is_shown_by_name(started: Any) -> None:
    started.endpoint("pending", 201)
    started.reply(200, {"status": {"state": SecretRef("hfToken"), "message": SecretText(("x ", SecretRef("hfToken")))}})

    assert started.message.endswith("state '[secret hfToken]', it said 'x [secret hfToken]'")
