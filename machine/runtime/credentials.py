"""What an operator gave for a source's security schemes -> the headers, query fields and cookies of a request.

A credential never stands in a document, a snapshot or a record: a stored request names the schemes it leaves open, and
what they need is added on its way out, by the transport this file wraps around another. What is stored with a run is
where each credential comes from, as it is for secrets. It goes only to the origins its source had when it was given.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol
from urllib.parse import quote

from ..chart.effects import Call
from ..chart.events import CallFailed, Replied
from ..errors import CredentialError, UsageError
from ..plan.model import Plan
from ..plan.needs import CredentialNeed, credential_needs, missing_credentials, unusable
from ..sources.model import Request
from ..values import SecretRef, SecretText, join_text
from .oauth import Refusal, TokenKeeper
from .secrets import PREFIX, Reference, SecretBook

__all__ = ["FIELDS", "Authorised", "Credentials", "Given", "PerformsCalls", "check_auth", "texts_of"]

NONE: Final = "none"
"""Given instead of a credential: the scheme is not to be met, because the server called does not ask for it."""

_OF_KIND: Final[Mapping[str, tuple[str, ...]]] = {
    "apiKey": ("",),
    "basic": ("", "username", "password"),
    "bearer": ("",),
    "oauth2": ("", "client_id", "client_secret", "refresh_token", "token_url", "scope"),
    "openIdConnect": ("",),
}
"""What can be given for each kind of scheme; ``""`` is the whole: the key, the token, ``USER:PASSWORD``."""

FIELDS: Final = tuple(dict.fromkeys(field for fields in _OF_KIND.values() for field in fields))
"""Every field there is."""

PLAIN: Final = frozenset({"username", "client_id", "token_url", "scope"})
"""Fields that are no secret, so that their text may be given as it is."""


class PerformsCalls(Protocol):
    """What a runner needs of a transport."""

    def perform(self, call: Call, timeout: float) -> Replied | CallFailed: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What was given for one scheme: field to what was written, a reference or a plain text."""

    need: CredentialNeed
    fields: Mapping[str, str]

    @property
    def is_none(self) -> bool:
        return self.fields.get("") == NONE

    @property
    def fetches(self) -> bool:
        """Whether a token has to be got for it."""
        return self.need.scheme.type == "oauth2" and "" not in self.fields

    def secret(self, field: str = "") -> str:
        """The name under which the text of a field is known."""
        return f"{PREFIX}{self.need.key}{'.' if field else ''}{field}"


def check_auth(plan: Plan, given: Mapping[str, str]) -> dict[str, Given]:
    """What was given, by scheme. Keys are ``SOURCE.SCHEME``, or ``SOURCE.SCHEME.FIELD``.

    Raises UsageError: AZM-U100 (no scheme of that name is needed), AZM-U101 (it has no such field), AZM-U102 (a secret
    as a text), AZM-U103 (fields that are no credential together); CredentialError AZM-C042 for a scheme of a kind that
    is not supported.
    """
    needs = {need.key: need for need in credential_needs(plan)}
    found: dict[str, dict[str, str]] = {}
    for key, text in given.items():
        name = key if key in needs else key.rpartition(".")[0]
        if name not in needs:
            raise UsageError(
                f"no step needs a credential {key!r}",
                code="AZM-U100",
                next=f"needed: {', '.join(needs) or 'none'}",
            )
        field = key[len(name) + 1 :]
        _check_field(needs[name], field, text)
        found.setdefault(name, {})[field] = text
    made = {name: Given(need=needs[name], fields=fields) for name, fields in found.items()}
    for one in made.values():
        _check_whole(one)
    return made


def _kind(need: CredentialNeed) -> str:
    return need.scheme.scheme if need.scheme.type == "http" else need.scheme.type


def _check_field(need: CredentialNeed, field: str, text: str) -> None:
    if field == "" and text == NONE:
        return
    if why := unusable(need.scheme):
        raise CredentialError(f"nothing can be given for {need.key}: {why}", code="AZM-C042", next=_without(need.key))
    known = _OF_KIND[_kind(need)]
    if field not in known:
        raise UsageError(
            f"{need.key} is {need.scheme.type} and takes no {field!r}",
            code="AZM-U101",
            next=f"it takes: {', '.join(_flag(need, one) for one in known)}",
        )
    if field not in PLAIN and not text.startswith("@"):
        raise UsageError(
            f"what is given for {_dotted(need, field)} is a secret and does not belong on a command line",
            code="AZM-U102",
            next=f"give a reference: {_flag(need, field)}",
        )
    if text.startswith("@"):
        Reference(text)


