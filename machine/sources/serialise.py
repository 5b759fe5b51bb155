"""An Operation and the values a run has -> one Request, or a RequestError that names the parameter and not its value.

Values are written in ``parameters.py`` and ``bodies.py``; here they are put together. Secrets stay references, and what
can only be checked on their text (line ends in a header, dots in a path) is left to the driver, which has it. Nothing
here does I/O, and the same values always give the same request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote, unquote

from ..errors import Place, RequestError
from ..values import MISSING, Missing, Value, join_text
from .bodies import choose_type, write_body
from .model import Operation, PartSpec, Request, media_type
from .parameters import Given, cookie_pairs, header_field, path_text, present, query_fields, query_text
from .percent import CONTROL, Text, join
from .security import left_open

__all__ = ["build_request"]

_LITERAL: Final = "!$&'()*+,;=:@%/"
"""What a path template may hold besides placeholders (RFC 3986 section 3.3, pchar and the slash)."""
_PLACEHOLDER: Final = re.compile(r"\{([^{}/]*)\}")


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
    given: dict[tuple[str, str], Given] = {}
    for name, location, value in parameters:
        one = Given.of(operation, name, location, value, place)
        if not isinstance(one.value, Missing):
            given[location, name.lower() if location == "header" else name] = one

    def at(location: str) -> dict[str, Given]:
        return {key: one for (where, key), one in given.items() if where == location}

    headers = {key: header_field(one) for key, one in at("header").items()}
    if cookies := [pair for one in at("cookie").values() for pair in cookie_pairs(one)]:
        # RFC 6265 section 5.4: one Cookie header, the pairs separated by a semicolon and a space.
        before = [headers["cookie"][1]] if "cookie" in headers else []
        headers["cookie"] = ("Cookie", join("; ", [*before, *cookies]))
    body = present(body, place)
    if isinstance(body, Missing):
        content_type = ""
    else:
        # Where there is a body, requestBody decides on its type; a Content-Type parameter may only fill the gap.
        _, chosen = headers.pop("content-type", ("", ""))
        content_type = choose_type(body, content_type or str(chosen), operation.body_types)
        body, content_type = write_body(body, content_type, _parts(operation, content_type), place)
    return Request(
        source=operation.source,
        server=operation.server,
        method=operation.method,
        target=_target(operation, at("path"), at("query"), at("querystring"), place),
        headers=tuple(headers.values()),
        body=body,
        content_type=content_type,
        follows=operation.method in ("GET", "HEAD") and not operation.redirects,
        security=left_open(operation, set(given)),
    )


def _parts(operation: Operation, content_type: str) -> Mapping[str, PartSpec]:
    """The Encoding Objects of a media type, whatever its parameters."""
    bare = media_type(content_type)
    return next((parts for kind, parts in operation.encodings.items() if media_type(kind) == bare), {})


def _target(
    operation: Operation,
    path: Mapping[str, Given],
    query: Mapping[str, Given],
    whole: Mapping[str, Given],
    place: Place,
) -> Text:
    # A template should hold neither, but some hold a fixed query, and some a fragment to tell two operations apart.
    route, _, fixed = operation.path.partition("#")[0].partition("?")
    segments = [_fill(segment, path, operation, place, strict=True) for segment in route.removeprefix("/").split("/")]
    target = join_text(("/", join("/", segments)))
    fields = [_fill(fixed, path, operation, place, strict=False)] if fixed else []
    fields += [field for one in query.values() for field in query_fields(one)]
    for one in whole.values():
        # OpenAPI 3.2 Parameter Object: `querystring` is the query, alone and once.
        if query or len(whole) > 1:
            one.refuse("nothing else can be in the query beside it", code="AZM-R003")
        fields.append(query_text(one))
    query_part = join("&", fields)
    return join_text((target, "?", query_part)) if query_part else target


def _fill(template: str, values: Mapping[str, Given], operation: Operation, place: Place, *, strict: bool) -> Text:
    """One segment of the template (``strict``), or its fixed query, with every placeholder replaced."""
    pieces: list[Text] = []
    for index, piece in enumerate(_PLACEHOLDER.split(template)):
        if index % 2 and piece in values:
            pieces.append(path_text(values[piece]))
        elif index % 2:
            raise RequestError(
                f"path parameter {piece!r}: it has no value, and {operation.title} cannot be called without it",
                code="AZM-R001",
                place=place,
                next=f"give the step a parameter {piece!r} with `in: path` whose value is not null",
            )
        elif re.search(r"[{}\ud800-\udfff]", piece) or CONTROL.search(piece):
            raise RequestError(
                f"the path of {operation.title!r} is not a path template",
                code="AZM-R002",
                place=place,
                seen=ascii(piece),
            )
        else:
            pieces.append(quote(piece, safe=_LITERAL))
    text = join_text(pieces)
    if strict and isinstance(text, str) and {".", ".."} & set(re.split(r"[/\\]", unquote(text))):
        raise RequestError(
            f"the path of {operation.title!r} would hold a segment '.' or '..'",
            code="AZM-R002",
            place=place,
            next="such segments lead to another resource and are never sent",
        )
    return text
