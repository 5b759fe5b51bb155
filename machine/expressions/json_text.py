"""A JSON payload written as text, with ``{$...}`` in it -> the template of what it means (rule C10, ambiguity A11).

The text is parsed here, once, with its expressions taken out: so no value can break out of its string, and a payload
that is no JSON is the author's to mend, not a request that fails in the middle of a run. An expression alone between
quotes is text, as the specification has it for embedding, but an object or a list takes the place of the quotes too;
an expression without quotes keeps its type.
"""

from __future__ import annotations

import json
import re
from itertools import count
from typing import Any, Final

from ..errors import DocumentError, Place
from .grammar import Expression, is_expression, parse_expression
from .template import Declared, ListTemplate, ObjectTemplate, Quoted, Template, TextTemplate, Whole, compile_template
from .verdict import clip

__all__ = ["compile_json_text", "is_json_text"]

_TOKEN: Final = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\])*")|\{(?P<braced>\$[^{}"]*)\}|(?P<bare>\$[A-Za-z](?:[^\s,{}\[\]"]|\[\d{1,9}\])*)""",
    re.DOTALL,
)
_EMBEDDED: Final = re.compile(r"\{(\$[^{}]*)\}")


def is_json_text(payload: object) -> bool:
    """Whether a payload of a JSON type is meant as JSON text: it begins like an object or a list, and is no
    expression."""
    if not isinstance(payload, str):
        return False
    text = payload.strip()
    braced = _EMBEDDED.fullmatch(text)
    return text[:1] in ("{", "[") and not (braced and is_expression(braced[1]))


def compile_json_text(text: str, *, place: Place, declared: Declared, aware: bool) -> Template:
    """The template of a JSON text. Without ``aware`` an expression between quotes is text whatever its value is.

    :raises DocumentError: AZM-E021 when it is no JSON, AZM-E022 for an expression in the name of a member, and what
        an expression in it is refused for.
    """
    signs = (chr(code) for code in count(0xE000))
    mark = next(sign for sign in signs if sign not in text)
    taken: list[Expression] = []

    def take(found: re.Match[str]) -> str:
        written = found["braced"] or found["bare"]
        if not written or not is_expression(written):
            return found[0]
        taken.append(parse_expression(written, place=place, minor=declared.minor))
        return f'"{mark}{len(taken) - 1}"'

    try:
        value = json.loads(_TOKEN.sub(take, text), parse_constant=_no_constant)
        return _built(value, mark, taken, place, declared, aware, 0)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DocumentError(
            f"the payload is written as JSON text and is no JSON: {clip(reason, 120)}",
            code="AZM-E021",
            place=place,
            seen=clip(text, 80),
            next="Correct it, or write the payload as an object.",
        ) from None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON value")


def _built(
    value: Any, mark: str, taken: list[Expression], place: Place, declared: Declared, aware: bool, depth: int
) -> Template:
    if depth > 100:
        raise RecursionError
    if isinstance(value, dict):
        for name in value:
            if any(is_expression(one) for one in _EMBEDDED.findall(name)):
                raise DocumentError(
                    "the name of a member cannot be an expression",
                    code="AZM-E022",
                    place=place,
                    seen=clip(name, 80),
                    next="Write the name itself.",
                )
        members = ((name, _built(one, mark, taken, place, declared, aware, depth + 1)) for name, one in value.items())
        return ObjectTemplate(tuple(members))
    if isinstance(value, list):
        return ListTemplate(tuple(_built(one, mark, taken, place, declared, aware, depth + 1) for one in value))
    if isinstance(value, str) and value.startswith(mark):
        return Whole(taken[int(value[1:])])
    made = compile_template(value, place=place, declared=declared)
    alone = made.parts[0] if isinstance(made, TextTemplate) and len(made.parts) == 1 else None
    alone = made.expression if isinstance(made, Whole) else alone
    if not isinstance(alone, Expression):
        return made
    return Quoted(alone, declared.null) if aware else TextTemplate((alone,), declared.null)
