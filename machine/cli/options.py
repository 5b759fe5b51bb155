"""Flags more than one verb has, and the reading of their values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import StoreError, UsageError

if TYPE_CHECKING:
    from ..library import Files
    from ..runtime.secrets import Reference
    from ..sources.description import Description
    from ..stores.sqlite import SqliteStore

__all__ = [
    "as_json",
    "bounds",
    "changes_of",
    "describe_target",
    "document",
    "doubt",
    "duration",
    "open_store",
    "pairs",
    "patience",
    "reach",
    "read_given",
    "read_hosts",
    "read_servers",
    "read_value",
    "store_flag",
    "store_option",
]

F = TypeVar("F", bound=Callable[..., Any])


def duration(text: str) -> float:
    """A duration in seconds, as a click type."""
    from ..plan.extension import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _key(text: str) -> str:
    """Where a key is: a reference, because the key itself would stand in a shell's history and be stored."""
    from ..runtime.secrets import Reference

    try:
        return Reference(text).text
    except UsageError:
        # What was typed is not shown.
        raise click.BadParameter("a reference is expected, such as @env:NAME") from None


def _timeout(text: str) -> float:
    seconds = duration(text)
    if seconds == 0:
        raise click.BadParameter("a request needs some time")
    return seconds


as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
store_option = click.option(
    "--store", type=click.Path(path_type=Path), help="The file runs are kept in [$ARAZZO_MACHINE_STORE]."
)


def document(function: F) -> F:
    """How a document is found and compiled."""
    for option in reversed(
        [
            click.option("-w", "--workflow", default="", help="Which workflow of the document."),
            click.option("--source", "sources", multiple=True, metavar="NAME=PATH", help="Read source NAME from PATH."),
            click.option(
                "--allow-source", "allow_sources", multiple=True, metavar="HOST", help="Fetch sources from this host."
            ),
            click.option(
                "--overlay", type=click.Path(path_type=Path), help="An OpenAPI Overlay that annotates the document."
            ),
            click.option("--strict", is_flag=True, help="The specification to the letter."),
            click.option(
                "--unmatched",
                type=click.Choice(["next", "end", "fail"]),
                help="What to do after a success no action speaks of.",
            ),
        ]
    ):
        function = option(function)
    return function


def reach(function: F) -> F:
    """Where calls go and what is sent."""
    for option in reversed(
        [
            click.option(
                "--server", "servers", multiple=True, metavar="[NAME=]URL", help="Call URL for source NAME, or for all."
            ),
            click.option(
                "--allow-host", "allow_hosts", multiple=True, metavar="HOST", help="Allow a loopback or private host."
            ),
            click.option(
                "--key",
                type=_key,
                metavar="@env:NAME",
                help="The key that seals credentials out of answers [a file beside the store].",
            ),
        ]
    ):
        function = option(function)
    return function


def bounds(function: F) -> F:
    """What a run is paced with and bounded by."""
    for option in reversed(
        [
            click.option("--poll-interval", type=duration, help="Poll at this pace, e.g. 10s; 0s is allowed."),
            click.option("--deadline", type=duration, help="Give up after this long, e.g. 30m [1h]."),
            click.option("--visits", type=click.IntRange(1), help="Polls of one loop [1000]."),
            click.option("--calls", type=click.IntRange(1), help="Requests of the run [10000]."),
            click.option("--transitions", type=click.IntRange(1), help="Transitions of the run [10000]."),
            click.option("--call-timeout", type=_timeout, metavar="DURATION", help="Longest time of a request [60s]."),
        ]
    ):
        function = option(function)
    return function


def doubt(function: F) -> F:
    """What is done when nobody knows whether a call was applied."""
    for option in reversed(
        [
            click.option(
                "--on-doubt",
                type=click.Choice(["hold", "probe", "reissue", "fail"]),
                help="What to do about a call nobody knows about.",
            ),
            click.option("--settle", type=duration, help="How long absence does not count after a send [2m]."),
            click.option(
                "--adopt-existing", is_flag=True, default=None, help="Adopt what was there before, where it matches."
            ),
        ]
    ):
        function = option(function)
    return function


