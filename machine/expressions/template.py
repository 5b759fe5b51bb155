"""A payload or parameter value -> a template tree whose decisions are all made; and a context -> the value to send.

Which strings are expressions is decided once, when the document is compiled, and stored in a form that no document
text can forge (``stored.py``). Rendering looks nothing up but values, and makes none that is larger than LARGEST.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias, cast

from ..errors import DocumentError, Place, RequestError
from ..values import (
    MISSING,
    Missing,
    SecretRef,
    SecretText,
    Value,
    contains_file,
    contains_secret,
    join_text,
    weight,
)
from .embedded import within
from .evaluate import Context, evaluate, resolve_name
from .grammar import TOLERANCES, Expression, here, is_expression, parse_expression
from .replacement import Target
from .selector import Selector, compile_selector, is_selector

__all__ = [
    "LARGEST",
    "Declared",
    "Leaf",
    "ListTemplate",
    "Literal",
    "ObjectTemplate",
    "Quoted",
    "Replaced",
    "Select",
    "Template",
    "TextTemplate",
    "Unusable",
    "Whole",
    "bare_references",
    "compile_template",
    "expressions_of",
    "leaves",
    "plain_text",
    "references",
    "render",
    "tolerances",
]

_MAX_DEPTH: Final = 100
"""Levels of objects and lists in one value; also the bound of every recursion in this file."""

LARGEST: Final = 16 << 20
"""Characters and values of what a template makes of others: what quotes the same text twice, and is quoted twice
itself, doubles with each step of a small document."""

_BRACED: Final = re.compile(r"\{(\$[^{}]*)\}")
_BRACELESS: Final = re.compile(r"\$(?:inputs|steps)\.[A-Za-z0-9_.\-]+")
_ONE_NAME: Final = re.compile(r"[\w.\-\[\]]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a document says before anything runs: the names a reference can mean, and the version it is written in."""

    inputs: frozenset[str] = frozenset()
    steps: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Step id -> the names of its outputs."""
    minor: str = "1.0"
    parameters: Mapping[str, object] = field(default_factory=dict)
    """Key -> value of the parameters in Components, which ``$components.parameters.KEY`` stands for."""

    @property
    def null(self) -> str:
        """What null reads as in text."""
        return "" if self.minor == "1.0" else "null"

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
    bare: tuple[str, ...] = field(default=(), compare=False)
    """References that stand in it without braces and are text therefore: in 1.1."""


@dataclass(frozen=True, slots=True)
class Whole:
    """One expression and nothing else: the value keeps its type."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class TextTemplate:
    """Text with expressions in it: always text."""

    parts: tuple[str | Expression, ...]
    null: str = ""
    """What null reads as: nothing in 1.0, which is silent, and ``null`` from 1.1 on ("Runtime Expressions")."""
    braceless: tuple[str, ...] = field(default=(), compare=False)
    """The references that stood in the text without braces and were filled in (tolerance C4): in 1.0."""
    bare: tuple[str, ...] = field(default=(), compare=False)
    """Those that are text: in 1.1."""
    syntax: str = ""
    """What the text is, so that a value in it stays a value: ``xml``, where it is character data and makes no element,
    attribute or entity; ``form``, where it is percent-encoded and makes no field; else empty."""


@dataclass(frozen=True, slots=True)
class Quoted:
    """An expression alone between the quotes of a JSON text: text, but an object or a list as it is (rule C10)."""

    expression: Expression
    null: str = ""
    """As of any text."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A value nobody can make: the step that needs it fails before it sends anything, and no other (rule C10)."""

    why: str


@dataclass(frozen=True, slots=True)
class Select:
    """A Selector Object: the value keeps its type."""

    selector: Selector


@dataclass(frozen=True, slots=True)
class ObjectTemplate:
    members: tuple[tuple[str, Template], ...]


@dataclass(frozen=True, slots=True)
class ListTemplate:
    items: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class Replaced:
    """A request body and what is set in it afterwards, in this order (Payload Replacement Object)."""

    body: Template
    changes: tuple[tuple[Target, Template], ...]


Template: TypeAlias = (
    "Literal | Whole | TextTemplate | Quoted | Unusable | Select | ObjectTemplate | ListTemplate | Replaced"
)
Steps: TypeAlias = "tuple[str | int, ...]"
"""Keys and indexes that lead to a spot inside a value."""
Leaf: TypeAlias = "Literal | Whole | TextTemplate | Quoted | Unusable | Select | Target"
"""What stands alone in a template, or says where in a body a value goes."""


def compile_template(
    value: object, *, place: Place, declared: Declared, inside: Callable[..., Place] = here
) -> Template:
    """Compile any JSON value. ``inside(place, *keys)`` says where something in it stands, for what is refused there.

    :raises DocumentError: for a malformed expression, and for nesting deeper than 100 levels.
    """
    return _Compiler(place, declared, inside).compile(value, (), 0)


