"""Tree -> Findings: everything that is structurally wrong with an Arazzo document, all of it at once.

Applies the table of ``document/table.py`` and the rules that hold between fields. Depth is the table's, never the
document's; the number of findings is bounded. Looks at no source description and reads no expression.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from .findings import Finding, Severity
from .positions import Tree, below
from .references import component, is_reusable
from .schemas import InputSchemas
from .table import COMPONENT_NAME, MAX_NUMBER, OBJECTS, SELECTOR_VERSIONS, Field, Version

__all__ = ["MAX_FINDINGS", "check"]

MAX_FINDINGS: Final = 1000
_MAX_GUESSES: Final = 50
"""Guessing what was meant is quadratic in the length of names, so it is done a bounded number of times."""

_VERSION: Final = re.compile(r"1\.([01])\.[0-9]+(-.+)?")
_KEY: Final = re.compile(COMPONENT_NAME)
_RESERVED: Final = ("x-oai-", "x-oas-", "x-arazzo")
_TARGETS: Final = ("operationId", "operationPath", "workflowId", "channelPath")


def check(tree: Tree) -> tuple[Finding, ...]:
    """Every structural problem of the document, in its order.

    Errors keep it from being compiled; warnings name what is tolerated or has no effect. Codes AZM-D100 to
    AZM-D122, and those of tolerances (C8, C11, C12).
    """
    checker = _Checker(tree)
    checker.document()
    findings = sorted(checker.findings, key=lambda finding: (finding.place.line, finding.place.column))
    if checker.left_out:
        message = f"{checker.left_out} more findings are not listed"
        findings.append(Finding(code="AZM-D100", severity="warning", message=message, place=tree.place("")))
    return tuple(findings)


class _Checker:
    """One pass over one document."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.root: Any = tree.value
        self.schemas = InputSchemas(tree.value)
        self.minor: Version = "1.1"
        self.findings: list[Finding] = []
        self.left_out = 0
        self._guesses = 0

    def say(self, code: str, message: str, pointer: str, suggestion: str = "", severity: Severity = "error") -> None:
        if len(self.findings) >= MAX_FINDINGS:
            self.left_out += 1
            return
        full = code if code.startswith("C") else f"AZM-{code}"
        place = self.tree.place(pointer)
        self.findings.append(Finding(code=full, severity=severity, message=message, place=place, suggestion=suggestion))

    def guess(self, name: str, known: Collection[str]) -> str:
        """``did you mean X?``, or nothing."""
        if self._guesses >= _MAX_GUESSES or len(name) > 64 or len(known) > 100:
            return ""
        self._guesses += 1
        folded = {one.lower(): one for one in known if len(one) <= 64}
        near = difflib.get_close_matches(name.lower(), folded, n=1)
        return f"did you mean {folded[near[0]]}?" if near else ""

    def document(self) -> None:
        root = self.root
        if not isinstance(root, dict):
            self.say("D119", f"an Arazzo description is an object, this is {_a(_type(root))}", "")
            return
        other = next((name for name in ("openapi", "swagger", "asyncapi") if name in root), None)
        if other and "arazzo" not in root:
            hint = "name it under sourceDescriptions of an Arazzo description"
            self.say("D119", f"this is not an Arazzo description: it has the field {other}", f"/{other}", hint)
            return
        version = root.get("arazzo")
        if isinstance(version, str) and (found := _VERSION.fullmatch(version)):
            self.minor = "1.0" if found[1] == "0" else "1.1"
        elif "arazzo" in root:
            hint = "write 1.0.1 or 1.1.0" if isinstance(version, str) else "write it in quotes: '1.0.1' or '1.1.0'"
            seen = _shown(str(version)) if isinstance(version, str | int | float) else _a(_type(version))
            self.say("D107", f"Arazzo {seen} is not known here; 1.0.x and 1.1.x are", "/arazzo", hint)
        self.object("Arazzo", root, "")

    def object(self, name: str, value: Mapping[str, Any], pointer: str) -> None:
        """One object against its row, then against the rules between its fields."""
        rule = OBJECTS[name]
        for key, item in value.items():
            if key.startswith("x-"):
                if key == "x-machine" and not isinstance(item, dict):
                    self.say("D103", f"x-machine is an object, this is {_a(_type(item))}", below(pointer, key))
                elif key.startswith(_RESERVED):
                    hint = "name extensions of your own otherwise"
                    self.say(
                        "D122",
                        f"{_shown(key)} is reserved ('Specification Extensions')",
                        below(pointer, key),
                        hint,
                        "warning",
                    )
            elif (spec := rule.fields.get(key)) is None or spec.until < self.minor:
                self._unknown(name, key, pointer)
            elif spec.since > self.minor:
                hint = "write arazzo: 1.1.0 if the document is meant to use it"
                self.say(
                    "D114", f"{key} came with Arazzo {spec.since}, this is {self.minor}", below(pointer, key), hint
                )
            else:
                self._field(key, spec, item, below(pointer, key))
        for key, spec in rule.fields.items():
            if spec.required and key not in value:
                self.say("D102", f"the {rule.title} needs the field {key}", pointer)
        if relation := _RELATIONS.get(name):
            relation(self, value, pointer)

    def _unknown(self, name: str, key: str, pointer: str) -> None:
        message = f"the {OBJECTS[name].title} has no field {_shown(key)}"
        if name == "Arazzo" and key == "$schema":
            # Editors put it there; it says nothing about the workflows.
            self.say("D101", message, below(pointer, key), "it is ignored", "warning")
            return
        known = [one for one, spec in OBJECTS[name].fields.items() if spec.since <= self.minor <= spec.until]
        hint = self.guess(key, known) or "extensions begin with x-"
        if key == "<<":
            hint = "YAML 1.2 has no merge keys: write the fields out"
        self.say("D101", message, below(pointer, key), hint)

    def _field(self, key: str, spec: Field, value: Any, pointer: str) -> None:
        seen = _type(value)
        if spec.types and not _fits(value, spec.types):
            scalar = spec.types[0] == "string" and seen in ("integer", "number", "boolean")
            message = f"{key} is {' or '.join(_a(one) for one in spec.types)}, this is {_a(seen)}"
            self.say("D103", message, pointer, "put it in quotes" if scalar else "")
        elif isinstance(value, str) and spec.types:
            self._text(key, spec, value, pointer)
        elif isinstance(value, list) and spec.types:
            self._list(key, spec, value, pointer)
        elif spec.minimum is not None and not spec.minimum <= value <= MAX_NUMBER:
            self.say("D115", f"{key} is a number from {spec.minimum} to {MAX_NUMBER}", pointer)
        elif spec.map:
            for name, item in value.items():
                if not _KEY.fullmatch(name):
                    # The text forbids it, the published schemas let it pass, and many 1.0 outputs are named like that.
                    tolerated = spec.object == "Output" and self.minor == "1.0"
                    hint = "use letters, digits, dot, hyphen and underscore"
                    message = f"{_shown(name)} cannot be a name in {key}"
                    self.say("D105", message, below(pointer, name), hint, "warning" if tolerated else "error")
                self._entry(spec.object, item, below(pointer, name))
        elif spec.object:
            self._entry(spec.object, value, pointer)

    def _text(self, key: str, spec: Field, value: str, pointer: str) -> None:
        if spec.pattern and not spec.pattern.fullmatch(value):
            hint = "it may not be empty" if not value else f"it must match ^{spec.pattern.pattern}$"
            self.say("D105", f"{_shown(value)} cannot be a {key}", pointer, hint)
        if not spec.choices or spec.choices.get(value, "9") <= self.minor:
            return
        if self.minor == "1.0" and value in spec.tolerated:
            code, reading = spec.tolerated[value]
            self.say(code, f"{key} may not be {value}; {reading}", pointer, severity="warning")
        elif value in spec.choices:
            since = spec.choices[value]
            self.say("D114", f"{key}: {value} came with Arazzo {since}, this is {self.minor}", pointer)
        else:
            known = [one for one, since in spec.choices.items() if since <= self.minor]
            hint = spec.instead.get(value) or self.guess(value, known) or "write one of them"
            self.say("D104", f"{key} is one of {', '.join(known)}, not {_shown(value)}", pointer, hint)

    def _list(self, key: str, spec: Field, items: list[Any], pointer: str) -> None:
        if not items and spec.filled and spec.filled <= self.minor:
            self.say("D108", f"{key} may not be empty", pointer)
        for index, item in enumerate(items):
            at = below(pointer, index)
            if not spec.object:
                if not isinstance(item, str):
                    self.say("D103", f"an entry of {key} is a string, this is {_a(_type(item))}", at)
            elif spec.reusable and is_reusable(item):
                self._reusable(spec.reusable, item, at)
            else:
                self._entry(spec.object, item, at)
        if spec.identity:
            self._repeated(key, spec, items, pointer)

    def _entry(self, name: str, value: Any, pointer: str) -> None:
        """The value where a row of the table stands; three of the names mean a choice instead of a row."""
        if name == "Output":
            self._output(value, pointer)
        elif name == "Schema":
            if not isinstance(value, dict | bool):
                self.say("D103", f"a schema is an object, this is {_a(_type(value))}", pointer)
        elif name == "Value":
            # Any value at all may stand here, so only what is plainly meant as a Selector Object is held to be one.
            if self.minor == "1.1" and isinstance(value, dict) and {"context", "selector"} <= value.keys():
                self.object("Selector", value, pointer)
        elif isinstance(value, dict):
            self.object(name, value, pointer)
        else:
            self.say("D103", f"the {OBJECTS[name].title} is an object, this is {_a(_type(value))}", pointer)

    def _output(self, value: Any, pointer: str) -> None:
        """1.0: a runtime expression, literals are tolerated as themselves. 1.1: an expression or a Selector Object."""
        if isinstance(value, str):
            return
        if isinstance(value, dict) and self.minor == "1.1":
            self.object("Selector", value, pointer)
        elif isinstance(value, dict | list) or self.minor == "1.1":
            more = " or a Selector Object" if self.minor == "1.1" else ""
            self.say("D103", f"an output is a runtime expression{more}, this is {_a(_type(value))}", pointer)
        else:
            message = f"an output is a runtime expression, this is {_a(_type(value))}"
            self.say("D118", message, pointer, "the value is passed on as it is", "warning")

    def _reusable(self, kind: str, item: Mapping[str, Any], pointer: str) -> None:
        """Reusable Object: it names a component of this document; ``value`` is for parameters; the rest is ignored."""
        reference = item["reference"]
        if not isinstance(reference, str):
            self.say("D103", f"reference is a string, this is {_a(_type(reference))}", below(pointer, "reference"))
        elif component(self.root, kind, item) is None:
            components = self.root.get("components")
            shelf = components.get(kind) if isinstance(components, dict) else None
            names = shelf if isinstance(shelf, dict) else {}
            hint = self.guess(reference.removeprefix(f"$components.{kind}."), names)
            hint = hint or f"it must name a member of components/{kind} of this document"
            self.say("D113", f"{_shown(reference)} names nothing", below(pointer, "reference"), hint)
        for key in item:
            if key != "reference" and not (key == "value" and kind == "parameters"):
                message = f"{_shown(key)} beside a reference has no effect"
                self.say("D116", message, below(pointer, key), severity="warning")

    def _repeated(self, key: str, spec: Field, items: list[Any], pointer: str) -> None:
        first: dict[tuple[str, ...], int] = {}
        for index, item in enumerate(items):
            identity = self._identity(spec, item)
            # RFC 9110, 5.1: names of headers are case-insensitive; those of the other parameters are not.
            known = (identity[0].lower(), "header") if identity and identity[1:] == ("header",) else identity
            if identity is None or known is None or first.setdefault(known, index) == index:
                continue
            before, at = first[known], below(pointer, index)
            line = self.tree.place(below(pointer, before)).line
            where = f"at line {line}" if line else f"at index {before}"
            named = " in ".join(_shown(one) for one in identity if one)
            if spec.identity == ("name",) and spec.object.endswith("Action") and item != items[before]:
                hint = "give each action its own name, they show in histories and diagrams"
                self.say("D106", f"the name {named} is used {where} as well", at, hint, "warning")
            elif identity != self._identity(spec, items[before]):
                message = f"{named} differs only in case from the header {where}"
                self.say("D106", message, at, "names of headers are case-insensitive", "warning")
            else:
                self.say("D106", f"{named} stands twice in {key}, first {where}", at)

    def _identity(self, spec: Field, item: Any) -> tuple[str, ...] | None:
        """What tells this entry from its neighbours; None when it cannot be said because the entry is wrong itself."""
        if spec.identity == ("",):
            return (item,) if isinstance(item, str) else None
        if spec.reusable and is_reusable(item):
            item = component(self.root, spec.reusable, item)
        if not isinstance(item, Mapping) or spec.identity[0] not in item:
            return None
        parts = tuple(item.get(name, "") for name in spec.identity)
        return parts if all(isinstance(part, str) for part in parts) else None

    def resolved(self, kind: str, items: Any) -> list[tuple[int, Mapping[str, Any], bool]]:
        """The objects of a list with their index, and whether they came from Components; what is wrong is left out."""
        found = []
        for index, item in enumerate(items if isinstance(items, list) else ()):
            made = component(self.root, kind, item) if is_reusable(item) else item
            if isinstance(made, Mapping):
                found.append((index, made, made is not item))
        return found


