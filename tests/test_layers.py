"""The rules of the architecture, read off the syntax trees of ``machine/``.

A rule is a function from one source file to its offences, each a line ``path:line: what is wrong``. The first half
of this file states the rules, the second applies them to the package, and the last proves on planted offences that
each rule can see what it forbids.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("values",),
    ("document",),
    ("sources",),
    ("expressions",),
    ("plan",),
    ("chart",),
    ("stores", "diagram"),
    ("runtime", "library"),
    ("reports",),
    ("testing",),
    ("cli",),
    ("__init__", "__main__"),
)
"""The lowest layer first. A unit is a folder or a file right under ``machine/``; it may import from earlier rows."""

RANK = {unit: rank for rank, row in enumerate(LAYERS) for unit in row}
PURE = {"errors", "values", "document", "sources", "expressions", "plan", "chart", "diagram"}
IMPURE = {
    "logging",
    "os",
    "random",
    "requests",
    "socket",
    "sqlite3",
    "structlog",
    "subprocess",
    "threading",
    "time",
    "urllib3",
}
LAZY = {"elementpath", "jsonpath_rfc9535", "jsonschema", "lxml", "regex"}
VAGUE = {"common", "helper", "helpers", "util", "utils"}
PICKLES = {"cPickle", "cloudpickle", "dbm", "dill", "joblib", "jsonpickle", "marshal", "pickle", "shelve"}
EVALUATORS = {"eval", "exec", "runpy.run_path", "runpy.run_module", "code.interact", "code.InteractiveInterpreter"}
YAML_LOADERS = {
    *(f"yaml.{name}" for name in ("load", "load_all", "full_load", "full_load_all", "unsafe_load", "unsafe_load_all")),
    *(f"yaml.{name}" for name in ("Loader", "FullLoader", "UnsafeLoader", "CLoader", "CFullLoader", "CUnsafeLoader")),
}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
SHELLS |= {"asyncio.create_subprocess_shell", "pty.spawn", "os.startfile"}
STARTERS = {f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output")}
XML_READERS = ("parse", "iterparse", "fromstring", "XML", "XMLParser", "XMLPullParser")
XML_PARSERS = {f"xml.etree.ElementTree.{name}" for name in XML_READERS}
XML_WITHOUT_A_HEAD = {"machine/runtime/layout.py"}
"""Where only what begins with its root element is parsed: an entity is declared before that."""
SAFE_XML = {"resolve_entities": "False", "no_network": "True", "load_dtd": "False", "huge_tree": "False"}
MAX_LINES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file of the package: its path from the root of the checkout, and its text."""

    path: str
    text: str
    tree: ast.Module = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tree", ast.parse(self.text, self.path))

    @property
    def parts(self) -> list[str]:
        return self.path.removesuffix(".py").split("/")

    @property
    def unit(self) -> str:
        """The row entry of ``LAYERS`` this file belongs to."""
        return self.parts[1]

    @property
    def module(self) -> str:
        return ".".join(part for part in self.parts if part != "__init__")

    @property
    def package(self) -> str:
        return ".".join(self.parts[:-1])

    def offence(self, line: int, what: str) -> str:
        return f"{self.path}:{line}: {what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported name, dotted and absolute: ``from ..errors import Place`` is ``machine.errors.Place``."""

    line: int
    target: str
    relative: bool

    @property
    def top(self) -> str:
        return self.target.partition(".")[0]

    @property
    def unit(self) -> str:
        """The unit of ``machine/`` the target lies in; what the package itself exports lies in ``__init__``."""
        parts = self.target.split(".")
        return parts[1] if len(parts) > 1 and parts[1] in RANK else "__init__"


Rule = Callable[[Source], list[str]]


def called(node: ast.AST) -> str:
    """The dotted name a call calls, or nothing: ``os.system`` for ``os.system(line)``."""
    match node:
        case ast.Call(func=ast.Name() | ast.Attribute() as func):
            return ast.unparse(func)
    return ""


