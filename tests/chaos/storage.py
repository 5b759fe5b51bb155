"""What a traced process does to the files of one folder, call by call, and what a disk may hold after the power went.

Makes a list of operations from boundaries, and from a list, a moment and a way to lose, the files that are left. A
write is only durable once its file was synced after it, a new or deleted name once its folder was; before that any
part of 512 bytes may be there or not.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ptrace import Boundary, Tracee

__all__ = ["FALLIBLE", "LOSSES", "Loss", "Operation", "Watch", "files_after", "record"]

_READ, _WRITE, _CLOSE, _PREAD, _PWRITE, _SENDTO = 0, 1, 3, 17, 18, 44
_FSYNC, _FDATASYNC, _FTRUNCATE, _MKDIR, _UNLINK, _OPENAT = 74, 75, 77, 83, 87, 257

FALLIBLE: Final[Mapping[int, str]] = {
    _READ: "read",
    _WRITE: "write",
    _PREAD: "pread64",
    _PWRITE: "pwrite64",
    _FSYNC: "fsync",
    _FDATASYNC: "fdatasync",
    _FTRUNCATE: "ftruncate",
    _MKDIR: "mkdir",
    _UNLINK: "unlink",
    _OPENAT: "openat",
}
"""The calls to storage that can be made to fail, by number."""

Loss = Literal["lost", "kept", "random", "torn"]
"""What becomes of that which was not synced: all gone, all there, or a coin thrown for each write, or each sector."""

LOSSES: Final[tuple[Loss, ...]] = ("lost", "kept", "random", "torn")

_SECTOR: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """``file`` numbers what stands behind a name: a file that is deleted and made again has two numbers."""

    kind: Literal["create", "write", "truncate", "sync", "unlink", "sync-folder", "send"]
    path: str = ""
    file: int = 0
    offset: int = 0
    data: bytes = b""


class Watch:
    """Follows one traced process. Ask it at every boundary, in order."""

    def __init__(self, tracee: Tracee, folder: Path) -> None:
        self._tracee = tracee
        self._folder = str(folder)
        self._handles: dict[int, str] = {}
        self.files: dict[str, int] = {}
        self._count = 0
        self._begun: Operation | None = None
        for path in folder.rglob("*"):
            if path.is_file():
                self._name(str(path))

    def fallible(self, boundary: Boundary) -> str:
        """The name of the call to storage that is about to be made; empty for any other."""
        name = FALLIBLE.get(boundary.number, "")
        if not name or not boundary.entering:
            return ""
        if boundary.number in (_OPENAT, _UNLINK, _MKDIR):
            return name if self._path(boundary).startswith(self._folder) else ""
        return name if boundary.arguments[0] in self._handles else ""

    def note(self, boundary: Boundary) -> Operation | None:
        """What was just done to the folder, or sent; None on the way in, and for everything else."""
        if boundary.entering:
            self._begun = self._about(boundary)
            return None
        if boundary.number == _OPENAT and boundary.result >= 0:
            return self._opened(boundary)
        if boundary.number == _CLOSE:
            self._handles.pop(boundary.arguments[0], None)
        begun, self._begun = self._begun, None
        if begun is None or boundary.result < 0:
            return None
        if begun.kind == "unlink":
            del self.files[begun.path]
        if begun.kind in ("write", "send") and boundary.result != len(begun.data):
            raise AssertionError("a short write")
        return begun

    def failed(self) -> None:
        """The call that was about to be made was not."""
        self._begun = None

    def _path(self, boundary: Boundary) -> str:
        return self._tracee.read_text(boundary.arguments[1 if boundary.number == _OPENAT else 0])

    def _about(self, boundary: Boundary) -> Operation | None:
        number, (first, second, third, fourth) = boundary.number, boundary.arguments
        if number == _SENDTO:
            return Operation(kind="send", data=self._tracee.read(second, third))
        if number == _UNLINK:
            path = self._path(boundary)
            return Operation(kind="unlink", path=path, file=self.files[path]) if path in self.files else None
        path = self._handles.get(first, "")
        if not path:
            return None
        if number in (_FSYNC, _FDATASYNC):
            kind = self.files.get(path)
            return Operation(kind="sync-folder") if kind is None else Operation(kind="sync", path=path, file=kind)
        if number == _PWRITE:
            data = self._tracee.read(second, third)
            return Operation(kind="write", path=path, file=self.files[path], offset=fourth, data=data)
        if number == _FTRUNCATE:
            return Operation(kind="truncate", path=path, file=self.files[path], offset=second)
        if number == _WRITE:
            raise AssertionError(f"a write without an offset to {path}")
        return None

    def _opened(self, boundary: Boundary) -> Operation | None:
        path = self._path(boundary)
        if not path.startswith(self._folder):
            return None
        self._handles[boundary.result] = path
        if path in self.files or os.path.isdir(path):
            return None
        return Operation(kind="create", path=path, file=self._name(path))

    def _name(self, path: str) -> int:
        self._count += 1
        self.files[path] = self._count
        return self._count


def record(tracee: Tracee, folder: Path) -> list[Operation]:
    """Everything a child does to a folder, and when it sends what, until it ends."""
    watch = Watch(tracee, folder)
    found = []
    while tracee.step():
        operation = watch.note(tracee.look())
        if operation is not None:
            found.append(operation)
    return found


def files_after(
    before: Mapping[str, bytes], operations: Sequence[Operation], loss: Loss, dice: random.Random
) -> dict[str, bytes]:
    """Path to content after a power loss right behind the last operation. ``before`` was durable from the start."""
    synced: dict[int, int] = {}
    folder_synced = -1
    for index, one in enumerate(operations):
        if one.kind == "sync":
            synced[one.file] = index
        elif one.kind == "sync-folder":
            folder_synced = index
    names = {path: number for number, path in enumerate(sorted(before), 1)}
    contents = {number: bytearray(before[path]) for path, number in names.items()}
    for index, one in enumerate(operations):
        naming = one.kind in ("create", "unlink")
        durable = index < (folder_synced if naming else synced.get(one.file, -1))
        kept = durable or loss == "kept" or (loss != "lost" and dice.random() < 0.5)
        if one.kind == "create":
            contents[one.file] = bytearray()
            if kept:
                names[one.path] = one.file
        elif one.kind == "unlink":
            if kept:
                names.pop(one.path, None)
        elif one.kind == "truncate" and kept:
            _resize(contents[one.file], one.offset)
        elif one.kind == "write":
            if durable or loss == "kept" or (loss == "random" and kept):
                _put(contents[one.file], one.offset, one.data)
            elif loss == "torn":
                for start in range(0, len(one.data), _SECTOR):
                    if dice.random() < 0.5:
                        _put(contents[one.file], one.offset + start, one.data[start : start + _SECTOR])
    return {path: bytes(contents[number]) for path, number in names.items()}


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


def _put(content: bytearray, offset: int, data: bytes) -> None:
    content.extend(bytes(max(0, offset + len(data) - len(content))))
    content[offset : offset + len(data)] = data
