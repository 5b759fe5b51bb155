"""Text -> Tree: plain JSON values, and where in the text each of them stands. YAML 1.2 (core schema) or JSON.

Reads text somebody else wrote, so everything is bounded (bytes, depth, values, digits), nothing recurses, nothing is
constructed from a tag, and every refusal is a DocumentError with line and column. Opens no file, follows no reference.

PyYAML supplies only the events; the values are made here, because its own constructor speaks YAML 1.1 (``no`` is
False, ``12:30`` is 750, the last of two equal keys wins, ``<<`` merges).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import yaml
from yaml import events

from ..errors import DocumentError, Place
from .builder import MAX_DEPTH, MAX_VALUES, Builder, Built, Refused, Unplaced, shown
from .positions import Positions, Spot, Tree

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_VALUES", "Positions", "Tree", "parse"]

MAX_BYTES: Final = 50 * 1024 * 1024
MAX_DIGITS: Final = 4000
"""Python refuses to print integers of more than 4300 digits, so none may enter."""
MAX_DIRECTIVES: Final = 16
"""Lines with ``%`` before the document: libyaml compares each with all others, so their number must be bounded."""

_LARGEST: Final = 10**MAX_DIGITS
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_LINE_WITH_CONTENT: Final = re.compile(r"(?:\A|(?<=[\r\n\x85\u2028\u2029]))(?:(%)|[ \t]*[^\s#])")
_SURROGATE: Final = re.compile(r"\\[uU](?:0000)?[dD][89a-fA-F]")
_STARTS: Final = frozenset("0123456789+-.~nNtTfF")
_WORDS: Final[Mapping[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER: Final = re.compile(
    r"(?P<int>[-+]?[0-9]+)|0o(?P<oct>[0-7]+)|0x(?P<hex>[0-9a-fA-F]+)"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<odd>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
)
_TAG: Final = "tag:yaml.org,2002:"
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "null": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
}


def parse(
    data: bytes | str, *, uri: str = "", positions: bool = True, most: int = MAX_VALUES, lenient: bool = False
) -> Tree:
    """Read one YAML 1.2 or JSON document of at most ``most`` values.

    ``positions=False`` is for large source descriptions: the same values, no line numbers afterwards (refusals still
    carry theirs). ``lenient`` is for texts of which only a part may be needed: the value of a key that stands twice in
    one object is a ``Twice``, for as many as ``MAX_TWICE`` of them. Raises DocumentError, codes AZM-D001 to AZM-D013,
    and nothing else.
    """
    make = partial(Builder, most=most, lenient=lenient, uri=uri)
    try:
        raw, text = _decode(data)
        try:
            value, where, twice = _read(text, positions, most, make)
        except Unplaced:
            value, where, twice = _read(text, True, most, make)
    except Refused as problem:
        line, column = problem.spot or (0, 0)
        place = Place(document=uri, line=line, column=column)
        raise DocumentError(problem.message, code=problem.code, place=place, next=problem.next) from None
    digest = hashlib.sha256(raw).hexdigest()
    return Tree(value=value, positions=where if positions else Positions(), uri=uri, sha256=digest, twice=twice)


def _decode(data: bytes | str) -> tuple[bytes, str]:
    """The bytes for the digest and the text without its byte order mark."""
    try:
        raw = data.encode() if isinstance(data, str) else bytes(data)
        if len(raw) > MAX_BYTES:
            raise Refused("AZM-D002", f"the document is larger than {MAX_BYTES >> 20} MiB")
        text = data if isinstance(data, str) else raw.decode()
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        before = data[: error.start]
        known = before.encode() if isinstance(before, str) else before
        spot = (known.count(b"\n") + 1, len(known.rpartition(b"\n")[2].decode()) + 1)
        raise Refused("AZM-D001", "the document is not UTF-8 text", spot=spot, next="save it as UTF-8") from None
    return raw, text.removeprefix("\ufeff")


def _read(text: str, positions: bool, most: int, make: Callable[[bool], Builder]) -> Built:
    """Text that begins like JSON is read as JSON; where that fails it may still be YAML in flow style."""
    start = _end_of_space(text, 0)
    if text[start : start + 1] not in ("{", "[", '"'):
        return _read_yaml(text, make(positions))
    if not positions:
        # Where something is wrong with it, the careful reader says what and where.
        with suppress(ValueError, RecursionError, Refused):
            return _read_json_fast(text, most), Positions(), ()
    try:
        return _read_json(text, start, make(positions))
    except Refused as problem:
        if problem.code != "AZM-D003":
            raise
        try:
            return _read_yaml(text, make(positions))
        except Refused as other:
            # Whichever reader came further understood the author better.
            syntax = other.code == problem.code and (problem.spot or (0, 0)) >= (other.spot or (0, 0))
            raise problem if syntax else other from None


def _read_yaml(text: str, build: Builder) -> Built:
    _bound_directives(text)
    anchors: dict[str, tuple[Any, int, int] | None] = {}
    opened: list[str | None] = []
    unpaired = _SURROGATE.search(text) is not None
    documents, spot = 0, (1, 1)
    try:
        # libyaml where PyYAML was built with it; both parsers keep their own stack and never recurse.
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            mark: Any = event.start_mark
            spot = (mark.line + 1, mark.column + 1)
            if isinstance(event, events.ScalarEvent):
                if unpaired:
                    _check_text(event.value)
                if build.expects_key():
                    value = _key(event)
                    build.name(value, spot)
                else:
                    value = _scalar(event)
                    build.put(value, spot)
                if event.anchor is not None:
                    anchors[event.anchor] = (value, 1, 0)
            elif isinstance(event, events.CollectionStartEvent):
                mapping = isinstance(event, events.MappingStartEvent)
                if event.tag not in (None, "!", _TAG + ("map" if mapping else "seq")):
                    raise Refused("AZM-D006", f"the tag {shown(str(event.tag))} is not allowed here")
                if build.expects_key():
                    raise Refused("AZM-D005", "an object or list cannot be a key")
                build.begin({} if mapping else [], spot)
                opened.append(event.anchor)
                if event.anchor is not None:
                    anchors[event.anchor] = None
            elif isinstance(event, events.CollectionEndEvent):
                made, anchor = build.end(), opened.pop()
                if anchor is not None:
                    anchors[anchor] = made
            elif isinstance(event, events.AliasEvent):
                _alias(event.anchor or "", anchors, build, spot)
            elif isinstance(event, events.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Refused("AZM-D007", "a second document begins here", next="keep one document in a file")
    except Refused as problem:
        problem.spot = problem.spot or spot
        raise
    except yaml.MarkedYAMLError as error:
        found = error.problem_mark or error.context_mark
        at = (found.line + 1, found.column + 1) if found else spot
        code = "AZM-D008" if "nesting depth" in str(error.problem) else "AZM-D003"  # libyaml counts levels as well
        raise Refused(code, f"not valid YAML: {error.problem or error.context}", spot=at) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # A reader error carries an offset instead of a mark; an impossible \U escape is a ValueError of chr().
        reason, offset = getattr(error, "reason", "bad character"), getattr(error, "position", None)
        at = _Lines(text).spot(offset) if isinstance(offset, int) and offset <= len(text) else spot
        raise Refused("AZM-D003", f"not valid YAML: {reason}", spot=at) from None
    if not documents:
        raise Refused("AZM-D013", "the document is empty", spot=(1, 1))
    return build.result()


def _bound_directives(text: str) -> None:
    """Count the lines with ``%`` up to the first line of the document itself (YAML 1.2.2, 6.8)."""
    for count, found in enumerate(_LINE_WITH_CONTENT.finditer(text), start=1):
        if found[1] is None:
            return
        if count > MAX_DIRECTIVES:
            raise Refused("AZM-D006", f"more than {MAX_DIRECTIVES} directives", spot=(1, 1))


def _alias(name: str, anchors: Mapping[str, tuple[Any, int, int] | None], build: Builder, spot: Spot) -> None:
    if (made := anchors.get(name)) is None:
        seen = "stands inside the value it names" if name in anchors else "names no anchor before it"
        raise Refused("AZM-D012", f"the alias {shown('*' + name)} {seen}")
    value, size, height = made
    if not build.expects_key():
        build.put(value, spot, size, height)
    elif isinstance(value, str):
        build.name(value, spot)
    else:
        raise Refused("AZM-D005", "this alias is a key but not a string")


def _key(event: events.ScalarEvent) -> str:
    """Keys are strings; a number such as the status code of an OpenAPI response stays the text it was written as."""
    tag = event.tag
    if tag in (None, "!", _TAG + "str"):
        if tag is None and not event.style and event.value in _WORDS:
            kind = "null" if _WORDS[event.value] is None else "a boolean"
            raise Refused("AZM-D005", f"a key must be a string, this is {kind}", next="put it in quotes")
        return event.value
    if tag in (_TAG + "int", _TAG + "float"):
        _scalar(event)
        return event.value
    raise Refused("AZM-D005", f"a key must be a string, this is tagged {shown(tag or '')}")


def _scalar(event: events.ScalarEvent) -> Any:
    """YAML 1.2.2, 10.3.2: only a plain scalar without a tag is looked up in the core schema; the rest is text."""
    tag = event.tag
    if tag is None:
        return event.value if event.style else _plain(event.value)
    if tag in ("!", _TAG + "str"):
        return event.value
    kind = tag.removeprefix(_TAG)
    if kind not in _KINDS or kind == tag:
        raise Refused("AZM-D006", f"the tag {shown(tag)} is not allowed here", next="use plain JSON values")
    value = _plain(event.value)
    if type(value) not in _KINDS[kind]:
        raise Refused("AZM-D006", f"this value is tagged !!{kind} but is none")
    return float(value) if kind == "float" else value


def _plain(text: str) -> Any:
    """The table of YAML 1.2.2, 10.3.2. Octal is ``0o7``; ``010`` is ten; dates and times are text."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _STARTS or not (found := _NUMBER.fullmatch(text)):
        return text
    match found.lastgroup:
        case "int":
            return _integer(text)
        case "oct" | "hex":
            digits = found[found.lastgroup]
            if len(digits) > MAX_DIGITS:
                raise _too_long()
            number = int(digits, 8 if found.lastgroup == "oct" else 16)
            if number >= _LARGEST:
                raise _too_long()
            return number
        case "float":
            return _float(text)
        case _:
            raise _constant(text)


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS + 1 or len(text.lstrip("+-")) > MAX_DIGITS:
        raise _too_long()
    return int(text)


