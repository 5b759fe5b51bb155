"""A described workflow and its Plan -> the Subject that rules of inspection look at, and how they say what they found.

What several rules need to know of the flow is read off the plan's own transitions here, once. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from ..document.findings import Finding
from ..document.model import Document, Step, Workflow
from ..errors import Place
from ..expressions.question import Ask
from ..expressions.template import Declared
from ..sources.model import Source
from .codes import severity_of
from .model import CallPlan, ChildPlan, Plan
from .sites import Site

__all__ = ["Rule", "Subject", "say"]

_ONWARDS: Final = frozenset({"replied", "call_failed", "returned"})


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One workflow, seen from its document and from its plan."""

    document: Document
    workflow: Workflow
    plan: Plan
    declared: Declared
    sources: Mapping[str, Source]
    sites: tuple[Site, ...]
    steps: Mapping[str, Step]
    called: bool
    ask: Ask

    @cached_property
    def after(self) -> Mapping[str, frozenset[str]]:
        """By step, the steps that may be called after it."""
        edges: dict[str, set[str]] = {}
        states = {state.id: state for state in self.plan.states}
        for one in self.plan.transitions:
            if _ONWARDS & set(one.on):
                source, target = states[one.source], states[one.target]
                edges.setdefault(source.step, set()).add(target.step)
        return {step: frozenset(_reached(edges, step)) for step in self.steps}

    @cached_property
    def open(self) -> frozenset[str]:
        """The steps whose outputs are those of a workflow that may transfer to another one."""
        plan = self.plan
        children = [child for child in plan.children.values() if child.outputs is None]
        return frozenset(
            one.step
            for one in children
            if any(inner.role == "transfer" for inner in plan.table(one.workflow).children.values())
        )

    @cached_property
    def noted(self) -> frozenset[tuple[str, Place]]:
        """Code and place of everything the compiler noted."""
        return frozenset((one.code, one.place) for one in self.plan.notices)

    def extension(self, step: str, name: str) -> Any:
        return self.steps[step].extension.get(name) if step in self.steps else None

    def does(self, step: str) -> CallPlan | ChildPlan | None:
        """The call a step makes, or the workflow it runs; None where it is never reached."""
        runs = (child for child in self.plan.children.values() if child.role == "step" and child.step == step)
        return self.plan.calls.get(step) or next(runs, None)

    def calls(self) -> Iterator[tuple[Step, CallPlan]]:
        for step in self.workflow.steps:
            if (call := self.plan.calls.get(step.step_id)) is not None and call.step == step.step_id:
                yield step, call


Rule = Callable[[Subject], Iterator[Finding]]


def say(code: str, message: str, place: Place, suggestion: str = "", fix: str = "") -> Finding:
    """A finding, as severe as its code is; ``code`` without its prefix."""
    code = f"AZM-{code}"
    return Finding(code=code, severity=severity_of(code), message=message, place=place, suggestion=suggestion, fix=fix)


def _reached(edges: Mapping[str, set[str]], start: str) -> set[str]:
    """What can be reached by one edge or more."""
    found: set[str] = set()
    waiting = list(edges.get(start, ()))
    while waiting:
        step = waiting.pop()
        if step and step not in found:
            found.add(step)
            waiting += edges.get(step, ())
    return found
