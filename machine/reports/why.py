"""Plan + records -> why a run moved, in sentences, and what would have moved it otherwise. Pure.

Every guard that was looked at left its truth and its reason in the record; those behind the one that was taken were
never asked, and are told by what they ask for.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from ..chart.edit import in_terms_of_now
from ..chart.snapshot import GuardVerdict, Move, Record
from ..diagram.model import printable, span
from ..plan.model import CallPlan, Plan, Transition
from ..runtime.result import timestamp
from .timeline import Spell, name_of, spells

__all__ = ["moved", "observed", "why_lines"]

_WIDTH = 118
_INDENT = " " * 9
_ROUTINE = frozenset({"tolerance", "credential", "doubt", "conflict", "look"})
"""Rules of the machine that every state of a kind has alike: told where they were looked at, and in one line else."""
_PLAIN = frozenset({"start", "look"})
"""Rules beside which nothing else could have happened."""


def why_lines(plan: Plan, records: Sequence[Record]) -> Iterator[str]:
    """The history as paragraphs, in the terms of the plan that applies at its end. Equal answers in a row are told
    once, with how many there were and how long that took; what else could have happened in a state is told once."""
    told: set[tuple[str, str]] = set()
    for spell in spells(plan, in_terms_of_now(list(records))):
        first, last = spell.records[0], spell.last
        seqs = f"{first.seq}" if spell.count == 1 else f"{first.seq}-{last.seq}"
        yield f"{seqs:>7}  {timestamp(first.at)}  {_happened(spell)}"
        for number, move in enumerate(last.moves):
            if number:
                yield f"{_INDENT}then {move.on.replace('_', ' ')}"
            yield from moved(plan, move, times=spell.count, briefly=(move.source, move.on) in told)
            if _rule(plan, move.transition) not in _PLAIN:
                told.add((move.source, move.on))


def moved(plan: Plan, move: Move, *, times: int = 1, briefly: bool = False, indent: str = _INDENT) -> Iterator[str]:
    """Why one move was made, and what would have been made instead; ``briefly``: without what was not looked at."""
    source, target = name_of(plan, move.source), _beside(plan, move.target, move.source)
    way = f"stayed in {source}" if move.source == move.target else f"{source} -> {target}"
    every = f", each of {times} times" if times > 1 else ""
    taken = next((one for one in reversed(move.guards) if one.truth), None)
    yield from _folded(f"{way}{every}, by {taken.label}: {observed(plan, taken)}" if taken else f"{way}{every}", indent)
    if _rule(plan, move.transition) in _PLAIN:
        return
    for verdict in {(one.label, one.why): one for one in move.guards if not one.truth}.values():
        # A plan reaches one edge in several ways, so its reasons repeat.
        other = _transition(plan, verdict.transition)
        if other is None or other.rule == "look":
            continue
        needs = f", which needs {other.guard.text}" if other.guard.criteria else ""
        yield from _folded(f"not {verdict.label}{_to(plan, other)}{needs}: {observed(plan, verdict)}", indent + "  ")
    if not briefly:
        yield from _otherwise(plan, move, indent + "  ")


def _otherwise(plan: Plan, move: Move, indent: str) -> Iterator[str]:
    """The transitions of the state for this event that stand behind the one taken."""
    asked = {one.transition for one in move.guards}
    shown = {one.label for one in move.guards}
    routine: list[str] = []
    for one in plan.leaving(move.source):
        if move.on not in one.on or one.id in asked or one.label in shown:
            continue
        shown.add(one.label)
        if one.rule in _ROUTINE:
            routine.append(one.label)
        else:
            needs = "when nothing else applies" if one.guard.text == "otherwise" else f"when {one.guard.text}"
            yield from _folded(f"else {one.label}{_to(plan, one)} {needs}", indent)
    if routine:
        yield from _folded(f"else, by the machine's own rules: {', '.join(routine)}", indent)


def _beside(plan: Plan, state: str, other: str) -> str:
    """The name of a state, without its workflow where that of the other state was named just before."""
    whole = name_of(plan, state)
    workflow, _, name = whole.rpartition(" / ")
    return name if workflow == name_of(plan, other).rpartition(" / ")[0] else whole


def _to(plan: Plan, one: Transition) -> str:
    target = _beside(plan, one.target, one.source)
    return "" if target == one.label else f" (to {target})"


def observed(plan: Plan, verdict: GuardVerdict) -> str:
    """The reason of a verdict without the conditions themselves, which stand elsewhere: what was seen, each thing
    once."""
    why = verdict.why
    one = _transition(plan, verdict.transition)
    call = _call(plan, one.source) if one else None
    for criterion in (*(one.guard.criteria if one else ()), *(call.success if call else ())):
        why = why.replace(f"{criterion.text}: ", "").replace(f"{' '.join(criterion.text.split())}: ", "")
    return "; ".join(dict.fromkeys(why.split("; ")))


def _transition(plan: Plan, transition: str) -> Transition | None:
    return next((one for table in plan.tables() for one in table.transitions if one.id == transition), None)


def _rule(plan: Plan, transition: str) -> str:
    found = _transition(plan, transition)
    return found.rule if found else ""


def _call(plan: Plan, state: str) -> CallPlan | None:
    """The call a state makes or is in doubt about."""
    found = ((table, one) for table in plan.tables() for one in table.states if one.id == state)
    return next((table.calls.get(one.step) for table, one in found), None)


def _happened(spell: Spell) -> str:
    if not spell.sent:
        return printable(spell.answer)
    times = f", {spell.count} times in {span(spell.ended - spell.began)}" if spell.count > 1 else ""
    seen = f": {spell.seen}" if spell.seen else ""
    answered = f"was answered {spell.answer}" if spell.answer.isdigit() else f"got no answer ({spell.answer})"
    return printable(f"{spell.sent} {answered}{times}{seen}")


def _folded(text: str, indent: str) -> Iterator[str]:
    yield from textwrap.wrap(
        printable(text),
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
