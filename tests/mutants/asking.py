"""One module's mutants -> what its tests said of each. Every mutant has a process of its own, and no file is written.

The tests are collected once. They run once as they are, which tells of each how long it takes and which lines of the
module it comes by. Then each mutant is a fork that puts the changed code into the functions at hand and runs the tests
that come by the changed statement, those first that noticed most so far, of the others the fastest; where there are
none, nobody can notice. A statement that runs while modules and tests are loaded has had its effect by then: such a
mutant is a fork of the process from before, which loads everything with the change in it.
"""

from __future__ import annotations

import gc
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import select
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Final

import pytest
from changes import Mutant, tree_with

__all__ = ["ROOT", "Asked", "Said", "ask"]

ROOT: Final = Path(__file__).resolve().parents[2]
PATIENCE: Final = 10.0
"""Seconds a test may take beyond five times what it took unchanged; one that takes longer has noticed."""
LOADING: Final = 120.0
"""Seconds in which everything has to be loaded."""
FOR_ALL: Final = 4 * 3600.0
"""Seconds between two words about mutants; each of them is bounded by itself."""
UNFIT: Final = "unfit"
"""The changed code needs other names of the function around it, and cannot take the place of what is loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the tests said of a mutant."""

    noticed: bool
    by: str = ""
    """The test that failed; for a survivor empty, or why nobody was asked."""


@dataclass(slots=True, kw_only=True)
class Asked:
    """What one clean run tells: which lines run while everything is loaded, and of each test its time and its lines."""

    loaded: frozenset[int] = frozenset()
    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, frozenset[int]] = field(default_factory=dict)

    def by(self, mutant: Mutant) -> list[str]:
        """The tests that come by this mutant's statement, fastest first."""
        wanted = set(range(mutant.first, mutant.last + 1))
        return sorted((name for name, lines in self.lines.items() if wanted & lines), key=self.seconds.__getitem__)

    def is_loaded(self, mutant: Mutant) -> bool:
        return not self.loaded.isdisjoint(range(mutant.first, mutant.last + 1))

    def place(self, name: str) -> tuple[bool, float]:
        """Where a test stands in the order, when all are asked: first those that come by the module at all."""
        return not self.lines.get(name, frozenset({0})), self.seconds.get(name, 0.0)


def ask(
    module: str,
    tests: Sequence[str],
    chosen: Sequence[Mutant],
    tell: Callable[[Mutant, Said], None],
    *,
    folder: Path,
    end: float,
) -> str:
    """Ask the tests about the mutants and tell of each what was said, until ``end`` of the monotonic clock.

    Returns what is wrong when a test fails on the module as it is, else nothing. ``folder`` is for the files tests
    make.
    """
    asked = Asked()
    later: list[Mutant] = []
    libraries: list[str] = []

    def heard(line: str) -> None:
        found = json.loads(line)
        if "loaded" in found:
            asked.loaded = frozenset(found["loaded"])
            asked.seconds = found["seconds"]
            asked.lines = {name: frozenset(lines) for name, lines in found["lines"].items()}
            libraries.extend(found["libraries"])
        elif "later" in found:
            later.append(chosen[found["later"]])
        else:
            tell(chosen[found["at"]], Said(noticed=found["noticed"], by=found["by"]))

    def load_in_turn(say: Callable[[str], None]) -> str:
        for name in libraries:
            with suppress(ImportError):
                importlib.import_module(name)
        for mutant in later:
            if time.monotonic() > end:
                break
            said = _loaded_with(module, tests, mutant, asked, folder)
            say(json.dumps({"at": chosen.index(mutant), "noticed": said.noticed, "by": said.by}))
        return ""

    plugin = _InTurn(module, chosen, end)
    wrong = _watch(lambda say: _collected(tests, folder, plugin, say), heard, lambda line: FOR_ALL)
    return wrong or _watch(load_in_turn, heard, lambda line: FOR_ALL)


def _loaded_with(module: str, tests: Sequence[str], mutant: Mutant, asked: Asked, folder: Path) -> Said:
    tree = tree_with((ROOT / module).read_text(encoding="utf-8"), mutant.number)
    order = sorted(tests, key=lambda one: sum(asked.seconds[name] for name in asked.seconds if name.startswith(one)))

    def child(say: Callable[[str], None]) -> str:
        sys.meta_path.insert(0, _Changed(module, tree))
        return _collected(order, folder, _All(asked), say)

    last = ""

    def heard(line: str) -> None:
        nonlocal last
        last = line

    wrong = _watch(child, heard, lambda line: _patience(asked.seconds.get(line, 1.0)) if line else LOADING)
    return _said(wrong, last)


