"""A payload -> the body of a request and its media type: JSON, form, multipart, XML, text or bytes.

The type is what the document says, else what the operation declares. A part that is a file stays a reference, which the
driver streams. The boundary of a multipart body is computed from its parts, so that the same values always give the
same bytes and none of them can contain it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

from ..errors import Place, RequestError
from ..values import Content, FileRef, SecretRef, SecretText, Value, contains_file, encode, join_text
from .model import ParameterSpec, PartSpec, is_json_type, media_type
from .parameters import FORM, Given, form_text, present
from .percent import CONTROL, TOKEN, quoted

__all__ = ["choose_type", "write_body"]

_MEDIA_TYPE: Final = re.compile(rf"{TOKEN.pattern}/{TOKEN.pattern}(?: *;[\x20-\x7e]*)?")
_FORM_DATA: Final = "multipart/form-data"
_ESCAPES: Final = {'"': "%22", "\r": "%0D", "\n": "%0A"}

Piece = str | SecretRef | FileRef


def choose_type(body: Value, wanted: str, declared: Sequence[str]) -> str:
    """The media type a body is sent as: ``wanted``, else a declared one that can carry it, else JSON.

    A range (``*/*``, ``text/*``) names no type: it only chooses among the declared ones. Of several JSON comes first,
    but for files: as parts they need multipart, and a file alone is sent as what it is.
    """
    if wanted and "*" not in media_type(wanted):
        return wanted
    prefix = media_type(wanted).partition("*")[0]
    types = [one for one in declared if "*" not in one and media_type(one).startswith(prefix)]
    if isinstance(body, FileRef):
        plain = [one for one in types if not is_json_type(one) and media_type(one) not in (FORM, _FORM_DATA)]
        return plain[0] if plain else body.type
    if contains_file(body):
        return next((one for one in types if media_type(one) == _FORM_DATA), _FORM_DATA)
    usual = "text/plain" if prefix == "text/" else "application/json"
    return next((one for one in types if is_json_type(one)), types[0] if types else usual)


def write_body(body: Value, content_type: str, parts: Mapping[str, PartSpec], place: Place) -> tuple[Value, str]:
    """The body as it stands in a Request, and its content type. ``parts`` are the Encoding Objects of that type.

    Raises RequestError AZM-R007 for a payload its type cannot carry.
    """
    if not _MEDIA_TYPE.fullmatch(content_type):
        _refuse("its content type is not a media type", place, seen=ascii(content_type[:80]))
    bare = media_type(content_type)
    if is_json_type(content_type):
        if contains_file(body):
            _refuse("a file cannot stand inside JSON", place, seen=content_type, next="send it as multipart/form-data")
        return body, content_type
    if bare == FORM and isinstance(body, dict):
        return form_text(body, "request body", place, parts), content_type
    if bare == _FORM_DATA and isinstance(body, dict):
        return _multipart(body, parts, place)
    if isinstance(body, FileRef) and bare != FORM and not bare.startswith("multipart/"):
        return body, content_type
    if isinstance(body, (dict, list)) or body is None:
        _refuse(f"{_KINDS[type(body)]} cannot be written as {bare}", place, seen=content_type, next=_advice(bare, body))
    if bare.startswith("multipart/") and "boundary=" not in content_type:
        _refuse(f"{bare} as a text needs its boundary in the content type", place, next=_advice(bare, body))
    one = Given(spec=ParameterSpec(name="", location="", style=""), value=body, place=place, what="request body")
    text = one.text(body)
    if bare == FORM:
        # A form given as text is encoded already; a secret inside it is not. A block of YAML ends with a line end.
        text = quoted(_without_line_end(text), str)
    return text, content_type


def _without_line_end(text: str | SecretText) -> str | SecretText:
    *before, last = [text] if isinstance(text, str) else text.parts
    return join_text([*before, last.rstrip("\r\n") if isinstance(last, str) else last])


_KINDS: Final[Mapping[type, str]] = {dict: "an object", list: "a list", type(None): "null"}


_LINES: Final = frozenset(
    {"application/jsonl", "application/x-jsonlines", "application/x-ndjson", "application/ndjson"}
)


def _advice(bare: str, body: Value) -> str:
    """What to give instead: nothing says how the members of an object become elements, lines or columns."""
    if bare.startswith("multipart/"):
        return f"give an object of parts as {_FORM_DATA}"
    if bare == FORM:
        return "give an object of fields"
    if body is None:
        return "give a text, or leave out the payload so that no body is sent"
    if bare in _LINES:
        return "give a text with the JSON of each item on a line of its own: payload: |"
    if bare in ("application/xml", "text/xml") or bare.endswith("+xml"):
        return "write the XML as a text, with expressions such as {$inputs.name} where values belong: payload: |"
    return f"write the {bare} as a text, with expressions such as {{$inputs.name}} where values belong: payload: |"


def _multipart(body: Mapping[str, Value], specs: Mapping[str, PartSpec], place: Place) -> tuple[Value, str]:
    """RFC 7578: one part a property, a list one part an item."""
    parts: list[list[Piece]] = []
    for name, value in body.items():
        spec = specs.get(name, PartSpec())
        whole = is_json_type(spec.content_type)
        for item in value if isinstance(value, list) and not whole else [value]:
            if item is not None:
                parts.append(_part(name, item, spec, place))
    boundary = _boundary(parts)
    pieces: list[Piece] = []
    for part in parts:
        _extend(pieces, [f"--{boundary}\r\n", *part, "\r\n"])
    _extend(pieces, [f"--{boundary}--\r\n"])
    content_type = f"{_FORM_DATA}; boundary={boundary}"
    if len(pieces) == 1 and isinstance(pieces[0], str):
        return pieces[0], content_type
    return Content(tuple(pieces)), content_type


def _part(name: str, value: Value, spec: PartSpec, place: Place) -> list[Piece]:
    """Headers, empty line and content. Encoding Object, contentType: by default what the value is."""
    one = Given(
        spec=ParameterSpec(name=name, location="", style=""),
        value=value,
        place=place,
        what=f"request body, part {name!r}",
    )
    one.check(name)
    disposition = f'form-data; name="{_escape(name, one)}"'
    if isinstance(value, FileRef):
        kind = _fitting(spec.content_type, value.type)
        disposition += f'; filename="{_escape(value.name or name, one)}"'
        content: list[Piece] = [value]
    elif isinstance(value, (dict, list)) or is_json_type(spec.content_type):
        kind = _fitting(spec.content_type, "application/json")
        text = one.json(present(value, place))
        content = list(text.parts) if isinstance(text, SecretText) else [text]
    else:
        kind = _fitting(spec.content_type, "")
        text = one.text(value)
        content = list(text.parts) if isinstance(text, SecretText) else [text]
    if kind and not _MEDIA_TYPE.fullmatch(kind):
        one.refuse("its content type is not a media type", code="AZM-R007")
    head = f"Content-Disposition: {disposition}\r\n" + (f"Content-Type: {kind}\r\n" if kind else "")
    return [head + "\r\n", *content]


def _fitting(allowed: str, usual: str) -> str:
    """The usual type where a comma-separated list of types and ranges allows it, else the first type of the list."""
    types = [one.strip() for one in allowed.split(",") if one.strip()]
    for one in types:
        prefix, star, _ = media_type(one).partition("*")
        if (star and usual.startswith(prefix)) or media_type(one) == usual:
            return one if not star else usual
    return next((one for one in types if "*" not in one), usual)


def _escape(text: str, one: Given) -> str:
    """A name inside quotes, as browsers write it (WHATWG HTML, multipart/form-data encoding)."""
    escaped = "".join(_ESCAPES.get(character, character) for character in text)
    if CONTROL.search(escaped):
        one.refuse("control characters cannot stand in a name", code="AZM-R007")
    return escaped


def _boundary(parts: Sequence[Sequence[Piece]]) -> str:
    """A digest of the parts. A text that contained it would have to contain a digest of itself."""
    text = json.dumps([[encode(piece) for piece in part] for part in parts])
    return f"arazzo-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def _extend(pieces: list[Piece], more: Sequence[Piece]) -> None:
    """Append, neighbouring texts as one."""
    for piece in more:
        if isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
            pieces[-1] += piece
        elif piece != "":
            pieces.append(piece)


def _refuse(message: str, place: Place, *, seen: str = "", next: str = "") -> NoReturn:
    raise RequestError(
        f"request body: {message}",
        code="AZM-R007",
        place=place,
        seen=seen,
        next=next or "bodies are JSON, a form, multipart, text, or a file",
    )
