"""The public names of the package and of its test kit -> the page of the Python API: signatures and first sentences."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

from tables import block, first_paragraph, page, table

import machine

__all__ = ["python_api"]

_DOORS: Final = {
    "Draw": ("load", "Description", "build_plan", "Plan", "render", "render_svg"),
    "Run": ("Runner", "Run", "Result", "SqliteStore", "MemoryStore", "Reference", "Record", "MachineError"),
    "Embed": ("Chart", "Snapshot", "Settings", "SecretRef", "Evaluator", "Reply", "Call", "Finish"),
    "Events": ("Started", "Replied", "CallFailed", "Resolved", "Reopened", "Cancelled"),
}
"""Every public name under the door it belongs to; a test sees that none is missing."""

_KIT: Final = ("machine.testing.server", "machine.testing.clock", "machine.testing.store_contract")
_STRATEGIES: Final = "machine.testing.strategies"
"""Needs the extra ``testing``."""
_WIDTH: Final = 100


def python_api() -> str:
    parts = []
    for door, names in _DOORS.items():
        parts.append(f"## {door}")
        parts += [part for name in names for part in _entry(name)]
    kit = [row for name in (*_KIT, _STRATEGIES) for row in _kit_rows(importlib.import_module(name))]
    return page(
        "Python API",
        "Everything here is in `machine` and is loaded when it is first used. What is not here, and not in the table "
        "at the end, may change in any release; see [versions](../versioning.md). How the three doors are used is in "
        "[the README](../../README.md#in-a-program) and in [Inside a program](../how-to/embed.md).",
        *parts,
        "## For tests",
        table(["name", "what it is"], kit),
        "Errors are in `machine.errors`; see [exit codes](exit-codes.md#classes-of-errors).",
    )


def _entry(name: str) -> Iterator[str]:
    value = getattr(machine, name)
    yield f"### {name}"
    yield block(_signature(name, value))
    yield first_paragraph(value.__doc__ if isinstance(value, type) else inspect.getdoc(value)) if _own(value) else ""
    if isinstance(value, type) and (rows := list(_members(value))):
        yield table(["", "what it does"], rows)


def _own(value: object) -> bool:
    """Whether somebody wrote its docstring: a dataclass without one gets its signature, which says nothing new."""
    text = getattr(value, "__doc__", None) or ""
    return not (isinstance(value, type) and text.startswith(f"{value.__name__}("))


def _signature(name: str, value: object) -> str:
    if not callable(value):
        return name
    signature = inspect.signature(value)
    words = []
    for one in signature.parameters.values():
        if one.kind is one.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        words.append(_parameter(one))
    back = "" if isinstance(value, type) else f" -> {_plain(signature.return_annotation)}"
    line = f"machine.{name}({', '.join(words)}){back}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"machine.{name}(", *(f"    {word}," for word in words), f"){back}"])


def _parameter(one: inspect.Parameter) -> str:
    """Its name, type and default. What a default is that is made at each call, or shows an address, is not said."""
    text = f"{one.name}: {_plain(one.annotation)}"
    if one.default is one.empty:
        return text
    shown = repr(one.default)
    return f"{text} = {'...' if shown.startswith('<') else shown}"


def _plain(annotation: object) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _members(kind: type) -> Iterator[list[str]]:
    """Public methods and properties of a class and of what it inherits from us, in the order they are written. One
    that needs no words says by its name what it does."""
    seen: set[str] = set()
    for base in kind.__mro__:
        if not base.__module__.startswith("machine."):
            continue
        for name, value in vars(base).items():
            raw = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
            if name.startswith("_") or name in seen or not (inspect.isfunction(raw) or isinstance(raw, property)):
                continue
            seen.add(name)
            if text := first_paragraph(inspect.getdoc(raw)):
                yield [f"`{name}{_call(raw)}`", text]


def _call(raw: object) -> str:
    """The parameters of a method, by name."""
    if not inspect.isfunction(raw):
        return ""
    words = [one for one in inspect.signature(raw).parameters if one not in ("self", "cls")]
    return f"({', '.join(words)})"


def _kit_rows(module: ModuleType) -> Iterator[list[str]]:
    summaries = _summaries(module)
    for name in module.__all__:
        if summaries.get(name):
            yield [f"`{module.__name__}.{name}`", summaries[name]]


def _summaries(module: ModuleType) -> dict[str, str]:
    tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
    kinds = (ast.ClassDef, ast.FunctionDef)
    return {node.name: first_paragraph(ast.get_docstring(node)) for node in tree.body if isinstance(node, kinds)}
