"""The texts of secrets -> every way a program may have written them, and a text without any of them.

What a service quotes back, or an error repeats, is seldom the secret as it was given: it stands in a URL, inside JSON
inside JSON, in HTML, in a header as base64. A Concealer looks for all of these and puts a reference in their place. It
is the last line behind ``SecretRef``: nothing here decides who may see what, and nothing here is stored.

Prepared once per secret and asked of every reply, so the common answer, "not here", is a handful of substring
searches; the patterns are compiled when the character that makes them worth it is first seen.
"""

from __future__ import annotations

import base64
import functools
import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from html.entities import codepoint2name
from typing import Any, Final
from urllib.parse import quote, quote_plus

from ..errors import BugError
from ..values import SecretRef, SecretText, join_text

__all__ = ["SHORTEST", "SPELLINGS", "Concealer", "spell"]

SHORTEST: Final = 6
"""Characters. Shorter texts are not looked for: they would be found everywhere and hide nothing."""

_LONGEST_PATTERN: Final = 4096
"""Characters. Longer texts are looked for as each encoder usually writes them, and in no other variant."""


def _percent(text: str) -> str:
    return quote(text, safe="")


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _aligned(encode: Callable[[bytes], bytes], offset: int) -> Callable[[str], str]:
    """What is left of a text in base64 when ``offset`` (mod 3) bytes stand before it and anything may follow: the
    characters (6 bits each, RFC 4648 section 4) that no neighbouring byte has a share in."""

    def write(text: str) -> str:
        data = text.encode()
        first, last = -(-offset * 8 // 6), (offset + len(data)) * 8 // 6
        return encode(bytes(offset) + data).decode()[first:last]

    return write


SPELLINGS: Final[Mapping[str, Callable[[str], str]]] = {
    "": str,
    "percent": _percent,
    "form": quote_plus,
    "json": _json,
    "html": html.escape,
    "hex": lambda text: text.encode().hex(),
    "utf8": lambda text: text.encode().decode("latin-1"),
    **{f"base64.{offset}": _aligned(base64.b64encode, offset) for offset in range(3)},
    **{f"base64url.{offset}": _aligned(base64.urlsafe_b64encode, offset) for offset in range(3)},
}
"""Name to encoder. ``utf8`` is a text whose UTF-8 was read as Latin-1, as it is in the headers of an answer."""

_NESTED: Final = ("percent percent", "json json", "json percent")
"""The last is how a JSON text in a URL or a form holds one."""


def spell(text: str, encoding: str) -> str:
    """The text as these encoders, named in order and separated by spaces, write it."""
    for name in encoding.split():
        if name not in SPELLINGS:
            raise BugError(f"no spelling is called {name!r}", code="AZM-B011")
        text = SPELLINGS[name](text)
    return text


class _Form:
    """One thing to look for: ``hint`` itself, or, where it is the mark of a family of spellings, its pattern."""

    __slots__ = ("_make", "_pattern", "hint", "order", "ref")

    def __init__(self, ref: SecretRef, text: str, hint: str, make: Callable[[], str] | None = None) -> None:
        self.ref = ref
        self.hint = hint
        # Longest first, so that a secret that contains another is taken out whole; of one secret the exact spellings
        # first, so that what was taken out can be written again as it was.
        self.order = (-len(text), make is not None, -len(hint))
        self._make = make
        self._pattern: re.Pattern[str] | None = None

    def split(self, text: str) -> list[str]:
        """The text at each place where the secret stands, as ``str.split`` does."""
        if self.hint not in text:
            return [text]
        if self._make is None:
            return text.split(self.hint)
        if self._pattern is None:
            self._pattern = re.compile(self._make())
        pieces, start = [], 0
        for found in self._pattern.finditer(text):
            # One without the mark is the secret as it is, which has a form of its own.
            if self.hint in found[0]:
                pieces.append(text[start : found.start()])
                start = found.end()
        return [*pieces, text[start:]]


class Concealer:
    """Finds the texts it has learnt. Prints as nothing but their names."""

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        self._names: set[str] = set()
        self._seen: set[str] = set()
        self._forms: list[_Form] = []
        self._marks: tuple[bytes, ...] = ()
        for name, text in (texts or {}).items():
            self.learn(name, text)

    def __repr__(self) -> str:
        return f"Concealer({', '.join(sorted(self._names))})"

    def learn(self, name: str, text: str) -> None:
        """Look for this text from now on. One too short to tell is not looked for."""
        self._names.add(name)
        if len(text) < SHORTEST:
            return
        # A text that two encoders write alike, or two names stand for, need not be looked for twice.
        self._forms += [one for one in _forms(name, text) if one.hint not in self._seen or one.hint in _MARKS]
        self._seen |= {one.hint for one in self._forms}
        self._forms.sort(key=lambda one: one.order)
        self._marks = tuple({one.hint.encode(): None for one in self._forms})

    def conceal(self, value: Any) -> Any:
        """A JSON value with a reference in the place of every text that was learnt, in any spelling."""
        if isinstance(value, str):
            return self._conceal_text(value)
        if isinstance(value, Mapping):
            return {str(self._conceal_text(str(key))): self.conceal(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.conceal(item) for item in value]
        if isinstance(value, SecretText):
            return join_text(self._conceal_text(part) if isinstance(part, str) else part for part in value.parts)
        return value

    def conceal_json(self, value: Any, text: bytes) -> Any:
        """The same for a value that was read from ``text``, which is JSON in UTF-8 (RFC 8259)."""
        if b"\\" not in text and not any(mark in text for mark in self._marks):
            # Section 7: without a backslash nothing is escaped, so every string stands in the text as it is.
            return value
        return self.conceal(value)

    def stands_in(self, body: bytes) -> bool:
        """Whether one of the texts can be read in these bytes."""
        return any(mark in body for mark in self._marks if mark not in _MARK_BYTES)

    def scrub(self, text: str) -> str:
        """The text with names in the place of secrets: for a line that somebody reads."""
        return str(self._conceal_text(text))

    def _conceal_text(self, text: str) -> str | SecretText:
        parts: list[str | SecretRef | SecretText] = [text]
        for form in self._forms:
            if form.hint not in text:
                continue
            split: list[str | SecretRef | SecretText] = []
            for part in parts:
                for number, piece in enumerate(form.split(part) if isinstance(part, str) else (part,)):
                    if number:
                        split.append(form.ref)
                    split.append(piece)
            parts = split
        # Nearly every text holds none, and there are many.
        return join_text(parts) if len(parts) > 1 else text


def _forms(name: str, text: str) -> Iterator[_Form]:
    """Everything one secret is looked for as."""
    literals: dict[str, str] = {}
    for encoding in (*SPELLINGS, *_NESTED):
        literals.setdefault(spell(text, encoding), encoding)
    literals.setdefault(text.encode().hex().upper(), "hex")
    for literal, encoding in literals.items():
        yield _Form(SecretRef(name, encoding), text, literal)
    if len(text) > _LONGEST_PATTERN or (text.isalnum() and text.isascii()):
        # Of letters and digits nobody has a reason to escape any.
        return
    for mark, encoding, write in _FAMILIES:
        yield _Form(SecretRef(name, encoding), text, mark, functools.partial(_pattern, text, write))


def _pattern(text: str, write: Callable[[str], Iterator[str]]) -> str:
    return "".join(f"(?:{'|'.join(write(char))})" for char in text)


def _digits(text: str) -> str:
    """A pattern for hexadecimal digits in either case."""
    return "".join(f"[{one.lower()}{one.upper()}]" if one.isalpha() else one for one in text)


def _in_json(char: str) -> Iterator[str]:
    """RFC 8259 section 7. A JSON text inside JSON keeps one level of this after it was read."""
    if char not in '"\\':
        yield re.escape(char)
    units = char.encode("utf-16-be").hex()
    yield "".join(rf"\\u{_digits(units[at : at + 4])}" for at in range(0, len(units), 4))
    if char in '"\\/':
        yield re.escape(f"\\{char}")


def _in_url(char: str) -> Iterator[str]:
    """RFC 3986 section 2.1: which characters are escaped differs between programs, and so does the case."""
    if char != "%":
        yield re.escape(char)
    yield "".join(f"%{_digits(f'{byte:02x}')}" for byte in char.encode())
    if char == " ":
        yield r"\+"


def _in_html(char: str) -> Iterator[str]:
    """HTML, character references: by number in either base, by name where there is one."""
    if char != "&":
        yield re.escape(char)
    yield f"&#0{{0,6}}{ord(char)};"
    yield f"&#[xX]0{{0,6}}{_digits(f'{ord(char):x}')};"
    named = {**codepoint2name, ord("'"): "apos"}.get(ord(char))
    if named:
        yield f"&{named};"


_FAMILIES: Final = (("\\", "json", _in_json), ("%", "percent", _in_url), ("&", "html", _in_html))
"""The mark without which a spelling of the family would be the text itself, the encoder whose spelling stands for all
of them, and the ways to write one character. No way begins another, so a search never goes back."""

_MARKS: Final = frozenset(mark for mark, _, _ in _FAMILIES)
_MARK_BYTES: Final = frozenset(mark.encode() for mark in _MARKS)
