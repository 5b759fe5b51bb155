"""``plan``: the machine a workflow compiles to, as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from . import options as flags
from .calling import need_lines
from .completing import workflow_names

if TYPE_CHECKING:
    from ..chart.fates import Fate
    from ..plan.model import CallPlan, Plan, State

__all__ = ["plan"]


@click.command()
@click.argument("target", metavar="DOCUMENT", shell_complete=workflow_names)
@flags.document
@flags.as_json
def plan(target: str, workflow: str, as_json: bool, **given: Any) -> None:
    """Print the machine a workflow compiles to.

    Its states, its guarded transitions in the order they are tried, what each answer the description declares would
    do, the calls that may cost money, and what it needs to run. Sends nothing and needs no inputs. Without -w every
    workflow of the document is printed.

    \b
    arazzo-machine plan deploy-inference-endpoint
    """
    from ..chart.fates import fates_of
    from ..plan.build import build_plan
    from ..runtime.evaluator import Evaluator
    from .printing import echo_json, say

    description = flags.describe_target(target, given)
    names = [workflow] if workflow else [one.workflow_id for one in description.document.workflows]
    plans = [
        build_plan(description, workflow=name, unmatched=given["unmatched"], strict=given["strict"]) for name in names
    ]
    evaluator = Evaluator()
    fates = [fates_of(one, ask=evaluator) for one in plans]
    if as_json:
        shown = [
            {**one.to_json(), "fates": {state: [fate.to_json() for fate in each] for state, each in table.items()}}
            for one, table in zip(plans, fates, strict=True)
        ]
        echo_json(shown[0] if len(shown) == 1 else {"plans": shown})
        return
    for one, table in zip(plans, fates, strict=True):
        for line in plan_lines(one, table):
            say(line, err=False)


def plan_lines(plan: Plan, fates: Mapping[str, Sequence[Fate]]) -> Iterator[str]:
    """A plan as a person reads it, then every workflow it can run."""
    yield f"{plan.workflow}: {plan.title}"
    yield ""
    yield from _table_lines(plan, fates)
    for source, servers in plan.servers.items():
        yield from (f"calls {source}: {server or 'no server described, give --server'}" for server in servers)
    yield from need_lines(plan)
    yield from _effect_lines(plan)
    yield f"deadline {plan.deadline:g} s, at most {plan.call_limit} calls and {plan.transition_limit} transitions"
    yield from (f"note: {notice}" for notice in plan.notices)
    yield ""
    for callee in plan.callees.values():
        yield f"runs {callee.workflow}: {callee.title}"
        yield ""
        yield from _table_lines(callee, fates)
        yield from _effect_lines(callee)
        yield from (f"note: {notice}" for notice in callee.notices)
        yield ""


def _table_lines(plan: Plan, fates: Mapping[str, Sequence[Fate]]) -> Iterator[str]:
    """The states, the moves, the fates and the inputs of one workflow."""
    from .printing import table

    names = {state.id: state.name for state in plan.states}
    rows = [[state.name, state.phase, state.kind, _doing(plan, state)] for state in plan.states]
    yield from table([["STATE", "PHASE", "KIND", "CALL"], *rows])
    yield ""
    moves = []
    for state in plan.states:
        # The list is the precedence: the first whose guard holds is taken.
        judged = (t for t in plan.leaving(state.id) if "replied" in t.on or "returned" in t.on)
        for number, one in enumerate(judged, start=1):
            moves.append([state.name, f"{number}.", one.label, f"-> {names[one.target]}", one.guard.text])
        for one in plan.leaving(state.id):
            if state.kind == "doubt" and "resolved" in one.on:
                moves.append([state.name, "*", one.label, f"-> {names[one.target]}", one.guard.text])
    yield from table([["FROM", "", "TRANSITION", "TO", "WHEN"], *moves])
    yield ""
    yield from table([["STATE", "TRANSITION", "TO", "ANSWERS THAT LEAD THERE"], *_fate_rows(plan, fates, names)])
    yield ""
    for one_input in plan.inputs:
        need = "required" if one_input.required and not one_input.origin else "optional"
        note = f", secret ({one_input.why_secret})" if one_input.secret else ""
        default = f", default {one_input.schema['default']!r}" if "default" in one_input.schema else ""
        origin = f", from {one_input.origin}" if one_input.origin else ""
        yield f"input {one_input.name}: {need}{note}{default}{origin}"


def _effect_lines(plan: Plan) -> Iterator[str]:
    for step, call in plan.calls.items():
        if call.unsafe:
            yield f"effect {step}: {call.kind}, in doubt it {_policy(call)}"


def _doing(plan: Plan, state: State) -> str:
    """What is done in a state."""
    call = plan.calls.get(state.step) if state.kind == "call" else None
    child = plan.children.get(state.child)
    if call is not None:
        doing, poll = f"{call.operation.method} {call.operation.path} ({call.kind})", call.poll
    elif child is not None:
        doing, poll = f"runs {child.workflow}", child.poll
    else:
        return ""
    if state.polls and poll is not None:
        doing += f", every {poll.interval:g} s growing by {poll.backoff:g} to {poll.max:g} s"
    return doing


def _fate_rows(plan: Plan, fates: Mapping[str, Sequence[Fate]], names: Mapping[str, str]) -> Iterator[list[str]]:
    """What becomes of each answer the description declares, one row for each transition that takes some."""
    for state_id, each in fates.items():
        if state_id not in names:
            continue
        taken: dict[tuple[str, bool], list[Fate]] = {}
        for fate in each:
            taken.setdefault((fate.transition.id, fate.held), []).append(fate)
        for some in taken.values():
            one = some[0].transition
            answers = dict.fromkeys(fate.answer.status for fate in some)
            shown = "; ".join(_answers(status, some) for status in answers)
            # Where the document would send again what may have been applied, the run stops instead.
            target = "held, in doubt" if some[0].held else names[one.target]
            yield [names[state_id], one.label, f"-> {target}", shown]


def _answers(status: str, fates: Sequence[Fate]) -> str:
    """``200 with /status/state running``: a status, and the values with which it does the same."""
    of_status = [fate.answer.values for fate in fates if fate.answer.status == status]
    pointers = dict.fromkeys(pointer for values in of_status for pointer in values)
    if len(pointers) == 1:
        pointer = next(iter(pointers))
        return f"{status} with {pointer} {' | '.join(_value(values[pointer]) for values in of_status)}"
    several = [", ".join(f"{pointer} {_value(one)}" for pointer, one in values.items()) for values in of_status]
    return f"{status} with {' | '.join(several)}" if pointers else status


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _policy(call: CallPlan) -> str:
    """What is done when nobody knows whether a call was applied, in words."""
    effect = call.effect
    if effect.on_doubt == "probe" and effect.probe is not None:
        return f"looks: {effect.probe.operation.method} {effect.probe.operation.path}"
    if effect.on_doubt == "reissue":
        return "is sent again with its idempotency key"
    return "holds" if effect.on_doubt != "fail" else "counts as failed"
