"""The reader of ``x-machine`` -> the page of it: each field, what it may be, and what it is where nobody says.

The fields and their readers are taken from the syntax tree of ``plan/extension.py``, the defaults from the values the
compiler starts from. What a field is for is said here; a test holds the two lists together.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tables import cell, page, table

from machine.plan import extension
from machine.plan.effect import EffectPolicy, KeyPolicy
from machine.plan.model import Plan
from machine.plan.steps import PollPolicy

__all__ = ["MEANINGS", "fields_read", "x_machine"]

_DEFAULTS: Final[Mapping[str, Mapping[str, object]]] = {
    "PollExtension": {one: PollPolicy.__dataclass_fields__[one].default for one in PollPolicy.__dataclass_fields__},
    "EffectExtension": {"settle": EffectPolicy().settle, "onConflict": EffectPolicy().on_conflict, "onDoubt": "hold"},
    "KeyPolicy": {"in": "header", "name": KeyPolicy().name, "window": KeyPolicy().window},
    "WorkflowExtension": {
        "deadline": Plan.__dataclass_fields__["deadline"].default,
        "calls": Plan.__dataclass_fields__["call_limit"].default,
        "transitions": Plan.__dataclass_fields__["transition_limit"].default,
        "actionInheritance": "merge",
    },
}

_KINDS: Final[Mapping[str, str]] = {
    "parse_duration": "duration",
    "_text": "text",
    "_flag": "true or false",
    "_count": "whole number, 1 or more",
    "_count_or_none": "whole number, 0 or more",
    "_factor": "number, 1 to 100",
    "_share": "number, 0 to 1",
    "_auth": "object: SOURCE.SCHEME to reference",
    "_reference": "`@env:NAME` or `@file:PATH`",
    "_pointers": "object: JSON Pointer to value",
    "_read_poll": "object",
    "_read_effect": "object",
    "_read_probe": "object",
    "_read_key": "object",
    "_read_criteria": "list of criteria",
    "_read_parameters": "list of parameters",
}

MEANINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "StepExtension": {
        "state": "The name of the state in which the step's call is made; else that of the step or of the action.",
        "poll": "How a loop of safe calls is paced and bounded.",
        "unmatched": "What a success does that no action speaks of; else by the rule `plan` shows.",
        "effect": "What a second copy of the call would do, and what to do when nobody knows whether it arrived.",
    },
    "PollExtension": {
        "interval": "The first pause.",
        "backoff": "By what each further pause is longer.",
        "max": "The longest pause.",
        "jitter": "The share by which chance lengthens or shortens a pause.",
        "visits": "How often the loop may go round.",
        "tolerate": "How many unusable answers in a row are waited out.",
        "wait": "Answers the document forgot, which are waited out like its own.",
    },
    "EffectExtension": {
        "kind": "Else by the method: GET, HEAD, OPTIONS, TRACE, QUERY safe; PUT, DELETE idempotent; POST create; the "
        "rest unknown, which is treated as create.",
        "onDoubt": "Stop and ask; look; send again with the same key; or fail.",
        "probe": "The safe call that tells whether the thing is there.",
        "settle": "How long after a send an absence does not count yet.",
        "idempotencyKey": "The key under which the service makes one thing however often it is asked.",
        "onConflict": "What a 409 on a first attempt means: a failure, or to be adopted where it matches.",
    },
    "ProbeExtension": {
        "operationId": "The operation; or",
        "operationPath": "a path to it, as for a step.",
        "parameters": "Its parameters, as for a step; `in` is required.",
        "found": "All hold: it is there. None given: any 2xx.",
        "absent": "All hold: it is not there. None given: 404.",
        "match": "Which fields of the answer have to equal what was sent: only what matches is ours. Required.",
    },
    "KeyPolicy": {
        "in": "Where it is sent.",
        "name": "The name of the header.",
        "window": "How long the service remembers a key.",
    },
    "WorkflowExtension": {
        "deadline": "How long a run may take, from its start.",
        "calls": "How many requests it may send.",
        "transitions": "How many transitions it may make.",
        "unmatched": "For every step that does not say it.",
        "actionInheritance": "Whether the workflow's actions stand behind a step's own, or are replaced by them.",
        "auth": "What the security schemes of the sources are met with, as `--auth` takes it.",
    },
    "InputExtension": {
        "secret": "Whether it is one. Else it is where it flows into a credential of a request.",
        "from": "Where its value comes from when nobody gives one. Only in shipped workflows and in overlays.",
    },
}

_TITLES: Final[Mapping[str, str]] = {
    "StepExtension": "On a step",
    "PollExtension": "poll, on a step",
    "EffectExtension": "effect, on a step",
    "ProbeExtension": "effect.probe",
    "KeyPolicy": "effect.idempotencyKey",
    "WorkflowExtension": "On a workflow",
    "InputExtension": "On the schema of an input",
}


def x_machine() -> str:
    """The page: a table for each object, in the order a reader needs them."""
    read = fields_read()
    parts = []
    for kind, title in _TITLES.items():
        rows = [
            [f"`{name}`", words, _default(kind, name), cell(MEANINGS[kind][name]).replace("\\`", "`")]
            for name, words in read[kind].items()
        ]
        parts += [f"## {title}", table(["field", "what it may be", "default", "what it says"], rows)]
    return page(
        "x-machine",
        "One object for everything the Arazzo Specification leaves to the engine. It may stand in a document, or in an "
        "OpenAPI Overlay given with `--overlay` for a document you cannot change; a field nobody knows is refused with "
        "its line. A duration is a text such as `30s`, `1h30m` or `500ms`, or a bare number of seconds.",
        *parts,
    )


def fields_read() -> dict[str, dict[str, str]]:
    """By the class that is made of it: each field of an object that is read, and what it may be."""
    tree = ast.parse(Path(extension.__file__).read_text(encoding="utf-8"))
    found: dict[str, dict[str, str]] = {}
    for scope in ast.walk(tree):
        if isinstance(scope, ast.ClassDef):
            found[scope.name] = dict(_taken(scope))
        elif isinstance(scope, ast.FunctionDef) and isinstance(scope.returns, ast.Name):
            found[scope.returns.id] = {**found.get(scope.returns.id, {}), **dict(_taken(scope))}
    return {kind: fields for kind, fields in found.items() if kind in _TITLES}


def _taken(scope: ast.AST) -> Iterator[tuple[str, str]]:
    """The calls ``fields.take("name", reader, default)`` of a reader."""
    calls = [node for node in ast.walk(scope) if isinstance(node, ast.Call) and len(node.args) == 3]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        match call:
            case ast.Call(func=ast.Attribute(attr="take"), args=[ast.Constant(value=str(name)), reader, _]):
                yield name, _kind(reader)


def _kind(reader: ast.expr) -> str:
    match reader:
        case ast.Call(func=ast.Name(id="_one_of"), args=words):
            return ", ".join(f"`{word.value}`" for word in words if isinstance(word, ast.Constant))
        case ast.Lambda(body=ast.Call(func=ast.Name(id=name))):
            return _KINDS[name]
        case ast.Name(id=name):
            return _KINDS[name]
    return "any value"


def _default(kind: str, name: str) -> str:
    value = _DEFAULTS.get(kind, {}).get(name)
    if value is None or value == ():
        return ""
    if isinstance(value, float) and name not in ("backoff", "jitter"):
        return f"`{_duration(value)}`"
    return f"`{value}`"


def _duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
