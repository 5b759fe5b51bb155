"""What workflows give to each other -> Findings: inputs that are needed, unknown or do not fit, and what runs first.

A workflow that is run gets what its caller says and nothing else, so what it lacks is known before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from ..document.findings import Finding
from ..document.model import Parameter
from ..errors import Place
from ..expressions.evaluate import Context
from ..expressions.template import Template, Unusable, leaves, references, render
from .inputs import misfits_of
from .model import ChildPlan, InputPlan, Plan
from .order import reaches
from .sight import property_names
from .subject import Rule, Subject, say
from .workflows import named_workflows

__all__ = ["HANDING"]


# -- inputs ------------------------------------------------------------------------------------------------------------


def _lacking(subject: Subject) -> Iterator[Finding]:
    """Inputs a workflow requires and that whoever runs it does not give: it cannot begin."""
    own = {one.name for one in subject.plan.inputs}
    for child in subject.plan.children.values():
        callee = subject.plan.table(child.workflow)
        given = {name for name, _ in child.parameters} | (own if child.same_named else set())
        lacks = [one for one in callee.inputs if _is_needed(one) and one.name not in given]
        if not lacks:
            continue
        names = [one.name for one in lacks]
        what = f"{callee.workflow} has no value for its required input{'s' * (len(lacks) > 1)} {', '.join(names)}"
        if child.same_named:
            # Whoever starts the run may give an input unasked, so this is not certain to fail.
            options = [f"--dep-input {callee.workflow}.{one.name}=VALUE" for one in lacks if not one.secret]
            start = f"run with {' '.join(options)}, or " if child.role == "dependency" and options else ""
            yield say("L026", what, child.place, f"{start}declare {', '.join(names)} as input here too")
        else:
            yield say("L025", what, child.place, f"give {', '.join(names)} as parameters")


def _is_needed(one: InputPlan) -> bool:
    return one.required and "default" not in one.schema and not (one.secret and one.origin)


def _unknown(subject: Subject) -> Iterator[Finding]:
    """Parameters for a workflow that it has no input for."""
    for child, parameter, _ in _given(subject):
        known = property_names(subject.plan.table(child.workflow).input_schema)
        if known is None or parameter.name in known:
            continue
        near = get_close_matches(parameter.name, known, n=1)
        advice = f"did you mean {near[0]}?" if near else f"its inputs: {', '.join(sorted(known)) or 'none'}"
        yield say("L027", f"{child.workflow} has no input {parameter.name!r}", parameter.place, advice)


def _misfitting(subject: Subject) -> Iterator[Finding]:
    """Constants for a workflow that the schema of its input does not take."""
    for child, parameter, template in _given(subject):
        callee: Plan = subject.plan.table(child.workflow)
        if references(template) or any(isinstance(leaf, Unusable) for _, leaf in leaves(template)):
            continue
        for why in misfits_of(callee, parameter.name, render(template, Context()), ask=subject.ask):
            place = subject.document.inside(parameter.place, "value")
            yield say("L028", f"{child.workflow} does not take it: {why}", place)


def _given(subject: Subject) -> Iterator[tuple[ChildPlan, Parameter, Template]]:
    """Every parameter that is written for a workflow, and its value; not those that all steps share."""
    written: dict[Place, tuple[Parameter, ...]] = {}
    for step in subject.workflow.steps:
        written[step.place] = step.parameters
        for action in (*(step.on_success or ()), *(step.on_failure or ())):
            written[action.place] = action.parameters
    for action in (*subject.workflow.success_actions, *subject.workflow.failure_actions):
        written[action.place] = action.parameters
    for child in subject.plan.children.values():
        values = dict(child.parameters)
        for parameter in written.get(child.place, ()):
            if parameter.name in values:
                yield child, parameter, values[parameter.name]


# -- what runs ---------------------------------------------------------------------------------------------------------


def _not_run(subject: Subject) -> Iterator[Finding]:
    """References to workflows that no run of this one runs before. One that another workflow runs may come after it."""
    plan, document = subject.plan, subject.document
    if subject.called or any(subject.workflow.workflow_id in named_workflows(one) for one in document.workflows):
        return
    known = {one.workflow_id for one in document.workflows} - {table.workflow for table in plan.tables()}
    for site in subject.sites:
        for owner in dict.fromkeys(one.owner for one in site.expressions if one.root == "workflows"):
            if owner in known:
                yield say(
                    "L024",
                    f"{owner} is read and does not run before {plan.workflow}",
                    document.place(site.pointer),
                    f"say dependsOn: [{owner}] at {plan.workflow}, or run it by a step",
                )


def _running_itself(subject: Subject) -> Iterator[Finding]:
    """Steps that run a workflow which leads back to their own."""
    plan = subject.plan
    runs = {
        table.workflow: {child.workflow for child in table.children.values() if child.role != "transfer"}
        for table in plan.tables()
    }
    for child in plan.children.values():
        if child.role == "step" and plan.workflow in {child.workflow, *reaches(runs, child.workflow)}:
            step = subject.steps[child.step]
            yield say(
                "L023",
                f"step {child.step} runs {step.workflow_id}, and so {plan.workflow} runs itself",
                subject.document.inside(step.place, "workflowId"),
                "run a workflow that ends without this one, or go back to a step of this one with a goto",
            )


def _not_done(subject: Subject) -> Iterator[Finding]:
    """Steps that depend on one which cannot have succeeded before: they fail before anything is sent (Step Object,
    dependsOn: whoever runs the steps is not told to start it)."""
    plan, document = subject.plan, subject.document
    used = {state.step for state in plan.states}
    alone = not subject.called and not any(plan.workflow in named_workflows(one) for one in document.workflows)
    for step in subject.workflow.steps:
        does = subject.does(step.step_id)
        for number, (key, other) in enumerate(does.needs if does is not None and step.step_id in used else ()):
            if key:
                lost = alone and key not in _run_before(subject, step.step_id)
                why = f"{other} of {key}, which no run of {plan.workflow} runs before"
                advice = f"say dependsOn: [{key}] at {plan.workflow}, or run it by an earlier step"
            else:
                lost = other not in used or step.step_id not in subject.after[other]
                why = f"{other}, and no way leads from there to it"
                advice = f"let an action lead to {other} first, or leave it out"
            if lost:
                place = document.inside(step.place, "dependsOn", number)
                yield say("L032", f"{step.step_id} depends on {why}", place, advice)


def _run_before(subject: Subject, step: str) -> set[str]:
    """The workflows that may have run when a step is reached, by key."""
    plan = subject.plan
    runs = {table.workflow: {child.workflow for child in table.children.values()} for table in plan.tables()}
    first = {
        child.workflow
        for child in plan.children.values()
        if child.role in ("dependency", "repair") or (child.step and step in subject.after[child.step])
    }
    return first.union(*(reaches(runs, key) for key in first))


HANDING: Final[tuple[Rule, ...]] = (_lacking, _unknown, _misfitting, _not_run, _not_done, _running_itself)
