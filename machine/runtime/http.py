"""A Call performed with requests: Request -> Replied | CallFailed. The only file that sends anything.

What must be known about a call that went wrong is one fact: may any byte of it have left? It is read off the socket,
not off the exception, because one exception class means both. The total deadline is kept by giving the socket, before
every read and write, no more time than is left, so that a server that drips cannot outlast it.

No automatic redirect, no proxy or netrc of the environment, no cookie jar, no content we did not ask for: requests'
defaults send a credential where nobody said. Nothing is retried here; the machine decides that.
"""

from __future__ import annotations

import functools
import http.client
import json
import logging
import math
import socket
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from ..chart.effects import Call
from ..chart.events import CallFailed, Replied, Reply
from ..plan.model import UNSAFE
from ..sources.model import Request, is_json_type
from ..values import MISSING, SecretText, contains_secret, join_text
from .clock import Clock
from .hosts import check_secrecy
from .secrets import SecretBook

__all__ = ["Transport"]

_CHUNK = 64 * 1024
_DEEPEST = 200
_USER_AGENT = "arazzo-machine"

Cause = Literal[
    "refused", "dns", "tls", "connect_timeout", "timeout", "reset", "cut", "too_large", "protocol", "unsendable"
]


class _Wire:
    """What the sockets of one call are told and report: how long they may take, how far they came."""

    def __init__(self) -> None:
        self.end = 0.0
        self.tried = False
        self.connected = False
        self.sent = False

    def begin(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.tried = self.connected = self.sent = False

    def left(self) -> float:
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the call's deadline passed")
        return left


class _TimedSocket:
    """A connected socket that never waits past the call's deadline and notes the first byte that leaves.

    Stands where the connection's socket stood; what is not named here goes to the socket itself.
    """

    def __init__(self, sock: Any, wire: _Wire) -> None:
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

    def readline(self, limit: int = -1) -> bytes:
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


def _pool_classes(wire: _Wire) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        response_class = _Answer

        def connect(self) -> None:
            wire.tried = True
            super().connect()
            self.sock = cast("socket.socket", _TimedSocket(self.sock, wire))
            wire.connected = True

    class Secure(HTTPSConnection):
        response_class = _Answer

        def connect(self) -> None:
            wire.tried = True
            super().connect()
            self.sock = cast("socket.socket", _TimedSocket(self.sock, wire))
            wire.connected = True

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class _Adapter(HTTPAdapter):
    def __init__(self, wire: _Wire) -> None:
        self._wire = wire
        super().__init__(max_retries=0, pool_connections=4, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pool_classes(self._wire)


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Nowhere. Even when told not to follow, requests would read the whole answer to prepare for it, unbounded,
        and fail on a Location that is no URL."""
        return None


class _Outgoing(NamedTuple):
    """A request as it is sent, and how its URL is written down."""

    request: Request
    prepared: requests.PreparedRequest
    url: str | SecretText


class Transport:
    """Performs calls, one at a time. ``base`` gives a source's base URL; ``largest`` bounds a reply in bytes."""

    def __init__(
        self,
        base: Callable[[str], str],
        secrets: SecretBook,
        clock: Clock,
        chance: Callable[[], float],
        *,
        largest: int = 10 << 20,
        connect_timeout: float = 10.0,
    ) -> None:
        self._base = functools.cache(base)
        self._secrets = secrets
        self._clock = clock
        self._chance = chance
        self._largest = largest
        self._connect_timeout = connect_timeout
        self._wire = _Wire()
        self._last: _Outgoing | None = None
        self._session = _Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(_NO_COOKIES)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._wire))

    def close(self) -> None:
        self._session.close()

    def perform(self, call: Call, timeout: float) -> Replied | CallFailed:
        """Send one request and read its answer whole, within ``timeout`` seconds.

        Never raises for what the network or the other side does. Raises HostError for a host that is not allowed,
        RequestError for a secret that cannot stand where it should, both before anything is sent, and Interrupted on
        a second signal.
        """
        try:
            outgoing = self._outgoing(call)
        except (requests.RequestException, ValueError):
            return self._failed("not_sent", "unsendable", _MESSAGES["unsendable"])
        if call.kind in UNSAFE:
            # A kept connection may be dead without our knowing; a create in it would be in doubt for nothing.
            self._session.close()
        self._wire.begin(timeout)
        quiet = _QUIET.set(True)
        try:
            response = self._session.send(
                outgoing.prepared,
                stream=True,
                allow_redirects=False,
                timeout=(min(self._connect_timeout, timeout), timeout),
                verify=True,
                proxies={},
            )
            body = self._read(response)
        except _TooLarge:
            return self._failed("unknown", "too_large", f"the answer is larger than {self._largest} bytes")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return self._classify(error)
        finally:
            _QUIET.reset(quiet)
        return self._replied(outgoing, response, body)

    def _outgoing(self, call: Call) -> _Outgoing:
        request = call.request
        # A look is the look before it, sent again. Not so with a body: 1, 1.0 and true are equal, and are not the same.
        if self._last is None or request.body is not MISSING or self._last.request != request:
            prepared = self._prepare(call)
            # Written from the plan's own parts: a secret in a URL is encoded, and would not be recognised in its text.
            url = join_text((self._secrets.conceal(self._base(request.source)), request.target))
            self._last = _Outgoing(request, prepared, url)
        return self._last

    def _prepare(self, call: Call) -> requests.PreparedRequest:
        request = call.request
        base = self._base(request.source)
        if contains_secret((request.target, request.headers, request.body)):
            check_secrecy(base, call.step)
        headers = {name: self._secrets.join(value) for name, value in request.headers}
        headers.setdefault("User-Agent", _USER_AGENT)
        headers.setdefault("Accept", "application/json, */*;q=0.5")
        data: bytes | None = None
        if request.body is not MISSING:
            body = self._secrets.join_all(request.body)
            json_type = is_json_type(request.content_type)
            data = (json.dumps(body, allow_nan=False) if json_type else str(body)).encode()
            headers["Content-Type"] = request.content_type
        # An auth that does nothing keeps requests from making one out of the URL, in place of the planned header.
        prepared = requests.Request(request.method, base, headers=headers, data=data, auth=_as_it_is).prepare()
        # requests would decode and collapse parts of the path; what was planned is what is sent.
        prepared.url = base + self._secrets.join(request.target)
        return prepared

    def _read(self, response: requests.Response) -> bytes:
        chunks, size = [], 0
        with response:
            for chunk in response.iter_content(_CHUNK):
                size += len(chunk)
                if size > self._largest:
                    raise _TooLarge
                chunks.append(chunk)
        return b"".join(chunks)

    def _replied(self, outgoing: _Outgoing, response: requests.Response, body: bytes) -> Replied:
        value, form = _decode(body, response.headers.get("Content-Type", ""))
        headers = {name.lower(): value for name, value in response.headers.items()}
        secrets = self._secrets
        reply = Reply(
            status=response.status_code,
            headers=cast("Mapping[str, Any]", secrets.conceal(headers)),
            body=secrets.conceal_json(value, body) if form == "json" else secrets.conceal(value),
            form=form,
            url=outgoing.url,
        )
        return Replied(at=self._clock.now(), chance=self._chance(), reply=reply)

    def _classify(self, error: Exception) -> CallFailed:
        """Name what went wrong; whether anything left is what the socket saw."""
        wire = self._wire
        reached = wire.sent or wire.connected
        if isinstance(error, requests.exceptions.Timeout) or _caused_by(error, TimeoutError):
            connecting = isinstance(error, requests.exceptions.ConnectTimeout) or (wire.tried and not reached)
            cause: Cause = "connect_timeout" if connecting else "timeout"
        elif _caused_by(error, urllib3.exceptions.NameResolutionError):
            cause = "dns"
        elif isinstance(error, requests.exceptions.SSLError):
            cause = "tls"
        elif _caused_by(error, urllib3.exceptions.NewConnectionError):
            cause = "refused"
        elif _caused_by(error, urllib3.exceptions.InvalidChunkLength):
            cause = "protocol"
        elif _caused_by(error, http.client.IncompleteRead, requests.exceptions.ChunkedEncodingError):
            cause = "cut"
        elif _caused_by(error, ConnectionError):
            cause = "reset" if reached else "refused"
        elif isinstance(error, ValueError) and not wire.sent:
            cause = "unsendable"
        else:
            cause = "protocol"
        # Without a socket of ours there is nothing that saw the bytes; then only a failure to connect is proof.
        left = wire.sent or (not wire.tried and cause in ("timeout", "reset", "cut", "protocol"))
        return self._failed("unknown" if left else "not_sent", cause, _MESSAGES[cause])

    def _failed(self, fate: Literal["not_sent", "unknown"], cause: Cause, message: str) -> CallFailed:
        return CallFailed(at=self._clock.now(), chance=self._chance(), fate=fate, cause=cause, message=message)


