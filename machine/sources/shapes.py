"""A body's schema -> what can be said of such a body: the values it may hold where, what it must have, an example.

Used to foresee, never to validate: schemas in the wild are loose, so what cannot be understood says nothing. Schemas
refer to themselves and branch, so every walk is bounded in depth and in nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from ..values import Json
from .nodes import Node

__all__ = ["choices", "put", "requires", "sample"]

_MAX_DEPTH: Final = 8
_MAX_NODES: Final = 2000
_MAX_LAYERS: Final = 40
_MAX_MEMBERS: Final = 300
_FORMATS: Final[Mapping[str, str]] = {
    "date": "2030-01-01",
    "date-time": "2030-01-01T00:00:00Z",
    "email": "somebody@example.test",
    "uri": "https://example.test/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def choices(schema: Node) -> dict[tuple[str, ...], tuple[Json, ...]]:
    """By the tokens of a JSON Pointer, the values a body may hold there, where the schema lists them.

    Lists are followed into their first item. Booleans count as listed, and so does null where it is written; values
    that are no scalars do not.
    """
    found: dict[tuple[str, ...], tuple[Json, ...]] = {}
    waiting: list[tuple[tuple[str, ...], tuple[Node, ...]]] = [((), (schema,))]
    seen = 0
    while waiting and seen < _MAX_NODES:
        tokens, nodes = waiting.pop(0)
        seen += 1
        layers = _layers(nodes)
        values = _listed(layers)
        if values:
            found[tokens] = values
        if len(tokens) < _MAX_DEPTH:
            waiting += [((*tokens, name), members) for name, members in _members(layers).items()]
    return found


def requires(schema: Node, tokens: tuple[str, ...]) -> bool:
    """Whether a body must have the member at a pointer, given that everything above it is there."""
    if not tokens:
        return False
    nodes: tuple[Node, ...] = (schema,)
    for token in tokens[:-1]:
        nodes = _members(_layers(nodes, alternatives=False)).get("0" if token.isdecimal() else token, ())
    return any(tokens[-1] in _names(layer, "required") for layer in _layers(nodes, alternatives=False))


def sample(schema: Node) -> Json:
    """A body as the schema has it, with every member it names. The same schema always gives the same."""
    made: dict[str, Any] = {}
    waiting: list[tuple[Any, Any, tuple[Node, ...], int]] = [(made, "", (schema,), 0)]
    count = 0
    while waiting:
        owner, key, nodes, depth = waiting.pop(0)
        count += 1
        layers = _layers(nodes)
        members = _members(layers) if depth < _MAX_DEPTH and count < _MAX_NODES else {}
        listed = _listed(layers)
        kinds = [one for layer in layers for one in _kinds(layer)]
        value: Any
        if listed:
            value = next((one for one in listed if one is not None), None)
        elif "array" in kinds or list(members) == ["0"]:
            value = [None] if members else []
            waiting += [(value, 0, inner, depth + 1) for inner in list(members.values())[:1]]
        elif members or "object" in kinds:
            value = {}
            waiting += [(value, name, inner, depth + 1) for name, inner in members.items()]
        else:
            value = _scalar(layers, kinds)
        owner[key] = value
    result: Json = made[""]
    return result


def put(body: Any, tokens: tuple[str, ...], value: Json) -> Any:
    """A copy of the body that holds the value at a pointer; what is missing on the way is made."""
    if not tokens:
        return value
    token, rest = tokens[0], tokens[1:]
    if isinstance(body, list) and token.isdecimal() and len(token) < 4:
        index = int(token)
        items = [*body, *[None] * (index + 1 - len(body))]
        items[index] = put(items[index], rest, value)
        return items
    if not isinstance(body, Mapping) and token == "0":
        return [put(None, rest, value)]
    members = dict(body) if isinstance(body, Mapping) else {}
    return {**members, token: put(members.get(token), rest, value)}


def _layers(nodes: tuple[Node, ...], *, alternatives: bool = True) -> list[Node]:
    """The schemas that speak of one value: those given and what they are made of, references followed."""
    keywords = ("allOf", "anyOf", "oneOf") if alternatives else ("allOf",)
    found: list[Node] = []
    waiting = list(nodes)
    while waiting and len(found) < _MAX_LAYERS:
        node = waiting.pop(0)
        # A 3.1 schema may say more beside its reference.
        for one in (node, node.followed()) if "$ref" in node.object else (node,):
            if one.object and not any(one.value is other.value for other in found):
                found.append(one)
                waiting += [part for keyword in keywords for part in one.get(keyword).entries()]
    return found


def _members(layers: list[Node]) -> dict[str, tuple[Node, ...]]:
    """What an object's members or a list's items may be; an item is called ``0``."""
    found: dict[str, tuple[Node, ...]] = {}
    for layer in layers:
        for name, member in islice(layer.get("properties").items(), _MAX_MEMBERS):
            found[name] = (*found.get(name, ()), member)
        if layer.get("items").object:
            found["0"] = (*found.get("0", ()), layer.get("items"))
    return found


def _listed(layers: list[Node]) -> tuple[Json, ...]:
    values: list[Json] = []
    for layer in layers:
        written = layer.object
        values += [layer.get("const").value] if "const" in written else []
        values += [one.value for one in layer.get("enum").entries()]
        if not values and _kinds(layer) == ["boolean"]:
            values += [True, False]
    scalars = [one for one in values if one is None or isinstance(one, (str, int, float))]
    # 1 and true are equal and are not the same.
    return tuple({(isinstance(one, bool), one): one for one in scalars}.values())


def _kinds(layer: Node) -> list[str]:
    written = layer.object.get("type")
    kinds = written if isinstance(written, list) else [written]
    return [kind for kind in kinds if isinstance(kind, str) and kind != "null"]


def _names(layer: Node, keyword: str) -> Iterator[str]:
    yield from (one.value for one in layer.get(keyword).entries() if isinstance(one.value, str))


def _scalar(layers: list[Node], kinds: list[str]) -> Json:
    for layer in layers:
        for keyword in ("default", "example"):
            value = layer.object.get(keyword)
            if isinstance(value, (str, int, float)):
                return value
    if "integer" in kinds or "number" in kinds:
        lowest = next((one for layer in layers if _is_number(one := layer.object.get("minimum"))), 1)
        return int(lowest or 0) if "integer" in kinds else lowest
    if "string" in kinds or not kinds:
        form = next((one for layer in layers if isinstance(one := layer.object.get("format"), str)), "")
        return _FORMATS.get(form, "text")
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
