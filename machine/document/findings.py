"""Findings: what is wrong or odd about a document, one value each, so that an author sees all of it at once.

Pure values; whoever finds something makes one, and ``raise_if_errors`` turns the errors among them into an exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

from ..errors import DocumentError, Place
from ..values import Json

__all__ = ["Finding", "Severity", "raise_if_errors", "strictly"]

Severity = Literal["error", "warning", "info"]


_TOLERATED: Final = re.compile(r"C[0-9]+|AZM-D118")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to say about a document. An ``error`` of reading or compiling keeps it from running; one that is found
    in what compiles says that a step of it can only fail."""

    code: str
    """Stable across releases, ``AZM-D1xx`` for the structure."""
    severity: Severity
    message: str
    place: Place
    suggestion: str = ""
    """What to do about it, in one sentence; may be empty."""
    fix: str = ""
    """YAML to put there, ready but for a look at it; never put there by us. May have several lines."""

    def __str__(self) -> str:
        """One line in the form editors and CI understand: ``path:line:column: error AZM-D101 message``."""
        text = (
            f"{self.place.document}:{self.place.line}:{self.place.column}: {self.severity} {self.code} {self.message}"
        )
        return f"{text}; {self.suggestion}" if self.suggestion else text

    def to_json(self) -> dict[str, Json]:
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "place": self.place.to_json(),
            "suggestion": self.suggestion,
            "fix": self.fix,
        }


def strictly(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings as a strict reading has them: what was tolerated is an error."""
    allow = "leave out --strict to allow it"
    return tuple(
        replace(one, severity="error", suggestion=one.suggestion or allow) if _TOLERATED.fullmatch(one.code) else one
        for one in findings
    )


def raise_if_errors(findings: Iterable[Finding]) -> None:
    """Raise one DocumentError for all errors among the findings, in their order; it carries the warnings as well.

    Its code, place and advice are those of the first error.
    """
    told = tuple(finding for finding in findings if finding.severity != "info")
    errors = [finding for finding in told if finding.severity == "error"]
    if not errors:
        return
    first = errors[0]
    message = first.message if len(errors) == 1 else f"{len(errors)} errors, the first: {first.message}"
    raise DocumentError(message, code=first.code, place=first.place, next=first.suggestion, findings=told)
