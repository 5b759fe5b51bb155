from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from machine.chart.effects import Call
from machine.chart.events import CallFailed, Replied, Reply
from machine.runtime.oauth import Client, Refusal, TokenKeeper
from machine.runtime.secrets import SecretBook
from machine.values import redact

TEXTS = {"auth:s": "s/cret &", "auth:r": "refresh-1"}


class Endpoint:
    """A token endpoint without a network: answers each call with the next outcome."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.calls: list[Call] = []

    def __call__(self, call: Call, timeout: float) -> Replied | CallFailed:
        self.calls.append(call)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, CallFailed):
            return outcome
        status, body = outcome if isinstance(outcome, tuple) else (200, outcome)
        return Replied(at=0.0, reply=Reply(status=status, body=body, form="json"))


Keep = Callable[..., tuple[TokenKeeper, Endpoint, SecretBook, list[float]]]


@pytest.fixture
def keep() -> Keep:
    """``keep(outcome, ..., **client)`` -> a keeper, its endpoint, the book and the time (a list of one)."""

    def make(*outcomes: Any, **client: Any) -> tuple[TokenKeeper, Endpoint, SecretBook, list[float]]:
        endpoint, book, time = Endpoint(*outcomes), SecretBook(TEXTS), [1000.0]
        given = {"client_id": "me", "secret": "auth:s", **client}
        made = Client(source="auth:api.oauth", target="/token?x=1", name="auth:t", **given)
        return TokenKeeper(made, endpoint, book, lambda: time[0]), endpoint, book, time

    return make


def sent(call: Call, book: SecretBook) -> tuple[dict[str, str], str]:
    return {name: book.join(text) for name, text in call.request.headers}, book.join(call.request.body)  # type: ignore[arg-type]


def test_client_credentials_are_sent_as_basic_and_the_token_is_known_to_the_book_alone(keep: Keep) -> None:
    keeper, endpoint, book, _ = keep({"access_token": "a-token", "expires_in": 60}, scopes=("read", "write"))

    keeper.renew(5.0)

    headers, body = sent(endpoint.calls[0], book)
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"me:s%2Fcret%20%26").decode()
    assert body == "grant_type=client_credentials&scope=read+write"
    assert (endpoint.calls[0].request.target, endpoint.calls[0].request.method) == ("/token?x=1", "POST")
    assert book.text_of("auth:t") == "a-token"
    assert "s/cret" not in json.dumps(endpoint.calls[0].request.to_json())


def test_a_server_that_takes_no_basic_gets_the_fields_in_the_body(keep: Keep) -> None:
    keeper, endpoint, book, _ = keep((401, {"error": "invalid_client"}), {"access_token": "a-token"})

    keeper.renew(5.0)

    headers, body = sent(endpoint.calls[1], book)
    assert "Authorization" not in headers
    assert body == "grant_type=client_credentials&client_id=me&client_secret=s%2Fcret%20%26"


def test_a_refresh_token_is_replaced_by_the_one_that_comes_back(keep: Keep) -> None:
    first = {"access_token": "one", "refresh_token": "refresh-2", "expires_in": 10}
    keeper, endpoint, book, time = keep(first, {"access_token": "two"}, refresh="auth:r", secret="", client_id="")
    keeper.renew(5.0)
    after_first = book.text_of("auth:r")
    time[0] += 11
    keeper.renew(5.0)

    assert "client" not in str(redact(endpoint.calls[0].request.body))
    assert after_first == "refresh-2"
    assert book.text_of("auth:t") == "two"


@pytest.mark.parametrize(
    ("expires", "later", "asked"),
    [
        (3600, 3500, 1),
        (3600, 3571, 2),
        (100, 89, 1),
        (100, 91, 2),
        ("100", 91, 2),
        (None, 200, 1),
        (None, 300, 2),
        ("soon", 200, 1),
        (-5, 200, 1),
        (float("nan"), 200, 1),
    ],
)
def test_a_token_is_renewed_shortly_before_it_ends(keep: Keep, expires: Any, later: float, asked: int) -> None:
    answer = {"access_token": "a-token", "expires_in": expires}
    keeper, endpoint, _, time = keep(answer, answer)
    keeper.renew(5.0)
    time[0] += later
    keeper.renew(5.0)

    assert len(endpoint.calls) == asked


def test_a_refused_token_is_renewed_at_once(keep: Keep) -> None:
    keeper, endpoint, book, _ = keep({"access_token": "one"}, {"access_token": "two"})
    keeper.renew(5.0)
    keeper.renew(5.0, force=True)

    assert (len(endpoint.calls), book.text_of("auth:t")) == (2, "two")


@pytest.mark.parametrize(
    ("outcome", "cause", "words"),
    [
        pytest.param((400, {"error": "invalid_grant"}), "credential", "answered 400: invalid_grant", id="refused"),
        pytest.param((403, "no"), "credential", "answered 403", id="forbidden"),
        pytest.param((503, None), "protocol", "answered 503", id="down"),
        pytest.param((302, None), "protocol", "answered 302", id="moved"),
        pytest.param((200, {"token": "x"}), "credential", "no access token", id="nothing-in-it"),
        pytest.param((200, {"access_token": 7}), "credential", "no access token", id="a-number"),
        pytest.param((200, {"access_token": "a\nb"}), "credential", "control character", id="two-lines"),
        pytest.param((400, {"error": "evil\n\x1b[31m"}), "credential", "answered 400", id="a-hostile-error"),
        pytest.param(
            CallFailed(at=0, fate="unknown", cause="timeout", message="too long"), "timeout", "too long", id="lost"
        ),
    ],
)
def test_where_no_token_is_had_the_call_was_not_sent(keep: Keep, outcome: Any, cause: str, words: str) -> None:
    keeper, *_ = keep(outcome)

    with pytest.raises(Refusal) as caught:
        keeper.renew(5.0)

    event = caught.value.event
    assert (event.fate, event.cause) == ("not_sent", cause)
    assert words in event.message
    assert "evil" not in event.message
