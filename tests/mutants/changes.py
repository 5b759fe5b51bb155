"""The changes that are tried: a module's text -> every mutant of it, each with the lines of the statement it is in.

Nothing is run here. A change is a comparison turned round, a condition negated, a call or an error left out, a value
not returned, a number or a text replaced. What only words an error is left alone.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

__all__ = ["Mutant", "mutants", "tree_with"]

_COMPARED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_COMPUTED: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
}

_WORDING: Final = frozenset({"refuse", "damaged", "_failure", "_gone", "Refused"})
"""Functions of the core that do nothing but raise or make the error they are given the words for."""

_WATCHING: Final = frozenset(
    {
        *("conceal", "conceal_json", "_conceal_text", "hide", "hide_named", "seal", "encrypt"),
        *("contains_secret", "stands_in", "_is_unsendable", "secret_word", "is_answered", "isdisjoint"),
        *("is_public", "is_loopback", "fullmatch", "storable", "read_body", "_read_key", "_encoded", "quote", "quoted"),
    }
)
"""Functions that conceal, seal, bound or check the value they are given first, and give what may go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change: its number among those of the module, where it is, and what it does."""

    number: int
    line: int
    first: int
    last: int
    """First and last line of the statement it is in, or of that statement's head: a test that runs none of these
    cannot notice it."""
    what: str

    @property
    def is_guard(self) -> bool:
        """Whether it leaves a whole step out: an error not raised, a call not made, a value let through as it was."""
        return self.what.startswith(("not raised", "not done", "let through"))


_Change = Callable[[Any], tuple[ast.AST, str]]


class _Place(NamedTuple):
    """A node that can be changed, where it hangs, and how."""

    parent: ast.AST
    name: str
    at: int | None
    node: Any
    change: _Change
    line: int
    span: tuple[int, int]


def mutants(text: str) -> list[Mutant]:
    """Every change that is tried, outer ones first."""
    return [
        Mutant(
            number=number,
            line=place.line,
            first=place.span[0],
            last=place.span[1],
            what=place.change(copy.copy(place.node))[1],
        )
        for number, place in enumerate(_places(ast.parse(text)))
    ]


def tree_with(text: str, number: int) -> ast.Module:
    """The module with this one change."""
    tree = ast.parse(text)
    place = list(_places(tree))[number]
    changed, _ = place.change(place.node)
    if place.at is None:
        setattr(place.parent, place.name, changed)
    else:
        getattr(place.parent, place.name)[place.at] = changed
    ast.copy_location(changed, place.node)
    return ast.fix_missing_locations(tree)


def _places(tree: ast.Module) -> Iterator[_Place]:
    waiting: list[tuple[ast.AST, int, tuple[int, int]]] = [(tree, 1, (1, 1))]
    while waiting:
        parent, line, span = waiting.pop(0)
        for name, value in ast.iter_fields(parent):
            for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if not isinstance(node, ast.AST) or _is_words(parent, name, node):
                    continue
                here = getattr(node, "lineno", line)
                around = _span(node) or span
                for change in _changes(node):
                    yield _Place(parent, name, index, node, change, here, around)
                waiting.append((node, here, around))


def _span(node: ast.AST) -> tuple[int, int] | None:
    """The lines of a statement, of one with a body those of its head; None for what is no statement."""
    if isinstance(node, ast.ExceptHandler | ast.stmt):
        inner = getattr(node, "body", None) or getattr(node, "cases", None)
        if not inner:
            return node.lineno, node.end_lineno or node.lineno
        first = inner[0].pattern.lineno if isinstance(node, ast.Match) else inner[0].lineno
        return node.lineno, max(node.lineno, first - 1)
    if isinstance(node, ast.match_case):
        return node.pattern.lineno, max(node.pattern.lineno, node.body[0].lineno - 1)
    return None


def _is_words(parent: ast.AST, name: str, node: ast.AST) -> bool:
    """Docstrings, types, exports, and the sentences of errors: no rule stands in them."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if name in ("annotation", "returns", "decorator_list") or isinstance(
        node, ast.Import | ast.ImportFrom | ast.JoinedStr
    ):
        return True
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
        return True
    if isinstance(parent, ast.Raise) and isinstance(node, ast.Call):
        return True
    called = ast.unparse(parent.func) if isinstance(parent, ast.Call) else ""
    if called == "cast" and isinstance(node, ast.Constant):
        return True
    if called.rpartition(".")[2] in _WORDING:
        return name in ("args", "keywords")
    return called.endswith(("Error", "TypeVar", "ContextVar")) and name in ("args", "keywords")


def _changes(node: ast.AST) -> Iterator[_Change]:
    match node:
        case ast.Compare(ops=[one]) if type(one) in _COMPARED:
            yield _compared
        case ast.BoolOp():
            yield _either
        case ast.UnaryOp(op=ast.Not()):
            yield lambda node: (node.operand, f"without not: {ast.unparse(node)}")
        case ast.BinOp(op=one) if type(one) in _COMPUTED:
            yield _computed
        case ast.Constant(value=bool()):
            yield lambda node: (ast.Constant(not node.value), f"{node.value} turned round")
        case ast.Constant(value=int()):
            yield lambda node: (ast.Constant(node.value + 1), f"{node.value} plus one")
        case ast.Constant(value=str(text)) if text:
            yield lambda node: (ast.Constant("XX"), f"another text for {node.value!r}")
        case ast.If() | ast.While() | ast.IfExp():
            yield _turned
        case ast.Return(value=value) if value is not None and ast.unparse(value) != "None":
            yield lambda node: (ast.Return(ast.Constant(None)), f"no value: {ast.unparse(node)[:60]}")
        case ast.Raise():
            yield lambda node: (ast.Pass(), f"not raised: {ast.unparse(node)[:60]}")
        case ast.Expr(value=ast.Call()):
            yield lambda node: (ast.Pass(), f"not done: {ast.unparse(node)[:60]}")
        case ast.Call(func=called, args=[first, *_]) if ast.unparse(called).rpartition(".")[2] in _WATCHING:
            if not isinstance(first, ast.Starred):
                yield lambda node: (node.args[0], f"let through: {ast.unparse(node)[:60]}")
        case ast.Continue():
            yield lambda node: (ast.Break(), "break for continue")


def _compared(node: ast.Compare) -> tuple[ast.AST, str]:
    before = ast.unparse(node)
    changed = ast.Compare(left=node.left, ops=[_COMPARED[type(node.ops[0])]()], comparators=node.comparators)
    return changed, f"{before[:60]} -> {ast.unparse(changed)[:60]}"


def _either(node: ast.BoolOp) -> tuple[ast.AST, str]:
    other: ast.boolop = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    word = "or" if isinstance(node.op, ast.And) else "and"
    return ast.BoolOp(op=other, values=node.values), f"{word}: {ast.unparse(node)[:60]}"


def _computed(node: ast.BinOp) -> tuple[ast.AST, str]:
    changed = ast.BinOp(left=node.left, op=_COMPUTED[type(node.op)](), right=node.right)
    return changed, f"{ast.unparse(node)[:60]} -> {ast.unparse(changed)[:60]}"


def _turned(node: Any) -> tuple[ast.AST, str]:
    before = ast.unparse(node.test)[:60]
    node.test = ast.UnaryOp(op=ast.Not(), operand=node.test)
    return node, f"not {before}"
