"""Where a stored run stands: whether it is ready, starts over, or has a call that must be taken for sent.

Small questions a runner asks of values; nothing here sends anything.
"""

from __future__ import annotations

import getpass
import hashlib
import socket
from collections.abc import Mapping
from typing import Any

from ..chart.effects import Call
from ..chart.settings import Settings
from ..chart.snapshot import Snapshot
from ..errors import BusyError
from ..plan.model import UNSAFE
from ..stores.base import Store
from .result import is_resumable

__all__ = ["given_anew", "leaves_at_once", "merged_options", "prune", "ready", "sha256", "starts_over", "who"]


def given_anew(given: Settings | None, stored: Settings) -> dict[str, Any]:
    """The settings that were given and are not those the run has."""
    if given is None:
        return {}
    usual, before = Settings().to_json(), stored.to_json()
    return {name: value for name, value in given.to_json().items() if value not in (usual[name], before[name])}


def leaves_at_once(call: Call | None) -> bool:
    """Whether storing this call was the intent to send it, so that a process that stops before it does is in doubt."""
    return call is not None and call.kind in UNSAFE and call.intended


def merged_options(before: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a run with what was given anew. Maps are merged: one new server does not forget another."""
    after = dict(before)
    for name, value in given.items():
        if isinstance(value, Mapping) and isinstance(before.get(name), Mapping):
            after[name] = {**before[name], **value}
        elif value not in (None, [], {}):
            after[name] = value
    return after


def ready(snapshot: Snapshot) -> bool:
    return snapshot.stopped is not None and snapshot.stopped.reason in ("ended", "completed")


def starts_over(snapshot: Snapshot) -> bool:
    """A run that ended badly without anything applied has nothing to be resumed for."""
    stop = snapshot.stopped
    return stop is not None and stop.reason in ("broke", "failure_action", "unmatched") and not snapshot.applied


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def who() -> str:
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "unknown"
    return f"{name}@{socket.gethostname()}"


def prune(store: Store, before: float) -> list[str]:
    """Forget every run that ended for good before that moment, and return their ids. Runs that can be resumed, or that
    somebody holds, are kept."""
    forgotten = []
    for stored in store.runs():
        stop = stored.snapshot.stopped
        if stop is None or stop.at > before or is_resumable(stored.snapshot):
            continue
        try:
            with store.lock(stored.head.id) as lease:
                store.delete(lease)
        except BusyError:
            continue
        forgotten.append(stored.head.id)
    return forgotten
