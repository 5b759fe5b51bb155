"""What every store keeps and promises: the Store protocol, its values, and the checks all stores share.

A store turns (lease, snapshot, record) into something that survives a crash, and gives it back unchanged or not at
all. It knows nothing of documents, requests or clocks; whoever calls it decides what the values mean.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from ..chart.snapshot import Record, Snapshot
from ..errors import BugError, DamageError, IdentityError, StoreError, UsageError

__all__ = [
    "ANSWERS_CANCEL",
    "Holder",
    "Lease",
    "RunHead",
    "Store",
    "StoredRun",
    "check_blobs",
    "check_fence",
    "check_pair",
    "check_run_id",
    "check_sequence",
    "choose_run",
    "double_intent",
    "event_text",
    "missing_blob",
    "new_lease",
    "read_object",
    "record_text",
    "taken",
    "unknown_attempt",
    "unknown_run",
]

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LISTED = 10
_HEAD_TYPES: Mapping[str, type] = {
    "id": str,
    "workflow": str,
    "document": str,
    "created": float,
    "plan_sha256": str,
    "inputs_sha256": str,
    "documents": dict,
    "options": dict,
    "earlier": list,
    "origin": dict,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHead:
    """What a run is: fixed when its attempt begins, but for ``options``, ``epoch`` and ``seq``; where its document was
    edited, ``plan_sha256`` and ``documents`` are those of now."""

    id: str
    workflow: str
    document: str
    """The name of the entry document, as the user gave it."""
    created: float
    """Seconds since the epoch."""
    plan_sha256: str
    inputs_sha256: str
    """A digest of the inputs that are not secret: other inputs are another run."""
    documents: Mapping[str, str] = field(default_factory=dict)
    """Name or URI of each document to the SHA-256 of its bytes, which are a blob of the store."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """JSON: servers, sources, secret references and every option that applies again on resume."""
    earlier: tuple[Mapping[str, Any], ...] = ()
    """``{plan_sha256, documents}`` of each plan that applied before this one, oldest first."""
    origin: Mapping[str, str] = field(default_factory=dict)
    """For a run begun from a token: ``run``, ``token`` (its digest), and ``snapshot``, the blob it began with."""
    epoch: int = 0
    """The lease that wrote last. Set by the store."""
    seq: int = 0
    """The last record of this attempt. Set by the store."""
    attempt: int = 1
    """1, then one more for each restart under the same id. Set by the store."""

    def text(self) -> str:
        """The JSON a store keeps: what was given, without what the store itself counts."""
        return _compact(
            {
                "id": self.id,
                "workflow": self.workflow,
                "document": self.document,
                "created": float(self.created),
                "plan_sha256": self.plan_sha256,
                "inputs_sha256": self.inputs_sha256,
                "documents": dict(self.documents),
                "options": dict(self.options),
                "earlier": [dict(one) for one in self.earlier],
                "origin": dict(self.origin),
            }
        )

    @property
    def edition(self) -> dict[str, Any]:
        """Its plan and documents, as ``earlier`` keeps them once others apply."""
        return {"plan_sha256": self.plan_sha256, "documents": dict(self.documents)}

    @property
    def digests(self) -> frozenset[str]:
        """Every blob the run needs."""
        plans = (self.edition, *self.earlier)
        began = [self.origin["snapshot"]] if "snapshot" in self.origin else []
        return frozenset(
            [*(digest for one in plans for digest in (one["plan_sha256"], *one["documents"].values())), *began]
        )

    @classmethod
    def from_text(cls, text: str, *, attempt: int, epoch: int, seq: int) -> RunHead:
        """The inverse of :meth:`text`. Raises DamageError when it is not a head."""
        given = read_object(text)
        if {key: type(value) for key, value in given.items()} != _HEAD_TYPES:
            raise DamageError("a stored run head is damaged", code="AZM-T025", next="restore the store")
        if not all(_is_earlier(one) for one in given["earlier"]):
            raise DamageError("a stored run head is damaged", code="AZM-T025", next="restore the store")
        return cls(**{**given, "earlier": tuple(given["earlier"])}, attempt=attempt, epoch=epoch, seq=seq)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run as it stands: its head and the snapshot to continue from."""

    head: RunHead
    snapshot: Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that holds a run; ``pid`` 0 when the lock is held but nothing is known of who does."""

    pid: int = 0
    host: str = ""
    since: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to write to one run. ``epoch`` outranks every lease that wrote before; ``owner`` tells apart two
    leases that saw the same epoch because neither had written yet."""

    run_id: str
    epoch: int
    owner: str


