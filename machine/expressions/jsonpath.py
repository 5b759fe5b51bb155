"""A ``jsonpath`` condition -> the reading chosen for it; and that reading, a value and a context -> a verdict.

Four readings, chosen once when the document is compiled and stored with the plan:

``rfc9535``        a query as RFC 9535 has it: passes when it selects at least one node;
``object-filter``  such a query, ``$[?...]``, in a 1.0 document: about the object itself where that has the first
                   member the filter names, else as RFC 9535 has it (tolerance C2);
``comparison``     operators between queries, in a 1.0 document: a condition over the queries' values (tolerance C1);
``invalid``        anything else in a 1.1 document, where such text always fails (1.1, "Criterion Object").

Plain member paths are walked here; the JSONPath library is imported only for queries that need it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from ..errors import DocumentError, Place
from ..values import MISSING, Missing, Value, redact
from .evaluate import Context, point
from .grammar import Expression, is_expression, refusal
from .simple import (
    TOO_LONG,
    Condition,
    Constant,
    Reading,
    Truth,
    judge,
    parse_with,
    read_operand,
    read_string,
    run_end,
)
from .verdict import Verdict, clip, show

if TYPE_CHECKING:
    from jsonpath_rfc9535 import JSONPathQuery

__all__ = ["JsonPathCondition", "JsonPathReading", "Pointed", "Query", "compile_jsonpath", "restore_jsonpath"]

JsonPathReading: TypeAlias = Literal["rfc9535", "object-filter", "comparison", "invalid"]
_Path: TypeAlias = tuple[str | int, ...]

_MEMBER: Final = r"[^\x00-@\[-^`{-\x7f][^\x00-,./:-@\[-^`{-\x7f]*"
"""A letter, ``_`` or anything beyond ASCII (RFC 9535 section 2.5.1.1), then also digits and the hyphen. Said by what of
ASCII is left out: ranges up to U+10FFFF take milliseconds to compile, four times over."""
_STEP: Final = re.compile(rf"""\.({_MEMBER})|\[(0|-?[1-9][0-9]{{0,8}})\]|\['([^'\\]*)'\]|\["([^"\\]*)"\]""")
_NAMES: Final = re.compile(rf"\.\.?(?:{_MEMBER}|\*)?")
_LENGTH: Final = re.compile(r"\.(?:length|size)\Z")
_QUOTED: Final = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
_FIRST_MEMBER: Final = re.compile(rf"""@\s*(?:\.\s*({_MEMBER})|\[\s*'([^'\\]*)'\s*\]|\[\s*"([^"\\]*)"\s*\])""")
_MANY: Final = re.compile(r"\.\.|[*?:,]")
"""What only a query that can select several nodes has outside quotes (RFC 9535 section 2.3.5.1)."""
_COUNT: Final = re.compile(rf"\bcount\(\s*@\.({_MEMBER})\s*\)")


def _plain(text: str) -> _Path | None:
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


def _select(value: Value, path: _Path) -> Value:
    """The one node a singular query can select (RFC 9535 section 2.3): a name is no index, an index may count back."""
    for step in path:
        if isinstance(step, str) and isinstance(value, Mapping):
            value = value.get(step, MISSING)
        elif isinstance(step, int) and isinstance(value, (list, tuple)) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return MISSING
    return value


@lru_cache(maxsize=256)
def _compiled(text: str) -> JSONPathQuery | None:
    """The library's query, or None when the text is not RFC 9535."""
    from jsonpath_rfc9535 import JSONPathError, compile  # imported here: slow, and most conditions never need it

    try:
        return compile(text)
    except (JSONPathError, RecursionError, ValueError):
        return None


