"""The input schemas of one document -> schemas that stand alone, so that no later layer needs the document for them.

A ``$ref`` is a JSON Pointer or plain-name fragment (``$anchor``) of the document, or the ``$id`` of one of its schemas
(Arazzo 1.1, "Resolving URI Fragments"; JSON Schema 2020-12, 8.2). What it points at is copied under ``$defs``, once
for each document and however often it is used, so neither circles nor much use of one schema make anything large.
Nothing leaves the document, and nothing recurses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

__all__ = ["InputSchemas", "schema_references"]

_MAX_TARGETS: Final = 1000
"""Schemas the references of one document may lead to."""
_MAX_CHAIN: Final = 32
_DEFS: Final = "#/$defs/"
_DATA: Final = frozenset({"const", "default", "enum", "example", "examples"})
"""Keywords under which values stand, not schemas: a ``$ref`` in there is data."""
_MAPS: Final = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
"""Keywords under which schemas stand by names."""
_OWN: Final = frozenset({"$anchor", "$id"})
"""Left out of a copy: there it would name a second schema, or move what its references are relative to."""

_Schema = Mapping[str, Any]


class InputSchemas:
    """Made for one document; looks references up in it and keeps the copies."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._known: dict[str, tuple[_Schema, _Schema]] | None = None
        self._names: dict[int, str] = {}
        self._copies: dict[str, _Schema] = {}

    def alone(self, inputs: _Schema) -> _Schema | None:
        """The schema of a workflow's inputs, standing alone; None where a reference in it leads nowhere.

        The references of the inputs themselves and of their properties are replaced by what they point at, because a
        form, a default or a secret is looked for there; deeper ones become references into ``$defs``. Keywords beside
        a ``$ref`` hold as well (2020-12, 8.2.3.1): they are laid over the target, properties and required names are
        united, and the target stays in ``allOf`` so that nothing of it is lost.
        """
        if next(schema_references(inputs), None) is None:
            return inputs
        names = self._copied(inputs)
        united = self._united(_rewritten(inputs, names)) if names is not None else None
        if united is None:
            return None
        if isinstance(properties := united.get("properties"), Mapping):
            filled = {name: self._united(one) if isinstance(one, Mapping) else one for name, one in properties.items()}
            if any(filled[name] is None and one is not None for name, one in properties.items()):
                return None
            united = {**united, "properties": filled}
        if needed := self._needed(united):
            own = united.get("$defs")
            united = {**united, "$defs": {**(own if isinstance(own, Mapping) else {}), **needed}}
        return united

    def dangling(self, inputs: _Schema) -> Iterator[tuple[str, Any, str]]:
        """Pointer and text of every reference in a schema that means nothing, and where it leads: nowhere, or by others
        back to itself."""
        for pointer, reference in schema_references(inputs):
            found, seen = self._target(reference, inputs), list[_Schema]()
            while found is not None and "$ref" in found[0]:
                if any(found[0] is one for one in seen) or len(seen) > _MAX_CHAIN:
                    yield pointer, reference, "leads round in a ring and never to a schema"
                    break
                seen.append(found[0])
                found = self._target(found[0]["$ref"], found[1])
            if found is None and not seen:
                yield pointer, reference, "leads nowhere"

    # -- what a reference means ------------------------------------------------------------------------------------

    def _target(self, reference: Any, home: _Schema) -> tuple[_Schema, _Schema] | None:
        """The schema a reference of the whole schema ``home`` points at, and the whole schema that one belongs to."""
        if not isinstance(reference, str):
            return None
        resource, _, fragment = reference.partition("#")
        if resource:
            found = self._identified().get(resource)
            if found is None or not fragment.startswith("/"):
                return found if not fragment else None
            inner = _pointed(found[0], fragment)
            return None if inner is None else (inner, found[0])
        if not fragment:
            # The root of the document is no schema, so its own is what is meant.
            return home, home
        if not fragment.startswith("/"):
            return self._identified().get(f"#{fragment}")
        # A pointer is relative to the document; written as if the schema were one, it can only mean the schema.
        if (inner := _pointed(self._root, fragment)) is not None:
            return inner, _pointed(self._root, "/".join(fragment.split("/")[:4])) or inner
        inner = _pointed(home, fragment)
        return None if inner is None else (inner, home)

    def _identified(self) -> dict[str, tuple[_Schema, _Schema]]:
        """Every schema of the document that has a name of its own, by ``#anchor`` or ``$id``."""
        if self._known is None:
            self._known = {}
            for home in self._homes():
                for _, node, _ in _walk(home):
                    if not isinstance(node, Mapping):
                        continue
                    if isinstance(anchor := node.get("$anchor"), str):
                        self._known.setdefault(f"#{anchor}", (node, home))
                    if isinstance(own := node.get("$id"), str):
                        self._known.setdefault(own.rstrip("#"), (node, home))
        return self._known

    def _homes(self) -> Iterator[_Schema]:
        root = self._root if isinstance(self._root, Mapping) else {}
        components = root.get("components")
        shelf = components.get("inputs") if isinstance(components, Mapping) else None
        workflows = root.get("workflows")
        found = [
            *(shelf.values() if isinstance(shelf, Mapping) else ()),
            *(
                one.get("inputs")
                for one in (workflows if isinstance(workflows, list) else ())
                if isinstance(one, Mapping)
            ),
        ]
        yield from (one for one in found if isinstance(one, Mapping))

    # -- copies ----------------------------------------------------------------------------------------------------

    def _copied(self, schema: _Schema) -> list[str] | None:
        """Copy whatever a schema refers to, directly or through others; the names of what it refers to itself.

        Each copy refers to others by their names. None, and nothing copied, where a reference leads nowhere.
        """
        named: list[str] | None = None
        added: list[int] = []
        waiting: list[tuple[str, _Schema, _Schema]] = [("", schema, schema)]
        while waiting:
            name, one, home = waiting.pop()
            names: list[str] = []
            for _, reference in schema_references(one):
                found = self._target(reference, home)
                if found is None or len(self._names) > _MAX_TARGETS:
                    for key in added:
                        self._copies.pop(self._names.pop(key), None)
                    return None
                if id(found[0]) not in self._names:
                    added.append(id(found[0]))
                    self._names[id(found[0])] = f"shared-{len(self._names) + 1}"
                    waiting.append((self._names[id(found[0])], *found))
                names.append(self._names[id(found[0])])
            if name:
                self._copies[name] = _rewritten(one, names)
            else:
                named = names
        return named

    def _united(self, schema: _Schema) -> _Schema | None:
        """A copy with the chain of references at its top replaced; None where that is a circle."""
        chain: list[_Schema] = []
        while "$ref" in schema:
            if any(schema is one for one in chain) or len(chain) > _MAX_CHAIN:
                return None
            chain.append(schema)
            schema = self._copies[schema["$ref"].removeprefix(_DEFS)]
        for layer in reversed(chain):
            if beside := {key: value for key, value in layer.items() if key != "$ref"}:
                schema = _laid_over(schema, beside)
        return schema

    def _needed(self, schema: _Schema) -> dict[str, _Schema]:
        """The copies a schema refers to, directly or through others, by their names."""
        found: dict[str, _Schema] = {}
        waiting = [schema]
        while waiting:
            for _, reference in schema_references(waiting.pop()):
                name = reference.removeprefix(_DEFS)
                if name not in found:
                    found[name] = self._copies[name]
                    waiting.append(found[name])
        return found


