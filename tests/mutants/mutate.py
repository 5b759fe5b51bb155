"""Changes the safety core, one place at a time, and sees that a test notices.

    mutate.py                                    every module of the safety core
    mutate.py machine/runtime/secrets.py         one of them
    mutate.py --seconds 300 --sample 40          as far as it comes, at most so many of each module

Each mutant is a process of its own, forked from one that has the libraries loaded and nothing of ours: the module is
compiled from its changed tree when the tests import it, and no file is written. A mutant that no test notices is
printed with its line; ``docs/mutants.md`` says of each why. The exit code is 1 when fewer than 95 of 100 were noticed.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

__all__ = ["CORE", "Mutant", "main", "mutants"]

ROOT: Final = Path(__file__).resolve().parents[2]
TARGET: Final = 95.0
PATIENCE: Final = 90
"""Seconds of wall time for the tests of one mutant; one that hangs has been noticed."""

CORE: Final[dict[str, tuple[str, ...]]] = {
    "machine/runtime/secrets.py": ("tests/runtime/test_secrets.py", "tests/runtime/test_credentials.py"),
    "machine/runtime/concealing.py": ("tests/runtime/test_concealing.py", "tests/runtime/test_secrets.py"),
    "machine/runtime/sealing.py": ("tests/runtime/test_sealing.py",),
    "machine/plan/credentials.py": ("tests/plan/test_credentials.py",),
    "machine/runtime/http.py": ("tests/runtime/test_http.py", "tests/runtime/test_replies.py"),
    "machine/sources/serialise.py": ("tests/sources/test_serialise.py",),
    "machine/sources/percent.py": ("tests/sources/test_percent.py", "tests/sources/test_serialise.py"),
    "machine/stores/sqlite.py": ("tests/stores/test_sqlite.py", "tests/stores/test_contract.py"),
    "machine/runtime/runner.py": (
        "tests/runtime/test_runner.py",
        "tests/runtime/test_runner_doubt.py",
        "tests/runtime/test_runner_patience.py",
        "tests/runtime/test_durability.py",
    ),
}
"""Module to the tests that are asked about it."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change: where, what, and the tree with it."""

    line: int
    what: str
    tree: ast.Module


def mutants(text: str) -> Iterator[Mutant]:
    """Every change that is tried, in the order of the text. What only words an error is left alone."""
    total = len(list(_places(ast.parse(text))))
    for number in range(total):
        tree = ast.parse(text)
        parent, name, index, node, make = list(_places(tree))[number]
        changed, what = make(node)
        line = node.lineno
        value = getattr(parent, name)
        if index is None:
            setattr(parent, name, changed)
        else:
            value[index] = changed
        ast.fix_missing_locations(tree)
        yield Mutant(line=line, what=what, tree=tree)


def _places(tree: ast.Module) -> Iterator[tuple[ast.AST, str, int | None, Any, Any]]:
    """Every node that can be changed, where it hangs, and how."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        parent = waiting.pop(0)
        for name, value in ast.iter_fields(parent):
            for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if not isinstance(node, ast.AST) or _is_words(parent, name, node):
                    continue
                for make in _changes(node):
                    yield parent, name, index, node, make
                waiting.append(node)


def _is_words(parent: ast.AST, name: str, node: ast.AST) -> bool:
    """Docstrings, annotations, exports, and the sentences of errors: no rule stands in them."""
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
    called = ast.unparse(parent.func) if isinstance(parent, ast.Call) else ""
    return called.endswith("Error") and name in ("args", "keywords")


def _changes(node: ast.AST) -> Iterator[Any]:
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


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module from a changed tree, and everything else as it is."""

    def __init__(self, module: str, tree: ast.Module) -> None:
        self._name = module.removesuffix(".py").replace("/", ".")
        self._path = str(ROOT / module)
        self._tree = tree

    def find_spec(
        self, name: str, path: Any, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self, origin=self._path) if name == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = self._path
        exec(compile(self._tree, self._path, "exec"), module.__dict__)


def noticed(module: str, mutant: Mutant | None) -> bool:
    """Whether a test fails on it; None is the module as it is."""
    child = os.fork()
    if child == 0:
        code = 70
        with suppress(BaseException):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            os.setsid()
            signal.alarm(PATIENCE)
            if mutant is not None:
                sys.meta_path.insert(0, _Changed(module, mutant.tree))
            import pytest

            chosen = [str(ROOT / one) for one in CORE[module] if (ROOT / one).exists()]
            code = int(
                pytest.main(
                    [
                        "-x",
                        "-q",
                        "--no-header",
                        "--assert=plain",
                        "-p",
                        "no:cacheprovider",
                        "--rootdir",
                        str(ROOT),
                        *chosen,
                    ]
                )
            )
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return status != 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutants of the safety core.")
    parser.add_argument("modules", nargs="*", help="of the safety core; all unless given")
    parser.add_argument("--seconds", type=float, default=600.0, help="of wall time")
    parser.add_argument("--sample", type=int, default=0, help="at most so many of each module, drawn by chance")
    given = parser.parse_args()
    os.chdir(ROOT)
    # Loaded once for all mutants; nothing of ours may be.
    import hypothesis  # noqa: F401
    import pytest  # noqa: F401
    import requests  # noqa: F401
    import statemachine  # noqa: F401
    import yaml  # noqa: F401

    end = time.monotonic() + given.seconds
    killed = tried = left_out = 0
    for module in given.modules or CORE:
        if noticed(module, None):
            print(f"{module}: its tests fail without a change")
            return 1
        every = list(mutants((ROOT / module).read_text(encoding="utf-8")))
        chosen = random.Random(0).sample(every, min(given.sample, len(every))) if given.sample else every
        here = survived = 0
        for mutant in sorted(chosen, key=lambda one: one.line):
            if time.monotonic() > end:
                left_out += len(chosen) - here
                break
            here += 1
            if not noticed(module, mutant):
                survived += 1
                print(f"   {module}:{mutant.line}: {mutant.what}", flush=True)
        print(f"{module}: {here - survived} of {here} noticed, {len(every)} there are", flush=True)
        killed, tried = killed + here - survived, tried + here
    share = 100 * killed / tried if tried else 0.0
    print(f"{share:.1f} of 100 noticed ({killed} of {tried}), {left_out} not tried for want of time")
    return int(share < TARGET)


if __name__ == "__main__":
    sys.exit(main())
