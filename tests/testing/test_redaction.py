"""What is remembered of a request never holds a credential."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.testing.redaction import hidden_texts, log_entry, parse_body, scrub

TOKEN = "hf_secret-text-of-the-test"


def entry(body: Any = None, path: str = "/v2/endpoint/acme", authorization: str = f"Bearer {TOKEN}") -> dict[str, Any]:
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return log_entry("POST", path, authorization, data, hidden_texts(authorization, None))


@pytest.mark.parametrize(
    ("authorization", "scheme", "presence"),
    [
        (f"Bearer {TOKEN}", "Bearer", "present"),
        (f"bearer  {TOKEN} ", "bearer", "present"),
        (f"Bearer {TOKEN}, Bearer {TOKEN}", "Bearer", "present"),
        (TOKEN, "other", "present"),
        (f"Token {TOKEN}", "other", "present"),
        ("Bearer", "Bearer", "present"),
        ("", "", "absent"),
    ],
)
def test_of_the_authorization_only_the_scheme_and_its_presence_are_kept(
    authorization: str, scheme: str, presence: str
) -> None:
    recorded = entry(
        {"name": TOKEN if presence == "present" and TOKEN in authorization else "x"}, authorization=authorization
    )

    assert recorded["auth"] == {"scheme": scheme, "token": presence}
    assert TOKEN not in json.dumps(recorded)


@pytest.mark.parametrize(
    "path",
    [f"/v2/endpoint/{TOKEN}", f"/v2/endpoint/acme?token={TOKEN}", f"/v2/endpoint/{TOKEN.replace('s', '%73')}"],
)
def test_a_token_in_the_path_is_marked(path: str) -> None:
    recorded = entry(path=path)

    assert "[token]" in recorded["path"]
    assert TOKEN not in recorded["path"]


@pytest.mark.parametrize(
    ("body", "recorded"),
    [
        ({"env": {"T": f"a {TOKEN} b"}}, {"env": {"T": "a [token] b"}}),
        ([{TOKEN: 1}], [{"[token]": 1}]),
        ({"model": {"secrets": {"KEY": "value"}}}, {"model": {"secrets": {"KEY": "[secret]"}}}),
        ({"secrets": "value"}, {"secrets": "[secret]"}),
        (
            {"credentials": {"username": "me", "password": "value"}},
            {"credentials": {"username": "me", "password": "[secret]"}},
        ),
        (f"not json {TOKEN}".encode(), "not json [token]"),
        (b'{"escaped": "hf_\\u0073ecret-text-of-the-test"}', {"escaped": "[token]"}),
        (b"\xff\xfe", "��"),
        (None, None),
    ],
)
def test_a_body_is_kept_with_marks_where_credentials_stood(body: Any, recorded: Any) -> None:
    assert entry(body)["body"] == recorded


def test_a_path_without_a_credential_is_kept_as_it_came() -> None:
    assert entry(path="/v2/endpoint/a%2Fb?x=%20")["path"] == "/v2/endpoint/a%2Fb?x=%20"


def test_a_text_too_short_to_be_a_secret_is_not_looked_for() -> None:
    assert hidden_texts("Bearer abc", "x") == ()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[" * 65 + b"]" * 65, "recursion limit"),
        (b"[" * 100_000, "recursion limit"),
        (b'{"a":' * 100_000, "recursion limit"),
        (b"NaN", "not JSON"),
        (b"[-Infinity]", "not JSON"),
        (b"\xff", "decode"),
        (b"", "Expecting value"),
        (b"1" * 5000, "digits"),
    ],
    ids=["65-levels", "open-lists", "open-objects", "nan", "infinity", "not-utf-8", "empty", "huge-integer"],
)
def test_hostile_bodies_are_not_json(body: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_body(body)


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_whatever_the_body_the_hidden_text_is_gone(value: Any) -> None:
    hidden = ("secret-é",)

    assert "secret-é" not in json.dumps(
        scrub({"a": value, "b": ["secret-é", {"c-secret-é": value}]}, hidden, "-"), ensure_ascii=False
    )