def _nodes(text: str, value: object) -> list[_Path]:
    """Where the query's nodes are. Queries see secrets as their names only."""
    query = _compiled(text)
    return [] if query is None else [tuple(node.location) for node in query.find(redact(value))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A JSONPath query as an operand. One that can select one node only is that node's value, others are lists."""

    text: str
    """As written, with a trailing ``.length`` or ``.size``."""
    query: str
    """Without it."""
    path: _Path | None
    """The steps when the query is plain."""
    singular: bool
    length: bool = False

    def __str__(self) -> str:
        return self.text

    def read(self, context: Context, root: Value) -> Value:
        value = self._value(root)
        if not self.length:
            return value
        if isinstance(value, Mapping):
            return value.get(self.text.rpartition(".")[2], MISSING)
        if value is None or isinstance(value, Missing):
            return 0
        return len(value) if isinstance(value, (list, tuple, str)) else MISSING

    def _value(self, root: Value) -> Value:
        if self.path is not None:
            return _select(root, self.path)
        found = [_select(root, where) for where in _found(self.query, root)]
        if self.singular:
            return found[0] if found else MISSING
        return cast("Value", found)

    def holds(self, value: Value) -> bool:
        """A query standing alone asks whether something is there: 0 and the empty text are."""
        if not self.singular or self.length:
            return bool(value)
        return not (value is None or value is False or isinstance(value, Missing))

    def expressions(self) -> tuple[Expression, ...]:
        return ()


def _found(query: str, root: Value) -> list[_Path]:
    from jsonpath_rfc9535 import JSONPathError

    try:
        return _nodes(query, root)
    except JSONPathError:
        # The library's own depth bound, said in the one way every judgement here understands.
        raise RecursionError from None


@dataclass(frozen=True, slots=True)
class Pointed:
    """``#/a/b``: a JSON Pointer into the criterion's context, as an operand."""

    text: str
    tokens: tuple[str, ...]

    def __str__(self) -> str:
        return self.text

    def read(self, context: Context, root: Value) -> Value:
        return point(root, self.tokens)

    def holds(self, value: Value) -> bool:
        return not (value is None or value is False or isinstance(value, Missing))

    def expressions(self) -> tuple[Expression, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonPathCondition:
    """A compiled condition; which fields matter is said by ``reading``."""

    text: str
    reading: JsonPathReading
    condition: Condition | None = None
    """The tree, for ``comparison``."""
    tolerances: tuple[str, ...] = field(default=(), compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What a reader of the document should be told; nothing depends on it."""

    def test(self, root: Value, context: Context) -> Verdict:
        """Judge the value the criterion's context has. Never raises."""
        short = clip(" ".join(self.text.split()), 160)
        if self.reading == "invalid":
            return Verdict(truth=False, why=f"{short}: is no RFC 9535 query, so it never passes")
        if self.condition is not None:
            return judge(self.condition, context, root)
        from_path = _plain(self.text)
        if from_path is not None:
            value = _select(root, from_path)
            selected = "nothing" if isinstance(value, Missing) else f"one node: {show(value)}"
            return Verdict(truth=not isinstance(value, Missing), why=f"{short}: selected {selected}")
        return self._query(root, short)

    def _query(self, root: Value, short: str) -> Verdict:
        from jsonpath_rfc9535 import JSONPathError

        try:
            if self.reading == "object-filter" and isinstance(root, Mapping) and _first_member(self.text) in root:
                # The library can only filter children, so the object becomes the one child of a list.
                found = bool(_nodes(_with_counts(self.text, root), [root]))
                return Verdict(truth=found, why=f"{short}: {'passed' if found else 'failed'} for {show(root)} itself")
            count = len(_nodes(self.text, root))
        except (JSONPathError, RecursionError):
            return Verdict(truth=False, why=f"{short}: the value is nested too deeply to be searched")
        nodes = "1 node" if count == 1 else f"{count} nodes"
        return Verdict(truth=count > 0, why=f"{short}: selected {nodes} in {show(root)}")


def compile_jsonpath(text: str, *, minor: str, place: Place) -> JsonPathCondition:
    """Choose the reading of a condition in a document of version ``minor`` (``1.0``, or anything later).

    :raises DocumentError: in a 1.0 document, when no reading fits.
    """
    text = text.strip()
    problem: DocumentError | None = None
    condition: Condition | None = None
    try:
        condition = parse_with(text, place, _read)
    except DocumentError as refused:
        if refused.code == TOO_LONG:
            raise
        problem = refused
    # A query has no operator outside its brackets: where our grammar found one, RFC 9535 need not be asked.
    is_query = (condition is None or _alone(condition) is not None) and _is_rfc9535(text)
    if is_query:
        return _query_reading(text, minor, place)
    if minor != "1.0":
        return JsonPathCondition(
            text=text,
            reading="invalid",
            notes=("the condition is no RFC 9535 query: in Arazzo 1.1 it always fails",),
        )
    if condition is None:
        raise problem or refusal(
            "the condition cannot be read", code="AZM-E200", place=place, text=text, at=0, expected="a JSONPath query"
        )
    return _comparison_reading(text, condition)


def restore_jsonpath(text: str, *, reading: JsonPathReading) -> JsonPathCondition:
    """A condition out of a stored plan: parsed again under the stored reading, which is not chosen again."""
    condition = parse_with(text, Place(), _read) if reading == "comparison" else None
    return JsonPathCondition(text=text, reading=reading, condition=condition)


def _comparison_reading(text: str, condition: Condition) -> JsonPathCondition:
    codes = tuple(dict.fromkeys(("C1", *condition.tolerances)))
    return JsonPathCondition(text=text, reading="comparison", condition=condition, tolerances=codes)


def _query_reading(text: str, minor: str, place: Place) -> JsonPathCondition:
    for found in re.finditer(r"\{(\$[^}]*)\}", text):
        if is_expression(found[1]):
            raise DocumentError(
                f"{found[0]} inside a JSONPath query is not compiled yet",
                code="AZM-E201",
                place=place,
                seen=clip(text, 80),
                next="Compare the query's value with the expression instead: $.member == $inputs.name.",
            )
    notes = tuple(
        f"{quoted} is compared as literal text: an expression inside a query needs braces"
        for quoted in _QUOTED.findall(text)
        if is_expression(quoted[1:-1])
    )
    if minor == "1.0" and _first_member(text) is not None:
        return JsonPathCondition(text=text, reading="object-filter", tolerances=("C2",), notes=notes)
    return JsonPathCondition(text=text, reading="rfc9535", notes=notes)


def _alone(condition: Condition) -> Query | None:
    """The query, when the condition is nothing else."""
    root = condition.root
    return root.operand if isinstance(root, Truth) and isinstance(root.operand, Query) else None


def _is_rfc9535(text: str) -> bool:
    path = _plain(text) if text.startswith("$") else None
    if path is not None and "-" not in text and text.isprintable() and text.isascii():
        return True
    return _compiled(text) is not None


def _first_member(text: str) -> str | None:
    """The first member a filter at the root names, when the whole query is that one filter; else None."""
    if not text.startswith("$[?") or _query_end(text, 0) != len(text) or _bracket_end(text, 1) != len(text):
        return None
    if "$" in _QUOTED.sub("", text[1:]):
        return None  # it also speaks of the root, which would become another value
    found = _FIRST_MEMBER.search(text)
    return next((name for name in found.groups() if name is not None), None) if found else None


def _with_counts(text: str, value: Mapping[str, object]) -> str:
    """Write the length of a list for ``count(@.list)``: read about the object, its author means the elements."""

    def size(found: re.Match[str]) -> str:
        member = value.get(found[1])
        return str(len(member)) if isinstance(member, (list, tuple)) else found[0]

    pieces, at = [], 0
    for quoted in _QUOTED.finditer(text):
        pieces += [_COUNT.sub(size, text[at : quoted.start()]), quoted[0]]
        at = quoted.end()
    return "".join([*pieces, _COUNT.sub(size, text[at:])])


def _bracket_end(text: str, at: int) -> int:
    """The position after the bracket that closes the one at ``at``; the length of the text and one when none does."""
    depth = 0
    while at < len(text):
        quoted = _QUOTED.match(text, at)
        if quoted:
            at = quoted.end()
            continue
        depth += {"[": 1, "]": -1}.get(text[at], 0)
        at += 1
        if depth == 0:
            return at
    return len(text) + 1


def _query_end(text: str, at: int) -> int:
    at += 1
    while at < len(text):
        if text[at] == "[":
            at = _bracket_end(text, at)
        elif text[at] == ".":
            found = _NAMES.match(text, at)
            at = found.end() if found else at + 1
        else:
            break
    return at


def _read(text: str, at: int, place: Place) -> Reading:
    """Read one operand of a comparison: a query, a pointer, or what a simple condition may hold."""
    if text[at] in "'\"":
        value, end = read_string(text, at, place, backslash=True)
        return Constant(value), end, ()
    if text.startswith("#", at):
        end = run_end(text, at)
        pointer = text[at + 1 : end]
        if (pointer and not pointer.startswith("/")) or re.search(r"~(?![01])", pointer):
            raise refusal(
                "the JSON Pointer is not valid", code="AZM-E202", place=place, text=text, at=at, expected="#/member"
            )
        tokens = tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])
        return Pointed(text[at:end], tokens), end, ()
    if text[at] != "$" or re.match(r"\$[A-Za-z]", text[at:]):
        return read_operand(text, at, place)
    end = _query_end(text, at)
    if end > len(text):
        raise refusal("a bracket is not closed", code="AZM-E203", place=place, text=text, at=at, expected="']'")
    return _query(text[at:end], at, text, place), end, ()


def _query(written: str, at: int, text: str, place: Place) -> Query:
    path = _plain(written)
    length = _LENGTH.search(written) is not None
    query = _LENGTH.sub("", written)
    if path is not None:
        return Query(text=written, query=query, path=path[:-1] if length else path, singular=True, length=length)
    if _compiled(query) is None:
        raise refusal(
            "the JSONPath query cannot be read", code="AZM-E204", place=place, text=text, at=at, expected="RFC 9535"
        )
    return Query(text=written, query=query, path=None, singular=not _MANY.search(_QUOTED.sub("", query)), length=length)
