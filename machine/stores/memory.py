"""A store for tests and dry runs: every promise of the Store protocol except outliving the process.

Values are kept as the JSON text a file would hold, so nothing handed out can change what is stored and a value that
does not survive the round trip shows here first. No I/O.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

from ..chart.snapshot import Record, Snapshot
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
from .locks import busy, this_process

__all__ = ["MemoryStore"]


@dataclass(slots=True, kw_only=True)
class _Attempt:
    head: str
    snapshot: str
    seq: int
    epoch: int
    owner: str
    records: list[str] = field(default_factory=list)
    intent: int = 0
    kept: str = ""


class MemoryStore:
    """Runs in dictionaries. Its locks bind whoever shares the object."""

    def __init__(self) -> None:
        self._runs: dict[str, list[_Attempt]] = {}
        self._blobs: dict[str, bytes] = {}
        self._held: dict[str, Holder] = {}
        self._requests: dict[str, str] = {}

    @contextmanager
    def lock(self, run_id: str) -> Iterator[Lease]:
        mine = this_process()
        # setdefault is one step of the interpreter: of two threads exactly one finds its own value.
        other = self._held.setdefault(check_run_id(run_id), mine)
        if other is not mine:
            raise busy(run_id, other)
        try:
            attempts = self._runs.get(run_id)
            yield new_lease(run_id, attempts[-1].epoch if attempts else 0)
        finally:
            del self._held[run_id]

    def held(self, run_id: str) -> Holder | None:
        return self._held.get(check_run_id(run_id))

    def create(
        self, lease: Lease, head: RunHead, blobs: Mapping[str, bytes], snapshot: Snapshot, record: Record
    ) -> None:
        if lease.run_id in self._runs:
            raise taken(lease.run_id)
        first = _begin(lease, head, blobs, snapshot, record)
        self._blobs.update(blobs)
        self._runs[lease.run_id] = [first]

    def restart(
        self, lease: Lease, head: RunHead, blobs: Mapping[str, bytes], snapshot: Snapshot, record: Record
    ) -> None:
        self._writable(lease)
        again = _begin(lease, head, blobs, snapshot, record)
        self._blobs.update(blobs)
        self._runs[lease.run_id].append(again)

    def append(self, lease: Lease, snapshot: Snapshot, record: Record) -> None:
        check_pair(lease, snapshot, record)
        self._append(lease, self._writable(lease), snapshot, record)

    def replan(
        self, lease: Lease, head: RunHead, blobs: Mapping[str, bytes], snapshot: Snapshot, record: Record
    ) -> None:
        check_pair(lease, snapshot, record, head, begins=False)
        check_blobs(blobs)
        current = self._writable(lease)
        self._append(lease, current, snapshot, record)
        self._blobs.update(blobs)
        current.head = head.text()

    def _append(self, lease: Lease, current: _Attempt, snapshot: Snapshot, record: Record) -> None:
        check_sequence(lease, current.seq, record)
        after, line = snapshot.text(), record_text(record)
        current.records.append(line)
        current.snapshot, current.seq, current.intent, current.kept = after, record.seq, 0, ""
        current.epoch, current.owner = lease.epoch, lease.owner
        if record.kind in ANSWERS_CANCEL:
            self._requests.pop(lease.run_id, None)

    def mark_intent(self, lease: Lease, call_number: int, at: float) -> None:
        current = self._writable(lease)
        if current.intent:
            raise double_intent(lease.run_id, current.intent)
        current.intent = call_number
        current.epoch, current.owner = lease.epoch, lease.owner

    def intent(self, run_id: str) -> int:
        return self._current(run_id).intent

    def keep(self, lease: Lease, event: Mapping[str, Any]) -> None:
        current = self._writable(lease)
        current.kept = event_text(event)
        current.epoch, current.owner = lease.epoch, lease.owner

    def kept(self, run_id: str) -> dict[str, Any] | None:
        text = self._current(run_id).kept
        return read_object(text) if text else None

    def attach(self, lease: Lease, name: str, content: bytes) -> None:
        current = self._writable(lease)
        digest = hashlib.sha256(content).hexdigest()
        self._blobs[digest] = bytes(content)
        head = _head(current, 0)
        current.head = replace(head, documents={**head.documents, name: digest}).text()

    def request_cancel(self, run_id: str, by: str, at: float) -> None:
        self._current(run_id)
        self._requests[run_id] = by

    def cancel_requested(self, run_id: str) -> str:
        return self._requests.get(run_id, "")

    def delete(self, lease: Lease) -> None:
        self._writable(lease)
        del self._runs[lease.run_id]
        self._requests.pop(lease.run_id, None)
        heads = [_head(attempt, 0) for attempts in self._runs.values() for attempt in attempts]
        needed = {digest for head in heads for digest in head.digests}
        self._blobs = {digest: content for digest, content in self._blobs.items() if digest in needed}

    def set_options(self, lease: Lease, options: Mapping[str, Any]) -> None:
        current = self._writable(lease)
        current.head = replace(_head(current, 0), options=options).text()

    def load(self, run_id: str, attempt: int | None = None) -> StoredRun:
        number, found = self._attempt(run_id, attempt)
        return StoredRun(head=_head(found, number), snapshot=Snapshot.from_json(read_object(found.snapshot)))

    def find(self, prefix: str) -> str:
        return choose_run(prefix, self._runs)

    def history(self, run_id: str, attempt: int | None = None) -> list[Record]:
        _, found = self._attempt(run_id, attempt)
        return [Record.from_json(read_object(line)) for line in found.records]

    def blob(self, sha256: str) -> bytes:
        try:
            return self._blobs[sha256]
        except KeyError:
            raise missing_blob(sha256) from None

    def runs(self) -> list[StoredRun]:
        every = [self.load(run_id) for run_id in self._runs]
        return sorted(every, key=lambda run: (run.head.created, run.head.id), reverse=True)

    def close(self) -> None:
        """Nothing to let go of: the runs live as long as the object."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _current(self, run_id: str) -> _Attempt:
        attempts = self._runs.get(run_id)
        if not attempts:
            raise unknown_run(run_id, self._runs)
        return attempts[-1]

    def _attempt(self, run_id: str, attempt: int | None) -> tuple[int, _Attempt]:
        self._current(run_id)
        attempts = self._runs[run_id]
        if attempt is not None and not 1 <= attempt <= len(attempts):
            raise unknown_attempt(run_id, attempt, len(attempts))
        number = attempt or len(attempts)
        return number, attempts[number - 1]

    def _writable(self, lease: Lease) -> _Attempt:
        current = self._current(lease.run_id)
        check_fence(lease, current.epoch, current.owner)
        return current


def _begin(lease: Lease, head: RunHead, blobs: Mapping[str, bytes], snapshot: Snapshot, record: Record) -> _Attempt:
    check_pair(lease, snapshot, record, head)
    check_blobs(blobs)
    return _Attempt(
        head=head.text(),
        snapshot=snapshot.text(),
        seq=record.seq,
        epoch=lease.epoch,
        owner=lease.owner,
        records=[record_text(record)],
    )


def _head(attempt: _Attempt, number: int) -> RunHead:
    return RunHead.from_text(attempt.head, attempt=number, epoch=attempt.epoch, seq=attempt.seq)