def _check_workflow(self: _Checker, workflow: Mapping[str, Any], pointer: str) -> None:
    """Targets of goto and retry lie in the same workflow ("Success Action Object", "Failure Action Object")."""
    if isinstance(inputs := workflow.get("inputs"), dict):
        _check_schema(self, inputs, f"{pointer}/inputs")
    steps = [step for step in workflow.get("steps", ()) if isinstance(step, dict)] if _has_steps(workflow) else []
    known = {step["stepId"]: step for step in steps if isinstance(step.get("stepId"), str)}

    def look(owner: Mapping[str, Any], at: str, names: tuple[str, str]) -> None:
        for name, kind in zip(names, ("successActions", "failureActions"), strict=True):
            for index, action, shared in self.resolved(kind, owner.get(name)):
                target = action.get("stepId")
                if isinstance(target, str) and target not in known and action.get("type") != "end":
                    spot = f"{at}/{name}/{index}/{'reference' if shared else 'stepId'}"
                    hint = self.guess(target, known)
                    self.say("D111", f"this workflow has no step {_shown(target)}", spot, hint)

    look(workflow, pointer, ("successActions", "failureActions"))
    for index, step in enumerate(workflow["steps"] if _has_steps(workflow) else ()):
        if not isinstance(step, dict):
            continue
        at = f"{pointer}/steps/{index}"
        look(step, at, ("onSuccess", "onFailure"))
        needed = step.get("dependsOn") if self.minor == "1.1" else None
        for place, name in enumerate(needed if isinstance(needed, list) else ()):
            if isinstance(name, str):
                _check_needed_step(self, name, known, f"{at}/dependsOn/{place}")