@dataclass(frozen=True, slots=True)
class _Compiler:
    place: Place
    declared: Declared
    inside: Callable[..., Place]

    def compile(self, value: object, steps: Steps, depth: int) -> Template:
        if depth > _MAX_DEPTH:
            raise DocumentError(
                f"the value is nested more than {_MAX_DEPTH} levels deep",
                code="AZM-E020",
                place=self.inside(self.place, *steps),
                next="Flatten the value, or pass the deep part as one input.",
            )
        if self.declared.minor != "1.0" and isinstance(value, Mapping) and is_selector(value):
            inside = partial(self.inside, self.place, *steps)
            return Select(compile_selector(value, minor=self.declared.minor, inside=inside))
        if isinstance(value, Mapping):
            members = value.items()
            return ObjectTemplate(
                tuple((str(name), self.compile(item, (*steps, str(name)), depth + 1)) for name, item in members)
            )
        if isinstance(value, (list, tuple)):
            items = enumerate(value)
            return ListTemplate(tuple(self.compile(item, (*steps, index), depth + 1) for index, item in items))
        if not isinstance(value, str):
            return Literal(cast("bool | int | float | None", value))
        if "$" not in value:
            return Literal(value)
        place = self.inside(self.place, *steps)
        component = _component(value, place, self.declared)
        if component is not None:
            return self.compile(component, steps, depth + 1)
        return _compile_text(value, place, self.declared)


def _component(text: str, place: Place, declared: Declared) -> object:
    """The value of the component a text names, which takes its place; None where it names none.

    :raises DocumentError: AZM-E023 for a component that is not there or is no value.
    """
    if not text.startswith("$components."):
        return None
    expression = parse_expression(text, place=place, minor=declared.minor)
    if expression.part != "parameters" or expression.name not in declared.parameters:
        raise DocumentError(
            f"{expression} is no value",
            code="AZM-E023",
            place=place,
            next=f"parameters in components: {', '.join(declared.parameters) or 'none'}",
        )
    return declared.parameters[expression.name]


def _compile_text(text: str, place: Place, declared: Declared) -> Template:
    whole: Whole | None = None
    if is_expression(text):
        expression = parse_expression(text, place=place)
        whole = Whole(expression)
        # In 1.0 a name may hold anything, so "$inputs.a/$inputs.b" is one long name to the grammar. It is read as text
        # only when that name is not declared and could not be one by today's rules.
        if _ONE_NAME.match(expression.name) or expression.root not in ("inputs", "steps") or declared.has(expression):
            return Whole(parse_expression(text, place=place, minor=declared.minor))
    parts: list[str | Expression] = []
    braceless: list[str] = []
    at = 0
    for found in _BRACED.finditer(text):
        # "{$.items}" and its like are text: only "$" and a known root make an expression.
        if is_expression(found[1]):
            _add_braceless(text[at : found.start()], parts, braceless, place, declared)
            parts.append(parse_expression(found[1], place=place, minor=declared.minor))
            at = found.end()
    _add_braceless(text[at:], parts, braceless, place, declared)
    filled, bare = (tuple(braceless), ()) if declared.minor == "1.0" else ((), tuple(braceless))
    if any(isinstance(part, Expression) for part in parts):
        return TextTemplate(_merged(parts), declared.null, filled, bare)
    return Whole(parse_expression(text, place=place, minor=declared.minor)) if whole else Literal(text, bare)


