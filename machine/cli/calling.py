"""Flags about the calls themselves, credentials, transport and checks before the first one, and what they do."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import InputError, UsageError
from . import options as flags

if TYPE_CHECKING:
    from ..plan.model import Plan
    from ..runtime.prepare import Prepared
    from ..runtime.reach import MakesTransport, Reach
    from .progress import Progress

__all__ = [
    "announce_auth",
    "auth_given",
    "auth_of",
    "before",
    "calls",
    "checks",
    "need_lines",
    "reading_of",
    "transport_of",
]

F = TypeVar("F", bound=Callable[..., Any])

_SIZE = re.compile(r"([0-9]{1,9})([kmg]?)(?:i?b)?", re.IGNORECASE)
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30}
_PREFIX = "ARAZZO_AUTH_"


def _size(text: str) -> int:
    """A number of bytes, as a click type: ``10m`` is 10 MiB."""
    found = _SIZE.fullmatch(text)
    if found is None or not int(found[1]):
        raise click.BadParameter("a size such as 500k or 10m is expected")
    return int(found[1]) << _UNITS[found[2].lower()]


def calls(function: F) -> F:
    """What calls are made with."""
    for option in reversed(
        [
            click.option(
                "--auth",
                "auth",
                multiple=True,
                metavar="SOURCE.SCHEME[.FIELD]=@REF",
                help="A credential for a security scheme of a source; none: send no such.",
            ),
            click.option(
                "--proxy",
                envvar="ARAZZO_MACHINE_PROXY",
                metavar="URL|@REF",
                help="Call through this proxy [$ARAZZO_MACHINE_PROXY].",
            ),
            click.option(
                "--ca-bundle",
                envvar="ARAZZO_MACHINE_CA_BUNDLE",
                type=click.Path(path_type=Path),
                help="Trust these certificates instead [$ARAZZO_MACHINE_CA_BUNDLE].",
            ),
            click.option("--connect-timeout", type=flags.duration, help="Longest time to connect [10s]."),
            click.option("--max-reply", type=_size, metavar="SIZE", help="Largest answer, unpacked [10m]."),
            click.option("--max-ratio", type=click.IntRange(2), help="How far an answer may unpack [200]."),
        ]
    ):
        function = option(function)
    return function


def checks(function: F) -> F:
    """What is looked at before the first call."""
    for option in reversed(
        [
            click.option("--strict-bodies", is_flag=True, help="Refuse a first body its schema does not allow."),
            click.option(
                "--dry-run", is_flag=True, help="Print the requests that can be built; send and store nothing."
            ),
        ]
    ):
        function = option(function)
    return function


def transport_of(given: Mapping[str, Any]) -> MakesTransport:
    """A maker of transports as the flags say. Raises UsageError for a proxy or a bundle that cannot be used."""
    from ..runtime.http import Transport

    chosen: dict[str, Any] = {
        "largest": given.get("max_reply"),
        "ratio": given.get("max_ratio"),
        "connect_timeout": given.get("connect_timeout"),
        "proxy": _proxy(given.get("proxy") or ""),
        "ca_bundle": _bundle(given.get("ca_bundle")),
    }
    return partial(Transport, **{name: value for name, value in chosen.items() if value})


def _proxy(text: str) -> str:
    from urllib.parse import urlsplit

    from ..runtime.secrets import Reference

    url = Reference(text).resolve("the proxy", flag="--proxy ") if text.startswith("@") else text
    try:
        parts = urlsplit(url)
        usable = not url or (parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or True))
    except ValueError:
        usable, parts = False, urlsplit("")
    if not usable:
        raise UsageError("this is not the URL of a proxy", code="AZM-U110", next="write --proxy http://HOST:PORT")
    if parts.password and not text.startswith("@"):
        raise UsageError(
            "the password of a proxy does not belong on a command line",
            code="AZM-U111",
            next="put the whole URL into a variable: --proxy @env:NAME",
        )
    return url


def _bundle(path: Path | None) -> str:
    import ssl

    if path is None:
        return ""
    try:
        ssl.create_default_context(cafile=str(path))
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            "the certificates cannot be read",
            code="AZM-U112",
            seen=f"{path}: {type(error).__name__}",
            next="give a PEM file: --ca-bundle FILE",
        ) from error
    return str(path)


def reading_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """How sources are read: large ones parsed once, those at URLs from hosts that are named."""
    from ..runtime.parsed import ParsedSources

    tree_of = ParsedSources().tree_of
    hosts = flags.read_hosts(given.get("allow_sources") or ())
    if not hosts:
        return {"tree_of": tree_of}
    from ..runtime.fetch import Fetcher

    fetcher = Fetcher(hosts, proxy=_proxy(given.get("proxy") or ""), ca_bundle=_bundle(given.get("ca_bundle")))
    return {"tree_of": tree_of, "fetch": fetcher.read}


# -- credentials -------------------------------------------------------------------------------------------------------


def auth_of(
    plan: Plan, given: Mapping[str, Any], *, trusted: bool, servers: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """What is given for the security schemes the plan needs: by flag, else by the environment, else by an overlay; and
    what there is to say about it.

    A variable of the environment says for which source, and a document from elsewhere could call its source anything.
    So it counts only for a document we ship, for a server the operator named, or for the origin a second variable
    names. Raises UsageError and CredentialError as ``check_auth`` does.
    """
    from ..plan.needs import credential_needs, named_auth
    from ..runtime.credentials import check_auth

    flagged = flags.pairs(given["auth"], "--auth")
    found, notes = {}, []
    for need in credential_needs(plan):
        named = _of_environment(need.source, need.scheme.name)
        its_own = all(_is_origin(need.source, server) for server in plan.servers[need.source])
        allowed = trusted or need.source in servers or its_own
        if named and not allowed:
            variable = f"{_PREFIX}{_slug(need.source)}_ORIGIN"
            notes.append(
                f"{named[''] if '' in named else next(iter(named.values()))} is not used: a document could call any "
                f"server {need.source}. Say for which it is meant: {variable}=https://HOST, or --auth {need.key}=..."
            )
        before = {name: text for name, text in named_auth(plan).items() if _belongs(name, need.key)}
        chosen = {
            f"{need.key}{'.' if field else ''}{field}": text for field, text in (named if allowed else {}).items()
        }
        ours = any(_belongs(name, need.key) for name in flagged)
        found.update({} if ours else chosen or before)
    found.update(flagged)
    check_auth(plan, found)
    return found, notes


def auth_given(plan: Plan, given: Mapping[str, Any]) -> dict[str, str]:
    """What was given by flag alone. Raises UsageError and CredentialError as ``check_auth`` does."""
    from ..runtime.credentials import check_auth

    flagged = flags.pairs(given["auth"], "--auth")
    check_auth(plan, flagged)
    return flagged


def _belongs(name: str, key: str) -> bool:
    return name == key or name.startswith(f"{key}.")


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def _of_environment(source: str, scheme: str) -> dict[str, str]:
    """Field to reference, of the variables that are set for a scheme."""
    from ..runtime.credentials import FIELDS

    base = f"{_PREFIX}{_slug(source)}_{_slug(scheme)}"
    names = {field: f"{base}{'_' if field else ''}{field.upper()}" for field in FIELDS}
    return {field: f"@env:{name}" for field, name in names.items() if os.environ.get(name)}


def _is_origin(source: str, server: str) -> bool:
    from ..runtime.hosts import origin_of

    try:
        return origin_of(os.environ.get(f"{_PREFIX}{_slug(source)}_ORIGIN", "")) == origin_of(server)
    except ValueError:
        return False


def need_lines(plan: Plan) -> Iterable[str]:
    """The credentials a plan needs, where they come from so far, and what is missing."""
    from ..plan.needs import credential_needs, named_auth, unusable

    for need in credential_needs(plan):
        known = [text for name, text in named_auth(plan).items() if _belongs(name, need.key)]
        if not known and all(_is_origin(need.source, server) for server in plan.servers[need.source]):
            known = list(_of_environment(need.source, need.scheme.name).values())
        state = unusable(need.scheme) or (_from(known) if known else f"missing, give --auth {need.key}=@env:NAME")
        kind = f"{need.scheme.type} {need.scheme.scheme if need.scheme.type == 'http' else ''}".strip()
        optional = "optional, " if need.optional else ""
        yield f"credential {need.key}: {kind}, {optional}for {', '.join(need.steps)}; {state}"


def _from(known: Iterable[str]) -> str:
    """Where a credential comes from, and which variables of that are not set."""
    unset = [text for text in known if text.startswith("@env:") and not os.environ.get(text.removeprefix("@env:"))]
    return f"from {', '.join(known)}" + (f"; missing, set {', '.join(one[5:] for one in unset)}" if unset else "")


def announce_auth(plan: Plan, options: Mapping[str, Any], reach: Reach) -> Iterable[str]:
    """Which credential goes to which host: said before anything is sent."""
    from urllib.parse import urlsplit

    from ..runtime.credentials import check_auth

    for key, given in check_auth(plan, options.get("auth", {})).items():
        if given.is_none:
            continue
        hosts = dict.fromkeys(urlsplit(base).netloc for base in reach.bases(plan, options, given.need.source))
        references = ", ".join(text for text in given.fields.values() if text.startswith("@"))
        yield f"credential {key} ({references}) goes to {', '.join(hosts)}"
        if given.fetches:
            home = urlsplit(reach.token_endpoint(plan, options, given)[0]).netloc
            yield f"credential {key} gets its token from {home}"


# -- before the first call ---------------------------------------------------------------------------------------------


def before(
    plan: Plan,
    prepared: Prepared,
    given: Mapping[str, Any],
    options: dict[str, Any],
    progress: Progress,
    *,
    trusted: bool,
) -> bool:
    """All that is looked at before the first call; ``options`` gain the credentials. True when it was only to be looked
    at.

    Raises CredentialError, HostError and InputError for what would go wrong, before a store is opened.
    """
    from ..runtime.http import Transport
    from ..runtime.reach import Reach

    reach = Reach(servers={}, secret_texts={}, prompt=None, transport=Transport)
    reach.pretend = bool(options["simulate"])
    notes: list[str] = []
    if not reach.pretend:
        options["auth"], notes = auth_of(plan, given, trusted=trusted, servers=options["servers"])
    if not given["as_json"] and not given["quiet"]:
        for notice in plan.notices:
            progress.line(f"note: {notice}")
    for warning in (*prepared.warnings, *notes, *_preflight(plan, prepared, strict=given["strict_bodies"])):
        progress.line(f"warning: {warning}")
    if given["dry_run"]:
        _dry_run(plan, prepared, options, reach, as_json=given["as_json"])
    return bool(given["dry_run"])


def _preflight(plan: Plan, prepared: Prepared, *, strict: bool) -> list[str]:
    """Warnings about the first request. Raises InputError where it cannot be built or, ``strict``, where its body
    does not fit."""
    from ..runtime.preflight import first_request, hopeless, lacking, misfits

    first = first_request(plan, prepared.values)
    if first is None:
        return []
    impossible = hopeless(plan, prepared.values)
    for call, why, unavoidable in impossible:
        if unavoidable:
            raise InputError(
                f"{call.step} cannot be called, and without it no run can be ready: {why}",
                code="AZM-I013",
                place=call.place,
                next="nothing was sent; give the inputs it needs, or mend the document",
            )
    found = misfits(first)
    if found and strict:
        raise InputError(
            f"the first body does not fit its schema: {'; '.join(found)}",
            code="AZM-I009",
            next="mend the payload or the inputs, or leave --strict-bodies out",
        )
    return [
        *lacking(first),
        *(f"the body of {first.call.step} does not fit its schema: {one}" for one in found),
        *(f"{call.step} cannot be called if it is reached: {why}" for call, why, _ in impossible),
    ]


def _dry_run(plan: Plan, prepared: Prepared, options: Mapping[str, Any], reach: Reach, *, as_json: bool) -> None:
    """Print every request that can be built before anything has been answered, secrets by name."""
    from ..runtime.preflight import planned
    from .printing import echo_json, say

    reach.check(plan, options)
    requests = planned(plan, prepared.values, options, reach)
    if as_json:
        echo_json({"workflow": plan.workflow, "requests": [one.to_json() for one in requests]})
        return
    for one in requests:
        for line in one.lines():
            say(line, err=False)
        say("", err=False)
