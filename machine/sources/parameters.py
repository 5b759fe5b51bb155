"""One parameter and its value -> the text of its placeholder, query fields, header or cookies.

Every value is taken as hostile: it fills its own place and reaches nothing beside it. An error names the parameter and
never its value. The style table is that of the Parameter Object (OpenAPI 3.2), its expansions are those of RFC 6570.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias
from urllib.parse import quote, unquote

from ..errors import Place, RequestError
from ..values import MISSING, FileRef, Missing, SecretRef, SecretText, Value, contains_secret, join_text
from .model import Operation, ParameterSpec, PartSpec, is_json_type
from .percent import (
    CONTROL,
    COOKIE_OCTETS,
    TOKEN,
    Text,
    join,
    keep_escapes,
    literals,
    quoted,
    reserved,
    unreserved,
)

__all__ = [
    "FORM",
    "LOCATIONS",
    "Given",
    "cookie_pairs",
    "form_text",
    "header_field",
    "path_text",
    "present",
    "query_fields",
    "query_text",
]

Write: TypeAlias = Callable[[Value], Text]
"""Writes one scalar in the alphabet of a location."""

LOCATIONS: Final = ("path", "query", "querystring", "header", "cookie")
FORM: Final = "application/x-www-form-urlencoded"

_DELIMITERS: Final = {"spaceDelimited": "%20", "pipeDelimited": "%7C"}
_PATH_RESERVED: Final = "!$&'()*+,;=:@"
"""Reserved characters a path keeps under allowReserved: all but those that end it or begin another segment."""
_STEERING: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_EXACT: Final = 2.0**53
"""Up to here a float without a fraction is an integer somebody wrote, and is sent as one."""
_DEPTH: Final = 200
"""Levels of nesting in a value. Deeper ones come from a reply made to exhaust the stack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One parameter or form field with its value, and all the ways a scalar of it may be written."""

    spec: ParameterSpec
    value: Value
    place: Place
    what: str

    @classmethod
    def of(cls, operation: Operation, name: str, location: str, value: Value, place: Place) -> Given:
        """A parameter of a step. One the description does not declare is written in the default style."""
        spec = operation.parameter(name, location) or ParameterSpec(
            name=name,
            location=location,
            style={"path": "simple", "header": "simple", "querystring": FORM}.get(location, "form"),
            explode=location in {"query", "cookie"},
        )
        raw = cls(spec=spec, value=value, place=place, what=f"{location} parameter {name!r}")
        if location not in LOCATIONS:
            raw.refuse(f"its location is none of {', '.join(LOCATIONS)}", code="AZM-R009")
        raw.check(name)
        return cls(spec=spec, value=raw.defined(), place=place, what=raw.what)

    def refuse(self, message: str, *, code: str, next: str = "") -> NoReturn:
        raise RequestError(f"{self.what}: {message}", code=code, place=self.place, next=next)

    def defined(self) -> Value:
        """The value with its undefined members gone; MISSING when nothing is left (RFC 6570 section 2.3)."""
        value = self.value
        if value is None or isinstance(value, Missing):
            return MISSING
        if "/" in self.spec.style or self.spec.location == "querystring":
            return self.media(present(value, self.place))
        if isinstance(value, list):
            return [item for item in value if item is not None and not isinstance(item, Missing)] or MISSING
        if isinstance(value, dict):
            kept: Value = {
                key: item for key, item in value.items() if item is not None and not isinstance(item, Missing)
            }
            return kept or MISSING
        return value

    def media(self, value: Value) -> Text:
        """A value described by ``content``: text is taken as written already, the rest is written as the type says."""
        if not isinstance(value, (dict, list)):
            return self.text(value)
        if is_json_type(self.spec.style):
            return self.json(value)
        if isinstance(value, list):
            self.refuse("a list cannot be written in its media type", code="AZM-R003", next="pass an object or a text")
        return form_text(value, self.what, self.place)

    def json(self, value: Value) -> Text:
        """The value as JSON text (RFC 8259); a secret in it is written as JSON when it is sent."""
        try:
            return join_text(_json(value))
        except (ValueError, TypeError):
            self.refuse("it holds a file, or a number that is not finite", code="AZM-R008")

    def text(self, value: Value) -> Text:
        """A scalar as it reads: booleans in lower case, numbers as JSON writes them."""
        if isinstance(value, SecretRef):
            return SecretText((value,))
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float) and not math.isfinite(value):
            self.refuse("the number is not finite", code="AZM-R008")
        if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
            value = int(value)
        if isinstance(value, (int, float)):
            try:
                return repr(value)
            except ValueError:
                self.refuse("the number has too many digits", code="AZM-R008")
        if isinstance(value, FileRef):
            self.refuse("a file can only be a body, or a part of one", code="AZM-R003", next="give a text")
        if not isinstance(value, (str, SecretText)):
            self.refuse(
                f"a list or object inside another cannot be written in style {self.spec.style}",
                code="AZM-R003",
                next="give plain values, a list of them or an object of them; or a text, as the service reads it",
            )
        for literal in literals(value):
            self.check(literal)
        return value

    def check(self, literal: str) -> None:
        """A lone surrogate is no character and has no UTF-8 form; JSON escapes can smuggle one in."""
        try:
            literal.encode()
        except UnicodeEncodeError:
            self.refuse("the text holds half of a surrogate pair", code="AZM-R008")

    def percent(self, value: Value) -> Text:
        return unreserved(self.text(value))

    def field(self, value: Value) -> Text:
        """A value of a query field."""
        return reserved(self.text(value)) if self.spec.allow_reserved else self.percent(value)

    def segment(self, value: Value) -> Text:
        """Percent-encoded, and nothing a server or proxy could take for another segment or a step upwards."""
        text, allowed = self.text(value), self.spec.allow_reserved
        for literal in literals(text):
            # Finished escapes pass under allowReserved, so what they stand for is looked at.
            plain = unquote(literal) if allowed else literal
            if CONTROL.search(plain):
                self.refuse("control characters cannot stand in a path", code="AZM-R002")
            if {".", ".."} & set(re.split(r"[/\\]", plain)):
                # Encoded slashes are decoded by some proxies before they normalise the path.
                self.refuse("'.' and '..' cannot stand in a path", code="AZM-R002")
        if allowed:
            return quoted(text, lambda literal: keep_escapes(literal, _PATH_RESERVED))
        return unreserved(text)


def _json(value: Value) -> Iterator[str | SecretText]:
    """The pieces of a JSON text; ``present`` has bounded its depth."""
    if isinstance(value, (SecretRef, SecretText)):
        yield '"'
        for part in value.parts if isinstance(value, SecretText) else (value,):
            yield _dumped(part)[1:-1] if isinstance(part, str) else SecretText((part.encoded("json"),))
        yield '"'
    elif not contains_secret(value):
        yield _dumped(value)
    elif isinstance(value, dict):
        for number, (key, item) in enumerate(value.items()):
            yield f"{',' if number else '{'}{_dumped(key)}:"
            yield from _json(item)
        yield "}"
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield "," if number else "["
            yield from _json(item)
        yield "]"


def _dumped(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def present(value: Value, place: Place, depth: int = 0) -> Value:
    """The value without absent properties and items: absent is left out, null is sent."""
    if depth > _DEPTH:
        raise RequestError(
            f"request body: nested deeper than {_DEPTH} levels",
            code="AZM-R007",
            place=place,
            next="send the part that is meant",
        )
    if isinstance(value, dict):
        return {k: present(item, place, depth + 1) for k, item in value.items() if not isinstance(item, Missing)}  # type: ignore[misc]
    if isinstance(value, list):
        return [present(item, place, depth + 1) for item in value if not isinstance(item, Missing)]  # type: ignore[misc]
    return value


def _members(value: Value, write: Write, *, explode: bool) -> list[Text]:
    """The parts of a value that a style's delimiter goes between; objects give ``k=v`` or ``k``, ``v``."""
    if isinstance(value, list):
        return [write(item) for item in value]
    if not isinstance(value, dict):
        return [write(value)]
    if explode:
        return [join_text((write(key), "=", write(item))) for key, item in value.items()]
    return [text for key, item in value.items() for text in (write(key), write(item))]


