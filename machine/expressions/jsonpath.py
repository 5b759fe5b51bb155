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

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, TypeAlias, cast

from ..errors import DocumentError, Place
from ..values import MISSING, Json, Missing, Value
from .embedded import Part, as_text, expressions, fill, split, values
from .evaluate import Context, point
from .grammar import Expression, is_expression, refusal
from .query import MEMBER, QUOTED, Path, is_rfc9535, is_singular, locate, plain, select, wrong_with
from .question import Undecided
from .simple import (
    TOO_LONG,
    Condition,
    Reading,
    Truth,
    judge,
    parse_with,
    read_operand,
    read_string,
    run_end,
    string_operand,
)
from .verdict import Verdict, clip, number, show

__all__ = [
    "JsonPathCondition",
    "JsonPathReading",
    "Pointed",
    "Query",
    "compile_jsonpath",
    "compile_query",
    "located",
    "restore_jsonpath",
    "restore_query",
]

JsonPathReading: TypeAlias = Literal["rfc9535", "object-filter", "comparison", "invalid"]

_NAMES: Final = re.compile(rf"\.\.?(?:{MEMBER}|\*)?")
_LENGTH: Final = re.compile(r"\.(?:length|size)\Z")
_FIRST_MEMBER: Final = re.compile(rf"""@\s*(?:\.\s*({MEMBER})|\[\s*'([^'\\]*)'\s*\]|\[\s*"([^"\\]*)"\s*\])""")
_COUNT: Final = re.compile(rf"\bcount\(\s*@\.({MEMBER})\s*\)")
_LAST: Final = re.compile(r"\[\(\s*@\.length\s*-\s*([1-9][0-9]{0,8})\s*\)\]")
"""The one script every dialect before RFC 9535 had: an index from the end."""
_LONGEST: Final = 1 << 16
"""Characters of a query once its values are filled in."""


def _write(before: str, value: Json) -> tuple[str, str]:
    """A value as a literal, or as the characters of the string it stands in: never as syntax of the query.

    A text that spells a number is one, as it would be in the condition's own text; after a dot it names a member.
    """
    text = as_text(value)
    mark = _open_quote(before)
    if mark:
        return before, _quoted(text, mark)[1:-1]
    literal = _quoted(text, '"')
    if before.endswith("."):
        return before if before.endswith("..") else before[:-1], f"[{literal}]"
    return before, literal if isinstance(value, (str, list, dict)) and number(text) is None else text


