"""A criterion, what is known of an answer, and guesses -> its truth: both ways, wherever it looks at what nobody knows.

Foreseeing tries answers that are partly samples. What a criterion makes of a sample says nothing about a run, so each
comparison that reads one is guessed: taken for true, and then, when the same answer is judged again, for false. What is
known is judged by the criterion itself. Guesses agree with each other: of one value only one equality is true. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any, Final

from ..expressions.criteria import CompiledCriterion
from ..expressions.evaluate import Context, evaluate, resolve_name
from ..expressions.grammar import Expression, split_path
from ..expressions.jsonpath import JsonPathCondition, Pointed, Query
from ..expressions.query import QUOTED, plain
from ..expressions.simple import (
    Comparison,
    Condition,
    Conjunction,
    Constant,
    Disjunction,
    Negation,
    Node,
    Operand,
    Reference,
    Truth,
    judge,
)
from ..expressions.template import Whole, references
from ..expressions.verdict import Verdict, compare
from ..plan.model import CallPlan, Plan
from ..values import MISSING
from .foreseen import Foreseen, Pointer, pointer_text, turned

__all__ = ["Guessed", "Guesses", "Known"]

_FILTER: Final = re.compile(r"\$\[\?(?P<inside>[^$*]*)\]")
_MEMBER: Final = re.compile(r"@((?:\.[A-Za-z_][\w-]*)*)")

Atom = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What of one foreseen answer, and of the run it is an answer to, is no sample."""

    plan: Plan
    call: CallPlan
    seen: Foreseen | None
    """None: nothing was answered, because no call was made."""

    @property
    def answered(self) -> bool:
        return self.seen is not None and self.seen.event.name == "replied"

    def knows(self, expression: Expression, path: Pointer = ()) -> bool:
        """Whether the value is what it would be in a run; ``path`` leads on from it."""
        root, tokens = expression.root, (*expression.pointer, *path)
        if root in ("method", "self", "sourceDescriptions", "components", "outputs"):
            return True
        if root in ("response", "request", "statusCode", "url") and not self.answered:
            return True
        if root == "statusCode":
            # Every status of a part of a range compares the same with each number the guards name, and no more.
            return self.seen is not None and self.seen.share == 1
        if root == "response" and expression.part == "body":
            return self.member((*(split_path(expression.name) or ()), *tokens))
        if root == "inputs":
            return self._input(expression.name)
        if root == "steps" and expression.owner == self.call.step and self.answered:
            return self.output(expression.name, tokens)
        return False

    def member(self, tokens: Pointer) -> bool:
        """Whether it is known what a body holds there."""
        if not self.answered or self.seen is None or self.seen.bodiless:
            return True
        return any(tokens[:end] in self.seen.members for end in range(len(tokens) + 1))

    def _input(self, name: str) -> bool:
        declared = {one.name: one for one in self.plan.inputs}
        found = resolve_name(name, declared)
        if found is None:
            return False
        one = declared[found[0]]
        return (one.secret and one.required) or (self.seen is not None and one.name in self.seen.inputs)

    def output(self, name: str, tokens: Pointer = ()) -> bool:
        """One of the step's own outputs, which are read from the answer before anything is judged."""
        found = resolve_name(name, self.call.outputs)
        if found is None:
            return bool(name)
        template = self.call.outputs[found[0]]
        if isinstance(template, Whole):
            return self.knows(template.expression, (*found[1], *tokens))
        return all(self.knows(one) for one in references(template))


