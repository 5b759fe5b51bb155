"""A source description at a URL -> its bytes, from hosts the operator named and from nowhere else.

https only but for this machine; no more than one document may be large; a redirect is followed on the same origin only.
A name that leads to an address inside is refused at the socket, before anything is sent, so that neither a name chosen
for that nor one that changes its meaning in between can reach one.
"""

from __future__ import annotations

import errno
from collections.abc import Collection
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from ..document.load import MAX_BYTES
from .hosts import is_loopback, is_public, origin_of
from .http import MOVED, TooLarge, read_body
from .wire import QUIET, Wire, as_it_is, open_session

__all__ = ["Fetcher"]

_RATIO: Final = 200
_REDIRECTS: Final = 5
_CONNECT: Final = 10.0


class Fetcher:
    """``hosts`` are names as the operator gave them, in lower case. ``transport`` takes proxies and certificates."""

    def __init__(
        self,
        hosts: Collection[str],
        *,
        timeout: float = 60.0,
        largest: int = MAX_BYTES,
        proxy: str = "",
        ca_bundle: str = "",
    ) -> None:
        self._hosts = frozenset(hosts)
        self._timeout = timeout
        self._largest = largest
        self._proxies = dict.fromkeys(("http", "https"), proxy) if proxy else {}
        self._verify: bool | str = ca_bundle or True

    def read(self, url: str) -> bytes:
        """Raises OSError, with a sentence, for whatever keeps it from being read."""
        self._check(url)
        wire = Wire(peer_is_allowed=self._peer_is_allowed)
        wire.begin(self._timeout)
        quiet = QUIET.set(True)
        try:
            with open_session(wire) as session:
                here = url
                for _ in range(_REDIRECTS + 1):
                    response = session.send(
                        requests.Request("GET", here, headers=_HEADERS, auth=as_it_is).prepare(),
                        stream=True,
                        allow_redirects=False,
                        timeout=(_CONNECT, self._timeout),
                        verify=self._verify,
                        proxies={} if is_loopback(here) else self._proxies,
                    )
                    body = read_body(response, self._largest, _RATIO)
                    if response.status_code not in MOVED:
                        return _good(response, body)
                    there = urljoin(here, response.headers.get("Location", ""))
                    if origin_of(there) != origin_of(here):
                        raise _refused("it redirects to another host")
                    here = there
                raise _refused("it redirects too often")
        except TooLarge as error:
            raise _refused(str(error)) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            reason = "its address is not a public one" if wire.refused_peer else type(error).__name__
            raise OSError(errno.EIO, f"it cannot be fetched: {reason}", url) from None
        finally:
            QUIET.reset(quiet)

    def _check(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").rstrip(".").lower()
            origin_of(url)
        except ValueError:
            raise _refused("it is not a URL") from None
        if "@" in parts.netloc:
            raise _refused("its URL holds a name or password")
        if parts.scheme != "https" and not is_loopback(url):
            raise _refused("only https is fetched")
        if host not in self._hosts:
            raise _refused(f"remote sources are not fetched unless their host is allowed: --allow-source {host}")

    def _peer_is_allowed(self, address: str, host: str) -> bool:
        """Public addresses; others only where the operator wrote the address itself, or this machine's name."""
        if self._proxies:
            return True
        inside = is_loopback(f"http://{f'[{address}]' if ':' in address else address}")
        named = is_loopback(f"http://{f'[{host}]' if ':' in host else host}")
        return is_public(address) or host == address or (inside and named)


_HEADERS: Final = {"User-Agent": "arazzo-machine", "Accept": "application/json, application/yaml;q=0.9, */*;q=0.5"}


def _good(response: requests.Response, body: bytes) -> bytes:
    if response.status_code != 200:
        raise OSError(errno.EIO, f"the server answered {response.status_code}", response.url)
    return body


def _refused(why: str) -> OSError:
    return OSError(errno.EACCES, why)