def _dotted(need: CredentialNeed, field: str) -> str:
    return f"{need.key}.{field}" if field else need.key


def _flag(need: CredentialNeed, field: str) -> str:
    return f"--auth {_dotted(need, field)}=@env:NAME"


def _check_whole(given: Given) -> None:
    names = set(given.fields)
    complete = {
        "basic": [{""}, {"username", "password"}],
        "oauth2": [{""}, {"client_id", "client_secret"}, {"client_id", "refresh_token"}, {"refresh_token"}],
    }.get(_kind(given.need), [{""}])
    extra = {"token_url", "scope"}
    if not given.is_none and not any(one <= names for one in complete):
        shown = " or ".join(" and ".join(sorted(one)) for one in complete if "" not in one)
        raise UsageError(
            f"what is given for {given.need.key} is not enough: {', '.join(sorted(names - extra)) or 'nothing'}",
            code="AZM-U103",
            next=f"give {shown or 'the whole credential'}, each as --auth {given.need.key}.FIELD=@env:NAME",
        )


def texts_of(given: Mapping[str, str], resolve: Callable[[Reference, str], str]) -> dict[str, str]:
    """The texts behind the references among what was given, by the names they are known under."""
    return {f"{PREFIX}{key}": resolve(Reference(text), key) for key, text in given.items() if text.startswith("@")}


def _without(key: str) -> str:
    return f"use another server or scheme, send what it asks for as a parameter, or say --auth {key}={NONE}"


class Credentials:
    """What is given for the schemes of one run's plan, ready to be put into its requests.

    ``pretend`` makes up what was not given: for a server that is simulated.
    """

    def __init__(self, plan: Plan, given: Mapping[str, str], book: SecretBook, *, pretend: bool = False) -> None:
        self.plan = plan
        self.given = check_auth(plan, given)
        self.needs = {need.key: need for need in credential_needs(plan)}
        self._book = book
        self._pretend = pretend

    def check(self) -> None:
        """Raises CredentialError AZM-C040 for the first step that demands what nobody gave, AZM-C041 where nobody
        could give it."""
        lacks = () if self._pretend else missing_credentials(self.plan, self.given)
        for lack in lacks:
            usable = [one for one in lack.alternatives if not any(unusable(self.needs[key].scheme) for key in one)]
            if not usable:
                key = lack.alternatives[0][0]
                raise CredentialError(
                    f"step {lack.step!r} cannot be called: {key} is all it accepts, and "
                    f"{unusable(self.needs[key].scheme)}",
                    code="AZM-C041",
                    place=lack.place,
                    seen=lack.operation,
                    next=_without(key),
                )
            raise CredentialError(
                f"step {lack.step!r} needs a credential: {' or '.join(' and '.join(one) for one in usable)}",
                code="AZM-C040",
                place=lack.place,
                seen=lack.operation,
                next=_hint(self.needs[usable[0][0]]),
            )

    def check_texts(self) -> None:
        """Raises CredentialError AZM-C044 for a text that is no user and password where both are asked for."""
        for one in self.given.values():
            whole = _kind(one.need) == "basic" and "" in one.fields and not one.is_none
            if whole and ":" not in self._book.text_of(one.secret()):
                raise CredentialError(
                    f"what is given for {one.need.key} is not USER:PASSWORD",
                    code="AZM-C044",
                    next=f"give both, or {_flag(one.need, 'username')} and {_flag(one.need, 'password')}",
                )

    def added(self, request: Request, token: Callable[[Given], str], *, build: bool = True) -> Request:
        """The request with what the first alternative needs for which everything is there. ``token`` gives the name of
        an OAuth2 access token; ``build`` makes texts out of texts where a scheme asks for that."""
        chosen = self._choose(request)
        headers, target = list(request.headers), request.target
        for key in chosen:
            scheme = self.needs[key].scheme
            text = self._text(key, token, build=build)
            if scheme.location == "query":
                mark = "&" if "?" in str(target) else "?"
                encoded = SecretRef(text.name, "percent")
                target = join_text((target, f"{mark}{quote(scheme.parameter_name, safe='-._~')}=", encoded))
            elif scheme.location == "cookie":
                before = next((value for name, value in headers if name.lower() == "cookie"), "")
                pair = join_text((before, "; " if before else "", f"{scheme.parameter_name}=", text))
                headers = [(name, value) for name, value in headers if name.lower() != "cookie"]
                headers.append(("Cookie", pair))
            else:
                word = {"basic": "Basic ", "bearer": "Bearer "}.get(scheme.scheme, "")
                headers.append((scheme.parameter_name, SecretText((word, text) if word else (text,))))
        return replace(request, headers=tuple(headers), target=target, security=())

    def shown(self, request: Request) -> Request:
        """The request as it would be sent, with names where texts would stand."""
        return replace(self.added(request, lambda given: given.secret("token"), build=False), security=request.security)

    def of(self, request: Request) -> list[Given]:
        """What is used for a request."""
        return [self.given[key] for key in self._choose(request) if key in self.given]

    def _choose(self, request: Request) -> tuple[str, ...]:
        keys = [tuple(f"{request.source}.{name}" for name in one) for one in request.security]
        for one in sorted(keys, key=lambda alternative: not alternative):
            if all(key in self.given for key in one):
                return tuple(key for key in one if not self.given[key].is_none)
        if self._pretend and keys:
            return tuple(key for key in keys[0] if not unusable(self.needs[key].scheme))
        return ()

    def _text(self, key: str, token: Callable[[Given], str], *, build: bool) -> SecretRef:
        given = self.given.get(key)
        if given is None:
            name = f"{PREFIX}{key}"
            self._book.learn({name: f"simulated-{key}"})
            return SecretRef(name)
        if not build:
            return SecretRef(given.secret())
        if given.fetches:
            return SecretRef(token(given))
        if _kind(given.need) == "basic":
            return SecretRef(self._basic(given))
        return SecretRef(given.secret())

    def _basic(self, given: Given) -> str:
        """RFC 7617: user and password, joined by a colon, in base64."""
        name = given.secret("basic")
        if "" in given.fields:
            pair = self._book.text_of(given.secret())
            self._book.learn({given.secret("password"): pair.partition(":")[2]})
        else:
            pair = f"{self.plain(given, 'username')}:{self._book.text_of(given.secret('password'))}"
        self._book.learn({name: base64.b64encode(pair.encode()).decode()})
        return name

    def plain(self, given: Given, field: str) -> str:
        """The text of a field that may be no secret."""
        text = given.fields.get(field, "")
        return self._book.text_of(given.secret(field)) if text.startswith("@") else text


