"""An Overlay document -> Overlay; Tree and Overlay -> the merged Tree, every node of which knows the text it is from.

This is how somebody else's document is annotated without being edited (OpenAPI Overlay 1.0.0; where that leaves a
case open, the answer Overlay 1.1.0 gave is taken). Opens no file and changes no tree it is given. Both documents are
hostile: text, values, depth and the work of every query are bounded, nothing here recurses on them, and every refusal
is a DocumentError, codes AZM-D300 to AZM-D316 beside those of ``document/load.py``.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from ..errors import DocumentError
from ..values import MISSING, Json, Missing
from .findings import Finding, Severity, raise_if_errors
from .load import MAX_DEPTH, parse
from .positions import Marks, Positions, Spot, Tree

if TYPE_CHECKING:
    from jsonpath_rfc9535 import JSONPathQuery

__all__ = [
    "MAX_ACTIONS",
    "MAX_OVERLAY_BYTES",
    "MAX_SIZE",
    "MAX_STEPS",
    "MAX_TARGET",
    "Overlay",
    "OverlayAction",
    "apply_overlay",
    "merged_bytes",
    "read_overlay",
]

MAX_OVERLAY_BYTES: Final = 128 * 1024
MAX_ACTIONS: Final = 250
MAX_TARGET: Final = 300
"""Characters of one target."""
MAX_STEPS: Final = 200_000
"""Nodes the targets of one overlay may look at in all; those of a long target count several times."""
MAX_SIZE: Final = 16 * 1024 * 1024
"""Characters of the merged document, each value counted as ``VALUE`` more."""
VALUE: Final = 128
MAX_FINDINGS: Final = 100

_VERSION: Final = re.compile(r"1\.0\.[0-9]+(-.+)?")
_FIELDS: Final[Mapping[str, Mapping[str, tuple[str, bool]]]] = {
    "Overlay Object": {
        "overlay": ("a string", True),
        "info": ("an object", True),
        "extends": ("a string", False),
        "actions": ("a list", True),
    },
    "Info Object": {"title": ("a string", True), "version": ("a string", True)},
    "Action Object": {
        "target": ("a string", True),
        "description": ("a string", False),
        "update": ("", False),
        "remove": ("a boolean", False),
    },
}
"""The fixed fields of Overlay 1.0.0: what each holds (nothing said means anything), and whether it must be there."""

_Mark = tuple[str, Spot]
"""The document an entry stands in, and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayAction:
    """One change. ``update`` is MISSING where there is none: null is a value that can be appended."""

    target: str
    """A JSONPath query (RFC 9535)."""
    update: Json | Missing = MISSING
    remove: bool = False
    description: str = ""
    pointer: str
    """JSON Pointer of the action inside the overlay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """A sound Overlay document: every target is a query that can be asked."""

    title: str
    version: str
    extends: str = ""
    """The document it was written for, a URI reference; only compared by its last segment."""
    actions: tuple[OverlayAction, ...]
    findings: tuple[Finding, ...] = ()
    """Warnings of reading it."""
    tree: Tree
    """Its text, for places; ``tree.uri`` and ``tree.sha256`` name it."""


class _TooMuch(Exception):
    """The overlay would take more work or make a larger document than is allowed; says so in its first argument."""


def read_overlay(data: bytes | str, *, uri: str) -> Overlay:
    """Read an Overlay 1.0 document, YAML or JSON.

    ``uri`` is the path as the user gave it. Raises DocumentError: AZM-D0xx when the text cannot be read at all,
    AZM-D300 when it is too large, otherwise with every problem at once and the code of the first error.
    """
    if len(data) > MAX_OVERLAY_BYTES:
        raise DocumentError(
            f"the overlay is larger than {MAX_OVERLAY_BYTES >> 10} KiB",
            code="AZM-D300",
            place=Tree(value=None, positions={}, uri=uri, sha256="").place(""),
            next="split it into several",
        )
    tree = parse(data, uri=uri)
    findings = tuple(islice(_check(tree), MAX_FINDINGS))
    raise_if_errors(findings)
    root: Mapping[str, Any] = tree.value
    return Overlay(
        title=root["info"]["title"],
        version=root["info"]["version"],
        extends=root.get("extends", ""),
        actions=tuple(
            OverlayAction(
                target=one["target"],
                update=one.get("update", MISSING),
                remove=one.get("remove", False),
                description=one.get("description", ""),
                pointer=f"/actions/{index}",
            )
            for index, one in enumerate(root["actions"])
        ),
        findings=findings,
        tree=tree,
    )


def apply_overlay(tree: Tree, overlay: Overlay) -> tuple[Tree, tuple[Finding, ...]]:
    """The merged tree, and everything to say about it that is no error: warnings of the overlay and of applying it.

    Actions are applied in their order, each to the result of the one before (Overlay 1.0.0, "Overlay Object"). The
    merged tree keeps the name of the document; its digest is that of :func:`merged_bytes`, which is what a store keeps.
    A node out of the overlay has its place there, so that ``place(pointer).document`` tells who said it.

    Raises DocumentError with every action that cannot be applied.
    """
    merger = _Merger(tree, overlay)
    merger.run()
    findings = (*overlay.findings, *merger.findings)
    raise_if_errors(findings)
    merged = merger.result()
    return replace(merged, sha256=hashlib.sha256(merged_bytes(merged)).hexdigest()), findings


def merged_bytes(tree: Tree) -> bytes:
    """The document as JSON text (RFC 8259), members in their order and no space between; reading it gives it back."""
    return json.dumps(tree.value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _check(tree: Tree) -> Iterator[Finding]:
    """The structure of an Overlay document, in its order. Lazy, so that whoever asks for the first hundred pays so."""

    def say(code: str, message: str, pointer: str, suggestion: str = "", severity: Severity = "error") -> Finding:
        place = tree.place(pointer)
        return Finding(code=f"AZM-{code}", severity=severity, message=message, place=place, suggestion=suggestion)

    def fields(name: str, value: object, pointer: str) -> Iterator[Finding]:
        known = _FIELDS[name]
        if not isinstance(value, dict):
            yield say("D301", f"the {name} is an object, this is {_kind(value)}", pointer)
            return
        for key, item in value.items():
            at = _in(pointer, key)
            if key not in known:
                if not key.startswith("x-"):
                    near = difflib.get_close_matches(key.lower(), known, n=1) if len(key) <= 64 else []
                    hint = f"did you mean {near[0]}?" if near else "extensions begin with x-"
                    yield say("D304", f"the {name} has no field {_shown(key)}", at, hint)
            elif known[key][0] and (seen := _kind(item)) != known[key][0]:
                hint = "put it in quotes" if known[key][0] == "a string" and seen in ("a number", "a boolean") else ""
                yield say("D303", f"{key} is {known[key][0]}, this is {seen}", at, hint)
        for key, (_, required) in known.items():
            if required and key not in value:
                yield say("D302", f"the {name} needs the field {key}", pointer)

    root = tree.value
    other = next((name for name in ("arazzo", "openapi", "asyncapi") if isinstance(root, dict) and name in root), None)
    if other and "overlay" not in root:
        yield say("D301", f"this is not an Overlay document: it has the field {other}", f"/{other}")
        return
    yield from fields("Overlay Object", root, "")
    if not isinstance(root, dict):
        return
    version = root.get("overlay")
    if isinstance(version, str) and not _VERSION.fullmatch(version):
        yield say("D305", f"Overlay {_shown(version)} is not known here; 1.0.x is", "/overlay", "write 1.0.0")
    if "info" in root and not isinstance(root["info"], dict):
        pass
    elif "info" in root:
        yield from fields("Info Object", root["info"], "/info")
    actions = root.get("actions")
    if not isinstance(actions, list):
        return
    if not 0 < len(actions) <= MAX_ACTIONS:
        yield say("D306", f"an overlay has 1 to {MAX_ACTIONS} actions, this one has {len(actions)}", "/actions")
        return
    for index, action in enumerate(actions):
        pointer = f"/actions/{index}"
        yield from fields("Action Object", action, pointer)
        if not isinstance(action, dict):
            continue
        target = action.get("target")
        if isinstance(target, str) and isinstance(refused := _compiled(target), str):
            yield say("D307", f"the target cannot be used: {refused}", f"{pointer}/target", _QUERY_HINT)
        if action.get("remove") is True and "update" in action:
            hint = "make it two actions if both are meant"
            yield say("D308", "update has no effect beside remove: true", f"{pointer}/update", hint, "warning")
        elif action.get("remove", False) is False and "update" not in action:
            yield say("D308", "this action has neither update nor remove, so it does nothing", pointer, "", "warning")


_QUERY_HINT: Final = "a target is a JSONPath query such as $.workflows[?@.workflowId=='NAME'].steps[?@.stepId=='NAME']"


@lru_cache(maxsize=MAX_ACTIONS)
def _compiled(target: str) -> JSONPathQuery | str:
    """The library's query, or why there is none. Without ``match`` and ``search``: a pattern may never end."""
    if len(target) > MAX_TARGET:
        return f"it is longer than {MAX_TARGET} characters"
    from jsonpath_rfc9535 import (
        JSONPathEnvironment,
        JSONPathError,
    )  # imported here: slow, and most runs need no overlay

    environment = JSONPathEnvironment()
    for name in ("match", "search"):
        environment.function_extensions.pop(name, None)
    try:
        return environment.compile(target)
    except JSONPathError as error:
        return _shown(str(error), 120)
    except (RecursionError, ValueError, ArithmeticError):
        return "it holds a number or a nesting that cannot be read"


