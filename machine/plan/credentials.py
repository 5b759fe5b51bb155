"""The calls of workflows -> what reaches a place where a credential stands: which inputs, and which parts of answers.

A credential is known by where it goes, not by what it is called: a header that authenticates, a cookie, or a parameter
a security scheme of the operation names. From there the values are followed back, through the outputs of steps and the
requests they quote, to the inputs and the answers they come from. The same search tells where an input is sent at all.
Pure; decides nothing about what is done with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..expressions.evaluate import resolve_name
from ..expressions.grammar import Expression, split_path
from ..expressions.template import ListTemplate, ObjectTemplate, Template, Whole, references
from ..sources.model import Operation
from .model import CallPlan, ChildPlan, Plan

__all__ = [
    "Credentials",
    "Scope",
    "credentials_of",
    "destinations",
    "find_credentials",
    "input_read",
    "placed_inputs",
]

_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
_DEEPEST = 32
_MOST_SERVERS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Where the credentials of a workflow come from."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    """Input, as the expression names it, to the sentence that says which place it reaches."""
    replies: Mapping[str, tuple[Expression, ...]] = field(default_factory=dict)
    """Step to the parts of its answer that reach such a place: ``$response`` expressions."""
    outputs: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Step to those of its outputs they pass through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What one workflow says about values."""

    calls: Mapping[str, CallPlan]
    children: tuple[ChildPlan, ...] = ()
    outputs: Mapping[str, Template] = field(default_factory=dict)
    prefix: str = ""
    """What stands before a workflowId of its document to make a key."""


def find_credentials(calls: Mapping[str, CallPlan]) -> Credentials:
    """Follow every value that stands where a credential does back to where it came from, in one workflow."""
    return _Search({"": Scope(calls=calls)}).run()


def credentials_of(plan: Plan) -> Credentials:
    """The same through all workflows a run can reach. Steps of one name count as one: what is doubtful is a secret."""
    return _Search(_scopes(plan)).run()


def _scopes(plan: Plan) -> dict[str, Scope]:
    return {
        one.workflow: Scope(
            calls=one.calls, children=tuple(one.children.values()), outputs=one.outputs, prefix=one.scope
        )
        for one in plan.tables()
    }


def destinations(plan: Plan) -> dict[tuple[str, str], frozenset[tuple[str, str]]]:
    """Workflow and input, by the name it is declared with, to the servers its value is sent to by what the document
    says, each as a source and the server its description gives it.

    What an answer quotes is not followed: that a server knows a value is no reason to send it to the next one. Nothing
    is told of a plan with so many servers that it would take long.
    """
    scopes = _scopes(plan)
    sent: dict[tuple[str, str], list[tuple[str, str, Expression, str]]] = {}
    for key, scope in scopes.items():
        for call in scope.calls.values():
            for operation, templates in _templates(call):
                starts = sent.setdefault((operation.source, operation.server), [])
                starts += [(key, call.step, one, "") for template in templates for one in references(template)]
    if len(sent) > _MOST_SERVERS:
        return {}
    found: dict[tuple[str, str], set[tuple[str, str]]] = {}
    declared = {table.workflow: [one.name for one in table.inputs] for table in plan.tables()}
    for server, starts in sent.items():
        search = _Search(scopes, starts)
        search.run()
        for key, expression in search.read:
            for name, _ in _named(expression, declared.get(key, ())):
                found.setdefault((key, name), set()).add(server)
    return {place: frozenset(servers) for place, servers in found.items()}


def _templates(call: CallPlan) -> Iterator[tuple[Operation, list[Template]]]:
    """All that is sent with a call, and with its probe."""
    yield call.operation, [*(one for _, _, one in call.parameters), *([call.body] if call.body is not None else [])]
    if call.effect.probe is not None:
        yield call.effect.probe.operation, [one for _, _, one in call.effect.probe.parameters]


def placed_inputs(scopes: Mapping[str, Scope]) -> dict[tuple[str, str], str]:
    """Workflow and input to the sentence that says which place the input reaches, in whichever of these workflows."""
    search = _Search(scopes)
    search.run()
    # The first of several ways is the one that is told.
    return {(key, name): why for (key, one), why in reversed(search.read.items()) if (name := input_read(one))}


def input_read(expression: Expression) -> str:
    """The name of the input an ``$inputs`` expression reads; empty for all of them. ``$inputs#/token`` reads one."""
    return expression.name or next(iter(expression.pointer), "")


