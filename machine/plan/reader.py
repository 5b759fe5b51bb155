"""Values and conditions of one workflow -> templates and predicates, each refused or noted at its own place.

What they all share is held by the Reader: the names there are, how strictly the document is read, and what was noted so
far. Every value is compiled here, so that a tolerance, an undeclared name or a reference that can have no value is told
in one way, once a site.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..document.findings import Finding
from ..document.model import Criterion, Document, Parameter, Workflow
from ..errors import DocumentError, Place
from ..expressions.criteria import CompiledCriterion, compile_criterion
from ..expressions.grammar import TOLERANCES, Expression, misspelt_roots, split_path
from ..expressions.template import (
    Declared,
    Leaf,
    Template,
    Unusable,
    bare_references,
    compile_template,
    expressions_of,
    leaves,
    plain_text,
    tolerances,
)
from ..sources.description import Description
from ..sources.model import Operation
from .codes import advice_of
from .members import response_members
from .model import Notice
from .problems import Problems
from .sight import Moment, Sight, names_of, sight_of

__all__ = ["Reader", "declared_names", "reader_of"]

_NONE: Mapping[str, frozenset[str]] = {}
_REFUSED = frozenset({"AZM-P014", "AZM-D114"})
"""References that no reading of the document gives a meaning."""
_ALLOWED = frozenset({"AZM-P021"})
"""References that may have a value after all: an input nobody declared can be given."""
_NAMELESS = frozenset({"AZM-P014", "AZM-P021"})
"""What is said of these begins with a verb."""


def declared_names(workflow: Workflow, document: Document, returned: Mapping[str, frozenset[str]] = _NONE) -> Declared:
    """What an expression may mean: inputs of the schema, outputs of the steps, parameters of Components; ``returned``
    has the outputs of the steps that run a workflow and declare none of their own."""
    properties = workflow.inputs.get("properties")
    shelf = _mapping(_mapping(document.tree.get("components")).get("parameters"))
    return Declared(
        inputs=frozenset(_mapping(properties)),
        steps={
            step.step_id: frozenset(step.outputs or returned.get(step.step_id, frozenset())) for step in workflow.steps
        },
        minor=document.minor,
        parameters={key: _mapping(one).get("value") for key, one in shelf.items()},
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Compiles what one workflow says, and keeps what has to be said about it."""

    document: Document
    declared: Declared
    sight: Sight
    strict: bool
    notices: dict[Notice, None]

    @property
    def minor(self) -> str:
        return self.document.minor

    def calling(self, given: Sequence[Parameter]) -> Reader:
        """The reader of a step that calls an operation with these parameters."""
        sent = frozenset((one.location, one.name) for one in given)
        return replace(self, sight=replace(self.sight, sent=sent))

    def returning(self, workflow: Workflow) -> Reader:
        """The reader of a step that runs this workflow."""
        return replace(self, sight=replace(self.sight, returned=names_of(workflow)["outputs"]))

    # -- values ----------------------------------------------------------------------------------------------------

    def value(self, value: Any, place: Place, moment: Moment, inside: Callable[..., Place] | None = None) -> Template:
        """The template of a value that stands at a place; ``inside`` says where its parts stand, as the document does
        unless said otherwise. Raises DocumentError for what cannot be read in it."""
        inside = inside or self.document.inside
        template = compile_template(value, place=place, declared=self.declared, inside=inside)
        return self.checked(template, place, moment, inside)

    def parameter(self, one: Parameter, moment: Moment) -> Template:
        """The template of a parameter's value."""
        return self.value(one.value, self.document.inside(one.place, "value"), moment)

    def outputs(self, outputs: Mapping[str, Any], owner: Place, moment: Moment) -> dict[str, Template]:
        """Name to template for the outputs of a step or workflow; a value that is no expression is passed through."""
        problems = Problems()
        found = {}
        for name, value in outputs.items():
            place = self.document.inside(owner, "outputs", name)
            template = problems.attempt(partial(self.value, value, place, moment))
            if template is not None:
                found[name] = template
        problems.report()
        return found

    def checked(self, template: Template, place: Place, moment: Moment, inside: Callable[..., Place]) -> Template:
        """Look at what a template refers to and at what it accepted, leaf by leaf."""
        problems = Problems()
        for steps, leaf in leaves(template):
            problems.attempt(partial(self.leaf, leaf, inside(place, *steps), moment))
        problems.report()
        return template

    def leaf(self, leaf: Leaf, place: Place, moment: Moment) -> None:
        """Look at one leaf of a template, or the target of a replacement."""
        problems = Problems()
        problems.attempt(lambda: self.tolerated(tolerances(leaf), place))
        for bare in bare_references(leaf):
            self.note("AZM-P023", f"{bare} has no braces: in Arazzo 1.1 it is text, and is sent as it stands", place)
        for word, root in (pair for text in plain_text(leaf) for pair in misspelt_roots(text).items()):
            problems.attempt(partial(self._misspelt, word, root, place))
        if isinstance(leaf, Unusable):
            self.note("AZM-P026", f"{leaf.why}; the step that sends it fails", place)
        for expression in expressions_of(leaf):
            problems.attempt(partial(self._look, expression, place, moment))
        problems.report()

    # -- conditions ------------------------------------------------------------------------------------------------

    def criteria(
        self, criteria: Sequence[Criterion], moment: Moment, operation: Operation | None = None
    ) -> tuple[CompiledCriterion, ...]:
        """Compile each; what had to be tolerated is noted once per site, or refused in a strict reading. ``operation``
        is the one whose answer they judge."""
        problems = Problems()
        compiled = problems.each(partial(self._criterion, one, moment, operation) for one in criteria)
        problems.report()
        return compiled

    def _criterion(self, one: Criterion, moment: Moment, operation: Operation | None) -> CompiledCriterion:
        def declares(context: Expression, name: str) -> bool:
            body = context.root == "response" and context.part == "body"
            path = (*(split_path(context.name) or ()), *context.pointer)
            return body and operation is not None and name in response_members(operation, path)

        result = compile_criterion(one, minor=self.minor, strict=self.strict, declares=declares)
        repaired = {"C5": "; ".join(dict.fromkeys(filter(None, (found.repaired for found in result.references()))))}
        used = [(code, repaired.get(code) or f"{result.text}: {TOLERANCES[code]}") for code in result.tolerances]
        self.tolerated(used, one.place)
        for code in result.set_aside:
            self.note(code, f"{result.text}: read as RFC 9535 has it; without --strict, {TOLERANCES[code]}", one.place)
        for note in result.notes:
            self.note("AZM-P025" if result.reading == "invalid" else "AZM-P022", f"{result.text}: {note}", one.place)
        problems = Problems()
        for expression in result.references():
            problems.attempt(partial(self._look, expression, one.place, moment))
        problems.report()
        return result

    # -- what is said ----------------------------------------------------------------------------------------------

    def _look(self, expression: Expression, place: Place, moment: Moment) -> None:
        """Say it where a reference can have no value. Raises DocumentError where it can have no meaning, and in a
        strict reading where it can have no value."""
        absence = self.sight.absence(expression, moment)
        if absence is None:
            return
        joint = " " if absence.code in _NAMELESS else " is always absent: "
        message = f"{expression}{joint}{absence.why}"
        if absence.code in _REFUSED or (self.strict and absence.code not in _ALLOWED):
            raise DocumentError(message, code=absence.code, place=place, next=absence.next or advice_of(absence.code))
        self.note(absence.code, f"{message} ({absence.next})" if absence.next else message, place)

    def _misspelt(self, word: str, root: str, place: Place) -> None:
        message = f"${word} is text, and not the value of an expression; did you mean ${root}?"
        self.doomed("AZM-P031", message, place)

    def tolerated(self, found: Sequence[tuple[str, str]], place: Place) -> None:
        """Note each (code, why), once a site. Raises DocumentError with all of them in a strict reading."""
        if found and self.strict:
            next_step = "leave out --strict to allow it"
            findings = tuple(
                Finding(code=code, severity="error", message=why, place=place, suggestion=next_step)
                for code, why in found
            )
            raise DocumentError("a tolerance is needed", code=found[0][0], place=place, findings=findings)
        for code, why in found:
            self.note(code, why, place)

    def doomed(self, code: str, message: str, place: Place) -> None:
        """Note what cannot have been meant or lets a step fail whatever happens. Raises DocumentError in a strict
        reading."""
        if self.strict:
            raise DocumentError(message, code=code, place=place, next=advice_of(code))
        self.note(code, message, place)

    def note(self, code: str, message: str, place: Place) -> None:
        self.notices[Notice(code=code, message=message, place=place)] = None


def reader_of(
    description: Description,
    workflow: Workflow,
    returned: Mapping[str, frozenset[str]],
    *,
    strict: bool,
    notices: dict[Notice, None],
) -> Reader:
    """The reader of one workflow; what it notes goes into ``notices``."""
    return Reader(
        document=description.document,
        declared=declared_names(workflow, description.document, returned),
        sight=sight_of(description, workflow),
        strict=strict,
        notices=notices,
    )