def patience(function: F) -> F:
    """How long the command stays with the run."""
    for option in reversed(
        [
            click.option(
                "--once", is_flag=True, help="Make one call, a create with the look before it, then leave it."
            ),
            click.option("--no-wait", is_flag=True, help="Go up to the first wait, then leave it."),
        ]
    ):
        function = option(function)
    return function


_BOUNDS = ("poll_interval", "deadline", "visits", "calls", "transitions", "call_timeout")
_DOUBT = ("on_doubt", "settle", "adopt_existing")


def changes_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among a verb's values that were given."""
    return {name: values[name] for name in (*_BOUNDS, *_DOUBT) if values.get(name) is not None}


def pairs(texts: Iterable[str], flag: str) -> dict[str, str]:
    """``NAME=VALUE`` texts as a mapping; the first ``=`` divides."""
    found: dict[str, str] = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not mark or not name:
            # What was typed is not shown: a token may have slipped into the place of the name.
            raise UsageError(
                f"{flag} takes NAME=VALUE", code="AZM-U060", next=f"write {flag} NAME=VALUE, quoted where it has spaces"
            )
        found[name] = value
    return found


def read_value(name: str, text: str) -> Reference | str:
    """The value of an input as it was typed: a reference where it begins with ``@``, else the text."""
    from ..runtime.secrets import parse_reference

    try:
        return parse_reference(text)
    except UsageError as error:
        # Its own message would show the text, which may be a token with a stray @ in front.
        raise UsageError(
            f"the value of {name!r} begins with @ and is not a reference",
            code=error.code,
            next=f"{error.next}; @@ for @",
        ) from None


def read_servers(texts: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """``[NAME=]URL`` texts by source; a URL alone stands for every source."""
    known = list(names)
    found: dict[str, str] = {}
    for text in texts:
        name, mark, url = text.partition("=")
        if not (url if mark else name):
            raise UsageError("--server takes a URL", code="AZM-U061", next="write --server [NAME=]https://HOST/PATH")
        if not mark or "/" in name or ":" in name:
            found.update(dict.fromkeys(known, text))
        elif name not in known:
            raise UsageError(
                f"--server names a source {name!r} the workflow does not call",
                code="AZM-U061",
                next=f"it calls: {', '.join(known)}",
            )
        else:
            found[name] = url
    return found


def read_hosts(texts: Iterable[str]) -> list[str]:
    """Host names as they are compared: of a URL its host, in lower case, without port, brackets and a closing dot."""
    from urllib.parse import urlsplit

    found = []
    for text in texts:
        try:
            host = urlsplit(text if "//" in text else f"//{text}").hostname
        except ValueError:
            host = None
        if not host and ":" in text and "/" not in text:
            # An IPv6 address without its brackets.
            host = text
        if not host:
            raise UsageError(
                "--allow-host takes a host", code="AZM-U075", seen=text[:80], next="write --allow-host HOST"
            )
        found.append(host.rstrip(".").lower())
    return found


def describe_target(target: str, given: Mapping[str, Any], files: Files | None = None) -> Description:
    """The document a verb was given, with its sources and its overlay."""
    from ..library import load
    from .calling import reading_of

    return load(
        target,
        sources=pairs(given["sources"], "--source"),
        overlay=given["overlay"],
        strict=given["strict"],
        files=files,
        **reading_of(given),
    )


def read_given(path: Path, flag: str) -> bytes:
    """The bytes of the file a flag names. Raises UsageError for what is no regular file, too large, or not there."""
    from ..library import read_file

    try:
        return read_file(path)
    except OSError as error:
        raise UsageError(
            f"the file of {flag} cannot be read",
            code="AZM-U066",
            seen=f"{path}: {error.strerror}",
            next=f"name a file that can be read: {flag} FILE",
        ) from error


def open_store(path: Path | None, *, read_only: bool = False) -> SqliteStore:
    from ..stores.sqlite import open_store as opened

    if path is not None and path.is_dir():
        raise StoreError(
            "the store is a folder",
            code="AZM-T085",
            seen=str(path),
            next=f"name a file in it: --store {path / 'runs.db'}",
        )
    return opened(path, read_only=read_only)


def store_flag(path: Path | None) -> str:
    """What has to be added to a command so that it finds the same store."""
    import shlex

    return f" --store {shlex.quote(str(path))}" if path is not None else ""
