"""A step, an action or a dependency that names a workflow -> a ChildPlan: which one, with which inputs, judged how.

What the called workflow does is its own table; here stands only what the caller says about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from ..document.model import Action, Parameter, Step
from ..errors import DocumentError, Place
from ..expressions.template import Template
from .calls import compile_poll
from .extension import StepExtension
from .model import ChildPlan
from .problems import Problems
from .reader import Reader
from .sight import Moment
from .workflows import Site

__all__ = ["action_child", "dependency_child", "step_child"]


def step_child(
    step: Step,
    site: Site,
    callee: Site,
    reader: Reader,
    extension: StepExtension,
) -> ChildPlan:
    """A step with a ``workflowId``. Raises DocumentError for what it cannot have and for every value or condition that
    cannot be read."""
    problems = Problems()
    reader = reader.returning(callee.workflow)
    problems.attempt(partial(_refuse_what_a_workflow_has_not, step, extension))
    parameters = problems.attempt(partial(_inputs, step, site, callee, reader))
    success = problems.attempt(lambda: reader.criteria(step.success_criteria, "return"))
    outputs = problems.attempt(lambda: reader.outputs(step.outputs, step.place, "return"))
    poll = problems.attempt(lambda: compile_poll(extension.poll, reader, "return"))
    problems.report()
    return ChildPlan(
        role="step",
        workflow=callee.key,
        step=step.step_id,
        parameters=parameters or (),
        success=success or (),
        # A step that declares no outputs has those of its workflow: pet-coupons and oauth of the specification need it.
        outputs=outputs or None,
        poll=poll,
        timeout=None if step.timeout_ms is None else step.timeout_ms / 1000,
        place=step.place,
    )


def _refuse_what_a_workflow_has_not(step: Step, extension: StepExtension) -> None:
    """A body there has no effect, which is said when the document is read; of effects nothing may be misunderstood."""
    effect = extension.effect
    if effect.kind is not None or effect.probe is not None or effect.key is not None:
        raise DocumentError(
            f"step {step.step_id!r} runs a workflow and has x-machine.effect, which only a call has",
            code="AZM-P043",
            place=step.place,
            next="say it at the step of that workflow that makes the call",
        )


def _inputs(step: Step, site: Site, callee: Site, reader: Reader) -> tuple[tuple[str, Template], ...]:
    """Parameter Object: of a step that runs a workflow, all parameters map to its inputs by name.

    Those the workflow gives to all its steps mostly speak of requests (a header, a path), so of them only the ones the
    callee has an input for are passed on.
    """
    properties = callee.workflow.inputs.get("properties")
    known = set(properties) if isinstance(properties, Mapping) else set()
    own = {one.name for one in step.parameters}
    shared = [one for one in site.workflow.parameters if one.name in known and one.name not in own]
    return _values([*shared, *step.parameters], reader, "request")


def _values(parameters: Sequence[Parameter], reader: Reader, moment: Moment) -> tuple[tuple[str, Template], ...]:
    problems = Problems()
    found = problems.each(partial(_named, one, reader, moment) for one in parameters)
    problems.report()
    return found


def _named(one: Parameter, reader: Reader, moment: Moment) -> tuple[str, Template]:
    return one.name, reader.parameter(one, moment)


def action_child(action: Action, callee: Site, reader: Reader, moment: Moment) -> ChildPlan:
    """An action with a ``workflowId``: a ``goto`` transfers to it, a ``retry`` runs it before the step is retried.

    Its inputs are the action's parameters. Arazzo 1.0 has none there, so what the caller has under the same names is
    passed on (ambiguity A21).
    """
    return ChildPlan(
        role="transfer" if action.type == "goto" else "repair",
        workflow=callee.key,
        parameters=_values(action.parameters, reader, moment),
        same_named=reader.minor == "1.0" and not action.parameters,
        place=action.place,
    )


def dependency_child(callee: Site, place: Place) -> ChildPlan:
    """A workflow that must have completed before: nothing says what its inputs are, so those of the same name are
    passed on (ambiguity A25)."""
    return ChildPlan(role="dependency", workflow=callee.key, same_named=True, place=place)
