"""Plan -> the fate table: what each answer the description declares would do in each state.

Every status of an operation's responses, and every value its schema lists where a guard looks, is made into an answer
and given to the chart itself; what is said here therefore cannot differ from what a run would do. Retries are shown as
if none was used yet. Needs a plan that was just built: a stored one no longer knows the description's schemas.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from math import prod
from typing import Any, Final

from ..expressions.question import Ask, nobody
from ..expressions.template import Template, references
from ..plan.model import CallPlan, Plan, State, Transition
from ..sources.model import Operation, Request
from ..sources.shapes import choices, put, sample
from ..values import Json, SecretRef, SecretText
from .calling import entry_of
from .chart import Chart
from .effects import Call
from .events import CallFailed, Event, Replied, Reply
from .snapshot import Frame, Snapshot

__all__ = ["Answer", "Fate", "fates_of", "foreseen"]

_MAX_ANSWERS: Final = 200
"""Answers tried for one status; where the values of several members would make more, they vary one by one."""
_WORD: Final = re.compile(r"[\w-]+")
_NO_ANSWER: Final = "no answer"
_NOT_SENT: Final = "not sent"
_OTHER: Final = "any other"
_SAMPLES: Final[Mapping[str, int]] = {"default": 500, _OTHER: 418}
"""Which status stands for those that are not named."""

Pointer = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer that was foreseen. ``values`` are by JSON Pointer, those only that guards may look at."""

    status: str
    """As the description has it (``200``, ``4XX``, ``default``), or ``any other``, ``no answer``, ``not sent``."""
    values: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What one answer does in one state."""

    answer: Answer
    transition: Transition
    held: bool = False
    """Whether the run stops in doubt where the transition leads: the document would send again what may have been
    applied."""

    def to_json(self) -> dict[str, Any]:
        one = self.transition
        return {
            "answer": self.answer.status,
            "values": dict(self.answer.values),
            "transition": one.id,
            "label": one.label,
            "rule": one.rule,
            "target": one.target,
            "stop": one.stop or ("in_doubt" if self.held else ""),
        }


def fates_of(plan: Plan, *, ask: Ask = nobody) -> dict[str, tuple[Fate, ...]]:
    """By the id of each state that makes a call, in any workflow of the plan, what becomes of each answer, in the order
    of the description.

    Members whose value changes nothing are left out: what is listed of them all does the same. ``ask`` matches the
    patterns of conditions.
    """
    chart = Chart(plan, evaluate=ask)
    transitions = {one.id: one for table in plan.tables() for one in table.transitions}
    found: dict[str, tuple[Fate, ...]] = {}
    calling = [(table, state) for table in plan.tables() for state in table.states if state.kind == "call"]
    for table, state in calling:
        call = table.calls[state.step]
        before = _standing(chart, table, state, call)
        fates = []
        for answer, event in foreseen(table, state, call):
            after, _, record = chart.advance(before, event)
            one = transitions[record.transition]
            doubt = after.stopped is not None and after.stopped.reason == "in_doubt"
            fates.append(Fate(answer=answer, transition=one, held=doubt and one.stop != "in_doubt"))
        found[state.id] = tuple(one for _, same in groupby(fates, _status) for one in _reduced(list(same)))
    return found


def _status(fate: Fate) -> str:
    return fate.answer.status


def _reduced(fates: list[Fate]) -> list[Fate]:
    """The fates of one status without the members that do not matter to any of them."""
    for pointer in tuple(fates[0].answer.values):
        without: dict[str, Fate] = {}
        matters = False
        for fate in fates:
            values = {name: value for name, value in fate.answer.values.items() if name != pointer}
            reduced = replace(fate, answer=replace(fate.answer, values=values))
            known = without.setdefault(json.dumps(values), reduced)
            matters = matters or known.transition is not fate.transition or known.held != fate.held
        fates = fates if matters else list(without.values())
    return fates


def _standing(chart: Chart, plan: Plan, state: State, call: CallPlan) -> Snapshot:
    """A run that waits for the answer of a state's call, with every input it could have been given."""
    inputs: dict[str, Any] = {one.name: SecretRef(one.name) if one.secret else "text" for one in plan.inputs}
    templates = [value for _, _, value in call.parameters]
    sent = {one.name for template in templates for one in references(template) if one.root == "inputs"}
    carried = tuple(("authorization", SecretText((SecretRef(name),))) for name in plan.secrets if name in sent)
    pending = Call(
        step=call.step,
        request=Request(source=call.operation.source, method=call.operation.method, target="/", headers=carried),
        kind=call.kind,
        not_before=0.0,
    )
    frame = Frame(workflow=plan.workflow, state=state.id, inputs=inputs)
    standing = replace(chart.begin(), frames=(frame,), pending=pending)
    return entry_of(pending, standing) if call.unsafe else standing


