"""What the tests of the driver share: servers scripted byte by byte, calls made by hand, plans of real documents."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from machine.chart.effects import Call
from machine.chart.events import CallFailed, Replied, Reply
from machine.library import load
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.runtime.http import Transport
from machine.runtime.runner import Runner
from machine.runtime.secrets import Reference, SecretBook
from machine.sources.description import describe
from machine.sources.model import Request
from machine.stores import MemoryStore, SqliteStore, Store
from machine.testing.clock import ManualClock
from machine.values import MISSING

SECRET = "hf_a-token-for-tests-only"


class Peer:
    """One accepted connection, as a script sees it."""

    def __init__(self, server: ScriptedServer, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock

    def request(self) -> bytes:
        """The next request whole; empty when the client is done."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.sock.recv(65536)
            if not piece:
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(n.split(b":")[1]) for n in head.split(b"\r\n") if n.lower().startswith(b"content-length")), 0
        )
        while len(body) < length:
            body += self.sock.recv(65536)
        self.server.requests.append(head + b"\r\n\r\n" + body)
        return self.server.requests[-1]

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes) -> None:
        """One byte every twentieth of a second, until the server is stopped or nobody listens."""
        for byte in data:
            if self.server.stopped.wait(0.05):
                return
            self.send(bytes([byte]))

    def hang(self) -> None:
        """Say nothing until the client goes away."""
        while self.sock.recv(65536):
            pass

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Script = Callable[[Peer], None]


