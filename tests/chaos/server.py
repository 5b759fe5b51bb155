"""The other side: a service that bills for every create and counts them, as a value and as a process on loopback.

``Service`` makes answers from requests and never forgets an effect. ``Server`` runs one in a process of its own, so
that a killed client takes nothing of it along, and is asked about it over a pipe that no client sees.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import time
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Final, Literal

__all__ = ["KINDS", "MOMENTS", "Account", "Kind", "Moment", "Server", "Service"]

Kind = Literal["unique", "twice"]
"""``unique`` answers 409 to a second create of a name, ``twice`` makes and bills a second one."""

KINDS: Final[tuple[Kind, ...]] = ("unique", "twice")

Moment = Literal["", "on-receipt", "lost", "before-reply", "after-reply"]
"""When the service kills its client: before it creates, instead of it, after it, or after answering."""

MOMENTS: Final[tuple[Moment, ...]] = ("on-receipt", "lost", "before-reply", "after-reply")

_LONGEST_DRAIN: Final = 5.0


@dataclass(slots=True, kw_only=True)
class Account:
    """What happened to one name."""

    name: str
    kind: Kind
    polls: int
    """How many looks find it pending before it runs."""
    creates: int = 0
    """How many things exist, and are billed, under the name."""
    looks: int = 0
    calls: list[str] = field(default_factory=list)
    """The method of every request, in order."""
    kill_pid: int = 0
    kill_moment: Moment = ""
    kill_call: int = 0
    """The number of the call, from 1, at which the client is killed."""

    @property
    def posts(self) -> int:
        return self.calls.count("POST")


class Service:
    """Endpoints by name. Not a simulation of all states, only of what can be counted."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}

    def open(self, name: str, kind: Kind, *, polls: int = 2, creates: int = 0) -> Account:
        """Begin anew with a name; ``creates`` things of it are there already."""
        self.accounts[name] = Account(name=name, kind=kind, polls=polls, creates=creates)
        return self.accounts[name]

    def create(self, name: str) -> tuple[int, Any]:
        account = self.accounts[name]
        if account.creates and account.kind == "unique":
            return 409, {"error": "the name is taken"}
        account.creates += 1
        return 201, _endpoint(name, "pending")

    def look(self, name: str) -> tuple[int, Any]:
        account = self.accounts[name]
        if not account.creates:
            return 404, {"error": "there is none of that name"}
        account.looks += 1
        return 200, _endpoint(name, "pending" if account.looks <= account.polls else "running")

    def name_of(self, method: str, path: str, body: bytes) -> str:
        """The name a request is about; empty for none that was opened."""
        name = json.loads(body)["name"] if method == "POST" else path.rpartition("/")[2]
        return name if name in self.accounts else ""


def _endpoint(name: str, state: str) -> Any:
    url = f"https://{name}.invalid" if state == "running" else None
    return {"name": name, "status": {"state": state, "url": url}}


class Server:
    """A Service in a process that ends with this one. ``url`` is what a description's ``servers`` would name."""

    def __init__(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v2"
        ours, theirs = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                ours.close()
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                _Process(listener, theirs).serve()
            finally:
                os._exit(0)
        listener.close()
        theirs.close()
        self._pipe = ours.makefile("rwb")
        ours.close()

    def open(self, name: str, kind: Kind, *, polls: int = 2, creates: int = 0) -> None:
        self._ask({"open": [name, kind], "polls": polls, "creates": creates})

    def kill_at(self, name: str, pid: int, moment: Moment, call: int) -> None:
        """Kill that process at its ``call``-th call, from 1, about the name."""
        self._ask({"kill": name, "pid": pid, "moment": moment, "call": call})

    def spare(self, name: str) -> None:
        """Kill nobody any more: a process that has ended may have given its number to another."""
        self.kill_at(name, 0, "", 0)

    def account(self, name: str) -> Account:
        """What happened to a name, after everything that dead clients sent has been read."""
        return Account(**self._ask({"account": name}))

    def close(self) -> None:
        self._pipe.close()
        os.waitpid(self._pid, 0)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, question: dict[str, Any]) -> Any:
        self._pipe.write(json.dumps(question).encode() + b"\n")
        self._pipe.flush()
        return json.loads(self._pipe.readline())


