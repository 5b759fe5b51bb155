"""Text of a runtime expression -> a frozen :class:`Expression` (Arazzo "Runtime Expressions", both 1.0 and 1.1).

Only the form is decided here. Whether a name is declared, and what it holds, is another file's matter: nothing in
this file knows a value. Forms that real documents use and the grammar does not have are accepted where they have one
sensible meaning; the expression then carries the tolerance's code, so that a compiler can report or refuse it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Final

from ..errors import DocumentError, Place

__all__ = [
    "TOLERANCES",
    "Expression",
    "here",
    "is_expression",
    "misspelt_roots",
    "parse_expression",
    "refusal",
    "split_path",
]

TOLERANCES: Final[Mapping[str, str]] = {
    "C1": "operators between JSONPath queries are no RFC 9535 query; read as a condition over the queries' values",
    "C2": "a filter at the root of an object is read as being about the object, when it has the member named first",
    "C3": "count() of one member is 0 or 1; read about an object it is the length of the list (length() says so)",
    "C4": "a reference inside text has no braces; read as if it had them, because the name is declared",
    "C5": "the reference is not written as the grammar has it; read as the one form it can mean",
    "C10": "a value alone between quotes in JSON text takes the quotes' place where it is an object or a list",
    "C14": "a string stands in double quotes or in none; read as a string in single quotes",
    "C15": "a pattern between slashes is read as the pattern, and what follows as its flags",
}
"""What each tolerance of values and conditions accepts, by its stable code."""

_MAX_TEXT: Final = 4096
"""Characters. Longest-name lookup is quadratic in the number of dots, so hostile text must end somewhere."""

_BARE_ROOTS: Final = frozenset({"url", "method", "statusCode", "self"})
_NAMED_ROOTS: Final = frozenset(
    {"request", "response", "inputs", "outputs", "steps", "workflows", "sourceDescriptions", "components", "message"}
)
_ROOT: Final = re.compile(r"\$([A-Za-z]+)(?=[.#]|\Z)")
_LIKE_ROOT: Final = re.compile(r"(?:\A|(?<=\{))\$([A-Za-z]{1,40})(?=[.#}]|\Z)")
"""Where an expression stands, and what may be a root there."""
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_COMPONENTS: Final = frozenset({"inputs", "parameters", "successActions", "failureActions"})
_STRICT_NAME: Final = re.compile(r"[A-Za-z0-9_\-]+\Z")
_DOTTED_NAME: Final = re.compile(r"[A-Za-z0-9._\-]+")
"""The two identifiers of the 1.1 grammar; in 1.0 a name is any text."""
_INDEX: Final = re.compile(r"\[[0-9]{1,9}\]")
_PATH: Final = re.compile(r"""\.?([^.\[\]]+)|\[([0-9]{1,9})\]|\['([^']*)'\]|\["([^"]*)"\]""")


def here(place: Place, *steps: str | int) -> Place:
    """The place of a value for all that is inside it, where nobody knows better."""
    return place


def refusal(problem: str, *, code: str, place: Place, text: str, at: int, expected: str) -> DocumentError:
    """A DocumentError that says at which character (from 0) what was expected, with the text around it."""
    return DocumentError(
        f"{problem} at character {at}: expected {expected}",
        code=code,
        place=place,
        seen=_excerpt(text, at),
        next=f"Write {expected} there, or remove what stands there.",
    )


