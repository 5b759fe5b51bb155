"""F12: what durability costs: how often a process waits for its disk between one request and the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from part import Swept, as_kind, trace
from service import Kind, read_request
from storage import Operation, record
from world import Ending

__all__ = ["Flushes"]


class Flushes(Swept):
    """Trials ``case:kind:opening:0``."""

    name: ClassVar[str] = "F12"
    title: ClassVar[str] = "flushes"
    fault: ClassVar[str] = "none; every fsync and fdatasync of an undisturbed run is counted as the kernel sees it"
    promise: ClassVar[str] = "at most 2 for a call that must not be repeated, and 1 for any other"
    traced: ClassVar[bool] = True

    def kinds(self, case: str) -> tuple[Kind, ...]:
        return self.bench.cases[case].policy.kinds[:1]

    def covers(self, case: str, opening: str) -> bool:
        return opening in ("run", "poll", "again")

    def numbers(self, case: str, kind: Kind, opening: str) -> list[str]:
        return ["0"]

    def attempt(self, trial: str, ending: Ending) -> None:
        case, kind, opening, _ = trial.split(":")
        world = self.openings.place(case, opening, as_kind(kind))
        methods, flushes = _between(record(trace(world, self.openings.verb(case, opening)), world.folder))
        # What is flushed behind a request is its outcome and, where the next one must not be repeated and could not be
        # sent at once, the intent of that.
        for number, spent in enumerate(flushes):
            method, following = methods[number], methods[number + 1 : number + 2]
            allowed = 1 + (following == ["POST"])
            if spent > allowed:
                ending.problem(f"{spent} flushes between {method} and {following or 'the end'}")
        ending.word = f"{sum(flushes)} flushes behind {len(methods)} requests"
        ending.seen["flushes behind one request"] = max(flushes)


def _between(operations: Sequence[Operation]) -> tuple[list[str], list[int]]:
    """The method of each request, and how many flushes of the journal follow it until the next one, or the end.

    Merging the journal into the file is not counted, nor is that it begins with a flush of what is flushed already: it
    happens once in a thousand pages and when the store is closed.
    """
    methods: list[str] = []
    flushes: list[int] = []
    stream, written = b"", False
    for one in operations:
        if one.kind == "send":
            stream += one.data
            while (found := read_request(stream)) is not None:
                request, stream = found
                methods.append(request.method)
                flushes.append(0)
        elif one.path.endswith("-wal") and flushes:
            flushes[-1] += one.kind == "sync" and written
            written = one.kind == "write" or (written and one.kind != "sync")
    return methods, flushes
