"""What a step does: the operation it calls or the workflow it runs, what is sent, and how the answer is judged.

Made from one Step Object by ``plan/calls.py`` (an operation) or ``plan/children.py`` (a workflow), and stored with the
plan. Nothing here decides where an answer leads; the transitions of the table do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import Place
from ..expressions import stored as templates
from ..expressions.criteria import CompiledCriterion
from ..expressions.template import Template
from ..sources.model import Operation
from .effect import EffectPolicy

__all__ = ["UNSAFE", "CallPlan", "ChildPlan", "EffectKind", "Need", "Policy", "PollPolicy", "Role"]

EffectKind = Literal["safe", "idempotent", "create", "unknown"]
Policy = Literal["next", "end", "fail"]
Role = Literal["step", "dependency", "repair", "transfer"]
Need = tuple[str, str]
"""A step that must have succeeded before: the workflow's key, empty for the same workflow, and the step."""

UNSAFE: frozenset[str] = frozenset({"create", "unknown"})
"""Kinds of effect that must never be repeated on a guess; ``unknown`` obeys every rule for ``create``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """How a polling loop is paced and bounded. Times in seconds."""

    interval: float = 5.0
    backoff: float = 1.5
    max: float = 30.0
    jitter: float = 0.1
    """The share of a delay by which chance may lengthen or shorten it."""
    visits: int = 1000
    tolerate: int = 5
    """How many unreadable answers in a row are waited out."""
    wait: tuple[CompiledCriterion, ...] = ()
    """Answers the document forgot, which are waited out like its own loop."""

    def to_json(self) -> dict[str, Any]:
        return {
            "interval": self.interval,
            "backoff": self.backoff,
            "max": self.max,
            "jitter": self.jitter,
            "visits": self.visits,
            "tolerate": self.tolerate,
            "wait": [one.to_json() for one in self.wait],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PollPolicy:
        return cls(**{**data, "wait": tuple(CompiledCriterion.from_json(one) for one in data["wait"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlan:
    """A step that calls an operation."""

    step: str
    operation: Operation
    kind: EffectKind
    parameters: tuple[tuple[str, str, Template], ...] = ()
    """(name, location, value) in sending order."""
    body: Template | None = None
    content_type: str = ""
    success: tuple[CompiledCriterion, ...] = ()
    """Empty: any 2xx is a success (ambiguity A9)."""
    outputs: Mapping[str, Template] = field(default_factory=dict)
    poll: PollPolicy | None = None
    """Set when the step lies on a loop of safe calls."""
    unmatched: Policy = "fail"
    effect: EffectPolicy = field(default_factory=EffectPolicy)
    """What is done when the fate of an unsafe call is unknown."""
    timeout: float | None = None
    """How long an answer may take, in seconds; None leaves the run's own limit (Step Object, timeout)."""
    needs: tuple[Need, ...] = ()
    """What must have succeeded before; where it has not, the step fails without a call (Step Object, dependsOn)."""
    place: Place = field(default_factory=Place)

    @property
    def unsafe(self) -> bool:
        return self.kind in UNSAFE

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What it may call: its operation, and its probe's."""
        probe = self.effect.probe
        return (self.operation, probe.operation) if probe else (self.operation,)

    def to_json(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "operation": self.operation.to_json(),
            "kind": self.kind,
            "parameters": [[name, location, templates.to_json(value)] for name, location, value in self.parameters],
            "body": templates.to_json(self.body) if self.body is not None else None,
            "content_type": self.content_type,
            "success": [one.to_json() for one in self.success],
            "outputs": {name: templates.to_json(value) for name, value in self.outputs.items()},
            "poll": self.poll.to_json() if self.poll else None,
            "unmatched": self.unmatched,
            "effect": self.effect.to_json(),
            "timeout": self.timeout,
            "needs": [list(one) for one in self.needs],
            "place": self.place.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CallPlan:
        return cls(
            step=data["step"],
            operation=Operation.from_json(data["operation"]),
            kind=data["kind"],
            parameters=tuple((name, where, templates.from_json(value)) for name, where, value in data["parameters"]),
            body=templates.from_json(data["body"]) if data["body"] is not None else None,
            content_type=data["content_type"],
            success=tuple(CompiledCriterion.from_json(one) for one in data["success"]),
            outputs={name: templates.from_json(value) for name, value in data["outputs"].items()},
            poll=PollPolicy.from_json(data["poll"]) if data["poll"] else None,
            unmatched=data["unmatched"],
            effect=EffectPolicy.from_json(data["effect"]),
            timeout=data["timeout"],
            needs=tuple((key, step) for key, step in data["needs"]),
            place=Place(**data["place"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPlan:
    """Another workflow that is run: by a step, as a dependency before the first step, to repair before a retry, or in
    place of the rest of this one (``transfer``)."""

    role: Role
    workflow: str
    """Its key in the plan."""
    step: str = ""
    """The step that runs it; empty for the other roles."""
    parameters: tuple[tuple[str, Template], ...] = ()
    """(input's name, value); an absent value gives no input."""
    same_named: bool = False
    """Whether it also gets what the caller has under the names of its inputs."""
    success: tuple[CompiledCriterion, ...] = ()
    """Judged once it has succeeded; empty: that it has is enough."""
    outputs: Mapping[str, Template] | None = None
    """None: its own outputs are the step's."""
    poll: PollPolicy | None = None
    unmatched: Policy = "fail"
    needs: tuple[Need, ...] = ()
    timeout: float | None = None
    """How long it may take as a whole, in seconds."""
    place: Place = field(default_factory=Place)

    def to_json(self) -> dict[str, Any]:
        outputs = self.outputs
        return {
            "role": self.role,
            "workflow": self.workflow,
            "step": self.step,
            "parameters": [[name, templates.to_json(value)] for name, value in self.parameters],
            "same_named": self.same_named,
            "success": [one.to_json() for one in self.success],
            "outputs": None if outputs is None else {name: templates.to_json(one) for name, one in outputs.items()},
            "poll": self.poll.to_json() if self.poll else None,
            "unmatched": self.unmatched,
            "needs": [list(one) for one in self.needs],
            "timeout": self.timeout,
            "place": self.place.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ChildPlan:
        outputs = data["outputs"]
        return cls(
            role=data["role"],
            workflow=data["workflow"],
            step=data["step"],
            parameters=tuple((name, templates.from_json(value)) for name, value in data["parameters"]),
            same_named=data["same_named"],
            success=tuple(CompiledCriterion.from_json(one) for one in data["success"]),
            outputs=None if outputs is None else {name: templates.from_json(value) for name, value in outputs.items()},
            poll=PollPolicy.from_json(data["poll"]) if data["poll"] else None,
            unmatched=data["unmatched"],
            needs=tuple((key, step) for key, step in data["needs"]),
            timeout=data["timeout"],
            place=Place(**data["place"]),
        )
