"""The code of the package -> every place where an error or a finding gets its code, with what is said there.

Reads syntax trees and runs nothing. A code stands where an error class is called, or where a function is that makes an
error out of what it is given (``refused(path, what, code, advice)``): then its own words are filled with those of the
caller, so that the sentence is read as a user reads it. What is only known while running stands as ``{name}``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

from machine import errors

__all__ = ["PACKAGE", "Sighting", "sightings", "unseen"]

PACKAGE: Final = Path(errors.__file__).parent

_CLASSES: Final = frozenset(errors.__all__) - {"Place"}
_STANDS_FOR: Final = {"Refused": "DocumentError", "Absence": "Finding", "Finding": "Finding", "Notice": "Finding"}
"""What is no error of the tree: a refusal that becomes one where it is caught, and what is told by ``check``."""
_SAID: Final = ("message", "why")
_CODE: Final = re.compile(r"AZM-[A-Z][0-9]{3}")
_SHORT: Final = re.compile(r"[A-Z][0-9]{3}")
"""A code whose prefix the function puts there that it is given to."""
_ADVICE: Final = ("next", "advice", "suggestion", "hint")
_SAME: Final = frozenset({"get", "lower", "removeprefix", "split", "strip"})
"""Methods whose result is named after what they are asked of."""
_DEEPEST: Final = 4
"""Functions that make an error out of what another one says."""

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One place. ``kind`` is a class of ``errors.py``, or ``Finding``; ``path`` is relative to the package."""

    code: str
    kind: str
    message: str
    next: str
    severity: str
    """Of a finding, ``error`` or ``warning``; empty for an error."""
    path: str
    line: int


@dataclass(slots=True, kw_only=True)
class _Module:
    path: str
    tree: ast.Module
    functions: dict[str, Function] = field(default_factory=dict)
    partials: dict[str, ast.Call] = field(default_factory=dict)
    """Local names for a function that is given its first arguments already."""
    constants: dict[str, str] = field(default_factory=dict)
    imported: set[str] = field(default_factory=set)
    """Names of the modules it imports from, without their packages."""


@cache
def sightings() -> tuple[Sighting, ...]:
    """Every place, by code and then by where it stands."""
    modules = [_read(path) for path in sorted(PACKAGE.rglob("*.py"))]
    found = {one for module in modules for one in _Reader(module, modules).walk()}
    return tuple(sorted(found, key=lambda one: (one.code, one.path, one.line, one.kind)))


def unseen(found: Sequence[Sighting]) -> list[str]:
    """Codes that stand in the package, other than in the prose of a docstring, and at no place that was found."""
    known = {one.code for one in found}
    texts = {
        node.value
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    whole = {f"AZM-{text}" if _SHORT.fullmatch(text) else text for text in texts}
    return sorted(text for text in whole if _CODE.fullmatch(text) and text not in known)


def _read(path: Path) -> _Module:
    module = _Module(path=path.relative_to(PACKAGE).as_posix(), tree=ast.parse(path.read_text(encoding="utf-8")))
    for node in ast.walk(module.tree):
        if isinstance(node, Function):
            module.functions.setdefault(node.name, node)
        elif isinstance(node, ast.ImportFrom) and node.module:
            module.imported.add(node.module.rpartition(".")[2])
        else:
            match node:
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(text))):
                    module.constants[name] = text
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="partial")) as call):
                    module.partials[name] = call
    return module


