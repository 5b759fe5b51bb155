"""``x-machine.effect``: what an unsafe call does to the other side, and what to do when its fate is unknown.

Made from the extension object of a step; stored with the plan. Nothing here decides anything: ``plan/build.py`` turns
a policy into transitions, ``chart/`` judges the answers of a probe by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..expressions import stored as templates
from ..expressions.criteria import CompiledCriterion
from ..expressions.template import Template
from ..sources.model import Operation

__all__ = ["DoubtPolicy", "EffectPolicy", "KeyPolicy", "ProbePlan"]

DoubtPolicy = Literal["hold", "probe", "reissue", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPolicy:
    """Where the idempotency key stands, and for how many seconds the server honours it."""

    name: str = "Idempotency-Key"
    window: float = 86_400.0

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "window": self.window}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePlan:
    """A safe call that tells whether the unsafe one was applied."""

    operation: Operation
    parameters: tuple[tuple[str, str, Template], ...] = ()
    found: tuple[CompiledCriterion, ...] = ()
    """All hold: the thing is there. Empty: any 2xx."""
    absent: tuple[CompiledCriterion, ...] = ()
    """All hold: the thing is not there. Empty: 404."""
    match: Mapping[str, Template] = field(default_factory=dict)
    """JSON Pointer into the probe's reply to the value that was sent: only what matches is ours."""

    def to_json(self) -> dict[str, Any]:
        return {
            "operation": self.operation.to_json(),
            "parameters": [[name, where, templates.to_json(value)] for name, where, value in self.parameters],
            "found": [one.to_json() for one in self.found],
            "absent": [one.to_json() for one in self.absent],
            "match": {pointer: templates.to_json(value) for pointer, value in self.match.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ProbePlan:
        return cls(
            operation=Operation.from_json(data["operation"]),
            parameters=tuple((name, where, templates.from_json(value)) for name, where, value in data["parameters"]),
            found=tuple(CompiledCriterion.from_json(one) for one in data["found"]),
            absent=tuple(CompiledCriterion.from_json(one) for one in data["absent"]),
            match={pointer: templates.from_json(value) for pointer, value in data["match"].items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectPolicy:
    """What is done about doubt. ``settle``: how long after the intent, in seconds, absence begins to count, because a
    request may be applied late."""

    on_doubt: DoubtPolicy = "hold"
    probe: ProbePlan | None = None
    settle: float = 120.0
    key: KeyPolicy | None = None
    on_conflict: Literal["fail", "adopt"] = "fail"
    """A 409 on a first attempt is somebody else's thing, unless it may be adopted after it matched."""

    def to_json(self) -> dict[str, Any]:
        return {
            "on_doubt": self.on_doubt,
            "probe": self.probe.to_json() if self.probe else None,
            "settle": self.settle,
            "key": self.key.to_json() if self.key else None,
            "on_conflict": self.on_conflict,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EffectPolicy:
        return cls(
            on_doubt=data["on_doubt"],
            probe=ProbePlan.from_json(data["probe"]) if data["probe"] else None,
            settle=data["settle"],
            key=KeyPolicy(**data["key"]) if data["key"] else None,
            on_conflict=data["on_conflict"],
        )