def _said(wrong: str, last: str) -> Said:
    return Said(noticed=bool(wrong), by=f"{wrong}: {last}" if wrong and last else wrong)


def _patience(seconds: float) -> float:
    return PATIENCE + 5 * seconds


# -- processes ---------------------------------------------------------------------------------------------------------


def _watch(
    child: Callable[[Callable[[str], None]], str], heard: Callable[[str], None], patience: Callable[[str], float]
) -> str:
    """Run ``child`` in a fork that says lines to us; what it returns, or why it did not get so far.

    ``patience`` are the seconds until its next line, by the one it said last.
    """
    ear, mouth = os.pipe()
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            os.setsid()
            null = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)

            def say(line: str) -> None:
                data = f"{line}\n".encode()
                while data:
                    data = data[os.write(mouth, data) :]

            say(f"= {child(say)}")
        os._exit(0)
    os.close(mouth)
    end, last, rest = "it died", "", b""
    try:
        while True:
            ready, _, _ = select.select([ear], [], [], patience(last))
            data = os.read(ear, 1 << 16) if ready else b""
            if not data:
                end = end if ready else "it took too long"
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                last = line.decode()
                if last.startswith("= "):
                    return last[2:]
                heard(last)
    finally:
        os.close(ear)
        # It leads a group of its own, so that nothing a test started outlives it.
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return end


def _collected(tests: Sequence[str], folder: Path, plugin: _Plugin, say: Callable[[str], None]) -> str:
    """Have pytest collect these tests and let the plugin do with them what it does. Returns what went wrong."""
    plugin.say = say
    told = ("-q", "-s", "--no-header", "--assert=plain", "-p", "no:cacheprovider", "-o", "timeout=0")
    with plugin.from_the_start():
        code = pytest.main(
            [*told, f"--basetemp={folder}", f"--rootdir={ROOT}", *(str(ROOT / one) for one in tests)], plugins=[plugin]
        )
    return plugin.wrong or ("" if code in (0, 5) else f"pytest ended with {int(code)}")


class _Plugin:
    """Takes the place of pytest's loop over its tests."""

    def __init__(self) -> None:
        self.say: Callable[[str], None] = lambda line: None
        self.wrong = ""

    @contextmanager
    def from_the_start(self) -> Iterator[None]:
        yield

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            self.wrong = "not collected"
        else:
            _without_shrinking(session.items)
            self.run(session)
        return True

    def run(self, session: pytest.Session) -> None:
        raise NotImplementedError


def _without_shrinking(items: Sequence[pytest.Item]) -> None:
    """That an example fails is enough; the smallest that does takes long to find, and none is to be remembered."""
    from hypothesis import Phase, settings

    for item in items:
        function: Any = getattr(item, "obj", None)
        mine = getattr(function, "_hypothesis_internal_use_settings", None)
        if mine is not None:
            quick = settings(mine, phases=(Phase.explicit, Phase.generate), database=None, derandomize=True)
            function._hypothesis_internal_use_settings = quick


def _one(item: pytest.Item, following: pytest.Item | None) -> bool:
    """Whether this test passes."""
    session = item.session
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    return not session.testsfailed


def _first_failure(items: Sequence[pytest.Item], say: Callable[[str], None]) -> str:
    for item, following in zip(items, [*items[1:], None], strict=True):
        say(item.nodeid)
        if not _one(item, following):
            return "failed"
    return ""


# -- a change in what is loaded already --------------------------------------------------------------------------------


