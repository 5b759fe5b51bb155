"""A payload or parameter value -> a template tree whose decisions are all made; and a context -> the value to send.

Which strings are expressions is decided once, when the document is compiled, and stored in a form that no document
text can forge: a literal always stands under ``lit``. Rendering looks nothing up but values.

``{"lit": v}`` | ``{"expr": "$inputs.x"}`` | ``{"text": ["Bearer ", {"expr": "$inputs.token"}]}`` |
``{"object": {name: T}}`` | ``{"array": [T]}``
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, cast

from ..errors import BugError, DocumentError, Place, RequestError
from ..values import MISSING, Json, Missing, SecretRef, SecretText, Value, contains_file, contains_secret, join_text
from .evaluate import Context, evaluate, resolve_name
from .grammar import TOLERANCES, Expression, is_expression, parse_expression

__all__ = [
    "Declared",
    "ListTemplate",
    "Literal",
    "ObjectTemplate",
    "Template",
    "TextTemplate",
    "Whole",
    "compile_template",
    "from_json",
    "references",
    "render",
    "to_json",
    "tolerances",
]

_MAX_DEPTH: Final = 100
"""Levels of objects and lists in one value; also the bound of every recursion in this file."""

_BRACED: Final = re.compile(r"\{(\$[^{}]*)\}")
_BRACELESS: Final = re.compile(r"\$(?:inputs|steps)\.[A-Za-z0-9_.\-]+")
_ONE_NAME: Final = re.compile(r"[\w.\-\[\]]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """The names a reference can resolve to before anything runs."""

    inputs: frozenset[str] = frozenset()
    steps: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Step id -> the names of its outputs."""

    def has(self, expression: Expression) -> bool:
        """Whether the expression is about an input or a step output that is declared."""
        if expression.root == "inputs":
            return resolve_name(expression.name, self.inputs) is not None
        if expression.root == "steps":
            return resolve_name(expression.name, self.steps.get(expression.owner, frozenset())) is not None
        return False