class _Search:
    """Made for one question and thrown away. ``starts``: workflow, step, an expression of it, and why it matters;
    without them, the places where credentials stand."""

    def __init__(
        self, scopes: Mapping[str, Scope], starts: Iterable[tuple[str, str, Expression, str]] | None = None
    ) -> None:
        self._scopes = scopes
        self.read: dict[tuple[str, Expression], str] = {}
        """Workflow and expression of every input that was come to, and why it matters."""
        self._replies: dict[str, dict[Expression, None]] = {}
        self._outputs: dict[str, set[str]] = {}
        self._seen: set[tuple[str, str, Expression]] = set()
        # An expression means something in the workflow and the step it stands in: $response is that step's answer.
        self._waiting = (
            [*starts]
            if starts is not None
            else [
                (key, call.step, expression, f"flows into {location} {name} of {call.step}")
                for key, scope in scopes.items()
                for call in scope.calls.values()
                for name, location, template in _places(call)
                for expression in references(template)
            ]
        )

    def run(self) -> Credentials:
        for key, step, expression, why in self._waiting:  # it grows as values are followed
            if (key, step, expression) not in self._seen:
                self._seen.add((key, step, expression))
                found = self._from(key, step, expression, why)
                self._waiting += [(where, at, one, why) for where, at, one in found]
        inputs: dict[str, str] = {}
        for (_, expression), why in self.read.items():
            if name := input_read(expression):
                inputs.setdefault(name, why)
        return Credentials(
            inputs=inputs,
            replies={step: tuple(found) for step, found in self._replies.items()},
            outputs={step: frozenset(found) for step, found in self._outputs.items()},
        )

    def _from(self, key: str, step: str, expression: Expression, why: str) -> Iterator[tuple[str, str, Expression]]:
        """What an expression's value is made of: workflow, step, expression."""
        scope = self._scopes[key]
        call = scope.calls.get(step)
        if expression.root == "inputs":
            self.read.setdefault((key, expression), why)
            yield from self._given(key, expression)
        elif expression.root == "response" and call is not None:
            self._replies.setdefault(step, {})[expression] = None
        elif expression.root == "request" and call is not None:
            yield from ((key, step, one) for one in _sent(call, expression))
        elif expression.root == "steps":
            yield from self._of_step(key, expression)
        elif expression.root == "outputs":
            run = next((one.workflow for one in scope.children if step and one.step == step), key)
            yield from self._of_workflow(run, expression)
        elif expression.root == "workflows":
            owner = f"{scope.prefix}{expression.owner}"
            if expression.part == "outputs":
                yield from self._of_workflow(owner, expression)
            elif owner in self._scopes:
                # What a workflow was given can be read back by those that run after it.
                yield owner, "", replace(expression, root="inputs", owner="", part="")

    def _given(self, key: str, expression: Expression) -> Iterator[tuple[str, str, Expression]]:
        """What other workflows hand to an input."""
        for caller, scope in self._scopes.items():
            for child in scope.children:
                if child.workflow != key:
                    continue
                if child.same_named:
                    yield caller, "", expression
                for name, path in _named(expression, (name for name, _ in child.parameters)):
                    yield from ((caller, child.step, one) for one in _below(dict(child.parameters)[name], path))

    def _of_step(self, key: str, expression: Expression) -> Iterator[tuple[str, str, Expression]]:
        scope, owner = self._scopes[key], expression.owner
        child = next((one for one in scope.children if one.step == owner), None)
        templates: Mapping[str, Template] = {}
        if owner in scope.calls:
            templates = scope.calls[owner].outputs
        elif child is not None and child.outputs is not None:
            templates = child.outputs
        elif child is not None:
            yield from self._of_workflow(child.workflow, expression)
        for name, path in _named(expression, templates):
            self._outputs.setdefault(owner, set()).add(name)
            yield from ((key, owner, one) for one in _below(templates[name], path))

    def _of_workflow(self, key: str, expression: Expression) -> Iterator[tuple[str, str, Expression]]:
        templates = self._scopes[key].outputs if key in self._scopes else {}
        for name, path in _named(expression, templates):
            yield from ((key, "", one) for one in _below(templates[name], path))


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


def _named(expression: Expression, known: Iterable[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The values of these names an expression reads, each with the path below it; all of them where it names none."""
    names = list(known)
    if not expression.name:
        first, rest = expression.pointer[:1], expression.pointer[1:]
        yield from ((name, rest) for name in names if not first or first == (name,))
        return
    found = resolve_name(expression.name, names)
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
