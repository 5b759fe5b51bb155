"""A Selector Object (Arazzo 1.1) -> a selection whose language is decided; and that and a context -> a value.

A value that is selected keeps its type. A query that can select one node only, for its form, is that node's value; any
other is the list of what it selects, however many that are: so the shape of a value never depends on the reply. An
XPath has no such form, and is one value where it selects one. What selects nothing, or cannot be read, is absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast

from ..errors import BugError, DocumentError, Place
from ..values import MISSING, Json, Missing, Value
from .evaluate import Context, evaluate, point
from .grammar import Expression, is_expression, parse_expression
from .jsonpath import Query, compile_query, restore_query
from .question import Undecided
from .xpath import XPath, compile_xpath, restore_xpath

__all__ = [
    "Kind",
    "Selector",
    "compile_selector",
    "is_selector",
    "pointer_tokens",
    "restore_selector",
    "restored",
    "selection",
]

Kind: TypeAlias = Literal["jsonpointer", "jsonpath", "xpath"]

_KINDS: Final = ("jsonpointer", "jsonpath", "xpath")
_FIELDS: Final = frozenset({"context", "selector", "type"})
_VERSIONS: Final = {
    "jsonpointer": ("", "rfc6901"),
    "jsonpath": ("", "rfc9535", "draft-goessner-dispatch-jsonpath-00"),
}
_STRAY: Final = re.compile(r"~(?![01])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """What is selected in the value of ``context``."""

    context: Expression
    kind: Kind
    text: str
    version: str
    selects: tuple[str, ...] | Query | XPath
    """The tokens of a JSON Pointer, or the query."""

    def expressions(self) -> tuple[Expression, ...]:
        if isinstance(self.selects, tuple):
            return (self.context,)
        inner = self.selects.given if isinstance(self.selects, XPath) else self.selects.expressions()
        return (self.context, *inner)

    def read(self, context: Context) -> Value:
        """The value selected now, or ``MISSING``."""
        root = evaluate(self.context, context)
        if root is None or isinstance(root, Missing):
            return MISSING
        if isinstance(self.selects, tuple):
            return point(root, self.selects)
        if isinstance(self.selects, XPath):
            answer = self.selects.ask("value", root, context)
            return MISSING if answer.problem or answer.value == [] else answer.value
        try:
            return self.selects.read(context, root)
        except (Undecided, RecursionError):
            return MISSING

    def to_json(self) -> dict[str, Json]:
        return {"context": str(self.context), "type": self.kind, "version": self.version, "selector": self.text}


def is_selector(value: object) -> bool:
    """Whether an object is a Selector Object and no plain value (1.1, "Parameter Object", value): it has its three
    fields and no other, and its context is an expression."""
    return (
        isinstance(value, Mapping)
        and value.keys() == _FIELDS
        and isinstance(value["context"], str)
        and is_expression(value["context"])
        and isinstance(value["selector"], str)
    )


def compile_selector(value: Mapping[str, object], *, minor: str, inside: Callable[..., Place]) -> Selector:
    """Compile what :func:`is_selector` found to be one. ``inside(field)`` is the place of a field of it.

    :raises DocumentError: AZM-E320 for a type or version nobody knows, AZM-E321 for a pointer that is none, and what
        the query's own language refuses.
    """
    text = str(value["selector"])
    kind, version = _type_and_version(value["type"])
    if kind not in _KINDS or version not in _VERSIONS.get(kind, (version,)):
        raise DocumentError(
            f"a selector of type {kind or 'unknown'!r}{f' and version {version!r}' if version else ''} is not known",
            code="AZM-E320",
            place=inside("type"),
            next=f"Use type: {', '.join(_KINDS)}.",
        )
    return Selector(
        context=parse_expression(str(value["context"]), place=inside("context"), minor=minor),
        kind=cast("Kind", kind),
        text=text,
        version=version,
        selects=selection(kind, text, version, minor=minor, place=inside("selector")),
    )


def selection(kind: str, text: str, version: str, *, minor: str, place: Place) -> tuple[str, ...] | Query | XPath:
    """Read a selector of a known kind. Raises DocumentError as :func:`compile_selector` does."""
    if kind == "xpath":
        return compile_xpath(text, version, minor=minor, place=place)
    if kind == "jsonpath":
        return compile_query(text, minor=minor, place=place, version=version)
    return pointer_tokens(text, place)


def restored(kind: str, text: str, version: str) -> tuple[str, ...] | Query | XPath:
    """A selector out of a stored plan."""
    if kind == "xpath":
        xpath = restore_xpath(text, version, reading="xpath").xpath
        assert xpath is not None
        return xpath
    return restore_query(text, version=version) if kind == "jsonpath" else pointer_tokens(text, Place())


def restore_selector(data: Mapping[str, object]) -> Selector:
    """The inverse of :meth:`Selector.to_json`. Raises BugError for JSON it cannot have written."""
    context, kind, version, text = (data.get(name) for name in ("context", "type", "version", "selector"))
    if not all(isinstance(one, str) for one in (context, version, text)) or kind not in _KINDS:
        raise BugError("a stored selector has a form this release does not write", code="AZM-E034")
    return Selector(
        context=parse_expression(str(context), place=Place()),
        kind=kind,
        text=str(text),
        version=str(version),
        selects=restored(str(kind), str(text), str(version)),
    )


def pointer_tokens(text: str, place: Place) -> tuple[str, ...]:
    """The unescaped tokens of a JSON Pointer (RFC 6901 sections 3 and 4).

    :raises DocumentError: AZM-E321 when it is none.
    """
    if (text and not text.startswith("/")) or _STRAY.search(text):
        raise DocumentError(
            "this is no JSON Pointer",
            code="AZM-E321",
            place=place,
            seen=text[:80],
            next="It is empty or begins with a slash; ~ is written ~0 and / inside a name ~1.",
        )
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:])


def _type_and_version(value: object) -> tuple[str, str]:
    """Of a type written as a word or as an Expression Type Object; empty where it is neither."""
    if isinstance(value, Mapping):
        return str(value.get("type", "")), str(value.get("version", "") or "")
    return (value, "") if isinstance(value, str) else ("", "")
