"""A ``regex`` condition -> a pattern whose reading is decided; and that and a context -> a verdict.

Arazzo names no dialect (ambiguity A35). Authors write ECMA-262, as JSON Schema does, so it is read as that: searched,
not anchored, ASCII classes, ``$`` only at the very end. Patterns are translated for the ``regex`` library, which has a
time limit; whoever evaluates them (``runtime/evaluator.py``) sets it. A value embedded with ``{$...}`` matches itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from ..errors import DocumentError, Place
from ..values import Json, Value, contains_secret, redact
from .embedded import Part, as_text, expressions, fill, split, values
from .evaluate import Context
from .grammar import Expression
from .question import LONGEST_SUBJECT, Question, Undecided
from .verdict import Verdict, clip, show

__all__ = ["RegexCondition", "compile_regex", "restore_regex", "search", "translate", "wrong_with"]

_SLASHED: Final = re.compile(r"/(.+)/([dgimsuvy]*)\Z", re.DOTALL)
_LARGEST: Final = 50_000
"""Places a pattern may grow to once its counted repetitions are written out; the library does write them out."""
_LONGEST: Final = 4096
_COUNT: Final = re.compile(r"\{(\d{1,9})(?:,(\d{0,9}))?\}")
_UNICODE: Final = re.compile(r"\\[pP]\{")
_INLINE_MULTILINE: Final = re.compile(r"\(\?[a-z]*m")
_INSIDE_ITSELF: Final = re.compile(r"\(\?(?:R|[0-9+&]|-[0-9]|P>)")
"""A group that stands for a pattern again. ECMA-262 has none; the library has, and no bound for the memory it takes."""
_ENDS: Final = r"\n\r\u2028\u2029"
_ESCAPES: Final = {"d": "0-9", "w": "A-Za-z0-9_"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegexCondition:
    """A compiled condition. ``parts`` is the pattern without slashes, cut at its embedded expressions."""

    text: str
    parts: tuple[Part, ...]
    flags: str = ""
    valid: bool = True
    """False in a 1.1 document for what is no regular expression: it always fails ("Evaluation Errors")."""
    tolerances: tuple[str, ...] = field(default=(), compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def reading(self) -> str:
        return "regex" if self.valid else "invalid"

    def expressions(self) -> tuple[Expression, ...]:
        return expressions(self.parts)

    def test(self, root: Value, context: Context) -> Verdict:
        """Judge the value the criterion's context has; it is neither absent nor null. Never raises over a value."""
        short = clip(" ".join(self.text.split()), 160)
        if not self.valid:
            return Verdict(truth=False, why=f"{short}: is no regular expression, so it never passes")
        if contains_secret(root):
            return Verdict(truth=False, why=f"{short}: a secret is matched with nothing")
        try:
            subject = as_text(redact(root))
            pattern = fill(self.parts, values(self.parts, context), _quoted)
        except Undecided as unfit:
            return Verdict(truth=False, why=f"{short}: cannot be decided: {unfit.why}")
        except RecursionError:
            return Verdict(truth=False, why=f"{short}: cannot be decided: the value is nested too deeply")
        if len(subject) > LONGEST_SUBJECT:
            why = f"the text has more than {LONGEST_SUBJECT} characters"
            return Verdict(truth=False, why=f"{short}: cannot be decided: {why}")
        question = Question(language="regex", want="truth", expression=pattern, subject=subject, version=self.flags)
        answer = context.ask(question)
        if answer.problem:
            return Verdict(truth=False, why=f"{short}: cannot be decided: {answer.problem}")
        found = "matched" if answer.value else "did not match"
        return Verdict(truth=bool(answer.value), why=f"{short}: {found} {show(root)}")


def _quoted(before: str, value: Json) -> tuple[str, str]:
    """A value as a pattern that matches only itself, or as its characters inside a class. Escapes of codes mean the
    same in both, and the group keeps what stands before it (``\\1``) and behind it (``*``) apart from its signs."""
    text = as_text(value)
    if _in_class(before):
        return before, "".join(map(_escape, text))
    return before, f"(?:{''.join(one if one.isascii() and one.isalnum() else _escape(one) for one in text)})"


