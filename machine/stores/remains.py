"""What can still be read of a damaged run: every row that is whole, and an error that names each one that is not.

Nothing is repaired and nothing is guessed. A run that is whole has no damage here, so this is also how to ask.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ..chart.snapshot import Record, Snapshot
from ..errors import DamageError, StoreError
from .base import RunHead, read_object
from .rows import damaged, text_of, verify

__all__ = ["Remains", "read_remains"]

_HEAD = "SELECT id, attempt, head, checksum FROM runs NOT INDEXED WHERE id = ? ORDER BY attempt DESC LIMIT 1"
_STATE = (
    "SELECT run, attempt, seq, epoch, owner, intent, intended_at, kept, snapshot, checksum "
    "FROM snapshots NOT INDEXED WHERE run = ? ORDER BY attempt DESC LIMIT 1"
)
_RECORDS = (
    "SELECT run, attempt, seq, record, checksum FROM records NOT INDEXED WHERE run = ? AND attempt = ? ORDER BY seq"
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """The newest attempt of a run, as far as it can be read. ``records`` are those that are whole, oldest first."""

    id: str
    head: RunHead | None
    snapshot: Snapshot | None
    records: tuple[Record, ...]
    damage: tuple[StoreError, ...]


def read_remains(connection: sqlite3.Connection, run_id: str) -> Remains:
    """Read one run row by row, past the indexes. The connection gives texts as bytes."""
    damage: list[StoreError] = []

    def attempt_to(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except StoreError as error:
            damage.append(error)
        except sqlite3.Error as error:
            damage.append(damaged(run_id, "unknown", str(error)))
        return None

    head_row = attempt_to(lambda: _row(connection, "runs", _HEAD, run_id))
    state_row = attempt_to(lambda: _row(connection, "snapshots", _STATE, run_id))
    attempt = next((row[1] for row in (state_row, head_row) if row is not None), 1)
    snapshot = attempt_to(lambda: _snapshot(state_row)) if state_row is not None else None
    head = attempt_to(lambda: _head(head_row, snapshot)) if head_row is not None else None
    records = [
        record
        for row in attempt_to(lambda: connection.execute(_RECORDS, (run_id, attempt)).fetchall()) or ()
        if (record := attempt_to(lambda row=row: _record(row, run_id))) is not None  # type: ignore[misc]
    ]
    last = snapshot.seq if snapshot is not None else max((record.seq for record in records), default=0)
    named = {error.seen for error in damage}
    for seq in sorted({*range(1, last + 1)} - {record.seq for record in records}):
        row = f"row records/{run_id}/{attempt}/{seq}"
        if row not in named:
            damage.append(damaged(run_id, row.removeprefix("row "), "a row is missing"))
    return Remains(id=run_id, head=head, snapshot=snapshot, records=tuple(records), damage=tuple(damage))


def _row(connection: sqlite3.Connection, table: str, statement: str, run_id: str) -> tuple[object, ...]:
    row: tuple[object, ...] | None = connection.execute(statement, (run_id,)).fetchone()
    if row is None:
        raise damaged(run_id, f"{table}/{run_id}", "a row is missing")
    verify(table, row, run_id)
    return row


def _snapshot(row: tuple[object, ...]) -> Snapshot:
    return Snapshot.from_json(read_object(text_of(row[8])))


def _head(row: tuple[object, ...], snapshot: Snapshot | None) -> RunHead:
    seq = snapshot.seq if snapshot is not None else 0
    if not isinstance(row[1], int):
        raise DamageError("a stored run head is damaged", code="AZM-T025", next="restore the store")
    return RunHead.from_text(text_of(row[2]), attempt=row[1], epoch=0, seq=seq)


def _record(row: tuple[object, ...], run_id: str) -> Record:
    verify("records", row, run_id)
    return Record.from_json(read_object(text_of(row[3])))