def _check_components(self: _Checker, components: Mapping[str, Any], pointer: str) -> None:
    shelf = components.get("inputs")
    for name, schema in shelf.items() if isinstance(shelf, dict) else ():
        if isinstance(schema, dict):
            _check_schema(self, schema, below(f"{pointer}/inputs", name))


def _check_schema(self: _Checker, schema: Mapping[str, Any], pointer: str) -> None:
    """Every ``$ref`` of an input schema leads somewhere in the same document ("Resolving URI Fragments")."""
    hint = "it must be #/components/inputs/NAME of this document"
    dangling = list(self.schemas.dangling(schema))
    for at, target, where in dangling:
        seen = _shown(target) if isinstance(target, str) else _a(_type(target))
        ring = "one of them has to be a schema itself"
        self.say("D120", f"the $ref of these inputs {where}: {seen}", pointer + at, ring if "ring" in where else hint)
    if not dangling and self.schemas.alone(schema) is None:
        self.say("D120", "the schemas this one refers to lead nowhere, or are too many", pointer, hint)


_FOREIGN_STEP: Final = re.compile(r"\$(workflows\.[^.]+|sourceDescriptions\.[^.]+\.[^.]+)\.steps\.[^.]+")


def _check_needed_step(self: _Checker, name: str, known: Mapping[str, Any], pointer: str) -> None:
    """Steps of this workflow by their id, others by a full expression ("Step Object", dependsOn)."""
    if name.startswith("$"):
        if not _FOREIGN_STEP.fullmatch(name):
            hint = "a step of this workflow is named by its stepId alone"
            self.say("D105", f"{_shown(name)} does not name a step", pointer, hint)
    elif name not in known:
        self.say("D111", f"this workflow has no step {_shown(name)}", pointer, self.guess(name, known))


