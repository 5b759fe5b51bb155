"""A conformance case -> what this engine makes of it, and where that differs from what the case says.

Runs the real Runner in this process with a manual clock: over a scripted transport, or over HTTP on loopback. This is
the only file of the suite that knows the engine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from threading import Thread
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import yaml
from cases import Case

from machine.chart.effects import Call
from machine.chart.events import CallFailed, Replied, Reply
from machine.chart.settings import Settings
from machine.errors import DocumentError, HostError, InputError, MachineError, SourceError, UsageError
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.runtime.evaluator import Evaluator
from machine.runtime.http import Transport
from machine.runtime.prepare import prepare
from machine.runtime.replies import decode
from machine.runtime.runner import Runner
from machine.runtime.secrets import Reference, SecretBook
from machine.sources.description import Description, describe
from machine.sources.files import source_tree
from machine.sources.model import Request, is_json_type
from machine.stores.memory import MemoryStore
from machine.testing.clock import ManualClock
from machine.testing.hugging_face import Response
from machine.testing.listener import Listener
from machine.values import MISSING, Content, FileRef, SecretText

__all__ = ["ASKED", "Observed", "differences", "execute"]

ASKED = Evaluator()
"""Answers for every run: a process of its own for each would cost more than all of them."""

_WORDS = {0: "ready", 10: "failed", 11: "unmatched", 12: "out_of_budget", 13: "in_doubt", 14: "credential"}
_KINDS = {DocumentError: "document", SourceError: "source", InputError: "input", UsageError: "usage", HostError: "host"}
_tree_of = cache(source_tree)


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One request as the other side sees it."""

    operation: str
    method: str
    url: str
    headers: Mapping[str, str]
    """Lower-case names."""
    body: str | None