def _add_braceless(
    text: str, parts: list[str | Expression], braceless: list[str], place: Place, declared: Declared
) -> None:
    """Split literal text at references to declared names, or only note them: by the grammar of 1.1 they are text. A
    reference that resolves to nothing is just text in any version."""
    at = 0
    for found in _BRACELESS.finditer(text):
        reference = found[0].rstrip(".")
        try:
            expression = parse_expression(reference, place=place, minor=declared.minor)
        except DocumentError:
            continue  # text that looks like a reference and is none
        if declared.has(expression):
            braceless.append(reference)
            if declared.minor == "1.0":
                parts += [text[at : found.start()], expression]
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

    :raises RequestError: when an object inside text holds a secret or is nested too deeply to be written, when a
        replacement cannot be made, for a value that is unusable, and for one larger than LARGEST.
    """
    if isinstance(template, Literal):
        return template.value
    if isinstance(template, Whole):
        return evaluate(template.expression, context)
    if isinstance(template, TextTemplate):
        return _render_text(template, context)
    if isinstance(template, Quoted):
        return _render_quoted(template, context)
    if isinstance(template, Unusable):
        raise RequestError(template.why, code="AZM-E037", next="Correct the document.")
    if isinstance(template, Select):
        return template.selector.read(context)
    if isinstance(template, Replaced):
        return _bounded(_render_replaced(template, context))
    if isinstance(template, ListTemplate):
        items = [render(item, context) for item in template.items]
        return _bounded(cast("Value", [None if isinstance(item, Missing) else item for item in items]))
    members = ((name, render(item, context)) for name, item in template.members)
    return _bounded(cast("Value", {name: item for name, item in members if not isinstance(item, Missing)}))


def _bounded(value: Value) -> Value:
    if weight(value, LARGEST) > LARGEST:
        raise RequestError(
            f"a value would hold more than {LARGEST >> 20} million characters, each value counted as 64",
            code="AZM-E040",
            next="Name the part of the answer that is meant, not all of it.",
        )
    return value


def _render_quoted(template: Quoted, context: Context) -> Value:
    value = evaluate(template.expression, context)
    return value if isinstance(value, (Missing, dict, list)) else _as_text(value, template.expression, template.null)


def _render_replaced(template: Replaced, context: Context) -> Value:
    """An absent value leaves its spot as it is, as it leaves out a member."""
    body = render(template.body, context)
    for target, change in template.changes:
        value = render(change, context)
        if not isinstance(value, Missing):
            body = target.put(body, value, context)
    return body


def _render_text(template: TextTemplate, context: Context) -> Value:
    pieces: list[str | SecretRef | SecretText] = []
    present, left = False, LARGEST
    known: dict[Expression, str | SecretRef | SecretText] = {}
    for part in template.parts:
        if isinstance(part, str):
            pieces.append(part)
            continue
        if part not in known:
            value = evaluate(part, context)
            present = present or not isinstance(value, Missing)
            known[part] = within(_as_text(_bounded(value), part, template.null), template.syntax)
        pieces.append(known[part])
        left -= weight(known[part], LARGEST)
        if left < 0:
            break
    _bounded(cast("Value", pieces))
    return join_text(pieces) if present else MISSING


def _as_text(value: Value, expression: Expression, null: str) -> str | SecretRef | SecretText:
    if isinstance(value, (str, SecretRef, SecretText)):
        return value
    if value is None or isinstance(value, Missing):
        return null if value is None else ""
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


def leaves(template: Template) -> Iterator[tuple[Steps, Leaf]]:
    """Everything in a template that is no object and no list, with the way that leads to it."""
    waiting: list[tuple[Steps, Template | Target]] = [((), template)]
    while waiting:
        steps, one = waiting.pop()
        if isinstance(one, ObjectTemplate):
            waiting += reversed([((*steps, name), item) for name, item in one.members])
        elif isinstance(one, ListTemplate):
            waiting += reversed([((*steps, index), item) for index, item in enumerate(one.items)])
        elif isinstance(one, Replaced):
            # As in the Request Body Object, where the body stands under its name and each change in a list.
            parts: list[tuple[Steps, Template | Target]] = [((*steps, "payload"), one.body)]
            for number, (target, change) in enumerate(one.changes):
                at = (*steps, "replacements", number)
                parts += [((*at, "target"), target), ((*at, "value"), change)]
            waiting += reversed(parts)
        else:
            yield steps, one


def expressions_of(leaf: Leaf) -> tuple[Expression, ...]:
    """The expressions of one leaf, in their order."""
    if isinstance(leaf, (Whole, Quoted)):
        return (leaf.expression,)
    if isinstance(leaf, TextTemplate):
        return tuple(part for part in leaf.parts if isinstance(part, Expression))
    if isinstance(leaf, (Literal, Unusable)):
        return ()
    return (leaf.selector if isinstance(leaf, Select) else leaf).expressions()


def references(template: Template) -> tuple[Expression, ...]:
    """Every expression in the template, in its order: what the value depends on."""
    return tuple(expression for _, leaf in leaves(template) for expression in expressions_of(leaf))


def tolerances(leaf: Leaf) -> list[tuple[str, str]]:
    """What a leaf accepted beyond the specification: (code, explanation) for each spot."""
    found = [
        (code, expression.repaired or f"{expression}: {TOLERANCES[code]}")
        for expression in expressions_of(leaf)
        for code in expression.tolerances
    ]
    if isinstance(leaf, TextTemplate):
        found += [("C4", f"{reference}: {TOLERANCES['C4']}") for reference in leaf.braceless]
    elif isinstance(leaf, Quoted):
        found.append(("C10", TOLERANCES["C10"]))
    elif isinstance(leaf, Target):
        found += [(code, f"{leaf.text}: {TOLERANCES[code]}") for code in leaf.tolerances]
    return found


def bare_references(leaf: Leaf) -> tuple[str, ...]:
    """The references to declared names that are text because they have no braces: what an author may not have meant."""
    return leaf.bare if isinstance(leaf, (Literal, TextTemplate)) else ()


def plain_text(leaf: Leaf) -> tuple[str, ...]:
    """What of a leaf is text and nothing else."""
    parts = leaf.parts if isinstance(leaf, TextTemplate) else (leaf.value,) if isinstance(leaf, Literal) else ()
    return tuple(part for part in parts if isinstance(part, str))
