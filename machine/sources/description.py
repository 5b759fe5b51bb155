"""The Description: a document together with its sources, and the bytes both were read from.

It is what a plan is built from and what a run keeps, so that a resumed run never depends on files that may have
changed. Reading is done by a callable of the caller's; this file opens nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..document.findings import Finding
from ..document.model import Document, SourceDescription
from ..document.overlay import apply_overlay, merged_bytes, read_overlay
from ..document.positions import Tree
from ..document.read import build_document
from ..errors import DocumentError, MachineError, Place, SourceError
from .files import Files, arazzo_tree, source_tree
from .gather import Gathered, Reached, asyncapi, gather, key_of
from .model import Source
from .openapi import read_openapi

__all__ = ["Description", "describe"]

_MOST_REPEATED: Final = 50
"""Findings about keys that stand twice: whoever mends these sees the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """``trusted`` documents are shipped with this package and may say where a secret comes from."""

    document: Document
    sources: Mapping[str, Source] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    """What is to be said of reading; errors were raised."""
    texts: Mapping[str, bytes] = field(default_factory=dict)
    """Everything that was read, by the name it was read under."""
    trusted: bool = False
    granted: frozenset[tuple[str, str]] = frozenset()
    """(workflow, input) pairs about which an overlay of the operator's speaks: as good as trusted."""
    documents: Mapping[str, Description] = field(default_factory=dict, repr=False, compare=False)
    """The other Arazzo documents, by the name of the source description that points at each. Documents may point at
    each other, so following this leads round in circles."""

    def document_at(self, name: str, *, place: Place) -> Description:
        """The Arazzo document the source description ``name`` points at.

        Raises DocumentError AZM-D206 when there is none of that name, and what kept it from being read.
        """
        if name in self.documents:
            return self.documents[name]
        if name in self.sources and (problem := self.sources[name].problem) is not None:
            raise problem
        kind = "is an OpenAPI description, it has no workflows" if name in self.sources else "does not exist"
        raise DocumentError(
            f"the source description {name!r} {kind}",
            code="AZM-D206",
            place=place,
            seen=name,
            next=f"Arazzo sources here: {', '.join(self.documents) or 'none'}",
        )

    def may_name_origin(self, workflow: str, name: str) -> bool:
        """Whether what is said about an input may name a variable or file of this machine."""
        return self.trusted or (workflow, name) in self.granted


def describe(
    uri: str,
    *,
    read: Callable[[str], bytes],
    sources: Mapping[str, str] | None = None,
    overlay: str = "",
    trusted: bool = False,
    strict: bool = False,
    remote: bool = False,
    tree_of: Callable[[bytes, str], Tree] = source_tree,
) -> Description:
    """Read a document and everything it leads to.

    ``read`` is given paths, and URLs only where ``remote`` says that it fetches them; it raises OSError (or KeyError)
    for what is not there. ``sources`` maps a source's name to the path it is read from instead, ``outer.inner`` that
    of a source of another document. ``overlay`` names an OpenAPI Overlay that annotates the document; the merged
    document is what is hashed and kept. ``strict`` looks for sources only where their URLs say. ``tree_of`` parses
    sources, for those who keep parsed ones.

    Raises DocumentError with all structural problems of the document at once, UsageError for a name under ``sources``
    that does not exist. A source that cannot be found or read is raised by whoever needs it.
    """
    files = Files(read, tree_of=tree_of, remote=remote)
    granted: frozenset[tuple[str, str]] = frozenset()
    notes: tuple[Finding, ...] = ()
    if overlay:
        tree, notes = apply_overlay(arazzo_tree(read(uri), uri), read_overlay(read(overlay), uri=overlay))
        document, findings = build_document(tree)
        files.texts[uri] = merged_bytes(tree)
        granted = _granted(document, tree, overlay)
    else:
        document, findings = build_document(files.tree(uri))
    gathered = gather(document, (*notes, *findings), files=files, overrides=sources or {}, strict=strict, remote=remote)
    made: dict[str, Description] = {}
    links: dict[str, dict[str, Description]] = {}
    for number, (key, (one, told)) in enumerate(gathered.documents.items()):
        links[key] = {}
        made[key] = Description(
            document=one,
            sources=_sources(key, one, gathered, files),
            findings=(*told, *_missing(key, one, gathered), *(_repeated(gathered, files) if number == 0 else ())),
            texts=files.texts,
            trusted=trusted and (number == 0 or not _given(key, gathered)),
            granted=granted if number == 0 else frozenset(),
            documents=links[key],
        )
    for (key, name), reached in gathered.reached.items():
        if reached.problem is None and (target := key_of(reached.path)) in made:
            links[key][name] = made[target]
    return next(iter(made.values()))


