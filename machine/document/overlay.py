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
from functools import lru_cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from ..errors import DocumentError, Place
from ..values import MISSING, Json, Missing
from .findings import Finding, Severity, raise_if_errors
from .load import MAX_DEPTH, parse
from .positions import Mark, Marks, Piece, Positions, Tree, piece_of

if TYPE_CHECKING:
    from jsonpath_rfc9535 import JSONPathQuery

__all__ = ["Overlay", "OverlayAction", "apply_overlay", "merged_bytes", "read_overlay"]

MAX_OVERLAY_BYTES: Final = 128 * 1024
MAX_ACTIONS: Final = 250
MAX_TARGET: Final = 300
"""Characters of one target."""
MAX_STEPS: Final = 200_000
"""Nodes one overlay may look at in all; those looked at by a target of many parts count several times."""
MAX_SIZE: Final = 4 * 1024 * 1024
"""Characters of the merged document, each value counted as 128 more."""
_VALUE: Final = 128
MAX_FINDINGS: Final = 100
_VERSION: Final = re.compile(r"1\.0\.[0-9]+(-.+)?")
_PARTS: Final = re.compile(r"[!&|<>=,:.(\[]")
_FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "Overlay Object": {"overlay": "a string", "info": "an object", "extends": "a string", "actions": "a list"},
    "Info Object": {"title": "a string", "version": "a string"},
    "Action Object": {"target": "a string", "description": "a string", "update": "", "remove": "a boolean"},
}
"""The fixed fields of Overlay 1.0.0 and what each holds; nothing said means any value."""
_REQUIRED: Final = frozenset({"overlay", "info", "actions", "title", "version", "target"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayAction:
    """One change. ``update`` is MISSING where there is none: null is a value that can be appended."""

    target: str
    """A JSONPath query (RFC 9535)."""
    update: Json | Missing = MISSING
    remove: bool = False
    pointer: str
    """JSON Pointer of the action inside the overlay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """A sound Overlay document: every target is a query that can be asked."""

    title: str
    version: str
    extends: str
    """The document it was written for, a URI reference; only compared by its last segment."""
    actions: tuple[OverlayAction, ...]
    findings: tuple[Finding, ...]
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
        message = f"the overlay is larger than {MAX_OVERLAY_BYTES >> 10} KiB"
        raise DocumentError(message, code="AZM-D300", place=Place(document=uri), next="split it into several")
    tree = parse(data, uri=uri)
    findings = tuple(islice(_check(tree), MAX_FINDINGS))
    raise_if_errors(findings)
    root: Mapping[str, Any] = tree.value
    actions = tuple(
        OverlayAction(
            target=one["target"],
            update=one.get("update", MISSING),
            remove=one.get("remove", False),
            pointer=f"/actions/{index}",
        )
        for index, one in enumerate(root["actions"])
    )
    info, extends = root["info"], root.get("extends", "")
    return Overlay(
        title=info["title"], version=info["version"], extends=extends, actions=actions, findings=findings, tree=tree
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

    say = partial(_finding, tree)

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
            elif known[key] and (seen := _kind(item)) != known[key]:
                hint = "put it in quotes" if known[key] == "a string" and seen in ("a number", "a boolean") else ""
                yield say("D303", f"{key} is {known[key]}, this is {seen}", at, hint)
        for key in [one for one in known if one in _REQUIRED and one not in value]:
            yield say("D302", f"the {name} needs the field {key}", pointer)

    root = tree.value
    if not isinstance(root, dict) or ("overlay" not in root and ("arazzo" in root or "openapi" in root)):
        yield say("D301", "this is not an Overlay document", "", "such a document has the field overlay: 1.0.0")
        return
    yield from fields("Overlay Object", root, "")
    version = root.get("overlay")
    if isinstance(version, str) and not _VERSION.fullmatch(version):
        yield say("D305", f"Overlay {_shown(version)} is not known here; 1.0.x is", "/overlay", "write 1.0.0")
    if isinstance(root.get("info"), dict):
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
    # Imported here: it is slow, and most documents are read without an overlay.
    from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathError

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
    """What is left of the work an overlay may take. Counted, not timed: the same input has the same end everywhere."""

    left = MAX_STEPS
    weight = 1

    def look(self, value: object = None) -> None:
        # Comparing two equal texts takes time in proportion to their length.
        self.left -= self.weight * (1 + (len(value) >> 10) if isinstance(value, str) else 1)
        if self.left < 0:
            raise _TooMuch(f"the overlay takes more than {MAX_STEPS} steps")


class _Object(dict[str, Any]):
    """An object of the working copy: knows where its entries stand, and counts how often a query looks at them.

    A query can reach a value by these methods only, so its work is bounded however it is written.
    """

    __slots__ = ("marks", "steps")

    def __init__(self, steps: _Steps) -> None:
        super().__init__()
        self.marks: dict[str, Mark] = {}
        self.steps = steps

    def add(self, step: str | int, value: object, mark: Mark) -> None:
        name = str(step)
        dict.__setitem__(self, name, value)
        self.marks[name] = mark

    def drop(self, steps: set[str | int]) -> None:
        for step in steps:
            dict.__delitem__(self, str(step))
            del self.marks[str(step)]

    def entry(self, step: str | int) -> Any:
        return dict.__getitem__(self, str(step))

    def entries(self) -> Iterator[tuple[str, Any, Mark]]:
        for key, value in dict.items(self):
            yield key, value, self.marks[key]

    def __getitem__(self, key: str) -> Any:
        self.steps.look(dict.get(self, key))
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
        self.marks: list[Mark] = []
        self.steps = steps

    def add(self, step: str | int, value: object, mark: Mark) -> None:
        self.append(value)
        self.marks.append(mark)

    def drop(self, steps: set[str | int]) -> None:
        kept = [entry for entry in self.entries() if entry[0] not in steps]
        self[:] = [value for _, value, _ in kept]
        self.marks[:] = [mark for _, _, mark in kept]

    def entry(self, step: str | int) -> Any:
        return list.__getitem__(self, int(step))

    def entries(self) -> Iterator[tuple[int, Any, Mark]]:
        for index, (value, mark) in enumerate(zip(list.__iter__(self), self.marks, strict=True)):
            yield index, value, mark

    def __getitem__(self, index: Any) -> Any:
        found = list.__getitem__(self, index)
        for value in [None, *found] if isinstance(index, slice) else [found]:
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
    """One overlay on its way into one tree. Works on a copy; an action that fails is reported and left out."""

    def __init__(self, tree: Tree, overlay: Overlay) -> None:
        self.findings: list[Finding] = []
        self._tree = tree
        self._overlay = overlay
        self._steps = _Steps()
        self._size = 0
        self._whole = _Array(self._steps)
        """The working copy in a list, so that the document itself is an entry like all others."""

    def run(self) -> None:
        names = [re.split(r"[?#]", uri, maxsplit=1)[0] for uri in (self._overlay.extends, self._tree.uri)]
        wanted, have = (name.rpartition("/")[2] for name in names)
        if wanted and have and wanted != have:
            self._say("D316", f"the overlay was written for {_shown(self._overlay.extends)}", "/extends", "", "info")
        at = "/actions"
        try:
            self._put(self._whole, 0, piece_of(self._tree, "", self._tree.value), 1)
            for action in self._overlay.actions:
                at = action.pointer
                if action.remove or action.update is not MISSING:
                    self._apply(action)
        except _TooMuch as reason:
            self._say(
                "D315", str(reason), at, "make the overlay smaller, and name nodes by their path, not by .. and *"
            )

    def result(self) -> Tree:
        """The working copy as a plain tree; its digest is still to be taken."""
        made: list[Any] = [None]
        around = Marks([])
        waiting: list[tuple[_Object | _Array, Any, Marks]] = [(self._whole, made, around)]
        while waiting:
            source, target, marks = waiting.pop()
            documents: dict[str | int, str] = {}
            marks.documents = documents
            for step, value, (document, spot) in source.entries():
                if isinstance(marks.spots, dict):
                    marks.spots[str(step)] = spot
                else:
                    marks.spots.append(spot)
                if document != self._tree.uri:
                    documents[step] = document
                if isinstance(value, _Object | _Array):
                    inner: Any = {} if isinstance(value, _Object) else [None] * len(value)
                    marks.inside[step] = Marks({} if isinstance(value, _Object) else [])
                    waiting.append((value, inner, marks.inside[step]))
                    value = inner
                target[step] = value
        root = self._whole.marks[0][1]
        return replace(self._tree, value=made[0], positions=Positions(root, around.inside.get(0)))

    def _say(self, code: str, message: str, pointer: str, hint: str = "", severity: Severity = "error") -> None:
        self.findings.append(_finding(self._overlay.tree, code, message, pointer, hint, severity))

    def _apply(self, action: OverlayAction) -> None:
        nodes, pointer = self._select(action), f"{action.pointer}/target"
        kinds = {type(value) for value in (nodes or {}).values()}
        if nodes is None:
            return
        if not nodes:
            self._say("D309", f"{_shown(action.target)} selects nothing", pointer, "nothing was changed", "warning")
        elif not kinds <= {_Object, _Array}:
            # "Action Object": the result is objects or arrays; a primitive is changed through what holds it.
            message = f"{_shown(action.target)} selects a value that is neither an object nor a list"
            self._say("D310", message, pointer, "select the object that holds it")
        elif action.remove and () in nodes:
            self._say("D314", "the document itself cannot be removed", pointer, "remove what it holds instead")
        elif action.remove:
            self._remove(nodes)
        elif len(kinds) > 1:
            message = f"{_shown(action.target)} selects objects as well as lists, and one update cannot fit both"
            self._say("D311", message, pointer, "make it two actions")
        elif not isinstance(action.update, Missing):
            self._update(action, action.update, nodes)

    def _select(self, action: OverlayAction) -> dict[tuple[str | int, ...], Any] | None:
        """The nodes by their location, each once: a query may name one several times (RFC 9535 section 2.1.2)."""
        from jsonpath_rfc9535 import JSONPathError

        query = _compiled(action.target)
        # A filter is judged anew for each node; what it is made of bounds what that costs.
        self._steps.weight = 1 + len(_PARTS.findall(action.target)) // 8
        try:
            if isinstance(query, str):
                raise ValueError(query)
            return {tuple(node.location): node.value for node in query.find(self._whole.entry(0))}
        except (JSONPathError, RecursionError, ValueError, ArithmeticError):
            self._say("D307", "the target cannot be judged on this document", f"{action.pointer}/target", _QUERY_HINT)
            return None

    def _remove(self, nodes: Mapping[tuple[str | int, ...], Any]) -> None:
        """All at once, so that no index means another node after the first of them is gone."""
        doomed: dict[int, tuple[_Object | _Array, set[str | int]]] = {}
        for location in nodes:
            parent: Any = self._whole
            for step in (0, *location[:-1]):
                parent = parent.entry(step)
            doomed.setdefault(id(parent), (parent, set()))[1].add(location[-1])
        for parent, steps in doomed.values():
            parent.drop(steps)

    def _update(self, action: OverlayAction, update: Json, nodes: Mapping[tuple[str | int, ...], Any]) -> None:
        pointer = f"{action.pointer}/update"
        piece = piece_of(self._overlay.tree, pointer, update)
        for location, node in nodes.items():
            if isinstance(node, _Array):
                self._put(node, len(node), piece, len(location) + 2)
            elif not isinstance(update, dict):
                self._say("D312", f"update is merged with an object, so it is one; this is {_kind(update)}", pointer)
                return
            elif not self._merge(node, piece, len(location) + 1, pointer):
                return
        if isinstance(update, list):
            message = "a list is appended to a list as one entry"
            self._say("D312", message, pointer, "make each of its entries an action of its own", "warning")

    def _merge(self, node: _Object, update: Piece, level: int, pointer: str) -> bool:
        """Merge into one object at depth ``level``; False when the two do not fit, which has been reported then.

        1.0.0 asks for compatible properties without saying what they are; 1.1.0 does: objects are merged, lists
        concatenated, primitives (null is one) replaced, and any other pair is an error ("Action Object").
        """
        waiting = [(node, update, level, pointer)]
        while waiting:
            target, source, depth, at = waiting.pop()
            for step, piece in source.entries():
                self._steps.look()
                key = str(step)
                old = dict.get(target, key, MISSING)
                if isinstance(old, _Object) and isinstance(piece.value, dict):
                    waiting.append((old, piece, depth + 1, _in(at, key)))
                elif isinstance(old, _Array) and isinstance(piece.value, list):
                    for _, entry in piece.entries():
                        self._put(old, len(old), entry, depth + 2)
                elif old is MISSING or not (isinstance(old, dict | list) or isinstance(piece.value, dict | list)):
                    self._put(target, key, piece, depth + 1)
                else:
                    message = f"{_shown(key)} is {_kind(old)} in the document and {_kind(piece.value)} here"
                    self._say("D313", message, _in(at, key), "remove it first, or update what is inside it")
                    return False
        return True

    def _put(self, owner: _Object | _Array, name: str | int, piece: Piece, level: int) -> None:
        """Make a copy of its own for this entry, which will be at depth ``level``."""
        waiting: list[tuple[_Object | _Array, Iterator[tuple[str | int, Piece]], int]]
        waiting = [(owner, iter([(name, piece)]), level)]
        while waiting:
            target, entries, depth = waiting[-1]
            for step, source in entries:
                value = source.value
                self._size += _VALUE + sum(len(text) for text in (step, value) if isinstance(text, str))
                if self._size > MAX_SIZE:
                    raise _TooMuch(f"the merged document would be larger than {MAX_SIZE >> 20} MiB")
                if not isinstance(value, dict | list):
                    target.add(step, value, source.mark)
                    continue
                if depth > MAX_DEPTH:
                    raise _TooMuch(f"the merged document would be nested deeper than {MAX_DEPTH} levels")
                made = _Object(self._steps) if isinstance(value, dict) else _Array(self._steps)
                target.add(step, made, source.mark)
                waiting.append((made, source.entries(), depth + 1))
                break
            else:
                waiting.pop()


def _finding(
    tree: Tree, code: str, message: str, pointer: str, hint: str = "", severity: Severity = "error"
) -> Finding:
    place = tree.place(pointer)
    return Finding(code=f"AZM-{code}", severity=severity, message=message, place=place, suggestion=hint)


def _in(pointer: str, key: str) -> str:
    return f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"


def _kind(value: object) -> str:
    kinds = ((bool, "a boolean"), (str, "a string"), (dict, "an object"), (list, "a list"), (int | float, "a number"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")


def _shown(text: str, limit: int = 60) -> str:
    """Text of a document inside a message: escaped, and short."""
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")
