from __future__ import annotations

import gzip
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.runtime.replies import charset_of, decode


@pytest.mark.parametrize(
    ("body", "content_type", "form", "value"),
    [
        pytest.param(b"", "application/json", "empty", None, id="nothing"),
        pytest.param('{"a": "é"}'.encode(), "application/vnd.api+json; charset=UTF-8", "json", {"a": "é"}, id="json"),
        pytest.param(b'{"a": "\xe9"}', "application/json; charset=iso-8859-1", "json", {"a": "é"}, id="said-latin-1"),
        pytest.param(b'{"a": "\xe9"}', "application/json", "undecodable", None, id="not-utf-8"),
        pytest.param('"é"'.encode("utf-16"), "application/json; charset=utf-16", "json", "é", id="json-in-utf-16"),
        pytest.param("caf\xe9".encode("cp1252"), "text/plain; charset=windows-1252", "text", "café", id="cp1252"),
        pytest.param("日本".encode("shift_jis"), 'text/html; charset="Shift_JIS"', "text", "日本", id="quoted-charset"),
        pytest.param("é".encode("utf-16"), "text/plain", "text", "é", id="byte-order-mark"),
        pytest.param(b"caf\xe9", "text/plain; charset=utf-8", "text", "café", id="not-what-it-says"),
        pytest.param(b"caf\xe9", "text/plain; charset=base64", "text", "café", id="no-charset-of-text"),
        pytest.param(b"caf\xe9", "text/plain; charset=punycode", "text", "café", id="a-slow-one"),
        pytest.param(b"+2AA-", "text/plain; charset=utf-7", "text", "+2AA-", id="one-that-makes-surrogates"),
        pytest.param(
            '<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode("latin-1"),
            "application/xml",
            "text",
            '<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>',
            id="xml-says-itself",
        ),
        pytest.param("<a>é</a>".encode(), "application/soap+xml", "text", "<a>é</a>", id="xml-by-suffix"),
        pytest.param(b"a: 1", "application/yaml", "text", "a: 1", id="yaml"),
        pytest.param(b"\x89PNG\r\n", "image/png", "binary", b"\x89PNG\r\n", id="image"),
        pytest.param(b"<svg/>", "image/svg+xml", "text", "<svg/>", id="an-image-that-is-text"),
        pytest.param(b"plain", "application/octet-stream", "binary", b"plain", id="bytes-that-look-like-text"),
        pytest.param(b"plain", "application/x-unheard-of", "text", "plain", id="unknown-and-text"),
        pytest.param(b"pl\0ain", "application/x-unheard-of", "binary", b"pl\0ain", id="unknown-with-a-nul"),
        pytest.param(b"\xff\xfe\xfd", "application/x-unheard-of", "binary", b"\xff\xfe\xfd", id="unknown-and-no-text"),
        pytest.param(b"\xff\x00", "", "binary", b"\xff\x00", id="says-nothing-and-no-text"),
    ],
)
def test_a_body_is_read_as_what_it_says_it_is(body: bytes, content_type: str, form: str, value: Any) -> None:
    assert decode(body, content_type) == (value, form)


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("text/plain; charset=utf8", "utf-8"),
        ('text/plain;CHARSET="Latin1"; x=y', "iso8859-1"),
        ("text/plain", ""),
        ("text/plain; charset=zlib", ""),
        ("text/plain; charset=" + "x" * 1000, ""),
        ("text/plain; charset=undefined", ""),
    ],
)
def test_only_charsets_of_texts_are_known(content_type: str, charset: str) -> None:
    assert charset_of(content_type) == charset


TYPES = ["", "application/json", "text/plain", "application/xml", "image/png", "a/b", "text/x; charset=utf-16"]


@given(body=st.binary(max_size=60), content_type=st.sampled_from(TYPES))
def test_no_bytes_make_it_raise_and_no_text_is_unwritable(body: bytes, content_type: str) -> None:
    value, form = decode(body, content_type)

    assert form in ("json", "text", "binary", "empty", "undecodable")
    if form == "text":
        value.encode()


def test_what_is_compressed_stays_bytes() -> None:
    packed = gzip.compress(b"x" * 100)

    assert decode(packed, "application/gzip") == (packed, "binary")
