"""A guard in a few characters, for beside an arrow: ``/status/state: pending | initializing``. Pure text.

Only what can be said again from the short form is shortened; a condition of any other form gives nothing short, and
the picture's legend has it whole. Nothing is ever cut.
"""

from __future__ import annotations

import re

from ..plan.model import Guard

__all__ = ["shortened"]

_LONGEST = 60
"""Characters. What is longer stands in the legend only."""
_TERM = re.compile(r"""\s*(\$[^\s=!<>&|()]*)\s*(==|!=|<=|>=|<|>)\s*('(?:[^']|'')*'|"[^"]*"|[^\s'"&|()]+)\s*""")
_WORD = re.compile(r"[\w.-]+")
_OUTPUT = re.compile(r"\$steps\.[^.]+\.outputs\.([^.#]+)")
_BODY = ("$response.body#", "$response.body")


def shortened(guard: Guard) -> str:
    """The criteria of a guard in short; empty where it has none, or one has no short form."""
    parts = [_criterion(" ".join(one.text.split())) for one in guard.criteria]
    text = ", ".join(parts)
    return text if all(parts) and len(text) <= _LONGEST else ""


def _criterion(text: str) -> str:
    """Comparisons of one thing: several it may equal, several it must not, or a single one."""
    for mark, operator in (("||", "=="), ("&&", "!=")):
        found = [_TERM.fullmatch(part) for part in text.split(mark)]
        terms = [one.groups() for one in found if one is not None]
        if len(terms) < len(found) or len({name for name, _, _ in terms}) != 1:
            continue
        if len(terms) == 1 or all(one == operator for _, one, _ in terms):
            return _said(terms)
    return ""


def _said(terms: list[tuple[str, ...]]) -> str:
    name, operator = _name(terms[0][0]), terms[0][1]
    values = " | ".join(_value(value) for _, _, value in terms)
    if operator == "==":
        return f"{name}: {values}" if name else values
    if operator == "!=":
        return f"{name} not {values}".lstrip()
    return f"{name or 'status'} {operator} {values}"


def _name(expression: str) -> str:
    """What is compared, without what goes without saying: nothing for the status, a pointer for the body, for an
    output its name."""
    if expression == "$statusCode":
        return ""
    for prefix in _BODY:
        if expression.startswith(prefix):
            return expression.removeprefix(prefix)
    if expression.startswith("$."):
        return expression.removeprefix("$.")
    if (output := _OUTPUT.fullmatch(expression)) is not None:
        return output[1]
    return expression


def _value(text: str) -> str:
    bare = text[1:-1] if text[:1] in ("'", '"') else text
    return bare if _WORD.fullmatch(bare) else text
