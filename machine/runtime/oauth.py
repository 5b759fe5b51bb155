"""A client's OAuth2 access token: got when it is first needed, kept in memory, renewed when it runs out or is refused.

The grants of a program without a person: client credentials and refresh token (RFC 6749 sections 4.4 and 6). The
requests go through the transport every other call goes through; what comes back is known to nobody but the SecretBook.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from ..chart.effects import Call
from ..chart.events import CallFailed, Replied
from ..errors import InputError
from ..sources.model import Request
from ..values import SecretRef, SecretText, redact
from .secrets import SecretBook

__all__ = ["Client", "Refusal", "TokenKeeper"]

_FORM = "application/x-www-form-urlencoded"
_LEEWAY = 30.0
"""Seconds before its end at which a token is taken for expired, but no more than a tenth of its life."""
_USUAL_LIFE = 300.0
_LONGEST = 30.0
"""Seconds a token may take to be had."""
_REFUSED = frozenset({400, 401, 403})
_ERROR = re.compile(r"[a-zA-Z0-9_.\-]{1,60}")


class Performs(Protocol):
    def __call__(self, call: Call, timeout: float) -> Replied | CallFailed: ...


class Refusal(Exception):
    """No token could be had; ``event`` is what that means for the call that needs it: it was not sent."""

    def __init__(self, event: CallFailed) -> None:
        super().__init__(event.message)
        self.event = event


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who asks for a token, and where. Secrets by the names the book knows them under; empty where there is none."""

    source: str
    """The name by which the transport knows the token endpoint's server."""
    target: str
    """Path and query of the token endpoint."""
    name: str
    """What the access token is to be known as."""
    client_id: str = ""
    secret: str = ""
    refresh: str = ""
    scopes: tuple[str, ...] = ()


class TokenKeeper:
    """``now`` reads a clock in seconds. One access token, for one process."""

    def __init__(self, client: Client, perform: Performs, book: SecretBook, now: Callable[[], float]) -> None:
        self.name = client.name
        self._client = client
        self._perform = perform
        self._book = book
        self._now = now
        self._ends = -math.inf

    def renew(self, timeout: float, *, force: bool = False) -> None:
        """Have a token that is good for a while, or a new one where it was refused. Raises Refusal."""
        if not force and self._now() < self._ends:
            return
        client = self._client
        # RFC 6749 section 2.3.1: Basic is what every server must take; some take only the fields in the body.
        answer = self._ask(timeout, basic=bool(client.secret))
        if client.secret and self._error(answer) == "invalid_client":
            answer = self._ask(timeout, basic=False)
        self._take(answer)

    def _ask(self, timeout: float, *, basic: bool) -> Replied:
        client = self._client
        fields: list[tuple[str, str | SecretRef]] = []
        headers: list[tuple[str, str | SecretText]] = [("Accept", "application/json")]
        if client.refresh:
            fields += [("grant_type", "refresh_token"), ("refresh_token", SecretRef(client.refresh, "percent"))]
        else:
            fields.append(("grant_type", "client_credentials"))
        if client.scopes:
            fields.append(("scope", " ".join(client.scopes)))
        if basic:
            pair = f"{quote(client.client_id, safe='')}:{quote(self._book.text_of(client.secret), safe='')}"
            name = f"{client.secret}.basic"
            self._book.learn({name: base64.b64encode(pair.encode()).decode()})
            self._book.bind(name, self._book.bound(client.secret))
            headers.append(("Authorization", SecretText(("Basic ", SecretRef(name)))))
        else:
            fields += [("client_id", client.client_id)] if client.client_id else []
            fields += [("client_secret", SecretRef(client.secret, "percent"))] if client.secret else []
        request = Request(
            source=client.source,
            method="POST",
            target=client.target,
            headers=tuple(headers),
            body=_form(fields),
            content_type=_FORM,
        )
        event = self._perform(
            Call(step="the token endpoint", request=request, kind="idempotent", not_before=0.0), min(timeout, _LONGEST)
        )
        if isinstance(event, CallFailed):
            raise self._refusal(event, event.cause, f"no token could be had: {event.message}")
        return event

    def _error(self, answer: Replied) -> str:
        """The error code of section 5.2, where it is one."""
        body = answer.reply.body
        code = redact(body.get("error")) if isinstance(body, dict) else ""
        return code if isinstance(code, str) and _ERROR.fullmatch(code) else ""

    def _take(self, answer: Replied) -> None:
        """Section 5.1: the token and how long it lives."""
        reply, body = answer.reply, answer.reply.body
        if not 200 <= reply.status < 300:
            said = f": {self._error(answer)}" if self._error(answer) else ""
            cause = "credential" if reply.status in _REFUSED else "protocol"
            raise self._refusal(answer, cause, f"the token endpoint answered {reply.status}{said}")
        token = body.get("access_token") if isinstance(body, dict) else None
        if isinstance(token, SecretText):
            token = self._book.join(token)
        if not isinstance(token, str) or not token:
            raise self._refusal(answer, "credential", "the token endpoint's answer holds no access token")
        texts = {self.name: token}
        renewed = body.get("refresh_token")
        if self._client.refresh and isinstance(renewed, str) and renewed:
            # Section 6: a server may give a new refresh token, and then the old one may be good for nothing.
            texts[self._client.refresh] = renewed
        try:
            self._book.learn(texts)
        except InputError:
            raise self._refusal(answer, "credential", "the access token holds a control character") from None
        life = _seconds(body.get("expires_in"))
        self._ends = self._now() + life - min(_LEEWAY, life / 10)

    def _refusal(self, event: Replied | CallFailed, cause: str, message: str) -> Refusal:
        return Refusal(CallFailed(at=event.at, chance=event.chance, fate="not_sent", cause=cause, message=message))


def _form(fields: list[tuple[str, str | SecretRef]]) -> str | SecretText:
    parts: list[str | SecretRef] = []
    for number, (name, value) in enumerate(fields):
        mark = "&" if number else ""
        if isinstance(value, SecretRef):
            parts += [f"{mark}{name}=", value]
        else:
            parts.append(mark + urlencode({name: value}))
    return SecretText(tuple(parts)) if any(isinstance(one, SecretRef) for one in parts) else "".join(map(str, parts))


def _seconds(value: Any) -> float:
    """``expires_in``, which some servers write as a text."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return _USUAL_LIFE
    return seconds if 0 <= seconds < 10**9 else _USUAL_LIFE
