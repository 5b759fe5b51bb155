"""The values a machine computes with: JSON, the absent value, and secrets that have no text of their own.

A secret is never a string here. It is a ``SecretRef`` (a name), and a string built from one is a ``SecretText``
(its parts). Only the driver, at the moment of sending, knows the texts and joins the parts; so snapshots, records,
logs and pictures cannot hold a secret however they are made. A file, too, is only referred to (``FileRef``): its bytes
are read when they are sent. This file does no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

__all__ = [
    "MISSING",
    "Content",
    "FileRef",
    "Json",
    "Missing",
    "SecretRef",
    "SecretText",
    "Value",
    "contains_file",
    "contains_secret",
    "decode",
    "encode",
    "files_in",
    "join_text",
    "redact",
    "secret_names",
    "secrets_in",
    "weight",
]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class Missing:
    """The value of an expression that points at nothing. Not null: an absent property is left out, null is sent."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing()


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A secret by name. ``encoding`` is how the driver writes it at this spot: ``""`` as it is, else the encoders one
    after the other, separated by spaces; ``"percent"`` in a URL, ``"json percent"`` for a JSON text in a URL."""

    name: str
    encoding: str = ""

    def encoded(self, encoder: str) -> SecretRef:
        """The same secret, written by one more encoder."""
        return SecretRef(self.name, f"{self.encoding} {encoder}".lstrip())

    def __str__(self) -> str:
        return f"[secret {self.name}]"


@dataclass(frozen=True, slots=True)
class SecretText:
    """A string with secrets in it, kept as its parts. ``str()`` shows the names, never the texts."""

    parts: tuple[str | SecretRef, ...]

    def __str__(self) -> str:
        return "".join(str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class FileRef:
    """Bytes that are kept elsewhere: a file of the operator's, or the body of an answer that is no text.

    Made only of what an operator gave or a server answered, never out of a text.
    """

    sha256: str
    """Of the bytes; what is sent later must still have it."""
    size: int
    """In bytes."""
    type: str = "application/octet-stream"
    """The media type it seems to be, or was said to be."""
    name: str = ""
    """The file's name without folders."""
    path: str = ""
    """Where the operator's file is; empty for the bytes of an answer, which the store has."""

    def __str__(self) -> str:
        return f"[file {self.name or self.sha256[:12]}, {self.size} bytes]"


@dataclass(frozen=True, slots=True)
class Content:
    """A body with secrets or files in it, kept as its parts; the texts among them are sent as UTF-8."""

    parts: tuple[str | SecretRef | FileRef, ...]

    def __str__(self) -> str:
        return "".join(str(part) for part in self.parts)


Value: TypeAlias = "Json | SecretRef | SecretText | FileRef | Content | Missing"

_SECRET: Final = "$secret"
_TEXT: Final = "$text"
_FILE: Final = "$file"
_CONTENT: Final = "$content"
_LITERAL: Final = "$literal"
_MARKS: Final = frozenset({_SECRET, _TEXT, _FILE, _CONTENT, _LITERAL})


def join_text(parts: Iterable[str | SecretRef | SecretText]) -> str | SecretText:
    """Concatenate; a plain string when no part is a secret, else a SecretText with neighbouring strings merged."""
    flat: list[str | SecretRef] = []
    for part in parts:
        for piece in part.parts if isinstance(part, SecretText) else (part,):
            if isinstance(piece, str) and flat and isinstance(flat[-1], str):
                flat[-1] += piece
            elif piece != "":
                flat.append(piece)
    if any(isinstance(piece, SecretRef) for piece in flat):
        return SecretText(tuple(flat))
    return "".join(cast("list[str]", flat))


_SCALAR: Final = (str, int, float, type(None))
_OBJECT: Final = (dict, Mapping)
"""What most values are is asked first: the abstract class alone takes ten times as long to say yes or no."""


