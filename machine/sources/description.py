"""The Description: a document together with its sources, and the bytes both were read from.

It is what a plan is built from and what a run keeps, so that a resumed run never depends on files that may have
changed. Reading is done by a callable of the caller's; this file opens nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..document.findings import Finding
from ..document.load import parse
from ..document.model import Document
from ..document.overlay import apply_overlay, merged_bytes, read_overlay
from ..document.positions import Tree
from ..document.read import build_document, load_document
from .model import Source
from .resolve import load_sources

__all__ = ["Description", "describe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """``trusted`` documents are shipped with this package and may say where a secret comes from."""

    document: Document
    sources: Mapping[str, Source] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    """Warnings of reading; errors were raised."""
    texts: Mapping[str, bytes] = field(default_factory=dict)
    """Everything that was read, by the name it was read under."""
    trusted: bool = False
    granted: frozenset[tuple[str, str]] = frozenset()
    """(workflow, input) pairs about which an overlay of the operator's speaks: as good as trusted."""
    documents: Mapping[str, Description] = field(default_factory=dict, repr=False, compare=False)
    """The other Arazzo documents, by the name of the source description that points at each. Documents may point at
    each other, so following this leads round in circles."""

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
) -> Description:
    """Read a document and every source it names.

    ``sources`` maps a source's name to the path it is read from instead. ``overlay`` names an OpenAPI Overlay that
    annotates the document; the merged document is what is hashed and kept. Raises DocumentError with all structural
    problems at once, SourceError for a source that cannot be read.
    """
    texts: dict[str, bytes] = {}

    def remember(name: str) -> bytes:
        texts[name] = read(name)
        return texts[name]

    if not overlay:
        document, findings = load_document(remember(uri), uri=uri)
        found = load_sources(document, read=remember, overrides=sources or {})
        return Description(document=document, sources=found, findings=findings, texts=texts, trusted=trusted)
    tree, notes = apply_overlay(parse(read(uri), uri=uri), read_overlay(read(overlay), uri=overlay))
    document, findings = build_document(tree)
    texts[uri] = merged_bytes(tree)
    found = load_sources(document, read=remember, overrides=sources or {})
    return Description(
        document=document,
        sources=found,
        findings=(*notes, *findings),
        texts=texts,
        trusted=trusted,
        granted=_granted(document, tree, overlay),
    )


def _granted(document: Document, tree: Tree, overlay: str) -> frozenset[tuple[str, str]]:
    """The inputs whose origin stands in the overlay, not in the document it was laid over."""
    found = set()
    for workflow in document.workflows:
        properties = workflow.inputs.get("properties")
        for name in properties if isinstance(properties, Mapping) else ():
            escaped = str(name).replace("~", "~0").replace("/", "~1")
            pointer = f"{workflow.place.pointer}/inputs/properties/{escaped}/x-machine/from"
            if tree.place(pointer).document == overlay:
                found.add((workflow.workflow_id, str(name)))
    return frozenset(found)