def path_text(one: Given) -> Text:
    """The styles of a path: simple, label and matrix; any other style is written as simple."""
    spec, value = one.spec, one.value
    if spec.style == "matrix":
        text = _matrix(one)
    else:
        members = _members(value, one.segment, explode=spec.explode)
        if spec.style == "label":
            text = join_text((".", join("." if spec.explode else ",", members)))
        else:
            text = join(",", members)
    if text == "":
        one.refuse("the value is empty, and would name another resource", code="AZM-R002")
    return text


def _matrix(one: Given) -> Text:
    """``;name=value``, and ``;name`` alone where the value is empty (RFC 6570 section 3.2.7)."""
    spec, value = one.spec, one.value
    name = quote(spec.name, safe="")

    def pair(key: Text, member: Text) -> Text:
        return join_text((";", key) if member == "" else (";", key, "=", member))

    if spec.explode and isinstance(value, dict):
        return join_text(pair(one.segment(key), one.segment(item)) for key, item in value.items())
    members = _members(value, one.segment, explode=False)
    if spec.explode:
        return join_text(pair(name, member) for member in members)
    return pair(name, join(",", members))


def query_fields(one: Given) -> list[Text]:
    """The styles of a query: form, spaceDelimited, pipeDelimited and deepObject; any other is written as form."""
    spec, value = one.spec, one.value
    name = quote(spec.name, safe="")
    if spec.style == "deepObject":
        if isinstance(value, list):
            _refuse_list(one, "it is")
        if isinstance(value, dict):
            return list(_deep(one, name, value, 0))
    members = _members(value, one.field, explode=spec.explode)
    if spec.explode and isinstance(value, dict):
        return members
    if spec.explode and isinstance(value, list):
        return [join_text((name, "=", member)) for member in members]
    return [join_text((name, "=", join(_DELIMITERS.get(spec.style, ","), members)))]