def foreseen(plan: Plan, state: State, call: CallPlan) -> Iterator[tuple[Answer, Event]]:
    """Every answer the description declares, as an event, and what it stands for; then that nothing is answered."""
    words = _words_of_guards(plan, state, call)
    operation = call.operation
    named = [status for status in operation.responses if _number(status)]
    for status in (*named, *(() if "default" in named else (_OTHER,))):
        schema = operation.reply_schemas.get(status)
        body = _body(operation, call, status)
        listed = choices(schema) if schema is not None else {}
        looked_at = {tokens: values for tokens, values in listed.items() if _is_named(tokens, words)}
        for values in _combinations(looked_at):
            filled = body
            for tokens, value in values.items():
                filled = put(filled, tokens, value)
            reply = Reply(status=_number(status), body=filled, form="empty" if filled is None else "json")
            shown = {_pointer(tokens): value for tokens, value in values.items()}
            yield Answer(status=status, values=shown), Replied(at=0.0, reply=reply)
    nothing = Answer(status=_NO_ANSWER, values={})
    yield nothing, CallFailed(at=0.0, fate="unknown", cause="timeout")
    yield replace(nothing, status=_NOT_SENT), CallFailed(at=0.0, fate="not_sent", cause="refused")


def _number(status: str) -> int:
    """A status that stands for the key; 0 where it is none."""
    if status in _SAMPLES:
        return _SAMPLES[status]
    text = status.upper().replace("XX", "00")
    return int(text) if len(text) == 3 and text.isdecimal() and "100" <= text <= "599" else 0


def _body(operation: Operation, call: CallPlan, status: str) -> Any:
    """What such an answer may hold; and whatever the step's outputs are read from, so that nothing is missing that the
    description leaves unsaid."""
    schema = operation.reply_schemas.get(status)
    body: Any = sample(schema) if schema is not None else None
    if status[:1] != "2" or (schema is None and operation.responses.get(status, {}).get("content")):
        return body
    for template in call.outputs.values():
        for one in references(template):
            if one.root == "response" and one.part == "body" and one.pointer and _at(body, one.pointer) is None:
                body = put(body, one.pointer, "text")
    return body


def _at(body: Any, tokens: Pointer) -> Any:
    for token in tokens:
        if isinstance(body, Mapping):
            body = body.get(token)
        elif isinstance(body, list) and token.isdecimal() and len(token) < 9 and int(token) < len(body):
            body = body[int(token)]
        else:
            return None
    return body


def _words_of_guards(plan: Plan, state: State, call: CallPlan) -> frozenset[str]:
    """Every word that stands in a guard of the state, or in what the step's outputs are read from: a guard may look
    at those."""
    criteria = [*call.success, *(one for edge in plan.leaving(state.id) for one in edge.guard.criteria)]
    texts = [f"{one.context or ''} {one.text}" for one in criteria]
    templates: Sequence[Template] = tuple(call.outputs.values())
    texts += [str(one) for template in templates for one in references(template)]
    return frozenset(word for text in texts for word in _WORD.findall(text))


def _is_named(tokens: Pointer, words: frozenset[str]) -> bool:
    names = [token for token in tokens if token != "0"]
    return bool(names) and all(word in words for token in names for word in _WORD.findall(token))


def _combinations(listed: Mapping[Pointer, tuple[Json, ...]]) -> Iterator[dict[Pointer, Json]]:
    """Every combination of the values, or where that is too many each member's values with the first of the others."""
    if prod(len(values) for values in listed.values()) <= _MAX_ANSWERS:
        for chosen in product(*listed.values()):
            yield dict(zip(listed, chosen, strict=True))
        return
    first = {tokens: values[0] for tokens, values in listed.items()}
    yield first
    for tokens, values in listed.items():
        for value in values[1:_MAX_ANSWERS]:
            yield {**first, tokens: value}


def _pointer(tokens: Pointer) -> str:
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)
