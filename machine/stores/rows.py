"""The rows of a SQLite store as text that can be trusted: a checksum over all of a row, and what damage is called.

Every row carries a checksum over its table and all its columns, because SQLite itself notices only a part of what a
disk can do to it. Reads and writes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from ..errors import DamageError

__all__ = ["checksum", "damaged", "storable", "text_of", "verify"]

_KEYS: Mapping[str, int] = {"runs": 2, "snapshots": 2, "records": 3, "requests": 1}
"""How many of a table's first columns are its key."""


def checksum(table: str, *columns: object) -> str:
    """SHA-256 over the table and every column, each with its type and length, so that no two rows read alike."""
    digest = hashlib.sha256(table.encode())
    for column in columns:
        if isinstance(column, (str, bytes)):
            kind, data = b"t", column.encode() if isinstance(column, str) else column
        else:
            kind, data = b"n", repr(column).encode()
        digest.update(b"%b%d:" % (kind, len(data)))
        digest.update(data)
    return digest.hexdigest()


def verify(table: str, row: tuple[object, ...], run_id: str) -> None:
    """Raise DamageError naming the row, whose last column is its checksum, where the two differ."""
    if checksum(table, *row[:-1]).encode() != row[-1]:
        key = "/".join(text_of(column) for column in row[: _KEYS[table]])
        raise damaged(run_id, f"{table}/{key[:200]}", "a row does not match its checksum")


def damaged(run_id: str, row: str, why: str) -> DamageError:
    return DamageError(
        f"run {run_id[:128]} is damaged in the store: {why}",
        code="AZM-T008",
        seen=f"row {row}",
        next="restore the store from a copy; nothing was done with the run",
    )


def text_of(column: object) -> str:
    return column.decode("utf-8", "replace") if isinstance(column, bytes) else str(column)


def storable(text: str) -> str:
    """The same JSON as valid UTF-8. A reply may hold half a surrogate pair (RFC 8259 section 8.2), which has no
    UTF-8 form; as it can only stand inside a JSON string, its escape there means the same."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
