"""A Workflow -> every spot in it where an expression is read: what reads what, and where that stands.

Works on the document alone, so that it can be asked about a workflow that does not compile: what cannot be read there
is left out, because the compiler says it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..document.model import Action, Criterion, Document, Parameter, Step, Workflow
from ..document.positions import below
from ..errors import DocumentError, Place
from ..expressions.criteria import compile_criterion
from ..expressions.grammar import Expression
from ..expressions.template import Declared, Whole, compile_template, references

__all__ = ["Site", "sites_of"]

Part = Literal["parameter", "payload", "criterion", "action", "output", "result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One value or condition that reads something."""

    part: Part
    """``criterion`` and ``output`` are read with the step's answer, ``action`` after it, ``result`` when the workflow
    ends; the others before the call."""
    step: str
    """Empty for ``result``."""
    pointer: str
    """Where it stands in the document."""
    expressions: tuple[Expression, ...]
    whole: bool = False
    """Whether the value is one expression and nothing else."""
    target: tuple[str, ...] = ()
    """For ``payload`` the tokens of its spot in the body; for ``parameter`` its name and location."""


def sites_of(document: Document, workflow: Workflow, declared: Declared) -> Iterator[Site]:
    """Every site of a workflow, in the order of its steps."""
    reader = _Reader(document, declared)
    for step in workflow.steps:
        own = {(one.name, one.location) for one in step.parameters}
        shared = [one for one in workflow.parameters if (one.name, one.location) not in own]
        for parameter in (*step.parameters, *shared):
            yield from reader.parameter("parameter", step, parameter)
        if (body := step.request_body) is not None:
            yield from reader.values("payload", step.step_id, f"{body.place.pointer}/payload", body.payload)
            for replacement in body.replacements:
                yield from reader.values(
                    "parameter", step.step_id, f"{replacement.place.pointer}/value", replacement.value
                )
        yield from reader.criteria("criterion", step, step.success_criteria)
        yield from reader.outputs("output", step.step_id, step.place.pointer, step.outputs)
        for action in (*(step.on_success or ()), *(step.on_failure or ())):
            yield from reader.action(step, action)
    yield from reader.outputs("result", "", workflow.place.pointer, workflow.outputs)


class _Reader:
    def __init__(self, document: Document, declared: Declared) -> None:
        self.document = document
        self.declared = declared

    def parameter(self, part: Part, step: Step, one: Parameter) -> Iterator[Site]:
        target = (one.name, one.location)
        for site in self.values(part, step.step_id, f"{one.place.pointer}/value", one.value):
            yield Site(
                part=part,
                step=site.step,
                pointer=site.pointer,
                expressions=site.expressions,
                whole=site.whole and not site.target,
                target=target,
            )

    def criteria(self, part: Part, step: Step, criteria: Iterable[Criterion]) -> Iterator[Site]:
        for one in criteria:
            try:
                found = compile_criterion(one, minor=self.document.minor).references()
            except DocumentError:
                continue
            if found:
                yield Site(part=part, step=step.step_id, pointer=one.place.pointer, expressions=found)

    def action(self, step: Step, action: Action) -> Iterator[Site]:
        yield from self.criteria("action", step, action.criteria)
        for parameter in action.parameters:
            yield from self.parameter("action", step, parameter)

    def outputs(self, part: Part, step: str, pointer: str, outputs: Mapping[str, Any]) -> Iterator[Site]:
        for name, value in outputs.items():
            yield from self.values(part, step, below(pointer, "outputs", name), value)

    def values(self, part: Part, step: str, pointer: str, value: Any) -> Iterator[Site]:
        """The leaves of a value that read something. ``target`` are the tokens that lead to each."""
        waiting: list[tuple[tuple[str, ...], Any]] = [((), value)]
        while waiting:
            tokens, one = waiting.pop()
            if isinstance(one, Mapping):
                waiting += reversed([((*tokens, str(key)), item) for key, item in one.items()])
            elif isinstance(one, list):
                waiting += reversed([((*tokens, str(index)), item) for index, item in enumerate(one)])
            elif isinstance(one, str):
                spot = below(pointer, *tokens)
                try:
                    template = compile_template(one, place=Place(pointer=spot), declared=self.declared)
                except DocumentError:
                    continue
                if found := references(template):
                    yield Site(
                        part=part,
                        step=step,
                        pointer=spot,
                        expressions=found,
                        whole=isinstance(template, Whole),
                        target=tokens,
                    )
