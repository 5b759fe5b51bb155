"""Which inputs of which workflows are secrets, where one workflow hands its inputs to another.

An input is secret because of what its own workflow says (``plan/inputs.py``), because it reaches a credential by way of
other workflows, because it may be given a secret, or because it is handed on to an input that is one. What is secret
stays a reference everywhere; a workflow that tests it is refused wherever it stands.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from heapq import heappop, heappush

from ..expressions.evaluate import resolve_name
from ..expressions.template import references
from .credentials import Scope, input_read, placed_inputs
from .draft import Draft
from .inputs import declared_inputs, own_secrets, told_open

__all__ = ["find_secrets"]


def find_secrets(drafts: Mapping[str, Draft]) -> dict[str, dict[str, str]]:
    """By workflow: input name to how we know that it is secret. Nothing is asked twice, so rings of workflows end."""
    found = {key: own_secrets(one.site.workflow, one.calls) for key, one in drafts.items()}
    for (key, name), why in _placed(drafts).items():
        if name not in told_open(drafts[key].site.workflow):
            found[key].setdefault(name, why)
    handed = _handed_on(drafts)
    free = {key: told_open(one.site.workflow) for key, one in drafts.items()}
    touching: dict[tuple[str, str], list[int]] = {}
    for number, pair in enumerate(handed):
        for place in pair:
            touching.setdefault(place, []).append(number)
    # Round after round over all of them, as they are written; only those are looked at again that may tell more.
    waiting = [(0, number) for number in range(len(handed))]
    queued = set(waiting)
    while waiting:
        turn, number = heappop(waiting)
        (caller, given), (callee, taken) = handed[number]
        changed: list[tuple[str, str]] = []
        if given in found[caller] and taken not in found[callee]:
            found[callee][taken] = f"it is given {given} of {caller}"
            changed.append((callee, taken))
        if taken in found[callee] and given not in found[caller] and given not in free[caller]:
            found[caller][given] = f"it is handed to {taken} of {callee}"
            changed.append((caller, given))
        for other in (one for place in changed for one in touching[place]):
            again = (turn + (other <= number), other)
            if again not in queued:
                queued.add(again)
                heappush(waiting, again)
    return found


def _placed(drafts: Mapping[str, Draft]) -> dict[tuple[str, str], str]:
    """Workflow and input to the sentence that says which credential it reaches, in whichever workflow."""
    scopes = {
        key: Scope(calls=one.calls, children=tuple(one.children), outputs=one.outputs, prefix=one.site.scope)
        for key, one in drafts.items()
    }
    return {
        (key, _declared(name, declared_inputs(drafts[key].site.workflow))): why
        for (key, name), why in placed_inputs(scopes).items()
    }


def _handed_on(drafts: Mapping[str, Draft]) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Every (workflow, input) whose value reaches another (workflow, input)."""
    found = []
    for key, draft in drafts.items():
        own = declared_inputs(draft.site.workflow)
        for child in draft.children:
            for name, template in child.parameters:
                read = filter(None, (input_read(one) for one in references(template) if one.root == "inputs"))
                found += [((key, _declared(one, own)), (child.workflow, name)) for one in read]
            if child.same_named and child.workflow in drafts:
                callee = drafts[child.workflow]
                names = {*declared_inputs(callee.site.workflow), *own_secrets(callee.site.workflow, callee.calls)}
                found += [((key, name), (child.workflow, name)) for name in sorted(names)]
    return [one for one in found if one[1][0] in drafts]


def _declared(name: str, declared: Collection[str]) -> str:
    known = resolve_name(name, declared)
    return known[0] if known else name