def _hint(need: CredentialNeed) -> str:
    if need.scheme.type == "oauth2":
        text = f"--auth {need.key}.client_id=ID --auth {need.key}.client_secret=@env:NAME"
    elif need.scheme.scheme == "basic":
        text = f"--auth {need.key}=@env:NAME, which holds USER:PASSWORD"
    elif need.scheme.type == "openIdConnect":
        text = (
            f"a token you got yourself, as the flows of OpenID Connect are not supported: --auth {need.key}=@env:NAME"
        )
    else:
        text = f"--auth {need.key}=@env:NAME"
    return f"give it: {text}; or say --auth {need.key}={NONE} where the server does not ask for it"


class Authorised:
    """A transport that adds credentials. ``inner`` sends; it also fetches tokens, so they keep every rule it keeps."""

    def __init__(
        self, inner: PerformsCalls, credentials: Credentials, keeper: Callable[[Given, PerformsCalls], TokenKeeper]
    ) -> None:
        self._inner = inner
        self._credentials = credentials
        self._make_keeper = keeper
        self._keepers: dict[str, TokenKeeper] = {}

    def perform(self, call: Call, timeout: float) -> Replied | CallFailed:
        """As the inner transport does. A token is fetched before it is needed, and once more when it is refused (401):
        nothing was applied then, so sending the call again is no second one."""
        keepers = [self._keeper(one) for one in self._credentials.of(call.request) if one.fetches]
        event: Replied | CallFailed
        for attempt in range(2):
            try:
                for keeper in keepers:
                    keeper.renew(timeout, force=attempt > 0)
            except Refusal as error:
                return error.event
            request = self._credentials.added(call.request, lambda given: self._keeper(given).name)
            event = self._inner.perform(replace(call, request=request), timeout)
            if attempt or not keepers or not isinstance(event, Replied) or event.reply.status != 401:
                break
        return event

    def _keeper(self, given: Given) -> TokenKeeper:
        if given.need.key not in self._keepers:
            self._keepers[given.need.key] = self._make_keeper(given, self._inner)
        return self._keepers[given.need.key]

    def close(self) -> None:
        self._inner.close()
