"""Keys and values in the order a reader meets them -> the finished values, and where each of them stands.

Used by the readers of ``load.py``, which know JSON and YAML; here is counted, and what stands twice is found. Reads no
text itself.
"""

from __future__ import annotations

from typing import Any, Final

from .positions import Marks, Positions, Spot, Twice

__all__ = ["MAX_DEPTH", "MAX_TWICE", "MAX_VALUES", "Builder", "Built", "Refused", "Unplaced", "shown"]

MAX_DEPTH: Final = 100
MAX_VALUES: Final = 1_000_000
"""Values of one document, an aliased value counted each time it is used."""
MAX_TWICE: Final = 1000
"""Keys that may stand twice where that is let pass."""


Built = tuple[Any, Positions, tuple[Twice, ...]]
"""The value of a text, where what in it stands, and its keys that stand twice."""


class Refused(Exception):
    """A refusal whose place is still a spot; ``spot`` is filled in where it is known."""

    def __init__(self, code: str, message: str, *, spot: Spot | None = None, next: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.spot = spot
        self.next = next


class Unplaced(Exception):
    """A refusal that can only be worded with positions, which were not kept: read again with them."""


class _Frame:
    """One object or list being filled."""

    __slots__ = ("before", "container", "height", "is_lost", "key", "marks")

    def __init__(self, container: dict[str, Any] | list[Any], before: int, marks: Marks | None) -> None:
        self.container = container
        self.before = before
        self.marks = marks
        self.height = 1
        self.key: str | None = None
        self.is_lost = False
        """Whether the value that comes next belongs to a key that was there before."""


class Builder:
    """Puts values together in the order a reader meets them, and counts. Its stack replaces recursion."""

    __slots__ = ("_lenient", "_marks", "_most", "_positions", "_root", "_spot", "_uri", "_values", "stack", "twice")

    def __init__(self, positions: bool, *, most: int, lenient: bool, uri: str) -> None:
        self.stack: list[_Frame] = []
        self.twice: list[Twice] = []
        self._positions, self._most = positions, most
        self._lenient, self._uri = lenient, uri
        self._marks: Marks | None = None
        self._root: Any = None
        self._spot: Spot = (1, 1)
        self._values = 0

    def result(self) -> Built:
        where = Positions(self._spot, self._marks) if self._positions else Positions()
        return self._root, where, tuple(self.twice)

    def expects_key(self) -> bool:
        return bool(self.stack) and self.stack[-1].key is None and type(self.stack[-1].container) is dict

    def name(self, key: str, spot: Spot) -> None:
        """The key of the value that comes next."""
        frame = self.stack[-1]
        if key in frame.container:
            if frame.marks is None or not isinstance(frame.marks.spots, dict):
                raise Unplaced
            self._repeat(frame.container, key, frame.marks.spots[key], spot)
            frame.is_lost = True
        frame.key = key
        if frame.marks is not None and isinstance(frame.marks.spots, dict):
            frame.marks.spots[key] = spot

    def _repeat(self, container: Any, key: str, first: Spot, spot: Spot) -> None:
        """Refuse a key that was there before; where that is let pass, its value is neither of the two."""
        if not self._lenient or len(self.twice) >= MAX_TWICE:
            line, column = first
            message = f"the key {shown(key)} stands twice in one object, first at {line}:{column}"
            raise Refused("AZM-D004", message, spot=spot, next="remove or rename one of the two")
        if not isinstance(container[key], Twice):
            container[key] = Twice(key=shown(key), first=first, again=spot, uri=self._uri)
            self.twice.append(container[key])

    def put(self, value: Any, spot: Spot, size: int = 1, height: int = 0) -> None:
        """A finished value, or an alias of one with ``size`` values inside it, ``height`` levels deep."""
        self._values += size
        if self._values > self._most:
            raise Refused("AZM-D009", f"more than {self._most} values, aliases counted at each use", spot=spot)
        if len(self.stack) + height > MAX_DEPTH:
            raise Refused("AZM-D008", f"nested deeper than {MAX_DEPTH} levels", spot=spot)
        if not self.stack:
            self._root, self._spot = value, spot
            return
        frame = self.stack[-1]
        if height >= frame.height:
            frame.height = height + 1
        if type(frame.container) is list:
            frame.container.append(value)
            if frame.marks is not None and isinstance(frame.marks.spots, list):
                frame.marks.spots.append(spot)
        elif frame.key is not None:
            if not frame.is_lost:
                frame.container[frame.key] = value  # type: ignore[call-overload]
            frame.key, frame.is_lost = None, False

    def begin(self, container: dict[str, Any] | list[Any], spot: Spot) -> None:
        marks: Marks | None = None
        if self._positions:
            marks = Marks({} if isinstance(container, dict) else [])
            if not self.stack:
                self._marks = marks
            elif outer := self.stack[-1].marks:
                key = self.stack[-1].key
                outer.inside[len(outer.spots) if key is None else key] = marks
        before = self._values
        self.put(container, spot, height=1)
        self.stack.append(_Frame(container, before, marks))

    def end(self) -> tuple[Any, int, int]:
        """The container, how many values it holds with itself, and how deep it is."""
        frame = self.stack.pop()
        if self.stack and frame.height >= self.stack[-1].height:
            self.stack[-1].height = frame.height + 1
        return frame.container, self._values - frame.before, frame.height


def shown(text: str) -> str:
    """Text of the document inside a message: escaped, and short."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
