"""References inside one document: Reusable Objects and the ``$ref`` of workflow inputs -> what they stand for.

Looks things up in the plain values of a tree; never leaves the document and never follows text as a path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["component", "input_schema", "is_reusable"]

_REFERENCE: Final = re.compile(r"\$components\.([A-Za-z]+)\.([A-Za-z0-9.\-_]+)")


def is_reusable(item: Any) -> bool:
    """Whether a list entry is a Reusable Object; whatever else stands beside ``reference`` is to be ignored."""
    return isinstance(item, Mapping) and "reference" in item


def component(root: Any, kind: str, item: Any) -> Mapping[str, Any] | None:
    """The object of ``components/<kind>`` a Reusable Object names; None when it names none of that kind."""
    reference = item.get("reference") if isinstance(item, Mapping) else None
    found = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    if found is None or found[1] != kind:
        return None
    shelf: Any = root
    for name in ("components", kind, found[2]):
        shelf = shelf.get(name) if isinstance(shelf, Mapping) else None
    return shelf if isinstance(shelf, Mapping) else None


def input_schema(root: Any, inputs: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema of a workflow's inputs with the ``$ref`` at its top resolved; None when it leads nowhere.

    Keywords beside a ``$ref`` hold as well (JSON Schema 2020-12, 8.2.3.1): they are laid over the target, properties
    and required names are united, and the target stays in ``allOf`` so that nothing of it is lost.
    """
    seen: list[Mapping[str, Any]] = []
    schema: Any = inputs
    while isinstance(schema, Mapping) and "$ref" in schema:
        if any(schema is one for one in seen) or len(seen) > 32:
            return None
        seen.append(schema)
        schema = _pointed(root, schema["$ref"])
    if not isinstance(schema, Mapping):
        return None
    united: Mapping[str, Any] = schema
    for layer in reversed(seen):
        if beside := {key: value for key, value in layer.items() if key != "$ref"}:
            united = _laid_over(united, beside)
    return united


def _pointed(root: Any, reference: Any) -> Any:
    """The value of a same-document JSON Pointer fragment (RFC 6901, 6) through objects only."""
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    value = root
    for token in reference[2:].split("/"):
        value = value.get(token.replace("~1", "/").replace("~0", "~")) if isinstance(value, Mapping) else None
    return value


def _laid_over(target: Mapping[str, Any], beside: Mapping[str, Any]) -> Mapping[str, Any]:
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
