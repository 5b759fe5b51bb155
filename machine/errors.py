"""Every error a user can meet, as one tree. This file knows no other file of the package.

::

    MachineError                    code, message, place, seen, next; an exit code per class
    ├── UsageError            64    the command line or the call is not well formed
    ├── DocumentError         65    the Arazzo document is not valid; carries every finding at once
    ├── InputError            65    an input value is missing, of the wrong type, or not allowed
    ├── IdentityError         65    the run id is taken by another document or other inputs
    │   └── EditError         65    an edited document says otherwise what a run has done already
    ├── SourceError           78    a source description cannot be found, read or understood
    ├── CredentialError       78    a secret cannot be resolved before the run exists (14 once it does)
    ├── HostError             78    a call would go to a host nobody allowed
    ├── RequestError          10    a request cannot be built from the values the run has
    ├── StoreError            74    the store cannot be read or written
    │   ├── DamageError       65    a stored row does not match its checksum
    │   ├── UnstoredError     74    an answer that cannot be had again could not be written; carries it
    │   └── VersionError      65    the store, plan or snapshot was written by a newer release
    ├── BusyError             75    another runner holds the run
    └── BugError              70    we broke one of our own rules

Who must act is said by the class: the author of the document (DocumentError), the caller (UsageError,
InputError, IdentityError), the operator (SourceError, CredentialError, StoreError, BusyError) or us (BugError).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "BugError",
    "BusyError",
    "CredentialError",
    "DamageError",
    "DocumentError",
    "EditError",
    "HostError",
    "IdentityError",
    "InputError",
    "MachineError",
    "Place",
    "RequestError",
    "SourceError",
    "StoreError",
    "UnstoredError",
    "UsageError",
    "VersionError",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a document something stands; lines and columns count from 1, 0 means unknown."""

    document: str = ""
    """The name or path of the document, as the user gave it."""
    pointer: str = ""
    """JSON Pointer (RFC 6901) into the document."""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        spot = f"{self.document}:{self.line}:{self.column}" if self.line else self.document
        return f"{spot} {self.pointer}".strip()

    def to_json(self) -> dict[str, Any]:
        return {"document": self.document, "pointer": self.pointer, "line": self.line, "column": self.column}


class MachineError(Exception):
    """The root of the tree: what is wrong, where, what was seen, and what to do next.

    ``code`` is stable across releases; ``exit_code`` is the process exit code of the command line.
    """

    exit_code: int = 70

    def __init__(self, message: str, *, code: str, place: Place | None = None, seen: str = "", next: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.place = place
        self.seen = seen
        self.next = next

    def __str__(self) -> str:
        """One line a person can act on: place, message, what was seen, what to do, code."""
        text = f"{self.place}: {self.message}" if self.place else self.message
        if self.seen:
            text += f" (seen: {self.seen})"
        return f"{text} [{self.code}]"

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "place": self.place.to_json() if self.place else None,
            "seen": self.seen,
            "next": self.next,
        }


class UsageError(MachineError):
    exit_code = 64


class DocumentError(MachineError):
    """A document that cannot be compiled. ``findings`` holds every problem found, in document order."""

    exit_code = 65

    def __init__(
        self,
        message: str,
        *,
        code: str,
        place: Place | None = None,
        seen: str = "",
        next: str = "",
        findings: tuple[Any, ...] = (),
    ) -> None:
        super().__init__(message, code=code, place=place, seen=seen, next=next)
        self.findings = findings

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "findings": [finding.to_json() for finding in self.findings]}


class InputError(MachineError):
    exit_code = 65


class IdentityError(MachineError):
    exit_code = 65


class EditError(IdentityError):
    """``contradictions`` holds everything the run did that the edited document says otherwise, ``changes`` all that the
    edited document says otherwise."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        next: str,
        contradictions: tuple[Any, ...],
        changes: tuple[Any, ...] = (),
    ) -> None:
        super().__init__(message, code=code, next=next)
        self.contradictions = contradictions
        self.changes = changes

    def to_json(self) -> dict[str, Any]:
        return {
            **super().to_json(),
            "contradictions": [one.to_json() for one in self.contradictions],
            "changes": [one.to_json() for one in self.changes],
        }


class SourceError(MachineError):
    exit_code = 78


class CredentialError(MachineError):
    exit_code = 78


class HostError(MachineError):
    exit_code = 78


class RequestError(MachineError):
    exit_code = 10


class StoreError(MachineError):
    exit_code = 74


class DamageError(StoreError):
    exit_code = 65


class UnstoredError(StoreError):
    """``answer`` is the answer as JSON, without secrets; ``beside`` the path of the store it belongs to."""

    def __init__(
        self, message: str, *, code: str, seen: str, next: str, exit_code: int, answer: Mapping[str, Any], beside: str
    ) -> None:
        super().__init__(message, code=code, seen=seen, next=next)
        self.exit_code = exit_code
        self.answer = answer
        self.beside = beside

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "answer": dict(self.answer)}


class VersionError(StoreError):
    exit_code = 65


class BusyError(MachineError):
    exit_code = 75


class BugError(MachineError):
    exit_code = 70