def _quoted(text: str, mark: str) -> str:
    """A string literal (RFC 9535 section 2.3.1.1)."""
    written = json.dumps(text, ensure_ascii=False)
    return written if mark == '"' else "'" + written[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"


def _open_quote(text: str) -> str:
    """The quotation mark of the string that is open where the text ends, or nothing."""
    rest = QUOTED.sub("", text)
    found = re.search(r"['\"]", rest)
    return found[0] if found else ""


def _samples(parts: Sequence[Part]) -> list[str]:
    """The query with values in it, to see whether it can be one: with texts, and with numbers."""
    count = len(expressions(parts))
    return [fill(parts, [one] * count, _write) for one in ("x", 1)] if count else ["".join(map(str, parts))]


def _readable(parts: Sequence[Part]) -> str:
    """The first sample that is a query; empty when none is."""
    return next((sample for sample in _samples(parts) if is_rfc9535(sample)), "")


def _filled(parts: Sequence[Part], context: Context) -> str:
    """The query with its values. Raises Undecided for a value that cannot stand in one."""
    text = fill(parts, values(parts, context), _write)
    if len(text) > _LONGEST:
        raise Undecided(f"with its values the query has more than {_LONGEST} characters")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A JSONPath query as an operand. One that can select one node only is that node's value, others are lists."""

    text: str
    """As written, with a trailing ``.length`` or ``.size``."""
    parts: tuple[Part, ...]
    """Without it, cut at embedded expressions."""
    path: Path | None
    """The steps when the query is plain."""
    singular: bool
    length: bool = False

    def __str__(self) -> str:
        return self.text

    def read(self, context: Context, root: Value) -> Value:
        value = self._value(root, context)
        if not self.length:
            return value
        if isinstance(value, Mapping):
            return value.get(self.text.rpartition(".")[2], MISSING)
        if value is None or isinstance(value, Missing):
            return 0
        return len(value) if isinstance(value, (list, tuple, str)) else MISSING

    def _value(self, root: Value, context: Context) -> Value:
        if self.path is not None:
            return select(root, self.path)
        found = [select(root, where) for where in locate(_filled(self.parts, context), root, context.ask)]
        if self.singular:
            return found[0] if found else MISSING
        return cast("Value", found)

    def holds(self, value: Value) -> bool:
        """A query standing alone asks whether something is there: 0 and the empty text are."""
        if not self.singular or self.length:
            return bool(value)
        return not (value is None or value is False or isinstance(value, Missing))

    def expressions(self) -> tuple[Expression, ...]:
        return expressions(self.parts)


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
    parts: tuple[Part, ...] = ()
    """The query cut at its embedded expressions, for the readings that are one."""
    declared: bool = False
    """For ``object-filter``: whether the description says that the object has the member named first."""
    tolerances: tuple[str, ...] = field(default=(), compare=False)
    set_aside: tuple[str, ...] = field(default=(), compare=False)
    """The tolerances that another reading than the strict one would have used."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What a reader of the document should be told; nothing depends on it."""

    def expressions(self) -> tuple[Expression, ...]:
        """The expressions embedded in the query; those of a comparison stand in its tree."""
        return expressions(self.parts)

    def test(self, root: Value, context: Context) -> Verdict:
        """Judge the value the criterion's context has. Never raises over a value."""
        short = clip(" ".join(self.text.split()), 160)
        if self.reading == "invalid":
            return Verdict(truth=False, why=f"{short}: is no RFC 9535 query, so it never passes")
        if self.condition is not None:
            return judge(self.condition, context, root)
        from_path = plain(self.text)
        if from_path is not None:
            value = select(root, from_path)
            selected = "nothing" if isinstance(value, Missing) else f"one node: {show(value)}"
            return Verdict(truth=not isinstance(value, Missing), why=f"{short}: selected {selected}")
        try:
            return self._query(root, short, context)
        except Undecided as undecided:
            return Verdict(truth=False, why=f"{short}: cannot be decided: {undecided.why}")
        except RecursionError:
            return Verdict(truth=False, why=f"{short}: cannot be decided: the value is nested too deeply")

    def _query(self, root: Value, short: str, context: Context) -> Verdict:
        text = _filled(self.parts, context)
        if self.reading == "object-filter" and isinstance(root, Mapping) and self._is_about(root, text):
            # The library can only filter children, so the object becomes the one child of a list.
            found = bool(locate(_with_counts(text, root), [root], context.ask))
            return Verdict(truth=found, why=f"{short}: {'passed' if found else 'failed'} for {show(root)} itself")
        count = len(locate(text, root, context.ask))
        nodes = "1 node" if count == 1 else f"{count} nodes"
        return Verdict(truth=count > 0, why=f"{short}: selected {nodes} in {show(root)}")

    def _is_about(self, root: Mapping[str, object], text: str) -> bool:
        return self.declared or _first_member(text) in root


def compile_jsonpath(
    text: str,
    *,
    minor: str,
    place: Place,
    version: str = "",
    strict: bool = False,
    declares: Callable[[str], bool] = lambda _: False,
) -> JsonPathCondition:
    """Choose the reading of a condition in a document of version ``minor`` (``1.0``, or anything later).

    ``strict`` reads every query as RFC 9535 has it. ``declares`` tells of a name whether the description says that the
    context is an object with that member.

    :raises DocumentError: in a 1.0 document, when no reading fits.
    """
    text = _modern(text, version)
    parts = split(text, place, minor)
    problem: DocumentError | None = None
    condition: Condition | None = None
    try:
        condition = parse_with(text, place, partial(_read, minor=minor))
    except DocumentError as refused:
        if refused.code == TOO_LONG:
            raise
        problem = refused
    # A query has no operator outside its brackets: where our grammar found one, RFC 9535 need not be asked.
    sample = _readable(parts) if condition is None or _alone(condition) is not None else ""
    if sample:
        return _query_reading(text, parts, sample, declares if minor == "1.0" else None, strict=strict)
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
    codes = tuple(dict.fromkeys(("C1", *condition.tolerances)))
    return JsonPathCondition(text=text, reading="comparison", condition=condition, tolerances=codes)


def restore_jsonpath(text: str, *, reading: JsonPathReading, declared: bool = False) -> JsonPathCondition:
    """A condition out of a stored plan: parsed again under the stored reading, which is not chosen again."""
    if reading == "comparison":
        condition = parse_with(text, Place(), partial(_read, minor="1.0"))
        return JsonPathCondition(text=text, reading=reading, condition=condition)
    parts = () if reading == "invalid" else split(text, Place(), "1.0")
    return JsonPathCondition(text=text, reading=reading, parts=parts, declared=declared)


def compile_query(text: str, *, minor: str, place: Place, version: str = "") -> Query:
    """A query that selects a value, in a Selector Object or as the target of a replacement.

    :raises DocumentError: AZM-E204 when it is no RFC 9535 query.
    """
    query = _modern(text, version)
    if not query.startswith("$"):
        problem = "a JSONPath query begins with $"
        raise refusal(problem, code="AZM-E204", place=place, text=text, at=0, expected="$, the root of the value")
    return _query(query, 0, text, place, minor, length=False)


def located(query: Query, root: Value, context: Context) -> list[Path]:
    """Where the nodes of a query are. Raises Undecided where that cannot be said."""
    try:
        return locate(_filled(query.parts, context), root, context.ask)
    except RecursionError:
        raise Undecided("the value is nested too deeply to be searched") from None


def restore_query(text: str, *, version: str = "") -> Query:
    """A query out of a stored plan."""
    text = _modern(text, version)
    return _made(text, split(text, Place(), "1.0"), length=False)


def _modern(text: str, version: str) -> str:
    """A query of the draft as RFC 9535 has it: they differ in the script that counts from the end."""
    return _LAST.sub(r"[-\1]", text.strip()) if version.startswith("draft") else text.strip()


def _query_reading(
    text: str, parts: tuple[Part, ...], sample: str, declares: Callable[[str], bool] | None, *, strict: bool
) -> JsonPathCondition:
    """The reading of a query; without ``declares`` a filter is about what is in the value, never about itself."""
    notes = tuple(
        f"{quoted} is compared as literal text: an expression inside a query needs braces"
        for quoted in QUOTED.findall(text)
        if is_expression(quoted[1:-1])
    )
    first = _first_member(sample) if declares is not None else None
    if first is None or declares is None:
        return JsonPathCondition(text=text, reading="rfc9535", parts=parts, notes=notes)
    codes = ("C2", "C3") if _COUNT.search(QUOTED.sub("''", sample)) else ("C2",)
    if strict:
        return JsonPathCondition(text=text, reading="rfc9535", parts=parts, set_aside=codes, notes=notes)
    return JsonPathCondition(
        text=text, reading="object-filter", parts=parts, declared=declares(first), tolerances=codes, notes=notes
    )


def _alone(condition: Condition) -> Query | None:
    """The query, when the condition is nothing else."""
    root = condition.root
    return root.operand if isinstance(root, Truth) and isinstance(root.operand, Query) else None


def _first_member(text: str) -> str | None:
    """The first member a filter at the root names, when the whole query is that one filter; else None."""
    if not text.startswith("$[?") or _query_end(text, 0) != len(text) or _bracket_end(text, 1) != len(text):
        return None
    if "$" in QUOTED.sub("", text[1:]):
        return None  # it also speaks of the root, which would become another value
    found = _FIRST_MEMBER.search(text)
    return next((name for name in found.groups() if name is not None), None) if found else None


def _with_counts(text: str, value: Mapping[str, object]) -> str:
    """Write the length of a list for ``count(@.list)``: read about the object, its author means the elements."""

    def size(found: re.Match[str]) -> str:
        member = value.get(found[1])
        return str(len(member)) if isinstance(member, (list, tuple)) else found[0]

    pieces, at = [], 0
    for quoted in QUOTED.finditer(text):
        pieces += [_COUNT.sub(size, text[at : quoted.start()]), quoted[0]]
        at = quoted.end()
    return "".join([*pieces, _COUNT.sub(size, text[at:])])


def _bracket_end(text: str, at: int) -> int:
    """The position after the bracket that closes the one at ``at``; the length of the text and one when none does."""
    depth = 0
    while at < len(text):
        quoted = QUOTED.match(text, at)
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


def _read(text: str, at: int, place: Place, *, minor: str) -> Reading:
    """Read one operand of a comparison: a query, a pointer, or what a simple condition may hold."""
    if text[at] in "'\"":
        value, end = read_string(text, at, place, backslash=True)
        return string_operand(value, place, minor), end, ()
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
        return read_operand(text, at, place, minor=minor)
    end = _query_end(text, at)
    if end > len(text):
        raise refusal("a bracket is not closed", code="AZM-E203", place=place, text=text, at=at, expected="']'")
    written = text[at:end]
    return _query(written, at, text, place, minor, length=_LENGTH.search(written) is not None), end, ()


def _query(written: str, at: int, text: str, place: Place, minor: str, *, length: bool) -> Query:
    """The query written at a spot of the text; with ``length`` its last name asks for the length."""
    parts = split(_LENGTH.sub("", written) if length else written, place, minor)
    if plain(written) is None and not _readable(parts):
        reason, index = wrong_with(_samples(parts)[0])
        # With values in it the query is longer than what is written, so only its beginning is known.
        spot = at if expressions(parts) else at + index
        raise DocumentError(
            f"the JSONPath query cannot be read at character {spot}: {clip(reason, 120)}",
            code="AZM-E204",
            place=place,
            seen=clip(written, 80),
            next="Write a query of RFC 9535, for example $.items[?@.id == 'x'].",
        )
    return _made(written, parts, length=length)


def _made(written: str, parts: tuple[Part, ...], *, length: bool) -> Query:
    path = plain(written) if not expressions(parts) else None
    if path is not None:
        return Query(text=written, parts=parts, path=path[:-1] if length else path, singular=True, length=length)
    return Query(text=written, parts=parts, path=None, singular=is_singular(_samples(parts)[0]), length=length)
