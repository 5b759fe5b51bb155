"""The Tree: plain JSON values of one text, and where in the text each of them stands.

Made by ``document/load.py``; everything that speaks about a document later asks it for line and column. Reads and
parses nothing itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from ..errors import Place

__all__ = ["Mark", "Marks", "Piece", "Positions", "Spot", "Tree", "Twice", "below", "piece_of"]

Spot = tuple[int, int]
"""Line and column, both from 1."""
Mark = tuple[str, Spot]
"""A spot and the name of its document."""

_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,7}")
"""An array index of RFC 6901, 4: no sign, no leading zero."""
_TOKENS: Final = 101
"""No document is nested deeper than its reader allows, so no longer pointer can be known."""
_OWN: Final[Mapping[str | int, str]] = MappingProxyType({})


class Marks:
    """Where the entries of one object or list begin, and the same for the containers among them.

    ``documents`` names the text of those entries that an overlay brought; all others stand in the tree's own.
    """

    __slots__ = ("documents", "inside", "spots")

    def __init__(self, spots: dict[str, Spot] | list[Spot], documents: Mapping[str | int, str] = _OWN) -> None:
        self.spots = spots
        self.documents = documents
        self.inside: dict[str | int, Marks] = {}


class Positions(Mapping[str, Spot]):
    """JSON Pointer (RFC 6901) -> (line, column). An object's entry stands where its key does, a list's where it begins.

    Kept as a tree and spelled out only when asked: pointers written in full could take far more room than the text.
    """

    __slots__ = ("marks", "root")

    def __init__(self, root: Spot | None = None, marks: Marks | None = None) -> None:
        self.root = root
        self.marks = marks

    def __getitem__(self, pointer: str) -> Spot:
        return self._find(pointer)[0]

    def document(self, pointer: str) -> str:
        """The document an overlay brought this node from; empty when it stands in the tree's own, or nowhere."""
        return self._find(pointer)[1] if pointer in self else ""

    def inside(self, pointer: str) -> Marks | None:
        """Where the entries of the object or list at this pointer stand; None when that is not known."""
        return self._find(pointer)[2] if pointer in self else None

    def _find(self, pointer: str) -> tuple[Spot, str, Marks | None]:
        head, *tokens = pointer.split("/")
        spot, marks, document = self.root, self.marks, ""
        if head or spot is None:
            raise KeyError(pointer)
        for token in tokens:
            if marks is None:
                raise KeyError(pointer)
            step: str | int = token.replace("~1", "/").replace("~0", "~")
            if isinstance(marks.spots, dict):
                found = marks.spots.get(str(step))
            else:
                step = int(token) if _INDEX.fullmatch(token) else -1
                found = marks.spots[step] if 0 <= step < len(marks.spots) else None
            if found is None:
                raise KeyError(pointer)
            document = marks.documents.get(step, "")
            spot, marks = found, marks.inside.get(step)
        return spot, document, marks

    def __iter__(self) -> Iterator[str]:
        if self.root is not None:
            yield ""
        waiting = [("", self.marks)] if self.marks else []
        while waiting:
            prefix, marks = waiting.pop()
            for step in marks.spots if isinstance(marks.spots, dict) else range(len(marks.spots)):
                pointer = below(prefix, step)
                yield pointer
                if inner := marks.inside.get(step):
                    waiting.append((pointer, inner))

    def __len__(self) -> int:
        count, waiting = int(self.root is not None), [self.marks] if self.marks else []
        while waiting:
            marks = waiting.pop()
            count += len(marks.spots)
            waiting.extend(marks.inside.values())
        return count


@dataclass(frozen=True, slots=True, kw_only=True)
class Twice:
    """The value of a key that stands twice in one object: nobody knows which of the two is meant, so it is neither.

    It is no JSON value. A reader that has no word for it finds nothing it understands, and must say so.
    """

    key: str
    """As it may stand in a message."""
    first: Spot
    again: Spot
    uri: str

    def __str__(self) -> str:
        return f"the key {self.key} stands twice in one object, at {self.uri}:{_at(self.first)} and {_at(self.again)}"


def _at(spot: Spot) -> str:
    return f"{spot[0]}:{spot[1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One parsed text. ``value`` is plain JSON; equal YAML aliases share one object, so treat it as read-only."""

    value: Any
    positions: Mapping[str, Spot]
    """Empty when ``parse`` was told not to keep them."""
    uri: str
    sha256: str
    """Hex digest of the bytes that were read (of the UTF-8 form of a ``str``)."""
    twice: tuple[Twice, ...] = ()
    """The keys that stand twice, in the order of the text; only where ``parse`` was told to let them pass."""

    def place(self, pointer: str) -> Place:
        """The place of a JSON Pointer; line and column are those of its nearest ancestor that has any.

        Its document is the overlay's where an overlay brought that ancestor, else the one that was read.
        """
        near = "/".join(pointer.split("/", _TOKENS)[:_TOKENS])
        while near and near not in self.positions:
            near = near.rpartition("/")[0]
        line, column = self.positions.get(near, (0, 0))
        brought = self.positions.document(near) if isinstance(self.positions, Positions) else ""
        return Place(document=brought or self.uri, pointer=pointer, line=line, column=column)


def below(pointer: str, *steps: str | int) -> str:
    """The pointer some levels down: at these keys and indexes (RFC 6901, 3)."""
    return pointer + "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


@dataclass(frozen=True, slots=True)
class Piece:
    """A value of a tree that is taken out of it but still knows where it stands."""

    value: Any
    mark: Mark
    marks: Marks | None
    """Where its entries stand; None when that is not known."""
    uri: str
    """The document of all entries of which ``marks`` says no other."""

    def entries(self) -> Iterator[tuple[str | int, Piece]]:
        """The members of an object or the items of a list. Inside a YAML alias they stand where the alias does."""
        steps: Iterable[tuple[Any, Any]]
        steps = self.value.items() if isinstance(self.value, dict) else enumerate(self.value)
        if self.marks is None:
            yield from ((step, Piece(value, self.mark, None, self.uri)) for step, value in steps)
            return
        spots: Any = self.marks.spots
        for step, value in steps:
            mark = (self.marks.documents.get(step, self.uri), spots[step])
            yield step, Piece(value, mark, self.marks.inside.get(step), self.uri)


def piece_of(tree: Tree, pointer: str, value: Any) -> Piece:
    """The value at a pointer, which the caller has found already."""
    place = tree.place(pointer)
    marks = tree.positions.inside(pointer) if isinstance(tree.positions, Positions) else None
    return Piece(value, (place.document, (place.line, place.column)), marks, tree.uri)
