"""A Document -> every document and source it leads to, each read once.

Everything is read and parsed before any reference is resolved (1.1, "Parsing Documents"): a source is what its URL is
the identity of (``$self``), wherever that was read from, else what lies where the URL points. What cannot be found or
read is remembered with its reason and matters only to whoever needs it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ..document.findings import Finding
from ..document.model import Document, SourceDescription
from ..document.read import build_document
from ..errors import DocumentError, MachineError, SourceError, UsageError
from .files import Files
from .resolve import candidates, identity, is_remote, locate

__all__ = ["C7", "MAX_DOCUMENTS", "Gathered", "Reached", "asyncapi", "gather", "key_of"]

C7: Final = "C7"
"""The tolerance: a source is read from where it was found, not from where its URL says."""
MAX_DOCUMENTS: Final = 64
"""Arazzo documents that may belong together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Where one source description of one document leads: a path, or the reason why nowhere."""

    path: str = ""
    url: str = ""
    """The URL it is known by, absolute where it can be said."""
    called: str = ""
    """What ``--source`` calls it: its name, behind the names that lead to its document."""
    given: bool = False
    """Whether the operator named the file."""
    problem: MachineError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Documents by the path they were read from; the first is the one everything began with."""

    documents: Mapping[str, tuple[Document, tuple[Finding, ...]]]
    reached: Mapping[tuple[str, str], Reached]
    """By path of the document and name of the source description."""
    broken: Mapping[str, DocumentError]
    """Arazzo documents that have errors of their own, by path."""


def gather(
    document: Document,
    findings: tuple[Finding, ...],
    *,
    files: Files,
    overrides: Mapping[str, str],
    strict: bool = False,
    remote: bool = False,
) -> Gathered:
    """Read everything the document leads to.

    ``overrides`` maps the name of a source to the path it is read from; ``outer.inner`` names a source of the document
    that the source ``outer`` is. ``strict`` looks only where the URL says. ``remote`` says whether ``files`` can read
    URLs. Raises UsageError AZM-U201 for an override of a name that does not exist, and nothing else.
    """
    return _Gatherer(files, overrides, strict=strict, remote=remote).gather(document, findings)


