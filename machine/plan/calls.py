"""One Step Object -> one CallPlan: operation found, values made templates, criteria made predicates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

from ..document.model import Parameter, Step, Workflow
from ..errors import DocumentError, Place
from ..expressions.grammar import here
from ..expressions.template import Template
from ..sources.model import Operation, Source
from ..sources.operations import check_sent, find_operation, find_operation_path
from .body import compile_body
from .effect import EffectPolicy, ProbePlan
from .extension import EffectExtension, PollExtension, StepExtension
from .model import CallPlan, EffectKind, PollPolicy
from .problems import Problems
from .reader import Reader
from .sight import Moment

__all__ = ["compile_poll", "compile_step", "parameters_of"]

_KIND_OF_METHOD: Mapping[str, EffectKind] = {
    "GET": "safe",
    "HEAD": "safe",
    "OPTIONS": "safe",
    "TRACE": "safe",
    "QUERY": "safe",
    "PUT": "idempotent",
    "DELETE": "idempotent",
    "POST": "create",
}
"""RFC 9110 section 9.2: which methods may be repeated; QUERY, which OpenAPI 3.2 has, is defined as safe. Anything else,
PATCH included, is ``unknown``."""
_REDIRECT = re.compile(r"\b3[0-9]{2}\b")


def compile_step(
    step: Step, workflow: Workflow, sources: Mapping[str, Source], reader: Reader, extension: StepExtension
) -> CallPlan:
    """Raises DocumentError for an operation that is not there, what is not compiled yet, and every value or condition
    that cannot be read."""
    problems = Problems()
    body = step.request_body
    operation = problems.attempt(lambda: _operation(step, sources, reader))
    given = parameters_of(step, workflow)
    answer = reader.calling(given)
    sent = [(one.name, one.location, one.place) for one in given if one.location != "body"]
    if body is not None or any(one.location == "body" for one in given):
        sent.append(("", "body", body.place if body is not None else step.place))
    if operation is not None:
        _check_sent(operation, sources, sent)
    parameters = problems.each(partial(_parameter, one, reader) for one in given if one.location != "body")
    members = [one for one in given if one.location == "body"]
    payload = problems.attempt(lambda: compile_body(body, members, operation, reader))
    success = problems.attempt(lambda: answer.criteria(step.success_criteria, "answer", operation))
    outputs = problems.attempt(lambda: answer.outputs(step.outputs, step.place, "answer"))
    effect = problems.attempt(lambda: _effect(extension.effect, step, sources, reader))
    poll = problems.attempt(lambda: compile_poll(extension.poll, answer, "answer", operation))
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


def _parameter(one: Parameter, reader: Reader) -> tuple[str, str, Template]:
    return one.name, one.location, reader.parameter(one, "request")


def _operation(step: Step, sources: Mapping[str, Source], reader: Reader) -> Operation:
    if step.message_action or not (step.operation_id or step.operation_path):
        raise DocumentError(
            f"step {step.step_id!r} sends or receives messages; only calls over HTTP can be made",
            code="AZM-P013",
            place=step.place,
            next="call an operation with operationId or operationPath, or run a workflow with workflowId",
        )
    place = reader.document.inside(step.place, "operationId" if step.operation_id else "operationPath")
    return _found(sources, step.operation_id, step.operation_path, place, reader)


def _found(
    sources: Mapping[str, Source], operation_id: str, operation_path: str, place: Place, reader: Reader
) -> Operation:
    """The operation that is named; in what odd form, and what its description leaves open, is noted."""
    notes: list[str] = []
    if operation_id:
        operation = find_operation(sources, operation_id, place=place, notes=notes)
    else:
        operation = find_operation_path(sources, operation_path, place=place, notes=notes)
    reader.tolerated([("C6", note) for note in notes], place)
    for gap in operation.gaps:
        message = f"the description {operation.source!r} does not say all about {operation.title}: {gap}"
        reader.note("AZM-S006", message, place)
    return operation


def _check_sent(operation: Operation, sources: Mapping[str, Source], sent: Iterable[tuple[str, str, Place]]) -> None:
    """What is sent must be known; what else the description leaves unclear does not matter."""
    for name, location, place in sent:
        check_sent(operation, sources[operation.source], name, location, place=place)


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


def parameters_of(step: Step, workflow: Workflow) -> list[Parameter]:
    """Workflow Object, parameters: they apply to every step and are overridden by name and location, never removed."""
    names = {(one.name, one.location) for one in step.parameters}
    return [*(one for one in workflow.parameters if (one.name, one.location) not in names), *step.parameters]


def _effect(extension: EffectExtension, step: Step, sources: Mapping[str, Source], reader: Reader) -> EffectPolicy:
    probe = extension.probe
    if probe is None:
        return EffectPolicy(
            on_doubt=extension.on_doubt or "hold",
            settle=120.0 if extension.settle is None else extension.settle,
            key=extension.key,
        )
    field = "operationId" if probe.operation_id else "operationPath"
    place = reader.document.inside(step.place, "x-machine", "effect", "probe", field)
    operation = _found(sources, probe.operation_id, probe.operation_path, place, reader)
    if _KIND_OF_METHOD.get(operation.method) != "safe":
        raise DocumentError(
            f"the probe of step {step.step_id!r} would change something: {operation.title}",
            code="AZM-P017",
            place=place,
            next="probe with a safe operation such as a GET",
        )
    _check_sent(operation, sources, ((one.name, one.location, one.place) for one in probe.parameters))
    compiled = ProbePlan(
        operation=operation,
        parameters=tuple(
            (one.name, one.location, reader.value(one.value, one.place, "request", here)) for one in probe.parameters
        ),
        found=reader.criteria(probe.found, "answer", operation),
        absent=reader.criteria(probe.absent, "answer", operation),
        match={pointer: reader.value(value, step.place, "answer", here) for pointer, value in probe.match.items()},
    )
    return EffectPolicy(
        on_doubt=extension.on_doubt or "hold",
        probe=compiled,
        settle=120.0 if extension.settle is None else extension.settle,
        key=extension.key,
        on_conflict=extension.on_conflict,
    )


def compile_poll(
    extension: PollExtension | None, reader: Reader, moment: Moment, operation: Operation | None = None
) -> PollPolicy:
    """The pace a step has where it turns out to lie on a loop."""
    if extension is None:
        return PollPolicy()
    given = {
        name: getattr(extension, name)
        for name in ("interval", "backoff", "max", "jitter", "visits", "tolerate")
        if getattr(extension, name) is not None
    }
    return PollPolicy(**given, wait=reader.criteria(extension.wait, moment, operation))
