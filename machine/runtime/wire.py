"""The sockets and sessions requests are made with: deadlines kept, the first byte that leaves noted.

Whether any byte of a request may have left is read off the socket, because one exception class of the libraries means
both. The total deadline is kept by giving the socket, before every read and write, no more time than is left, so that a
server that drips cannot outlast it. No redirect is followed, no cookie kept, nothing taken from the environment, and
urllib3 logs no URL of ours.
"""

from __future__ import annotations

import http.client
import logging
import socket
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

__all__ = ["QUIET", "Wire", "as_it_is", "open_session"]


class Wire:
    """What the sockets of one call are told and report: how long they may take, how far they came."""

    def __init__(self, *, peer_is_allowed: Callable[[str, str], bool] | None = None) -> None:
        self._peer_is_allowed = peer_is_allowed
        self.begin(0.0)

    def check_peer(self, sock: socket.socket, host: str) -> socket.socket:
        """The socket, if what it is connected to may be talked to: address and the name it was reached by."""
        if self._peer_is_allowed is not None and not self._peer_is_allowed(sock.getpeername()[0], host):
            self.refused_peer = True
            sock.close()
            raise PermissionError("the address is not allowed")
        return sock

    def begin(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.tried = self.connected = self.sent = self.refused_peer = False

    def left(self) -> float:
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the call's deadline passed")
        return left


class _TimedSocket:
    """A connected socket that never waits past the call's deadline and notes the first byte that leaves.

    Stands where the connection's socket stood; what is not named here goes to the socket itself.
    """

    def __init__(self, sock: Any, wire: Wire) -> None:
        self._sock = sock
        self._wire = wire

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    @property
    def _io_refs(self) -> int:
        """Counted on the socket itself: closing it has to wait for the file an answer is read from."""
        return cast("int", self._sock._io_refs)

    @_io_refs.setter
    def _io_refs(self, count: int) -> None:
        self._sock._io_refs = count

    def settimeout(self, seconds: float | None) -> None:
        """Ignored: the time left of the call is set before every read and write."""

    def sendall(self, data: Any, *flags: int) -> None:
        self._sock.settimeout(self._wire.left())
        # Set before the write, which may have sent a part of the data when it fails.
        self._wire.sent = True
        self._sock.sendall(data, *flags)

    def recv_into(self, buffer: Any, *rest: Any) -> int:
        self._sock.settimeout(self._wire.left())
        return cast("int", self._sock.recv_into(buffer, *rest))

    def makefile(self, *args: Any, **kwargs: Any) -> Any:
        # socket.makefile reads through the object it is called on, so the file keeps the deadline too.
        return socket.socket.makefile(cast("socket.socket", self), *args, **kwargs)


class _Head:
    """The lines of an answer's head. http.client takes the end of the stream for the end of the head."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._begun = False

    def readline(self, limit: int) -> bytes:
        line = cast("bytes", self._file.readline(limit))
        if self._begun and not line.endswith(b"\n") and len(line) != limit:
            raise http.client.IncompleteRead(line)
        self._begun = True
        return line

    def close(self) -> None:
        self._file.close()


class _Answer(http.client.HTTPResponse):
    def _read_status(self) -> tuple[str, int, str]:
        """The final status line. Interim answers (RFC 9110 section 15.2) may come before it; http.client knows only
        one of them, and would take 103 Early Hints for the word on a create."""
        while True:
            found: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not 101 < found[1] < 200:
                return found
            http.client.parse_headers(cast("Any", self.fp))

    def begin(self) -> None:
        file = self.fp
        self.fp = cast("Any", _Head(file))
        try:
            super().begin()
        finally:
            if self.fp is not None:
                self.fp = file


def _watched(kind: type[HTTPConnection], wire: Wire) -> type[Any]:
    """A connection of this kind, plain or TLS, that reports to ``wire``."""

    class Watched(kind):  # type: ignore[misc, valid-type]
        response_class = _Answer
        sock: Any

        def _new_conn(self) -> socket.socket:
            return wire.check_peer(super()._new_conn(), self.host.lower())

        def connect(self) -> None:
            wire.tried = True
            super().connect()
            self.sock = _TimedSocket(self.sock, wire)
            wire.connected = True

    return Watched


def _pool_classes(wire: Wire) -> dict[str, type[HTTPConnectionPool]]:
    class PlainPool(HTTPConnectionPool):
        ConnectionCls = _watched(HTTPConnection, wire)

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = _watched(HTTPSConnection, wire)

    return {"http": PlainPool, "https": SecurePool}


class _Adapter(HTTPAdapter):
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pool_classes(self._wire)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _pool_classes(self._wire)
        return manager


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Nowhere. Even when told not to follow, requests would read the whole answer to prepare for it, unbounded,
        and fail on a Location that is no URL."""
        return None


QUIET: ContextVar[bool] = ContextVar("quiet", default=False)
"""Whether a call of ours is under way here."""


def _is_not_ours(record: logging.LogRecord) -> bool:
    return not QUIET.get()


# What urllib3 logs of a call is its URL, secrets and all, and its warnings reach stderr unasked. Other programs' calls
# are logged as ever.
for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_is_not_ours)


def as_it_is(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    """An auth that does nothing keeps requests from making one out of the URL, in place of the planned header."""
    return prepared


class _NoCookies(requests.cookies.cookielib.DefaultCookiePolicy):  # type: ignore[misc, name-defined]
    def set_ok(self, cookie: Any, request: Any) -> bool:
        return False


_NO_COOKIES = _NoCookies()


def open_session(wire: Wire) -> requests.Session:
    """A session whose sockets report to ``wire``; to be closed."""
    session = _Session()
    session.trust_env = False
    session.cookies.set_policy(_NO_COOKIES)
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(wire))
    return session
