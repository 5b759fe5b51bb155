"""A Criterion Object -> a :class:`CompiledCriterion`; and that and a context -> a verdict.

Everything a criterion leaves open is decided here, when the document is compiled, and kept in the compiled value:
a stored plan is read back under the same reading, whatever a later release would choose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, cast, get_args

from ..document.model import Criterion
from ..errors import BugError, DocumentError, Place
from ..values import Json, Missing, SecretRef, SecretText
from .evaluate import Context, evaluate
from .grammar import Expression, is_expression, parse_expression
from .jsonpath import JsonPathCondition, JsonPathReading, compile_jsonpath, restore_jsonpath
from .pattern import RegexCondition, compile_regex, restore_regex
from .simple import Condition, Constant, Truth, compared, operands, parse_condition, test
from .verdict import Verdict, clip, show
from .xpath import XPathCondition, compile_xpath_condition, restore_xpath

__all__ = ["CompiledCriterion", "compile_criterion"]

CriterionType: TypeAlias = Literal["simple", "regex", "jsonpath", "xpath"]
CriterionReading: TypeAlias = Literal["simple", "regex", "xpath"] | JsonPathReading
_Condition: TypeAlias = Condition | RegexCondition | JsonPathCondition | XPathCondition

_JSONPATH_VERSIONS: Final = frozenset({"", "draft-goessner-dispatch-jsonpath-00", "rfc9535"})
_CONTEXT_HINTS: Final = {"regex": "$response.header.Location", "jsonpath": "$response.body", "xpath": "$response.body"}
_ONLY_OPERATOR: Final = re.compile(r"\s*(?:==|!=|<=|>=|<|>|&&|\|\||!)\s*\Z")
_SYNTAX: Final = frozenset(
    f"AZM-E{number}" for number in ("001", "002", "003", "004", "100", "101", "102", "103", "104", "106", "108")
)
"""What is wrong with a text, and not with its length, its depth or what it asks of us."""
_LABEL_NOISE: Final = re.compile(r"""('(?:''|[^'])*'|"[^"]*")|\$\.(?=\w)|\s+""")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledCriterion:
    """One condition, ready to be judged.

    ``reading`` says what the text was taken for: ``simple``, ``regex``, ``xpath``, a reading of a JSONPath text (see
    ``jsonpath.py``), or ``invalid`` for what never passes; ``context`` is the expression whose value the condition is
    about; ``tolerances`` the codes of what was accepted beyond the specification.
    """

    text: str
    type: CriterionType
    reading: CriterionReading
    context: Expression | None
    condition: _Condition
    version: str = ""
    """Of XPath, as written; empty where the document is silent."""
    tolerances: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = field(default=(), compare=False)
    """The codes of those that a reading which is not strict would have used, where the strict one means otherwise."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """Sentences for the author of the document; nothing depends on them."""
    place: Place = field(default=Place(), compare=False)
    """Where it stands, while it is compiled; a stored plan does not say."""

    def test(self, context: Context) -> Verdict:
        """Judge it. Never raises: whatever cannot be judged fails, with the reason (1.1, "Criterion Object")."""
        short = clip(" ".join(self.text.split()), 160)
        if isinstance(self.condition, Condition):
            if self.reading == "invalid":
                return Verdict(truth=False, why=f"{short}: cannot be read, so it never passes")
            return test(self.condition, context)
        root = evaluate(self.context, context) if self.context is not None else None
        if root is None or isinstance(root, (Missing, SecretRef, SecretText)):
            return Verdict(truth=False, why=f"{short}: its context {self.context} was {show(root)}")
        return self.condition.test(root, context)

    @property
    def label(self) -> str:
        """The condition as short text for a diagram: one line, at most 80 characters, without the query's root."""

        def lighter(found: re.Match[str]) -> str:
            return found[1] or ("" if found[0].startswith("$") else " ")

        return clip(_LABEL_NOISE.sub(lighter, self.text).strip(), 80)

    def references(self) -> tuple[Expression, ...]:
        """Every runtime expression it reads: what the guard depends on."""
        return self._expressions(only_compared=False)

    def compared(self) -> tuple[Expression, ...]:
        """The expressions whose value decides it, that is all but those only held against null."""
        return self._expressions(only_compared=True)

    def _expressions(self, *, only_compared: bool) -> tuple[Expression, ...]:
        found = [] if self.context is None else [self.context]
        tree: Condition | None
        if isinstance(self.condition, Condition):
            tree = self.condition
        else:
            found += self.condition.expressions()
            tree = self.condition.condition if isinstance(self.condition, JsonPathCondition) else None
        if tree is not None:
            for operand in (compared if only_compared else operands)(tree.root):
                found += operand.expressions()
        return tuple(dict.fromkeys(found))

    def to_json(self) -> dict[str, Json]:
        """Plain JSON for a stored plan."""
        return {
            "condition": self.text,
            "type": self.type,
            "reading": self.reading,
            "version": self.version,
            "context": None if self.context is None else str(self.context),
            "declared": isinstance(self.condition, JsonPathCondition) and self.condition.declared,
            "tolerances": list(self.tolerances),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> CompiledCriterion:
        """The inverse of :meth:`to_json`: the text is parsed again, its reading is not chosen again.

        :raises BugError: for JSON that :meth:`to_json` cannot have written.
        """
        text, kind, reading, context = (value.get(key) for key in ("condition", "type", "reading", "context"))
        codes, version = value.get("tolerances"), value.get("version")
        known = (*get_args(CriterionType), *get_args(JsonPathReading))
        if not isinstance(text, str) or reading not in known or kind not in get_args(CriterionType):
            raise _unread()
        if not isinstance(codes, list) or not isinstance(version, str):
            raise _unread()
        tolerances = tuple(str(code) for code in codes)
        condition: _Condition
        if kind == "simple":
            condition = _never(text) if reading == "invalid" else parse_condition(text, Place())
        elif kind == "regex":
            condition = restore_regex(text, reading=str(reading), tolerances=tolerances)
        elif kind == "xpath":
            condition = restore_xpath(text, version, reading=str(reading))
        else:
            declared = value.get("declared") is True
            condition = restore_jsonpath(text, reading=cast("JsonPathReading", reading), declared=declared)
        return cls(
            text=text,
            type=cast("CriterionType", kind),
            reading=cast("CriterionReading", reading),
            context=parse_expression(context, place=Place()) if isinstance(context, str) else None,
            condition=condition,
            version=version,
            tolerances=tolerances,
        )


def _unread() -> BugError:
    return BugError("a stored criterion has a form this release does not write", code="AZM-E033")


def compile_criterion(
    criterion: Criterion,
    *,
    minor: str,
    strict: bool = False,
    declares: Callable[[Expression, str], bool] = lambda _, __: False,
) -> CompiledCriterion:
    """Compile one criterion of a document of version ``minor`` (``1.0`` or ``1.1``).

    ``strict`` reads what has a strict reading by that; what needs a tolerance says so. ``declares`` tells of an
    expression and a name whether the descriptions say that the value is an object with that member (ambiguity A4).

    :raises DocumentError: for an unknown type or version, a missing context, and a condition that cannot be read.
    """
    if criterion.type == "simple":
        return _compile_simple(criterion, minor)
    if criterion.type not in _CONTEXT_HINTS:
        raise _refuse(
            criterion, "AZM-E011", f"a condition of type '{clip(criterion.type, 40)}' is not known", "Use simple."
        )
    if criterion.type == "jsonpath" and criterion.version not in _JSONPATH_VERSIONS:
        raise _refuse(
            criterion, "AZM-E013", f"JSONPath version '{clip(criterion.version, 40)}' is not known", "Leave it out."
        )
    if criterion.context is None or not is_expression(criterion.context):
        raise _refuse(
            criterion,
            "AZM-E012",
            f"a {criterion.type} condition needs a context that is an expression",
            f"Say which value it is about, for example {_CONTEXT_HINTS[criterion.type]}.",
        )
    context = parse_expression(criterion.context, place=criterion.place, minor=minor)
    condition = _compile(criterion, minor, strict, lambda name: declares(context, name))
    return CompiledCriterion(
        text=condition.text,
        type=cast("CriterionType", criterion.type),
        reading=cast("CriterionReading", condition.reading),
        context=context,
        condition=condition,
        version=criterion.version,
        tolerances=tuple(dict.fromkeys((*condition.tolerances, *context.tolerances))),
        set_aside=condition.set_aside if isinstance(condition, JsonPathCondition) else (),
        notes=condition.notes,
        place=criterion.place,
    )


def _compile(
    criterion: Criterion, minor: str, strict: bool, declares: Callable[[str], bool]
) -> RegexCondition | JsonPathCondition | XPathCondition:
    text, place = criterion.condition, criterion.place
    if criterion.type == "regex":
        return compile_regex(text, minor=minor, place=place)
    if criterion.type == "xpath":
        return compile_xpath_condition(text, criterion.version, minor=minor, place=place)
    return compile_jsonpath(text, minor=minor, place=place, version=criterion.version, strict=strict, declares=declares)


def _compile_simple(criterion: Criterion, minor: str) -> CompiledCriterion:
    if _ONLY_OPERATOR.match(criterion.condition):
        left = criterion.context or "$statusCode"
        raise _refuse(
            criterion,
            "AZM-E014",
            "the condition is an operator without the two values it compares",
            f"Write the whole comparison, for example {clip(left, 60)} {criterion.condition.strip()} 'value'.",
        )
    reading: CriterionReading = "simple"
    notes: tuple[str, ...] = ()
    try:
        condition = parse_condition(criterion.condition, criterion.place, minor=minor)
    except DocumentError as problem:
        if minor == "1.0" or problem.code not in _SYNTAX:
            raise
        # 1.1, "Evaluation Errors": what is wrong with a condition makes it fail, and not the document.
        reading, condition = "invalid", _never(criterion.condition)
        notes = (f"{problem.message}; in Arazzo 1.1 such a condition always fails",)
    return CompiledCriterion(
        text=criterion.condition,
        type="simple",
        reading=reading,
        context=None,
        condition=condition,
        tolerances=condition.tolerances,
        notes=notes,
        place=criterion.place,
    )


def _never(text: str) -> Condition:
    """A condition that cannot be read."""
    return Condition(text=text, root=Truth(Constant(False)))


def _refuse(criterion: Criterion, code: str, problem: str, advice: str) -> DocumentError:
    return DocumentError(
        problem, code=code, place=criterion.place, seen=clip(f"{criterion.condition}", 80), next=advice
    )
