"""Compile rules, run one by one -> every refusal among them, reported together.

An author fixes a document in one go only when all of it was looked at, so a rule that refuses does not end the
compilation: what it said is kept as a Finding, and whoever needs the results reports before using them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from ..document.findings import Finding, raise_if_errors
from ..errors import DocumentError

__all__ = ["Problems"]

T = TypeVar("T")


class Problems:
    """What was refused so far, in the order it was found, each thing once."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def attempt(self, make: Callable[[], T]) -> T | None:
        """Run one rule; None when it refused. Anything but a DocumentError that names its place is raised."""
        try:
            return make()
        except DocumentError as error:
            self.keep(error)
            return None

    def each(self, makes: Iterable[Callable[[], T]]) -> tuple[T, ...]:
        """Run rules of one kind and give back what they made; those that refused are left out."""
        made = [self.attempt(make) for make in makes]
        return tuple(one for one in made if one is not None)

    def keep(self, error: DocumentError) -> None:
        """Remember a refusal. What a workflow shares among its steps is refused by each of them and told once."""
        self.add(error.findings or self._finding(error))

    def add(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            if finding not in self.findings:
                self.findings.append(finding)

    def report(self) -> None:
        """Raise one DocumentError for everything that was refused, if anything was."""
        raise_if_errors(self.findings)

    @staticmethod
    def _finding(error: DocumentError) -> tuple[Finding, ...]:
        if error.place is None:
            raise error
        seen = f" (seen: {error.seen})" if error.seen else ""
        return (
            Finding(
                code=error.code,
                severity="error",
                message=error.message + seen,
                place=error.place,
                suggestion=error.next,
            ),
        )