def _float(text: str) -> float:
    """RFC 8259, 6 leaves the range to the reader; a number that would become infinite cannot be written back."""
    number = float(text)
    if math.isinf(number):
        raise Refused("AZM-D010", "this number is too large", next="quote it if it is meant as text")
    return number


def _constant(text: str) -> Refused:
    return Refused("AZM-D010", f"{text} is not a JSON value", next="quote it if it is meant as text")


def _too_long() -> Refused:
    message = f"an integer of more than {MAX_DIGITS} digits"
    return Refused("AZM-D011", message, next="quote it if it is meant as text")


def _check_text(text: str) -> None:
    """Half a surrogate pair is no character: it can be neither stored nor sent (RFC 8259, 8.2)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused("AZM-D001", "this text holds half a surrogate pair") from None


class _Lines:
    """Offsets of a text as line and column."""

    __slots__ = ("_starts",)

    def __init__(self, text: str) -> None:
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def spot(self, offset: int) -> Spot:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


def _end_of_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _refuse_constant(text: str) -> Any:
    raise _constant(text)


def _read_json(text: str, position: int, build: Builder) -> Built:
    """RFC 8259 without recursion: containers are walked here, json reads only the strings, numbers and words."""
    lines = _Lines(text)
    unpaired = _SURROGATE.search(text) is not None
    decoder = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_refuse_constant)

    def read(position: int) -> tuple[Any, int]:
        value, end = decoder.raw_decode(text, position)
        if unpaired and isinstance(value, str):
            _check_text(value)
        return value, end

    def expected(what: str, position: int) -> Refused:
        return Refused("AZM-D003", f"not valid JSON: expected {what}", spot=lines.spot(position))

    def read_key(position: int) -> int:
        if text[position : position + 1] != '"':
            raise expected("a key in double quotes", position)
        name, end = read(position)
        build.name(name, lines.spot(position))
        end = _end_of_space(text, end)
        if text[end : end + 1] != ":":
            raise expected("':' after the key", end)
        return _end_of_space(text, end + 1)

    try:
        while True:
            char = text[position : position + 1]
            if char == "{" or char == "[":
                build.begin({} if char == "{" else [], lines.spot(position))
                position = _end_of_space(text, position + 1)
                if text[position : position + 1] != ("}" if char == "{" else "]"):
                    position = read_key(position) if char == "{" else position
                    continue
            else:
                value, end = read(position)
                build.put(value, lines.spot(position))
                position = _end_of_space(text, end)
            while build.stack:
                mapping = isinstance(build.stack[-1].container, dict)
                char = text[position : position + 1]
                if char == ("}" if mapping else "]"):
                    build.end()
                    position = _end_of_space(text, position + 1)
                    continue
                if char != ",":
                    raise expected("',' or '}'" if mapping else "',' or ']'", position)
                position = _end_of_space(text, position + 1)
                position = read_key(position) if mapping else position
                break
            else:
                if position != len(text):
                    raise expected("nothing after the value", position)
                return build.result()
    except json.JSONDecodeError as error:
        message = f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        raise Refused("AZM-D003", message, spot=lines.spot(error.pos)) from None
    except Refused as problem:
        problem.spot = problem.spot or lines.spot(position)
        raise


def _read_json_fast(text: str, most: int) -> Any:
    """The C decoder, for sound texts. Raises ValueError, RecursionError or Refused, none of them with a place."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            raise ValueError
        return made

    value = json.loads(
        text, object_pairs_hook=unique, parse_int=_integer, parse_float=_float, parse_constant=_refuse_constant
    )
    if _SURROGATE.search(text):
        _check_text(json.dumps(value, ensure_ascii=False))
    layer, depth, count = [value], 0, 0
    while layer:
        count += len(layer)
        containers = [item for item in layer if isinstance(item, dict | list)]
        depth += bool(containers)
        if depth > MAX_DEPTH or count > most:
            raise ValueError
        layer = [inner for item in containers for inner in (item.values() if isinstance(item, dict) else item)]
    return value
