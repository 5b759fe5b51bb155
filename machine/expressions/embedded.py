"""A condition with ``{$...}`` in it -> its parts; and a value at such a spot -> text that stays data.

Arazzo 1.1 ("Runtime Expressions in Conditions") puts the values into the condition's text before that is parsed. Taken
to the letter, a value out of a reply could so rewrite the condition. Here a value is always data: each language says
in its own file how a value is quoted at the spot where it stands, and the text around it is never parsed with it. The
same holds for a body that is written as text: ``within``.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias
from urllib.parse import quote

from ..errors import Place
from ..values import Json, Missing, SecretRef, SecretText, Value, contains_secret, join_text, redact
from .evaluate import Context, evaluate
from .grammar import Expression, is_expression, parse_expression
from .question import Undecided
from .verdict import show

__all__ = ["Part", "as_text", "expressions", "fill", "split", "values", "within"]

Part: TypeAlias = "str | Expression"

_BRACED: Final = re.compile(r"\{(\$[^{}]*)\}")
"""In 1.0 a name may hold braces, but nothing that stands in text could then be read for certain."""


def split(text: str, place: Place, minor: str, *, escapes: bool = False) -> tuple[Part, ...]:
    """The text cut at every ``{$...}`` that holds a runtime expression; ``{$.items}`` and its like are text, and with
    ``escapes`` so is a brace behind a backslash.

    Raises DocumentError for an expression that is malformed.
    """
    parts: list[Part] = []
    at = 0
    for found in _BRACED.finditer(text):
        backslashes = len(text[: found.start()]) - len(text[: found.start()].rstrip("\\"))
        if is_expression(found[1]) and not (escapes and backslashes % 2):
            parts += [text[at : found.start()], parse_expression(found[1], place=place, minor=minor)]
            at = found.end()
    parts.append(text[at:])
    return tuple(part for part in parts if part != "")


def expressions(parts: Sequence[Part]) -> tuple[Expression, ...]:
    return tuple(part for part in parts if isinstance(part, Expression))


def values(parts: Sequence[Part], context: Context) -> list[Json]:
    """The value of each embedded expression, in order. Raises Undecided for one that is absent or holds a secret."""
    found: list[Json] = []
    for expression in expressions(parts):
        value: Value = evaluate(expression, context)
        if isinstance(value, Missing):
            raise Undecided(f"{expression} was absent")
        if contains_secret(value):
            raise Undecided(f"{expression} was {show(value)}, and a secret may be compared with nothing but null")
        found.append(redact(value))  # of a file, what is known of it
    return found


def fill(parts: Sequence[Part], given: Iterable[Json], write: Callable[[str, Json], tuple[str, str]]) -> str:
    """Put the values into the text. ``write`` gets the text before a spot and the value, and gives back the text
    before the spot, which it may change, and what is to stand there."""
    done, waiting = "", iter(given)
    for part in parts:
        if isinstance(part, str):
            done += part
        else:
            before, written = write(done, next(waiting))
            done = before + written
    return done


def as_text(value: Json) -> str:
    """How a value reads inside text (1.1, "Runtime Expressions"): texts as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def within(text: str | SecretRef | SecretText, syntax: str) -> str | SecretRef | SecretText:
    """A value as a body of that syntax (``xml``, ``form`` or none) writes it, so that it stays one.

    A secret carries that as its encoding; in a form it gets it where the body is made.
    """
    if isinstance(text, SecretText):
        return join_text(within(part, syntax) for part in text.parts)
    if isinstance(text, SecretRef):
        return text.encoded("html") if syntax == "xml" else text
    if syntax == "form":
        return quote(text, safe="")
    # XML 1.0 section 2.4: what is written so is text, between tags and between quotes. A secret is written alike.
    return html.escape(text) if syntax == "xml" else text
