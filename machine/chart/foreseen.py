"""A state's call -> the answers to try: every status that could matter, every value that is listed where a guard looks.

A status the description names is tried by itself. Of a range, of ``default`` and of what it does not name at all, one
status is tried for each part that a guard or a rule of the machine could tell from the rest. What cannot be listed is
sampled, and :class:`Foreseen` says what is not. Pure; needs the description's schemas, which a stored plan has not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from math import ceil, floor, prod
from typing import Any, Final

from ..expressions.criteria import CompiledCriterion
from ..expressions.evaluate import resolve_name
from ..expressions.grammar import Expression, split_path
from ..expressions.jsonpath import JsonPathCondition
from ..expressions.simple import Comparison, Condition, Conjunction, Constant, Disjunction, Negation, Node, Reference
from ..expressions.template import references
from ..expressions.verdict import number
from ..plan.model import CallPlan, Plan, State
from ..sources.model import Operation
from ..sources.nodes import File
from ..sources.shapes import choices, put, sample
from ..values import Json
from .events import CallFailed, Replied, Reply
from .judge import TROUBLED

__all__ = [
    "NOT_READY",
    "Answer",
    "Foreseen",
    "Pointer",
    "foreseen",
    "pointer_text",
    "turned",
]

_MAX_ANSWERS: Final = 200
"""Answers tried for one status; of more values than that the longest lists are left open instead."""
_MAX_INPUT: Final = 8
"""Values of an input that are told apart."""
_WORD: Final = re.compile(r"[\w-]+")
_OTHER: Final = "any other"
NOT_READY: Final = "not ready"
_BODILESS: Final = frozenset({204, 205, 304})
"""RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5: answers that have no content."""
_TOLD_APART: Final = TROUBLED | {204, 304, 401, 403, 409}
"""Statuses that rules of the machine tell from others of their hundred."""
_MIRRORED: Final = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}

Pointer = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer that was foreseen."""

    status: str
    """As the description has it (``200``, ``4XX``, ``default``), ``any other``, or those of them that do otherwise
    (``404``, ``5XX``, ``450-499``); ``no answer``, ``not sent``, and ``not ready`` where no call is made."""
    values: Mapping[str, Json]
    """By JSON Pointer into its body, and ``$inputs.NAME`` of what the run was given: those only that guards may look
    at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """An answer, the event it is tried with, and what of the two is more than a sample."""

    answer: Answer
    event: Replied | CallFailed
    among: str
    """What the description calls it: another word than the answer's status where that is a part of a range."""
    share: int = 1
    """How many statuses it stands for."""
    spoken_of: bool = True
    """Whether the description or a guard names it, and not only a rule of the machine."""
    members: frozenset[Pointer] = frozenset()
    """Where in the body the value is the answer's and no sample."""
    inputs: Mapping[str, Json] = field(default_factory=dict)
    unlisted: str = ""
    """``#`` and the JSON Pointer of a member that is absent here, or has a value that is not listed."""
    bodiless: bool = False
    """Whether it is known to have no body."""


