"""Heads, snapshots and records with a value in every field: what the contract of a store is tried with.

Made from a run id or a number of events; nothing here stores anything.
"""

from __future__ import annotations

import hashlib
from typing import Any

from ..chart.effects import Call, Finish
from ..chart.snapshot import Frame, GuardVerdict, LedgerEntry, Move, Record, Snapshot, Stop
from ..sources.model import Request
from ..stores.base import RunHead
from ..values import MISSING, SecretRef, SecretText

__all__ = ["DOCUMENT", "DOCUMENT_SHA256", "head_of", "record_at", "snapshot_at"]

DOCUMENT = b'{"arazzo": "1.1.0"}'
DOCUMENT_SHA256 = hashlib.sha256(DOCUMENT).hexdigest()


def head_of(run_id: str = "run-1", *, created: float = 1.0, workflow: str = "deploy") -> RunHead:
    """A head with a value in every field."""
    return RunHead(
        id=run_id,
        workflow=workflow,
        document="deploy.arazzo.yaml",
        created=created,
        plan_sha256="a" * 64,
        inputs_sha256="b" * 64,
        documents={"deploy.arazzo.yaml": DOCUMENT_SHA256},
        options={"servers": {"api": "http://127.0.0.1:1"}, "secrets": {"token": "@env:TOKEN"}},
        earlier=({"plan_sha256": "d" * 64, "documents": {"deploy.arazzo.yaml": "e" * 64}},),
        origin={"run": "run-0", "token": "f" * 64},
    )


def snapshot_at(seq: int, *, state: str = "s_0") -> Snapshot:
    """A snapshot after ``seq`` events, with secrets, absent values and text that is hard to keep."""
    body: Any = {"name": "a\x00b \u2028 \U0001f600", "left_out": MISSING, "$secret": "not one"}
    request = Request(
        source="api",
        method="POST",
        target=SecretText(("/things?key=", SecretRef("key", "percent"))),
        headers=(("Authorization", SecretText(("Bearer ", SecretRef("token")))),),
        body=body,
        content_type="application/json",
    )
    return Snapshot(
        plan_sha256="a" * 64,
        seq=seq,
        started=1.5,
        frames=(Frame(workflow="deploy", state=state, inputs={"token": SecretRef("token")}, visits={state: seq}),),
        ledger=(LedgerEntry(step="create", kind="create", outcome="unknown", identity={"id": 10**20}),),
        pending=Call(step="create", request=request, kind="create", not_before=2.5, delay=0.1, number=seq),
        stopped=Stop(reason="in_doubt", message="no answer", at=3.0, source=state) if seq > 100 else None,
    )


def record_at(seq: int) -> Record:
    """The record of the event that led to ``snapshot_at(seq)``."""
    return Record(
        seq=seq,
        kind="run.started" if seq == 1 else "call.replied",
        at=float(seq),
        event={"event": "replied", "reply": {"status": 200, "body": ["\u00e9", None, 1e-7, "'; DROP TABLE runs; --"]}},
        moves=(
            Move(
                frame=0,
                on="replied",
                source="s_0",
                target="s_0",
                transition="t_0",
                guards=(GuardVerdict(transition="t_0", label="ready", truth=False, why="status was 'pending'"),),
                outputs={"token": SecretRef("token"), "none": None},
            ),
        ),
        effects=(Finish(reason="in_doubt"),) if seq > 100 else (),
    )