def _walk(schema: Any) -> Iterator[tuple[str, Any, bool]]:
    """Every value of a schema with its pointer, an object before its members; and whether it is a map of names, in
    which ``$ref`` or ``default`` would be names as well."""
    waiting: list[tuple[str, Any, bool]] = [("", schema, False)]
    while waiting:
        at, node, is_map = waiting.pop()
        yield at, node, is_map
        if isinstance(node, Mapping):
            inner = [
                (f"{at}/{_escaped(key)}", one, not is_map and key in _MAPS)
                for key, one in node.items()
                if is_map or key not in _DATA
            ]
        elif isinstance(node, list):
            inner = [(f"{at}/{index}", one, False) for index, one in enumerate(node)]
        else:
            continue
        waiting += reversed(inner)


def schema_references(schema: Any) -> Iterator[tuple[str, Any]]:
    """Pointer and value of every ``$ref`` that stands in a schema as written."""
    for at, node, is_map in _walk(schema):
        if isinstance(node, Mapping) and not is_map and "$ref" in node:
            yield f"{at}/$ref", node["$ref"]


def _rewritten(schema: Any, names: Iterable[str]) -> Any:
    """A deep copy in which the references, in the order they were found, point at these names."""
    left = iter(names)
    made: dict[str, Any] = {}
    for at, node, is_map in _walk(schema):
        if isinstance(node, Mapping):
            copy: Any = {key: one for key, one in node.items() if is_map or key not in _OWN}
            if not is_map and "$ref" in node:
                copy["$ref"] = _DEFS + next(left)
        else:
            copy = list(node) if isinstance(node, list) else node
        made[at] = copy
        owner, _, key = at.rpartition("/")
        if not at:
            continue
        key = key.replace("~1", "/").replace("~0", "~")
        if isinstance(made[owner], list):
            made[owner][int(key)] = copy
        elif key in made[owner] and not (key == "$ref" and isinstance(made[owner]["$ref"], str)):
            made[owner][key] = copy
    return made[""]


def _pointed(root: Any, fragment: str) -> _Schema | None:
    """The object at a JSON Pointer fragment (RFC 6901, 6)."""
    value = root
    for token in unquote(fragment).split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and len(key) < 9 and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value if isinstance(value, Mapping) else None


def _laid_over(target: _Schema, beside: _Schema) -> _Schema:
    united: dict[str, Any] = {**target, **beside}
    for name in ("properties", "$defs"):
        below, above = target.get(name), beside.get(name)
        if isinstance(below, Mapping) and isinstance(above, Mapping):
            united[name] = {**below, **above}
    below, above = target.get("required"), beside.get("required")
    if isinstance(below, list) and isinstance(above, list):
        united["required"] = [*dict.fromkeys(name for name in (*below, *above) if isinstance(name, str))]
    also = beside.get("allOf")
    united["allOf"] = [*(also if isinstance(also, list) else []), target]
    return united


def _escaped(key: Any) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")
