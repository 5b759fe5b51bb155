"""An expression and the moment it is read at -> why it can never have a value there; None where it may have one.

What there is to see at a moment is what ``chart/judge.py`` gives expressions to look at; what a name can mean is what
the document declares; a test ties the two. So a reference that is always absent is known before anything runs. Pure,
and never an error by itself: by the specification what is absent is just absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ..document.model import Document, Workflow
from ..expressions.evaluate import resolve_name
from ..expressions.grammar import Expression
from ..sources.description import Description

__all__ = ["Absence", "Moment", "Sight", "names_of", "property_names", "sight_of", "source_fields"]

Moment = Literal["request", "answer", "return", "end", "any"]
"""When a value is read: for the request of a step, with the answer to it, when the workflow it ran has returned, when
the whole workflow ends; ``any`` where one value serves several moments."""

_EXCHANGE: Final = frozenset({"request", "response", "url", "method"})
_BEFORE: Final = "it is read for what is sent, before anything was answered"
_INSIDE: Final = "the step runs a workflow, and sees nothing of its calls but the last status"
_AFTER: Final = "outputs of a workflow are read at its end, when no call is looked at"
_RETURNED: Final = "$outputs is what a workflow that a step runs has returned"
_UNSEEN: Final[Mapping[Moment, Mapping[str, str]]] = {
    "request": {**dict.fromkeys((*_EXCHANGE, "statusCode"), _BEFORE), "outputs": f"{_RETURNED}, and {_BEFORE}"},
    "answer": {"outputs": f"{_RETURNED}, and this step calls an operation"},
    "return": dict.fromkeys(_EXCHANGE, _INSIDE),
    "end": {
        **dict.fromkeys((*_EXCHANGE, "statusCode"), _AFTER),
        "outputs": f"{_RETURNED}; outputs of a step are $steps.STEP.outputs.NAME",
    },
    "any": {},
}
"""By moment, the roots that nothing is known of, and why."""
_OPEN: Final = frozenset({"$ref", "anyOf", "oneOf", "patternProperties", "then", "else", "dependentSchemas"})
"""Keywords by which a schema may have properties it does not list itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """Why a reference is absent: the code of what is said about it, how that ends its sentence, and what to do."""

    code: str
    why: str
    next: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The names a document has, beside those of ``expressions.template.Declared``."""

    minor: str = "1.0"
    inputs: frozenset[str] | None = frozenset()
    """Of the workflow; None where its schema may have more than it lists."""
    steps: tuple[str, ...] = ()
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Source name -> the fields an expression can read of it."""
    sent: frozenset[tuple[str, str]] | None = None
    """Place and name of each parameter of the step at hand; None where they are not known."""
    returned: frozenset[str] | None = None
    """The outputs of the workflow that the step at hand runs; None where they are not known."""
    workflows: Mapping[str, Mapping[str, frozenset[str] | None]] = field(default_factory=dict)
    """Workflow id -> ``inputs`` and ``outputs`` -> their names; those of other documents with the source's name first.
    None where there may be others."""

    def absence(self, expression: Expression, moment: Moment) -> Absence | None:
        """Why the expression has no value at that moment in any run; None where it may have one."""
        root, name = expression.root, expression.name
        if root in _UNSEEN[moment]:
            return Absence(code="AZM-P028", why=_UNSEEN[moment][root])
        if root == "response" and expression.part in ("query", "path"):
            return Absence(code="AZM-P028", why="an answer has headers and a body")
        if root == "self" and self.minor == "1.0":
            why = f"it came with Arazzo 1.1, this is {self.minor}"
            return Absence(code="AZM-D114", why=why, next="write the URI itself")
        if root == "components":
            why = "a component takes the place of a whole value, and is not seen in conditions and inside text"
            return Absence(code="AZM-P028", why=why)
        if root == "steps" and expression.owner not in self.steps:
            return Absence(
                code="AZM-P014",
                why="names a step that is not in this workflow",
                next=f"steps: {', '.join(self.steps) or 'none'}",
            )
        if root == "inputs" and name and not _has(self.inputs, name):
            return Absence(code="AZM-P021", why="names an input that is not declared")
        if root == "outputs" and name and moment == "return" and not _has(self.returned, name):
            return Absence(
                code="AZM-P029",
                why="the workflow declares no such output",
                next=f"its outputs: {', '.join(sorted(self.returned or ())) or 'none'}",
            )
        if root == "request" and moment == "answer" and not self._sends(expression):
            return Absence(code="AZM-P028", why=f"the step gives no such {expression.part} parameter")
        if root == "sourceDescriptions":
            return self._of_source(expression)
        return self._of_workflow(expression) if root == "workflows" else None

    def _sends(self, expression: Expression) -> bool:
        place, name = expression.part, expression.name
        if self.sent is None or place == "body":
            return True
        # RFC 9110, 5.1: names of headers are case-insensitive.
        sent = {(where, one.lower() if where == "header" else one) for where, one in self.sent}
        return (place, name.lower() if place == "header" else name) in sent

    def _of_source(self, expression: Expression) -> Absence | None:
        fields = self.sources.get(expression.owner)
        if fields is None:
            known = f"source descriptions: {', '.join(self.sources) or 'none'}"
            return Absence(code="AZM-P029", why="this document has no such source description", next=known)
        if expression.name not in fields:
            return Absence(
                code="AZM-P029", why="the source description has no such field", next=f"fields: {', '.join(fields)}"
            )
        return None

    def _of_workflow(self, expression: Expression) -> Absence | None:
        sides = self.workflows.get(expression.owner)
        if sides is None:
            known = f"workflows: {', '.join(self.workflows)}"
            return Absence(code="AZM-P029", why="there is no such workflow", next=known)
        names = sides.get(expression.part)
        if not expression.name or _has(names, expression.name):
            return None
        known = f"its {expression.part}: {', '.join(sorted(names or ())) or 'none'}"
        if expression.part == "inputs":
            return Absence(code="AZM-P021", why="names an input that is not declared", next=known)
        return Absence(code="AZM-P029", why="the workflow declares no such output", next=known)


