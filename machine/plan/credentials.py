"""The calls of a workflow -> what reaches a place where a credential stands: which inputs, and which parts of answers.

A credential is known by where it goes, not by what it is called: a header that authenticates, a cookie, or a parameter
a security scheme of the operation names. From there the values are followed back, through the outputs of steps and the
requests they quote, to the inputs and the answers they come from. Pure; decides nothing about what is done with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..expressions.evaluate import resolve_name
from ..expressions.grammar import Expression, split_path
from ..expressions.template import ListTemplate, ObjectTemplate, Template, Whole, references
from ..sources.model import Operation
from .model import CallPlan

__all__ = ["Credentials", "find_credentials"]

_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
_DEEPEST = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Where the credentials of a workflow come from."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    """Input, as the expression names it, to the sentence that says which place it reaches."""
    replies: Mapping[str, tuple[Expression, ...]] = field(default_factory=dict)
    """Step to the parts of its answer that reach such a place: ``$response`` expressions."""
    outputs: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Step to those of its outputs they pass through."""


def find_credentials(calls: Mapping[str, CallPlan]) -> Credentials:
    """Follow every value that stands where a credential does back to where it came from."""
    inputs: dict[str, str] = {}
    replies: dict[str, dict[Expression, None]] = {}
    outputs: dict[str, set[str]] = {}
    # An expression means something in the step it stands in: $response is that step's answer.
    waiting = [
        (call.step, expression, f"flows into {location} {name} of {call.step}")
        for call in calls.values()
        for name, location, template in _places(call)
        for expression in references(template)
    ]
    seen = set()
    for step, expression, why in waiting:  # it grows as values are followed
        if (step, expression) in seen:
            continue
        seen.add((step, expression))
        if expression.root == "inputs" and expression.name:
            inputs.setdefault(expression.name, why)
        elif expression.root == "response":
            replies.setdefault(step, {})[expression] = None
        elif expression.root == "request":
            waiting += [(step, one, why) for one in _sent(calls[step], expression)]
        elif expression.root == "steps" and expression.owner in calls:
            owner = calls[expression.owner]
            for name, path in _outputs(expression, owner):
                outputs.setdefault(owner.step, set()).add(name)
                waiting += [(owner.step, one, why) for one in _below(owner.outputs[name], path)]
    return Credentials(
        inputs=inputs,
        replies={step: tuple(found) for step, found in replies.items()},
        outputs={step: frozenset(found) for step, found in outputs.items()},
    )


def _places(call: CallPlan) -> Iterator[tuple[str, str, Template]]:
    """The parameters of a call, and of its probe, that carry a credential."""
    probe = call.effect.probe
    both: list[tuple[Operation, tuple[tuple[str, str, Template], ...]]] = [(call.operation, call.parameters)]
    if probe is not None:
        both.append((probe.operation, probe.parameters))
    for operation, parameters in both:
        schemes = {(one.location, one.parameter_name.lower()) for one in operation.security}
        for name, location, template in parameters:
            header = location == "header" and name.lower() in _HEADERS
            if header or location == "cookie" or (location, name.lower()) in schemes:
                yield name, location, template


def _sent(call: CallPlan, expression: Expression) -> Iterator[Expression]:
    """What a ``$request`` expression looks at, a parameter by name or the body, is made of."""
    if expression.part == "body":
        if call.body is not None:
            yield from _below(call.body, (*(split_path(expression.name) or ()), *expression.pointer))
        return
    for name, location, template in call.parameters:
        same = name.lower() == expression.name.lower() if location == "header" else name == expression.name
        if location == expression.part and same:
            yield from references(template)


def _outputs(expression: Expression, owner: CallPlan) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The outputs of a step an expression reads, each with the path below it; all of them where it names none."""
    if not expression.name:
        first, rest = expression.pointer[:1], expression.pointer[1:]
        yield from ((name, rest) for name in owner.outputs if not first or first == (name,))
        return
    found = resolve_name(expression.name, owner.outputs)
    if found is not None:
        yield found[0], (*found[1], *expression.pointer)


def _below(template: Template, path: tuple[str, ...]) -> Iterator[Expression]:
    """The expressions a value at ``path`` of a template depends on; where that cannot be told, all of them."""
    # Outputs that quote each other make longer and longer paths.
    for at, token in enumerate(path if len(path) <= _DEEPEST else ()):
        if isinstance(template, Whole):
            yield replace(template.expression, pointer=(*template.expression.pointer, *path[at:]))
            return
        if isinstance(template, ObjectTemplate):
            member = dict(template.members).get(token)
        elif isinstance(template, ListTemplate):
            member = {str(index): item for index, item in enumerate(template.items)}.get(token)
        else:
            break
        if member is None:
            return
        template = member
    yield from references(template)
