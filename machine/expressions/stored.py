"""A template <-> the plain JSON it has in a stored plan, in a form that no text of a document can forge.

``{"lit": v}`` | ``{"expr": "$inputs.x"}`` | ``{"text": ["Bearer ", {"expr": "$inputs.token"}], "null": "null"}`` |
``{"quoted": "$inputs.x", "null": "null"}`` | ``{"select": {context, type, version, selector}}`` |
``{"object": {name: T}}`` | ``{"array": [T]}`` | ``{"replaced": {"body": T, "at": [[target, T]]}}``

A literal always stands under ``lit``. Nothing is decided again when a template is read back.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import BugError, Place
from ..values import Json
from .grammar import Expression, parse_expression
from .replacement import restore_target
from .selector import restore_selector
from .template import (
    ListTemplate,
    Literal,
    ObjectTemplate,
    Quoted,
    Replaced,
    Select,
    Template,
    TextTemplate,
    Unusable,
    Whole,
)

__all__ = ["from_json", "to_json"]


def to_json(template: Template) -> Json:
    """The template as plain JSON."""
    if isinstance(template, Literal):
        return {"lit": template.value}
    if isinstance(template, Whole):
        return {"expr": str(template.expression)}
    if isinstance(template, TextTemplate):
        parts: list[Json] = [part if isinstance(part, str) else {"expr": str(part)} for part in template.parts]
        return {"text": parts, **_null(template), **({"syntax": template.syntax} if template.syntax else {})}
    if isinstance(template, Quoted):
        return {"quoted": str(template.expression), **_null(template)}
    if isinstance(template, Unusable):
        return {"unusable": template.why}
    if isinstance(template, Select):
        return {"select": template.selector.to_json()}
    if isinstance(template, Replaced):
        changes: list[Json] = [[target.to_json(), to_json(change)] for target, change in template.changes]
        return {"replaced": {"body": to_json(template.body), "at": changes}}
    if isinstance(template, ListTemplate):
        return {"array": [to_json(item) for item in template.items]}
    return {"object": {name: to_json(item) for name, item in template.members}}


def _null(template: TextTemplate | Quoted) -> dict[str, Json]:
    return {"null": template.null} if template.null else {}


def from_json(value: object) -> Template:
    """The inverse of :func:`to_json`: nothing is decided again.

    :raises BugError: for JSON that :func:`to_json` cannot have written.
    """
    kinds = [name for name in value if name not in ("null", "syntax")] if isinstance(value, Mapping) else []
    if isinstance(value, Mapping) and len(kinds) == 1 and isinstance(null := value.get("null", ""), str):
        kind, body = kinds[0], value[kinds[0]]
        if kind == "lit" and (body is None or isinstance(body, (bool, int, float, str))):
            return Literal(body)
        if kind == "expr":
            return Whole(_stored(value))
        if kind == "text" and isinstance(body, list):
            parts = tuple(part if isinstance(part, str) else _stored(part) for part in body)
            return TextTemplate(parts, null, syntax=str(value.get("syntax", "")))
        if kind == "quoted" and isinstance(body, str):
            return Quoted(parse_expression(body, place=Place()), null)
        if kind == "unusable" and isinstance(body, str):
            return Unusable(body)
        if kind == "select" and isinstance(body, Mapping):
            return Select(restore_selector(body))
        if kind == "replaced" and isinstance(body, Mapping) and isinstance(body.get("at"), list):
            changes = tuple((restore_target(target), from_json(change)) for target, change in body["at"])
            return Replaced(from_json(body.get("body")), changes)
        if kind == "array" and isinstance(body, list):
            return ListTemplate(tuple(from_json(item) for item in body))
        if kind == "object" and isinstance(body, Mapping):
            return ObjectTemplate(tuple((str(name), from_json(item)) for name, item in body.items()))
    raise BugError("a stored template has a form this release does not write", code="AZM-E032")


def _stored(value: object) -> Expression:
    text = value.get("expr") if isinstance(value, Mapping) else None
    if not isinstance(text, str):
        raise BugError("a stored template has a form this release does not write", code="AZM-E032")
    return parse_expression(text, place=Place())