def _deep(one: Given, name: Text, value: Mapping[str, Value], depth: int) -> list[Text]:
    """``name[a][b]=v``. The style is defined for one level; deeper ones have one reading everywhere, and lists have
    several, so those are refused."""
    if depth > _DEPTH:
        one.refuse("it is nested too deeply", code="AZM-R003", next="send the part that is meant")
    found: list[Text] = []
    for key, item in value.items():
        inner = join_text((name, "%5B", one.percent(key), "%5D"))
        if isinstance(item, dict):
            found += _deep(one, inner, item, depth + 1)
        elif isinstance(item, list):
            _refuse_list(one, "a member of it is")
        elif item is not None and not isinstance(item, Missing):
            found.append(join_text((inner, "=", one.field(item))))
    return found


def _refuse_list(one: Given, what: str) -> NoReturn:
    """Some servers read `v[0]`, some `v[]`, some `v`."""
    one.refuse(
        f"{what} a list, and style deepObject does not say how one is written",
        code="AZM-R003",
        next="give an object instead, with members 0, 1 and so on, or a text, as the service reads it",
    )


def query_text(one: Given) -> Text:
    """The whole query (3.2 Parameter Object, ``in: querystring``), from the text its media type gave."""
    if is_json_type(one.spec.style):
        return one.percent(one.value)
    text = one.text(one.value)
    parts = text.parts if isinstance(text, SecretText) else (text,)
    # A secret in a field of a form is encoded already.
    return join_text(
        part
        if isinstance(part, SecretRef) and part.encoding
        else reserved(part if isinstance(part, str) else SecretText((part,)), also="&+")
        for part in parts
    )


def header_field(one: Given) -> tuple[str, Text]:
    """Name and value. RFC 9110 section 5.5: no line ends, no NUL; other controls and other alphabets are of no use to
    any server, and blanks at the ends are not part of a value."""
    name = one.spec.name
    if not TOKEN.fullmatch(name):
        one.refuse("this is not a header name (RFC 9110 section 5.1)", code="AZM-R004")
    if name.lower() in _STEERING or name.lower().startswith("proxy-"):
        # They say where a request goes and where it ends; a value in them could redirect or split it.
        one.refuse("a document may not set this header", code="AZM-R006", next="leave it out; it is set when sending")
    text = join(",", _members(one.value, one.text, explode=one.spec.explode))
    for literal in literals(text):
        if CONTROL.search(literal) or not all(character <= "\xff" for character in literal):
            one.refuse("the value holds control characters or characters outside Latin-1", code="AZM-R005")
    parts: list[str | SecretRef] = list(text.parts) if isinstance(text, SecretText) else [text]
    parts[0] = parts[0].lstrip(" ") if isinstance(parts[0], str) else parts[0]
    parts[-1] = parts[-1].rstrip(" ") if isinstance(parts[-1], str) else parts[-1]
    return name, join_text(parts)


