"""What can happen to a run, as frozen values: the only inputs ``advance`` takes besides a snapshot.

Every event carries ``at`` (seconds since the epoch, read from a clock by a driver) and ``chance`` (a number in
[0, 1) drawn by a driver), so the pure core needs neither clock nor randomness and a history can be recomputed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeAlias

from ..errors import DamageError
from ..plan.model import EventName
from ..values import decode, encode
from .settings import Settings

__all__ = [
    "CallFailed",
    "Cancelled",
    "Edit",
    "Entered",
    "Event",
    "Happening",
    "Reopened",
    "Replied",
    "Reply",
    "Resolved",
    "Returned",
    "Started",
    "event_from_json",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that arrived whole. Secrets the driver knows are references in it, never text."""

    status: int
    headers: Mapping[str, Any] = field(default_factory=dict)
    """Lower-case name to value; several values of one name are joined by ``, ``."""
    body: Any = None
    form: Literal["json", "text", "binary", "empty", "undecodable"] = "empty"
    """How the body was read; ``binary``: it is a FileRef; ``undecodable``: it claims to be JSON and is not."""
    url: Any = ""
    sealed: Mapping[str, str] = field(default_factory=dict)
    """The credentials this answer gave: the name of each reference in it to the sealed text, which only a driver that
    has the key can open; empty where nothing could seal it. Nothing is decided by it."""

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "headers": encode(self.headers),
            "body": encode(self.body),
            "form": self.form,
            "url": encode(self.url),
            "sealed": dict(self.sealed),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reply:
        return cls(
            status=data["status"],
            headers=decode(data["headers"]),
            body=decode(data["body"]),
            form=data["form"],
            url=decode(data["url"]),
            sealed=dict(data["sealed"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """From here on another plan applies: its digest, the digest of the one until here, and which ids stand for the
    same state and the same transition."""

    before: str
    after: str
    states: Mapping[str, str] = field(default_factory=dict)
    transitions: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "before": self.before,
            "after": self.after,
            "states": dict(self.states),
            "transitions": dict(self.transitions),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Happening:
    name: ClassVar[EventName]
    kind: ClassVar[str]
    """The name of the history record and of the log event this becomes."""

    at: float
    chance: float = 0.5
    answers: Mapping[str, Any] = field(default_factory=dict)
    """What was answered when it was applied (``expressions/question.py``); a driver gives none, a record holds them."""

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"event": self.name}
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name == "answers" and not value:
                continue
            if isinstance(value, (Reply, Settings, Edit)):
                data[one.name] = value.to_json()
            else:
                data[one.name] = encode(value)
        return data


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(_Happening):
    """A run begins: its checked inputs and the settings it is bound to."""

    name: ClassVar[EventName] = "started"
    kind: ClassVar[str] = "run.started"
    inputs: Mapping[str, Any] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    nonce: str = ""
    """128 random bits as hex, drawn by the driver: what idempotency keys of this run are made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replied(_Happening):
    """The pending call was answered."""

    name: ClassVar[EventName] = "replied"
    kind: ClassVar[str] = "call.replied"
    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFailed(_Happening):
    """The pending call got no whole answer.

    ``fate`` is a fact about the request, not about the exception: ``not_sent`` when no byte of it left,
    ``unknown`` when any may have. The cause ``not_ready`` is of ``advance`` itself: a step that must come first had not
    succeeded, so no call was made.
    """

    name: ClassVar[EventName] = "call_failed"
    kind: ClassVar[str] = "call.failed"
    fate: Literal["not_sent", "unknown"]
    cause: str
    """A stable word: refused, dns, tls, connect_timeout, timeout, reset, cut, too_large, protocol, unsendable, inward,
    interrupted, not_ready, or credential: what the call needs to be let in was refused before it left."""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved(_Happening):
    """Somebody settled a doubt.

    ``not_sent``: it never reached the other side. ``adopt``: it did, and these are the step's ``outputs``.
    ``accept``: it did, and ``reply`` (the stored one, or one given) counts as the success it was not taken for.
    ``reissue``: send it again, whatever became of it.
    """

    name: ClassVar[EventName] = "resolved"
    kind: ClassVar[str] = "doubt.resolved"
    choice: Literal["not_sent", "adopt", "accept", "reissue"]
    outputs: Mapping[str, Any] = field(default_factory=dict)
    reply: Reply | None = None
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopened(_Happening):
    """A run that stopped is taken up again; ``changes`` are the settings given anew, ``edit`` the plan."""

    name: ClassVar[EventName] = "reopened"
    kind: ClassVar[str] = "run.reopened"
    changes: Mapping[str, Any] = field(default_factory=dict)
    edit: Edit | None = None
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled(_Happening):
    """Somebody asked the run to stop; it keeps its state and can be reopened."""

    name: ClassVar[EventName] = "cancelled"
    kind: ClassVar[str] = "run.cancelled"
    by: str = ""


Event: TypeAlias = "Started | Replied | CallFailed | Resolved | Reopened | Cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A workflow begins inside a run. ``advance`` makes it of the event that led there; no driver ever does."""

    name: ClassVar[EventName] = "started"

    at: float
    chance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """A workflow that another one ran has ended, or could not begin. Made by ``advance`` like :class:`Entered`."""

    name: ClassVar[EventName] = "returned"

    at: float
    chance: float
    ok: bool
    why: str
    """What it came to, as a sentence."""
    outputs: Mapping[str, Any] | None = None
    """Its outputs; None where there are none to judge, because it never began or did not end."""
    status: int | None = None
    """The last HTTP status it was answered."""
    troubled: bool = False
    """Whether it failed because it got no usable answer, so that a loop may wait it out."""


Happening: TypeAlias = "Event | Entered | Returned"
"""What a state is asked about: an event, or what follows from one inside the run."""

_CLASSES: Mapping[str, type[Any]] = {
    one.name: one for one in (Started, Replied, CallFailed, Resolved, Reopened, Cancelled)
}


def event_from_json(data: Mapping[str, Any]) -> Event:
    """Read an event back from a history record. Raises DamageError when it is not one."""
    try:
        rest = {key: value for key, value in data.items() if key != "event"}
        for key in rest:
            if key == "reply":
                rest[key] = Reply.from_json(rest[key]) if rest[key] is not None else None
            elif key == "settings":
                rest[key] = Settings(**rest[key])
            elif key == "edit":
                rest[key] = Edit(**rest[key]) if rest[key] is not None else None
            else:
                rest[key] = decode(rest[key])
        event: Event = _CLASSES[data["event"]](**rest)
    except (KeyError, TypeError, AttributeError) as error:
        raise DamageError(
            f"a stored event is damaged: {type(error).__name__}", code="AZM-T012", next="restore the store"
        ) from error
    return event
