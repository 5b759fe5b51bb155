"""Texts that may hold secrets -> the same texts in the alphabet of a place: path, query, header, cookie.

A secret stays a reference; where its place is percent-encoded it carries that as its encoding, because only the driver
has its text. Nothing here knows parameters or operations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias
from urllib.parse import quote

from ..values import SecretRef, SecretText, join_text

__all__ = [
    "CONTROL",
    "COOKIE_OCTETS",
    "TOKEN",
    "Text",
    "join",
    "keep_escapes",
    "literals",
    "quoted",
    "reserved",
    "unreserved",
]

Text: TypeAlias = str | SecretText

_RESERVED: Final = ":/?@!$'()*,;="
"""Reserved characters a query value keeps under allowReserved. Those that would end the query (#) or the field (&),
that form decoders read as something else (+), and brackets, which a query may not hold bare, stay encoded."""

COOKIE_OCTETS: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '",;\\')
"""What a cookie's value may hold (RFC 6265 section 4.1.1)."""

TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""The name of a header or cookie, and half of a media type (RFC 9110 section 5.6.2)."""

CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_TRIPLET: Final = re.compile("(%[0-9A-Fa-f]{2})")


def literals(text: Text) -> list[str]:
    """The parts of a text that are not secret."""
    return [text] if isinstance(text, str) else [part for part in text.parts if isinstance(part, str)]


def join(delimiter: str, texts: Sequence[Text]) -> Text:
    return join_text(part for index, text in enumerate(texts) for part in ((delimiter, text) if index else (text,)))


def quoted(text: Text, write: Callable[[str], str]) -> Text:
    """The text with its literal parts written so, and its secrets to be percent-encoded when sent."""
    if isinstance(text, str):
        return write(text)
    return join_text(part.encoded("percent") if isinstance(part, SecretRef) else write(part) for part in text.parts)


def unreserved(text: Text) -> Text:
    """Everything encoded but letters, digits and ``-._~`` (RFC 3986 section 2.3, and what ``quote`` never encodes):
    nothing of it can mean anything in a URL."""
    return quoted(text, lambda literal: quote(literal, safe=""))


def reserved(text: Text, *, also: str = "") -> Text:
    """allowReserved in a query: reserved characters and finished escapes pass (RFC 6570 section 3.2.3)."""
    return quoted(text, lambda literal: keep_escapes(literal, _RESERVED + also))


def keep_escapes(literal: str, safe: str) -> str:
    """Percent-encode what is not in ``safe``, and leave escapes that are there as they are."""
    return "".join(
        piece if index % 2 else quote(piece, safe=safe) for index, piece in enumerate(_TRIPLET.split(literal))
    )