def foreseen(plan: Plan, state: State, call: CallPlan) -> Iterator[Foreseen]:
    """Every answer the description declares, in its order, then those it does not; then that nothing is answered."""
    criteria = _criteria_of(plan, state, call)
    operation, words, inputs = call.operation, _words_of(criteria, call), _inputs_of(plan, criteria)
    for part in _parts(operation, criteria):
        bodiless = part.status in _BODILESS or operation.method == "HEAD"
        body = None if bodiless else _body(operation, call, part.among)
        schema = None if bodiless else operation.reply_schemas.get(part.among)
        listed = choices(schema) if schema is not None else {}
        looked_at = {tokens: values for tokens, values in listed.items() if _is_named(tokens, words)}
        dims: dict[Pointer, tuple[Json, ...]] = {
            **{("$inputs", name): one for name, one in inputs.items()},
            **looked_at,
        }
        combinations = list(_combinations(dims))
        told = [(chosen, "") for chosen in combinations]
        for tokens in (one for one in combinations[0] if one[:1] != ("$inputs",)):
            # Services answer what they do not list: a member is left out of what is said only where that is the same.
            others = ({key: value for key, value in chosen.items() if key != tokens} for chosen in combinations)
            told += [(one, f"#{pointer_text(tokens)}") for one in _distinct(others)]
        for chosen, unlisted in told:
            given = {tokens[1]: value for tokens, value in chosen.items() if tokens[:1] == ("$inputs",)}
            members = {tokens: value for tokens, value in chosen.items() if tokens[:1] != ("$inputs",)}
            filled = body
            for tokens, value in members.items():
                filled = put(filled, tokens, value)
            # JSON null is a body, and none at all is not.
            empty = filled is None and () not in members
            reply = Reply(status=part.status, body=filled, form="empty" if empty else "json")
            shown = {pointer_text(tokens): value for tokens, value in members.items()}
            shown |= {f"$inputs.{name}": value for name, value in given.items()}
            yield Foreseen(
                answer=Answer(status=part.name, values=shown),
                event=Replied(at=0.0, reply=reply),
                among=part.among,
                share=part.share,
                spoken_of=part.spoken_of,
                members=frozenset(members),
                inputs=given,
                unlisted=unlisted,
                bodiless=bodiless,
            )
    for name, event in (
        ("no answer", CallFailed(at=0.0, fate="unknown", cause="timeout")),
        ("not sent", CallFailed(at=0.0, fate="not_sent", cause="refused")),
    ):
        for chosen in _combinations({(name,): values for name, values in inputs.items()}):
            given = {tokens[0]: value for tokens, value in chosen.items()}
            shown = {f"$inputs.{key}": value for key, value in given.items()}
            yield Foreseen(answer=Answer(status=name, values=shown), event=event, among=name, inputs=given)


def _criteria_of(plan: Plan, state: State, call: CallPlan) -> list[CompiledCriterion]:
    """Every criterion by which an answer is judged in a state."""
    return [*call.success, *(one for edge in plan.leaving(state.id) for one in edge.guard.criteria)]


# -- statuses ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Statuses nothing tells from each other, and the one that is tried for them."""

    among: str
    name: str
    status: int
    share: int = 1
    spoken_of: bool = True


def _parts(operation: Operation, criteria: Sequence[CompiledCriterion]) -> Iterator[_Part]:
    """All statuses an answer may have: by key of the description, and what it does not name behind that."""
    keys = [key for key in operation.responses if key == "default" or _hundreds(key) or _exact(key)]
    declared = {_exact(key) for key in keys}
    ranged = {hundred for key in keys for hundred in _hundreds(key)}
    singles, cuts = _spoken_of(criteria)
    for key in (*keys, *(() if "default" in keys else (_OTHER,))):
        if status := _exact(key):
            yield _Part(among=key, name=key, status=status)
            continue
        hundreds = _hundreds(key) or tuple(one for one in (2, 3, 4, 5) if one not in ranged)
        for hundred in hundreds:
            inside = range(hundred * 100, hundred * 100 + 100)
            alone = [one for one in inside if one not in declared and (one in singles or one in _TOLD_APART)]
            for status in alone:
                yield _Part(among=key, name=str(status), status=status, spoken_of=status in singles)
            edges = sorted({inside.start, inside.stop, *(cut for cut in cuts if cut in inside)})
            for first, end in pairwise(edges):
                rest = [one for one in range(first, end) if one not in declared and one not in alone]
                if rest:
                    name = f"{hundred}XX" if end - first == len(inside) else f"{first}-{end - 1}"
                    yield _Part(among=key, name=name, status=rest[min(18, len(rest) - 1)], share=len(rest))


def _exact(key: str) -> int:
    return int(key) if len(key) == 3 and key.isdecimal() and "200" <= key <= "599" else 0


def _hundreds(key: str) -> tuple[int, ...]:
    return (int(key[0]),) if len(key) == 3 and key[0] in "2345" and key[1:].upper() == "XX" else ()