def cookie_pairs(one: Given) -> list[Text]:
    """``name=value``, one or, exploded, several. ``form`` encodes what a cookie cannot hold, ``%`` not: session values
    come encoded. ``cookie`` (3.2) encodes nothing, so what does not fit is refused. RFC 6570 would put ``&`` between
    exploded values of ``form``, which every server takes for a part of the first one; they are pairs of their own."""
    spec, value = one.spec, one.value

    def write(item: Value) -> Text:
        text = one.text(item)
        if any(CONTROL.search(literal) for literal in literals(text)):
            one.refuse("control characters cannot stand in a cookie", code="AZM-R005")
        parts = text.parts if isinstance(text, SecretText) else (text,)
        if spec.style == "cookie" and not all(set(part) <= _COOKIE for part in parts if isinstance(part, str)):
            one.refuse(
                "it holds a character that cannot stand in a cookie, and style cookie encodes nothing",
                code="AZM-R005",
                next="give the value encoded as the server expects it",
            )
        return join_text(
            quote(part, safe=COOKIE_OCTETS) if isinstance(part, str) else _in_cookie(part) for part in parts
        )

    if spec.explode and isinstance(value, dict):
        pairs = [(key, write(item)) for key, item in value.items()]
    elif spec.explode and isinstance(value, list):
        pairs = [(spec.name, write(item)) for item in value]
    else:
        pairs = [(spec.name, join(",", _members(value, write, explode=False)))]
    if not all(TOKEN.fullmatch(name) for name, _ in pairs):
        one.refuse("this is not a cookie name (RFC 6265 section 4.1.1)", code="AZM-R004")
    return [join_text((name, "=", text)) for name, text in pairs]


def _in_cookie(secret: SecretRef) -> SecretRef:
    """As it was given, but for one in a JSON text, whose quotes and backslashes a cookie cannot hold; in a form it is
    percent-encoded already."""
    return secret.encoded("percent") if secret.encoding == "json" else secret


_COOKIE: Final = frozenset(COOKIE_OCTETS)


def form_text(value: Mapping[str, Value], what: str, place: Place, parts: Mapping[str, PartSpec] | None = None) -> Text:
    """``a=1&b=2``. Blanks become %20, which is as good.

    Encoding Object: a property with a style is written as a query parameter of that style would be; otherwise a list
    repeats its field, and an object stands as JSON.
    """
    fields: list[Text] = []
    for name, item in value.items():
        part = (parts or {}).get(name, PartSpec())
        spec = ParameterSpec(
            name=name,
            location="query",
            style=part.style or "form",
            explode=part.explode if part.explode is not None else (part.style or "form") == "form",
            allow_reserved=part.allow_reserved,
        )
        raw = Given(spec=spec, value=item, place=place, what=f"{what}, field {name!r}")
        raw.check(name)
        if not part.styled:
            # The default content type of an object is JSON, of a list that of its items (same section).
            raw = Given(
                spec=spec, value=_plain(raw, item, whole=is_json_type(part.content_type)), place=place, what=raw.what
            )
        one = Given(spec=spec, value=raw.defined(), place=place, what=raw.what)
        if not isinstance(one.value, Missing):
            fields += query_fields(one)
    return join("&", fields)


def _plain(one: Given, value: Value, *, whole: bool) -> Value:
    """A value whose objects, and whose lists too where it is JSON as a ``whole``, are JSON texts."""
    if isinstance(value, dict) or (whole and isinstance(value, list)):
        return one.json(present(value, one.place))
    if isinstance(value, list):
        return [_plain(one, item, whole=True) if isinstance(item, (dict, list)) else item for item in value]  # type: ignore[misc]
    return value
