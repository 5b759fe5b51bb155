"""A Call performed with requests: Request -> Replied | CallFailed. The only file that sends anything.

What must be known about a call that went wrong is one fact: may any byte of it have left? ``wire.py`` saw it. What
arrived is read in ``replies.py``. A redirect is followed only where that can do no harm (``_follow``). Nothing is
retried here; the machine decides that.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, cast
from urllib.parse import urljoin

import requests
import urllib3

from ..chart.effects import Call
from ..chart.events import CallFailed, Replied, Reply
from ..errors import RequestError
from ..plan.model import UNSAFE
from ..sources.model import Request, is_json_type, media_type
from ..values import MISSING, Content, FileRef, SecretText, contains_secret, join_text
from .clock import Clock
from .hosts import Bases, check_secrecy, is_loopback, is_public, origin_of
from .replies import charset_of, decode
from .secrets import SecretBook
from .wire import QUIET, Wire, as_it_is, open_session

__all__ = ["MOVED", "TooLarge", "Transport", "planned_headers", "read_body"]

_CHUNK = 64 * 1024
_FREE = 1 << 20
"""Decoded bytes up to which no ratio is looked at: small answers compress well."""
_REDIRECTS = 5
MOVED = frozenset({301, 302, 303, 307, 308})
"""Statuses that name another place to ask (RFC 9110 section 15.4)."""
_URL = re.compile(r"[\x21-\x7e]+")
_USER_AGENT = "arazzo-machine"

Cause = Literal[
    "refused",
    "dns",
    "tls",
    "connect_timeout",
    "timeout",
    "reset",
    "cut",
    "too_large",
    "protocol",
    "unsendable",
    "inward",
]


class _Outgoing(NamedTuple):
    """A request as it is sent, and how its URL is written down."""

    request: Request
    prepared: requests.PreparedRequest
    url: str | SecretText


class Transport:
    """Performs calls, one at a time. ``base`` gives a source's base URL.

    ``largest`` bounds an answer in decoded bytes, ``ratio`` how many of them one byte on the wire may become.
    ``proxy`` is a URL; calls to this machine go around it. ``ca_bundle`` is a file of certificates that are trusted
    instead of the usual ones.
    """

    def __init__(
        self,
        base: Callable[[str, str], str],
        secrets: SecretBook,
        clock: Clock,
        chance: Callable[[], float],
        *,
        largest: int = 10 << 20,
        ratio: int = 200,
        connect_timeout: float = 10.0,
        proxy: str = "",
        ca_bundle: str = "",
    ) -> None:
        self._base = functools.cache(base)
        self._secrets = secrets
        self._clock = clock
        self._chance = chance
        self._largest = largest
        self._ratio = ratio
        self._connect_timeout = connect_timeout
        self._proxies = dict.fromkeys(("http", "https"), proxy) if proxy else {}
        self._verify: bool | str = ca_bundle or True
        self._inward = base.inward if isinstance(base, Bases) else lambda source, server: True
        self._anywhere = True
        self._wire = Wire(peer_is_allowed=self._peer_is_allowed)
        self._last: _Outgoing | None = None
        self._session = open_session(self._wire)

    def close(self) -> None:
        self._session.close()

    def _peer_is_allowed(self, address: str, host: str) -> bool:
        """Asked of every new connection, so that a public name that leads inside is not followed there."""
        return self._anywhere or is_public(address)

    def perform(self, call: Call, timeout: float) -> Replied | CallFailed:
        """Send one request and read its answer whole, within ``timeout`` seconds.

        Never raises for what the network or the other side does. Raises HostError for a host that is not allowed,
        RequestError for a secret that cannot stand where it should or a file that has changed, both before anything is
        sent, and Interrupted on a second signal.
        """
        try:
            outgoing = self._outgoing(call)
        except (requests.RequestException, ValueError):
            return self._failed("not_sent", "unsendable", _MESSAGES["unsendable"])
        if call.kind in UNSAFE:
            # A kept connection may be dead without our knowing; a create in it would be in doubt for nothing.
            self._session.close()
        self._anywhere = bool(self._proxies) or self._inward(call.request.source, call.request.server)
        self._wire.begin(timeout)
        quiet = QUIET.set(True)
        try:
            prepared, url = outgoing.prepared, outgoing.url
            for number in itertools.count():
                response = self._send(prepared, timeout)
                body = read_body(response, self._largest, self._ratio)
                further = self._follow(call, prepared, response) if number < _REDIRECTS else None
                if further is None:
                    break
                prepared, url = further, self._secrets.conceal(further.url)
        except TooLarge as error:
            return self._failed("unknown", "too_large", str(error))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return self._classify(error)
        finally:
            QUIET.reset(quiet)
        return self._replied(url, response, body)

    def _send(self, prepared: requests.PreparedRequest, timeout: float) -> requests.Response:
        around = is_loopback(prepared.url or "")
        return self._session.send(
            prepared,
            stream=True,
            allow_redirects=False,
            timeout=(min(self._connect_timeout, timeout), timeout),
            verify=self._verify,
            proxies={} if around else self._proxies,
        )

    def _follow(
        self, call: Call, prepared: requests.PreparedRequest, response: requests.Response
    ) -> requests.PreparedRequest | None:
        """The same request at the place an answer names: only a safe call, only on the same origin, and only where the
        document knows of no redirect. Anything else could repeat an effect or carry a credential away."""
        location = response.headers.get("Location", "")
        if not (call.kind == "safe" and call.request.follows and response.status_code in MOVED and location):
            return None
        try:
            here, there = prepared.url or "", urljoin(prepared.url or "", location)
            if origin_of(there) != origin_of(here) or not _URL.fullmatch(there):
                return None
        except ValueError:
            return None
        further = prepared.copy()
        # What stands behind # is for the reader of the answer (RFC 9110 section 10.2.2), not for the server.
        further.url = there.partition("#")[0]
        return further

    def _outgoing(self, call: Call) -> _Outgoing:
        request = call.request
        # A look is the look before it, sent again. Not so with a body: 1, 1.0 and true are equal, and are not the same.
        if self._last is None or request.body is not MISSING or self._last.request != request:
            prepared = self._prepare(call)
            # Written from the plan's own parts: a secret in a URL is encoded, and would not be recognised in its text.
            url = join_text((self._secrets.conceal(self._base(request.source, request.server)), request.target))
            self._last = _Outgoing(request, prepared, url)
        return self._last

    def _prepare(self, call: Call) -> requests.PreparedRequest:
        request = call.request
        base = self._base(request.source, request.server)
        carried = (request.target, request.headers, request.body)
        if contains_secret(carried):
            check_secrecy(base, call.step)
            self._secrets.check_origin(carried, origin_of(base), call.step)
        headers = {name: self._secrets.join(value) for name, value in planned_headers(request)}
        prepared = requests.Request(request.method, base, headers=headers, auth=as_it_is).prepare()
        if request.body is not MISSING:
            self._write_body(request, prepared)
        # requests would decode and collapse parts of the path; what was planned is what is sent.
        prepared.url = base + self._secrets.join(request.target)
        return prepared

    def _write_body(self, request: Request, prepared: requests.PreparedRequest) -> None:
        body = request.body
        if isinstance(body, (Content, FileRef)):
            stream = _Stream(body, self._secrets)
            prepared.body = cast("Any", stream)
            prepared.headers["Content-Length"] = str(stream.length)
            return
        joined = self._secrets.join_all(body)
        if is_json_type(request.content_type):
            prepared.prepare_body(json.dumps(joined, allow_nan=False).encode(), None)
        else:
            prepared.prepare_body(_encoded(str(joined), request.content_type), None)

    def _replied(self, url: Any, response: requests.Response, body: bytes) -> Replied:
        content_type = response.headers.get("Content-Type", "")
        value, form = decode(body, content_type)
        headers = {name.lower(): value for name, value in response.headers.items()}
        secrets = self._secrets
        if form == "json":
            value = secrets.conceal_json(value, body)
        elif form == "text":
            value = secrets.conceal(value)
        elif form == "binary" and secrets.stands_in(body):
            # Bytes cannot be kept in part, and a secret is not kept.
            value, form = None, "undecodable"
        elif form == "binary":
            kind = str(secrets.conceal(media_type(content_type)))
            value = secrets.files.keep(body, kind or "application/octet-stream")
        reply = Reply(
            status=response.status_code,
            headers=cast("Mapping[str, Any]", secrets.conceal(headers)),
            body=value,
            form=form,
            url=url,
        )
        return Replied(at=self._clock.now(), chance=self._chance(), reply=reply)

    def _classify(self, error: Exception) -> CallFailed:
        """Name what went wrong; whether anything left is what the socket saw."""
        wire = self._wire
        if wire.refused_peer:
            return self._failed("not_sent", "inward", _MESSAGES["inward"])
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
        left = wire.sent or (not wire.tried and cause in ("timeout", "cut", "protocol"))
        return self._failed("unknown" if left else "not_sent", cause, _MESSAGES[cause])

    def _failed(self, fate: Literal["not_sent", "unknown"], cause: Cause, message: str) -> CallFailed:
        return CallFailed(at=self._clock.now(), chance=self._chance(), fate=fate, cause=cause, message=message)


_MESSAGES: Mapping[Cause, str] = {
    "refused": "the connection could not be made",
    "dns": "the host's name could not be resolved",
    "tls": "the secure connection could not be made; --ca-bundle names other certificates to trust",
    "connect_timeout": "connecting took too long; --connect-timeout allows longer",
    "timeout": "the answer took too long; --call-timeout allows longer, where the step sets no time of its own",
    "reset": "the connection was closed before an answer came",
    "cut": "the answer ended in the middle",
    "protocol": "the answer was not HTTP",
    "unsendable": "the request could not be written",
    "inward": "its name leads to an address that is not public; --allow-host allows that",
}
"""Our own words: an exception's text may hold the URL with everything in it."""