def _spoken_of(criteria: Sequence[CompiledCriterion]) -> tuple[set[int], set[int]]:
    """The statuses that criteria name, and those from which on they say otherwise."""
    singles: set[int] = set()
    cuts: set[int] = set()
    for operator, expression, value in (one for criterion in criteria for one in _comparisons(criterion)):
        given = number(value) if isinstance(value, str) else value
        if expression.root != "statusCode" or isinstance(given, bool) or not isinstance(given, (int, float)):
            continue
        if not 0 <= given <= 1000:
            continue
        if operator in ("==", "!="):
            singles.add(int(given))
        else:
            cuts.add(ceil(given) if operator in ("<", ">=") else floor(given) + 1)
    return singles, cuts


def _comparisons(criterion: CompiledCriterion) -> Iterator[tuple[str, Expression, Any]]:
    """Every comparison of an expression with a literal, as if the expression stood on the left."""
    condition = criterion.condition
    tree = condition.condition if isinstance(condition, JsonPathCondition) else condition
    waiting: list[Node] = [tree.root] if isinstance(tree, Condition) else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, Negation):
            waiting.append(node.inner)
        elif isinstance(node, (Conjunction, Disjunction)):
            waiting += node.parts
        elif isinstance(node, Comparison):
            operator, left, right = turned(node)
            if isinstance(left, Reference) and not left.path and isinstance(right, Constant):
                yield operator, left.expression, right.value


def turned(node: Comparison) -> tuple[str, Any, Any]:
    """A comparison with its literal, where it has one, on the right."""
    if isinstance(node.left, Constant):
        return _MIRRORED[node.operator], node.right, node.left
    return node.operator, node.left, node.right


# -- values ------------------------------------------------------------------------------------------------------------


def _inputs_of(plan: Plan, criteria: Sequence[CompiledCriterion]) -> dict[str, tuple[Json, ...]]:
    """The inputs that criteria look at and whose few possible values are listed. One that may be missing is none."""
    names = {one.name: one for one in plan.inputs}
    used = [one for criterion in criteria for one in criterion.references() if one.root == "inputs"]
    found: dict[str, tuple[Json, ...]] = {}
    for expression in used:
        name = (resolve_name(expression.name, names) or ("", ()))[0]
        declared = names.get(name)
        if declared is None or declared.secret or not (declared.required or "default" in declared.schema):
            continue
        values = choices(File(value=declared.schema).root).get((), ())
        if 0 < len(values) <= _MAX_INPUT:
            found[name] = values
    return found


def _body(operation: Operation, call: CallPlan, key: str) -> Any:
    """What such an answer may hold; and whatever the step's outputs are read from, so that nothing is missing that the
    description leaves unsaid."""
    schema = operation.reply_schemas.get(key)
    body: Any = sample(schema) if schema is not None else None
    if key[:1] != "2" or (schema is None and operation.responses.get(key, {}).get("content")):
        return body
    for template in call.outputs.values():
        for one in references(template):
            tokens = (*(split_path(one.name) or ()), *one.pointer)
            if one.root == "response" and one.part == "body" and tokens and _at(body, tokens) is None:
                body = put(body, tokens, "text")
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


def _words_of(criteria: Sequence[CompiledCriterion], call: CallPlan) -> frozenset[str]:
    """Every word that stands in a criterion, or in what the step's outputs are read from: a guard may look at those."""
    texts = [f"{one.context or ''} {one.text}" for one in criteria]
    texts += [str(one) for template in call.outputs.values() for one in references(template)]
    return frozenset(word for text in texts for word in _WORD.findall(text))


def _is_named(tokens: Pointer, words: frozenset[str]) -> bool:
    names = [token for token in tokens if token != "0"]
    return all(word in words for token in names or ["body"] for word in _WORD.findall(token))


def _combinations(listed: Mapping[Pointer, tuple[Json, ...]]) -> Iterator[dict[Pointer, Json]]:
    """Every combination of the values. Where that is too many, the longest lists are not told apart."""
    kept = dict(listed)
    while prod(len(values) for values in kept.values()) > _MAX_ANSWERS:
        del kept[max(kept, key=lambda tokens: len(kept[tokens]))]
    for chosen in product(*kept.values()):
        yield dict(zip(kept, chosen, strict=True))


def _distinct(chosen: Iterable[dict[Pointer, Json]]) -> list[dict[Pointer, Json]]:
    return list({json.dumps(list(one.values())): one for one in chosen}.values())


def pointer_text(tokens: Pointer) -> str:
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)
