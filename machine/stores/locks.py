"""One runner per run: a kernel lock on a small file, freed by the kernel when its holder dies.

A lock with a time in it can be lost by a process that was merely stopped for a while; ``flock`` cannot, and needs no
clock. The file also says who holds it, for people; nothing is ever decided by that text. Lock files are never
deleted: a second process could hold the deleted file while a third one locks its successor.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ..errors import BusyError, StoreError
from .base import Holder

__all__ = ["busy", "hold", "holder", "open_beside", "this_process"]

_NOTE_BYTES = 1024
_PROBE_WAIT = 0.005
_PROBE_WAITS = 200


def this_process() -> Holder:
    return Holder(pid=os.getpid(), host=os.uname().nodename, since=time.time())


def busy(run_id: str, other: Holder) -> BusyError:
    """The error for a run somebody else holds, naming them as far as they are known."""
    who = "another process"
    if other.pid:
        since = datetime.fromtimestamp(other.since, UTC).isoformat(timespec="seconds")
        who = f"process {other.pid} on {other.host} since {since}"
    return BusyError(
        f"run {run_id} is held by {who}",
        code="AZM-T021",
        next=f"wait for it to end, or watch it with: arazzo-machine show {run_id}",
    )


@contextmanager
def hold(path: Path) -> Iterator[Holder]:
    """Hold the lock of the run whose id is the file's name, until the block ends or the process dies.

    The folder (0700) and the file (0600) are made when missing. Raises BusyError (75) without waiting when another
    open file holds the lock, in this process or any other; StoreError (74) when the file cannot be opened.
    """
    try:
        handle = open_beside(path)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        _take(handle, path)
        mine = this_process()
        _write_note(handle, mine)
        try:
            yield mine
        finally:
            _write_note(handle, None)
    finally:
        os.close(handle)


def open_beside(path: Path) -> int:
    """A file of the store's own folder, open for reading and writing; file (0600) and folder (0700) are made when
    missing. Neither may be a link, not even one that is planted while they are opened: a link must not make us write
    into a file of its choice, nor lock one that others can delete. Raises OSError."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return os.open(path.name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    finally:
        os.close(folder)


def holder(path: Path) -> Holder | None:
    """Who holds this lock now; None when nobody does. The lock is looked at for an instant, never kept."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        return None if _try(handle, fcntl.LOCK_SH, path) else _read_note(handle)
    finally:
        os.close(handle)


def _take(handle: int, path: Path) -> None:
    """Get the exclusive lock, or say who has it.

    A refusal can also come from somebody in ``holder``, whose lock is shared and over in microseconds. A shared lock
    of ours tells the two apart: it is refused only by a true holder. So only onlookers are waited for.
    """
    for _ in range(_PROBE_WAITS):
        if _try(handle, fcntl.LOCK_EX, path):
            return
        if not _try(handle, fcntl.LOCK_SH, path):
            break
        fcntl.flock(handle, fcntl.LOCK_UN)
        time.sleep(_PROBE_WAIT)
    raise busy(path.name, _read_note(handle))


def _try(handle: int, operation: int, path: Path) -> bool:
    try:
        fcntl.flock(handle, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _unusable(path, error) from error
    return True


def _write_note(handle: int, mine: Holder | None) -> None:
    # The note is a courtesy: a full disk must neither keep a run from starting nor hide why it ended.
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        if mine is not None:
            note = json.dumps({"pid": mine.pid, "host": mine.host, "since": mine.since})
            os.pwrite(handle, note.encode(), 0)


def _read_note(handle: int) -> Holder:
    try:
        note = json.loads(os.pread(handle, _NOTE_BYTES, 0))
        datetime.fromtimestamp(note["since"], UTC)
        return Holder(pid=int(note["pid"]), host=str(note["host"]), since=float(note["since"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return Holder()


def _unusable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"the lock file {path} cannot be used: {error.strerror}",
        code="AZM-T023",
        next="check the rights and the space of the folder the store is in",
    )