class ScriptedServer:
    """A TCP server on loopback that does to each connection what a script says, the last script for all the rest."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = scripts
        self.connections = 0
        self.requests: list[bytes] = []
        self.stopped = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            script = self.scripts[min(self.connections, len(self.scripts)) - 1]
            self._open.append(sock)
            thread = threading.Thread(target=self._run, args=(script, sock), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, script: Script, sock: socket.socket) -> None:
        # A client that hangs up in the middle of a script is what many scripts are for.
        with sock, contextlib.suppress(OSError):
            script(Peer(self, sock))

    def stop(self) -> None:
        self.stopped.set()
        for one in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture(scope="session")
def probing_plan() -> Plan:
    """The shipped workflow whole: what became of a create is found out with a probe."""
    return build_plan(load("deploy-inference-endpoint"))


_NO_PROBE = b"""
overlay: 1.0.0
info: {title: Nobody looks, version: 1.0.0}
actions:
- {target: "$.workflows[*].steps[*]['x-machine']", remove: true}
"""


@pytest.fixture(scope="session", name="shipped_plan")
def plan_that_holds() -> Plan:
    """The shipped workflow as it is where nobody declares a probe: doubt holds."""
    path = Path(__file__).resolve().parents[2] / "workflows/arazzo/deploy-inference-endpoint.arazzo.yaml"

    def read(name: str) -> bytes:
        return _NO_PROBE if name == "no-probe.yaml" else Path(name).read_bytes()

    return build_plan(describe(str(path), read=read, overlay="no-probe.yaml", trusted=True))


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedServer]]:
    """``serve(script, ...)`` -> a running ScriptedServer."""
    running: list[ScriptedServer] = []

    def start(*scripts: Script) -> ScriptedServer:
        running.append(ScriptedServer(*scripts))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture
def replies() -> Callable[..., Script]:
    """``replies(raw, ...)`` -> a script that answers one request with each, then waits for the client to leave."""

    def make(*raws: bytes) -> Script:
        def script(peer: Peer) -> None:
            for raw in raws:
                if not peer.request():
                    return
                peer.send(raw)
            peer.hang()

        return script

    return make


@pytest.fixture
def http_reply() -> Callable[..., bytes]:
    """``http_reply(body, status=200, type="application/json", more=b"")`` -> the bytes of an answer."""

    def make(body: bytes = b"{}", status: int = 200, type: str = "application/json", more: bytes = b"") -> bytes:
        kind = f"Content-Type: {type}\r\n".encode() if type else b""
        return b"HTTP/1.1 %d X\r\n%s%sContent-Length: %d\r\n\r\n%s" % (status, kind, more, len(body), body)

    return make


@pytest.fixture
def closed_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture
def make_call() -> Callable[..., Call]:
    """``make_call(method="GET", target="/", headers=(), body=MISSING, content_type="")`` -> a Call that is due."""

    def make(
        method: str = "GET",
        target: Any = "/",
        headers: tuple[tuple[str, Any], ...] = (),
        body: Any = MISSING,
        content_type: str = "application/json",
        kind: Any = "",
    ) -> Call:
        request = Request(
            source="api", method=method, target=target, headers=headers, body=body, content_type=content_type
        )
        return Call(
            step="step", request=request, kind=kind or ("create" if method == "POST" else "safe"), not_before=0.0
        )

    return make


@pytest.fixture
def make_transport() -> Iterator[Callable[..., Transport]]:
    """``make_transport(url, secrets={}, **options)`` -> a Transport whose only source is at that URL."""
    made: list[Transport] = []

    def make(url: str, secrets: Mapping[str, str] | None = None, **options: Any) -> Transport:
        made.append(Transport(lambda *_: url, SecretBook(secrets or {}), ManualClock(), lambda: 0.5, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


# -- plans -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def retry_plan() -> Plan:
    """One POST that is retried half a minute after it failed, three times at most."""
    document = """
        arazzo: 1.0.1
        info: {title: Retry, version: 1.0.0}
        sourceDescriptions: [{name: api, url: api.yaml, type: openapi}]
        workflows:
        - workflowId: retry
          steps:
          - stepId: make
            operationId: makeThing
            requestBody: {contentType: application/json, payload: {size: 1}}
            successCriteria: [{condition: $statusCode == 201}]
            outputs: {id: $response.body#/id}
            onFailure: [{name: again, type: retry, retryAfter: 30, retryLimit: 3}]
          outputs: {id: $steps.make.outputs.id}
    """
    openapi = """
        openapi: 3.1.0
        info: {title: Things, version: 1.0.0}
        servers: [{url: 'https://things.example.com'}]
        paths:
          /things:
            post:
              operationId: makeThing
              requestBody: {content: {application/json: {}}}
              responses: {'201': {description: made}}
    """
    texts = {"retry.yaml": document.encode(), "api.yaml": openapi.encode()}
    return build_plan(describe("retry.yaml", read=texts.__getitem__))


@pytest.fixture
def deploy_inputs() -> dict[str, Any]:
    return {
        "hfToken": Reference("@env:HF_TOKEN"),
        "namespace": "acme",
        "name": "my-endpoint",
        "repository": "gpt2",
        "instanceType": "intel-spr",
        "instanceSize": "x2",
    }


@pytest.fixture
def secret() -> str:
    return SECRET


# -- runners -----------------------------------------------------------------------------------------------------------


class ScriptedCalls:
    """A transport without a network: each call gets the next outcome of a script.

    An outcome is a status, (status, body), (fate, cause), a whole Reply, or an exception to raise. It may be a
    callable that gives one. ``sent`` lists the calls whose request left or may have.
    """

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.calls: list[Call] = []
        self.sent: list[Call] = []
        self.closed = 0
        self.clock: Any = None
        self.book: Any = None

    def __call__(self, base: Any, book: SecretBook, clock: Any, chance: Any) -> ScriptedCalls:
        self.clock, self.book = clock, book
        return self

    def perform(self, call: Call, timeout: float) -> Replied | CallFailed:
        self.calls.append(call)
        outcome = self.outcomes.pop(0)
        outcome = outcome() if callable(outcome) else outcome
        if isinstance(outcome, BaseException):
            raise outcome
        if isinstance(outcome, tuple) and isinstance(outcome[0], str):
            if outcome[0] == "unknown":
                self.sent.append(call)
            fate: Any = outcome[0]
            return CallFailed(at=self.clock.now(), fate=fate, cause=outcome[1])
        self.sent.append(call)
        if isinstance(outcome, int):
            outcome = Reply(status=outcome)
        elif isinstance(outcome, tuple):
            outcome = Reply(status=outcome[0], body=outcome[1], form="json")
        return Replied(at=self.clock.now(), reply=outcome)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def scripted() -> type[ScriptedCalls]:
    """``scripted(outcome, ...)`` -> a transport maker to give to a Runner."""
    return ScriptedCalls


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each test that asks for it runs once with every store."""
    with MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "runs.db") as opened:
        yield opened


@pytest.fixture
def make_runner(secret: str) -> Callable[..., Runner]:
    """``make_runner(store, url="", **options)`` -> a Runner whose clock is manual and whose chance is even."""

    def make(store: Store, url: str = "", **options: Any) -> Runner:
        if url:
            options.setdefault("servers", {"inferenceEndpointsApi": url})
        options.setdefault("clock", ManualClock())
        options.setdefault("secret_texts", {"hfToken": secret})
        return Runner(store, chance=lambda: 0.5, **options)

    return make
