"""The Snapshot: all that is needed to continue a run, as one frozen value with an exact JSON form.

``advance`` makes each from the one before. The Record beside it says what happened and why; a history of records
replayed through ``advance`` gives the same snapshots byte for byte. Secrets are references here (``values.py``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from ..errors import DamageError, VersionError
from ..values import decode, encode
from .effects import Call, Effect, effect_from_json
from .settings import Settings

__all__ = ["EXIT_CODES", "Advanced", "Frame", "GuardVerdict", "LedgerEntry", "Record", "Snapshot", "Stop"]

SNAPSHOT_VERSION = 1
RECORD_VERSION = 1

Outcome = Literal["applied", "not_applied", "unknown"]

EXIT_CODES: Mapping[str, int] = {
    "ended": 0,
    "completed": 0,
    "broke": 10,
    "failure_action": 10,
    "request": 10,
    "unmatched": 11,
    "deadline": 12,
    "visits": 12,
    "calls": 12,
    "transitions": 12,
    "tolerance": 12,
    "in_doubt": 13,
    "credential": 14,
    "cancelled": 15,
}
"""Why a run stopped, and the process exit code that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Why nothing is pending: an end, a budget, a doubt, a refused credential, a cancellation."""

    reason: str
    message: str
    at: float
    source: str
    """The id of the state whose call was judged: where a reopened or resolved run takes up again."""

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.reason]

    def to_json(self) -> dict[str, Any]:
        return {"reason": self.reason, "message": self.message, "at": self.at, "source": self.source}


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One unsafe call and what is known of it on the other side."""

    step: str
    kind: str
    outcome: Outcome
    identity: Any = None
    """The step's outputs: what names the thing on the other side. None while nothing is known."""
    request: str = ""
    """Method and path, secrets shown by name."""
    at: float = 0.0
    status: int | None = None
    taken: bool = False
    """Whether the run went on with it as the step's result. What was applied and not taken is still open."""
    ruled_out: bool = False
    """Whether ``not_applied`` rests on somebody's look or word, not on an answer: a look may have come too early."""

    @property
    def open(self) -> bool:
        return self.outcome != "not_applied" and not self.taken

    def to_json(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "kind": self.kind,
            "outcome": self.outcome,
            "identity": encode(self.identity),
            "request": self.request,
            "at": self.at,
            "status": self.status,
            "taken": self.taken,
            "ruled_out": self.ruled_out,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One workflow under way. A run is a stack of them; the last is the one that moves."""

    workflow: str
    kind: Literal["root", "step", "dependency", "transfer"] = "root"
    state: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Outputs by step; the latest attempt wins (ambiguity A24)."""
    visits: Mapping[str, int] = field(default_factory=dict)
    """How often each state was entered."""
    retries: Mapping[str, int] = field(default_factory=dict)
    """Retries used by each transition in this visit of its step (ambiguity A14)."""
    waited: int = 0
    """Paced calls in a row, for the growth of the delay."""
    troubles: int = 0
    """Unusable answers in a row, for the tolerance."""
    absent: Mapping[str, bool | None] = field(default_factory=dict)
    """By step, whether the look before its first send found nothing; None when it could not tell."""

    def to_json(self) -> dict[str, Any]:
        return {
            "workflow": self.workflow,
            "kind": self.kind,
            "state": self.state,
            "inputs": encode(self.inputs),
            "steps": encode(self.steps),
            "visits": dict(self.visits),
            "retries": dict(self.retries),
            "waited": self.waited,
            "troubles": self.troubles,
            "absent": dict(self.absent),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Frame:
        return cls(**{**data, "inputs": decode(data["inputs"]), "steps": decode(data["steps"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of one run between two events. ``pending`` is the call it waits for; ``stopped`` says why none."""

    plan_sha256: str
    seq: int = 0
    """How many events were applied."""
    settings: Settings = field(default_factory=Settings)
    nonce: str = ""
    started: float | None = None
    deadline: float | None = None
    """Absolute, seconds since the epoch."""
    frames: tuple[Frame, ...]
    ledger: tuple[LedgerEntry, ...] = ()
    calls: int = 0
    """Requests that left or may have left."""
    recovered: bool = False
    """Whether a failure action was taken and the run went on."""
    pending: Call | None = None
    stopped: Stop | None = None

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    @property
    def applied(self) -> bool:
        """Whether an unsafe call was or may have been applied."""
        return any(entry.outcome != "not_applied" for entry in self.ledger)

    def with_frame(self, frame: Frame) -> Snapshot:
        return replace(self, frames=(*self.frames[:-1], frame))

    def to_json(self) -> dict[str, Any]:
        return {
            "v": SNAPSHOT_VERSION,
            "plan_sha256": self.plan_sha256,
            "seq": self.seq,
            "settings": self.settings.to_json(),
            "nonce": self.nonce,
            "started": self.started,
            "deadline": self.deadline,
            "frames": [frame.to_json() for frame in self.frames],
            "ledger": [entry.to_json() for entry in self.ledger],
            "calls": self.calls,
            "recovered": self.recovered,
            "pending": self.pending.to_json() if self.pending else None,
            "stopped": self.stopped.to_json() if self.stopped else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Snapshot:
        """Read a stored snapshot.

        Raises VersionError when a newer release wrote it, DamageError when it is not a snapshot.
        """
        version = data.get("v")
        if version != SNAPSHOT_VERSION:
            raise VersionError(
                f"this snapshot has format {version}, this release reads format {SNAPSHOT_VERSION}",
                code="AZM-T013",
                next="use the release of arazzo-machine that wrote it, or a newer one",
            )
        try:
            pending = effect_from_json(data["pending"]) if data["pending"] else None
            if pending is not None and not isinstance(pending, Call):
                raise TypeError("only a call can be pending")
            return cls(
                plan_sha256=data["plan_sha256"],
                seq=data["seq"],
                settings=Settings(**data["settings"]),
                nonce=data["nonce"],
                started=data["started"],
                deadline=data["deadline"],
                frames=tuple(Frame.from_json(one) for one in data["frames"]),
                ledger=tuple(LedgerEntry(**{**one, "identity": decode(one["identity"])}) for one in data["ledger"]),
                calls=data["calls"],
                recovered=data["recovered"],
                pending=pending,
                stopped=Stop(**data["stopped"]) if data["stopped"] else None,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DamageError(
                f"the stored snapshot is damaged: {type(error).__name__}", code="AZM-T014", next="restore the store"
            ) from error

    def text(self) -> str:
        """The canonical JSON text: equal snapshots give equal bytes."""
        return json.dumps(self.to_json(), ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardVerdict:
    """One guard that was looked at: what it found and why, in a sentence."""

    transition: str
    label: str
    truth: bool
    why: str

    def to_json(self) -> dict[str, Any]:
        return {"transition": self.transition, "label": self.label, "truth": self.truth, "why": self.why}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of a run's history: the event, the move it caused, every guard looked at, what came of it."""

    seq: int
    kind: str
    """``run.started``, ``call.replied``, ``call.failed``, ``doubt.resolved``, ``run.reopened``, ``run.cancelled``."""
    at: float
    event: Mapping[str, Any]
    source: str
    target: str
    transition: str
    guards: tuple[GuardVerdict, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """What the step's outputs became, where an answer was judged."""
    effects: tuple[Effect, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "v": RECORD_VERSION,
            "seq": self.seq,
            "kind": self.kind,
            "at": self.at,
            "event": dict(self.event),
            "source": self.source,
            "target": self.target,
            "transition": self.transition,
            "guards": [one.to_json() for one in self.guards],
            "outputs": encode(self.outputs),
            "effects": [one.to_json() for one in self.effects],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        """Read a stored record. Raises VersionError or DamageError like :meth:`Snapshot.from_json`."""
        if data.get("v") != RECORD_VERSION:
            raise VersionError(
                f"this record has format {data.get('v')}, this release reads format {RECORD_VERSION}",
                code="AZM-T015",
                next="use the release of arazzo-machine that wrote it, or a newer one",
            )
        try:
            return cls(
                **{key: data[key] for key in ("seq", "kind", "at", "event", "source", "target", "transition")},
                guards=tuple(GuardVerdict(**one) for one in data["guards"]),
                outputs=decode(data["outputs"]),
                effects=tuple(effect_from_json(one) for one in data["effects"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DamageError(
                f"a stored record is damaged: {type(error).__name__}", code="AZM-T016", next="restore the store"
            ) from error


class Advanced(NamedTuple):
    """What one event came to."""

    snapshot: Snapshot
    effects: tuple[Effect, ...]
    record: Record
