"""Fates of a Plan -> Findings: answers the description declares and the document says nothing about, or may not.

What no action speaks of is decided by a rule of this machine (ambiguity A1), so an author should have seen it. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from ..document.findings import Finding
from ..document.model import Step
from ..errors import Place
from ..expressions.question import Ask, nobody
from ..plan.model import Plan
from ..sources.description import Description
from ..values import Json
from .fates import Fate, fates_of

__all__ = ["uncovered"]

_MAX_SHOWN = 12


def uncovered(description: Description, plan: Plan, *, ask: Ask = nobody) -> tuple[Finding, ...]:
    """One finding for each member and each step whose listed values are not all spoken of, and one for each step some
    of whose declared successes are not; where neither is known, one for each step that ends a success as unmatched,
    depending on what nobody knows yet."""
    workflow = description.document.workflow(plan.workflow)
    if workflow is None:
        return ()
    steps = {step.step_id: step for step in workflow.steps}
    following = dict(zip_longest(steps, list(steps)[1:], fillvalue=""))
    decided = bool(workflow.extension.get("unmatched"))
    found: dict[Finding, None] = {}
    own = {state.id: state.step for state in plan.states}
    for state_id, fates in fates_of(plan, ask=ask, own=True).items():
        step = steps.get(own.get(state_id, ""))
        if step is not None and not decided and not step.extension.get("unmatched"):
            # A step and the loop it heads have two states with one set of rules.
            known = list(_of_state(step, fates, plan))
            found.update(dict.fromkeys(known or _may_end(step, following[step.step_id], fates, plan)))
    for state in plan.states:
        # What a workflow returns is listed nowhere, so of the steps that run one the table alone tells.
        step = steps.get(state.step) if state.kind == "workflow" and plan.children[state.child].poll is None else None
        ends = any(one.stop == "unmatched" for one in plan.leaving(state.id))
        if step is not None and ends and not decided and not step.extension.get("unmatched"):
            found[_ending(step, following[step.step_id], plan)] = None
    return tuple(found)


def _may_end(step: Step, following: str, fates: Sequence[Fate], plan: Plan) -> Iterator[Finding]:
    """A success that may match no action of a step, where the run then ends. ``following`` is the step behind it. Loops
    are told by what is listed alone: many are meant to be left so."""
    call = plan.calls[step.step_id]
    answers = [one for one in fates if one.answer.status in call.operation.responses] or fates
    if call.poll is None and any(one.transition.stop == "unmatched" for one in answers):
        yield _ending(step, following, plan)


def _ending(step: Step, following: str, plan: Plan) -> Finding:
    lost = following and following not in {state.step for state in plan.states}
    why = f"{following}, which is next by position, is never reached; the run fails" if lost else "the run fails"
    return Finding(
        code="AZM-L031",
        severity="warning",
        message=f"when no action of {step.step_id} applies, {why}",
        place=_place(step),
        suggestion="add an action for the other answers, or say x-machine: {unmatched: next | end | fail}",
    )


def _place(step: Step) -> Place:
    return step.on_success[0].place if step.on_success else step.place


def _of_state(step: Step, fates: Sequence[Fate], plan: Plan) -> Iterator[Finding]:
    place = _place(step)
    operation = plan.calls[step.step_id].operation
    # Leaving a loop by matching nothing is how a loop of one action is meant to be left. What may also do otherwise,
    # because it depends on what nobody knows yet, is not said to match nothing.
    open_ends = [
        one
        for one in fates
        if one.transition.rule == "unmatched" and one.transition.stop == "unmatched" and not one.depends
    ]
    for pointer in dict.fromkeys(name for one in open_ends for name in one.answer.values if not name.startswith("$")):
        missed = _values(pointer, open_ends)
        met = _values(pointer, [one for one in fates if one not in open_ends])
        missed = {key: value for key, value in missed.items() if key not in met}
        if missed and met:
            yield _say(
                f"{len(missed)} of {len(missed) + len(met)} values of {pointer or 'the body'} match no action of "
                f"{step.step_id}: {_listed(list(missed.values()))}",
                step,
                plan,
                place,
            )
    declared = dict.fromkeys(one.answer.status for one in fates if one.answer.status in operation.responses)
    statuses = [one.answer.status for one in open_ends if not one.answer.values and one.answer.status in declared]
    if statuses and len(statuses) < sum(status[:1] == "2" for status in declared):
        yield _say(
            f"{operation.title} may answer {_listed(statuses)}, and no action of {step.step_id} applies",
            step,
            plan,
            place,
        )


def _say(message: str, step: Step, plan: Plan, place: Place) -> Finding:
    does = {"fail": "the run fails", "end": "the run ends", "next": "the next step follows"}
    policy = plan.calls[step.step_id].unmatched
    return Finding(
        code="AZM-L010",
        severity="warning",
        message=f"{message}; then {does[policy]}",
        place=place,
        suggestion="add an action for them, or say what is meant: x-machine: {unmatched: next | end | fail}",
    )


def _values(pointer: str, fates: Sequence[Fate]) -> dict[str, Json]:
    return {
        repr(one.answer.values[pointer]): one.answer.values[pointer] for one in fates if pointer in one.answer.values
    }


def _listed(values: Sequence[Json]) -> str:
    shown = [one if isinstance(one, str) else json.dumps(one) for one in values[:_MAX_SHOWN]]
    return ", ".join([*shown, *(["..."] if len(values) > _MAX_SHOWN else [])])