_MESSAGES: Mapping[Cause, str] = {
    "refused": "the connection could not be made",
    "dns": "the host's name could not be resolved",
    "tls": "the secure connection could not be made",
    "connect_timeout": "connecting took too long",
    "timeout": "the answer took too long",
    "reset": "the connection was closed before an answer came",
    "cut": "the answer ended in the middle",
    "too_large": "the answer is too large",
    "protocol": "the answer was not HTTP",
    "unsendable": "the request could not be written",
}
"""Our own words: an exception's text may hold the URL with everything in it."""


class _TooLarge(Exception):
    pass


_QUIET: ContextVar[bool] = ContextVar("quiet", default=False)
"""Whether a call of ours is under way here."""


def _is_not_ours(record: logging.LogRecord) -> bool:
    return not _QUIET.get()


# What urllib3 logs of a call is its URL, secrets and all, and its warnings reach stderr unasked. Other programs' calls
# are logged as ever.
for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_is_not_ours)


def _as_it_is(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    return prepared


class _NoCookies(requests.cookies.cookielib.DefaultCookiePolicy):  # type: ignore[misc, name-defined]
    def set_ok(self, cookie: Any, request: Any) -> bool:
        return False


_NO_COOKIES = _NoCookies()


def _caused_by(error: BaseException | None, *kinds: type[BaseException]) -> bool:
    """Whether an error of one of these kinds stands anywhere in the chain of causes."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        if isinstance(one, kinds):
            return True
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return False


def _decode(body: bytes, content_type: str) -> tuple[Any, Literal["json", "text", "empty", "undecodable"]]:
    """A body as JSON where it claims to be or says nothing else, otherwise as text (ambiguity A42)."""
    if not body:
        return None, "empty"
    claims = is_json_type(content_type)
    if claims or not content_type:
        try:
            return _parse_json(body), "json"
        except (ValueError, RecursionError):
            if claims:
                return None, "undecodable"
    try:
        return body.decode("utf-8"), "text"
    except UnicodeDecodeError:
        return body.decode("latin-1"), "text"


def _parse_json(body: bytes) -> Any:
    """Strict JSON (RFC 8259): UTF-8, no NaN, no number or text that could not be written down again, no depth that
    could not be walked again."""
    value = _JSON.decode(body.decode("utf-8-sig"))
    if body.count(b"[") + body.count(b"{") >= _DEEPEST and _is_deep(value):
        raise ValueError("nested too deeply")
    if b"\\u" in body:
        # Section 8.2: an escape can name half of a surrogate pair, which is no character and has no UTF-8 form.
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            item
            for one in level
            if isinstance(one, (dict, list))
            for item in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


_JSON = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
