from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.sources.percent import join, keep_escapes, literals, quoted, reserved, unreserved
from machine.values import SecretRef, SecretText

TOKEN = SecretRef("token")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_an_unreserved_text_is_ascii_without_a_delimiter_and_reads_back_as_it_was(text: str) -> None:
    written = unreserved(text)

    assert isinstance(written, str)
    assert written.isascii()
    assert not set(written) & set(":/?#[]@!$&'()*+,;= \\\"<>{}|^`")
    assert unquote(written) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a?b=c", "/a?b=c"),
        ("a&b#c+d[e]", "a%26b%23c%2Bd%5Be%5D"),
        ("%2f%2F%zz%", "%2f%2F%25zz%25"),
        (SecretText(("a b", TOKEN)), SecretText(("a%20b", SecretRef("token", "percent")))),
    ],
    ids=str,
)
def test_reserved_characters_pass_where_they_end_nothing(text: Any, expected: Any) -> None:
    assert reserved(text) == expected


def test_more_characters_can_be_let_through() -> None:
    assert reserved("a=1&b=2+3#", also="&+") == "a=1&b=2+3%23"
    assert keep_escapes("%41 %4", "") == "%41%20%254"


def test_joining_keeps_secrets_apart_from_the_texts_between_them() -> None:
    joined = join(",", ["a", SecretText((TOKEN,)), "b"])

    assert joined == SecretText(("a,", TOKEN, ",b"))
    assert literals(joined) == ["a,", ",b"]
    assert quoted("x", str.upper) == "X"
