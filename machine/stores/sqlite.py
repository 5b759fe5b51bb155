"""Runs in one SQLite file: each write is one transaction, durable when the method returns, checked when read back.

Every row carries a checksum (``rows.py``). Texts are JSON; nothing read here is ever executed, and SQL never contains a
value.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..chart.snapshot import Record, Snapshot
from ..errors import DamageError
from .base import (
    ANSWERS_CANCEL,
    Holder,
    Lease,
    RunHead,
    StoredRun,
    check_blobs,
    check_fence,
    check_pair,
    check_run_id,
    check_sequence,
    choose_run,
    double_intent,
    event_text,
    missing_blob,
    new_lease,
    read_object,
    record_text,
    taken,
    unknown_attempt,
    unknown_run,
)
from .locks import hold, holder
from .marks import Mark, Reached, marked
from .remains import Remains, read_remains
from .rows import checksum, damaged, storable, text_of, verify
from .sqlite_file import open_reading, open_writing, refused, reported

__all__ = ["SqliteStore", "default_path", "open_store"]

_HEAD = "SELECT id, attempt, head, checksum FROM runs WHERE id = ? ORDER BY attempt DESC LIMIT 1"
_HEAD_AT = "SELECT id, attempt, head, checksum FROM runs WHERE id = ? AND attempt = ?"
_HEADS = "SELECT id, attempt, head, checksum FROM runs NOT INDEXED"
_IDS = "SELECT DISTINCT id FROM runs"
_STATES = "SELECT run, attempt, seq, epoch, owner, intent, intended_at, kept, snapshot, checksum FROM snapshots"
_STATE = f"{_STATES} WHERE run = ? ORDER BY attempt DESC LIMIT 1"
_STATE_AT = f"{_STATES} WHERE run = ? AND attempt = ?"
_LAST = "SELECT seq FROM snapshots WHERE run = ? AND attempt = ?"
_RECORDS = "SELECT run, attempt, seq, record, checksum FROM records WHERE run = ? AND attempt = ? ORDER BY seq"
_BLOB = "SELECT content FROM blobs WHERE sha256 = ?"
_ADD_HEAD = "INSERT INTO runs (id, attempt, head, checksum) VALUES (?, ?, ?, ?)"
_SET_HEAD = "UPDATE runs SET head = ?, checksum = ? WHERE id = ? AND attempt = ?"
_PUT_STATE = (
    "INSERT INTO snapshots (run, attempt, seq, epoch, owner, intent, intended_at, kept, snapshot, checksum) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run, attempt) DO UPDATE SET seq = excluded.seq, "
    "epoch = excluded.epoch, owner = excluded.owner, intent = excluded.intent, "
    "intended_at = excluded.intended_at, kept = excluded.kept, snapshot = excluded.snapshot, "
    "checksum = excluded.checksum"
)
_ADD_RECORD = "INSERT INTO records (run, attempt, seq, record, checksum) VALUES (?, ?, ?, ?, ?)"
_PUT_BLOB = (
    "INSERT INTO blobs (sha256, content) VALUES (?, ?) "
    "ON CONFLICT (sha256) DO UPDATE SET content = excluded.content WHERE content <> excluded.content"
)

_PUT_REQUEST = (
    "INSERT INTO requests (run, by, at, checksum) VALUES (?, ?, ?, ?) ON CONFLICT (run) DO UPDATE SET "
    "by = excluded.by, at = excluded.at, checksum = excluded.checksum"
)
_REQUEST = "SELECT run, by, at, checksum FROM requests WHERE run = ?"
_DROP_REQUEST = "DELETE FROM requests WHERE run = ?"
_DELETE = (
    "DELETE FROM records WHERE run = ?",
    "DELETE FROM snapshots WHERE run = ?",
    "DELETE FROM runs WHERE id = ?",
    _DROP_REQUEST,
)
_BLOB_KEYS = "SELECT sha256 FROM blobs"
_DROP_BLOB = "DELETE FROM blobs WHERE sha256 = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Current:
    """The newest attempt of a run: its two rows, whole."""

    attempt: int
    head: str
    seq: int
    epoch: int
    owner: str
    intent: int
    intended_at: float
    kept: str
    snapshot: str

    @property
    def reached(self) -> Reached:
        return Reached(self.attempt, self.seq, self.intent)

    def run_head(self) -> RunHead:
        return RunHead.from_text(self.head, attempt=self.attempt, epoch=self.epoch, seq=self.seq)

    def run(self) -> StoredRun:
        return StoredRun(head=self.run_head(), snapshot=Snapshot.from_json(read_object(self.snapshot)))


def default_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where runs are kept unless told: ``ARAZZO_MACHINE_STORE``, else the user's state folder.

    The XDG base directory specification says that a relative ``XDG_STATE_HOME`` is to be ignored. For a user that has
    no home, such as a number in a container, it is a folder that cannot be made, which is said when it is opened.
    """
    if named := environment.get("ARAZZO_MACHINE_STORE"):
        return Path(named)
    state = Path(environment.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():
        # Not Path.home, which raises for a user the system does not know.
        home = environment.get("HOME") or os.path.expanduser("~").removeprefix("~")
        state = Path(home or "/") / ".local" / "state"
    return state / "arazzo-machine" / "runs.db"


def open_store(
    path: Path | None = None, *, read_only: bool = False, environment: Mapping[str, str] = os.environ
) -> SqliteStore:
    """The store at ``path``, else the default one. Only the default's folder is created: a named one was meant."""
    if path is not None or environment.get("ARAZZO_MACHINE_STORE"):
        return SqliteStore(path or default_path(environment), read_only=read_only)
    return SqliteStore(default_path(environment), create_folder=True, read_only=read_only)


class SqliteStore:
    """Many runs in one file of mode 0600, with the folders ``FILE.locks`` and ``FILE.marks`` (0700) beside it.

    ``create_folder`` makes a missing folder (0700); without it that is StoreError 74. ``read_only`` never changes a
    run, works on a medium that cannot be written, and takes a missing file for a store without runs.
    Raises VersionError (65) for a file of a newer release and DamageError (65) for a file that is not a store.
    To be used by one thread: the one that opened it.
    """

    def __init__(self, path: str | Path, *, create_folder: bool = False, read_only: bool = False) -> None:
        # The real path: two names of one file must lead to the same locks.
        self.path = Path(os.path.realpath(path))
        self.read_only = read_only
        self._locks = self.path.with_name(self.path.name + ".locks")
        self._marks = self.path.with_name(self.path.name + ".marks")
        self._mark: dict[str, Mark] = {}
        """By run, while its lock is held."""
        with reported(self.path):
            if read_only:
                self._connection = open_reading(self.path, missing_folder_is_empty=create_folder)
            else:
                self._connection = open_writing(self.path, create_folder=create_folder)

    @contextmanager
    def lock(self, run_id: str) -> Iterator[Lease]:
        check_run_id(run_id)
        self._check_writable()
        with hold(self._locks / run_id), marked(self._marks / run_id) as mark:
            with self._reading():
                found = self._find_current(run_id)
            mark.check(found.reached if found else None)
            self._mark[run_id] = mark
            try:
                yield new_lease(run_id, found.epoch if found else 0)
            finally:
                del self._mark[run_id]

    def held(self, run_id: str) -> Holder | None:
        return holder(self._locks / check_run_id(run_id))

    def create(
        self, lease: Lease, head: RunHead, blobs: Mapping[str, bytes], snapshot: Snapshot, record: Record
    ) -> None:
        check_pair(lease, snapshot, record, head)
        check_blobs(blobs)
        with self._writing():
            # A damaged key would make a run that exists look new, and its calls would leave a second time. So the
            # absence of a run is only believed when every head is whole.
            if lease.run_id in self._whole_ids():
                raise taken(lease.run_id)
            self._begin(lease, 1, head, blobs, snapshot, record)
        self._note(lease, Reached(1, record.seq))

    def restart(
        self, lease: Lease, head: RunHead, blobs: Mapping[str, bytes], snapshot: Snapshot, record: Record
    ) -> None:
        check_pair(lease, snapshot, record, head)
        check_blobs(blobs)
        with self._writing():
            current = self._current_for(lease)
            self._begin(lease, current.attempt + 1, head, blobs, snapshot, record)
        self._note(lease, Reached(current.attempt + 1, record.seq))

    def append(self, lease: Lease, snapshot: Snapshot, record: Record) -> None:
        check_pair(lease, snapshot, record)
        after, line = snapshot.text(), record_text(record)
        with self._writing():
            current = self._current_for(lease)
            self._append(lease, current, after, record, line)
        self._note(lease, Reached(current.attempt, record.seq))

    def replan(
        self, lease: Lease, head: RunHead, blobs: Mapping[str, bytes], snapshot: Snapshot, record: Record
    ) -> None:
        check_pair(lease, snapshot, record, head, begins=False)
        check_blobs(blobs)
        with self._writing():
            current = self._current_for(lease)
            self._connection.executemany(_PUT_BLOB, blobs.items())
            self._set_head(lease.run_id, current.attempt, head)
            self._append(lease, current, snapshot.text(), record, record_text(record))
        self._note(lease, Reached(current.attempt, record.seq))

    def mark_intent(self, lease: Lease, call_number: int, at: float) -> None:
        with self._writing():
            current = self._current_for(lease)
            if current.intent:
                raise double_intent(lease.run_id, current.intent)
            self._put_state(lease, current.attempt, current.seq, current.snapshot, call_number, at)
        self._note(lease, Reached(current.attempt, current.seq, call_number))

    def intent(self, run_id: str) -> int:
        with self._reading():
            return self._current(run_id).intent

    def keep(self, lease: Lease, event: Mapping[str, Any]) -> None:
        text = event_text(event)
        with self._writing():
            current = self._current_for(lease)
            intent = (current.intent, current.intended_at)
            self._put_state(lease, current.attempt, current.seq, current.snapshot, *intent, text)

    def kept(self, run_id: str) -> dict[str, Any] | None:
        with self._reading():
            text = self._current(run_id).kept
        return read_object(text) if text else None

    def request_cancel(self, run_id: str, by: str, at: float) -> None:
        with self._writing():
            self._current(run_id)
            row = (run_id, storable(by), float(at))
            self._connection.execute(_PUT_REQUEST, (*row, checksum("requests", *row)))

    def cancel_requested(self, run_id: str) -> str:
        with self._reading():
            row = self._connection.execute(_REQUEST, (run_id,)).fetchone()
        if row is None:
            return ""
        verify("requests", row, run_id)
        return text_of(row[1])

    def delete(self, lease: Lease) -> None:
        if (mark := self._mark.get(lease.run_id)) is not None:
            # Before the run is gone: an end in between must not leave a note of a run that nobody has.
            mark.clear()
        with self._writing():
            self._current_for(lease)
            for statement in _DELETE:
                self._connection.execute(statement, (lease.run_id,))
            # Every attempt of every other run is asked, because any of them may still be shown or drawn.
            needed = {digest for head in self._heads() for digest in head.digests}
            for (key,) in self._connection.execute(_BLOB_KEYS).fetchall():
                if text_of(key) not in needed:
                    self._connection.execute(_DROP_BLOB, (text_of(key),))

    def _heads(self) -> list[RunHead]:
        rows = self._connection.execute(_HEADS).fetchall()
        for row in rows:
            verify("runs", row, text_of(row[0]))
        return [RunHead.from_text(text_of(row[2]), attempt=row[1], epoch=0, seq=0) for row in rows]

    def set_options(self, lease: Lease, options: Mapping[str, Any]) -> None:
        with self._writing():
            current = self._current_for(lease)
            self._set_head(lease.run_id, current.attempt, replace(current.run_head(), options=options))

    def attach(self, lease: Lease, name: str, content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()
        with self._writing():
            current = self._current_for(lease)
            head = current.run_head()
            self._connection.execute(_PUT_BLOB, (digest, content))
            head = replace(head, documents={**head.documents, name: digest})
            self._set_head(lease.run_id, current.attempt, head)

    def load(self, run_id: str, attempt: int | None = None) -> StoredRun:
        with self._reading():
            current = self._current(run_id)
            if attempt is not None and attempt != current.attempt:
                current = self._earlier(run_id, attempt, current.attempt)
        return current.run()

    def ids(self) -> list[str]:
        with self._reading():
            return sorted({text_of(row[0]) for row in self._connection.execute(_HEADS)})

    def remains(self, run_id: str) -> Remains:
        with self._reading():
            return read_remains(self._connection, run_id)

    def find(self, prefix: str) -> str:
        with self._reading():
            return choose_run(prefix, [text_of(row[0]) for row in self._connection.execute(_IDS)])

    def history(self, run_id: str, attempt: int | None = None) -> list[Record]:
        with self._reading():
            current = self._current(run_id)
            wanted = current.attempt if attempt is None else attempt
            if not 1 <= wanted <= current.attempt:
                raise unknown_attempt(run_id, wanted, current.attempt)
            rows = self._connection.execute(_RECORDS, (run_id, wanted)).fetchall()
            last = self._connection.execute(_LAST, (run_id, wanted)).fetchone()
        for row in rows:
            verify("records", row, run_id)
        if last is None or [row[2] for row in rows] != list(range(1, len(rows) + 1)) or last[0] != len(rows):
            raise damaged(run_id, "records", "a row is missing")
        return [Record.from_json(read_object(text_of(row[3]))) for row in rows]

    def blob(self, sha256: str) -> bytes:
        with self._reading():
            row = self._connection.execute(_BLOB, (sha256,)).fetchone()
        if row is None:
            raise missing_blob(sha256)
        content = row[0]
        if not isinstance(content, bytes) or hashlib.sha256(content).hexdigest() != sha256:
            raise DamageError(
                f"the document with digest {sha256[:64]} is damaged in the store",
                code="AZM-T008",
                seen=f"row blobs/{sha256[:64]}",
                next="restore the store from a copy",
            )
        return content

    def runs(self) -> list[StoredRun]:
        with self._reading():
            every = [self._current(run_id) for run_id in self._whole_ids()]
        return sorted(
            (current.run() for current in every), key=lambda run: (run.head.created, run.head.id), reverse=True
        )

    def close(self) -> None:
        with reported(self.path):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_writable(self) -> None:
        if self.read_only:
            raise refused(self.path, "was opened for reading only", "AZM-T004", "open it for writing")

    def _writing(self) -> AbstractContextManager[None]:
        self._check_writable()
        return self._transaction("BEGIN IMMEDIATE")

    def _reading(self) -> AbstractContextManager[None]:
        return self._transaction("BEGIN")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with reported(self.path):
            self._connection.execute(begin)
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
                raise

    def _note(self, lease: Lease, reached: Reached) -> None:
        """Behind a commit, and so before anything that was committed is done."""
        if (mark := self._mark.get(lease.run_id)) is not None:
            mark.write(reached)

    def _begin(
        self,
        lease: Lease,
        attempt: int,
        head: RunHead,
        blobs: Mapping[str, bytes],
        snapshot: Snapshot,
        record: Record,
    ) -> None:
        row = (lease.run_id, attempt, storable(head.text()))
        self._connection.execute(_ADD_HEAD, (*row, checksum("runs", *row)))
        self._connection.executemany(_PUT_BLOB, blobs.items())
        self._put_state(lease, attempt, record.seq, snapshot.text())
        self._add_record(lease.run_id, attempt, record.seq, record_text(record))

    def _append(self, lease: Lease, current: _Current, snapshot: str, record: Record, line: str) -> None:
        check_sequence(lease, current.seq, record)
        self._put_state(lease, current.attempt, record.seq, snapshot)
        self._add_record(lease.run_id, current.attempt, record.seq, line)
        if record.kind in ANSWERS_CANCEL:
            self._connection.execute(_DROP_REQUEST, (lease.run_id,))

    def _set_head(self, run_id: str, attempt: int, head: RunHead) -> None:
        text = storable(head.text())
        self._connection.execute(_SET_HEAD, (text, checksum("runs", run_id, attempt, text), run_id, attempt))

    def _put_state(
        self,
        lease: Lease,
        attempt: int,
        seq: int,
        snapshot: str,
        intent: int = 0,
        intended_at: float = 0.0,
        kept: str = "",
    ) -> None:
        texts = (storable(kept), storable(snapshot))
        row = (lease.run_id, attempt, seq, lease.epoch, lease.owner, intent, float(intended_at), *texts)
        self._connection.execute(_PUT_STATE, (*row, checksum("snapshots", *row)))

    def _add_record(self, run_id: str, attempt: int, seq: int, line: str) -> None:
        row = (run_id, attempt, seq, storable(line))
        self._connection.execute(_ADD_RECORD, (*row, checksum("records", *row)))

    def _current_for(self, lease: Lease) -> _Current:
        """The current attempt, for a lease that may write to it: read, compared and written in one transaction."""
        current = self._current(lease.run_id)
        check_fence(lease, current.epoch, current.owner)
        return current

    def _current(self, run_id: str) -> _Current:
        current = self._find_current(run_id)
        if current is not None:
            return current
        ids = self._whole_ids()
        raise damaged(run_id, "runs", "its index is damaged") if run_id in ids else unknown_run(run_id, ids)

    def _find_current(self, run_id: str) -> _Current | None:
        """The newest attempt, both its rows checked; None when there is neither row."""
        head = self._connection.execute(_HEAD, (run_id,)).fetchone()
        state = self._connection.execute(_STATE, (run_id,)).fetchone()
        return None if head is None and state is None else _whole(run_id, head, state)

    def _earlier(self, run_id: str, attempt: int, count: int) -> _Current:
        if not 1 <= attempt <= count:
            raise unknown_attempt(run_id, attempt, count)
        rows = (self._connection.execute(one, (run_id, attempt)).fetchone() for one in (_HEAD_AT, _STATE_AT))
        return _whole(run_id, *rows)

    def _whole_ids(self) -> set[str]:
        """Every id, read past the indexes, after checking every head."""
        ids = set()
        for row in self._connection.execute(_HEADS):
            verify("runs", row, text_of(row[0]))
            ids.add(text_of(row[0]))
        return ids


def _whole(run_id: str, head: tuple[Any, ...] | None, state: tuple[Any, ...] | None) -> _Current:
    """An attempt out of its two rows, both checked."""
    if head is None or state is None:
        raise damaged(run_id, "runs" if head is None else "snapshots", "a row is missing")
    verify("runs", head, run_id)
    verify("snapshots", state, run_id)
    _, attempt, seq, epoch, owner, intent, intended_at, kept, snapshot, _ = state
    if not all(type(number) is int for number in (head[1], attempt, seq, epoch, intent)):
        raise damaged(run_id, "snapshots", "a number is none")
    if head[1] != attempt:
        raise damaged(run_id, "runs" if head[1] < attempt else "snapshots", "a row is missing")
    return _Current(
        attempt=attempt,
        head=text_of(head[2]),
        seq=seq,
        epoch=epoch,
        owner=text_of(owner),
        intent=intent,
        intended_at=float(intended_at),
        kept=text_of(kept),
        snapshot=text_of(snapshot),
    )
