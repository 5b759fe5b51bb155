"""Two plans of one workflow -> what differs between them, and which state of one is which state of the other. Pure.

States and transitions have generated ids, so two plans are compared by what a row is: a state by its workflow, the call
it makes and how it is entered, an end by its name, a transition by where it starts, what sets it off, its rule and its
label. Workflows are known by their keys.
Nothing here decides whether a run may change from one plan to the other (``chart/edit.py``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .model import CallPlan, ChildPlan, Plan, State, Transition

__all__ = ["Change", "Difference", "compare"]

_SHOWN = 120
_ASPECTS: Mapping[str, str] = {
    "success": "success criteria",
    "outputs": "outputs",
    "kind": "effect",
    "effect": "effect",
    "poll": "pace",
    "timeout": "pace",
    "unmatched": "unmatched",
}
"""Part of a step's call to the word for it; every other part is of its request."""

_KEY = frozenset({"id", "source", "target", "on", "label", "rule"})
"""What a transition is known by or what is generated; the rest of it may differ."""
_LIMITS = ("deadline", "call_limit", "transition_limit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is not as it was. ``before`` and ``after`` are JSON; None where there was or is nothing."""

    what: str
    """``state``, ``transition``, ``guard``, ``order``, ``request``, ``success criteria``, ``outputs``, ``effect``,
    ``pace``, ``unmatched``, ``input``, ``output``, ``limit``."""
    where: str
    """The name of the state or step, behind that of its workflow where it is another than the run's own; empty for the
    workflow as a whole."""
    before: Any = None
    after: Any = None
    name: str = ""
    """Which transition, part of a request, input or limit."""

    def __str__(self) -> str:
        named = " ".join(word for word in (self.what, self.name and repr(self.name)) if word)
        thing = f"{self.where}: {named}" if self.where and self.what != "state" else f"{named} {self.where}".strip()
        if self.before is None:
            return f"{thing} is new" + ("" if self.what == "state" else f": {_short(self.after)}")
        if self.after is None:
            return f"{thing} is gone"
        return f"{thing}: {_short(self.before)} becomes {_short(self.after)}"

    def to_json(self) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in self.__slots__}, "text": str(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What differs, and the ids that stand for the same row: of the plan before to that after."""

    changes: tuple[Change, ...]
    states: Mapping[str, str]
    transitions: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        return {"changes": [one.to_json() for one in self.changes]}


def compare(before: Plan, after: Plan) -> Difference:
    """What the plan ``after`` says otherwise. Where things stand in their documents is no difference."""
    states = _paired(_state_keys(before), _state_keys(after))
    old, new = _transition_keys(before), _transition_keys(after)
    return Difference(
        changes=(
            *_of_states(before, after, states),
            *_of_calls(before, after),
            *_of_answers(before, after, old, new),
            *_of_plan(before, after),
        ),
        states=states,
        transitions=_paired(old, new),
    )


def _paired(before: Mapping[tuple[str, ...], str], after: Mapping[tuple[str, ...], str]) -> dict[str, str]:
    return {before[key]: after[key] for key in before if key in after}


# -- what a row is -----------------------------------------------------------------------------------------------------


def _where(plan: Plan, table: Plan, name: str) -> str:
    return name if table.workflow == plan.workflow else f"{table.workflow}/{name}"


def _state_key(table: Plan, state: State) -> str:
    """Everything but generated ids and what is only shown; an end is its name and how it ended."""
    shown = set() if state.kind == "final" else {"name", "phase"}
    told = {name: value for name, value in state.to_json().items() if name not in {"id", "of", *shown}}
    return _text([table.workflow, told])


def _state_keys(plan: Plan) -> dict[tuple[str, ...], str]:
    return {(_state_key(table, state),): state.id for table in plan.tables() for state in table.states}


def _transition_keys(plan: Plan) -> dict[tuple[str, ...], str]:
    """Keys of transitions; of several that look alike the first is the first."""
    keys = {state_id: key for (key,), state_id in _state_keys(plan).items()}
    seen: Counter[tuple[str, ...]] = Counter()
    found: dict[tuple[str, ...], str] = {}
    for table in plan.tables():
        for one in table.transitions:
            key = (keys[one.source], " ".join(one.on), one.rule, one.label, " ".join(one.guard.facts))
            seen[key] += 1
            found[*key, str(seen[key])] = one.id
    return found


# -- what differs ------------------------------------------------------------------------------------------------------


def _of_states(before: Plan, after: Plan, states: Mapping[str, str]) -> Iterator[Change]:
    news = {state.id: (table, state) for table in after.tables() for state in table.states}
    for table in before.tables():
        for old in table.states:
            where = _where(before, table, old.name)
            _, new = news.get(states.get(old.id, ""), (None, None))
            if new is None:
                yield Change(what="state", where=where, before=old.to_json())
            elif (old.name, old.phase) != (new.name, new.phase):
                was, becomes = ({"name": one.name, "phase": one.phase} for one in (old, new))
                yield Change(what="state", where=where, before=was, after=becomes)
    kept = set(states.values())
    for table, new in (news[state_id] for state_id in news if state_id not in kept):
        yield Change(what="state", where=_where(after, table, new.name), after=new.to_json())


def _of_calls(before: Plan, after: Plan) -> Iterator[Change]:
    """What steps send, and the workflows they run. Of one that is gone the states are gone, and that was said."""
    tables = {table.workflow: table for table in after.tables()}
    for table in before.tables():
        other = tables.get(table.workflow)
        if other is not None:
            yield from _of_steps(before, table, table.calls, other.calls)
            yield from _of_steps(before, table, table.children, other.children)


def _of_steps(
    plan: Plan, table: Plan, before: Mapping[str, CallPlan | ChildPlan], after: Mapping[str, CallPlan | ChildPlan]
) -> Iterator[Change]:
    for key in before:
        if key not in after:
            continue
        old, new = before[key].to_json(), after[key].to_json()
        for part in dict.fromkeys([*old, *new]):
            if part not in ("step", "place"):
                for pointer, was, becomes in _leaves_apart(old.get(part), new.get(part)):
                    what = _ASPECTS.get(part, "request")
                    name = pointer.removeprefix("/") if part in _ASPECTS else f"{part}{pointer}"
                    where = _where(plan, table, key)
                    yield Change(what=what, where=where, name=name, before=was, after=becomes)


def _leaves_apart(before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """Where two JSON values differ, as far down as both have the same shape: a pointer, and what stood and stands
    there. A template of the plan is told by the document's words."""
    open_pairs = [("", before, after)]
    while open_pairs:
        pointer, was, becomes = open_pairs.pop()
        was, becomes = _said(was), _said(becomes)
        if was == becomes:
            continue
        if isinstance(was, Mapping) and isinstance(becomes, Mapping):
            keys = dict.fromkeys([*was, *becomes])
            open_pairs += reversed([(f"{pointer}/{key}", was.get(key), becomes.get(key)) for key in keys])
        elif isinstance(was, list) and isinstance(becomes, list) and len(was) == len(becomes):
            pairs = enumerate(zip(was, becomes, strict=True))
            open_pairs += reversed([(f"{pointer}/{number}", one, other) for number, (one, other) in pairs])
        else:
            yield pointer, was, becomes


def _said(value: Any) -> Any:
    """One level of a template's JSON form as the document has it."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return value
    ((kind, body),) = value.items()
    if kind in ("lit", "expr", "object", "array"):
        return body
    if kind == "text" and isinstance(body, list):
        return "".join(part if isinstance(part, str) else f"{{{part['expr']}}}" for part in body)
    return value


def _of_answers(
    before: Plan, after: Plan, old_keys: Mapping[tuple[str, ...], str], new_keys: Mapping[tuple[str, ...], str]
) -> Iterator[Change]:
    """What answers lead to, and in which order they are asked. The copies of an action for a probe's answer and for a
    person's word follow from it and are not told again."""
    old, new = _answers(before), _answers(after)
    for key, one_id in old_keys.items():
        if one_id not in old:
            continue
        one, source = old[one_id]
        other = new.get(new_keys.get(key, ""))
        if other is None:
            yield Change(what="transition", where=source, name=one.label, before=_row(before, one))
            continue
        was, becomes = _row(before, one), _row(after, other[0])
        if was["when"] != becomes["when"]:
            yield Change(what="guard", where=source, name=one.label, before=was["when"], after=becomes["when"])
        if was != {**becomes, "when": was["when"]}:
            yield Change(what="transition", where=source, name=one.label, before=was, after=becomes)
    for key, one_id in new_keys.items():
        if one_id in new and key not in old_keys:
            one, source = new[one_id]
            yield Change(what="transition", where=source, name=one.label, after=_row(after, one))
    yield from _of_order(before, old, old_keys, new, new_keys)


def _of_order(
    plan: Plan,
    old: Mapping[str, tuple[Transition, str]],
    old_keys: Mapping[tuple[str, ...], str],
    new: Mapping[str, tuple[Transition, str]],
    new_keys: Mapping[tuple[str, ...], str],
) -> Iterator[Change]:
    """The first whose guard holds is taken, so another order is another machine."""
    both = [key for key in old_keys if key in new_keys and old_keys[key] in old and new_keys[key] in new]
    rank = {one: number for number, one in enumerate(new)}
    for where, state in ((_where(plan, table, one.name), one) for table in plan.tables() for one in table.states):
        was = [key for key in both if old[old_keys[key]][0].source == state.id]
        becomes = sorted(was, key=lambda key: rank[new_keys[key]])
        if was != becomes:
            labels = {key: old[old_keys[key]][0].label for key in was}
            yield Change(
                what="order",
                where=where,
                before=[labels[key] for key in was],
                after=[labels[key] for key in becomes],
            )


def _answers(plan: Plan) -> dict[str, tuple[Transition, str]]:
    """Transitions that judge what a state did, a call or a workflow, in order, with the name of the state."""
    return {
        one.id: (one, _where(plan, table, plan.state(one.source).name))
        for table in plan.tables()
        for one in table.transitions
        if not {"replied", "returned"}.isdisjoint(one.on) and plan.state(one.source).kind != "doubt"
    }


def _row(plan: Plan, one: Transition) -> dict[str, Any]:
    """A transition without generated ids, as JSON."""
    data = one.to_json()
    guard = data.pop("guard")
    rest = {
        name: value for name, value in data.items() if name not in ("id", "source", "target", "on", "label", "rule")
    }
    return {"to": plan.state(one.target).name, "when": guard, **rest}


def _of_plan(before: Plan, after: Plan) -> Iterator[Change]:
    tables = {table.workflow: table for table in after.tables()}
    for table in before.tables():
        other = tables.get(table.workflow)
        if other is None:
            continue
        where = _where(before, table, "").rstrip("/")
        inputs = ({one.name: one.to_json() for one in each.inputs} for each in (table, other))
        yield from _named("input", where, *inputs)
        old, new = table.to_json(), other.to_json()
        yield from _named("output", where, old["outputs"], new["outputs"])
        if not where:
            # Those of a workflow that is run by another bound nothing.
            yield from _named("limit", where, *({part: one[part] for part in _LIMITS} for one in (old, new)))


def _named(what: str, where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield Change(what=what, where=where, name=name, before=old.get(name), after=new.get(name))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _short(value: Any) -> str:
    """A value in a sentence; a guard or a transition by its own words."""
    if isinstance(value, Mapping):
        if "text" in value and "criteria" in value:
            return str(value["text"])
        if "to" in value and "when" in value:
            return f"to {value['to']} when {value['when']['text']}"
    text = value if isinstance(value, str) else _text(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