def _excerpt(text: str, at: int) -> str:
    start, end = max(0, at - 40), at + 40
    return ("..." if start else "") + text[start:end] + ("..." if end < len(text) else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """One runtime expression. ``str()`` is its canonical text, which parses to an equal value.

    ``root`` is the word after ``$``; ``owner`` the step, workflow or source it speaks of; ``part`` the word that says
    which of its sides (``header query path body inputs outputs``, or a kind of component); ``name`` what is looked up
    there, which may hold dots and ``[0]``; ``pointer`` the unescaped tokens of the JSON Pointer, empty for the whole.
    """

    root: str
    part: str = ""
    owner: str = ""
    name: str = ""
    pointer: tuple[str, ...] = ()
    tolerances: tuple[str, ...] = field(default=(), compare=False)
    """Codes of :data:`TOLERANCES` this text needed."""
    written: str = field(default="", compare=False, repr=False)
    """The text, where it needed one."""

    @property
    def repaired(self) -> str:
        """What was written and how it is read, in words; empty where nothing was repaired (tolerance C5)."""
        if "C5" not in self.tolerances:
            return ""
        if self.part == "body" and self.name:
            tokens = (*(split_path(self.name) or (self.name,)), *self.pointer)
            reading = str(replace(self, name="", pointer=tokens))
        elif not self.name and not self.pointer:
            reading = f"an object of all {self.part or self.root}"
        else:
            reading = str(self)
        return f"{self.written or self}: the reference is not written as the grammar has it; read as {reading}"

    def __str__(self) -> str:
        text = f"${self.root}"
        for word in (self.owner, self.part):
            text += f".{word}" if word else ""
        if self.name:
            text += self.name if self.name.startswith("[") and self.part == "body" else f".{self.name}"
        if self.pointer:
            text += "#" + "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in self.pointer)
        return text


def is_expression(text: str) -> bool:
    """Whether the text is meant as a runtime expression: ``$`` and a known root, then the end, a dot or a ``#``.

    Everything else that begins with a dollar sign (a price, a JSONPath query) is a literal.
    """
    found = _ROOT.match(text)
    return found is not None and found[1] in _BARE_ROOTS | _NAMED_ROOTS


def misspelt_roots(text: str) -> dict[str, str]:
    """What looks like the root of an expression where one may stand, and is none: each with the root it is close to.

    Without a dollar sign, a brace or a root that is near it is a literal like any other text.
    """
    roots = {one.lower(): one for one in _BARE_ROOTS | _NAMED_ROOTS}
    found = {}
    for word in dict.fromkeys(_LIKE_ROOT.findall(text)):
        near = get_close_matches(word.lower(), sorted(roots), n=1, cutoff=0.8) if word not in roots.values() else []
        if near:
            found[word] = roots[near[0]]
    return found


def split_path(path: str) -> tuple[str, ...] | None:
    """``a.b[0]['c d']`` as the tokens ``a b 0 c d``; None when the text is no such path."""
    tokens: list[str] = []
    at = 0
    while at < len(path):
        found = _PATH.match(path, at)
        if found is None or (at and found[1] is not None and path[at] != "."):
            return None
        tokens.append(next(group for group in found.groups() if group is not None))
        at = found.end()
    return tuple(tokens)


def _way_on(token: str) -> tuple[str, ...]:
    """``arr[0].x`` behind a pointer's slash as the tokens ``arr 0 x``: no member is called so, and it can only be
    the way on from there (ambiguities A7, A31). Every other token stays what it is."""
    found = _INDEX.search(token)
    path = split_path(token[found.start() :]) if found else None
    if found is None or not path or any("[" in one for one in path):
        return (token,)
    head = token[: found.start()]
    return (head, *path) if head else path


def parse_expression(text: str, *, place: Place, minor: str = "1.0", navigable: bool = False) -> Expression:
    """Parse one whole runtime expression by the grammar of Arazzo ``minor``; that of 1.0 is the wider one.

    ``navigable`` in a simple condition, whose operators ``.`` and ``[]`` lead into a value (1.1, "Operators"): there
    ``$response.body.a[0]`` needs no tolerance.

    :raises DocumentError: with the character and what was expected there.
    """
    expression = _Reader(text, place, navigable=navigable).read()
    if expression.tolerances:
        expression = replace(expression, written=text)
    if minor != "1.0":
        _check_names(expression, text, place)
    return expression


def _check_names(expression: Expression, text: str, place: Place) -> None:
    """1.1, "Runtime Expressions": what a name may hold, so that braces around an expression are never part of it."""
    brace = re.search(r"[{}]", text)
    if brace:
        problem = "a brace cannot be part of an expression in Arazzo 1.1"
        raise refusal(problem, code="AZM-E003", place=place, text=text, at=brace.start(), expected="no brace")
    if expression.owner and not _STRICT_NAME.match(expression.owner):
        at, expected = text.find(expression.owner), "letters, digits, '-' and '_'"
    elif expression.root in ("inputs", "outputs", "steps", "workflows", "components") and expression.name:
        found = _DOTTED_NAME.match(expression.name)
        end = found.end() if found else 0
        rest = expression.name[end:]
        if not rest or (rest.startswith("[") and split_path(rest) is not None):
            return  # [0] and ['x'] lead into the value
        at, expected = text.find(expression.name) + end, "letters, digits, '.', '-' and '_'"
    else:
        return
    raise refusal(
        "the name is not valid in Arazzo 1.1", code="AZM-E003", place=place, text=text, at=at, expected=expected
    )


class _Reader:
    """One parse: the text, where it stands, and one method for each family of roots."""

    def __init__(self, text: str, place: Place, *, navigable: bool) -> None:
        self.text = text
        self.place = place
        self.navigable = navigable

    def refuse(self, problem: str, at: int, expected: str, code: str = "AZM-E002") -> DocumentError:
        return refusal(problem, code=code, place=self.place, text=self.text, at=at, expected=expected)

    def read(self) -> Expression:
        text = self.text
        if len(text) > _MAX_TEXT:
            raise self.refuse("the expression is too long", _MAX_TEXT, f"at most {_MAX_TEXT} characters", "AZM-E006")
        found = _ROOT.match(text)
        if found is None or not is_expression(text):
            raise self.refuse("no runtime expression", 0, "$ and a known root such as $inputs.name", "AZM-E001")
        root, at = found[1], found.end()
        if root == "message":
            raise DocumentError(
                "$message speaks of a message on a channel, and steps over channels are not compiled",
                code="AZM-E005",
                place=self.place,
                seen=_excerpt(text, 0),
                next="Use steps that call OpenAPI operations.",
            )
        if root in _BARE_ROOTS:
            if at < len(text):
                raise self.refuse(f"${root} stands alone", at, "the end of the expression")
            return Expression(root=root)
        if root in ("request", "response"):
            return self._exchange(root, at)
        if root == "components":
            return self._component(at)
        if root == "sourceDescriptions":
            return self._source(at)
        body, pointer, repaired = self._cut_pointer(at)
        expression = self._named(root, at, body)
        codes = ("C5",) if repaired or expression.tolerances else ()
        return replace(expression, pointer=pointer, tolerances=codes)

    def _cut_pointer(self, start: int) -> tuple[str, tuple[str, ...], bool]:
        """The text between ``start`` and the first ``#``, the pointer after it, and whether it had to be repaired."""
        mark = self.text.find("#", start)
        if mark < 0:
            return self.text[start:], (), False
        pointer = self.text[mark + 1 :]
        if not pointer:
            return self.text[start:mark], (), False
        # RFC 6901 section 3: a pointer is empty or begins with a slash. "#name" can only mean "#/name".
        repaired = not pointer.startswith("/")
        stray = re.search(r"~(?![01])", pointer)
        if stray:
            raise self.refuse("the JSON Pointer is not valid", mark + 1 + stray.start(), "~0 or ~1", "AZM-E004")
        parts = pointer.split("/") if repaired else pointer.split("/")[1:]
        tokens: list[str] = []
        for part in parts:
            way = _way_on(part)
            repaired = repaired or way != (part,)
            tokens += [token.replace("~1", "/").replace("~0", "~") for token in way]
        return self.text[start:mark], tuple(tokens), repaired

    def _exchange(self, root: str, start: int) -> Expression:
        """``$request`` and ``$response``: ``header.T``, ``query.N``, ``path.N`` or ``body``."""
        # "headers" is a word of no grammar, and can only be the part "header".
        found = re.match(r"\.(header|query|path)(?P<plural>(?<=header)s)?\.|\.body(?=[.#\[]|\Z)", self.text[start:])
        if found is None:
            raise self.refuse(f"${root} names no part", start, ".header.NAME, .query.NAME, .path.NAME or .body")
        at = start + found.end()
        if found[1]:
            name = self.text[at:]
            if not name or (found[1] == "header" and not _TOKEN.match(name)):
                raise self.refuse("the name is missing or not valid", at, f"the name of one {found[1]}", "AZM-E003")
            return Expression(root=root, part=found[1], name=name, tolerances=("C5",) if found["plural"] else ())
        path, pointer, repaired = self._cut_pointer(at)
        # Dots after "body" are not in the grammar, but they can only mean members of the body.
        name = path.removeprefix(".")
        if path and not (name and split_path(name)):
            raise self.refuse("the path into the body cannot be read", at, "#/member/0 or .member[0]", "AZM-E003")
        tolerated = repaired or bool(path and not self.navigable)
        return Expression(root=root, part="body", name=name, pointer=pointer, tolerances=("C5",) if tolerated else ())

    def _component(self, start: int) -> Expression:
        kind, dot, name = self.text[start + 1 :].partition(".")
        if kind not in _COMPONENTS or not dot or not name:
            raise self.refuse("no component is named", start, "." + ".KEY or .".join(sorted(_COMPONENTS)) + ".KEY")
        return Expression(root="components", part=kind, name=name)

    def _source(self, start: int) -> Expression:
        # Split once only: an operationId or workflowId after the source's name may hold dots.
        owner, dot, name = self.text[start + 1 :].partition(".")
        if not owner or not dot or not name:
            raise self.refuse("no source description is named", start, ".NAME.url or .NAME.OPERATION")
        return Expression(root="sourceDescriptions", owner=owner, name=name)

    def _named(self, root: str, start: int, body: str) -> Expression:
        """``$inputs``, ``$outputs``, ``$steps`` and ``$workflows``, without their pointer.

        In 1.0 a name may be any text, so nothing but emptiness is refused; declared names decide later.
        """
        if root in ("inputs", "outputs"):
            if not body:
                return Expression(root=root, tolerances=("C5",))
            if body == ".":
                raise self.refuse(f"${root} names nothing", start + 1, "a name", "AZM-E003")
            return Expression(root=root, name=body[1:])
        sides = ("outputs",) if root == "steps" else ("inputs", "outputs")
        spots = [(spot, side) for side in sides if (spot := body.find(f".{side}.", 2)) > 0]
        whole = next((side for side in sides if body[2:].endswith(f".{side}")), "")
        owner, side, name, repaired = "", "", "", False
        if spots:
            spot, side = min(spots)
            owner, name = body[1:spot], body[spot + len(side) + 2 :]
        elif whole:
            return Expression(root=root, owner=body[1 : -len(whole) - 1], part=whole, tolerances=("C5",))
        elif root == "steps":
            owner, _, name = body[1:].partition(".")
            side, repaired = "outputs", True
            if name.split(".")[0].split("[")[0] in ("inputs", "request", "response"):
                raise self.refuse("a step shows only its outputs", start + 1 + len(owner), ".outputs.NAME")
        if not owner or not name:
            expected = ".STEP.outputs.NAME" if root == "steps" else ".WORKFLOW.inputs.NAME or .WORKFLOW.outputs.NAME"
            raise self.refuse(f"${root} names nothing", start, expected)
        return Expression(root=root, owner=owner, part=side, name=name, tolerances=("C5",) if repaired else ())