class _Gatherer:
    """Holds what is known while one family of documents is read."""

    def __init__(self, files: Files, overrides: Mapping[str, str], *, strict: bool, remote: bool) -> None:
        self.files = files
        self.overrides = overrides
        self.strict = strict
        self.remote = remote
        self.documents: dict[str, tuple[Document, tuple[Finding, ...]]] = {}
        self.broken: dict[str, DocumentError] = {}
        self.reached: dict[tuple[str, str], Reached] = {}
        self.notes: dict[str, list[Finding]] = {}
        self.known: dict[str, str] = {}
        """URL a document or description is known by, to the path it was read from."""

    def gather(self, entry: Document, findings: tuple[Finding, ...]) -> Gathered:
        start = key_of(entry.uri)
        self.documents[start] = (entry, findings)
        waiting = [(start, "")]
        used = set[str]()
        while waiting:
            path, prefix = waiting.pop(0)
            for source in self.documents[path][0].sources:
                name = prefix + source.name
                used.add(name)
                found = replace(self.find(path, source, name), called=name)
                self.reached[path, source.name] = found
                if self.is_new_document(source, found) and self.read(found.path):
                    waiting.append((key_of(found.path), f"{name}."))
        self.check_overrides(used)
        self.identify()
        documents = {
            path: (document, (*told, *self.notes.get(path, ()))) for path, (document, told) in self.documents.items()
        }
        return Gathered(documents=documents, reached=self.reached, broken=self.broken)

    def check_overrides(self, used: set[str]) -> None:
        for name in self.overrides:
            if name not in used:
                raise UsageError(
                    f"--source {name}: the document has no source description of that name",
                    code="AZM-U201",
                    seen=name,
                    next=f"its source descriptions are: {', '.join(sorted(used)) or 'none'}",
                )

    # -- one source ------------------------------------------------------------------------------------------------

    def find(self, path: str, source: SourceDescription, name: str) -> Reached:
        """Where a source is read from, by its location; identity is looked at when everything was read. ``name`` is
        what overrides call it."""
        given = self.overrides.get(name, "")
        document = self.documents[path][0]
        url = identity(source.url, base=base_of(document))
        if given:
            # What has no URL of its own is known by the one it is read from.
            url = given if is_remote(given) and not is_remote(url) else url
            reached = self.attempt(source, name, given, url)
            return Reached(path=reached.path, url=url, given=True, problem=reached.problem)
        if source.type == "asyncapi":
            return Reached(url=url, problem=asyncapi(source))
        first: MachineError | None = None
        for number, place in enumerate(self.places(document, source, url)):
            if isinstance(place, SourceError):
                first = first or place
                continue
            reached = self.attempt(source, name, place, url)
            if reached.problem is None or reached.problem.code != "AZM-S001":
                if number and reached.problem is None:
                    self.note(path, source, name, place)
                return reached
            first = first or reached.problem
        return Reached(url=url, problem=first)

    def places(self, document: Document, source: SourceDescription, url: str) -> Iterator[str | SourceError]:
        """The paths a source may be read from, the specification's first; or why there is none of that kind."""
        if self.remote and is_remote(url):
            yield url
        else:
            try:
                yield locate(source.url, base=base_of(document), place=source.place)
            except SourceError as error:
                yield error
        if not self.strict and not is_remote(document.uri):
            yield from candidates(source.url, beside=document.uri.removeprefix("file://"))

    def attempt(self, source: SourceDescription, name: str, path: str, url: str) -> Reached:
        try:
            self.files.value(path)
        except OSError as error:
            problem = SourceError(
                f"the source description {source.name!r} cannot be read: {error.strerror or 'there is none'}",
                code="AZM-S001",
                place=source.place,
                seen=path,
                next=f"give the file with --source {name}=PATH",
            )
            return Reached(url=url, problem=problem)
        except DocumentError as error:
            problem = SourceError(
                f"the source description {source.name!r} is neither JSON nor YAML that can be read: {error}",
                code="AZM-S008",
                place=source.place,
                seen=path,
                next=f"mend the file, or give another with --source {name}=PATH",
            )
            return Reached(url=url, problem=problem)
        return Reached(path=path, url=url)

    def note(self, path: str, source: SourceDescription, name: str, place: str) -> None:
        message = f"{source.url[:200]} is not where source {source.name!r} was found: {place} is read instead"
        self.notes.setdefault(path, []).append(
            Finding(
                code=C7,
                severity="warning",
                message=message,
                place=source.place,
                suggestion=f"write its path, or give it with --source {name}={place}",
            )
        )

    # -- other documents -------------------------------------------------------------------------------------------

    def is_new_document(self, source: SourceDescription, found: Reached) -> bool:
        key = key_of(found.path)
        if found.problem or not found.path or key in self.documents or key in self.broken:
            return False
        value = self.files.value(found.path)
        return source.type == "arazzo" or (not source.type and isinstance(value, Mapping) and "arazzo" in value)

    def read(self, path: str) -> bool:
        """Read another Arazzo document whole; its errors are kept for whoever needs it."""
        try:
            if len(self.documents) >= MAX_DOCUMENTS:
                raise DocumentError(f"more than {MAX_DOCUMENTS} Arazzo documents belong together", code="AZM-D121")
            self.documents[key_of(path)] = build_document(self.files.tree(path))
        except DocumentError as error:
            self.broken[key_of(path)] = error
            return False
        return True

    # -- identity --------------------------------------------------------------------------------------------------

    def identify(self) -> None:
        """Let every source lead to what its URL is the identity of, once everything is known ("URI References")."""
        for document, _ in self.documents.values():
            if document.self_uri:
                self.known.setdefault(base_of(document), document.uri)
        for found in self.reached.values():
            if found.problem is None and (own := own_url(self.files.value(found.path), found.path)):
                self.known.setdefault(own, found.path)
            if found.given and found.problem is None and is_remote(found.url):
                self.known.setdefault(found.url, found.path)
        for key, found in self.reached.items():
            path = self.known.get(found.url, "")
            if path and path != found.path and not found.given:
                self.reached[key] = Reached(path=path, url=found.url, called=found.called)


def key_of(path: str) -> str:
    """A path as documents are compared by it."""
    return path if is_remote(path) or not path else posixpath.normpath(path)


def base_of(document: Document) -> str:
    """What the relative references of a document are relative to: its ``$self``, seen from where it was read."""
    return identity(document.self_uri, base=document.uri) or document.uri if document.self_uri else document.uri


def own_url(value: Any, path: str) -> str:
    """The absolute ``$self`` of an OpenAPI description (3.2), if it has one."""
    own = value.get("$self") if isinstance(value, Mapping) else None
    return identity(own, base=path) if isinstance(own, str) and is_remote(own) else ""


def asyncapi(source: SourceDescription) -> SourceError:
    return SourceError(
        f"the source description {source.name!r} is an AsyncAPI description; messages are not supported",
        code="AZM-S005",
        place=source.place,
        seen=source.url,
        next="only steps that call HTTP operations can be run",
    )
