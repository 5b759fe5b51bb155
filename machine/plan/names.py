"""Which word each state of a plan is shown by. Names are data: nothing is ever looked up by them.

A state entered by one named ``goto`` action, and not just by being next, is named after that action, otherwise after
the step it calls; a waiting state is ``polling``; doubt is ``in_doubt``; ends, and states that stand for an action or
a dependency, carry the name they were made with.
``x-machine.state`` overrides. Where two states would share a name, the step's name is used; where that is taken too, a
word in brackets tells them apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .model import State, Transition

__all__ = ["assign_names"]


def assign_names(
    states: Sequence[State], transitions: Sequence[Transition], overrides: Mapping[str, str]
) -> dict[str, str]:
    """State id to display name; every name is used once."""
    wanted = {state.id: _wish(state, states, transitions, overrides) for state in states}
    taken = Counter(wanted.values())
    for state in states:
        if state.kind in ("call", "workflow") and not state.name and not state.polls and taken[wanted[state.id]] > 1:
            wanted[state.id] = state.step
    names: dict[str, str] = {}
    for state in states:
        name = wanted[state.id]
        if name in names.values():
            name = f"{name} ({state.phase if state.kind == 'final' else state.step or state.kind})"
        number = 2
        base = name
        while name in names.values():
            name = f"{base} {number}"
            number += 1
        names[state.id] = name
    return names


def _wish(
    state: State, states: Sequence[State], transitions: Sequence[Transition], overrides: Mapping[str, str]
) -> str:
    if state.name:
        return state.name
    if state.kind == "doubt":
        return "in_doubt" if sum(one.kind == "doubt" for one in states) == 1 else f"in_doubt {state.step}"
    if state.polls:
        return "polling" if sum(one.polls for one in states) == 1 else f"polling {state.step}"
    if overrides.get(state.step):
        return overrides[state.step]
    if state is states[0]:
        return state.step
    entering = [one for one in transitions if one.target == state.id and one.source != state.id and "replied" in one.on]
    gotos = {one.label for one in entering if one.rule == "action"}
    follows = any(one.rule == "next" for one in entering)
    return gotos.pop() if len(gotos) == 1 and not follows else state.step
