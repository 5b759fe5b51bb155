"""A source's URL -> the files it can mean, nearest reading first. Pure text: nothing is looked at here.

``locate`` is what the specification says; ``candidates`` adds where such files are found in practice, because most
published documents are read from another place than the one they were written for (tolerance C7).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

from ..errors import Place, SourceError

__all__ = ["beside", "candidates", "identity", "is_remote", "locate"]

_MAX_LEVELS: Final = 8
"""How many folders above the document are looked into, and how many trailing parts of a URL are tried."""


def is_remote(url: str) -> bool:
    return url.lower().startswith(("http:", "https:"))


def beside(here: str, reference: str) -> str:
    """The path or URL of the file that a reference in the file ``here`` leads to (RFC 3986, 5.2), without its fragment;
    empty where it can be no file that is read: one that a URL leads to on this machine, or of another kind."""
    name = reference.partition("#")[0]
    try:
        joined = urljoin(here, name) if is_remote(here) else name
        if is_remote(joined):
            return joined
        scheme = urlsplit(name).scheme
    except ValueError:
        return ""
    text = unquote(name)
    if is_remote(here) or scheme or not text or "\0" in text or ":" in text or text.startswith("//"):
        return ""
    return posixpath.normpath(posixpath.join(posixpath.dirname(here), text))


def identity(url: str, *, base: str) -> str:
    """The URL a reference stands for, seen from ``base`` (RFC 3986, 5.2), without its fragment: what a document is
    known by. Empty for what is no URL reference at all."""
    try:
        joined = urljoin(base, url) if is_remote(base) or urlsplit(url).scheme else locate(url, base=base)
    except (ValueError, SourceError):
        return ""
    return joined.partition("#")[0]


def locate(url: str, *, base: str, place: Place | None = None) -> str:
    """The path a source URL means, seen from the document at ``base`` (a path, or a ``file:`` or ``http:`` URL).

    A URL reference is resolved as RFC 3986 section 5.2 says, dot segments are removed and escapes decoded, so the
    result is a plain POSIX path, absolute only where the URL or the base is. Fragment and query are dropped: the
    source is the whole file. Raises SourceError AZM-S002 for a remote URL, AZM-S007 for one that names no file.
    """
    try:
        parts = urlsplit(url)
        origin = urlsplit(base) if base.startswith(("file:", "http:", "https:")) else None
    except ValueError:
        raise _unlocated(url, place) from None
    scheme, host = parts.scheme, parts.netloc
    if not scheme and not host and origin is not None:
        scheme, host = origin.scheme, origin.netloc
    if scheme in {"http", "https"} or (host and host != "localhost"):
        raise SourceError(
            "remote sources are not fetched; use --source NAME=PATH",
            code="AZM-S002",
            place=place,
            seen=url,
            next="download the description, look at it, and give the file with --source NAME=PATH; "
            f"or let it be fetched: --allow-source {host}",
        )
    path = unquote(parts.path)
    if scheme not in {"", "file"} or not path or "\0" in path:
        raise _unlocated(url, place)
    start = unquote(origin.path) if origin is not None else base
    return posixpath.normpath(posixpath.join(posixpath.dirname(start), path))


def candidates(url: str, *, beside: str) -> Iterator[str]:
    """Where else the file of a source URL may lie, seen from the path of its document (tolerance C7).

    The path of the URL is looked for from the document's folder and from each one above it, because many documents
    write it from the root of their repository; a remote URL, and one that is absolute on another machine, by its
    trailing parts, and by its name alone only beside the document.
    """
    try:
        parts = [part for part in unquote(urlsplit(url).path).split("/") if part not in ("", ".", "..")]
    except ValueError:
        return
    if not parts or any("\0" in part for part in parts):
        return
    folder = posixpath.dirname(beside)
    whole = not is_remote(url) and not url.startswith("/")
    tails = [parts] if whole else [parts[number:] for number in range(max(0, len(parts) - _MAX_LEVELS), len(parts))]
    seen = set()
    for level in range(_MAX_LEVELS + 1):
        here = posixpath.normpath(posixpath.join(folder, *[".."] * level))
        for tail in tails:
            path = posixpath.normpath(posixpath.join(here, *tail))
            if (len(tail) > 1 or level == 0 or whole) and path not in seen:
                seen.add(path)
                yield path
    if (path := posixpath.normpath(posixpath.join(folder, parts[-1]))) not in seen:
        yield path


def _unlocated(url: str, place: Place | None) -> SourceError:
    return SourceError(
        "this source URL does not name a file",
        code="AZM-S007",
        place=place,
        seen=url[:200],
        next="write a path relative to the document, or give the file with --source NAME=PATH",
    )
