"""A ``simple`` condition -> a frozen tree; and the tree and a context -> a verdict that names what was observed.

The tokenizer and the parser serve both simple conditions and comparisons of JSONPath queries: they differ only in
which operands they read (an :class:`Operand`). The grammar follows RFC 9535 section 2.3.5 in its bones: comparisons
do not chain, ``!`` binds closer than ``&&``, and ``&&`` closer than ``||``. Document text is parsed, never run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeAlias

from ..errors import DocumentError, Place
from ..values import MISSING, Missing, SecretRef, SecretText, Value, contains_secret, join_text, redact
from .embedded import Part, as_text, expressions, split
from .evaluate import Context, evaluate, walk
from .grammar import Expression, parse_expression, refusal, split_path
from .question import Undecided
from .verdict import Verdict, clip, compare, is_refused, number, show, truthy

__all__ = [
    "TOO_LONG",
    "Comparison",
    "Condition",
    "Conjunction",
    "Constant",
    "Disjunction",
    "Embedded",
    "Negation",
    "Operand",
    "Reading",
    "Reference",
    "Truth",
    "compared",
    "judge",
    "operands",
    "parse_condition",
    "parse_with",
    "read_operand",
    "read_string",
    "run_end",
    "string_operand",
    "test",
]

_MAX_TEXT: Final = 4096
"""Characters of one condition."""
TOO_LONG: Final = "AZM-E107"
_MAX_DEPTH: Final = 64
"""Nested parentheses and negations; also the bound of every recursion in this file."""

_RUN: Final = re.compile(r"[^\s!&()<=>{|}]*")
_SYMBOL: Final = re.compile(r"&&|\|\||==|!=|<=|>=|[<>!()]")
_SPACE: Final = re.compile(r"\s*")
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
_COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/"}


class Operand(Protocol):
    """One side of a comparison."""

    def read(self, context: Context, root: Value) -> Value:
        """The value now; ``root`` is the value of the criterion's ``context``.

        :raises RecursionError: for a value nested too deeply.
        :raises Undecided: for one that cannot be had. Nothing else.
        """

    def holds(self, value: Value) -> bool:
        """Whether a value this operand read passes when it stands alone."""

    def expressions(self) -> tuple[Expression, ...]:
        """The runtime expressions it uses."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal. ``bare`` when it stood without quotes and is no number or keyword (tolerance C14)."""

    value: bool | int | float | str | None
    bare: bool = False

    def __str__(self) -> str:
        return show(self.value)

    def read(self, context: Context, root: Value) -> Value:
        return self.value

    def holds(self, value: Value) -> bool:
        return truthy(value)

    def expressions(self) -> tuple[Expression, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Reference:
    """A runtime expression, and the path written after its closing brace."""

    expression: Expression
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return str(self.expression) + "".join(f"[{token}]" if token.isdigit() else f".{token}" for token in self.path)

    def read(self, context: Context, root: Value) -> Value:
        return walk(evaluate(self.expression, context), self.path)

    def holds(self, value: Value) -> bool:
        return truthy(value)

    def expressions(self) -> tuple[Expression, ...]:
        return (self.expression,)


@dataclass(frozen=True, slots=True)
class Embedded:
    """A string with ``{$...}`` in it: always text (1.1, "Runtime Expressions")."""

    parts: tuple[Part, ...]

    def __str__(self) -> str:
        return "'" + "".join(f"{{{part}}}" if isinstance(part, Expression) else part for part in self.parts) + "'"

    def read(self, context: Context, root: Value) -> Value:
        pieces: list[str | SecretRef | SecretText] = []
        for part in self.parts:
            value = part if isinstance(part, str) else evaluate(part, context)
            if isinstance(value, Missing):
                return MISSING
            if isinstance(value, (str, SecretRef, SecretText)):
                pieces.append(value)
            elif contains_secret(value):
                raise Undecided(f"{part} holds a secret, and a secret may be compared with nothing but null")
            else:
                pieces.append(as_text(redact(value)))
        return join_text(pieces)

    def holds(self, value: Value) -> bool:
        return truthy(value)

    def expressions(self) -> tuple[Expression, ...]:
        return expressions(self.parts)


@dataclass(frozen=True, slots=True)
class Truth:
    """An operand standing alone."""

    operand: Operand


@dataclass(frozen=True, slots=True)
class Comparison:
    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Negation:
    inner: Node


@dataclass(frozen=True, slots=True)
class Conjunction:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Disjunction:
    parts: tuple[Node, ...]


Node: TypeAlias = "Truth | Comparison | Negation | Conjunction | Disjunction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A parsed condition: its text, its tree, and the codes of the tolerances it needed."""

    text: str
    root: Node
    tolerances: tuple[str, ...] = ()


Reading: TypeAlias = "tuple[Operand, int, tuple[str, ...]]"
"""An operand, the position after it, and the codes of the tolerances it needed."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    """A symbol, ``value`` or ``end``."""
    at: int
    operand: Operand | None = None


def parse_condition(text: str, place: Place, *, minor: str = "1.0") -> Condition:
    """Parse a simple condition.

    :raises DocumentError: AZM-E100 to AZM-E108, with the character and what was expected there.
    """
    return parse_with(text, place, partial(read_operand, minor=minor))


def parse_with(text: str, place: Place, read: Callable[[str, int, Place], Reading]) -> Condition:
    """Parse a condition whose operands are read by ``read``, called where an operand must begin."""
    if len(text) > _MAX_TEXT:
        raise _refuse("the condition is too long", TOO_LONG, place, text, _MAX_TEXT, f"at most {_MAX_TEXT} characters")
    codes: dict[str, None] = {}
    tokens = tuple(_tokens(text, place, read, codes))
    return Condition(text=text, root=_Parser(text, place, tokens).parse(), tolerances=tuple(codes))


def _tokens(
    text: str, place: Place, read: Callable[[str, int, Place], Reading], codes: dict[str, None]
) -> Iterator[_Token]:
    at = _space(text, 0)
    while at < len(text):
        found = _SYMBOL.match(text, at)
        if found:
            yield _Token(found[0], at)
            at = _space(text, found.end())
            continue
        if text[at] in "=&|":
            raise _refuse(f"'{text[at]}' is no operator", "AZM-E101", place, text, at, f"'{text[at] * 2}'")
        if text[at] == "}":
            raise _refuse("a brace was never opened", "AZM-E101", place, text, at, "a value or an operator")
        operand, end, needed = read(text, at, place)
        yield _Token("value", at, operand)
        codes.update(dict.fromkeys(needed))
        at = _space(text, end)
    yield _Token("end", len(text))


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def run_end(text: str, at: int) -> int:
    """The end of the longest run without space and without a character that operators and braces are made of."""
    found = _RUN.match(text, at)
    return found.end() if found else at


def _refuse(problem: str, code: str, place: Place, text: str, at: int, expected: str) -> DocumentError:
    return refusal(problem, code=code, place=place, text=text, at=at, expected=expected)


def read_operand(text: str, at: int, place: Place, *, minor: str) -> Reading:
    """Read one operand of a simple condition: a runtime expression, a literal, or a word."""
    if text[at] in "'\"":
        value, end = read_string(text, at, place, backslash=False)
        return string_operand(value, place, minor), end, ("C14",) if text[at] == '"' else ()
    if text[at] == "{":
        close = text.find("}", at)
        if close < 0:
            raise _refuse("a brace is not closed", "AZM-E102", place, text, at, "'}' after it")
        expression = _expression(text, at + 1, close, place, minor)
        end = run_end(text, close + 1)
        tail = text[close + 1 : end]
        path = split_path(tail.removeprefix("."))
        if path is None or (tail and tail[0] not in ".["):
            raise _refuse("the path cannot be read", "AZM-E103", place, text, close + 1, ".member or [0]")
        return Reference(expression, path), end, expression.tolerances
    end = run_end(text, at)
    word = text[at:end]
    if word.startswith("$"):
        expression = _expression(text, at, end, place, minor)
        return Reference(expression), end, expression.tolerances
    if word in _WORDS:
        return Constant(_WORDS[word]), end, ()
    value_number = number(word)
    if value_number is not None:
        return Constant(value_number), end, ()
    return Constant(word, bare=True), end, ("C14",)


def string_operand(text: str, place: Place, minor: str) -> Operand:
    """A quoted string as an operand: with values in it where it has ``{$...}``, else as it is."""
    parts = split(text, place, minor)
    return Embedded(parts) if expressions(parts) else Constant(text)


def _expression(text: str, start: int, end: int, place: Place, minor: str) -> Expression:
    """Parse the expression in ``text[start:end]``; an error speaks of the whole condition."""
    try:
        return parse_expression(text[start:end], place=place, minor=minor, navigable=True)
    except DocumentError as problem:
        raise DocumentError(
            f"in the operand at character {start} of the condition: {problem.message}",
            code=problem.code,
            place=place,
            seen=problem.seen,
            next=problem.next,
        ) from None


def read_string(text: str, at: int, place: Place, *, backslash: bool) -> tuple[str, int]:
    """Read a quoted string; a doubled quote stands for one, and with ``backslash`` also RFC 9535's short escapes."""
    quote, position = text[at], at + 1
    pieces: list[str] = []
    while position < len(text):
        sign = text[position]
        if sign == quote:
            if text[position + 1 : position + 2] != quote:
                return "".join(pieces), position + 1
            position += 1
        elif sign == "\\" and backslash:
            position += 1
            following = text[position : position + 1]
            if following not in _ESCAPES and following not in ("\\", "'", '"'):
                raise _refuse(
                    "the escape is not known", "AZM-E108", place, text, position, "one of \\ ' \" / b f n r t"
                )
            sign = _ESCAPES.get(following, following)
        pieces.append(sign)
        position += 1
    raise _refuse("the string is not closed", "AZM-E104", place, text, at, f"a closing {quote}")


_BINDING: Final = {"||": 1, "&&": 2}


class _Parser:
    """Precedence climbing over the tokens of one condition."""

    def __init__(self, text: str, place: Place, tokens: tuple[_Token, ...]) -> None:
        self.text = text
        self.place = place
        self.tokens = tokens
        self.position = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.position]

    def refuse(self, problem: str, expected: str, code: str = "AZM-E100") -> DocumentError:
        return _refuse(problem, code, self.place, self.text, self.token.at, expected)

    def take(self) -> _Token:
        token = self.token
        self.position += 1
        return token

    def parse(self) -> Node:
        node = self.climb(0, 0)
        if self.token.kind != "end":
            raise self.refuse("the condition goes on", "'&&', '||' or the end")
        return node

    def climb(self, floor: int, depth: int) -> Node:
        node = self.unary(depth)
        while (binding := _BINDING.get(self.token.kind, 0)) > floor:
            symbol, parts = self.token.kind, [node]
            while self.token.kind == symbol:
                self.take()
                parts.append(self.climb(binding, depth))
            node = Disjunction(tuple(parts)) if symbol == "||" else Conjunction(tuple(parts))
        return node

    def unary(self, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise self.refuse("the condition is nested too deeply", f"at most {_MAX_DEPTH} levels", "AZM-E105")
        if self.token.kind == "!":
            self.take()
            inner = self.unary(depth + 1)
            if isinstance(inner, Comparison) and self.tokens[self.position - 1].kind != ")":
                # "!a == b" is (!a) == b to some readers and !(a == b) to others.
                raise self.refuse("'!' before a comparison can be read in two ways", "parentheses around it")
            return Negation(inner)
        if self.token.kind == "(":
            self.take()
            node = self.climb(0, depth + 1)
            if self.token.kind != ")":
                raise self.refuse("a parenthesis is not closed", "')', '&&' or '||'")
            self.take()
            if self.token.kind not in _COMPARISONS:
                return node
            if not isinstance(node, Truth):
                raise self.refuse("a comparison cannot be compared again", "'&&', '||' or the end", "AZM-E106")
            return self.comparison(node.operand)
        operand = self.value()
        if self.token.kind in _COMPARISONS:
            return self.comparison(operand)
        if isinstance(operand, Constant) and operand.bare:
            self.position -= 1
            raise self.refuse("a word stands alone", "a value such as $statusCode or 'text', then an operator")
        return Truth(operand)

    def comparison(self, left: Operand) -> Comparison:
        operator = self.take().kind
        node = Comparison(operator, left, self.value())
        if self.token.kind in _COMPARISONS:
            raise self.refuse("comparisons do not chain", "'&&', '||' or the end", "AZM-E106")
        return node

    def value(self) -> Operand:
        token = self.token
        if token.operand is None:
            raise self.refuse("a value is missing", "a runtime expression, a number, 'text', true, false or null")
        self.take()
        return token.operand


class _Judgement:
    """One judgement: walks a tree and remembers which operands it read, in their order."""

    def __init__(self, context: Context, root: Value) -> None:
        self.context = context
        self.root = root
        self.seen: dict[str, str] = {}
        self.refused = False

    def holds(self, node: Node) -> bool:
        if isinstance(node, Truth):
            value = self.read(node.operand)
            self.refused = self.refused or isinstance(value, (SecretRef, SecretText))
            return node.operand.holds(value)
        if isinstance(node, Comparison):
            left, right = self.read(node.left), self.read(node.right)
            self.refused = self.refused or is_refused(left, right)
            return compare(node.operator, left, right)
        if isinstance(node, Negation):
            return not self.holds(node.inner)
        if isinstance(node, Conjunction):
            return all(self.holds(part) for part in node.parts)
        return any(self.holds(part) for part in node.parts)

    def read(self, operand: Operand) -> Value:
        value = operand.read(self.context, self.root)
        if not isinstance(operand, Constant):
            self.seen[str(operand)] = show(value)
        return value


def test(condition: Condition, context: Context) -> Verdict:
    """Judge a simple condition. Never raises."""
    return judge(condition, context, MISSING)


def judge(condition: Condition, context: Context, root: Value) -> Verdict:
    """Judge a condition whose JSONPath operands are read from ``root``. Never raises."""
    text = clip(" ".join(condition.text.split()), 160)
    judgement = _Judgement(context, root)
    try:
        truth = judgement.holds(condition.root)
    except RecursionError:
        return Verdict(truth=False, why=f"{text}: a value is nested too deeply to be judged")
    except Undecided as undecided:
        return Verdict(truth=False, why=f"{text}: cannot be decided: {undecided.why}")
    observed = " and ".join(f"{clip(name, 80)} was {value}" for name, value in judgement.seen.items())
    if judgement.refused:
        # Fails closed as a whole: a negation around it must not turn the refusal into a pass.
        return Verdict(truth=False, why=f"{text}: a secret may be compared with nothing but null; {observed}")
    return Verdict(truth=truth, why=f"{text}: {observed or 'nothing in it depends on the run'}")


def operands(node: Node) -> Iterator[Operand]:
    """Every operand of a tree, from left to right."""
    for operand, _ in _uses(node):
        yield operand


def compared(node: Node) -> Iterator[Operand]:
    """The operands whose value decides, that is all but those only held against a literal null."""
    for operand, against_null in _uses(node):
        if not against_null:
            yield operand


def _uses(node: Node) -> Iterator[tuple[Operand, bool]]:
    if isinstance(node, Truth):
        yield node.operand, False
    elif isinstance(node, Comparison):
        yield node.left, isinstance(node.right, Constant) and node.right.value is None
        yield node.right, isinstance(node.left, Constant) and node.left.value is None
    elif isinstance(node, Negation):
        yield from _uses(node.inner)
    else:
        for part in node.parts:
            yield from _uses(part)
