from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.values import (
    MISSING,
    Missing,
    SecretRef,
    SecretText,
    contains_secret,
    decode,
    encode,
    join_text,
    redact,
    secret_names,
)

TOKEN, OTHER = SecretRef("token"), SecretRef("other", "percent")
BEARER = SecretText(("Bearer ", TOKEN))

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.just(MISSING),
    st.builds(SecretRef, st.text(max_size=3), st.sampled_from(["", "percent"])),
    st.just(BEARER),
)
KEYS = st.one_of(st.text(max_size=3), st.sampled_from(["$secret", "$text", "$literal", "encoding"]))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)


@given(VALUES)
def test_a_value_read_back_from_its_text_is_the_same(value: Any) -> None:
    text = json.dumps(encode(value))
    again = decode(json.loads(text))

    assert again == value
    assert json.dumps(encode(again)) == text


@given(VALUES)
def test_a_redacted_value_is_plain_and_holds_no_secret(value: Any) -> None:
    shown = redact(value)

    assert json.loads(json.dumps(shown)) == shown
    assert not contains_secret(shown)


@given(VALUES)
def test_a_secret_is_found_at_any_depth(value: Any) -> None:
    waiting, found = [value], False
    while waiting:
        one = waiting.pop()
        found = found or isinstance(one, (SecretRef, SecretText))
        waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()

    assert contains_secret(value) is found


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (TOKEN, {"$secret": "token"}),
        (OTHER, {"$secret": "other", "encoding": "percent"}),
        (BEARER, {"$text": ["Bearer ", {"$secret": "token"}]}),
        (MISSING, {"$literal": None}),
        (None, None),
        ({"$secret": "x"}, {"$literal": {"$secret": "x"}}),
        ({"$literal": None}, {"$literal": {"$literal": None}}),
        ({"$text": {"$text": 1}}, {"$literal": {"$text": {"$literal": {"$text": 1}}}}),
        ({"a": (1, TOKEN)}, {"a": [1, {"$secret": "token"}]}),
        ({5: 1}, {"5": 1}),
    ],
    ids=str,
)
def test_the_stored_form_of_a_value(value: Any, stored: Any) -> None:
    assert encode(value) == stored


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        ([], ""),
        (["a", "", "b"], "ab"),
        ([""], ""),
        ([TOKEN], SecretText((TOKEN,))),
        (["Bearer ", TOKEN], BEARER),
        (["a", "b", TOKEN, "", "c", "d"], SecretText(("ab", TOKEN, "cd"))),
        (["<", BEARER, ">"], SecretText(("<Bearer ", TOKEN, ">"))),
        ([TOKEN, OTHER], SecretText((TOKEN, OTHER))),
    ],
    ids=str,
)
def test_text_is_joined_around_secrets(parts: list[Any], joined: Any) -> None:
    assert join_text(parts) == joined


def test_a_secret_shows_as_its_name_however_it_is_printed() -> None:
    assert str(TOKEN) == "[secret token]"
    assert str(BEARER) == "Bearer [secret token]"
    assert f"{BEARER}" == "Bearer [secret token]"
    assert redact({"a": [BEARER, MISSING, {"b": TOKEN}]}) == {
        "a": ["Bearer [secret token]", None, {"b": "[secret token]"}]
    }


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        (TOKEN, True),
        (BEARER, True),
        ([[{"a": (TOKEN,)}]], True),
        ("[secret token]", False),
        ({}, False),
        (MISSING, False),
    ],
    ids=str,
)
def test_a_secret_is_found_wherever_it_stands(value: Any, holds: bool) -> None:
    assert contains_secret(value) is holds


def test_absent_is_not_null_and_counts_as_nothing() -> None:
    assert MISSING is not None
    assert not MISSING
    assert repr(MISSING) == "MISSING"
    assert isinstance(decode(encode(copy.copy(MISSING))), Missing)
    assert decode(encode(MISSING)) is MISSING


def test_the_names_of_all_secrets_in_a_value_are_found() -> None:
    value = {"a": [SecretRef("x"), 1, None], "b": {"c": SecretText(("p", SecretRef("y", "percent")))}, "d": "z"}

    assert secret_names(value) == {"x", "y"}
    assert secret_names("x") == secret_names(None) == set()


def test_a_secret_is_written_by_one_encoder_after_the_other() -> None:
    assert SecretRef("x").encoded("json").encoded("percent") == SecretRef("x", "json percent")