class Store(Protocol):
    """Durable runs. Every writing method is one transaction: all of it is there afterwards, or nothing is.

    All methods raise StoreError (74) when the medium fails and DamageError (65) when what is read is not what was
    written. Methods that take a lease raise StoreError AZM-T020 when another runner wrote since it was taken.
    """

    def lock(self, run_id: str) -> AbstractContextManager[Lease]:
        """Hold the run, known or not, until the block ends or the process dies; take it before reading anything.

        Writes nothing to the run. Raises BusyError (75) naming the holder, UsageError for an id that is none.
        """
        ...

    def held(self, run_id: str) -> Holder | None:
        """Who holds the run now; None when nobody does. Never disturbs the holder."""
        ...

    def create(
        self, lease: Lease, head: RunHead, blobs: Mapping[str, bytes], snapshot: Snapshot, record: Record
    ) -> None:
        """Begin a run: head, documents, first snapshot and first record. Raises IdentityError when the id is taken."""
        ...

    def restart(
        self, lease: Lease, head: RunHead, blobs: Mapping[str, bytes], snapshot: Snapshot, record: Record
    ) -> None:
        """Begin the run anew under its id, as one attempt more. Earlier attempts stay readable through history()."""
        ...

    def append(self, lease: Lease, snapshot: Snapshot, record: Record) -> None:
        """Add a record, put the snapshot in the place of the one before, forget intent and kept event.

        The stored seq must be the record's minus one, else AZM-T020.
        """
        ...

    def replan(
        self, lease: Lease, head: RunHead, blobs: Mapping[str, bytes], snapshot: Snapshot, record: Record
    ) -> None:
        """Append a record with which another plan begins to apply: its head names that plan, and the one before under
        ``earlier``; the blobs hold it and what it was read from."""
        ...

    def mark_intent(self, lease: Lease, call_number: int, at: float) -> None:
        """Write down that this call is about to leave, after the last record. Once per record, else AZM-T020."""
        ...

    def intent(self, run_id: str) -> int:
        """The call marked since the last record; 0 when none was."""
        ...

    def keep(self, lease: Lease, event: Mapping[str, Any]) -> None:
        """Write down an event, as JSON, that could not be applied: what was learnt is not lost with the process."""
        ...

    def kept(self, run_id: str) -> dict[str, Any] | None:
        """The event kept since the last record; None when none was."""
        ...

    def attach(self, lease: Lease, name: str, content: bytes) -> None:
        """Keep bytes that belong to the run beside its documents, under their digest, and name them in its head."""
        ...

    def request_cancel(self, run_id: str, by: str, at: float) -> None:
        """Ask whoever holds the run to stop. Needs no lease; a record that cancels or reopens the run answers it."""
        ...

    def cancel_requested(self, run_id: str) -> str:
        """Who asked, since the run was last cancelled or reopened; empty when nobody did."""
        ...

    def delete(self, lease: Lease) -> None:
        """Forget the run, all its attempts, and every document no other run needs."""
        ...

    def set_options(self, lease: Lease, options: Mapping[str, Any]) -> None:
        """Replace the options of the head."""
        ...

    def load(self, run_id: str, attempt: int | None = None) -> StoredRun:
        """An attempt, the current one unless told. Raises UsageError, with ids that look alike, for a run that is not
        there."""
        ...

    def find(self, prefix: str) -> str:
        """The id that is, or alone begins with, ``prefix``. Raises UsageError when none or several do."""
        ...

    def history(self, run_id: str, attempt: int | None = None) -> list[Record]:
        """Every record of an attempt, the current one unless told, oldest first."""
        ...

    def blob(self, sha256: str) -> bytes:
        """The bytes with this digest. Raises DamageError when they are gone or changed."""
        ...

    def runs(self) -> list[StoredRun]:
        """The current attempt of every run, newest first."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


ANSWERS_CANCEL = frozenset({"run.cancelled", "run.reopened"})
"""Kinds of record after which a request to cancel no longer stands."""


def check_run_id(text: str) -> str:
    """The text, when it can name a run. An id is also a file name, so it is letters, digits, ``.``, ``_``, ``-``."""
    if not _RUN_ID.fullmatch(text):
        raise UsageError(
            "this is not a run id",
            code="AZM-U410",
            seen=repr(text[:40]),
            next="use 1 to 128 letters, digits, '.', '_' or '-', beginning with a letter or a digit",
        )
    return text


def new_lease(run_id: str, stored_epoch: int) -> Lease:
    """A lease above everything written so far. Taking it writes nothing: its first append does."""
    return Lease(run_id=run_id, epoch=stored_epoch + 1, owner=os.urandom(8).hex())


def check_fence(lease: Lease, epoch: int, owner: str) -> None:
    """Refuse a lease that is not the last one that wrote and does not outrank it."""
    if epoch > lease.epoch or (epoch == lease.epoch and owner != lease.owner):
        raise _fenced(lease.run_id, f"lease {lease.epoch}, stored {epoch}")


def check_sequence(lease: Lease, stored: int, record: Record) -> None:
    """Refuse a record that does not follow the last one stored."""
    if stored != record.seq - 1:
        raise _fenced(lease.run_id, f"record {record.seq} after record {stored}")


def check_pair(
    lease: Lease, snapshot: Snapshot, record: Record, head: RunHead | None = None, *, begins: bool = True
) -> None:
    """Refuse values that do not belong together, before any of them is on disk. A head ``begins`` an attempt, unless it
    only names another plan."""
    if snapshot.seq != record.seq:
        raise BugError(f"a snapshot after {snapshot.seq} events was stored with record {record.seq}", code="AZM-B410")
    if head is None:
        return
    if head.id != lease.run_id:
        raise BugError(f"a lease of {lease.run_id!r} was used for run {head.id!r}", code="AZM-B411")
    if head.plan_sha256 != snapshot.plan_sha256:
        raise BugError(f"a head of run {head.id!r} names another plan than its snapshot", code="AZM-B414")
    if begins and record.seq != 1:
        raise BugError(f"an attempt was begun with record {record.seq}", code="AZM-B413")


def check_blobs(blobs: Mapping[str, bytes]) -> None:
    """Refuse content stored under a digest that is not its own."""
    for sha256, content in blobs.items():
        if hashlib.sha256(content).hexdigest() != sha256:
            raise BugError(f"a blob does not have the digest {sha256}", code="AZM-B412")


def read_object(text: str) -> dict[str, Any]:
    """A stored JSON object. A checksum only tells that a text is unchanged, not that it was ever ours."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamageError("a stored text is not JSON", code="AZM-T025", next="restore the store") from error
    if not isinstance(value, dict):
        raise DamageError("a stored text is not a JSON object", code="AZM-T025", next="restore the store")
    return value


