"""What a step says of an operation -> that Operation, in every form in which real documents say it.

The specification has two forms: an operationId, qualified by its source where several have it, and a source with a
JSON Pointer. Others that can mean only one operation are accepted and noted (tolerance C6); whoever asks decides what
to do about the notes. Nothing is guessed: what fits two operations is refused with both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final
from urllib.parse import unquote

from ..errors import DocumentError, Place, SourceError
from .model import Operation, Source
from .nodes import unescape

__all__ = ["C6", "check_sent", "find_operation", "find_operation_path"]

C6: Final = "the operation is not named as the specification has it; read as the one operation it can mean"

_EXPRESSION: Final = "$sourceDescriptions."
_OPERATION_PATH: Final = re.compile(
    r"(?:\{\$sourceDescriptions\.(?P<braced>[^.{}#]+)(?P<url>\.url)?\}"
    r"|\$sourceDescriptions\.(?P<bare>[^.{}#]+)(?:\.url)?"
    r"|(?P<plain>[^${}#/ ]*))"
    r"#(?P<pointer>/.*)",
    re.DOTALL,
)
_REQUEST_LINE: Final = re.compile(r"(?:(?P<method>[A-Za-z]{3,10})\s+)?(?P<path>/\S*)")


def find_operation(
    sources: Mapping[str, Source], reference: str, *, place: Place, notes: list[str] | None = None
) -> Operation:
    """The operation a step's ``operationId`` names: bare, or ``$sourceDescriptions.<name>.<operationId>``.

    A bare id is accepted as long as only one source has it, however many sources there are; the specification asks
    for the qualified form there (Step Object), but many documents leave it out and nothing is unclear about them.
    ``<name>.<operationId>`` is accepted, and everything :func:`find_operation_path` takes.

    Raises DocumentError (AZM-D201 to D204) when it names no single operation, SourceError when its source could not
    be read or (AZM-S006) does not say how to call it.
    """
    notes = [] if notes is None else notes
    text = reference.strip()
    if text.startswith("{") and text.endswith("}"):
        notes.append(f"{reference}: {C6}")
        text = text[1:-1]
    if text.startswith(_EXPRESSION) and "#" not in text:
        # Operation ids may contain dots, source names may not: only the second dot separates.
        name, _, operation_id = text.removeprefix(_EXPRESSION).partition(".")
        candidates = [_source(sources, name, seen=reference, place=place)]
    else:
        operation_id = text
        candidates = [one for one in sources.values() if one.problem is None]
    found = [source for source in candidates if operation_id in source.operations]
    if not found and not text.startswith(_EXPRESSION):
        name, dot, rest = text.partition(".")
        if dot and name in sources and sources[name].problem is None and rest in sources[name].operations:
            notes.append(f"{reference}: {C6}")
            found, operation_id = [sources[name]], rest
    if not found:
        if "#/" in text or _REQUEST_LINE.fullmatch(text):
            return find_operation_path(sources, text, place=place, notes=notes)
        for source in candidates:
            if "" in source.unread:
                raise _unusable(repr(operation_id), source, (source.unread[""],), place=place)
        _raise_unread(sources, candidates)
        raise _not_found(candidates, operation_id, place=place)
    if len(found) > 1:
        names = [f"{_EXPRESSION}{source.name}.{operation_id}" for source in found]
        raise DocumentError(
            f"several source descriptions have an operation {operation_id!r}",
            code="AZM-D202",
            place=place,
            seen=reference,
            next=f"write one of: {', '.join(names)}",
        )
    source = found[0]
    if operation_id in source.duplicates:
        titles = source.duplicates[operation_id]
        raise DocumentError(
            f"the source description {source.name!r} has {len(titles)} operations with the id {operation_id!r}",
            code="AZM-D203",
            place=place,
            seen=", ".join(titles),
            next="name the operation by operationPath instead",
        )
    return _usable(source.operations[operation_id], source, place=place)


def find_operation_path(
    sources: Mapping[str, Source], text: str, *, place: Place, notes: list[str] | None = None
) -> Operation:
    """The operation a step's ``operationPath`` names: a source and a JSON Pointer (RFC 6901) to the operation.

    ``{$sourceDescriptions.<name>.url}#/paths/~1pets~1{id}/get`` is the specification's form. Accepted as well: the
    same without braces, without ``.url``, with the name alone or (where that is clear) without any; a path item that
    has one operation; ``/pets/{id}`` behind the ``#``; and ``GET /pets/{id}`` or ``/pets/{id}`` alone.

    Raises as :func:`find_operation` does, and DocumentError AZM-D205 for any other form.
    """
    notes = [] if notes is None else notes
    match = _OPERATION_PATH.fullmatch(text.strip())
    line = _REQUEST_LINE.fullmatch(match["pointer"] if match else text.strip())
    tokens = match["pointer"].split("/")[1:] if match else []
    pointed = tokens[:1] == ["paths"] and len(tokens) in (2, 3)
    if not pointed and line is None:
        raise _no_path(text, place)
    name = (match["braced"] or match["bare"] or match["plain"]) if match else ""
    if name:
        candidates = [_source(sources, name, seen=text, place=place)]
    else:
        candidates = [one for one in sources.values() if one.problem is None]
    if pointed:
        spellings = (unescape(tokens[1]), unescape(unquote(tokens[1])))
        method = unescape(tokens[2]).upper() if len(tokens) == 3 else ""
    else:
        assert line is not None
        spellings = (line["path"], unquote(line["path"]))
        method = (line["method"] or "").upper()
    if not (match and match["url"] and pointed and method):
        notes.append(f"{text}: {C6}")
    found = _at(candidates, spellings, method)
    if len(found) == 1:
        return _usable(found[0], sources[found[0].source], place=place)
    if found:
        several = [f"{{{_EXPRESSION}{one.source}.url}}#{_pointer(one)}" for one in found[:4]]
        raise DocumentError(
            "this operationPath fits several operations",
            code="AZM-D202",
            place=place,
            seen=text,
            next=f"write one of: {', '.join(several)}",
        )
    for source in candidates:
        # In a URI fragment a pointer is percent-encoded as well (RFC 6901 section 6); most documents write it plain.
        for path in (*spellings, ""):
            if path in source.unread:
                raise _unusable(f"{method} {spellings[0]}".strip(), source, (source.unread[path],), place=place)
    _raise_unread(sources, candidates)
    if not any(spelling.startswith("/") for spelling in spellings):
        raise _no_path(text, place)
    titles = [f"{one} {path}" for source in candidates for path, item in source.paths.items() for one in item]
    wanted = f"{method} {spellings[0]}".strip()
    where = f"the source description {candidates[0].name!r}" if len(candidates) == 1 else "no source description"
    raise DocumentError(
        f"{where} has {'no' if len(candidates) == 1 else 'an'} operation {wanted}",
        code="AZM-D201",
        place=place,
        seen=text,
        next=_suggest(wanted, titles) + _hidden(candidates),
    )


def check_sent(operation: Operation, source: Source, name: str, location: str, *, place: Place) -> None:
    """Refuse to send a parameter, or a body (``""``, ``body``), of which a key that stands twice leaves unknown how.

    Raises SourceError AZM-S006.
    """
    key = (name.lower() if location == "header" else name, location)
    if key not in operation.unclear and location != "body" and operation.parameter(name, location) is None:
        key = ("", "")
    if note := operation.unclear.get(key):
        raise _unusable(operation.title, source, (note,), place=place)


def _at(candidates: list[Source], spellings: tuple[str, ...], method: str) -> list[Operation]:
    """The operations at a path, or the one of that method."""
    found = []
    for source in candidates:
        path = next((one for one in spellings if one in source.paths), "")
        item = source.paths.get(path, {})
        found += [item[method]] if method in item else [] if method else list(item.values())
    return found


def _pointer(operation: Operation) -> str:
    escaped = operation.path.replace("~", "~0").replace("/", "~1")
    return f"/paths/{escaped}/{operation.method.lower()}"


def _no_path(text: str, place: Place) -> DocumentError:
    return DocumentError(
        "this operationPath does not point at an operation",
        code="AZM-D205",
        place=place,
        seen=text[:200],
        next="write it as {$sourceDescriptions.<name>.url}#/paths/~1pets~1{id}/get",
    )


def _source(sources: Mapping[str, Source], name: str, *, seen: str, place: Place) -> Source:
    if name not in sources:
        raise DocumentError(
            f"there is no source description of type openapi named {name!r}",
            code="AZM-D204",
            place=place,
            seen=seen,
            next=f"OpenAPI sources here: {', '.join(sources) or 'none'}; an operation cannot be called through an "
            "Arazzo document",
        )
    if (problem := sources[name].problem) is not None:
        raise problem
    return sources[name]


def _raise_unread(sources: Mapping[str, Source], candidates: list[Source]) -> None:
    """What is not found may stand in a source that could not be read: then that is what is wrong."""
    if [one.name for one in candidates] == [one.name for one in sources.values() if one.problem is None]:
        for one in sources.values():
            if one.problem is not None:
                raise one.problem


def _not_found(candidates: list[Source], operation_id: str, *, place: Place) -> DocumentError:
    known = [one for source in candidates for one in source.order]
    where = ", ".join(repr(source.name) for source in candidates) or "any source: no OpenAPI source is loaded"
    return DocumentError(
        f"no operation {operation_id!r} in {where}",
        code="AZM-D201",
        place=place,
        seen=operation_id,
        next=_suggest(operation_id, known) + _hidden(candidates),
    )


def _hidden(candidates: list[Source]) -> str:
    """What could not be read of the first source: what is looked for may stand there."""
    for source in candidates:
        if source.unread:
            return f"; {'; '.join(list(source.unread.values())[:3])}: {_mend(source)}"
    return ""


def _suggest(wanted: str, known: list[str]) -> str:
    # Comparing is quadratic in the length of the wanted text, and that text is somebody else's.
    close = get_close_matches(wanted[:200], known, n=3)
    return f"did you mean {' or '.join(close)}?" if close else f"{len(known)} operations are known, none like it"


def _usable(operation: Operation, source: Source, *, place: Place) -> Operation:
    if operation.unresolved:
        raise _unusable(operation.title, source, operation.unresolved, place=place)
    return operation


def _unusable(title: str, source: Source, notes: tuple[str, ...], *, place: Place) -> SourceError:
    return SourceError(
        f"the description {source.name!r} does not say how to call {title}: {'; '.join(notes)}",
        code="AZM-S006",
        place=place,
        next=_mend(source),
    )


def _mend(source: Source) -> str:
    called = source.called or source.name
    return f"mend the description, or bundle its files into one, and give it with --source {called}=PATH"
