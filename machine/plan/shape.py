"""A JSON Schema of inputs -> what in it is none, so that its author hears of it before a value is held against it.

Keywords and what stands under them are those of JSON Schema 2020-12; keywords nobody knows are allowed there, and so
here. Values are held against schemas in ``schema.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from ..document.positions import below
from ..expressions.pattern import wrong_with
from ..expressions.verdict import show

__all__ = ["TYPES", "wrong_in"]

TYPES: Final = ("string", "boolean", "null", "number", "integer", "array", "object")
"""JSON Schema validation, 6.1.1."""

_ONE: Final = frozenset(
    {"items", "additionalProperties", "contains", "not", "if", "then", "else", "propertyNames"}
    | {"unevaluatedItems", "unevaluatedProperties"}
)
_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAPS: Final = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas"})


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and (isinstance(value, int) or value.is_integer())


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


_VALUES: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), (_is_count, "a whole number from 0 on")),
    **dict.fromkeys(("minProperties", "maxProperties"), (_is_count, "a whole number from 0 on")),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), (_is_number, "a number")),
    "multipleOf": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    "required": (_is_names, "a list of names, beside properties"),
    "enum": (lambda value: isinstance(value, list), "a list of values"),
    "uniqueItems": (lambda value: isinstance(value, bool), "true or false"),
    "pattern": (lambda value: isinstance(value, str), "a text"),
}
"""Keyword to whether a value may stand under it, and what may, in words."""


def wrong_in(schema: Any) -> Iterator[tuple[str, str]]:
    """JSON Pointer within the schema, and why what stands there is no schema or no value of its keyword."""
    waiting: list[tuple[str, Any]] = [("", schema)]
    seen: list[Any] = []
    known: set[int] = set()
    while waiting:
        at, one = waiting.pop()
        if isinstance(one, bool):
            continue
        if not isinstance(one, Mapping):
            yield at, f"a schema is an object, not {show(one, 40)}"
            continue
        if id(one) in known:
            continue
        known.add(id(one))
        seen.append(one)  # an id is only unique among what lives
        inner: list[tuple[str, Any]] = []
        for keyword, value in one.items():
            spot = below(at, keyword)
            if keyword in _ONE:
                inner.append((spot, value))
            elif keyword in _LISTS or keyword in _MAPS:
                if isinstance(value, list if keyword in _LISTS else Mapping):
                    steps = enumerate(value) if isinstance(value, list) else value.items()
                    inner += [(below(spot, step), part) for step, part in steps]
                else:
                    holds = "a list of schemas" if keyword in _LISTS else "an object of schemas by their names"
                    yield spot, f"{keyword} is {holds}, not {show(value, 40)}"
            elif keyword == "type":
                yield from ((spot, why) for why in _wrong_type(value))
            elif keyword in _VALUES and not _VALUES[keyword][0](value):
                yield spot, f"{keyword} is {_VALUES[keyword][1]}, not {show(value, 40)}"
            elif keyword == "pattern" and (problem := wrong_with(value)):
                yield spot, f"the pattern {show(value, 40)} cannot be used: {problem}"
        waiting += reversed(inner)


def _wrong_type(value: Any) -> Iterator[str]:
    """The keyword ``type``: one name, or several of which one must fit."""
    if value == []:
        yield "type is a name or a list of names, not an empty list"
        return
    for one in value if isinstance(value, list) else [value]:
        if one in TYPES and isinstance(one, str):
            continue
        near = get_close_matches(one, TYPES, n=1) if isinstance(one, str) else []
        known = f"did you mean {near[0]}?" if near else f"there are {', '.join(TYPES)}"
        yield f"there is no type {show(one, 40)}; {known}"
