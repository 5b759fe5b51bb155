"""The Description: a document together with its sources, and the bytes both were read from.

It is what a plan is built from and what a run keeps, so that a resumed run never depends on files that may have
changed. Reading is done by a callable of the caller's; this file opens nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..document.findings import Finding
from ..document.model import Document
from ..document.read import load_document
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


def describe(
    uri: str,
    *,
    read: Callable[[str], bytes],
    sources: Mapping[str, str] | None = None,
    trusted: bool = False,
) -> Description:
    """Read a document and every source it names.

    ``sources`` maps a source's name to the path it is read from instead. Raises DocumentError with all structural
    problems at once, SourceError for a source that cannot be read.
    """
    texts: dict[str, bytes] = {}

    def remember(name: str) -> bytes:
        texts[name] = read(name)
        return texts[name]

    document, findings = load_document(remember(uri), uri=uri)
    found = load_sources(document, read=remember, overrides=sources or {})
    return Description(document=document, sources=found, findings=findings, texts=texts, trusted=trusted)