@dataclass(kw_only=True)
class Observed:
    """What came of a case."""

    outcome: str
    sent: list[Sent] = field(default_factory=list)
    left: int = 0
    """Replies nobody asked for."""
    waits: tuple[float, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    unresolved: tuple[str, ...] = ()
    tolerances: tuple[str, ...] = ()
    error: str = ""
    lines: frozenset[int] = frozenset()
    message: str = ""


def execute(case: Case, *, loopback: bool = False) -> Observed:
    """Compile and run the case's document against its replies. What the case expects is not looked at."""
    script = _Script(case)
    try:
        description = _describe(case)
        plan = build_plan(description, workflow=case.workflow, strict=case.strict)
        secrets = {name: str(case.inputs[name]) for name in plan.secrets if name in case.inputs}
        inputs = {**case.inputs, **{name: Reference("@env:UNUSED") for name in secrets}}
        prepare(plan, inputs)
    except MachineError as error:
        return _refused(error)
    clock = ManualClock()
    options: dict[str, Any] = {"clock": clock, "chance": lambda: 0.5, "secret_texts": secrets}
    here = {"transport": lambda base, book, clock, chance: _Scripted(script, base, book, clock)}
    other_side = _served(script, plan) if loopback else nullcontext(here)
    with MemoryStore() as store, other_side as reached, patch("machine.runtime.run.Evaluator", lambda: ASKED):
        try:
            run = Runner(store, **options, **reached).start(plan, inputs, settings=Settings(**case.settings))
            result = run.result()
        except MachineError as error:
            return _refused(error)
        except _Unanswered as error:
            return Observed(outcome="unanswered", message=f"there was no reply left at: {error}")
    return Observed(
        outcome=_WORDS.get(result.exit_code, f"exit {result.exit_code}"),
        sent=script.sent,
        left=len(script.replies),
        waits=tuple(clock.waits),
        outputs=result.outputs,
        unresolved=result.unresolved,
        tolerances=_tolerances(plan),
        message=f"{result.reason}: {result.message}",
    )


def differences(case: Case, seen: Observed) -> list[str]:
    """Every way in which what was seen is not what the case says; empty when it conforms."""
    found = []
    if seen.outcome != case.outcome or seen.error != case.error:
        return [f"outcome: {seen.outcome} {seen.error} ({seen.message}), not {case.outcome} {case.error}"]
    if case.lines and not seen.lines & set(case.lines):
        found.append(f"lines: {sorted(seen.lines)}, not {list(case.lines)} ({seen.message})")
    if seen.left:
        found.append(f"replies: {seen.left} were never asked for")
    pairs = (
        ("path", tuple(one.operation for one in seen.sent), case.path),
        ("waits", seen.waits, case.waits),
        ("outputs", _canonical(seen.outputs), None if case.outputs is None else _canonical(case.outputs)),
        ("unresolved", tuple(sorted(seen.unresolved)), case.unresolved),
        ("tolerances", seen.tolerances, case.tolerances),
    )
    found += [f"{what}: {one}, not {other}" for what, one, other in pairs if other is not None and one != other]
    if case.requests is not None:
        if len(case.requests) != len(seen.sent):
            found.append(f"requests: {[one.url for one in seen.sent]}, not {len(case.requests)}")
        for number, (one, wanted) in enumerate(zip(seen.sent, case.requests, strict=False)):
            found += [f"request {number}: {text}" for text in _misfits(one, wanted or {})]
    return found


def _misfits(sent: Sent, wanted: Mapping[str, Any]) -> Iterator[str]:
    if "url" in wanted:
        method, _, url = wanted["url"].partition(" ")
        seen = sent.url if "://" in url else sent.url.removeprefix("{0.scheme}://{0.netloc}".format(urlsplit(sent.url)))
        if (sent.method, seen) != (method, url):
            yield f"{sent.method} {seen}, not {wanted['url']}"
    for name, value in wanted.get("headers", {}).items():
        if sent.headers.get(name.lower()) != value:
            yield f"header {name}: {sent.headers.get(name.lower())!r}, not {value!r}"
    if "body" in wanted:
        body = wanted["body"]
        seen_body = sent.body if isinstance(body, str) or not sent.body else _canonical(json.loads(sent.body))
        if seen_body != (body if isinstance(body, str) or body is None else _canonical(body)):
            yield f"body {sent.body!r}, not {body!r}"


def _canonical(value: Any) -> str:
    """JSON in which 1 and true are not the same and the order of members is."""
    return json.dumps(value, sort_keys=True)


def _refused(error: MachineError) -> Observed:
    kind = next((word for one, word in _KINDS.items() if isinstance(error, one)), type(error).__name__)
    places = [error.place, *(one.place for one in getattr(error, "findings", ()))]
    lines = frozenset(place.line for place in places if place is not None and place.line)
    return Observed(outcome="refused", error=kind, lines=lines, message=str(error))


def _describe(case: Case) -> Description:
    texts = {**{name: text.encode() for name, text in case.files.items()}, case.uri: case.document.encode()}

    def read(name: str) -> bytes:
        if name not in texts:
            raise FileNotFoundError(name)
        return texts[name]

    return describe(case.uri, read=read, sources=case.given, strict=case.strict, tree_of=_tree_of)


def _tolerances(plan: Plan) -> tuple[str, ...]:
    """The rule ids of the tolerances that were needed, once for each site."""
    return tuple(sorted(one.code for one in plan.notices if re.fullmatch(r"C\d+", one.code)))


class _Unanswered(Exception):
    """A request for which no reply is left; holds the operations that were called."""


class _Script:
    """The other side: gives the replies out in order, and keeps what it was sent."""

    def __init__(self, case: Case) -> None:
        self.replies = list(case.replies)
        self.sent: list[Sent] = []
        self.routes = [route for text in case.files.values() for route in _routes(text)]

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: str | None) -> Mapping[str, Any]:
        path = urlsplit(url).path
        operation = next((name for verb, route, name in self.routes if verb == method and route.search(path)), path)
        lower = {name.lower(): value for name, value in headers.items()}
        self.sent.append(Sent(operation=operation, method=method, url=url, headers=lower, body=body))
        for reply in self.replies:
            if reply.get("to", operation) == operation:
                self.replies.remove(reply)
                return reply
        raise _Unanswered(" ".join(one.operation for one in self.sent))