def _in_class(text: str) -> bool:
    """Whether a class is open where the text ends."""
    inside, at = False, 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif not inside and text[at] == "[":
            inside = True
            at += len(re.match(r"\[\^?\]?", text[at:])[0]) - 1  # type: ignore[index]  # it matches the bracket at least
            inside = text[at] != "]"
        elif inside and text[at] == "]":
            inside = False
        at += 1
    return inside


def _escape(sign: str) -> str:
    code = ord(sign)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\u{{{code:x}}}"


def compile_regex(text: str, *, minor: str, place: Place) -> RegexCondition:
    """Decide how a pattern is read: ``/pattern/flags`` or the pattern itself.

    :raises DocumentError: AZM-E300 in a 1.0 document for what is no regular expression; in 1.1 such text always fails.
    """
    if len(text) > _LONGEST:
        raise DocumentError(
            f"the pattern has more than {_LONGEST} characters", code="AZM-E301", place=place, next="Shorten it."
        )
    slashed = _SLASHED.match(text) is not None
    parts, flags = _cut(text, place, minor, slashed=slashed)
    sample = fill(parts, ["x"] * len(expressions(parts)), _quoted)
    problem = wrong_with(sample)
    if not problem:
        return RegexCondition(text=text, parts=parts, flags=flags, tolerances=("C15",) if slashed else ())
    if minor == "1.0":
        raise DocumentError(
            f"this is no regular expression: {problem}",
            code="AZM-E300",
            place=place,
            seen=clip(text, 80),
            next="Write it as ECMA-262 has it; a backslash stands before a sign that is meant as itself.",
        )
    notes = (f"the condition is no regular expression ({problem}): in Arazzo 1.1 it always fails",)
    return RegexCondition(text=text, parts=parts, flags=flags, valid=False, notes=notes)


def restore_regex(text: str, *, reading: str, tolerances: tuple[str, ...]) -> RegexCondition:
    """A condition out of a stored plan: cut again under the stored reading, which is not chosen again."""
    parts, flags = _cut(text, Place(), "1.0", slashed="C15" in tolerances)
    return RegexCondition(text=text, parts=parts, flags=flags, valid=reading == "regex")


def _cut(text: str, place: Place, minor: str, *, slashed: bool) -> tuple[tuple[Part, ...], str]:
    """The pattern at its embedded expressions, and its flags."""
    found = _SLASHED.match(text) if slashed else None
    if found is None:
        return split(text, place, minor, escapes=True), ""
    return split(found[1], place, minor, escapes=True), "".join(flag for flag in "ims" if flag in found[2])


def wrong_with(pattern: str) -> str:
    """Why a pattern cannot be used, as a sentence; empty when it can."""
    import regex  # here: most workflows have no pattern

    try:
        regex.compile(*translate(pattern, ""))
    except (regex.error, ValueError, OverflowError) as error:
        return clip(str(error), 120)
    except RecursionError:
        return "it is nested too deeply"
    return ""


def search(pattern: str, flags: str, subject: str, seconds: float) -> bool:
    """Whether the pattern matches somewhere. Raises TimeoutError after so many seconds, ValueError for a bad one."""
    import regex

    try:
        compiled = regex.compile(*translate(pattern, flags))
    except (regex.error, RecursionError, OverflowError) as error:
        raise ValueError(clip(str(error), 120)) from None
    return compiled.search(subject, timeout=seconds) is not None


def translate(pattern: str, flags: str) -> tuple[str, int]:
    """An ECMA-262 pattern and its flags as the ``regex`` library takes them.

    Raises ValueError where its counted repetitions would make it too large.
    """
    import regex

    unicode = _UNICODE.search(pattern) is not None
    multiline = "m" in flags or _INLINE_MULTILINE.search(pattern) is not None
    bits = (0 if unicode else regex.ASCII) | (regex.MULTILINE if "m" in flags else 0)
    bits |= (regex.IGNORECASE if "i" in flags else 0) | (regex.DOTALL if "s" in flags else 0)
    return _Translation(pattern, unicode=unicode, multiline=multiline, dots="s" in flags).write(), bits


