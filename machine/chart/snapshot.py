"""The Snapshot: all that is needed to continue a run, as one frozen value with an exact JSON form.

``advance`` makes each from the one before. The Record beside it says what happened and why; a history of records
replayed through ``advance`` gives the same snapshots byte for byte. Secrets are references here (``values.py``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..errors import DamageError, VersionError
from ..values import decode, encode
from .effects import Call, Effect, effect_from_json
from .settings import Settings

__all__ = [
    "ENDS",
    "EXIT_CODES",
    "READY",
    "Ended",
    "Frame",
    "GuardVerdict",
    "LedgerEntry",
    "Move",
    "Record",
    "Snapshot",
    "Stop",
]

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

READY = frozenset({"ended", "completed"})
"""Reasons that are a success."""

ENDS = frozenset({*READY, "broke", "failure_action", "unmatched"})
"""Reasons that end a workflow, and with it whoever ran it or the run. All others stop the run where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One unsafe call and what is known of it on the other side."""

    frame: int = 0
    """The number of the frame that made it: what a visit of a workflow sends has a key of its own."""
    path: tuple[str, ...] = ()
    """That of the frame: the same step come back to on the same way is in doubt about what it sent before."""
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

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LedgerEntry:
        return cls(**{**data, "path": tuple(data["path"]), "identity": decode(data["identity"])})

    def to_json(self) -> dict[str, Any]:
        return {
            "frame": self.frame,
            "path": list(self.path),
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
    """One workflow under way. A run is a stack of them; the last is the one that moves, each of the others stands in
    the state that runs the one above it."""

    workflow: str
    """Its key in the plan."""
    kind: Literal["root", "step", "dependency", "repair", "transfer"] = "root"
    number: int = 0
    """How many frames the run made before it: no two visits of a workflow share one."""
    path: tuple[str, ...] = ()
    """Its workflow, behind each workflow and step that waits for it: visits that are come to on the same way share it.
    What takes a workflow's place is run by whoever ran that one."""
    state: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Outputs by step; the latest attempt wins (ambiguity A24)."""
    completed: tuple[str, ...] = ()
    """The steps that succeeded, in the order they first did."""
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
    status: int | None = None
    """The last HTTP status it or what it ran was answered: what a caller sees as its ``$statusCode`` (A26)."""
    due: float = 0.0
    """When a step may be retried whose repair is under way; seconds since the epoch."""
    since: int = 0
    """How long the ledger was when the workflow above it was entered: what follows is that one's."""
    expires: float | None = None
    """When its caller stops waiting for it; seconds since the epoch."""
    replaced: tuple[str, ...] = ()
    """The workflows whose place it took, and whose result its own is (ambiguity A21)."""

    def to_json(self) -> dict[str, Any]:
        return {
            "workflow": self.workflow,
            "kind": self.kind,
            "number": self.number,
            "path": list(self.path),
            "state": self.state,
            "inputs": encode(self.inputs),
            "steps": encode(self.steps),
            "completed": list(self.completed),
            "visits": dict(self.visits),
            "retries": dict(self.retries),
            "waited": self.waited,
            "troubles": self.troubles,
            "absent": dict(self.absent),
            "status": self.status,
            "due": self.due,
            "since": self.since,
            "expires": self.expires,
            "replaced": list(self.replaced),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Frame:
        lists = {name: tuple(data[name]) for name in ("path", "completed", "replaced")}
        return cls(**{**data, **lists, "inputs": decode(data["inputs"]), "steps": decode(data["steps"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Why nothing is pending: an end, a budget, a doubt, a refused credential, a cancellation."""

    reason: str
    message: str
    at: float
    source: str
    """The id of the state whose call was judged: where a reopened or resolved run takes up again."""
    frames: tuple[Frame, ...] = ()
    """The stack as it was there, where the end of one workflow was the end of others; else the snapshot's own."""

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.reason]

    def to_json(self) -> dict[str, Any]:
        return {
            "reason": self.reason,
            "message": self.message,
            "at": self.at,
            "source": self.source,
            "frames": [frame.to_json() for frame in self.frames],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Stop:
        return cls(**{**data, "frames": tuple(Frame.from_json(one) for one in data["frames"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a workflow that ended left for others to read, and whether it succeeded."""

    ok: bool
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    """The steps of it that succeeded."""

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "inputs": encode(self.inputs),
            "outputs": encode(self.outputs),
            "steps": list(self.steps),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Ended:
        return cls(
            ok=data["ok"],
            inputs=decode(data["inputs"]),
            outputs=decode(data["outputs"]),
            steps=tuple(data["steps"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of one run between two events. ``pending`` is the call it waits for; ``stopped`` says why none."""

    plan_sha256: str
    seq: int = 0
    """How many events were applied."""
    moves: int = 0
    """How many transitions they caused: where workflows begin and end, one event causes several."""
    settings: Settings = field(default_factory=Settings)
    nonce: str = ""
    started: float | None = None
    deadline: float | None = None
    """Absolute, seconds since the epoch."""
    frames: tuple[Frame, ...]
    entered: int = 0
    """The number of the frame made last."""
    workflows: Mapping[str, Ended] = field(default_factory=dict)
    """By key, the workflows that ended in this run; of several ends of one, the last."""
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

    def entries(self, step: str) -> list[LedgerEntry]:
        """The unsafe calls that a step of the top frame made, in this visit of its workflow or another one that was
        come to on the same way, oldest first."""
        path = self.frame.path
        return [one for one in self.ledger if (one.path, one.step) == (path, step)]

    def with_frame(self, frame: Frame) -> Snapshot:
        return replace(self, frames=(*self.frames[:-1], frame))

    @property
    def standing(self) -> tuple[tuple[Frame, ...], str]:
        """Where the run would be taken up: the stack, and the state whose call it is about."""
        stop = self.stopped
        if stop is None:
            return self.frames, self.frame.state
        return stop.frames or self.frames, stop.source

    def to_json(self) -> dict[str, Any]:
        return {
            "v": SNAPSHOT_VERSION,
            "plan_sha256": self.plan_sha256,
            "seq": self.seq,
            "moves": self.moves,
            "settings": self.settings.to_json(),
            "nonce": self.nonce,
            "started": self.started,
            "deadline": self.deadline,
            "frames": [frame.to_json() for frame in self.frames],
            "entered": self.entered,
            "workflows": {key: one.to_json() for key, one in self.workflows.items()},
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
                moves=data["moves"],
                settings=Settings(**data["settings"]),
                nonce=data["nonce"],
                started=data["started"],
                deadline=data["deadline"],
                frames=tuple(Frame.from_json(one) for one in data["frames"]),
                entered=data["entered"],
                workflows={key: Ended.from_json(one) for key, one in data["workflows"].items()},
                ledger=tuple(LedgerEntry.from_json(one) for one in data["ledger"]),
                calls=data["calls"],
                recovered=data["recovered"],
                pending=pending,
                stopped=Stop.from_json(data["stopped"]) if data["stopped"] else None,
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
class Move:
    """One transition of one workflow, with every guard that was looked at."""

    frame: int
    """The number of the frame that moved."""
    on: str
    """What it answers: the record's own event, ``started`` of a workflow that begins, ``returned`` of one that ended,
    ``call_failed`` of a call that was not made because a step before it had not succeeded."""
    source: str
    target: str
    transition: str
    guards: tuple[GuardVerdict, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """What the step's outputs became, where something was judged."""

    def to_json(self) -> dict[str, Any]:
        return {
            "frame": self.frame,
            "on": self.on,
            "source": self.source,
            "target": self.target,
            "transition": self.transition,
            "guards": [one.to_json() for one in self.guards],
            "outputs": encode(self.outputs),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Move:
        guards = tuple(GuardVerdict(**one) for one in data["guards"])
        return cls(**{**data, "guards": guards, "outputs": decode(data["outputs"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of a run's history: the event, the moves it caused, every guard looked at, what came of it.

    Most events cause one move. Where a workflow that was run ends, its caller is judged in the same event, and so on.
    """

    seq: int
    kind: str
    """``run.started``, ``call.replied``, ``call.failed``, ``doubt.resolved``, ``run.reopened``, ``run.cancelled``."""
    at: float
    event: Mapping[str, Any]
    moves: tuple[Move, ...]
    """In the order they were made; never empty. The first one answers the event."""
    effects: tuple[Effect, ...] = ()

    @property
    def source(self) -> str:
        """The state in which the event was judged."""
        return self.moves[0].source

    @property
    def target(self) -> str:
        """The state the run is in afterwards."""
        return self.moves[-1].target

    @property
    def transition(self) -> str:
        """The transition that answered the event."""
        return self.moves[0].transition

    @property
    def guards(self) -> tuple[GuardVerdict, ...]:
        """What was looked at to answer the event."""
        return self.moves[0].guards

    @property
    def outputs(self) -> Mapping[str, Any]:
        """What the outputs of the step became whose call was judged."""
        return self.moves[0].outputs

    def to_json(self) -> dict[str, Any]:
        return {
            "v": RECORD_VERSION,
            "seq": self.seq,
            "kind": self.kind,
            "at": self.at,
            "event": dict(self.event),
            "moves": [one.to_json() for one in self.moves],
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
            moves = tuple(Move.from_json(one) for one in data["moves"])
            if not moves:
                raise TypeError("a record without a move")
            return cls(
                **{key: data[key] for key in ("seq", "kind", "at", "event")},
                moves=moves,
                effects=tuple(effect_from_json(one) for one in data["effects"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DamageError(
                f"a stored record is damaged: {type(error).__name__}", code="AZM-T016", next="restore the store"
            ) from error
