"""What a description says about an answer -> the names of the members its body has at a spot (ambiguity A4).

A filter at the root of an object can be meant for the object or for what is in it. Where the description declares the
member the filter names first, the author means the object, also when a reply happens to leave that member out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..sources.model import Operation
from ..sources.nodes import Node

__all__ = ["response_members"]

_MOST: Final = 2_000
"""Schemas looked into for one question: combined ones fan out, and may lead back to themselves."""
_COMBINED: Final = ("allOf", "anyOf", "oneOf")


def response_members(operation: Operation, path: Sequence[str]) -> frozenset[str]:
    """The names any declared JSON answer has in the object at ``path``, member names and indexes from its root."""
    level = _whole(list(operation.reply_schemas.values()))
    for step in path:
        below = []
        for schema in level:
            below.append(schema.get("items") if step.isdecimal() else schema.get("properties").get(step))
        level = _whole(below)
    return frozenset(name for schema in level for name, _ in schema.get("properties").items())


def _whole(schemas: list[Node]) -> list[Node]:
    """The schemas and all they are combined from, references followed."""
    found: list[Node] = []
    seen: set[int] = set()
    waiting = schemas
    while waiting and len(found) < _MOST:
        schema = waiting.pop().followed()
        if not schema.object or id(schema.value) in seen:
            continue
        seen.add(id(schema.value))
        found.append(schema)
        for word in _COMBINED:
            waiting.extend(schema.get(word).entries())
    return found
