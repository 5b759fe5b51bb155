"""An ``xpath`` condition or selector -> a query whose embedded expressions are variables; and the Question it asks.

Versions 2.0 to 3.1 are parsed by ``elementpath``, 1.0 by ``lxml`` (the extra ``xml``); 3.1 where none is named. Nothing
is evaluated here, not even a constant part of the query: that has no bound, so it is asked for. The value of a
``{$...}`` is a variable of the query, so it can never be part of its syntax; inside quotes it is joined to the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

from ..errors import DocumentError, Place
from ..values import Json, SecretRef, SecretText, Value
from .embedded import Part, as_text, expressions, split, values
from .evaluate import Context
from .grammar import Expression
from .question import LONGEST_SUBJECT, Answer, Question, Undecided, Variable
from .verdict import Verdict, clip, number, show

__all__ = [
    "VERSIONS",
    "XPath",
    "XPathCondition",
    "compile_xpath",
    "compile_xpath_condition",
    "parse",
    "parser_of",
    "restore_xpath",
]

VERSIONS: Final = ("xpath-31", "xpath-30", "xpath-20", "xpath-10")
"""The default first."""

_LONGEST: Final = 4096
_QUOTE: Final = re.compile(r"""(?s)"(?:[^"]|"")*"|'(?:[^']|'')*'""")
_FUNCTIONS: Final = "{http://www.w3.org/2005/xpath-functions}"
_OUTWARD: Final = frozenset(
    {
        *("available-environment-variables", "collection", "doc", "doc-available", "environment-variable", "json-doc"),
        *("load-xquery-module", "parse-xml", "parse-xml-fragment", "transform", "unparsed-text"),
        *("unparsed-text-available", "unparsed-text-lines", "uri-collection"),
    }
)
"""Functions that read files, addresses or the environment, tell whether they are there, or hand text to an XML parser
that is not ours (XPath and XQuery Functions and Operators 3.1, sections 14.6, 14.7, 14.8 and 2.5)."""
_UNKNOWN: Final = re.compile(r"unknown function '?(?:[\w.-]+:|\{[^}]*\})?([\w-]+)")
_SCALARS: Final = (bool, int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class XPath:
    """A query. ``query`` is its text with a variable ``$azm0``, ``$azm1`` ... for each of ``parts``."""

    text: str
    version: str
    query: str
    given: tuple[Expression, ...] = ()
    quoted: tuple[bool, ...] = ()
    """For each expression, whether it stood between quotes and is text therefore."""

    def ask(
        self, want: Literal["truth", "value", "text"], root: Value, context: Context, replacement: str = ""
    ) -> Answer:
        """Ask it of an XML text. Never raises over a value: what cannot be asked is answered with a problem."""
        if isinstance(root, (SecretRef, SecretText)):
            return Answer(problem=f"{show(root)} holds a secret, which nothing may look into")
        if not isinstance(root, str):
            return Answer(problem=f"{show(root)} is no XML text")
        if len(root) > LONGEST_SUBJECT:
            return Answer(problem=f"the XML has more than {LONGEST_SUBJECT} characters")
        try:
            found = values(self.given, context)
            variables = tuple(map(_variable, range(len(found)), found, self.quoted))
        except Undecided as unfit:
            return Answer(problem=unfit.why)
        except RecursionError:
            return Answer(problem="a value is nested too deeply")
        question = Question(
            language="xpath",
            want=want,
            expression=self.query,
            subject=root,
            version=self.version,
            variables=variables,
            replacement=replacement,
        )
        return context.ask(question)


def _variable(index: int, value: Json, quoted: bool) -> Variable:
    """A number keeps its kind, and a text that spells one becomes it: in the condition's own text it would be one."""
    name = f"azm{index}"
    if quoted:
        return name, as_text(value)
    if value is None:
        raise Undecided("an embedded expression was null")
    if isinstance(value, _SCALARS):
        return name, value
    text = as_text(value)
    spelt = number(text)
    return name, text if spelt is None else spelt


@dataclass(frozen=True, slots=True, kw_only=True)
class XPathCondition:
    """A condition; ``xpath`` is None in a 1.1 document for what is no XPath: it always fails ("XPath Conditions")."""

    text: str
    xpath: XPath | None
    version: str = ""
    tolerances: tuple[str, ...] = field(default=(), compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def reading(self) -> str:
        return "xpath" if self.xpath else "invalid"

    def expressions(self) -> tuple[Expression, ...]:
        return self.xpath.given if self.xpath else ()

    def test(self, root: Value, context: Context) -> Verdict:
        """Judge the XML text the criterion's context has. Never raises over a value."""
        short = clip(" ".join(self.text.split()), 160)
        if self.xpath is None:
            return Verdict(truth=False, why=f"{short}: is no XPath, so it never passes")
        answer = self.xpath.ask("truth", root, context)
        if answer.problem:
            return Verdict(truth=False, why=f"{short}: cannot be decided: {answer.problem}")
        return Verdict(truth=bool(answer.value), why=f"{short}: was {show(bool(answer.value))} of {_shown(root)}")


def _shown(root: Value) -> str:
    return show(root, 40) if isinstance(root, str) else show(root)


def compile_xpath(text: str, version: str, *, minor: str, place: Place) -> XPath:
    """Read a query.

    :raises DocumentError: AZM-E310 for what is no XPath of that version, AZM-E311 where the extra ``xml`` is missing,
        AZM-E312 for a version nobody knows, AZM-E313 for one that is too long, AZM-E314 for one that reads files,
        addresses or the environment.
    """
    version = version or VERSIONS[0]
    if version not in VERSIONS:
        raise DocumentError(
            f"XPath version '{clip(version, 40)}' is not known",
            code="AZM-E312",
            place=place,
            next=f"Use {', '.join(VERSIONS)}, or leave it out.",
        )
    if len(text) > _LONGEST:
        raise DocumentError(f"the XPath has more than {_LONGEST} characters", code="AZM-E313", place=place, next="")
    made = _with_variables(text, version, place, minor)
    try:
        problem = parse(made.query, version)
    except ImportError:
        raise DocumentError(
            "XPath needs the extra xml, which is not installed",
            code="AZM-E311",
            place=place,
            seen=clip(text, 80),
            next="pip install 'arazzo-machine[xml]'",
        ) from None
    if (named := _UNKNOWN.search(problem)) and named[1] in _OUTWARD:
        raise DocumentError(
            f"{named[1]}() reads what lies outside the XML it is asked of",
            code="AZM-E314",
            place=place,
            seen=clip(text, 80),
            next="Leave it out: a condition sees the answer and what is embedded as {$...}.",
        )
    if problem:
        raise DocumentError(
            f"this is no XPath {version.removeprefix('xpath-')[0]}.{version[-1]}: {problem}",
            code="AZM-E310",
            place=place,
            seen=clip(text, 80),
            next="Write one, for example /root/item[price > 10].",
        )
    return made


def compile_xpath_condition(text: str, version: str, *, minor: str, place: Place) -> XPathCondition:
    """As :func:`compile_xpath`; in a 1.1 document what is no XPath is a condition that always fails."""
    try:
        return XPathCondition(text=text, version=version, xpath=compile_xpath(text, version, minor=minor, place=place))
    except DocumentError as problem:
        if minor == "1.0" or problem.code != "AZM-E310":
            raise
        note = f"{problem.message}: in Arazzo 1.1 it always fails"
        return XPathCondition(text=text, version=version, xpath=None, notes=(note,))


def restore_xpath(text: str, version: str, *, reading: str) -> XPathCondition:
    """A condition out of a stored plan, under the stored reading; its query is not parsed again."""
    xpath = _with_variables(text, version or VERSIONS[0], Place(), "1.0") if reading == "xpath" else None
    return XPathCondition(text=text, version=version, xpath=xpath)


def _with_variables(text: str, version: str, place: Place, minor: str) -> XPath:
    query, at = "", 0
    given: list[Expression] = []
    quoted: list[bool] = []

    def add(parts: tuple[Part, ...], *, inside: bool) -> list[str]:
        written = []
        for part in parts:
            if isinstance(part, Expression):
                written.append(f"$azm{len(given)}")
                given.append(part)
                quoted.append(inside)
            else:
                written.append(part)
        return written

    for found in _QUOTE.finditer(text):
        query += "".join(add(split(text[at : found.start()], place, minor), inside=False))
        mark, parts = found[0][0], split(found[0][1:-1], place, minor)
        if expressions(parts):
            pieces = [
                piece if piece.startswith("$azm") and isinstance(part, Expression) else f"{mark}{piece}{mark}"
                for part, piece in zip(parts, add(parts, inside=True), strict=True)
            ]
            query += f"concat({', '.join([mark * 2, *pieces])})"
        else:
            query += found[0]
        at = found.end()
    query += "".join(add(split(text[at:], place, minor), inside=False))
    return XPath(text=text, version=version, query=query, given=tuple(given), quoted=tuple(quoted))


def parse(query: str, version: str) -> str:
    """Why a text is no XPath of that version; empty when it is one. Evaluates nothing.

    :raises ImportError: when the extra ``xml`` is not installed.
    """
    from elementpath import ElementPathError
    from elementpath.tdop import Parser
    from lxml import etree

    try:
        if version == "xpath-10":
            etree.XPath(query)
        else:
            # The method of the library's own class would evaluate what is constant, for as long as that takes.
            tree = Parser.parse(cast("Any", parser_of(version)), query)
            # A function that is only named, as in doc#1, is looked for when it is called.
            named = (
                str(part.value).rpartition(":")[2].rpartition("}")[2] for one in tree.iter("#") for part in one[:1]
            )
            return next((f"unknown function {name}" for name in named if name in _OUTWARD), "")
    except etree.XPathError as error:
        return clip(str(error), 120)
    except ElementPathError as error:
        return "" if error.code == "err:XPST0081" else clip(str(error), 160)  # prefixes are known only with the XML
    except RecursionError:
        return "it is nested too deeply"
    return ""


def parser_of(version: str, namespaces: dict[str, str] | None = None) -> Any:
    """The library's parser of a version from 2.0 on, without the functions that look at anything but the XML."""
    from elementpath.xpath2 import XPath2Parser
    from elementpath.xpath30 import XPath30Parser
    from elementpath.xpath31 import XPath31Parser

    classes = {"xpath-20": XPath2Parser, "xpath-30": XPath30Parser, "xpath-31": XPath31Parser}
    made: Any = classes[version](namespaces=namespaces)
    # The table is all a query can call by name, and all that function-lookup finds while it is evaluated.
    made.symbol_table = {
        name: symbol for name, symbol in made.symbol_table.items() if name.removeprefix(_FUNCTIONS) not in _OUTWARD
    }
    return made