@cache
def _routes(text: str) -> tuple[tuple[str, re.Pattern[str], str], ...]:
    """Method, path and name of every operation of a source; nothing for a file of another kind."""
    found = []
    value = yaml.load(text, Loader=yaml.CSafeLoader)
    for path, item in (value.get("paths") or {}).items() if isinstance(value, dict) and "openapi" in value else ():
        # A server's own path may stand in front, so only the end is held against the template.
        route = re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path.split("?")[0])) + r"\Z")
        for method, operation in item.items():
            if isinstance(operation, dict):
                found.append((method.upper(), route, operation.get("operationId", f"{method.upper()} {path}")))
    return tuple(found)


class _Scripted:
    """Performs a call by asking the script; nothing is sent and nothing waits."""

    def __init__(self, script: _Script, base: Callable[[str, str], str], book: SecretBook, clock: ManualClock) -> None:
        self.script, self.base, self.book, self.clock = script, base, book, clock

    def perform(self, call: Call, timeout: float) -> Replied | CallFailed:
        request = call.request
        url = self.base(request.source, request.server) + self.book.join(request.target)
        headers = {name: self.book.join(value) for name, value in request.headers}
        if request.content_type:
            headers["content-type"] = request.content_type
        reply = self.script.answer(request.method, url, headers, self._body(request))
        fault = "timeout" if reply.get("takes", 0) > timeout else reply.get("fail", "")
        self.clock.advance(min(reply.get("takes", 0), timeout))
        if fault:
            fate: Any = "not_sent" if fault == "refused" else "unknown"
            return CallFailed(at=self.clock.now(), chance=0.5, fate=fate, cause=fault)
        return Replied(at=self.clock.now(), chance=0.5, reply=self._reply(reply, url))

    def close(self) -> None:
        """Nothing is open."""

    def _body(self, request: Request) -> str | None:
        if request.body is MISSING:
            return None
        if isinstance(request.body, Content):
            return "".join(
                self.book.join(SecretText((part,))) for part in request.body.parts if not isinstance(part, FileRef)
            )
        body = self.book.join_all(request.body)
        return json.dumps(body) if is_json_type(request.content_type) else str(body)

    def _reply(self, reply: Mapping[str, Any], url: str) -> Reply:
        kind, text = _content(reply)
        headers = {"content-type": kind, **{name.lower(): value for name, value in reply.get("headers", {}).items()}}
        body, form = decode(text.encode(), headers["content-type"])
        return Reply(
            status=reply["status"],
            headers=self.book.conceal(headers),
            body=self.book.conceal(body),
            form=form,
            url=self.book.conceal(url),
        )


def _content(reply: Mapping[str, Any]) -> tuple[str, str]:
    """The media type and the text of a scripted reply's body."""
    if "body" in reply:
        return "application/json", json.dumps(reply["body"])
    return "text/plain", reply.get("text", "")


@contextmanager
def _served(script: _Script, plan: Plan) -> Iterator[Mapping[str, Any]]:
    """A server on loopback that answers from the script; every source of the plan is reached there."""

    def answer(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        reply = script.answer(method, target, headers, body.decode() if body else None)
        kind, text = _content(reply)
        named = {"Content-Type": kind, **reply.get("headers", {})}
        return Response(status=reply["status"], headers=tuple(named.items()), body=text.encode())

    listener = Listener(("127.0.0.1", 0), answer)
    thread = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    host = f"http://127.0.0.1:{listener.server_address[1]}"
    try:
        servers = {name: host + urlsplit(url).path for name, (url, *_) in plan.servers.items()}
        yield {"servers": servers, "transport": Transport}
    finally:
        listener.close()
        thread.join()