class _InTurn(_Plugin):
    """Says what a clean run tells, then of each mutant what the tests said, or that it has to be loaded."""

    def __init__(self, module: str, chosen: Sequence[Mutant], end: float) -> None:
        super().__init__()
        self._path = str(ROOT / module)
        self._chosen = chosen
        self._end = end
        self._lines: set[int] = set()

    def _trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        return self._trace_line if frame.f_code.co_filename == self._path else None

    def _trace_line(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            self._lines.add(frame.f_lineno)
        return self._trace_line

    @contextmanager
    def from_the_start(self) -> Iterator[None]:
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        yield

    def run(self, session: pytest.Session) -> None:
        loaded = sorted(self._lines)
        asked = Asked(loaded=frozenset(loaded))

        def heard(line: str) -> None:
            found = json.loads(line)
            asked.seconds[found["name"]] = found["seconds"]
            asked.lines[found["name"]] = frozenset(found["lines"])

        wrong = _watch(lambda say: self._clean(session.items, say), heard, lambda line: LOADING)
        sys.settrace(None)
        threading.settrace(None)
        items = {item.nodeid: item for item in sorted(session.items, key=lambda item: asked.place(item.nodeid))}
        wrong = wrong or self._ask(list(items.values()), asked, lambda: None).by
        if wrong:
            self.wrong = f"without a change {wrong}"
            return
        lines = {name: sorted(found) for name, found in asked.lines.items()}
        told = {"loaded": loaded, "seconds": asked.seconds, "lines": lines, "libraries": _libraries()}
        self.say(json.dumps(told))
        functions = _functions(self._path)
        text = Path(self._path).read_text(encoding="utf-8")
        noticed: Counter[str] = Counter()
        for at, mutant in enumerate(self._chosen):
            if time.monotonic() > self._end:
                break
            names = sorted(asked.by(mutant), key=noticed.__getitem__, reverse=True)
            said = Said(noticed=False, by="no test comes by")
            if names and not asked.is_loaded(mutant):
                change = _change(functions, self._path, text, mutant)
                said = self._ask([items[name] for name in names], asked, change)
                noticed[said.by.partition(": ")[2]] += said.noticed
            if asked.is_loaded(mutant) or said.by == UNFIT:
                self.say(json.dumps({"later": at}))
                continue
            self.say(json.dumps({"at": at, "noticed": said.noticed, "by": said.by}))

    def _clean(self, items: Sequence[pytest.Item], say: Callable[[str], None]) -> str:
        for item, following in zip(items, [*items[1:], None], strict=True):
            self._lines.clear()
            begun = time.monotonic()
            passed = _one(item, following)
            told = {"name": item.nodeid, "seconds": time.monotonic() - begun, "lines": sorted(self._lines)}
            say(json.dumps(told))
            if not passed:
                return f"{item.nodeid} failed"
        return ""

    def _ask(self, items: Sequence[pytest.Item], asked: Asked, change: Callable[[], None]) -> Said:
        last = ""

        def child(say: Callable[[str], None]) -> str:
            try:
                change()
            except ValueError:
                return UNFIT
            return _first_failure(items, say)

        def heard(line: str) -> None:
            nonlocal last
            last = line

        wrong = _watch(child, heard, lambda line: _patience(asked.seconds.get(line, 1.0)))
        return _said(wrong, last)


def _libraries() -> list[str]:
    """What is loaded and not ours: no mutant has to load it again."""
    ours = (str(ROOT / "machine"), str(ROOT / "tests"))
    return [name for name, one in sys.modules.items() if not str(getattr(one, "__file__", "")).startswith(ours)]


_Key = tuple[str, int]


def _functions(path: str) -> Mapping[_Key, list[FunctionType]]:
    """Every function there is whose code stands in this file."""
    found: dict[_Key, list[FunctionType]] = {}
    for one in gc.get_objects():
        if type(one) is FunctionType and one.__code__.co_filename == path:
            found.setdefault(_key(one.__code__), []).append(one)
    return found


def _change(
    functions: Mapping[_Key, Sequence[FunctionType]], path: str, text: str, mutant: Mutant
) -> Callable[[], None]:
    def change() -> None:
        before = _codes(compile(text, path, "exec"))
        for key, code in _codes(compile(tree_with(text, mutant.number), path, "exec")).items():
            if before.get(key) != code:
                for function in functions.get(key, ()):
                    function.__code__ = code

    return change


def _codes(code: CodeType) -> dict[_Key, CodeType]:
    found, waiting = {}, [code]
    while waiting:
        one = waiting.pop()
        found[_key(one)] = one
        waiting += [inner for inner in one.co_consts if isinstance(inner, CodeType)]
    return found


def _key(code: CodeType) -> _Key:
    return code.co_qualname, code.co_firstlineno


# -- a change that has to be loaded ------------------------------------------------------------------------------------


class _All(_Plugin):
    """Runs every test until one fails."""

    def __init__(self, asked: Asked) -> None:
        super().__init__()
        self._asked = asked

    def run(self, session: pytest.Session) -> None:
        items = sorted(session.items, key=lambda item: self._asked.place(item.nodeid))
        self.wrong = _first_failure(items, self.say)


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module from a changed tree, and everything else as it is."""

    def __init__(self, module: str, tree: Any) -> None:
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
