"""An expression and what a run knows -> a value. Total: what is not there is ``MISSING``, nothing is raised.

Types are kept: a number stays a number, null stays null and is not the same as absent. This file knows no document
text; every path it walks was split by the grammar.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..values import MISSING, Missing, SecretText, Value
from .grammar import Expression, split_path
from .question import Ask, nobody

__all__ = ["Context", "RequestView", "ResponseView", "evaluate", "point", "resolve_name", "walk"]

_NOTHING: Final[Mapping[str, Value]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestView:
    """The request an expression may look at: the parameters the step declares, and its body."""

    headers: Mapping[str, Value] = field(default_factory=dict)
    """Lower-case name -> first value: an expression addresses single values only."""
    query: Mapping[str, Value] = field(default_factory=dict)
    path: Mapping[str, Value] = field(default_factory=dict)
    body: Value = MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseView:
    """The reply an expression may look at; ``body`` is parsed JSON, else text, else absent."""

    headers: Mapping[str, Value] = field(default_factory=dict)
    query: Mapping[str, Value] = field(default_factory=dict)
    path: Mapping[str, Value] = field(default_factory=dict)
    body: Value = MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything an expression can see at one moment of a run."""

    inputs: Mapping[str, Value] = field(default_factory=dict)
    steps: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    """Step id -> its outputs."""
    outputs: Mapping[str, Value] = field(default_factory=dict)
    workflows: Mapping[str, Mapping[str, Mapping[str, Value]]] = field(default_factory=dict)
    """Workflow id -> ``inputs`` and ``outputs`` -> values."""
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Source name -> its fields (``url``, ``type``, ``name``)."""
    request: RequestView | None = None
    response: ResponseView | None = None
    status: int | None = None
    url: str | SecretText | None = None
    method: str | None = None
    document: str | None = None
    """The document's own ``$self``."""
    ask: Ask = field(default=nobody, compare=False, repr=False)
    """Who evaluates patterns and XPaths (``question.py``)."""


def evaluate(expression: Expression, context: Context) -> Value:
    """The value the expression points at, or ``MISSING``. Never raises."""
    return point(_look_up(expression, context), expression.pointer)


def _look_up(expression: Expression, context: Context) -> Value:
    root, name = expression.root, expression.name
    if root in ("request", "response"):
        return _exchange(expression, context.request if root == "request" else context.response)
    if root == "inputs":
        return _named(context.inputs, name)
    if root == "outputs":
        return _named(context.outputs, name)
    if root == "steps":
        found = context.steps.get(expression.owner)
        return MISSING if found is None else _named(found, name)
    if root == "workflows":
        sides = context.workflows.get(expression.owner, {})
        return _named(sides[expression.part], name) if expression.part in sides else MISSING
    if root == "sourceDescriptions":
        return context.sources.get(expression.owner, {}).get(name, MISSING)
    alone: dict[str, Value] = {
        "statusCode": context.status,
        "url": context.url,
        "method": context.method,
        "self": context.document,
    }
    value = alone.get(root)  # $components is resolved when the document is compiled: here it is absent
    return MISSING if value is None else value


def _exchange(expression: Expression, view: RequestView | ResponseView | None) -> Value:
    if view is None:
        return MISSING
    if expression.part == "body":
        return walk(view.body, split_path(expression.name) or ())
    if expression.part == "header":
        # RFC 9110 section 5.1: field names are case-insensitive.
        return view.headers.get(expression.name.lower(), MISSING)
    return (view.query if expression.part == "query" else view.path).get(expression.name, MISSING)


def _named(values: Mapping[str, Value], name: str) -> Value:
    if not name:
        return dict(values)  # type: ignore[arg-type]  # Json is invariant; a mapping of values is what we mean
    found = resolve_name(name, values)
    if found is None:
        return MISSING
    key, path = found
    return walk(values[key], path)


def resolve_name(name: str, declared: Collection[str]) -> tuple[str, tuple[str, ...]] | None:
    """Which declared name a possibly dotted name means, and the path below it; None when there is none.

    A dot may belong to a name, so the longest declared name wins and only the rest is walked.
    """
    if name in declared:
        return name, ()
    for end in range(len(name) - 1, 0, -1):
        if name[end] in ".[" and name[:end] in declared:
            path = split_path(name[end:].removeprefix("."))
            return (name[:end], path) if path else None
    return None


def point(value: Value, tokens: tuple[str, ...]) -> Value:
    """Follow a JSON Pointer's tokens (RFC 6901 section 4)."""
    for token in tokens:
        value = _step(value, token)
    return value


def walk(value: Value, tokens: tuple[str, ...]) -> Value:
    """Follow a dotted path: like a pointer, but a list or a text has a ``length`` when that ends the path."""
    for position, token in enumerate(tokens):
        if position == len(tokens) - 1 and token in ("length", "size") and isinstance(value, (list, tuple, str)):
            return len(value)
        value = _step(value, token)
    return value


def _step(value: Value, token: str) -> Value:
    if isinstance(value, Mapping):
        return value.get(token, MISSING)
    if not isinstance(value, (list, tuple)) or isinstance(value, Missing):
        return MISSING
    # RFC 6901: an index has no sign and no leading zero; "-" names the element after the last, which is absent.
    if not (token.isascii() and token.isdigit()) or len(token) > 9 or (len(token) > 1 and token[0] == "0"):
        return MISSING
    index = int(token)
    return value[index] if index < len(value) else MISSING
