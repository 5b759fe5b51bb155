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
    from ..chart.fates import Fate, Tables
    from ..plan.model import CallPlan, Plan, PollPolicy, State, Transition

__all__ = ["plan"]

_MAX_DEPENDS = 3


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
    from ..plan.build import Shared, build_plan
    from ..plan.needs import credential_needs
    from ..runtime.evaluator import Evaluator
    from .printing import echo_json, say

    description = flags.describe_target(target, given)
    names = [workflow] if workflow else [one.workflow_id for one in description.document.workflows]
    shared = Shared()
    plans = [
        build_plan(description, workflow=name, unmatched=given["unmatched"], strict=given["strict"], shared=shared)
        for name in names
    ]
    evaluator = Evaluator()
    known: Tables = {}
    fates = [fates_of(one, ask=evaluator, known=known) for one in plans]
    if as_json:
        shown = [
            {
                **one.to_json(),
                "fates": {state: [fate.to_json() for fate in each] for state, each in table.items()},
                "needs": [need.to_json() for need in credential_needs(one)],
            }
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
    yield from table([["FROM", "", "TRANSITION", "TO", "WHEN"], *_move_rows(plan)])
    yield ""
    told = list(_fate_rows(plan, fates, names))
    if told:
        yield from table([["STATE", "TRANSITION", "TO", "ANSWERS THAT LEAD THERE"], *told])
        yield ""
    for one_input in plan.inputs:
        need = "required" if one_input.required and not one_input.origin else "optional"
        note = f", secret ({one_input.why_secret})" if one_input.secret else ""
        default = f", default {one_input.schema['default']!r}" if "default" in one_input.schema else ""
        origin = f", from {one_input.origin}" if one_input.origin else ""
        yield f"input {one_input.name}: {need}{note}{default}{origin}"


def _move_rows(plan: Plan) -> Iterator[list[str]]:
    """The transitions in their precedence: the first whose guard holds is taken. One that no call of the state can take
    is left out."""
    from ..chart.fates import may_send_credential

    states = {state.id: state for state in plan.states}
    for state in plan.states:
        call, child = plan.calls.get(state.step) if state.kind == "call" else None, plan.children.get(state.child)
        bare = call is not None and True not in may_send_credential(plan, call)
        if child is not None and child.role == "transfer":
            yield [state.name, "*", "becomes", f"-> {child.workflow}", "it can begin, and then takes this one's place"]
        judged = [one for one in plan.leaving(state.id) if "replied" in one.on or "returned" in one.on]
        judged = [one for one in judged if not (bare and one.rule == "credential")]
        for number, one in enumerate(judged, start=1):
            yield [state.name, f"{number}.", one.label, _target(plan, one, states[one.target]), one.guard.text]
        for one in plan.leaving(state.id):
            if state.kind == "doubt" and "resolved" in one.on:
                yield [state.name, "*", one.label, f"-> {states[one.target].name}", one.guard.text]


def _target(plan: Plan, one: Transition, target: State) -> str:
    """Where a transition leads, and how it is paced where its target does not say so."""
    from ..plan.model import PollPolicy

    paced = one.pace == "poll" and not target.polls and target.kind != "final" and not one.stop
    return f"-> {target.name}{_pace(_poll_of(plan, target) or PollPolicy()) if paced else ''}"


def _effect_lines(plan: Plan) -> Iterator[str]:
    for step, call in plan.calls.items():
        if call.unsafe:
            yield f"effect {step}: {call.kind}, in doubt it {_policy(call)}"


def _doing(plan: Plan, state: State) -> str:
    """What is done in a state."""
    call = plan.calls.get(state.step) if state.kind == "call" else None
    child = plan.children.get(state.child)
    if call is not None:
        doing = f"{call.operation.method} {call.operation.path} ({call.kind})"
    elif child is not None:
        doing = f"runs {child.workflow}"
    else:
        return ""
    poll = _poll_of(plan, state)
    return doing + (_pace(poll) if state.polls and poll is not None else "")


def _poll_of(plan: Plan, state: State) -> PollPolicy | None:
    """How what is done in a state is paced, where it says so itself."""
    does = plan.calls.get(state.step) if state.kind == "call" else plan.children.get(state.child)
    return does.poll if does is not None else None


def _pace(poll: PollPolicy) -> str:
    return f", every {poll.interval:g} s growing by {poll.backoff:g} to {poll.max:g} s"


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
            statuses = dict.fromkeys(fate.answer.status for fate in some)
            shown = "; ".join(
                one
                for status in statuses
                for one in _answers(
                    status,
                    [fate for fate in some if fate.answer.status == status],
                    [fate.answer.values for fate in each if fate.answer.status == status],
                )
            )
            # Where the document would send again what may have been applied, the run stops instead.
            target = "held, in doubt" if some[0].held else names[one.target]
            yield [names[state_id], one.label, f"-> {target}", shown]


def _answers(status: str, fates: Sequence[Fate], foreseen: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """``200 with /status/state running, depending on $inputs.mode``: a status, the values with which it does the same,
    and what else decides. ``foreseen`` are all values the status was tried with."""
    depending: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for fate in fates:
        depending.setdefault(fate.depends, []).append(fate.answer.values)
    for depends, values in depending.items():
        alike = _alike(values, foreseen)
        pointers = dict.fromkeys(pointer for each in alike for pointer in each)
        shown = status
        if len(pointers) == 1:
            pointer = next(iter(pointers))
            shown += f" with {pointer or 'the body'} {' | '.join(_value(each[pointer]) for each in alike)}"
        elif pointers:
            several = (", ".join(f"{name or 'the body'} {_value(one)}" for name, one in each.items()) for each in alike)
            shown += f" with {' | '.join(several)}"
        if depends:
            listed = [*depends[:_MAX_DEPENDS], *(["more"] if len(depends) > _MAX_DEPENDS else [])]
            shown += f", depending on {' and '.join(listed)}"
        yield shown


def _alike(values: Sequence[Mapping[str, Any]], foreseen: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The values without the inputs all of whose values are among them, whatever the others are."""
    found = list(values)
    for pointer in dict.fromkeys(name for each in values for name in each if name.startswith("$")):
        every = {json.dumps(each[pointer]) for each in foreseen if pointer in each}
        seen: dict[str, set[str]] = {}
        for each in found:
            rest = json.dumps({name: value for name, value in each.items() if name != pointer})
            seen.setdefault(rest, set()).add(json.dumps(each.get(pointer)))
        if all(one == every for one in seen.values()):
            found = [json.loads(rest) for rest in seen]
    return found


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
