"""A parsed description as nodes: a value together with the file it stands in, so that references lead somewhere.

``$ref`` is followed inside the file and into the other files that were read with it, by JSON Pointers (RFC 6901); the
plain names of ``$anchor`` lead nowhere here. What is below a key that stands twice is as unclear as that key. Nothing
opens a file, and no chain of references is followed without end.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from ..document.positions import Twice
from .resolve import beside, is_remote

__all__ = ["PROSE", "REF_LIMIT", "File", "Node", "mapping", "unclear", "unescape"]

REF_LIMIT: Final = 32
"""How many references may point at each other in a row; real descriptions need two or three."""


def mapping(node: Any) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one: descriptions in the wild are often not valid."""
    # Nearly all are dicts, and asking an abstract class takes ten times as long.
    return node if isinstance(node, (dict, Mapping)) else {}


def unescape(token: str) -> str:
    """One reference token of a JSON Pointer; the order matters (RFC 6901 section 4)."""
    return token.replace("~1", "/").replace("~0", "~")


PROSE: Final = frozenset(
    {"deprecated", "description", "example", "examples", "externalDocs", "summary", "tags", "title"}
)
"""Fields that say nothing to a machine."""
_NAMES: Final = frozenset(
    {"$defs", "content", "definitions", "encoding", "flows", "patternProperties", "properties", "variables"}
)
"""Fields whose value is an object by names, so that ``description`` is the name of something there."""
_MOST: Final = 2_000


def unclear(value: Any, *, schemas: bool = False) -> Twice | None:
    """A key that stands twice in a part of a description and is more than prose; ``schemas`` too, where they are asked
    for. References are not followed."""
    waiting = [(value, False)]
    for _ in range(_MOST):
        if not waiting:
            break
        here, names = waiting.pop()
        if isinstance(here, Twice):
            return here
        if isinstance(here, list):
            waiting += [(one, False) for one in here]
        for key, one in mapping(here).items():
            prose = key in PROSE or str(key).startswith("x-") or (key == "schema" and not schemas)
            if names or not prose:
                waiting.append((one, not names and key in _NAMES))
    return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class File:
    """One file of a description. ``beside`` holds every file that was read with it, by its path."""

    path: str = ""
    value: Any
    beside: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def root(self) -> Node:
        return Node(self.value, self)

    def find(self, reference: str) -> Node | None:
        """What a reference of this file points at; None where that is not known."""
        name, _, fragment = reference.partition("#")
        file = self if not name else self._other(name)
        return None if file is None else file._point(fragment)

    def _other(self, name: str) -> File | None:
        path = beside(self.path, name)
        if path == (self.path if is_remote(path) else posixpath.normpath(self.path)):
            return self
        return File(path=path, value=self.beside[path], beside=self.beside) if path in self.beside else None

    def _point(self, fragment: str) -> Node | None:
        if fragment and not fragment.startswith("/"):
            return None
        node: Any = self.value
        for token in fragment.split("/")[1:]:
            key = unescape(unquote(token))
            if isinstance(node, Twice):
                break
            if isinstance(node, Mapping) and key in node:
                node = node[key]
            elif isinstance(node, list) and key.isdecimal() and len(key) < 10 and int(key) < len(node):
                node = node[int(key)]
            else:
                return None
        return Node(node, self)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value of a description. Its references are relative to its file."""

    value: Any
    file: File = field(repr=False)

    @property
    def object(self) -> Mapping[str, Any]:
        return mapping(self.value)

    def get(self, name: str) -> Node:
        """A member as it is written; a node of None where there is none."""
        return self if isinstance(self.value, Twice) else Node(self.object.get(name), self.file)

    def items(self) -> Iterator[tuple[str, Node]]:
        """The members of an object. YAML reads an unquoted 200 as a number, so names are made texts."""
        for name, value in self.object.items():
            yield str(name), Node(value, self.file)

    def entries(self) -> tuple[Node, ...]:
        return tuple(Node(value, self.file) for value in (self.value if isinstance(self.value, list) else ()))

    def followed(self, notes: list[str] | None = None, what: str = "") -> Node:
        """The node a chain of references ends at; itself where it is no reference. May be a key that stands twice.

        Where the chain cannot be followed: a node of None, and a sentence about ``what`` in ``notes``.
        """
        node, seen = self, set[tuple[str, str]]()
        while isinstance(node.value, Mapping) and isinstance(reference := node.value.get("$ref"), str):
            problem = ""
            if (node.file.path, reference) in seen or len(seen) >= REF_LIMIT:
                problem = "which leads round in a circle or on without end"
            seen.add((node.file.path, reference))
            found = None if problem else node.file.find(reference)
            if found is None:
                outside = "which is in no file that was read" if reference[:1] != "#" else "and there is nothing there"
                if notes is not None:
                    notes.append(f"{what} refers to {reference[:200]!r}, {problem or outside}")
                return Node(None, node.file)
            node = found
        twice = node.object.get("$ref")
        return Node(twice, node.file) if isinstance(twice, Twice) else node