class _Steps:
    """What is left of the work the targets may take. Counted, not timed: the same input has the same end everywhere."""

    __slots__ = ("_left", "weight")

    def __init__(self) -> None:
        self._left = MAX_STEPS
        self.weight = 1

    def look(self, value: object = None) -> None:
        # Comparing two equal texts takes time in proportion to their length.
        self._left -= self.weight * (1 + (len(value) >> 10) if isinstance(value, str) else 1)
        if self._left < 0:
            raise _TooMuch(f"the targets look at more than {MAX_STEPS} nodes")


class _Object(dict[str, Any]):
    """An object of the working copy: knows where its entries stand, and counts how often a query looks at them.

    A query can reach a value by these methods only, so its work is bounded however it is written.
    """

    __slots__ = ("marks", "steps")

    def __init__(self, steps: _Steps) -> None:
        super().__init__()
        self.marks: dict[str, _Mark] = {}
        self.steps = steps

    def add(self, step: str | int, value: object, mark: _Mark) -> None:
        name = str(step)
        dict.__setitem__(self, name, value)
        self.marks[name] = mark

    def drop(self, steps: set[str | int]) -> None:
        for step in steps:
            dict.__delitem__(self, str(step))
            del self.marks[str(step)]

    def entries(self) -> Iterator[tuple[str, Any, _Mark]]:
        for key, value in dict.items(self):
            yield key, value, self.marks[key]

    def __getitem__(self, key: str) -> Any:
        value = dict.get(self, key)
        self.steps.look(value)
        return dict.__getitem__(self, key)

    def items(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        self.steps.look()
        for key, value in dict.items(self):
            self.steps.look(value)
            yield key, value

    def __eq__(self, other: object) -> bool:
        for _ in self.items():
            pass
        return dict.__eq__(self, other)


class _Array(list[Any]):
    """A list of the working copy; as ``_Object``."""

    __slots__ = ("marks", "steps")

    def __init__(self, steps: _Steps) -> None:
        super().__init__()
        self.marks: list[_Mark] = []
        self.steps = steps

    def add(self, step: str | int, value: object, mark: _Mark) -> None:
        self.append(value)
        self.marks.append(mark)

    def drop(self, steps: set[str | int]) -> None:
        kept = [entry for entry in self.entries() if entry[0] not in steps]
        self[:] = [value for _, value, _ in kept]
        self.marks[:] = [mark for _, _, mark in kept]

    def entries(self) -> Iterator[tuple[int, Any, _Mark]]:
        for index, (value, mark) in enumerate(zip(list.__iter__(self), self.marks, strict=True)):
            yield index, value, mark

    def __getitem__(self, index: Any) -> Any:
        found = list.__getitem__(self, index)
        for value in found if isinstance(index, slice) else (found,):
            self.steps.look(value)
        return found

    def __iter__(self) -> Iterator[Any]:
        self.steps.look()
        for value in list.__iter__(self):
            self.steps.look(value)
            yield value

    def __eq__(self, other: object) -> bool:
        for _ in self:
            pass
        return list.__eq__(self, other)


class _Merger:
    """One overlay on its way into one tree. Works on a copy; a failing action is left out and reported."""

    def __init__(self, tree: Tree, overlay: Overlay) -> None:
        self.findings: list[Finding] = []
        self._tree = tree
        self._overlay = overlay
        self._steps = _Steps()
        self._size = 0
        self._root: Any = None
        self._spot: Spot = tree.positions.get("", (0, 0))

    def run(self) -> None:
        wanted, have = (_last_segment(uri) for uri in (self._overlay.extends, self._tree.uri))
        if wanted and have and wanted != have:
            self._say("D316", f"the overlay was written for {_shown(self._overlay.extends)}", "/extends", "", "info")
        at = ""
        try:
            marks = self._tree.positions.marks if isinstance(self._tree.positions, Positions) else None
            self._root = self._copy(self._tree.value, marks, (self._tree.uri, self._spot), self._tree.uri, 1)
            for action in self._overlay.actions:
                at = action.pointer
                self._apply(action)
        except _TooMuch as reason:
            self._say("D315", str(reason), at, "name the nodes by their path instead of by .. and *")

    def result(self) -> Tree:
        """The working copy as a plain tree."""
        own, root_marks = self._tree.uri, None
        value = self._root if not isinstance(self._root, _Object | _Array) else None
        waiting: list[tuple[_Object | _Array, Any, Marks | None, str | int]] = []
        if isinstance(self._root, _Object | _Array):
            waiting.append((self._root, None, None, ""))
        while waiting:
            source, owner, outer, step = waiting.pop()
            made: Any = {} if isinstance(source, _Object) else [None] * len(source)
            spots: Any = {} if isinstance(source, _Object) else []
            documents: dict[str | int, str] = {}
            marks = Marks(spots, documents)
            if outer is None:
                value, root_marks = made, marks
            else:
                owner[step] = made
                outer.inside[step] = marks
            for key, item, (document, spot) in source.entries():
                if isinstance(spots, dict):
                    spots[key] = spot
                else:
                    spots.append(spot)
                if document != own:
                    documents[key] = document
                made[key] = item
                if isinstance(item, _Object | _Array):
                    waiting.append((item, made, marks, key))
        return replace(self._tree, value=value, positions=Positions(self._spot, root_marks))

    def _say(self, code: str, message: str, pointer: str, hint: str, severity: Severity = "error") -> None:
        place = self._overlay.tree.place(pointer)
        self.findings.append(
            Finding(code=f"AZM-{code}", severity=severity, message=message, place=place, suggestion=hint)
        )

    def _apply(self, action: OverlayAction) -> None:
        target = f"{action.pointer}/target"
        nodes = self._select(action)
        if nodes is None:
            return
        if not nodes:
            self._say("D309", f"{_shown(action.target)} selects nothing", target, "nothing was changed", "warning")
            return
        plain = sum(not isinstance(value, _Object | _Array) for value in nodes.values())
        if plain:
            # "Action Object": the result is objects or arrays; a primitive is changed through what holds it.
            message = f"{_shown(action.target)} selects {plain} of {len(nodes)} nodes that are neither object nor list"
            self._say("D310", message, target, "select the object that holds the value")
        elif action.remove:
            self._remove(action, nodes)
        elif not isinstance(action.update, Missing):
            self._update(action, action.update, nodes)

    def _select(self, action: OverlayAction) -> dict[tuple[str | int, ...], Any] | None:
        """The nodes by their location, each once: a query may name one several times (RFC 9535 section 2.1.2)."""
        from jsonpath_rfc9535 import JSONPathError

        query = _compiled(action.target)
        # A filter is judged anew for each node, and its length bounds what one judgement costs.
        self._steps.weight = 1 + len(action.target) // 16
        try:
            if isinstance(query, str):
                raise ValueError
            return {tuple(node.location): node.value for node in query.find(self._root)}
        except (JSONPathError, RecursionError, ValueError, ArithmeticError):
            self._say("D307", "the target cannot be judged on this document", f"{action.pointer}/target", _QUERY_HINT)
            return None

    def _remove(self, action: OverlayAction, nodes: Mapping[tuple[str | int, ...], Any]) -> None:
        if () in nodes:
            hint = "remove what the document holds instead"
            self._say("D314", "the document itself cannot be removed", f"{action.pointer}/target", hint)
            return
        doomed: dict[int, tuple[_Object | _Array, set[str | int]]] = {}
        for location in nodes:
            parent = self._root
            for step in location[:-1]:
                parent = (dict if isinstance(parent, _Object) else list).__getitem__(parent, step)
            doomed.setdefault(id(parent), (parent, set()))[1].add(location[-1])
        for parent, steps in doomed.values():
            parent.drop(steps)

    def _update(self, action: OverlayAction, update: Json, nodes: Mapping[tuple[str | int, ...], Any]) -> None:
        pointer = f"{action.pointer}/update"
        kinds = {type(value) for value in nodes.values()}
        if len(kinds) > 1:
            message = f"{_shown(action.target)} selects objects as well as lists, and one update cannot fit both"
            self._say("D311", message, f"{action.pointer}/target", "make it two actions")
            return
        if kinds == {_Object} and not isinstance(update, dict):
            message = f"the target is an object, so update is an object to merge with it; this is {_kind(update)}"
            self._say("D312", message, pointer, "")
            return
        own, marks = self._overlay.tree.uri, self._marks_of(pointer)
        place = self._overlay.tree.place(pointer)
        mark = (own, (place.line, place.column))
        if kinds == {_Array} and isinstance(update, list):
            hint = "make each entry an action of its own, or update the object that holds the list"
            self._say("D312", "a list is appended to a list as one entry", pointer, hint, "warning")
        for location, node in nodes.items():
            if isinstance(node, _Array):
                node.add(len(node), self._copy(update, marks, mark, own, len(location) + 2), mark)
            elif isinstance(update, dict) and not self._merge(node, update, marks, mark, len(location) + 1, pointer):
                return

    def _marks_of(self, pointer: str) -> Marks | None:
        positions = self._overlay.tree.positions
        marks = positions.marks if isinstance(positions, Positions) else None
        for token in pointer.split("/")[1:]:
            if marks is not None:
                marks = marks.inside.get(token if isinstance(marks.spots, dict) else int(token))
        return marks

    def _merge(
        self, node: _Object, update: dict[str, Json], marks: Marks | None, mark: _Mark, level: int, pointer: str
    ) -> bool:
        """Merge into one object at depth ``level``; False when the two do not fit, which has been reported then.

        1.0.0 asks for compatible properties without saying what they are; 1.1.0 does: objects are merged, lists
        concatenated, primitives (null is one) replaced, and any other pair is an error ("Action Object").
        """
        own = self._overlay.tree.uri
        waiting: list[tuple[_Object, dict[str, Json], Marks | None, _Mark, int, str]] = [
            (node, update, marks, mark, level, pointer)
        ]
        while waiting:
            target, source, known, near, depth, at = waiting.pop()
            for key, item in source.items():
                place, inside = _mark(known, key, near, own), known.inside.get(key) if known else None
                old = dict.get(target, key, MISSING)
                if isinstance(old, _Object) and isinstance(item, dict):
                    waiting.append((old, item, inside, place, depth + 1, _in(at, key)))
                elif isinstance(old, _Array) and isinstance(item, list):
                    for index, entry in enumerate(item):
                        entry_mark = _mark(inside, index, place, own)
                        entry_marks = inside.inside.get(index) if inside else None
                        old.add(len(old), self._copy(entry, entry_marks, entry_mark, own, depth + 2), entry_mark)
                elif (
                    isinstance(old, Missing)
                    or not isinstance(old, _Object | _Array)
                    and not isinstance(item, dict | list)
                ):
                    target.add(key, self._copy(item, inside, place, own, depth + 1), place)
                    self._grow(len(key))
                else:
                    message = f"{_shown(key)} is {_kind(old)} in the document and {_kind(item)} here"
                    self._say("D313", message, _in(at, key), "remove it first, or update what is inside it")
                    return False
        return True

    def _copy(self, value: Json, marks: Marks | None, mark: _Mark, own: str, level: int) -> Any:
        """A value as part of the working copy, at depth ``level``; a copy of its own each time it is used."""
        self._grow(len(value) if isinstance(value, str) else 0)
        if not isinstance(value, dict | list):
            return value
        made = _Object(self._steps) if isinstance(value, dict) else _Array(self._steps)
        waiting: list[tuple[Any, _Object | _Array, Marks | None, _Mark, int]] = [(value, made, marks, mark, level)]
        while waiting:
            source, target, known, near, depth = waiting.pop()
            if depth > MAX_DEPTH:
                raise _TooMuch(f"the merged document would be nested deeper than {MAX_DEPTH} levels")
            for step, item in source.items() if isinstance(source, dict) else enumerate(source):
                place = _mark(known, step, near, own)
                inner: Any = item
                if isinstance(item, dict | list):
                    inner = _Object(self._steps) if isinstance(item, dict) else _Array(self._steps)
                    waiting.append((item, inner, known.inside.get(step) if known else None, place, depth + 1))
                self._grow((len(item) if isinstance(item, str) else 0) + (len(step) if isinstance(step, str) else 0))
                target.add(step, inner, place)
        return made

    def _grow(self, text: int) -> None:
        self._size += VALUE + text
        if self._size > MAX_SIZE:
            raise _TooMuch(f"the merged document would be larger than {MAX_SIZE >> 20} MiB, each value {VALUE} more")


def _mark(marks: Marks | None, step: str | int, near: _Mark, own: str) -> _Mark:
    """Where an entry stands; inside a YAML alias nothing is known, so it is where the alias stands."""
    if marks is None:
        return near
    if isinstance(marks.spots, dict):
        spot = marks.spots.get(str(step))
    else:
        spot = marks.spots[step] if isinstance(step, int) and step < len(marks.spots) else None
    return near if spot is None else (marks.documents.get(step, own), spot)


def _in(pointer: str, key: str) -> str:
    return f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"


def _last_segment(uri: str) -> str:
    return re.split(r"[?#]", uri, maxsplit=1)[0].rpartition("/")[2]


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return "a number"


def _shown(text: str, limit: int = 60) -> str:
    """Text of a document inside a message: escaped, and short."""
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")