class _Translation:
    """One walk over a pattern: writes what differs between ECMA-262 and the library, and adds up its size."""

    def __init__(self, pattern: str, *, unicode: bool, multiline: bool, dots: bool) -> None:
        self.pattern = pattern
        self.unicode = unicode
        self.end = rf"(?=[{_ENDS}]|\Z)" if multiline else r"\Z"
        self.dot = "." if dots or "(?s" in pattern else f"[^{_ENDS}]"
        self.at = 0
        self.last = 0
        """The size of the atom just read."""
        self.sizes = [0]
        """Of what each open group holds so far."""

    def write(self) -> str:
        pieces: list[str] = []
        while self.at < len(self.pattern):
            sign = self.pattern[self.at]
            if sign == "[":
                pieces.append(self.characters())
            elif sign == "\\":
                pieces.append(self.escape(inside=False))
            elif sign == "{":
                pieces.append(self.repetition())
            else:
                self.at += 1
                pieces.append(self.plain(sign))
            if sum(self.sizes) > _LARGEST:
                raise ValueError("its counted repetitions make it too large")
        return "".join(pieces)

    def plain(self, sign: str) -> str:
        if sign == "(":
            if _INSIDE_ITSELF.match(self.pattern, self.at - 1):
                raise ValueError("it stands inside itself")
            self.sizes.append(1)
        elif sign == ")" and len(self.sizes) > 1:
            self.add(self.sizes.pop())
        elif sign not in "*+?|)":
            self.add(1)
        return self.end if sign == "$" else self.dot if sign == "." else sign

    def add(self, size: int) -> None:
        self.last = size
        self.sizes[-1] += size

    def repetition(self) -> str:
        """A brace that is no count is itself (ECMA-262, Annex B), and must not become fuzzy matching."""
        found = _COUNT.match(self.pattern, self.at)
        if found is None:
            self.at += 1
            self.add(1)
            return r"\{"
        self.at = found.end()
        self.sizes[-1] += self.last * max(int(found[1]) - 1, 0)
        return found[0]

    def escape(self, *, inside: bool) -> str:
        """What follows a backslash; ``inside`` a class."""
        rest = self.pattern[self.at + 1 : self.at + 12]
        self.at += 2
        if not inside:
            self.add(1)
        if rest.startswith("c") and rest[1:2].isalpha() and rest[1:2].isascii():
            self.at += 1
            return f"\\x{ord(rest[1]) % 32:02x}"
        code = re.match(r"u\{([0-9A-Fa-f]{1,6})\}", rest)
        if code and int(code[1], 16) <= 0x10FFFF:
            self.at += code.end() - 1
            return f"\\U{int(code[1], 16):08x}"
        if rest[:1] in ("p", "P") and rest[1:2] == "{":
            close = self.pattern.find("}", self.at)
            name = self.pattern[self.at : close + 1] if close > 0 else ""
            self.at += len(name)
            return f"\\{rest[0]}{name}"
        if rest.startswith("k<") and not inside:
            close = self.pattern.find(">", self.at)
            name = self.pattern[self.at + 1 : close] if close > 0 else ""
            self.at += len(name) + 2 if name else 0
            return f"(?P={name})" if name else r"\k"
        if self.unicode and rest[:1] in _ESCAPES:
            return _ESCAPES[rest[0]] if inside else f"[{_ESCAPES[rest[0]]}]"
        if self.unicode and rest[:1].lower() in _ESCAPES and not inside:
            return f"[^{_ESCAPES[rest[0].lower()]}]"
        return f"\\{rest[:1]}"

    def characters(self) -> str:
        """A class. ``[]`` matches nothing and ``[^]`` anything, and a bracket inside needs no escape."""
        start = self.at
        self.at += 2 if self.pattern.startswith("[^", start) else 1
        pieces = [self.pattern[start : self.at]]
        self.add(1)
        if self.pattern.startswith("]", self.at):
            self.at += 1
            return r"[\s\S]" if pieces[0] == "[^" else "(?!)"
        while self.at < len(self.pattern):
            sign = self.pattern[self.at]
            if sign == "\\":
                pieces.append(self.escape(inside=True))
                continue
            self.at += 1
            pieces.append(f"\\{sign}" if sign in "[&~|" else sign)
            if sign == "]":
                break
        return "".join(pieces)