def record_text(record: Record) -> str:
    return _compact(record.to_json())


def event_text(event: Mapping[str, Any]) -> str:
    return _compact(dict(event))


def choose_run(prefix: str, ids: Iterable[str]) -> str:
    """The one id that equals or alone begins with the prefix; the whole id wins over longer ones."""
    known = sorted(ids)
    if prefix in known:
        return prefix
    fitting = [one for one in known if prefix and one.startswith(prefix)]
    if not fitting:
        raise unknown_run(prefix, known)
    if len(fitting) > 1:
        raise UsageError(
            f"{len(fitting)} runs begin with {prefix!r}",
            code="AZM-U412",
            seen=_listed(fitting),
            next="give more letters of the id",
        )
    return fitting[0]


def unknown_run(run_id: str, ids: Iterable[str]) -> UsageError:
    near = difflib.get_close_matches(run_id, list(ids), n=3)
    return UsageError(
        f"there is no run {run_id[:128]!r} in this store",
        code="AZM-U411",
        next=f"did you mean {_listed(near)}?" if near else "list the runs with: arazzo-machine runs",
    )


def taken(run_id: str) -> IdentityError:
    return IdentityError(f"there is already a run {run_id}", code="AZM-T022", next="resume it, or choose another id")


def double_intent(run_id: str, number: int) -> StoreError:
    return _fenced(run_id, f"call {number} was already about to leave")


def unknown_attempt(run_id: str, attempt: int, count: int) -> UsageError:
    return UsageError(f"run {run_id} has no attempt {attempt}", code="AZM-U413", next=f"it has attempts 1 to {count}")


def missing_blob(sha256: str) -> DamageError:
    return DamageError(
        f"the store has no document with digest {sha256[:64]}", code="AZM-T024", next="restore the store"
    )


def _is_earlier(value: object) -> bool:
    """Whether this names a plan and its documents."""
    if not isinstance(value, dict) or set(value) != {"plan_sha256", "documents"}:
        return False
    return isinstance(value["plan_sha256"], str) and isinstance(value["documents"], dict)


def _fenced(run_id: str, seen: str) -> StoreError:
    return StoreError(
        f"another runner wrote to run {run_id}",
        code="AZM-T020",
        seen=seen,
        next=f"nothing was written; look at the run with: arazzo-machine show {run_id}",
    )


def _listed(ids: list[str]) -> str:
    more = f" and {len(ids) - _LISTED} more" if len(ids) > _LISTED else ""
    return ", ".join(ids[:_LISTED]) + more


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