def uses(source: Source, names: Collection[str]) -> Iterator[tuple[ast.expr, str]]:
    """Every place that names one of these functions, whether it is called there or handed on, and however it was
    imported: ``os.system``, ``from os import system``, ``import os as o``."""
    return ((node, name) for node, name in named(source) if name.removeprefix("builtins.") in names)


@functools.cache
def named(source: Source) -> tuple[tuple[ast.expr, str], ...]:
    """Every dotted name of a file, with what it stands for."""
    known = dict(bindings(source))
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name | ast.Attribute) and (parts := dotted(node)):
            found.append((node, ".".join([known.get(parts[0], parts[0]), *parts[1:]])))
    return tuple(found)


def dotted(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return [*before, node.attr] if before else []
    return [node.id] if isinstance(node, ast.Name) else []


def bindings(source: Source) -> Iterator[tuple[str, str]]:
    """Each name an import binds, and what it stands for."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.asname, alias.name) for alias in node.names if alias.asname)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def eager(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported: no body of a function, nothing for type checkers only."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            waiting.extend(node.orelse)
        else:
            waiting.extend(ast.iter_child_nodes(node))


def imports(source: Source, nodes: Iterator[ast.AST] | None = None) -> Iterator[Import]:
    """Every import among ``nodes`` (all of the file unless given), ``import_module`` of a literal included."""
    for node in ast.walk(source.tree) if nodes is None else nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(line=node.lineno, target=alias.name, relative=False)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), source.package)
            for alias in node.names:
                yield Import(line=node.lineno, target=f"{base}.{alias.name}", relative=node.level > 0)
        elif isinstance(node, ast.Call) and called(node) in {"__import__", "import_module", "importlib.import_module"}:
            name = node.args[0] if node.args else None
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                target = resolve_name(name.value, source.package)
                yield Import(line=node.lineno, target=target, relative=name.value.startswith("."))


def internal(source: Source) -> Iterator[Import]:
    """The imports that stay inside the package, and leave their own unit."""
    return (found for found in imports(source) if found.top == "machine" and found.unit != source.unit)


# The rules


def homeless(source: Source) -> list[str]:
    return [] if source.unit in RANK else [source.offence(1, f"{source.unit} stands in no layer; add it to LAYERS")]


def upward(source: Source) -> list[str]:
    return [
        source.offence(found.line, f"{source.unit} may not import {found.target}: {found.unit} is not below it")
        for found in internal(source)
        if RANK[found.unit] >= RANK.get(source.unit, 0)
    ]


def beyond_the_shapes(source: Source) -> list[str]:
    return [
        source.offence(found.line, f"expressions may import document.model, not {found.target}")
        for found in internal(source)
        if source.unit == "expressions"
        and found.unit == "document"
        and not f"{found.target}.".startswith("machine.document.model.")
    ]


def impure(source: Source) -> list[str]:
    return [
        source.offence(found.line, f"{source.unit} computes, so it may not import {found.top}; pass the value in")
        for found in imports(source)
        if source.unit in PURE and found.top in IMPURE and not found.relative
    ]


def hasty(source: Source) -> list[str]:
    return [
        source.offence(found.line, f"{found.top} is heavy; import it inside the function that uses it")
        for found in imports(source, eager(source.tree))
        if found.top in LAZY
    ]


def absolute(source: Source) -> list[str]:
    started_by_name = source.unit in {"testing", "cli"} and any(
        isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'" for node in source.tree.body
    )
    return [
        source.offence(found.line, f"import {found.target} relatively")
        for found in imports(source)
        if found.top == "machine" and not found.relative and not started_by_name
    ]


def too_long(source: Source) -> list[str]:
    lines = len(source.text.splitlines())
    return [source.offence(lines, f"{lines} lines, {MAX_LINES} at most")] if lines > MAX_LINES else []


def vague(source: Source) -> list[str]:
    return [source.offence(1, f"{part!r} says nothing about what it holds") for part in source.parts if part in VAGUE]


def evaluating(source: Source) -> list[str]:
    found = [source.offence(node.lineno, f"{name}() runs text as code") for node, name in uses(source, EVALUATORS)]
    return found + [
        source.offence(node.lineno, "compile() makes code of text")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and called(node) == "compile" and len(node.args) > 1
    ]


def loading_yaml(source: Source) -> list[str]:
    return [
        source.offence(node.lineno, f"{name} makes objects a document names; read its events")
        for node, name in uses(source, YAML_LOADERS)
    ]


def parsing_xml(source: Source) -> list[str]:
    """Every parser of XML in the standard library expands entities; lxml does unless told otherwise."""
    parsers = uses(source, XML_PARSERS if source.path not in XML_WITHOUT_A_HEAD else ())
    found = [source.offence(node.lineno, f"{name} expands entities") for node, name in parsers]
    found += [
        source.offence(one.line, f"{one.target} expands entities; parse with lxml, and no entities")
        for one in imports(source)
        if one.target.startswith(("xml.sax", "xml.dom", "xml.parsers"))
    ]
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        given = {key.arg: ast.unparse(key.value) for key in node.keywords}
        if called(node).rpartition(".")[2] == "XMLParser" and not SAFE_XML.items() <= given.items():
            found.append(source.offence(node.lineno, f"XMLParser has to be told {SAFE_XML}"))
        if called(node) in {"etree.fromstring", "etree.parse", "etree.XML"} and len(node.args) + len(node.keywords) < 2:
            found.append(source.offence(node.lineno, f"{called(node)} parses with entities; give it a parser"))
    return found


def naming_files(source: Source) -> list[str]:
    return [
        source.offence(node.lineno, f"{name}() names a file that somebody else can make first")
        for node, name in uses(source, {"tempfile.mktemp", "os.tempnam", "os.tmpnam"})
    ]


def filled_with(node: ast.AST) -> list[str]:
    """What stands between the braces of an f-string."""
    return [ast.unparse(one.value) for one in getattr(node, "values", []) if isinstance(one, ast.FormattedValue)]


def building_sql(source: Source) -> list[str]:
    """SQL is a constant, or a constant chosen by name: a text that is put together may hold somebody's quote."""
    return [
        source.offence(node.lineno, "SQL is put together from texts; use parameters")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and called(node).rpartition(".")[2] in {"execute", "executemany", "executescript"}
        and node.args
        and any(is_put_together(one) for one in meanings(source, node.args[0]))
    ]


def is_put_together(node: ast.expr) -> bool:
    """A constant of ours is the only way to give a PRAGMA its value, so a name in capitals may be filled in."""
    return (
        isinstance(node, ast.BinOp)
        or not all(one.isupper() for one in filled_with(node))
        or called(node).rpartition(".")[2] in {"format", "join", "replace"}
    )


def unpickling(source: Source) -> list[str]:
    return [
        source.offence(found.line, f"{found.top} runs code out of data; store JSON")
        for found in imports(source)
        if found.top in PICKLES and not found.relative
    ]


def through_a_shell(source: Source) -> list[str]:
    found = [
        source.offence(node.lineno, f"{name}() gives a line to a shell; pass a list of arguments")
        for node, name in uses(source, SHELLS)
    ]
    starting = {node for node, _ in uses(source, STARTERS)}
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        if any(key.arg == "shell" and ast.unparse(key.value) != "False" for key in node.keywords):
            found.append(source.offence(node.lineno, "a shell reads its input as a program; pass a list of arguments"))
        if node.func in starting and any(is_text(one) for first in node.args[:1] for one in meanings(source, first)):
            found.append(source.offence(node.lineno, f"{called(node)}() is given a text; pass a list of arguments"))
    return found


def meanings(source: Source, node: ast.expr) -> Iterator[ast.expr]:
    """What stands there; for a name also all it is given in the file, and what a hint says it is."""
    yield node
    if not isinstance(node, ast.Name):
        return
    for one in ast.walk(source.tree):
        if isinstance(one, ast.Assign) and any(ast.unparse(target) == node.id for target in one.targets):
            yield one.value
        elif isinstance(one, ast.arg) and one.arg == node.id and one.annotation is not None:
            yield ast.Constant("") if ast.unparse(one.annotation) == "str" else one.annotation


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr | ast.BinOp) or (isinstance(node, ast.Constant) and type(node.value) is str)