def _sources(key: str, document: Document, gathered: Gathered, files: Files) -> dict[str, Source]:
    """The OpenAPI sources of one document by name, in its order; other documents are no sources of operations."""
    found: dict[str, Source] = {}
    for one in document.sources:
        reached = gathered.reached[key, one.name]
        target = key_of(reached.path)
        if reached.problem is None and target in gathered.documents:
            continue
        problem: MachineError | None = reached.problem or gathered.broken.get(target)
        if problem is None:
            try:
                found[one.name] = _openapi(one, reached, files)
                continue
            except SourceError as error:
                problem = error
        found[one.name] = Source(name=one.name, called=reached.called, uri=reached.path, problem=problem)
    return found


def _openapi(one: SourceDescription, reached: Reached, files: Files) -> Source:
    value = files.value(reached.path)
    value = value if isinstance(value, Mapping) else {}
    if "asyncapi" in value:
        raise asyncapi(one)
    digest = hashlib.sha256(files.read(reached.path)).hexdigest()
    return read_openapi(
        value,
        name=one.name,
        uri=reached.path,
        sha256=digest,
        url=reached.url,
        called=reached.called,
        beside=files.around(reached.path),
    )


def _missing(key: str, document: Document, gathered: Gathered) -> tuple[Finding, ...]:
    """A word about each source nothing is known of, for the case that nothing needs it."""
    found = []
    for one in document.sources:
        if (problem := gathered.reached[key, one.name].problem) is not None:
            found.append(
                Finding(
                    code=problem.code,
                    severity="warning",
                    message=problem.message,
                    place=one.place,
                    suggestion=problem.next,
                )
            )
    return tuple(found)


def _repeated(gathered: Gathered, files: Files) -> tuple[Finding, ...]:
    """The keys that stand twice in descriptions and what they refer to, the first ``_MOST_REPEATED``: whoever needs one
    tells that himself. Arazzo documents are read strictly, and fail of them."""
    strict = {*gathered.documents, *gathered.broken}
    found = [one for name, tree in files.trees.items() if key_of(name) not in strict for one in tree.twice]
    return tuple(
        Finding(
            code="AZM-S006",
            severity="info",
            message=f"{one}; neither of the two is used",
            place=Place(document=one.uri, line=one.again[0], column=one.again[1]),
            suggestion="remove or rename one of the two",
        )
        for one in found[:_MOST_REPEATED]
    )


def _given(key: str, gathered: Gathered) -> bool:
    """Whether the operator named the file of this document: then it is not the one it was shipped with."""
    return any(one.given and key_of(one.path) == key for one in gathered.reached.values())


def _granted(document: Document, tree: Tree, overlay: str) -> frozenset[tuple[str, str]]:
    """The inputs whose origin stands in the overlay, not in the document it was laid over; credentials too, each under
    the name ``auth KEY``."""
    found = set()
    for workflow in document.workflows:
        auth = workflow.extension.get("auth") if isinstance(workflow.extension, Mapping) else None
        for name in auth if isinstance(auth, Mapping) else ():
            escaped = str(name).replace("~", "~0").replace("/", "~1")
            if tree.place(f"{workflow.place.pointer}/x-machine/auth/{escaped}").document == overlay:
                found.add((workflow.workflow_id, f"auth {name}"))
        properties = workflow.inputs.get("properties")
        for name in properties if isinstance(properties, Mapping) else ():
            escaped = str(name).replace("~", "~0").replace("/", "~1")
            pointer = f"{workflow.place.pointer}/inputs/properties/{escaped}/x-machine/from"
            if tree.place(pointer).document == overlay:
                found.add((workflow.workflow_id, str(name)))
    return frozenset(found)