def redact(value: Any) -> Json:
    """The value with every secret shown as ``[secret NAME]``, every file by what is known of it, and every absent value
    as null: safe to print."""
    if isinstance(value, _SCALAR):
        return value
    if isinstance(value, _OBJECT):
        return {key: redact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    if isinstance(value, (SecretRef, SecretText, Content)):
        return str(value)
    if isinstance(value, FileRef):
        return {"sha256": value.sha256, "size": value.size, "type": value.type}
    return None if isinstance(value, Missing) else cast("Json", value)


def contains_secret(value: Any) -> bool:
    """Whether a secret stands anywhere inside the value."""
    if isinstance(value, _SCALAR):
        return False
    if isinstance(value, (SecretRef, SecretText)):
        return True
    if isinstance(value, _OBJECT):
        return any(contains_secret(item) for item in value.values())
    if isinstance(value, Content):
        return any(isinstance(part, SecretRef) for part in value.parts)
    return isinstance(value, (list, tuple)) and any(contains_secret(item) for item in value)


def contains_file(value: Any) -> bool:
    """Whether bytes kept elsewhere are referred to anywhere inside the value."""
    return any(True for _ in files_in(value))


def files_in(value: Any) -> Iterator[FileRef]:
    """Every reference to bytes kept elsewhere that stands inside the value."""
    if isinstance(value, _SCALAR):
        return
    if isinstance(value, FileRef):
        yield value
    elif isinstance(value, _OBJECT):
        for item in value.values():
            yield from files_in(item)
    elif isinstance(value, (list, tuple, Content)):
        for item in value.parts if isinstance(value, Content) else value:
            yield from files_in(item)


def secrets_in(value: Any) -> Iterator[SecretRef]:
    """Every reference to a secret that stands inside the value."""
    if isinstance(value, _SCALAR):
        return
    if isinstance(value, SecretRef):
        yield value
    elif isinstance(value, _OBJECT):
        for item in value.values():
            yield from secrets_in(item)
    elif isinstance(value, (list, tuple, SecretText, Content)):
        for item in value if isinstance(value, (list, tuple)) else value.parts:
            yield from secrets_in(item)


_VALUE = 64


def weight(value: Any, most: int) -> int:
    """How many characters there are in a value, each value counted as 64, because going through it takes that long;
    where there are more than ``most``, some number above it. What stands in it several times counts each time, as it
    does where it is written down."""
    found, waiting = 0, [value]
    while waiting and found <= most:
        one = waiting.pop()
        found += _VALUE
        if isinstance(one, str):
            found += len(one)
        elif isinstance(one, _OBJECT):
            found += sum(map(len, one))
            waiting.extend(one.values())
        elif isinstance(one, (list, tuple)):
            waiting.extend(one)
        elif isinstance(one, (SecretText, Content)):
            waiting.extend(one.parts)
    return found


def secret_names(value: Any) -> set[str]:
    """The names of all secrets inside the value."""
    return {ref.name for ref in secrets_in(value)}


def encode(value: Any) -> Json:
    """A value as plain JSON for the journal. Objects that look like our marks are wrapped, so nothing can forge one."""
    if isinstance(value, _SCALAR):
        return value
    if isinstance(value, _OBJECT):
        # Scalars are taken as they are here too: an answer is mostly scalars, and a call for each is half the time.
        body = {str(key): item if isinstance(item, _SCALAR) else encode(item) for key, item in value.items()}
        return body if _MARKS.isdisjoint(body) else {_LITERAL: body}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, SecretRef):
        return {_SECRET: value.name, "encoding": value.encoding} if value.encoding else {_SECRET: value.name}
    if isinstance(value, SecretText):
        return {_TEXT: [encode(part) for part in value.parts]}
    if isinstance(value, Content):
        return {_CONTENT: [encode(part) for part in value.parts]}
    if isinstance(value, FileRef):
        return {_FILE: value.sha256, "size": value.size, "type": value.type, "name": value.name, "path": value.path}
    return {_LITERAL: None} if isinstance(value, Missing) else cast("Json", value)


def decode(value: Any) -> Any:
    """The inverse of :func:`encode`."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _LITERAL in value:
        body = value[_LITERAL]
        return MISSING if body is None else {key: decode(item) for key, item in body.items()}
    if _SECRET in value:
        return SecretRef(str(value[_SECRET]), str(value.get("encoding", "")))
    if _TEXT in value:
        return SecretText(tuple(decode(part) for part in value[_TEXT]))
    if _CONTENT in value:
        return Content(tuple(decode(part) for part in value[_CONTENT]))
    if _FILE in value:
        return FileRef(value[_FILE], value["size"], value["type"], value["name"], value["path"])
    return {key: decode(item) for key, item in value.items()}