def _has_steps(workflow: Mapping[str, Any]) -> bool:
    return isinstance(workflow.get("steps"), list)


def _check_step(self: _Checker, step: Mapping[str, Any], pointer: str) -> None:
    targets = [name for name in _TARGETS if name in step and OBJECTS["Step"].fields[name].since <= self.minor]
    if len(targets) != 1:
        known = _TARGETS if self.minor == "1.1" else _TARGETS[:-1]
        seen = f"this one has {' and '.join(targets)}" if targets else "this one has none"
        self.say("D109", f"a step has exactly one of {', '.join(known)}; {seen}", pointer)
    calls = bool(targets) and targets[0] != "workflowId"
    if self.minor == "1.1":
        _check_message_fields(self, step, targets, pointer)
    if targets == ["workflowId"] and "requestBody" in step:
        message = "requestBody has no effect on a step that runs a workflow"
        self.say("D116", message, f"{pointer}/requestBody", "pass its members as parameters", "warning")
    if step.get("timeout") == 0 and not isinstance(step["timeout"], bool):
        # A call without any time could never be answered, so nobody means that.
        hint = "leave it out, or write how many milliseconds the step may take"
        self.say("D116", "timeout: 0 has no effect", f"{pointer}/timeout", hint, "warning")
    places = set()
    for index, parameter, _ in self.resolved("parameters", step.get("parameters")):
        if calls and "in" not in parameter:
            # "Parameter Object": only where the step runs a workflow does the name alone say where a value goes.
            hint = "add in: path, query, header or cookie"
            self.say("D117", "a parameter of an operation needs the field in", f"{pointer}/parameters/{index}", hint)
        elif isinstance(parameter.get("in"), str):
            places.add(parameter["in"])
    if {"query", "querystring"} <= places:
        message = "in: querystring is the whole query; in: query cannot stand beside it"
        self.say("D104", message, f"{pointer}/parameters", "write the other ones into its value, or leave it out")


