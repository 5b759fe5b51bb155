"""Which inputs of which workflows are secrets, where one workflow hands its inputs to another.

An input is secret because of what its own workflow says (``plan/inputs.py``), because it may be given a secret, or
because it is handed on to an input that is one. What is secret stays a reference everywhere; a workflow that tests it
is refused wherever it stands.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..expressions.evaluate import resolve_name
from ..expressions.template import references
from .draft import Draft
from .inputs import declared_inputs, own_secrets, told_open

__all__ = ["find_secrets"]


def find_secrets(drafts: Mapping[str, Draft]) -> dict[str, dict[str, str]]:
    """By workflow: input name to how we know that it is secret. Nothing is asked twice, so rings of workflows end."""
    found = {key: own_secrets(one.site.workflow, one.calls) for key, one in drafts.items()}
    handed = _handed_on(drafts)
    changed = True
    while changed:
        changed = False
        for (caller, given), (callee, taken) in handed:
            if given in found[caller] and taken not in found[callee]:
                found[callee][taken] = f"it is given {given} of {caller}"
                changed = True
            open_word = given in told_open(drafts[caller].site.workflow)
            if taken in found[callee] and given not in found[caller] and not open_word:
                found[caller][given] = f"it is handed to {taken} of {callee}"
                changed = True
    return found


def _handed_on(drafts: Mapping[str, Draft]) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Every (workflow, input) whose value reaches another (workflow, input)."""
    found = []
    for key, draft in drafts.items():
        own = declared_inputs(draft.site.workflow)
        for child in draft.children:
            for name, template in child.parameters:
                read = [one.name for one in references(template) if one.root == "inputs" and one.name]
                found += [((key, _declared(one, own)), (child.workflow, name)) for one in read]
            if child.same_named and child.workflow in drafts:
                callee = drafts[child.workflow]
                names = {*declared_inputs(callee.site.workflow), *own_secrets(callee.site.workflow, callee.calls)}
                found += [((key, name), (child.workflow, name)) for name in sorted(names)]
    return [one for one in found if one[1][0] in drafts]


def _declared(name: str, declared: Collection[str]) -> str:
    known = resolve_name(name, declared)
    return known[0] if known else name