@dataclass(frozen=True, slots=True)
class Literal:
    """A value without expressions: null, boolean, number or text."""

    value: bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Whole:
    """One expression and nothing else: the value keeps its type."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class TextTemplate:
    """Text with expressions in it: always text."""

    parts: tuple[str | Expression, ...]
    braceless: tuple[str, ...] = field(default=(), compare=False)
    """The references that stood in the text without braces (tolerance C4)."""


@dataclass(frozen=True, slots=True)
class ObjectTemplate:
    members: tuple[tuple[str, Template], ...]


@dataclass(frozen=True, slots=True)
class ListTemplate:
    items: tuple[Template, ...]


Template: TypeAlias = "Literal | Whole | TextTemplate | ObjectTemplate | ListTemplate"


def compile_template(value: object, *, place: Place, declared: Declared) -> Template:
    """Compile any JSON value.

    :raises DocumentError: for a malformed expression, and for nesting deeper than 100 levels.
    """
    return _compile(value, place, declared, 0)


def _compile(value: object, place: Place, declared: Declared, depth: int) -> Template:
    if depth > _MAX_DEPTH:
        raise DocumentError(
            f"the value is nested more than {_MAX_DEPTH} levels deep",
            code="AZM-E020",
            place=place,
            next="Flatten the value, or pass the deep part as one input.",
        )
    if isinstance(value, Mapping):
        return ObjectTemplate(
            tuple((str(name), _compile(item, place, declared, depth + 1)) for name, item in value.items())
        )
    if isinstance(value, (list, tuple)):
        return ListTemplate(tuple(_compile(item, place, declared, depth + 1) for item in value))
    if isinstance(value, str):
        return _compile_text(value, place, declared)
    return Literal(cast("bool | int | float | None", value))


def _compile_text(text: str, place: Place, declared: Declared) -> Template:
    whole: Whole | None = None
    if is_expression(text):
        expression = parse_expression(text, place=place)
        whole = Whole(expression)
        # In 1.0 a name may hold anything, so "$inputs.a/$inputs.b" is one long name to the grammar. It is read as text
        # only when that name is not declared and could not be one by today's rules.
        if _ONE_NAME.match(expression.name) or expression.root not in ("inputs", "steps") or declared.has(expression):
            return whole
    parts: list[str | Expression] = []
    braceless: list[str] = []
    at = 0
    for found in _BRACED.finditer(text):
        # "{$.items}" and its like are text: only "$" and a known root make an expression.
        if is_expression(found[1]):
            _add_braceless(text[at : found.start()], parts, braceless, place, declared)
            parts.append(parse_expression(found[1], place=place))
            at = found.end()
    _add_braceless(text[at:], parts, braceless, place, declared)
    if any(isinstance(part, Expression) for part in parts):
        return TextTemplate(_merged(parts), tuple(braceless))
    return whole or Literal(text)


def _add_braceless(
    text: str, parts: list[str | Expression], braceless: list[str], place: Place, declared: Declared
) -> None:
    """Split literal text at references to declared names. A reference that resolves to nothing is just text."""
    at = 0
    for found in _BRACELESS.finditer(text):
        reference = found[0].rstrip(".")
        try:
            expression = parse_expression(reference, place=place)
        except DocumentError:
            continue  # text that looks like a reference and is none
        if declared.has(expression):
            parts += [text[at : found.start()], expression]
            braceless.append(reference)
            at = found.start() + len(reference)
    parts.append(text[at:])


def _merged(parts: list[str | Expression]) -> tuple[str | Expression, ...]:
    merged: list[str | Expression] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif part != "":
            merged.append(part)
    return tuple(merged)


def render(template: Template, context: Context) -> Value:
    """The value the template stands for now.

    An absent value leaves its object member out and is null in a list; at the top it is ``MISSING``. In text, null and
    absent are empty, objects and lists are JSON (RFC 8259), and a text all of whose expressions are absent is absent.

    :raises RequestError: when an object inside text holds a secret or is nested too deeply to be written.
    """
    if isinstance(template, Literal):
        return template.value
    if isinstance(template, Whole):
        return evaluate(template.expression, context)
    if isinstance(template, TextTemplate):
        return _render_text(template, context)
    if isinstance(template, ListTemplate):
        items = [render(item, context) for item in template.items]
        return cast("Value", [None if isinstance(item, Missing) else item for item in items])
    members = ((name, render(item, context)) for name, item in template.members)
    return cast("Value", {name: item for name, item in members if not isinstance(item, Missing)})


def _render_text(template: TextTemplate, context: Context) -> Value:
    pieces: list[str | SecretRef | SecretText] = []
    present = False
    for part in template.parts:
        if isinstance(part, str):
            pieces.append(part)
            continue
        value = evaluate(part, context)
        present = present or not isinstance(value, Missing)
        pieces.append(_as_text(value, part))
    return join_text(pieces) if present else MISSING


def _as_text(value: Value, expression: Expression) -> str | SecretRef | SecretText:
    if isinstance(value, (str, SecretRef, SecretText)):
        return value
    if value is None or isinstance(value, Missing):
        return ""
    try:
        if contains_file(value):
            raise RequestError(
                f"{expression} is a file and cannot be written into text",
                code="AZM-E039",
                next="Let the expression stand alone, as a body or as a part of one.",
            )
        if contains_secret(value):
            raise RequestError(
                f"{expression} is an object or list with a secret in it and cannot be written into text",
                code="AZM-E030",
                next="Name the secret's own member in the expression.",
            )
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise RequestError(
            f"{expression} is nested too deeply to be written into text",
            code="AZM-E031",
            next="Name the member that is meant in the expression.",
        ) from None


def _nodes(template: Template) -> Iterator[Whole | TextTemplate]:
    if isinstance(template, (Whole, TextTemplate)):
        yield template
    elif isinstance(template, ObjectTemplate):
        for _, item in template.members:
            yield from _nodes(item)
    elif isinstance(template, ListTemplate):
        for item in template.items:
            yield from _nodes(item)


def _expressions(node: Whole | TextTemplate) -> tuple[Expression, ...]:
    if isinstance(node, Whole):
        return (node.expression,)
    return tuple(part for part in node.parts if isinstance(part, Expression))


def references(template: Template) -> tuple[Expression, ...]:
    """Every expression in the template, in its order: what the value depends on."""
    return tuple(expression for node in _nodes(template) for expression in _expressions(node))


def tolerances(template: Template) -> list[tuple[str, str]]:
    """What the template accepted beyond the specification: (code, explanation) for each spot."""
    found: list[tuple[str, str]] = []
    for node in _nodes(template):
        for expression in _expressions(node):
            found += [(code, f"{expression}: {TOLERANCES[code]}") for code in expression.tolerances]
        if isinstance(node, TextTemplate):
            found += [("C4", f"{reference}: {TOLERANCES['C4']}") for reference in node.braceless]
    return found


def to_json(template: Template) -> Json:
    """The template as plain JSON for a stored plan."""
    if isinstance(template, Literal):
        return {"lit": template.value}
    if isinstance(template, Whole):
        return {"expr": str(template.expression)}
    if isinstance(template, TextTemplate):
        return {"text": [part if isinstance(part, str) else {"expr": str(part)} for part in template.parts]}
    if isinstance(template, ListTemplate):
        return {"array": [to_json(item) for item in template.items]}
    return {"object": {name: to_json(item) for name, item in template.members}}


def from_json(value: object) -> Template:
    """The inverse of :func:`to_json`: nothing is decided again.

    :raises BugError: for JSON that :func:`to_json` cannot have written.
    """
    if isinstance(value, Mapping) and len(value) == 1:
        kind, body = next(iter(value.items()))
        if kind == "lit" and (body is None or isinstance(body, (bool, int, float, str))):
            return Literal(body)
        if kind == "expr":
            return Whole(_stored(value))
        if kind == "text" and isinstance(body, list):
            return TextTemplate(tuple(part if isinstance(part, str) else _stored(part) for part in body))
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
