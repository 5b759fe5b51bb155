"""One Step Object -> one CallPlan: operation found, values made templates, criteria made predicates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from typing import Any

from ..document.findings import Finding
from ..document.model import Criterion, Document, Parameter, Step, Workflow
from ..errors import DocumentError, Place
from ..expressions.criteria import CompiledCriterion, compile_criterion
from ..expressions.grammar import TOLERANCES, Expression, split_path
from ..expressions.template import Declared, Template, bare_references, compile_template, references, tolerances
from ..sources.model import Operation, Source
from ..sources.operations import find_operation, find_operation_path
from .body import compile_body
from .effect import EffectPolicy, ProbePlan
from .extension import EffectExtension, PollExtension, StepExtension
from .members import response_members
from .model import CallPlan, EffectKind, Notice, PollPolicy
from .problems import Problems

__all__ = [
    "compile_criteria",
    "compile_outputs",
    "compile_poll",
    "compile_step",
    "declared_names",
    "note_tolerances",
    "source_fields",
]

_KIND_OF_METHOD: Mapping[str, EffectKind] = {
    "GET": "safe",
    "HEAD": "safe",
    "OPTIONS": "safe",
    "TRACE": "safe",
    "PUT": "idempotent",
    "DELETE": "idempotent",
    "POST": "create",
}
"""RFC 9110 section 9.2: which methods may be repeated. Anything else, PATCH included, is ``unknown``."""
_NONE: Mapping[str, Set[str]] = {}
_REDIRECT = re.compile(r"\b3[0-9]{2}\b")


def declared_names(workflow: Workflow, document: Document, returned: Mapping[str, Set[str]] = _NONE) -> Declared:
    """What an expression may mean: inputs of the schema, outputs of the steps, parameters of Components; ``returned``
    has the outputs of the steps that run a workflow and declare none of their own."""
    properties = workflow.inputs.get("properties")
    shelf = _mapping(_mapping(document.tree.get("components")).get("parameters"))
    return Declared(
        inputs=frozenset(_mapping(properties)),
        steps={
            step.step_id: frozenset(step.outputs or returned.get(step.step_id, frozenset())) for step in workflow.steps
        },
        minor=document.minor,
        parameters={key: _mapping(one).get("value") for key, one in shelf.items()},
    )


def source_fields(document: Document) -> dict[str, dict[str, Any]]:
    """Source name to the fields an expression can read of it ("Source Description Expression Resolution")."""
    written = document.tree.get("sourceDescriptions")
    return {str(one["name"]): dict(one) for one in written} if isinstance(written, list) else {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def compile_step(
    step: Step,
    workflow: Workflow,
    sources: Mapping[str, Source],
    declared: Declared,
    extension: StepExtension,
    *,
    minor: str,
    strict: bool,
    notices: list[Notice],
) -> CallPlan:
    """Raises DocumentError for an operation that is not there, what is not compiled yet, and every value or condition
    that cannot be read."""
    problems = Problems()
    body = step.request_body
    operation = problems.attempt(lambda: _operation(step, sources, notices, strict=strict))
    given = _parameters(step.parameters, workflow.parameters)
    parameters = problems.each(
        partial(_parameter, one, declared, notices, strict=strict) for one in given if one.location != "body"
    )
    members = [one for one in given if one.location == "body"]
    payload = problems.attempt(lambda: _body(step, members, operation, declared, notices, strict=strict))
    success = problems.attempt(
        lambda: compile_criteria(step.success_criteria, minor, notices, strict=strict, operation=operation)
    )
    outputs = problems.attempt(lambda: compile_outputs(step.outputs, step.place, declared, notices, strict=strict))
    effect = problems.attempt(lambda: _effect(extension.effect, step, sources, declared, minor, notices, strict=strict))
    poll = problems.attempt(lambda: compile_poll(extension.poll, minor, notices, strict=strict, operation=operation))
    problems.report()
    assert operation is not None
    return CallPlan(
        step=step.step_id,
        operation=replace(operation, redirects=operation.redirects or _asks_for_a_redirect(step, workflow)),
        kind=extension.effect.kind or _KIND_OF_METHOD.get(operation.method, "unknown"),
        parameters=parameters,
        body=payload,
        content_type=body.content_type if body is not None else "",
        success=success or (),
        outputs=outputs or {},
        poll=poll,
        effect=effect or EffectPolicy(),
        timeout=None if step.timeout_ms is None else step.timeout_ms / 1000,
        place=step.place,
    )


def _parameter(one: Parameter, declared: Declared, notices: list[Notice], *, strict: bool) -> tuple[str, str, Template]:
    return one.name, one.location, _template(one.value, one.place, declared, notices, strict=strict)


def _body(
    step: Step,
    members: Sequence[Parameter],
    operation: Operation | None,
    declared: Declared,
    notices: list[Notice],
    *,
    strict: bool,
) -> Template | None:
    body = step.request_body
    place = step.place if body is None else body.place
    for one in members:
        note_tolerances([("C12", f"{one.name}: {TOLERANCES['C12']}")], one.place, notices, strict=strict)
    check = partial(_checked, declared=declared, notices=notices, strict=strict)
    return compile_body(body, members, operation, declared, place=place, strict=strict, check=check)


def _operation(step: Step, sources: Mapping[str, Source], notices: list[Notice], *, strict: bool) -> Operation:
    if step.message_action or not (step.operation_id or step.operation_path):
        raise DocumentError(
            f"step {step.step_id!r} sends or receives messages; only calls over HTTP can be made",
            code="AZM-P013",
            place=step.place,
            next="call an operation with operationId or operationPath, or run a workflow with workflowId",
        )
    return _found(sources, step.operation_id, step.operation_path, step.place, notices, strict=strict)


def _found(
    sources: Mapping[str, Source],
    operation_id: str,
    operation_path: str,
    place: Place,
    notices: list[Notice],
    *,
    strict: bool,
) -> Operation:
    """The operation that is named; in what odd form, and what its description leaves open, is noted."""
    notes: list[str] = []
    if operation_id:
        operation = find_operation(sources, operation_id, place=place, notes=notes)
    else:
        operation = find_operation_path(sources, operation_path, place=place, notes=notes)
    note_tolerances([("C6", note) for note in notes], place, notices, strict=strict)
    for gap in operation.gaps:
        message = f"the description {operation.source!r} does not say all about {operation.title}: {gap}"
        _add(notices, Notice(code="AZM-S006", message=message, place=place))
    return operation


def _asks_for_a_redirect(step: Step, workflow: Workflow) -> bool:
    """Whether a condition about the step names a 3xx status, which it could never see if redirects were followed."""
    actions = (
        *(step.on_success or ()),
        *(step.on_failure or ()),
        *workflow.success_actions,
        *workflow.failure_actions,
    )
    criteria = [*step.success_criteria, *(one for action in actions for one in action.criteria)]
    return any(_REDIRECT.search(one.condition) for one in criteria)


def _parameters(own: Sequence[Parameter], shared: Sequence[Parameter]) -> list[Parameter]:
    """Workflow Object, parameters: they apply to every step and are overridden by name and location, never removed."""
    names = {(one.name, one.location) for one in own}
    return [*(one for one in shared if (one.name, one.location) not in names), *own]


def compile_criteria(
    criteria: Sequence[Criterion],
    minor: str,
    notices: list[Notice],
    *,
    strict: bool,
    operation: Operation | None = None,
) -> tuple[CompiledCriterion, ...]:
    """Compile each; what had to be tolerated is noted once per site, or refused when ``strict``. ``operation`` is the
    one whose answer they judge."""
    problems = Problems()
    compiled = problems.each(partial(_criterion, one, minor, notices, operation, strict=strict) for one in criteria)
    problems.report()
    return compiled


def _criterion(
    one: Criterion, minor: str, notices: list[Notice], operation: Operation | None, *, strict: bool
) -> CompiledCriterion:
    def declares(context: Expression, name: str) -> bool:
        body = context.root == "response" and context.part == "body"
        path = (*(split_path(context.name) or ()), *context.pointer)
        return body and operation is not None and name in response_members(operation, path)

    result = compile_criterion(one, minor=minor, strict=strict, declares=declares)
    used = [(code, f"{result.text}: {TOLERANCES[code]}") for code in result.tolerances]
    note_tolerances(used, one.place, notices, strict=strict)
    for note in result.notes:
        _add(notices, Notice(code="AZM-P022", message=f"{result.text}: {note}", place=one.place))
    return result


def compile_outputs(
    outputs: Mapping[str, Any], place: Place, declared: Declared, notices: list[Notice], *, strict: bool
) -> dict[str, Template]:
    """Name to template for the outputs of a step or workflow; a value that is no expression is passed through."""
    problems = Problems()
    found = {}
    for name, value in outputs.items():
        template = problems.attempt(partial(_template, value, place, declared, notices, strict=strict))
        if template is not None:
            found[name] = template
    problems.report()
    return found


def _template(value: Any, place: Place, declared: Declared, notices: list[Notice], *, strict: bool) -> Template:
    template = compile_template(value, place=place, declared=declared)
    return _checked(template, place, declared=declared, notices=notices, strict=strict)


def _checked(template: Template, place: Place, *, declared: Declared, notices: list[Notice], strict: bool) -> Template:
    note_tolerances(tolerances(template), place, notices, strict=strict)
    for bare in bare_references(template):
        message = f"{bare} has no braces: in Arazzo 1.1 it is text, and is sent as it stands"
        _add(notices, Notice(code="AZM-P023", message=message, place=place))
    for expression in references(template):
        if expression.root == "steps" and expression.owner not in declared.steps:
            raise DocumentError(
                f"{expression} names a step that is not in this workflow",
                code="AZM-P014",
                place=place,
                next=f"steps: {', '.join(declared.steps)}",
            )
        if expression.root == "inputs" and expression.name and declared.inputs and not declared.has(expression):
            _add(
                notices,
                Notice(code="AZM-P021", message=f"{expression} names an input that is not declared", place=place),
            )
    return template


def note_tolerances(found: Sequence[tuple[str, str]], place: Place, notices: list[Notice], *, strict: bool) -> None:
    """Note each (code, why), once a site. Raises DocumentError with all of them when ``strict``."""
    if found and strict:
        findings = tuple(
            Finding(code=code, severity="error", message=why, place=place, suggestion="leave out --strict to allow it")
            for code, why in found
        )
        raise DocumentError("a tolerance is needed", code=found[0][0], place=place, findings=findings)
    for code, why in found:
        _add(notices, Notice(code=code, message=why, place=place))


def _add(notices: list[Notice], notice: Notice) -> None:
    if notice not in notices:
        notices.append(notice)


def _effect(
    extension: EffectExtension,
    step: Step,
    sources: Mapping[str, Source],
    declared: Declared,
    minor: str,
    notices: list[Notice],
    *,
    strict: bool,
) -> EffectPolicy:
    probe = extension.probe
    if probe is None:
        return EffectPolicy(
            on_doubt=extension.on_doubt or "hold",
            settle=120.0 if extension.settle is None else extension.settle,
            key=extension.key,
        )
    operation = _found(sources, probe.operation_id, probe.operation_path, step.place, notices, strict=strict)
    if _KIND_OF_METHOD.get(operation.method) != "safe":
        raise DocumentError(
            f"the probe of step {step.step_id!r} would change something: {operation.title}",
            code="AZM-P017",
            place=step.place,
            next="probe with a safe operation such as a GET",
        )
    compiled = ProbePlan(
        operation=operation,
        parameters=tuple(_parameter(one, declared, notices, strict=strict) for one in probe.parameters),
        found=compile_criteria(probe.found, minor, notices, strict=strict, operation=operation),
        absent=compile_criteria(probe.absent, minor, notices, strict=strict, operation=operation),
        match={
            pointer: _template(value, step.place, declared, notices, strict=strict)
            for pointer, value in probe.match.items()
        },
    )
    return EffectPolicy(
        on_doubt=extension.on_doubt or "hold",
        probe=compiled,
        settle=120.0 if extension.settle is None else extension.settle,
        key=extension.key,
        on_conflict=extension.on_conflict,
    )


def compile_poll(
    extension: PollExtension | None,
    minor: str,
    notices: list[Notice],
    *,
    strict: bool,
    operation: Operation | None = None,
) -> PollPolicy:
    """The pace a step has where it turns out to lie on a loop."""
    if extension is None:
        return PollPolicy()
    given = {
        name: getattr(extension, name)
        for name in ("interval", "backoff", "max", "jitter", "visits", "tolerate")
        if getattr(extension, name) is not None
    }
    wait = compile_criteria(extension.wait, minor, notices, strict=strict, operation=operation)
    return PollPolicy(**given, wait=wait)
