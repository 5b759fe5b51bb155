"""Opening the SQLite file of a store: making it, recognising it, and turning SQLite's errors into ours.

Makes a connection whose every commit is durable (write-ahead journal, ``synchronous=FULL``: https://sqlite.org/wal.html)
to a file that is exactly a store of this format. Reads and writes no run.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..errors import DamageError, StoreError, VersionError

__all__ = ["APPLICATION_ID", "FORMAT", "SCHEMA", "open_reading", "open_writing", "refused", "reported"]

FORMAT: Final = 1
APPLICATION_ID: Final = 0x415A4D31
"""Marks the file as ours, so that another program's database is never taken for a newer store."""

SCHEMA: Final[Mapping[str, str]] = {
    "runs": "CREATE TABLE runs (id TEXT NOT NULL, attempt INTEGER NOT NULL, head TEXT NOT NULL, "
    "checksum TEXT NOT NULL, PRIMARY KEY (id, attempt))",
    "snapshots": "CREATE TABLE snapshots (run TEXT NOT NULL, attempt INTEGER NOT NULL, seq INTEGER NOT NULL, "
    "epoch INTEGER NOT NULL, owner TEXT NOT NULL, intent INTEGER NOT NULL, intended_at REAL NOT NULL, "
    "kept TEXT NOT NULL, snapshot TEXT NOT NULL, checksum TEXT NOT NULL, PRIMARY KEY (run, attempt))",
    "records": "CREATE TABLE records (run TEXT NOT NULL, attempt INTEGER NOT NULL, seq INTEGER NOT NULL, "
    "record TEXT NOT NULL, checksum TEXT NOT NULL, PRIMARY KEY (run, attempt, seq))",
    "requests": "CREATE TABLE requests (run TEXT NOT NULL PRIMARY KEY, by TEXT NOT NULL, at REAL NOT NULL, "
    "checksum TEXT NOT NULL)",
    "blobs": "CREATE TABLE blobs (sha256 TEXT NOT NULL PRIMARY KEY, content BLOB NOT NULL)",
}
"""Table to the statement that makes it. A blob's checksum is its key."""

_BUSY_SECONDS = 10.0
_BUSY_PAUSE = 0.01

_creating = threading.Lock()


def open_writing(path: Path, *, create_folder: bool) -> sqlite3.Connection:
    """A connection for reading and writing; the file is made (0600) when missing, the folder (0700) when asked."""
    try:
        if create_folder:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_folder(path.parent)
        _make(path)
    except OSError as error:
        raise refused(
            path, f"cannot be made: {error.strerror}", "AZM-T002", "check the rights of its folder"
        ) from error
    connection = _connect(path, "mode=rw")
    try:
        if _is_empty(connection):
            _set_up(connection)
        _recognise(connection, path)
        if _journal(connection) != b"wal":
            raise refused(path, "is on a file system without shared memory", "AZM-T002", "use a local file system")
    except BaseException:
        connection.close()
        raise
    return connection