class TooLarge(Exception):
    """An answer is larger than it may be; says which flag allows more."""


def read_body(response: requests.Response, largest: int, ratio: int) -> bytes:
    """The body whole, unpacked. Raises TooLarge, and what the libraries raise for a connection that fails."""
    chunks, size = [], 0
    with response:
        for chunk in response.iter_content(_CHUNK):
            size += len(chunk)
            if size > largest:
                raise TooLarge(f"the answer is larger than {largest} bytes; --max-reply allows more")
            if size > max(_FREE, ratio * response.raw.tell()):
                raise TooLarge(f"the answer unpacks to over {ratio} times its size; --max-ratio allows more")
            chunks.append(chunk)
    return b"".join(chunks)


class _Stream:
    """A body with files in it, read as it is sent. ``length`` is in bytes; files that have changed are refused."""

    def __init__(self, body: Content | FileRef, secrets: SecretBook) -> None:
        self._files = secrets.files
        self._parts: list[bytes | FileRef] = []
        for part in body.parts if isinstance(body, Content) else (body,):
            if isinstance(part, FileRef):
                self._files.check(part)
                self._parts.append(part)
            else:
                self._parts.append(secrets.join(SecretText((part,))).encode())
        self.length = sum(part.size if isinstance(part, FileRef) else len(part) for part in self._parts)

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, FileRef):
                yield from self._files.chunks(part)
            else:
                yield part


def _encoded(text: str, content_type: str) -> bytes:
    charset, body = charset_of(content_type), None
    if charset in ("", "utf-8"):
        return text.encode()
    with contextlib.suppress(UnicodeEncodeError):
        body = text.encode(charset)
    if body is None:
        # Raised out here, because the error of the codec holds the text.
        raise RequestError(
            f"request body: it holds a character that cannot be written in {charset}",
            code="AZM-R025",
            next="name a charset that has it in the contentType, such as utf-8",
        )
    return body


def planned_headers(request: Request) -> list[tuple[str, str | SecretText]]:
    """The headers a request is sent with, those that follow from its body's length and the connection left out."""
    headers = list(request.headers)
    if request.body is not MISSING:
        headers.append(("Content-Type", request.content_type))
    given = {name.lower() for name, _ in headers}
    usual = (("User-Agent", _USER_AGENT), ("Accept", "application/json, */*;q=0.5"))
    return headers + [(name, value) for name, value in usual if name.lower() not in given]


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
        waiting += [one.__cause__, one.__context__, *one.args]
    return False