# The package under the rules


@cache
def sources() -> tuple[Source, ...]:
    return tuple(
        Source(path=path.relative_to(ROOT).as_posix(), text=path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / "machine").rglob("*.py"))
    )


def assert_obeyed(rule: Rule) -> None:
    offences = [offence for source in sources() for offence in rule(source)]

    assert offences == [], "\n" + "\n".join(offences)


def test_the_walk_sees_the_package() -> None:
    assert "machine/errors.py" in {source.path for source in sources()}


def test_every_file_belongs_to_a_layer() -> None:
    assert_obeyed(homeless)


def test_imports_point_only_down() -> None:
    assert_obeyed(upward)


def test_expressions_know_the_shapes_of_a_document_and_nothing_else_of_it() -> None:
    assert_obeyed(beyond_the_shapes)


def test_what_computes_imports_no_clock_no_chance_no_network_and_no_files() -> None:
    assert_obeyed(impure)


def test_heavy_libraries_are_imported_where_they_are_used() -> None:
    assert_obeyed(hasty)


def test_imports_inside_the_package_are_relative() -> None:
    assert_obeyed(absolute)


def test_no_file_is_too_long_to_read() -> None:
    assert_obeyed(too_long)


def test_no_file_or_folder_has_a_vague_name() -> None:
    assert_obeyed(vague)


