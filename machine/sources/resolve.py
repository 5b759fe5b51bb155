"""A Document's source descriptions -> Sources, with the reading itself done by the caller.

``locate`` turns a source URL into a path; ``load_sources`` reads, parses and reads out each one. Nothing here opens a
file or a connection: ``read`` is given, and only ever receives paths of the local file system. An error of reading or
parsing is said of the source description that named the file, because that is the line a person can change.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from urllib.parse import unquote, urlsplit

from ..document.load import parse
from ..document.model import Document, SourceDescription
from ..errors import DocumentError, Place, SourceError, UsageError
from .model import Source
from .openapi import read_openapi

__all__ = ["load_sources", "locate"]


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
            next="download the description, look at it, and give the file with --source NAME=PATH",
        )
    path = unquote(parts.path)
    if scheme not in {"", "file"} or not path or "\0" in path:
        raise _unlocated(url, place)
    start = unquote(origin.path) if origin is not None else base
    return posixpath.normpath(posixpath.join(posixpath.dirname(start), path))


def load_sources(
    document: Document, *, read: Callable[[str], bytes], overrides: Mapping[str, str]
) -> Mapping[str, Source]:
    """Every OpenAPI source of the document by its name, in document order.

    ``overrides`` (source name -> path) replaces the URL of a source; the path is passed to ``read`` as it is. A
    source of type arazzo is left out, and using it is refused where it is used. A source without a type is what its
    text says it is.

    Raises UsageError AZM-U201 for an override of a name the document does not have, and SourceError: AZM-S001 (it
    cannot be read), AZM-S005 (AsyncAPI), AZM-S008 (it is not JSON or YAML), and those of :func:`locate` and
    :func:`read_openapi`.
    """
    names = [one.name for one in document.sources]
    for name in overrides:
        if name not in names:
            raise UsageError(
                f"--source {name}: the document has no source description of that name",
                code="AZM-U201",
                seen=name,
                next=f"its source descriptions are: {', '.join(names) or 'none'}",
            )
    sources: dict[str, Source] = {}
    for description in document.sources:
        if description.type == "asyncapi":
            raise _asyncapi(description)
        if description.type != "arazzo" and (source := _load(description, document, read, overrides)) is not None:
            sources[description.name] = source
    return sources


def _load(
    description: SourceDescription, document: Document, read: Callable[[str], bytes], overrides: Mapping[str, str]
) -> Source | None:
    name, place = description.name, description.place
    path = overrides[name] if name in overrides else locate(description.url, base=document.uri, place=place)
    try:
        data = read(path)
    except OSError as error:
        raise SourceError(
            f"the source description {name!r} cannot be read: {error.strerror or type(error).__name__}",
            code="AZM-S001",
            place=place,
            seen=path,
            next=f"give the file with --source {name}=PATH",
        ) from error
    try:
        tree = parse(data, uri=path, positions=False)
    except DocumentError as error:
        raise SourceError(
            f"the source description {name!r} is neither JSON nor YAML that can be read: {error}",
            code="AZM-S008",
            place=place,
            seen=path,
            next=f"mend the file, or give another with --source {name}=PATH",
        ) from error
    value = tree.value if isinstance(tree.value, Mapping) else {}
    if not description.type and "arazzo" in value:
        return None
    if "asyncapi" in value:
        raise _asyncapi(description)
    return read_openapi(value, name=name, uri=path, sha256=tree.sha256)


def _asyncapi(description: SourceDescription) -> SourceError:
    return SourceError(
        f"the source description {description.name!r} is an AsyncAPI description; messages are not supported",
        code="AZM-S005",
        place=description.place,
        seen=description.url,
        next="only steps that call HTTP operations can be run",
    )


def _unlocated(url: str, place: Place | None) -> SourceError:
    return SourceError(
        "this source URL does not name a file",
        code="AZM-S007",
        place=place,
        seen=url[:200],
        next="write a path relative to the document, or give the file with --source NAME=PATH",
    )