def _check_message_fields(self: _Checker, step: Mapping[str, Any], targets: list[str], pointer: str) -> None:
    """AsyncAPI steps of 1.1: a channel says whether to send or receive, and only a receiver correlates."""
    if targets == ["channelPath"] and "action" not in step:
        self.say("D102", "a step on a channelPath needs the field action", pointer, "add action: send or receive")
    if "correlationId" in step and step.get("action") != "receive":
        self.say("D104", "correlationId stands only beside action: receive", f"{pointer}/correlationId")
    if "action" in step and targets and targets[0] not in ("operationId", "channelPath"):
        self.say("D104", f"action cannot stand beside {targets[0]}", f"{pointer}/action")


def _check_action(self: _Checker, action: Mapping[str, Any], pointer: str) -> None:
    kind = action.get("type")
    targets = [name for name in ("stepId", "workflowId") if name in action]
    if kind == "goto" and len(targets) != 1:
        self.say("D110", "a goto has exactly one of stepId and workflowId", pointer)
    elif kind == "retry" and len(targets) > 1:
        self.say("D110", "a retry has at most one of stepId and workflowId", pointer)
    useless = list(targets) if kind == "end" else []
    if kind in ("end", "goto"):
        useless += [name for name in ("retryAfter", "retryLimit") if name in action]
    for name in useless:
        self.say("D116", f"{name} has no effect on type: {kind}", f"{pointer}/{name}", severity="warning")
    if self.minor == "1.1" and "parameters" in action:
        if "workflowId" not in action:
            self.say("D110", "parameters of an action need a workflowId to go to", f"{pointer}/parameters")
        for index, parameter, _ in self.resolved("parameters", action["parameters"]):
            if "in" in parameter:
                message = "a parameter of an action may not have the field in"
                self.say("D117", message, f"{pointer}/parameters/{index}", "its name is the name of an input")