def open_reading(path: Path, *, missing_folder_is_empty: bool) -> sqlite3.Connection:
    """A connection that cannot write; to an empty database in memory when there is no file yet."""
    if not missing_folder_is_empty:
        _check_folder(path.parent)
    connection = _connect_reading(path)
    try:
        if _is_empty(connection):
            connection.close()
            connection = _connect(None, "")
            _set_up(connection)
        _recognise(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turn every error of SQLite and of the file system that leaves the block into one of ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(path, error) from error
    except UnicodeDecodeError as error:
        # A message that quotes a damaged schema cannot even be made into an exception.
        raise _unreadable(path, "its schema is not text") from error
    except OSError as error:
        raise refused(
            path, f"cannot be used: {error.strerror}", "AZM-T002", "check the rights of its folder"
        ) from error


def refused(path: Path, what: str, code: str, advice: str) -> StoreError:
    return StoreError(f"the store {path} {what}", code=code, next=advice)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise StoreError(
            f"there is no folder {folder} for the store",
            code="AZM-T001",
            next="make the folder, or name another store with --store",
        )


def _make(path: Path) -> None:
    """Make the file before SQLite does: its side files get the mode of the main one.

    Closing any handle of a file drops every lock this process has on it, so no other store may be opened meanwhile.
    """
    with _creating:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            about = os.stat(path)
            if stat.S_ISREG(about.st_mode) and not about.st_size:
                # Somebody put it there first: what is written into it is for nobody else, and nobody else's.
                if about.st_uid != os.geteuid():
                    raise PermissionError(errno.EPERM, "it is an empty file of another user") from None
                os.chmod(path, 0o600)


def _connect(path: Path | None, options: str) -> sqlite3.Connection:
    where = f"{path.as_uri()}?{options}" if path else ":memory:"
    connection = sqlite3.connect(where, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    # Texts stay bytes until their checksum was compared.
    connection.text_factory = bytes
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        # The first statement that reads the file, so the first that fails when it cannot be read.
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_reading(path: Path) -> sqlite3.Connection:
    """A connection to a file as it is now.

    A write-ahead journal needs a shared file beside the store even for reading. Where none can be made, nobody writes
    either, and the file can be read as if it never changed - unless a part of it still stands in the journal.
    """
    if not path.exists():
        return _connect(None, "")
    try:
        return _connect(path, "mode=ro")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
    journal = path.with_name(path.name + "-wal")
    if journal.exists() and journal.stat().st_size:
        raise refused(
            path,
            "was not closed by its last runner, and its folder cannot be written",
            "AZM-T004",
            f"copy it together with {journal.name} to a folder you can write, and name the copy with --store",
        )
    return _connect(path, "mode=ro&immutable=1")


def _marks(connection: sqlite3.Connection) -> tuple[int, int]:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version


def _is_empty(connection: sqlite3.Connection) -> bool:
    return _marks(connection) == (0, 0) and not connection.execute("SELECT 1 FROM sqlite_master").fetchone()


def _journal(connection: sqlite3.Connection) -> bytes:
    """Switch to the write-ahead journal and tell which one is used.

    Where two processes make the same store this statement does not wait for the other's lock as all others do.
    """
    patience = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            mode: bytes = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            return mode
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > patience:
                raise
            time.sleep(_BUSY_PAUSE)


def _set_up(connection: sqlite3.Connection) -> None:
    _journal(connection)
    connection.execute("BEGIN IMMEDIATE")
    if _is_empty(connection):
        for statement in SCHEMA.values():
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")


def _recognise(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that is not exactly a store of this format: its schema decides what our own SQL would do."""
    application, version = _marks(connection)
    if application == APPLICATION_ID and version > FORMAT:
        raise VersionError(
            f"the store {path} has format {version}, this release reads format {FORMAT}",
            code="AZM-T007",
            next=f"use a release of arazzo-machine that reads store format {version}",
        )
    wanted = {(name.encode(), statement.encode()) for name, statement in SCHEMA.items()}
    # The indexes of the primary keys have no statement of their own.
    found = set(connection.execute("SELECT name, sql FROM sqlite_master WHERE type <> 'index' OR sql IS NOT NULL"))
    if (application, version) != (APPLICATION_ID, FORMAT) or found != wanted:
        raise DamageError(
            f"{path} is not a store of arazzo-machine, or its schema was changed",
            code="AZM-T006",
            next="name another file with --store, or restore this one",
        )


def _translated(path: Path, error: sqlite3.Error) -> StoreError:
    # The low byte of an extended result code is its family (https://sqlite.org/rescode.html).
    family = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if family in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT):
        return _unreadable(path, str(error))
    if family == sqlite3.SQLITE_FULL:
        return refused(path, "cannot be written: the disk is full", "AZM-T003", "free some space, then resume the run")
    if family == sqlite3.SQLITE_READONLY:
        return refused(path, "cannot be written: it is read-only", "AZM-T004", "check the rights of file and folder")
    if family in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return refused(path, "is locked by another program", "AZM-T005", "close that program, then try again")
    return refused(path, f"cannot be used: {error}", "AZM-T002", "check that the disk is there and has space")


def _unreadable(path: Path, why: str) -> DamageError:
    return DamageError(
        f"the store {path} is damaged: {why}", code="AZM-T006", next="restore it from a copy, or name another file"
    )
