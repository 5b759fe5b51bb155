"""A JSONPath query and a value -> where the nodes are that it selects (RFC 9535).

Plain member paths are walked here; the library is imported only for queries that need it, and sees secrets as their
names only. It is bounded by what it looks at: every member and item a query visits is counted, so that filters nested
in filters end however large the value is. Patterns inside a query (``match`` and ``search``) have no such measure;
a query that has them is asked for (``question.py``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, SupportsIndex, TypeAlias

from ..values import MISSING, Value, redact
from .question import LONGEST_SUBJECT, Answer, Ask, Question, Undecided
from .verdict import clip

if TYPE_CHECKING:
    from jsonpath_rfc9535 import JSONPathQuery

__all__ = [
    "MEMBER",
    "QUOTED",
    "Path",
    "answer_jsonpath",
    "is_rfc9535",
    "is_singular",
    "locate",
    "plain",
    "select",
    "wrong_with",
]

Path: TypeAlias = "tuple[str | int, ...]"

BUDGET: Final = 500_000
"""Members and items one query may visit, those of the value itself included: about a second."""

MEMBER: Final = r"[^\x00-@\[-^`{-\x7f][^\x00-,./:-@\[-^`{-\x7f]*"
"""A letter, ``_`` or anything beyond ASCII (RFC 9535 section 2.5.1.1), then also digits and the hyphen. Said by what of
ASCII is left out: ranges up to U+10FFFF take milliseconds to compile, four times over."""
QUOTED: Final = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
_STEP: Final = re.compile(rf"""\.({MEMBER})|\[(0|-?[1-9][0-9]{{0,8}})\]|\['([^'\\]*)'\]|\["([^"\\]*)"\]""")
_MANY: Final = re.compile(r"\.\.|[*?:,]")
"""What only a query that can select several nodes has outside quotes (RFC 9535 section 2.3.5.1)."""
_PATTERNS: Final = re.compile(r"\b(?:match|search)\s*\(")


def plain(text: str) -> Path | None:
    """The steps of a query that only names members and indexes, else None. Wider than RFC 9535 by the hyphen."""
    steps: list[str | int] = []
    at = 1
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            return None
        member, index, single, double = found.groups()
        steps.append(int(index) if index else next(name for name in (member, single, double) if name is not None))
        at = found.end()
    return tuple(steps)


def select(value: Value, path: Sequence[str | int]) -> Value:
    """The one node a singular query can select (RFC 9535 section 2.3): a name is no index, an index may count back."""
    for step in path:
        if isinstance(step, str) and isinstance(value, Mapping):
            value = value.get(step, MISSING)
        elif isinstance(step, int) and isinstance(value, (list, tuple)) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return MISSING
    return value


def is_singular(text: str) -> bool:
    """Whether the query can select one node at most, for its form."""
    return not _MANY.search(QUOTED.sub("", text))


def is_rfc9535(text: str) -> bool:
    """Whether the text is a query."""
    path = plain(text) if text.startswith("$") else None
    if path is not None and "-" not in text and text.isprintable() and text.isascii():
        return True
    return _compiled(text) is not None


@lru_cache(maxsize=256)
def _compiled(text: str) -> JSONPathQuery | None:
    """The library's query, or None when the text is not RFC 9535."""
    from jsonpath_rfc9535 import JSONPathError, compile  # imported here: slow, and most conditions never need it

    try:
        return compile(text)
    except (JSONPathError, RecursionError, ValueError):
        return None


def wrong_with(text: str) -> tuple[str, int]:
    """Why a text is no query, and at which character (from 0) that shows; two nothings where it is one."""
    from jsonpath_rfc9535 import JSONPathError, compile

    try:
        compile(text)
    except JSONPathError as error:
        at = error.token.index if error.token is not None else 0
        return str(error.args[0]) if error.args else "it is no query", min(at, len(text))
    except (RecursionError, ValueError):
        return "it is nested too deeply, or a number in it is too large", 0
    return "", 0


def locate(text: str, value: object, ask: Ask) -> list[Path]:
    """Where the query's nodes are. Raises Undecided when that takes too much, and what ``ask`` raises."""
    if _PATTERNS.search(QUOTED.sub("''", text)):
        return _asked(text, value, ask)
    query = _compiled(text)
    if query is None:
        raise Undecided(f"{clip(text, 80)} is no RFC 9535 query")
    return _run(query, value)


def _run(query: JSONPathQuery, value: object) -> list[Path]:
    from jsonpath_rfc9535 import JSONPathError

    try:
        return [tuple(node.location) for node in query.find(_metered(value, _Meter()))]
    except (JSONPathError, RecursionError):
        raise Undecided("the value is nested too deeply to be searched") from None


def _asked(text: str, value: object, ask: Ask) -> list[Path]:
    try:
        subject = json.dumps(redact(value), ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise Undecided("the value is nested too deeply to be searched") from None
    if len(subject) > LONGEST_SUBJECT:
        raise Undecided(f"the value has more than {LONGEST_SUBJECT} characters, too many to match patterns in")
    answer = ask(Question(language="jsonpath", want="nodes", expression=text, subject=subject))
    if answer.problem or not isinstance(answer.value, list):
        raise Undecided(answer.problem or "the answer cannot be read")
    return [
        tuple(step for step in where if isinstance(step, (str, int)))
        for where in answer.value
        if isinstance(where, list)
    ]


def answer_jsonpath(question: Question) -> Answer:
    """Answer a question in the language ``jsonpath``, where patterns cannot hold anybody up."""
    query = _compiled(question.expression)
    if query is None:
        return Answer(problem="it is no RFC 9535 query")
    try:
        return Answer(value=[list(where) for where in _run(query, json.loads(question.subject))])
    except Undecided as undecided:
        return Answer(problem=undecided.why)


class _Meter:
    """Counts what a query visits."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = BUDGET

    def spend(self, steps: int) -> None:
        self.left -= steps + 1
        if self.left < 0:
            raise Undecided(f"searching the value takes more than {BUDGET} steps")


class _Object(dict[str, Any]):
    """A JSON object that counts who looks at it."""

    __slots__ = ("meter",)

    meter: _Meter

    def items(self) -> Any:
        self.meter.spend(len(self))
        return super().items()

    def __getitem__(self, name: str) -> Any:
        self.meter.spend(1)
        return super().__getitem__(name)

    def __eq__(self, other: object) -> bool:
        self.meter.spend(len(self))
        return super().__eq__(other)

    __hash__ = None  # as of every dict


class _List(list[Any]):
    """A JSON array that counts who looks at it."""

    __slots__ = ("meter",)

    meter: _Meter

    def __iter__(self) -> Iterator[Any]:
        self.meter.spend(len(self))
        return super().__iter__()

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        found = super().__getitem__(index)
        self.meter.spend(len(found) if isinstance(index, slice) else 1)
        return found

    def __eq__(self, other: object) -> bool:
        self.meter.spend(len(self))
        return super().__eq__(other)

    __hash__ = None  # as of every list


def _metered(value: object, meter: _Meter) -> Any:
    """The value in counting containers, secrets shown by name. Making them counts too."""
    if isinstance(value, Mapping):
        meter.spend(len(value))
        made = _Object((name, _metered(item, meter)) for name, item in value.items())
        made.meter = meter
        return made
    if isinstance(value, (list, tuple)):
        meter.spend(len(value))
        listed = _List(_metered(item, meter) for item in value)
        listed.meter = meter
        return listed
    return redact(value)
