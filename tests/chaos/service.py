"""The other side as a value: a service that bills for every create, counts them, and never forgets an effect.

Makes answers from requests. Everything it knows about one trial is an Account, which has a JSON form, so that a trial
can begin where another one was stopped. It has no clock: what arrives late arrives when it is told that it does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, NamedTuple

__all__ = ["KINDS", "NAME", "Account", "Answer", "Asked", "Kind", "Service", "read_request"]

Kind = Literal["unique", "twice", "keyed"]
"""``unique`` answers 409 to a second create of a name, ``twice`` makes and bills a second one, ``keyed`` honours the
idempotency key: to a key it has seen it says again what it said first, and nothing else happens."""

KINDS: Final[tuple[Kind, ...]] = ("unique", "twice", "keyed")

NAME: Final = "one"
"""What everything is called, in every collection: the account of a trial is found by it."""


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Mapping[str, str] = {}


class Asked(NamedTuple):
    """A request as the service sees it. ``path`` begins behind the base URL; ``body`` is JSON or None."""

    method: str
    path: str
    body: Any = None
    key: str = ""

    @property
    def collection(self) -> str:
        return self.path.split("/")[1]

    @property
    def name(self) -> str:
        """Which thing it is about."""
        if self.method == "POST":
            return str(self.body["name"]) if isinstance(self.body, dict) and "name" in self.body else ""
        return self.path.rpartition("/")[2]

    @property
    def label(self) -> str:
        """What is written down of it: ``POST disks``."""
        return f"{self.method} {self.collection}"


def read_request(data: bytes) -> tuple[Asked, bytes] | None:
    """The first whole request of what came over a wire, and the rest; None while there is none."""
    head, blank, rest = data.partition(b"\r\n\r\n")
    if not blank:
        return None
    lines = head.decode("latin-1").split("\r\n")
    fields = {name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in lines[1:])}
    size = int(fields.get("content-length", "0"))
    if len(rest) < size:
        return None
    method, target, _ = lines[0].split(" ")
    body = json.loads(rest[:size]) if size else None
    asked = Asked(method, target.removeprefix("/v2"), body, fields.get("idempotency-key", ""))
    return asked, rest[size:]


@dataclass(slots=True, kw_only=True)
class Account:
    """What happened in one trial. The mappings are by collection, where nothing else is said."""

    kind: Kind
    polls: int = 2
    """How many looks find a thing pending before it runs, or still there after it was deleted."""
    weather: list[str] = field(default_factory=list)
    """What befalls the next creates, one each: ``503``, ``408`` (nothing is made) or ``500-after`` (it is)."""
    calls: list[str] = field(default_factory=list)
    """The label of every request, in order."""
    things: dict[str, Any] = field(default_factory=dict)
    """What is there now."""
    made: dict[str, int] = field(default_factory=dict)
    """How many were made and billed."""
    surplus: dict[str, int] = field(default_factory=dict)
    """How many creates came while the thing was there, and not under a key that was known."""
    refused: dict[str, int] = field(default_factory=dict)
    """How many creates were answered with a definite no."""
    keys: dict[str, Any] = field(default_factory=dict)
    """Idempotency key to what was answered first."""
    looks: dict[str, int] = field(default_factory=dict)

    def creates(self, collection: str) -> int:
        return self.made.get(collection, 0)

    def posts(self, collection: str) -> int:
        """How many requests to create came."""
        return self.calls.count(f"POST {collection}")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def again(self, *, kind: Kind, polls: int) -> Account:
        """The same, to begin another trial with: what happens in that one is not written into this one."""
        return Account(**{**asdict(self), "kind": kind, "polls": polls})


class Service:
    """Things by collection, each with a state that is first pending and then running. Not a simulation of any real
    API, only of what can be counted."""

    def __init__(self) -> None:
        self.account = Account(kind="unique")

    def hear(self, asked: Asked) -> None:
        """Write down that a request came."""
        self.account.calls.append(asked.label)

    def answer(self, asked: Asked) -> Answer:
        """Do what is asked, and say so."""
        if asked.method == "POST":
            return self._create(asked)
        if asked.method == "PUT":
            self.account.things[asked.collection] = {"name": NAME, **(asked.body or {})}
            return Answer(200, self.account.things[asked.collection])
        if asked.method == "DELETE":
            return self._delete(asked.collection)
        return self._look(asked.collection)

    def _create(self, asked: Asked) -> Answer:
        account, collection = self.account, asked.collection
        weather = account.weather.pop(0) if account.weather else ""
        if weather == "503":
            account.refused[collection] = account.refused.get(collection, 0) + 1
            return Answer(503, {"error": "later"}, {"Retry-After": "0"})
        if weather == "408":
            return Answer(408, {"error": "too slow"})
        answer = self._made(asked)
        return Answer(500, {"error": "broken"}) if weather == "500-after" else answer

    def _made(self, asked: Asked) -> Answer:
        account, collection = self.account, asked.collection
        if account.kind == "keyed" and asked.key in account.keys:
            return Answer(*account.keys[asked.key])
        if collection in account.things:
            account.surplus[collection] = account.surplus.get(collection, 0) + 1
            if account.kind == "unique":
                return Answer(409, {"error": "the name is taken"})
        account.made[collection] = account.creates(collection) + 1
        account.looks[collection] = 0
        account.things[collection] = {"job": NAME, **(asked.body or {}), "name": NAME}
        answer = Answer(202 if collection == "leases" else 201, self._shown(collection, "pending"))
        if asked.key:
            account.keys[asked.key] = [answer.status, answer.body]
        return answer

    def _delete(self, collection: str) -> Answer:
        thing = self.account.things.get(collection)
        if thing is None:
            return Answer(404, {"error": "there is none of that name"})
        if not thing.get("deleting"):
            thing["deleting"] = True
            self.account.looks[collection] = 0
        return Answer(202, self._shown(collection, "deleting"))

    def _look(self, collection: str) -> Answer:
        account = self.account
        # A job is no thing of its own: it tells how far its lease is.
        subject = "leases" if collection == "jobs" else collection
        thing = account.things.get(subject)
        if thing is None:
            return Answer(404, {"error": "there is none of that name"})
        account.looks[subject] = account.looks.get(subject, 0) + 1
        waits = account.looks[subject] <= account.polls
        if thing.get("deleting"):
            if not waits:
                del account.things[subject]
                return Answer(404, {"error": "there is none of that name"})
            return Answer(200, self._shown(subject, "deleting"))
        return Answer(200, self._shown(subject, "pending" if waits else "running"))

    def _shown(self, collection: str, state: str) -> Any:
        url = f"https://{NAME}.invalid" if state == "running" else None
        return {**self.account.things[collection], "status": {"state": state, "url": url}}
