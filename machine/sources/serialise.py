"""An Operation and the values a run has -> one Request, or a RequestError that names the parameter and not its value.

Every value is taken as hostile: it fills its own placeholder, field or header and reaches nothing beside it. Secrets
stay references; in a URL they carry the encoding ``percent``, and what can only be checked on their text (line ends in
a header, dots in a path) is left to the driver, which has it. Nothing here does I/O.

The style table is that of the Parameter Object (OpenAPI 3.1), its expansions are those of RFC 6570.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias
from urllib.parse import quote, unquote

from ..errors import Place, RequestError
from ..values import MISSING, Missing, SecretRef, SecretText, Value, contains_secret, join_text
from .model import Operation, ParameterSpec, Request, is_json_type, media_type

__all__ = ["build_request"]

Text: TypeAlias = str | SecretText
Write: TypeAlias = Callable[[Value], Text]
"""Writes one scalar in the alphabet of a location."""

_UNRESERVED: Final = "-._~"
# RFC 3986 section 3.3 pchar and the slash: what a path template may hold besides placeholders.
_PATH_LITERAL: Final = _UNRESERVED + "!$&'()*+,;=:@%/"
# Reserved characters a value keeps under allowReserved. Those that would end the query (#) or the field (&), that form
# decoders read as something else (+), and brackets, which a query may not hold bare, stay encoded.
_RESERVED: Final = _UNRESERVED + ":/?@!$'()*,;="
_QUERY_STRING: Final = _RESERVED + "&+"
_COOKIE_OCTETS: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '",;\\')
_TRIPLET: Final = re.compile("(%[0-9A-Fa-f]{2})")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_MEDIA_TYPE: Final = re.compile(rf"{_TOKEN.pattern}/{_TOKEN.pattern}(?: *;[\x20-\x7e]*)?")
_PLACEHOLDER: Final = re.compile(r"\{([^{}/]*)\}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LOCATIONS: Final = ("path", "query", "querystring", "header", "cookie")
_FORBIDDEN: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_FORM: Final = "application/x-www-form-urlencoded"
_DELIMITERS: Final = {"spaceDelimited": "%20", "pipeDelimited": "%7C"}
_EXACT: Final = 2.0**53
"""Up to here a float without a fraction is an integer somebody wrote, and is sent as one."""
_DEPTH: Final = 200
"""Levels of nesting in a body. Deeper ones come from a reply made to exhaust the stack."""


def build_request(
    operation: Operation,
    parameters: Sequence[tuple[str, str, Value]],
    *,
    body: Value = MISSING,
    content_type: str = "",
    place: Place,
) -> Request:
    """Write the values into the operation's path, query, headers and body.

    ``parameters`` are (name, location, value); of several with one name and location the last counts. MISSING leaves
    out a parameter, and inside a value the property or item. Null does the same, except in a body, where it is a
    value. A path parameter without a placeholder is not sent: workflow-level parameters reach every step.

    Raises RequestError: AZM-R001 (path parameter without a value), R002 (value unfit for a path), R003 (value its
    style cannot carry), R004, R005, R006 (header name, header value, header that is not the document's to set), R007
    (body), R008 (value that has no text), R009 (location).
    """
    given: dict[tuple[str, str], _Given] = {}
    for name, location, value in parameters:
        one = _Given.of(operation, name, location, value, place)
        if not isinstance(one.value, Missing):
            given[location, name.lower() if location == "header" else name] = one

    def at(location: str) -> dict[str, _Given]:
        return {key: one for (where, key), one in given.items() if where == location}

    headers = {key: _header(one) for key, one in at("header").items()}
    if cookies := [_cookie(one) for one in at("cookie").values()]:
        # RFC 6265 section 5.4: one Cookie header, the pairs separated by a semicolon and a space.
        before = [headers["cookie"][1]] if "cookie" in headers else []
        headers["cookie"] = ("Cookie", _join("; ", [*before, *cookies]))
    body = _present(body, place)
    if isinstance(body, Missing):
        content_type = ""
    else:
        # Where there is a body, requestBody decides on its type; a Content-Type parameter may only fill the gap.
        _, chosen = headers.pop("content-type", ("", ""))
        content_type = content_type or str(chosen) or _default_type(operation.body_types)
        body = _body(body, content_type, place)
    return Request(
        source=operation.source,
        method=operation.method,
        target=_target(operation, at("path"), at("query"), at("querystring"), place),
        headers=tuple(headers.values()),
        body=body,
        content_type=content_type,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """One parameter with its value, and all the ways a scalar of it may be written."""

    spec: ParameterSpec
    value: Value
    place: Place
    what: str

    @classmethod
    def of(cls, operation: Operation, name: str, location: str, value: Value, place: Place) -> _Given:
        spec = operation.parameter(name, location) or ParameterSpec(
            name=name,
            location=location,
            style={"path": "simple", "header": "simple", "querystring": _FORM}.get(location, "form"),
            explode=location in {"query", "cookie"},
        )
        raw = cls(spec=spec, value=value, place=place, what=f"{location} parameter {name!r}")
        if location not in _LOCATIONS:
            raw.refuse(f"its location is none of {', '.join(_LOCATIONS)}", code="AZM-R009")
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
            return self.media(_present(value, self.place))
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
        if isinstance(value, dict) and not is_json_type(self.spec.style):
            return _form(value, self.what, self.place)
        if not isinstance(value, (dict, list)):
            return self.text(value)
        if contains_secret(value):
            self.refuse("a secret cannot stand inside a JSON text in a URL or header", code="AZM-R003")
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except ValueError:
            self.refuse("a number in it is not finite", code="AZM-R008")
        self.check(text)
        return text

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
        if not isinstance(value, (str, SecretText)):
            self.refuse(
                "a list or object cannot stand here",
                code="AZM-R003",
                next="its style carries plain values, lists of them or objects of them; pass a string",
            )
        for literal in _literals(value):
            self.check(literal)
        return value

    def check(self, literal: str) -> None:
        """A lone surrogate is no character and has no UTF-8 form; JSON escapes can smuggle one in."""
        try:
            literal.encode()
        except UnicodeEncodeError:
            self.refuse("the text holds half of a surrogate pair", code="AZM-R008")

    def percent(self, value: Value) -> Text:
        """Everything but the unreserved characters of RFC 3986 section 2.3 encoded."""
        return _quoted(self.text(value), lambda literal: quote(literal, safe=_UNRESERVED))

    def reserved(self, value: Value) -> Text:
        """allowReserved: reserved characters and finished escapes pass (RFC 6570 section 3.2.3)."""
        return _quoted(self.text(value), lambda literal: _keep_escapes(literal, _RESERVED))

    def segment(self, value: Value) -> Text:
        """Percent-encoded, and nothing a server or proxy could take for another segment or a step upwards."""
        text = self.text(value)
        for literal in _literals(text):
            if _CONTROL.search(literal):
                self.refuse("control characters cannot stand in a path", code="AZM-R002")
            if {".", ".."} & set(re.split(r"[/\\]", literal)):
                # Encoded slashes are decoded by some proxies before they normalise the path.
                self.refuse("'.' and '..' cannot stand in a path", code="AZM-R002")
        if text == "":
            self.refuse("the value is empty, and would name another resource", code="AZM-R002")
        return self.percent(text)


def _members(value: Value, write: Write, *, explode: bool) -> list[Text]:
    """The parts of a value that a style's delimiter goes between; objects give ``k=v`` or ``k``, ``v``."""
    if isinstance(value, list):
        return [write(item) for item in value]
    if not isinstance(value, dict):
        return [write(value)]
    if explode:
        return [join_text((write(key), "=", write(item))) for key, item in value.items()]
    return [text for key, item in value.items() for text in (write(key), write(item))]


def _placeholder(one: _Given) -> Text:
    """The styles of a path: simple, label and matrix; any other style is written as simple."""
    spec, value = one.spec, one.value
    members = _members(value, one.segment, explode=spec.explode)
    if spec.style == "label":
        return join_text((".", _join("." if spec.explode else ",", members)))
    if spec.style == "matrix":
        name = quote(spec.name, safe=_UNRESERVED)
        if spec.explode and isinstance(value, dict):
            return join_text((";", _join(";", members)))
        return join_text((f";{name}=", _join(f";{name}=" if spec.explode else ",", members)))
    return _join(",", members)


def _fields(one: _Given) -> list[Text]:
    """The styles of a query: form, spaceDelimited, pipeDelimited and deepObject; any other is written as form."""
    spec, value = one.spec, one.value
    name = quote(spec.name, safe=_UNRESERVED)
    write = one.reserved if spec.allow_reserved else one.percent
    if spec.style == "deepObject":
        if isinstance(value, list):
            one.refuse("style deepObject says nothing about lists", code="AZM-R003", next="pass an object or a string")
        if isinstance(value, dict):
            return [join_text((name, "%5B", one.percent(key), "%5D=", write(item))) for key, item in value.items()]
    members = _members(value, write, explode=spec.explode)
    if spec.explode and isinstance(value, dict):
        return members
    if spec.explode and isinstance(value, list):
        return [join_text((name, "=", member)) for member in members]
    return [join_text((name, "=", _join(_DELIMITERS.get(spec.style, ","), members)))]


def _header(one: _Given) -> tuple[str, Text]:
    name = one.spec.name
    if not _TOKEN.fullmatch(name):
        one.refuse("this is not a header name (RFC 9110 section 5.1)", code="AZM-R004")
    if name.lower() in _FORBIDDEN or name.lower().startswith("proxy-"):
        # They say where a request goes and where it ends; a value in them could redirect or split it.
        one.refuse("a document may not set this header", code="AZM-R006", next="leave it out; it is set when sending")
    text = _join(",", _members(one.value, one.text, explode=one.spec.explode))
    for literal in _literals(text):
        # RFC 9110 section 5.5: no line ends, no NUL; other controls and other alphabets are of no use to any server.
        if _CONTROL.search(literal) or not all(character <= "\xff" for character in literal):
            one.refuse("the value holds control characters or characters outside Latin-1", code="AZM-R005")
    parts: list[str | SecretRef] = list(text.parts) if isinstance(text, SecretText) else [text]
    # Blanks at the ends are not part of a field value (same section), and senders refuse them.
    parts[0] = parts[0].lstrip(" ") if isinstance(parts[0], str) else parts[0]
    parts[-1] = parts[-1].rstrip(" ") if isinstance(parts[-1], str) else parts[-1]
    return name, join_text(parts)


def _cookie(one: _Given) -> Text:
    """``name=value``. What a cookie may hold (RFC 6265 section 4.1.1) stays, ``%`` too: session values come encoded."""
    if not _TOKEN.fullmatch(one.spec.name):
        one.refuse("this is not a cookie name (RFC 6265 section 4.1.1)", code="AZM-R004")
    if isinstance(one.value, (list, dict)):
        one.refuse("a cookie carries one plain value", code="AZM-R003")
    text = one.text(one.value)
    if any(_CONTROL.search(literal) for literal in _literals(text)):
        one.refuse("control characters cannot stand in a cookie", code="AZM-R005")
    parts = text.parts if isinstance(text, SecretText) else (text,)
    safe = (part if isinstance(part, SecretRef) else quote(part, safe=_COOKIE_OCTETS) for part in parts)
    return join_text((one.spec.name, "=", *safe))


def _target(
    operation: Operation,
    path: Mapping[str, _Given],
    query: Mapping[str, _Given],
    whole: Mapping[str, _Given],
    place: Place,
) -> Text:
    # A template should hold neither, but some hold a fixed query, and some a fragment to tell two operations apart.
    route, _, fixed = operation.path.partition("#")[0].partition("?")
    segments = [_fill(segment, path, operation, place, strict=True) for segment in route.removeprefix("/").split("/")]
    target = join_text(("/", _join("/", segments)))
    fields = [_fill(fixed, path, operation, place, strict=False)] if fixed else []
    fields += [field for one in query.values() for field in _fields(one)]
    for one in whole.values():
        # OpenAPI 3.2 Parameter Object: `querystring` is the query, alone and once.
        if query or len(whole) > 1:
            one.refuse("nothing else can be in the query beside it", code="AZM-R003")
        fields.append(one.percent(one.value) if is_json_type(one.spec.style) else _query_string(one.text(one.value)))
    return join_text((target, "?", _join("&", fields))) if fields else target


def _fill(template: str, values: Mapping[str, _Given], operation: Operation, place: Place, *, strict: bool) -> Text:
    """One segment of the template (``strict``), or its fixed query, with every placeholder replaced."""
    pieces: list[Text] = []
    for index, piece in enumerate(_PLACEHOLDER.split(template)):
        if index % 2 and piece in values:
            pieces.append(_placeholder(values[piece]))
        elif index % 2:
            raise RequestError(
                f"path parameter {piece!r}: it has no value, and {operation.title} cannot be called without it",
                code="AZM-R001",
                place=place,
                next=f"give the step a parameter {piece!r} with `in: path` whose value is not null",
            )
        elif re.search(r"[{}\ud800-\udfff]", piece) or _CONTROL.search(piece):
            raise RequestError(
                f"the path of {operation.title!r} is not a path template",
                code="AZM-R002",
                place=place,
                seen=ascii(piece),
            )
        else:
            pieces.append(quote(piece, safe=_PATH_LITERAL))
    text = join_text(pieces)
    if strict and isinstance(text, str) and unquote(text) in {".", ".."}:
        raise RequestError(
            f"the path of {operation.title!r} would hold a segment '.' or '..'",
            code="AZM-R002",
            place=place,
            next="such segments lead to another resource and are never sent",
        )
    return text


def _body(body: Value, content_type: str, place: Place) -> Value:
    if not _MEDIA_TYPE.fullmatch(content_type) or "*" in media_type(content_type):
        _refuse_body("its content type is not a media type", place, seen=ascii(content_type[:80]))
    if is_json_type(content_type):
        return body
    bare = media_type(content_type)
    spec = ParameterSpec(name="", location="", style="")
    one = _Given(spec=spec, value=body, place=place, what="request body")
    if bare == _FORM and isinstance(body, dict):
        return _form(body, "request body", place)
    if isinstance(body, (dict, list)) or body is None or not (bare == _FORM or bare.startswith("text/")):
        _refuse_body(f"{type(body).__name__} as {bare} is not supported yet", place, seen=content_type)
    # A form given as text is encoded already; a secret inside it is not.
    return _quoted(one.text(body), str) if bare == _FORM else one.text(body)


def _form(value: Mapping[str, Value], what: str, place: Place) -> Text:
    """``a=1&b=2``; a list repeats its field (Encoding Object: form, exploded). Blanks become %20, which is as good."""
    fields: list[Text] = []
    for name, item in value.items():
        spec = ParameterSpec(name=name, location="query", style="form", explode=True)
        raw = _Given(spec=spec, value=item, place=place, what=f"{what}, field {name!r}")
        raw.check(name)
        one = _Given(spec=spec, value=raw.defined(), place=place, what=raw.what)
        if isinstance(one.value, dict):
            one.refuse("an object inside a form is not supported yet", code="AZM-R007", next="name its fields singly")
        if not isinstance(one.value, Missing):
            fields += _fields(one)
    return _join("&", fields)


def _default_type(declared: Iterable[str]) -> str:
    """The first JSON type the operation declares, else the first type, else JSON; ranges (``text/*``) name no type."""
    types = [one for one in declared if "*" not in one]
    return next((one for one in types if is_json_type(one)), types[0] if types else "application/json")


def _refuse_body(message: str, place: Place, *, seen: str = "") -> NoReturn:
    raise RequestError(
        f"request body: {message}",
        code="AZM-R007",
        place=place,
        seen=seen,
        next="bodies are JSON, text, or a form of plain fields",
    )


def _present(value: Value, place: Place, depth: int = 0) -> Value:
    """The value without absent properties and items: absent is left out, null is sent."""
    if depth > _DEPTH:
        _refuse_body(f"nested deeper than {_DEPTH} levels", place)
    if isinstance(value, dict):
        return {k: _present(item, place, depth + 1) for k, item in value.items() if not isinstance(item, Missing)}  # type: ignore[misc]
    if isinstance(value, list):
        return [_present(item, place, depth + 1) for item in value if not isinstance(item, Missing)]  # type: ignore[misc]
    return value


def _literals(text: Text) -> list[str]:
    """The parts of a text that are not secret."""
    return [text] if isinstance(text, str) else [part for part in text.parts if isinstance(part, str)]


def _quoted(text: Text, write: Callable[[str], str]) -> Text:
    if isinstance(text, str):
        return write(text)
    return join_text(part.encoded("percent") if isinstance(part, SecretRef) else write(part) for part in text.parts)


def _query_string(text: Text) -> Text:
    return _quoted(text, lambda literal: _keep_escapes(literal, _QUERY_STRING))


def _keep_escapes(literal: str, safe: str) -> str:
    return "".join(
        piece if index % 2 else quote(piece, safe=safe) for index, piece in enumerate(_TRIPLET.split(literal))
    )


def _join(delimiter: str, texts: Sequence[Text]) -> Text:
    return join_text(part for index, text in enumerate(texts) for part in ((delimiter, text) if index else (text,)))