def _has(names: frozenset[str] | None, name: str) -> bool:
    return names is None or resolve_name(name, names) is not None


def sight_of(description: Description, workflow: Workflow) -> Sight:
    """What a workflow of a described document can see."""
    document = description.document
    workflows = {one.workflow_id: names_of(one) for one in document.workflows}
    for name, other in description.documents.items():
        workflows |= {f"{name}.{one.workflow_id}": names_of(one) for one in other.document.workflows}
    return Sight(
        minor=document.minor,
        inputs=names_of(workflow)["inputs"],
        steps=tuple(step.step_id for step in workflow.steps),
        sources={name: tuple(fields) for name, fields in source_fields(document).items()},
        workflows=workflows,
    )


def names_of(workflow: Workflow) -> Mapping[str, frozenset[str] | None]:
    """The inputs and outputs of a workflow by their names. One that transfers to another ends with the outputs of that
    one (ambiguity A21)."""
    actions = [*workflow.success_actions, *workflow.failure_actions]
    for step in workflow.steps:
        actions += [*(step.on_success or ()), *(step.on_failure or ())]
    transfers = any(one.type == "goto" and one.workflow_id for one in actions)
    return {"inputs": property_names(workflow.inputs), "outputs": None if transfers else frozenset(workflow.outputs)}


def property_names(schema: Mapping[str, Any]) -> frozenset[str] | None:
    """The properties a schema lists, those of all its parts together; None where it may have others."""
    names: set[str] = set()
    waiting: list[Any] = [schema]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, Mapping):
            continue
        if _OPEN & set(one):
            return None
        properties, parts = one.get("properties"), one.get("allOf")
        names |= set(map(str, properties)) if isinstance(properties, Mapping) else set()
        waiting += parts if isinstance(parts, list) else []
    return frozenset(names)


def source_fields(document: Document) -> dict[str, dict[str, Any]]:
    """Source name to the fields an expression can read of it ("Source Description Expression Resolution")."""
    written = document.tree.get("sourceDescriptions")
    return {str(one["name"]): dict(one) for one in written} if isinstance(written, list) else {}
