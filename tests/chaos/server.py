"""The Service as a process on loopback, so that a killed client takes nothing of it along.

It is asked about the trial over a pipe that no client sees. It can kill its client at the worst moments there are, and
apply a create after its client is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Literal

from service import NAME, Account, Answer, Asked, Service, read_request

__all__ = ["LATENESS", "MOMENTS", "Moment", "Server"]

Moment = Literal["", "on-receipt", "lost", "late", "before-reply", "after-reply"]
"""When the service kills its client: as the request arrives and is carried out at once, not at all, or a little later;
after it was carried out; or after answering."""

MOMENTS: Final[tuple[Moment, ...]] = ("on-receipt", "lost", "late", "before-reply", "after-reply")

LATENESS: Final = 0.25
"""Seconds after which what is late is carried out."""

_LONGEST_DRAIN: Final = 5.0


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

    def open(self, account: Account) -> None:
        """Begin anew, with what is known already."""
        self._ask({"open": account.to_json()})

    def kill_at(self, pids: Sequence[int], moment: Moment, call: int) -> None:
        """Kill these processes at the ``call``-th request from now on, from 1."""
        self._ask({"kill": list(pids), "moment": moment, "call": call})

    def spare(self) -> None:
        """Kill nobody any more: a process that has ended may have given its number to another."""
        self.kill_at((), "", 0)

    def account(self, *, settled: bool = False) -> Account:
        """What happened, after everything that dead clients sent has been read; with ``settled`` what is late has
        come as well."""
        return Account(**self._ask({"account": settled}))

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
        self._victims: tuple[Sequence[int], Moment, int] = ((), "", 0)
        self._late: list[tuple[float, Asked]] = []
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
            self._late.clear()
            self._victims = ((), "", 0)
            self._service.account = Account(**question["open"])
            return {}
        if "kill" in question:
            heard = len(self._service.account.calls)
            self._victims = (question["kill"], question["moment"], heard + question["call"])
            return {}
        self._drain()
        self._arrive(float("inf") if question["account"] else time.monotonic())
        return self._service.account.to_json()

    def _drain(self) -> None:
        """Read on until no client is left: what a dead one sent is there before its end of stream is."""
        end = time.monotonic() + _LONGEST_DRAIN
        while time.monotonic() < end:
            ready = {key.fileobj for key, _ in self._selector.select(0.01 if self._clients else 0)}
            self._take(ready)
            if not self._clients and self._listener not in ready:
                return

    def _arrive(self, now: float) -> None:
        """Carry out what is late and due. Nobody is there any more to be answered."""
        due = [asked for at, asked in self._late if at <= now]
        self._late = [(at, asked) for at, asked in self._late if at > now]
        for asked in due:
            self._service.answer(asked)

    def _exchange(self, client: socket.socket, data: bytes) -> bytes:
        """Answer every whole request; what is left of the last one."""
        while (found := read_request(data)) is not None:
            asked, data = found
            self._serve_one(client, asked)
        return data

    def _serve_one(self, client: socket.socket, asked: Asked) -> None:
        if asked.name != NAME:
            self._send(client, Answer(404, {"error": "unknown"}))
            return
        self._arrive(time.monotonic())
        service, (pids, moment, call) = self._service, self._victims
        service.hear(asked)
        if not pids or len(service.account.calls) != call:
            moment = ""
        if moment in ("on-receipt", "lost", "late"):
            _kill(pids)
        if moment == "late":
            self._late.append((time.monotonic() + LATENESS, asked))
        if moment in ("lost", "late"):
            return
        answer = service.answer(asked)
        if moment == "before-reply":
            _kill(pids)
        self._send(client, answer)
        if moment == "after-reply":
            _kill(pids)

    def _send(self, client: socket.socket, answer: Answer) -> None:
        body = json.dumps(answer.body).encode()
        fields = {"Content-Type": "application/json", "Content-Length": len(body), **answer.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        # One write: two small ones would wait for each other's acknowledgement.
        with contextlib.suppress(OSError):
            client.sendall(f"HTTP/1.1 {answer.status} X\r\n{head}\r\n".encode() + body)


def _kill(pids: Sequence[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
