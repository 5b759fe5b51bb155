"""How far each run has come, noted in a small file beside the store: a store that has fallen back is not believed.

SQLite takes a damaged end of its journal for one that was never finished, and a file that was put back from an old copy
looks like any other. Both would take a run back to before its create, and the create would leave a second time. The
note is written behind each commit and before the next request, and is not flushed: it has to survive the process, not
the power, and costs no wait for the disk. So it never says more than the store did. A note that cannot be read is none.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..errors import DamageError, StoreError
from .locks import open_beside

__all__ = ["Mark", "Reached", "marked"]

_BYTES = 64


class Reached(NamedTuple):
    """A moment of a run. A later one is greater."""

    attempt: int
    seq: int
    intent: int = 0
    """The number of the call whose intent was marked since; 0 for none."""


class Mark:
    """The note of one run, while its lock is held."""

    def __init__(self, handle: int, path: Path) -> None:
        self._handle = handle
        self._path = path

    def check(self, stored: Reached | None) -> None:
        """Raises DamageError when the run had come further than the store says now; None: the store knows no run."""
        noted = self._read()
        if noted is None or (stored is not None and stored >= noted):
            return
        there = f"step {stored.seq} of attempt {stored.attempt}" if stored else "nothing of it"
        raise DamageError(
            f"the store has fallen back: run {self._path.name} had come to step {noted.seq} of attempt "
            f"{noted.attempt}, and the store holds {there}",
            code="AZM-T026",
            seen=str(self._path),
            next="put the newest copy of the store there; where an older one is meant to count, delete the file named",
        )

    def write(self, reached: Reached) -> None:
        """Note that the run has come so far. Nothing fails where it cannot be written: the store itself knows it."""
        text = f"{reached.attempt} {reached.seq} {reached.intent}"
        self._put(f"{text} {zlib.crc32(text.encode()):08x}".encode().ljust(_BYTES))

    def clear(self) -> None:
        """Note that there is no run of that id."""
        self._put(bytes(_BYTES))

    def _put(self, line: bytes) -> None:
        with contextlib.suppress(OSError):
            os.pwrite(self._handle, line, 0)

    def _read(self) -> Reached | None:
        try:
            text, _, sum32 = os.pread(self._handle, _BYTES, 0).decode("ascii").strip().rpartition(" ")
            if int(sum32, 16) != zlib.crc32(text.encode()):
                return None
            attempt, seq, intent = (int(number) for number in text.split(" "))
        except (OSError, ValueError):
            return None
        return Reached(attempt, seq, intent)


@contextmanager
def marked(path: Path) -> Iterator[Mark]:
    """The note in the file whose name is the run's id; folder (0700) and file (0600) are made when missing.

    Raises StoreError (74) when the file cannot be opened.
    """
    try:
        handle = open_beside(path)
    except OSError as error:
        raise StoreError(
            f"the file {path} cannot be used: {error.strerror}",
            code="AZM-T027",
            next="check the rights and the space of the folder the store is in",
        ) from error
    try:
        yield Mark(handle, path)
    finally:
        os.close(handle)
