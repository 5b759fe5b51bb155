"""What a run is bounded by and paced with: chosen when it starts, frozen in it, changed only by a journalled event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ..errors import UsageError
from ..plan.effect import DoubtPolicy

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every limit has a default here and a flag of the same name. Times in seconds; None leaves the plan's word."""

    deadline: float | None = None
    """From the start of the run, or from the moment it was given anew."""
    poll_interval: float | None = None
    """A fixed pace for every polling loop: no growth, jitter 10 %."""
    visits: int | None = None
    calls: int | None = None
    transitions: int | None = None
    call_timeout: float = 60.0
    """From the first byte sent to the last byte read."""

    on_doubt: DoubtPolicy | None = None
    """What is done about doubt, for every unsafe call of the run."""
    settle: float | None = None
    """How long after the intent absence begins to count."""
    adopt_existing: bool = False
    """Whether a thing that was there before the first send may be adopted when it matches."""

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """These settings with some replaced. Raises UsageError for a name that is none."""
        known = {one.name for one in fields(self)}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise UsageError(
                f"there is no setting {unknown[0]!r}",
                code="AZM-U010",
                next=f"known settings: {', '.join(sorted(known))}",
            )
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}