def test_nothing_evaluates_text() -> None:
    assert_obeyed(evaluating)


def test_nothing_makes_objects_of_yaml() -> None:
    assert_obeyed(loading_yaml)


def test_no_sql_is_put_together() -> None:
    assert_obeyed(building_sql)


def test_nothing_unpickles() -> None:
    assert_obeyed(unpickling)


def test_nothing_goes_through_a_shell() -> None:
    assert_obeyed(through_a_shell)


def test_no_xml_is_parsed_with_entities() -> None:
    assert_obeyed(parsing_xml)


def test_no_file_is_named_before_it_is_made() -> None:
    assert_obeyed(naming_files)


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = {source.module for source in sources()}
    graph: dict[str, set[str]] = {}
    for source in sources():
        targets = {found.target for found in imports(source, eager(source.tree))}
        # A name imported from a module is not a module; what it was imported from is.
        graph[source.module] = {
            name for target in targets for name in (target, target.rpartition(".")[0]) if name in modules
        } - {source.module, "machine"}

    circle: list[str] = []
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1]

    assert circle == [], " imports ".join(reversed(circle))


# The rules under test

PLAN, STORES, CLI = "machine/plan/build.py", "machine/stores/sqlite.py", "machine/cli/app.py"


@pytest.mark.parametrize(
    ("rule", "path", "text", "line"),
    [
        pytest.param(homeless, "machine/extras/x.py", "", 1, id="a-folder-in-no-layer"),
        pytest.param(upward, PLAN, "\nfrom ..chart.events import Started", 2, id="upward"),
        pytest.param(upward, PLAN, "from .. import runtime", 1, id="upward-by-package"),
        pytest.param(upward, PLAN, "from .. import __version__", 1, id="upward-to-the-public-surface"),
        pytest.param(upward, STORES, "from ..diagram import dot", 1, id="sideways"),
        pytest.param(upward, "machine/errors.py", "from .values import Json", 1, id="errors-know-nobody"),
        pytest.param(upward, "machine/plan/__init__.py", "from ..chart import chart", 1, id="upward-from-an-init"),
        pytest.param(upward, PLAN, "import machine.cli.app", 1, id="upward-absolute"),
        pytest.param(upward, PLAN, "if TYPE_CHECKING:\n    from ..cli import app", 2, id="upward-for-types"),
        pytest.param(upward, PLAN, "def f():\n    from ..cli import app", 2, id="upward-in-a-function"),
        pytest.param(upward, PLAN, "import_module('..cli', __package__)", 1, id="upward-by-literal"),
        pytest.param(beyond_the_shapes, "machine/expressions/x.py", "from ..document.load import f", 1, id="too-far"),
        pytest.param(impure, PLAN, "import os.path", 1, id="a-submodule"),
        pytest.param(impure, "machine/diagram/dot.py", "from time import time", 1, id="a-clock-in-a-picture"),
        pytest.param(impure, "machine/values.py", "def f():\n    import random", 2, id="chance-in-a-function"),
        pytest.param(hasty, PLAN, "import jsonschema", 1, id="heavy-at-the-top"),
        pytest.param(hasty, PLAN, "try:\n    from lxml import etree\nfinally: ...", 2, id="heavy-under-try"),
        pytest.param(absolute, PLAN, "from machine.errors import Place", 1, id="absolute-from"),
        pytest.param(absolute, CLI, "import machine", 1, id="absolute-import"),
        pytest.param(too_long, PLAN, "\n" * 501, 501, id="long"),
        pytest.param(vague, "machine/plan/utils.py", "", 1, id="utils"),
        pytest.param(vague, "machine/common/x.py", "", 1, id="common"),
        pytest.param(evaluating, CLI, "x = [eval(t) for t in ts]", 1, id="eval"),
        pytest.param(evaluating, CLI, "exec(\n'1')", 1, id="exec"),
        pytest.param(evaluating, CLI, "compile(t, 'x', 'exec')", 1, id="compile"),
        pytest.param(loading_yaml, CLI, "\nyaml.load(t, Loader=L)", 2, id="yaml-load"),
        pytest.param(loading_yaml, CLI, "yaml.unsafe_load(t)", 1, id="yaml-unsafe"),
        pytest.param(building_sql, STORES, "c.execute(f'SELECT {x}')", 1, id="sql-f-string"),
        pytest.param(building_sql, STORES, "c.executemany('SELECT ' + x, y)", 1, id="sql-sum"),
        pytest.param(building_sql, STORES, "c.execute('SELECT %s' % x)", 1, id="sql-percent"),
        pytest.param(building_sql, STORES, "c.executescript('SELECT {}'.format(x))", 1, id="sql-format"),
        pytest.param(unpickling, STORES, "from pickle import loads", 1, id="pickle"),
        pytest.param(through_a_shell, CLI, "subprocess.run(line, shell=True)", 1, id="shell"),
        pytest.param(through_a_shell, CLI, "os.system(line)", 1, id="system"),
        pytest.param(through_a_shell, CLI, "from os import popen\npopen(line)", 2, id="popen-by-its-own-name"),
        pytest.param(through_a_shell, CLI, "import os as o\nfor x in y:\n    o.system(x)", 3, id="system-renamed"),
        pytest.param(through_a_shell, CLI, "import os\nlist(map(os.system, lines))", 2, id="system-handed-on"),
        pytest.param(through_a_shell, CLI, "subprocess.run('ls -l')", 1, id="subprocess-with-a-text"),
        pytest.param(through_a_shell, CLI, "subprocess.Popen(f'ls {x}')", 1, id="subprocess-with-an-f-string"),
        pytest.param(through_a_shell, CLI, "line = 'ls'\nsubprocess.run(line)", 2, id="subprocess-with-a-name"),
        pytest.param(through_a_shell, CLI, "def f(line: str):\n    subprocess.run(line)", 2, id="a-text-by-its-hint"),
        pytest.param(evaluating, CLI, "from builtins import exec as run\nrun(x)", 2, id="exec-renamed"),
        pytest.param(evaluating, CLI, "x = list(map(eval, y))", 1, id="eval-handed-on"),
        pytest.param(evaluating, CLI, "import builtins\nbuiltins.eval(x)", 2, id="eval-of-builtins"),
        pytest.param(evaluating, CLI, "import runpy\nrunpy.run_path(x)", 2, id="runpy"),
        pytest.param(loading_yaml, CLI, "from yaml import load\nload(t)", 2, id="yaml-load-by-its-own-name"),
        pytest.param(loading_yaml, CLI, "yaml.parse(t, Loader=yaml.UnsafeLoader)", 1, id="yaml-unsafe-loader"),
        pytest.param(unpickling, STORES, "import marshal", 1, id="marshal"),
        pytest.param(unpickling, STORES, "def f():\n    import shelve", 2, id="shelve"),
        pytest.param(parsing_xml, CLI, "from xml.etree import ElementTree\nElementTree.parse(x)", 2, id="xml-parse"),
        pytest.param(parsing_xml, CLI, "import xml.etree.ElementTree as ET\nET.fromstring(x)", 2, id="xml-renamed"),
        pytest.param(parsing_xml, CLI, "from xml.dom import minidom", 1, id="minidom"),
        pytest.param(parsing_xml, CLI, "etree.XMLParser(resolve_entities=False)", 1, id="lxml-with-a-network"),
        pytest.param(parsing_xml, CLI, "etree.fromstring(x)", 1, id="lxml-as-it-is"),
        pytest.param(naming_files, CLI, "import tempfile\ntempfile.mktemp()", 2, id="mktemp"),
        pytest.param(naming_files, CLI, "from tempfile import mktemp as t\nt()", 2, id="mktemp-renamed"),
        pytest.param(building_sql, STORES, "sql = f'SELECT {x}'\nc.execute(sql)", 2, id="sql-put-together-before"),
    ],
)
def test_a_planted_offence_is_seen_with_its_file_and_line(rule: Rule, path: str, text: str, line: int) -> None:
    offences = rule(Source(path=path, text=text))

    assert [offence.split(": ")[0] for offence in offences] == [f"{path}:{line}"]


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        pytest.param(upward, PLAN, "from ..errors import Place\nfrom .model import Plan", id="down-and-beside"),
        pytest.param(upward, "machine/plan/__init__.py", "from .build import f\nfrom ..values import Json", id="init"),
        pytest.param(upward, "machine/values.py", "from .errors import BugError", id="values-know-errors"),
        pytest.param(upward, "machine/__main__.py", "from .cli.app import main", id="the-top-knows-all"),
        pytest.param(beyond_the_shapes, "machine/expressions/x.py", "from ..document import model", id="the-shapes"),
        pytest.param(impure, STORES, "import os, sqlite3", id="a-store-may"),
        pytest.param(impure, PLAN, "import operator\nfrom . import time", id="only-the-listed-ones"),
        pytest.param(hasty, PLAN, "def f():\n    import jsonschema", id="heavy-in-a-function"),
        pytest.param(hasty, PLAN, "if TYPE_CHECKING:\n    import jsonschema", id="heavy-for-types"),
        pytest.param(absolute, "machine/testing/x.py", "import machine\nif __name__ == '__main__': ...", id="a-script"),
        pytest.param(too_long, PLAN, "\n" * 500, id="just-short-enough"),
        pytest.param(vague, "machine/plan/commonly.py", "", id="only-the-whole-name"),
        pytest.param(evaluating, CLI, "criteria.eval(x)\nre.compile(y)", id="a-method-of-that-name"),
        pytest.param(loading_yaml, CLI, "yaml.parse(t, Loader=L)", id="yaml-events"),
        pytest.param(
            building_sql,
            STORES,
            "c.execute(SQL, (x,))\nc.execute(f'PRAGMA x = {FORMAT}')\nc.execute('SELECT ?', (f'{x}',))",
            id="sql-constant",
        ),
        pytest.param(through_a_shell, CLI, "subprocess.run([line], shell=False)", id="no-shell"),
        pytest.param(through_a_shell, CLI, "line = ['ls', x]\nsubprocess.run(line)", id="a-list-by-its-name"),
        pytest.param(building_sql, STORES, "sql = 'SELECT ?'\nc.execute(sql, (x,))", id="sql-constant-by-its-name"),
        pytest.param(parsing_xml, CLI, "from xml.etree import ElementTree\nElementTree.Element(x)", id="xml-writing"),
    ],
)
def test_what_a_rule_allows_is_let_pass(rule: Rule, path: str, text: str) -> None:
    assert rule(Source(path=path, text=text)) == []