class _Reader:
    """Walks one module; looks into the functions it calls, also of the modules it imports from."""

    def __init__(self, module: _Module, modules: Sequence[_Module]) -> None:
        self.module = module
        near = [one for one in modules if Path(one.path).stem in module.imported]
        self.near = [module, *near]

    def walk(self) -> Iterator[Sighting]:
        for function in [None, *self._functions(self.module.tree)]:
            for call in _calls(function if function is not None else self.module.tree):
                yield from self._of_call(call, function)

    @staticmethod
    def _functions(tree: ast.Module) -> list[Function]:
        return [node for node in ast.walk(tree) if isinstance(node, Function)]

    def _of_call(self, call: ast.Call, function: Function | None) -> Iterator[Sighting]:
        name = _name(call.func)
        known = name in _CLASSES or name in _STANDS_FOR or name in self.module.partials
        if not known and self._maker(name) is None:
            return
        said = self._said(call, self._assigned(function, call.lineno), {}, _DEEPEST)
        if said is None:
            return
        kind, codes, message, advice, severity = said
        for code in codes:
            yield Sighting(
                code=code,
                kind=kind,
                message=message,
                next=advice,
                severity=severity,
                path=self.module.path,
                line=call.lineno,
            )

    def _said(
        self, call: ast.Call, names: Mapping[str, ast.expr], bound: Mapping[str, str], deep: int
    ) -> tuple[str, list[str], str, str, str] | None:
        """Kind, codes, message, advice and severity of a call that makes an error or a finding; None for another."""
        name = _name(call.func)
        given = {one.arg: one.value for one in call.keywords if one.arg}
        if name in _CLASSES or name in _STANDS_FOR:
            order = ("code", "message") if name == "Refused" else ("message",)
            given = {**dict(zip(order, call.args, strict=False)), **given}
            codes = self._codes(given.get("code"), names, bound)
            kind = _STANDS_FOR.get(name, name)
            message = next((self._text(given[one], names, bound) for one in _SAID if one in given), "")
            advice = next((self._text(given[one], names, bound) for one in _ADVICE if one in given), "")
            severity = self._text(given.get("severity"), names, bound) if kind == "Finding" else ""
            return kind, codes, message, advice, severity
        arguments = call.args
        if name in self.module.partials:
            function_name, *first = self.module.partials[name].args
            name, arguments = _name(function_name), [*first, *call.args]
        made = self._maker(name) if deep else None
        if made is None:
            return None
        function, inner = made
        parameters = [one for one in function.args.posonlyargs + function.args.args if one.arg not in ("self", "cls")]
        given = {**dict(zip((one.arg for one in parameters), arguments, strict=False)), **given}
        defaults = dict(zip([one.arg for one in parameters][::-1], function.args.defaults[::-1], strict=False))
        filled = {one.arg: self._text(given.get(one.arg, defaults.get(one.arg)), names, bound) for one in parameters}
        filled |= {
            one.arg: self._text(given.get(one.arg, default), names, bound)
            for one, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        }
        codes = self._codes(given.get("code", defaults.get("code")), names, bound)
        said = self._said(inner, self._assigned(function, inner.lineno), filled, deep - 1)
        return None if said is None else (said[0], codes or said[1], *said[2:])

    def _maker(self, name: str) -> tuple[Function, ast.Call] | None:
        """A function that takes a code and gives it to an error or a finding, and the call in which it does."""
        for module in self.near:
            function = module.functions.get(name)
            if function is None:
                continue
            if "code" not in {one.arg for one in function.args.args + function.args.kwonlyargs}:
                continue
            for call in _calls(function):
                inner = _name(call.func)
                if inner in _CLASSES or inner in _STANDS_FOR or (inner != name and self._maker(inner)):
                    return function, call
        return None

    @staticmethod
    def _assigned(function: Function | None, before: int) -> dict[str, ast.expr]:
        """The local names of a function, as they were last assigned before that line; emptying one says nothing."""
        pairs: list[tuple[int, ast.expr, ast.expr]] = []
        for node in ast.walk(function) if function is not None else ():
            match node:
                case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                    pairs += [(node.lineno, *pair) for pair in zip(targets, values, strict=True)]
                case ast.Assign(targets=[target]):
                    pairs.append((node.lineno, target, node.value))
        found: dict[str, ast.expr] = {}
        for line, target, value in sorted(pairs, key=lambda pair: pair[0]):
            emptied = isinstance(value, ast.Constant) and not value.value
            if isinstance(target, ast.Name) and line <= before and not emptied:
                found[target.id] = value
        return found

    def _codes(self, node: ast.expr | None, names: Mapping[str, ast.expr], bound: Mapping[str, str]) -> list[str]:
        """The codes an expression can come to; none where it is only passed on."""
        if isinstance(node, ast.IfExp):
            return [*self._codes(node.body, names, bound), *self._codes(node.orelse, names, bound)]
        if isinstance(node, ast.Name) and node.id in names:
            return self._codes(names[node.id], {}, bound)
        text = self._text(node, names, bound)
        if _SHORT.fullmatch(text):
            text = f"AZM-{text}"
        return [text] if _CODE.fullmatch(text) else []

    def _text(self, node: ast.expr | None, names: Mapping[str, ast.expr], bound: Mapping[str, str]) -> str:
        """The text an expression comes to, what is not known standing in braces."""
        match node:
            case None:
                return ""
            case ast.Constant(value=str(text)):
                return text
            case ast.Constant(value=None):
                return ""
            case ast.JoinedStr(values=parts):
                return "".join(self._text(part, names, bound) for part in parts)
            case ast.FormattedValue(value=value):
                return self._text(value, names, bound)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._text(left, names, bound) + self._text(right, names, bound)
            case ast.IfExp(body=body, orelse=other):
                first, second = self._text(body, names, bound), self._text(other, names, bound)
                return first if first == second or not second else second if not first else f"{first} / {second}"
            case ast.Name(id=name) if name in bound:
                return bound[name]
            case ast.Name(id=name) if name in self.module.constants:
                return self.module.constants[name]
            case ast.Name(id=name) if isinstance(names.get(name), ast.Constant | ast.JoinedStr | ast.IfExp):
                return self._text(names[name], {}, bound)
        word = _short(node)
        return f"{{{word}}}" if word else ""


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls of a function or a module, without those of the functions inside it."""
    waiting = list(ast.iter_child_nodes(tree))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call):
            yield node
        if not isinstance(node, Function):
            waiting += ast.iter_child_nodes(node)


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _short(node: ast.AST) -> str:
    """A word for a value that is only known while running: the last name in it."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_").replace("_", " ").lower()
        case ast.Constant(value=value):
            return str(value)
        case ast.Call(func=ast.Attribute(value=ast.Constant()), args=[first, *_]):
            return _short(first)
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in _SAME:
            return _short(value)
        case ast.Call(func=function, args=[first, *_]) if not isinstance(function, ast.Attribute):
            return _short(first)
        case ast.Call(func=function):
            return _short(function)
        case ast.Subscript(value=value) | ast.GeneratorExp(elt=value) | ast.Starred(value=value):
            return _short(value)
        case ast.BoolOp(values=[first, *_]) | ast.BinOp(left=first):
            return _short(first)
    return ""