def _check_criterion(self: _Checker, criterion: Mapping[str, Any], pointer: str) -> None:
    kind = criterion.get("type", "simple")
    if (isinstance(kind, dict) or kind in ("regex", "jsonpath", "xpath")) and "context" not in criterion:
        self.say("D112", "a criterion with a type needs the field context", pointer, "for example $response.body")
    if kind == "simple" and "context" in criterion:
        hint = "add type: jsonpath, regex or xpath if the condition is one"
        self.say("D116", "context has no effect on a simple condition", f"{pointer}/context", hint, "warning")
    if isinstance(criterion.get("version"), str):
        if self.minor == "1.1":
            message = "version stands inside type: {type, version}; read as if it did"
            self.say("C11", message, f"{pointer}/version", severity="warning")
        _check_version(self, kind, criterion["version"], f"{pointer}/version")


def _check_expression_type(self: _Checker, value: Mapping[str, Any], pointer: str) -> None:
    if isinstance(value.get("version"), str):
        _check_version(self, value.get("type"), value["version"], f"{pointer}/version")


def _check_version(self: _Checker, kind: Any, version: str, pointer: str) -> None:
    known = SELECTOR_VERSIONS.get(kind) if isinstance(kind, str) else None
    if known is None:
        return
    if version not in known:
        hint = self.guess(version, known) or "write one of them, or leave it out"
        self.say("D104", f"version of {kind} is one of {', '.join(known)}, not {_shown(version)}", pointer, hint)
    elif known[version] > self.minor:
        message = f"version: {version} came with Arazzo {known[version]}, this is {self.minor}"
        self.say("D118", message, pointer, severity="warning")


_RELATIONS: Final[Mapping[str, Callable[[_Checker, Mapping[str, Any], str], None]]] = {
    "Components": _check_components,
    "Workflow": _check_workflow,
    "Step": _check_step,
    "SuccessAction": _check_action,
    "FailureAction": _check_action,
    "Criterion": _check_criterion,
    "CriterionType": _check_expression_type,
    "SelectorType": _check_expression_type,
}


def _type(value: Any) -> str:
    """The JSON type name of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _fits(value: Any, types: tuple[str, ...]) -> bool:
    seen = _type(value)
    if seen in types or (seen == "integer" and "number" in types):
        return True
    # JSON Schema 2020-12, 6.1.1: 3.0 is an integer.
    return seen == "number" and "integer" in types and float(value).is_integer()


def _a(kind: str) -> str:
    return kind if kind == "null" else f"an {kind}" if kind[0] in "aio" else f"a {kind}"


def _shown(text: str) -> str:
    """Text of the document inside a message: escaped, and short."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