class Guesses:
    """The guesses of one way to judge an answer; ``again`` makes those of the next."""

    def __init__(self) -> None:
        self.known: Known | None = None
        self.about: dict[str, None] = {}
        """What was guessed about, in words."""
        self._script: list[bool] = []
        self._made: dict[Atom, bool] = {}
        self._equal: dict[str, Any] = {}
        """By operand, the literal it was taken to equal."""

    def begin(self, known: Known) -> None:
        self.known, self.about, self._script = known, {}, []
        self._forget()

    def again(self) -> bool:
        """Whether there is another way to judge the same answer; if so, the guesses are those of it."""
        script = list(self._made.values())
        while script and not script[-1]:
            script.pop()
        self._script = [*script[:-1], False] if script else []
        self._forget()
        return bool(self._script)

    def _forget(self) -> None:
        self._made, self._equal = {}, {}

    def truth(self, criterion: Guessed, context: Context) -> bool:
        """Whether the criterion holds, as far as that is known and otherwise as it is guessed."""
        condition = criterion.condition
        tree = condition.condition if isinstance(condition, JsonPathCondition) else condition
        if criterion.reading == "invalid":
            return False
        if not isinstance(tree, Condition):
            unknown = self._unknown_of_query(criterion)
            return self._guess((criterion.type, str(criterion.context), criterion.text), unknown)
        root = MISSING if criterion.context is None else evaluate(criterion.context, context)
        return self._holds(tree.root, criterion, context, root)

    def open(self, criterion: CompiledCriterion) -> bool:
        """Whether the criterion looks at anything that is not known."""
        condition = criterion.condition
        tree = condition.condition if isinstance(condition, JsonPathCondition) else condition
        if not isinstance(tree, Condition):
            return bool(self._unknown_of_query(criterion))
        return any(self._unknown(leaf, criterion) for leaf in _leaves(tree.root))

    def _holds(self, node: Node, criterion: CompiledCriterion, context: Context, root: Any) -> bool:
        if isinstance(node, Negation):
            return not self._holds(node.inner, criterion, context, root)
        if isinstance(node, Conjunction):
            return all(self._holds(part, criterion, context, root) for part in node.parts)
        if isinstance(node, Disjunction):
            return any(self._holds(part, criterion, context, root) for part in node.parts)
        unknown = self._unknown(node, criterion)
        if not unknown:
            return judge(Condition(text=criterion.text, root=node), context, root).truth
        base = str(criterion.context or "")
        if isinstance(node, Truth):
            return self._guess((base, str(node.operand)), unknown)
        operator, left, right = turned(node)
        if operator == "!=":
            return not self._compared("==", base, left, right, unknown)
        return self._compared(operator, base, left, right, unknown)

    def _compared(self, operator: str, base: str, left: Operand, right: Operand, unknown: list[str]) -> bool:
        whose = f"{base} {left}"
        if isinstance(right, Constant) and whose in self._equal:
            return compare(operator, self._equal[whose], right.value)
        truth = self._guess((base, str(left), operator, str(right)), unknown)
        if truth and operator == "==" and isinstance(right, Constant):
            self._equal[whose] = right.value
        return truth

    def _guess(self, atom: Atom, unknown: list[str]) -> bool:
        self.about.update(dict.fromkeys(unknown))
        if atom not in self._made:
            made = len(self._made)
            self._made[atom] = self._script[made] if made < len(self._script) else True
        return self._made[atom]

    # -- what a criterion looks at ---------------------------------------------------------------------------------

    def _unknown(self, leaf: Truth | Comparison, criterion: CompiledCriterion) -> list[str]:
        """What a comparison looks at that is not known, in words."""
        assert self.known is not None
        sides = [leaf.operand] if isinstance(leaf, Truth) else [leaf.left, leaf.right]
        if isinstance(leaf, Comparison) and _is_status(leaf):
            return []
        found = []
        for side in sides:
            if isinstance(side, Reference):
                found += [] if self.known.knows(side.expression, side.path) else [_words(side.expression, side.path)]
                continue
            found += [_words(one) for one in side.expressions() if not self.known.knows(one)]
            if isinstance(side, (Query, Pointed)) and criterion.context is not None:
                path = side.tokens if isinstance(side, Pointed) else _tokens(side.path)
                found += self._unknown_of_context(criterion.context, [path])
        return found

    def _unknown_of_query(self, criterion: CompiledCriterion) -> list[str]:
        """The same of a criterion that is one pattern or one query as a whole."""
        assert self.known is not None
        context, condition = criterion.context, criterion.condition
        if context is None or isinstance(condition, Condition):
            return []
        found = [_words(one) for one in condition.expressions() if not self.known.knows(one)]
        paths: list[Pointer | None] = _paths(condition) if isinstance(condition, JsonPathCondition) else [None]
        return found + self._unknown_of_context(context, paths)

    def _unknown_of_context(self, context: Expression, paths: list[Pointer | None]) -> list[str]:
        assert self.known is not None
        if self.known.knows(context):
            return []
        if all(path is not None and self.known.knows(context, path) for path in paths):
            return []
        first = paths[0] if len(paths) == 1 else None
        return [_words(context, first or ())]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guessed(CompiledCriterion):
    """A criterion that is guessed where it looks at what is not known, and else is what it was."""

    guesses: Guesses = field(compare=False, repr=False)

    @classmethod
    def like(cls, criterion: CompiledCriterion, guesses: Guesses) -> Guessed:
        given = {one.name: getattr(criterion, one.name) for one in fields(CompiledCriterion)}
        return cls(**given, guesses=guesses)

    def test(self, context: Context) -> Verdict:
        if not self.guesses.open(self):
            return CompiledCriterion.test(self, context)
        return Verdict(truth=self.guesses.truth(self, context), why="")


def _leaves(node: Node) -> list[Truth | Comparison]:
    if isinstance(node, Negation):
        return _leaves(node.inner)
    if isinstance(node, (Conjunction, Disjunction)):
        return [leaf for part in node.parts for leaf in _leaves(part)]
    return [node]


def _is_status(leaf: Comparison) -> bool:
    _, left, right = turned(leaf)
    whole = isinstance(left, Reference) and not left.path and left.expression.root == "statusCode"
    return whole and isinstance(right, Constant)


def _tokens(path: tuple[str | int, ...] | None) -> Pointer | None:
    """A plain query's way as that of a JSON Pointer; None where it counts from the end, or is not plain."""
    if path is None or any(isinstance(step, int) and step < 0 for step in path):
        return None
    return tuple(str(step) for step in path)


def _paths(condition: JsonPathCondition) -> list[Pointer | None]:
    """Where a query looks, from its context on; None for where that is not plain."""
    path = plain(condition.text)
    if path is not None:
        return [_tokens(path)]
    bare = QUOTED.sub("''", condition.text)
    found = _FILTER.fullmatch(bare)
    if condition.reading != "object-filter" or found is None or "(" in bare:
        return [None]
    return [tuple(one.split(".")[1:]) for one in _MEMBER.findall(found["inside"])]


def _words(expression: Expression, path: Pointer = ()) -> str:
    """What an expression looks at, for a table's line."""
    root, tokens = expression.root, (*expression.pointer, *path)
    if root == "response" and expression.part == "body":
        return pointer_text((*(split_path(expression.name) or ()), *tokens)) or "the body"
    if root == "response" and expression.part == "header":
        return f"the header {expression.name}"
    words = {"request": "what was sent", "url": "the address", "statusCode": "the status"}
    return words.get(root) or str(expression) + "".join(f"/{token}" for token in path)