class _Process:
    """The loop of the server's own process: one thread, every client in turn."""

    def __init__(self, listener: socket.socket, pipe: socket.socket) -> None:
        self._service = Service()
        self._listener = listener
        self._pipe = pipe
        self._questions = b""
        self._clients: dict[socket.socket, bytes] = {}
        self._selector = selectors.DefaultSelector()
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(pipe, selectors.EVENT_READ)

    def serve(self) -> None:
        """Until the other end of the pipe is closed, be it by death."""
        while True:
            ready = {key.fileobj for key, _ in self._selector.select()}
            self._take(ready)
            if self._pipe in ready:
                read = self._pipe.recv(65536)
                if not read:
                    return
                self._questions += read
                while b"\n" in self._questions:
                    question, _, self._questions = self._questions.partition(b"\n")
                    answer = self._answer(json.loads(question))
                    self._pipe.sendall(json.dumps(answer).encode() + b"\n")

    def _take(self, ready: set[Any]) -> None:
        if self._listener in ready:
            with contextlib.suppress(BlockingIOError):
                client, _ = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._clients[client] = b""
                self._selector.register(client, selectors.EVENT_READ)
        for client in [one for one in self._clients if one in ready]:
            try:
                read = client.recv(65536)
            except OSError:
                read = b""
            if read:
                self._clients[client] = self._exchange(client, self._clients[client] + read)
            else:
                self._drop(client)

    def _drop(self, client: socket.socket) -> None:
        if client in self._clients:
            self._selector.unregister(client)
            del self._clients[client]
            client.close()

    def _answer(self, question: dict[str, Any]) -> Any:
        if "open" in question:
            self._drain()
            name, kind = question["open"]
            self._service.open(name, kind, polls=question["polls"], creates=question["creates"])
            return {}
        if "kill" in question:
            account = self._service.accounts[question["kill"]]
            account.kill_pid, account.kill_moment = question["pid"], question["moment"]
            account.kill_call = question["call"]
            return {}
        self._drain()
        return asdict(self._service.accounts[question["account"]])

    def _drain(self) -> None:
        """Read on until no client is left: what a dead one sent is there before its end of stream is."""
        end = time.monotonic() + _LONGEST_DRAIN
        while time.monotonic() < end:
            ready = {key.fileobj for key, _ in self._selector.select(0.01 if self._clients else 0)}
            self._take(ready)
            if not self._clients and self._listener not in ready:
                return

    def _exchange(self, client: socket.socket, data: bytes) -> bytes:
        """Answer every whole request; what is left of the last one."""
        while b"\r\n\r\n" in data:
            head, _, rest = data.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            fields = {
                name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in lines[1:])
            }
            size = int(fields.get("content-length", "0"))
            if len(rest) < size:
                break
            method, path, _ = lines[0].split(" ")
            self._serve_one(client, method, path, rest[:size])
            data = rest[size:]
        return data

    def _serve_one(self, client: socket.socket, method: str, path: str, body: bytes) -> None:
        name = self._service.name_of(method, path, body)
        if not name:
            self._send(client, 404, {"error": "unknown"})
            return
        account = self._service.accounts[name]
        account.calls.append(method)
        moment = account.kill_moment if account.kill_pid and len(account.calls) == account.kill_call else ""
        if moment in ("on-receipt", "lost"):
            _kill(account.kill_pid)
        if moment == "lost":
            return
        status, answer = self._service.create(name) if method == "POST" else self._service.look(name)
        if moment == "before-reply":
            _kill(account.kill_pid)
        self._send(client, status, answer)
        if moment == "after-reply":
            _kill(account.kill_pid)

    def _send(self, client: socket.socket, status: int, answer: Any) -> None:
        body = json.dumps(answer).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        # One write: two small ones would wait for each other's acknowledgement.
        with contextlib.suppress(OSError):
            client.sendall(head + body)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
