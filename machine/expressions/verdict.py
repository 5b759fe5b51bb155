"""Two values and an operator -> whether it holds; and the sentence that says what was observed.

The one place where values are compared, shared by simple conditions and by comparisons of JSONPath queries, so that
both mean the same. A secret is compared with nothing but null, and shown by name only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..values import Content, FileRef, Missing, SecretRef, SecretText, Value, contains_secret

__all__ = ["Verdict", "clip", "compare", "is_refused", "number", "show", "truthy"]

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,299})(\.[0-9]{1,300})?([eE][+-]?[0-9]{1,4})?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a condition holds, and one sentence that names the values it was judged by."""

    truth: bool
    why: str

    def to_json(self) -> dict[str, object]:
        return {"truth": self.truth, "why": self.why}


def number(text: str) -> int | float | None:
    """The number a text spells in JSON's notation, else None."""
    if not _NUMBER.match(text):
        return None
    return int(text) if text.lstrip("-").isdigit() else float(text)


def truthy(value: Value) -> bool:
    """False, null, absent, 0 and the empty text fail; everything else passes, empty containers included."""
    if isinstance(value, (Missing, bool, int, float, str)) or value is None:
        return bool(value)
    return True


def is_refused(left: Value, right: Value) -> bool:
    """Whether comparing the two would let a guard learn about a secret. Only null may be held against one."""
    return not (_is_null(left) or _is_null(right)) and (contains_secret(left) or contains_secret(right))


def compare(operator: str, left: Value, right: Value) -> bool:
    """Apply ``== != < <= > >=`` (Arazzo "Criterion Object", loose comparison). Total.

    Texts are compared without regard to case; a numeric text is a number against a number; null and absent equal only
    each other and are in no order with anything; values of different kinds are unequal and in no order.
    """
    if operator == "!=":
        return not compare("==", left, right)
    if _is_null(left) or _is_null(right):
        return operator == "==" and _is_null(left) and _is_null(right)
    if isinstance(left, str) and _is_number(right):
        left = _coerced(left)
    elif isinstance(right, str) and _is_number(left):
        right = _coerced(right)
    if isinstance(left, str) and isinstance(right, str):
        return _ordered(operator, left.casefold(), right.casefold())
    if _is_number(left) and _is_number(right):
        return _ordered(operator, left, right)  # type: ignore[arg-type]  # both were just found to be numbers
    return operator == "==" and _same(left, right)


def _coerced(text: str) -> int | float | str:
    found = number(text)
    return text if found is None else found


def _is_null(value: Value) -> bool:
    return value is None or isinstance(value, Missing)


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_scalar(value: Value) -> bool:
    return not isinstance(value, (Mapping, list, tuple))


def _same_scalar(one: Value, other: Value) -> bool:
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def _ordered(operator: str, left: float | str, right: float | str) -> bool:
    if operator == "==":
        return left == right
    if operator.startswith("<"):
        return left < right or (operator == "<=" and left == right)  # type: ignore[operator]  # same kind by the caller
    return left > right or (operator == ">=" and left == right)  # type: ignore[operator]


def _same(left: Value, right: Value) -> bool:
    """Deep equality without recursion; unlike Python's, true is not 1."""
    pairs: list[tuple[Value, Value]] = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            if one.keys() != other.keys():
                return False
            pairs.extend((one[key], other[key]) for key in one)
        elif isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
            if len(one) != len(other):
                return False
            pairs.extend(zip(one, other, strict=True))
        elif not (_is_scalar(one) and _is_scalar(other) and _same_scalar(one, other)):
            return False
    return True


def clip(text: str, limit: int) -> str:
    """The text on one line, printable, at most ``limit`` characters and three dots."""
    short = text if len(text) <= limit else text[:limit] + "..."
    if short.isprintable():
        return short
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in short)


def show(value: Value, limit: int = 80) -> str:
    """A value for a sentence: short, printable, secrets by name. Containers are counted, not printed."""
    if isinstance(value, Missing):
        return "absent"
    if isinstance(value, (SecretRef, SecretText, FileRef, Content)):
        return clip(str(value), limit)
    if isinstance(value, str):
        return f"'{clip(value, limit)}'"
    if isinstance(value, Mapping):
        return f"an object with {len(value)} member{'' if len(value) == 1 else 's'}"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return clip(repr(value), limit) if isinstance(value, float) or abs(value) < 10**limit else "a very large number"
