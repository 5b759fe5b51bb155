"""Where calls may go: the base URL of each request, and which hosts nobody has to name first.

Public hosts are those the plan shows. Loopback, private, link-local and metadata addresses are reached only when the
operator names them, because a document from elsewhere could otherwise aim a call inside.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from urllib.parse import urlsplit

from ..errors import HostError

__all__ = ["Bases", "base_url", "check_secrecy", "is_loopback", "is_public", "origin_of"]

_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052 section 2.1: behind it a translator finds the IPv4 address of the last 32 bits."""
_URL = re.compile(r"[!$%&'()*+,\-./0-9:;=@A-Z\[\]_a-z~]+")
"""RFC 3986 without query and fragment (Server Object: a URL that paths are appended to). Of anything else, such as a
backslash or a line end, one reader of URLs makes another host than the next."""

_PATH = re.compile(r"/(?!/)[!$&'()*+,\-./0-9:;=@A-Z_a-z~]{0,200}")
_VARIABLE = re.compile(r"\{([^{}]{1,100})\}")


def base_url(source: str, described: str, named: Mapping[str, str], allowed: Collection[str]) -> str:
    """The base URL of an operation of a source, without a trailing slash.

    ``described`` is the server its description gives it; ``named``, by source, comes from the operator and stands for
    every server of the source; ``allowed`` lists extra hosts. Raises HostError AZM-C030 for a URL that is not absolute
    http(s), AZM-C031 for an inward host nobody named, AZM-C033 for a URL with a name or password in it.
    """
    chosen = named.get(source)
    url = chosen or described
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").lower()
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        parts, host = urlsplit(""), ""
    if "@" in parts.netloc:
        raise HostError(
            f"source {source!r} has a name or password in its server URL",
            code="AZM-C033",
            seen=host,
            next="give the credential as a secret input",
        )
    if parts.scheme not in ("http", "https") or not host or not _URL.fullmatch(url):
        message = f"source {source!r} does not say which server to call"
        if chosen:
            message = f"what is named for source {source!r} is not the URL of a server"
        raise HostError(message, code="AZM-C030", seen=url[:200], next=_how_to_name(source, described))
    if not chosen and host not in allowed and _is_inward(host):
        raise HostError(
            f"source {source!r} would call {host}, which is not a public host",
            code="AZM-C031",
            seen=url[:200],
            next=f"name it: --server {source}={url} or --allow-host {host}",
        )
    return url.rstrip("/")


def _how_to_name(source: str, described: str) -> str:
    """The option that says what a description leaves open, with what it does not."""
    variables = _VARIABLE.findall(described)
    if variables:
        return f"name it, with values for {', '.join(variables)}: --server {source}={described[:200]}"
    # What is named stands for the whole URL, the path of a relative one too.
    path = described if _PATH.fullmatch(described) else "/PATH"
    return f"name it: --server {source}=https://HOST{path}"


class Bases:
    """The base URL of every request of a run, by its source and the server its description gives it. ``inward`` tells
    of which the operator named the host, so that it may be anywhere; the others have to be at public addresses,
    whatever their names are."""

    def __init__(self, find: Callable[[str, str], str], inward: Callable[[str, str], bool]) -> None:
        self._find = find
        self.inward = inward

    def __call__(self, source: str, server: str) -> str:
        return self._find(source, server)


def is_public(address: str) -> bool:
    """Whether an IP address, as a socket names it, is one of the open Internet."""
    found = _address(address)
    return found is not None and _is_global(found)


def check_secrecy(base: str, step: str) -> None:
    """Refuse to send a secret where others could read it: HostError AZM-C032 for plain http to another machine."""
    if urlsplit(base).scheme != "https" and not is_loopback(base):
        raise HostError(
            f"{step} would send a secret over plain http", code="AZM-C032", seen=base, next="use an https server"
        )


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL (RFC 6454), the port always named. Raises ValueError where it has none."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    if not host or port is None:
        raise ValueError("no origin")
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine, so that plain http gives nothing away."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _is_inward(host: str) -> bool:
    if host.endswith((".localhost", ".local", ".internal")):
        return True
    address = _address(host)
    if address is None:
        # A name of this network, such as localhost, has no dot. A dotless or all-digit spelling (2130706433, 0x7f.1) is
        # an address to a resolver though not to us.
        return "." not in host or (host.replace(".", "").isalnum() and host[-1].isdigit())
    return not _is_global(address)


def _is_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether the address, and an IPv4 address it is translated or tunnelled to, are of the open Internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_global
    inside = [address.sixtofour, *(address.teredo or ())]
    if address in _TRANSLATED:
        inside.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address.is_global and all(one is None or one.is_global for one in inside)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
