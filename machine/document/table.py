"""The objects of the Arazzo Specification as a table: their fields, and what each field may hold.

Data only; ``document/rules.py`` applies it. Where the text and the published JSON Schemas of the specification
disagree, the text is obeyed. Sections are those of Arazzo 1.0.1 and 1.1.0, which share their titles.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ["COMPONENT_NAME", "MAX_NUMBER", "OBJECTS", "SELECTOR_VERSIONS", "Field", "ObjectRule", "Version"]

Version = Literal["1.0", "1.1"]
"""A feature set; the patch number never matters ("Versions")."""

COMPONENT_NAME: Final = r"[a-zA-Z0-9.\-_]+"
"""Keys of outputs and of the maps in Components ("Fixed Fields" of both)."""

MAX_NUMBER: Final = 10**12
"""More milliseconds than anybody waits, and few enough that every such number is also a float."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What one field may hold."""

    types: tuple[str, ...] = ("string",)
    """JSON type names; empty means any value."""
    required: bool = False
    since: Version = "1.0"
    until: Version = "1.1"
    choices: Mapping[str, Version] = field(default_factory=dict)
    """The strings allowed, each with the version that brought it; empty means any string."""
    tolerated: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Strings that 1.0 documents use although they may not: the code of the tolerance, and how they are read. 1.1
    documents may not."""
    instead: Mapping[str, str] = field(default_factory=dict)
    """By a string that is not allowed, what to write."""
    pattern: re.Pattern[str] | None = None
    """What a string must look like as a whole."""
    minimum: int | None = None
    """For numbers; MAX_NUMBER is the other end of every range."""
    filled: Version | None = None
    """From this version on an empty list is refused."""
    object: str = ""
    """The row of OBJECTS for the object itself, each entry of the list, or each value of the map."""
    map: bool = False
    """The object is a map with COMPONENT_NAME keys, not an object with fields."""
    reusable: str = ""
    """The map in Components whose members may stand here by reference."""
    identity: tuple[str, ...] = ()
    """The fields that together tell the entries of this list apart; ``("",)`` for a list of plain strings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRule:
    """One object of the specification."""

    title: str
    fields: Mapping[str, Field]


_NAME: Final = re.compile(r"[A-Za-z0-9_\-]+")
_FILLED: Final = re.compile(r".+", re.DOTALL)
_OBJECT: Final = ("object",)
_LIST: Final = ("array",)
_ANY: Final[tuple[str, ...]] = ()

_BOTH: Final[Version] = "1.0"
_NEW: Final[Version] = "1.1"

_PARAMETERS: Final = Field(types=_LIST, object="Parameter", reusable="parameters", identity=("name", "in"))
_ACTION_PARAMETERS: Final = Field(
    types=_LIST, object="Parameter", reusable="parameters", identity=("name", "in"), since=_NEW
)
_SUCCESS: Final = Field(types=_LIST, object="SuccessAction", reusable="successActions", identity=("name",))
_FAILURE: Final = Field(types=_LIST, object="FailureAction", reusable="failureActions", identity=("name",))
_OUTPUTS: Final = Field(types=_OBJECT, object="Output", map=True)
_SELECTOR_TYPE: Final = Field(
    types=("string", "object"),
    choices={"jsonpath": _NEW, "jsonpointer": _NEW, "xpath": _NEW},
    object="SelectorType",
    since=_NEW,
)

SELECTOR_VERSIONS: Final[Mapping[str, Mapping[str, Version]]] = {
    "jsonpath": {"draft-goessner-dispatch-jsonpath-00": _BOTH, "rfc9535": _NEW},
    "xpath": {"xpath-10": _BOTH, "xpath-20": _BOTH, "xpath-30": _BOTH, "xpath-31": _NEW},
    "jsonpointer": {"rfc6901": _NEW},
}
"""The versions an Expression Type Object may name, by its type."""

OBJECTS: Final[Mapping[str, ObjectRule]] = {
    "Arazzo": ObjectRule(
        title="Arazzo Description",
        fields={
            "arazzo": Field(types=_ANY, required=True),
            "$self": Field(pattern=re.compile(r"[^#]*"), since=_NEW),
            "info": Field(types=_OBJECT, required=True, object="Info"),
            "sourceDescriptions": Field(
                types=_LIST, required=True, filled=_BOTH, object="SourceDescription", identity=("name",)
            ),
            "workflows": Field(types=_LIST, required=True, filled=_BOTH, object="Workflow", identity=("workflowId",)),
            "components": Field(types=_OBJECT, object="Components"),
        },
    ),
    "Info": ObjectRule(
        title="Info Object",
        fields={
            "title": Field(required=True),
            "summary": Field(),
            "description": Field(),
            "version": Field(required=True),
        },
    ),
    "SourceDescription": ObjectRule(
        title="Source Description Object",
        fields={
            "name": Field(required=True, pattern=_NAME),
            "url": Field(required=True, pattern=_FILLED),
            "type": Field(choices={"openapi": _BOTH, "arazzo": _BOTH, "asyncapi": _NEW}),
        },
    ),
    "Workflow": ObjectRule(
        title="Workflow Object",
        fields={
            "workflowId": Field(required=True, pattern=_FILLED),
            "summary": Field(),
            "description": Field(),
            "inputs": Field(types=_OBJECT),
            "dependsOn": Field(types=_LIST, identity=("",)),
            "steps": Field(types=_LIST, required=True, filled=_BOTH, object="Step", identity=("stepId",)),
            "successActions": _SUCCESS,
            "failureActions": _FAILURE,
            "outputs": _OUTPUTS,
            "parameters": _PARAMETERS,
        },
    ),
    "Step": ObjectRule(
        title="Step Object",
        fields={
            "stepId": Field(required=True, pattern=_FILLED),
            "description": Field(),
            "operationId": Field(pattern=_FILLED),
            "operationPath": Field(pattern=_FILLED),
            "workflowId": Field(pattern=_FILLED),
            "channelPath": Field(pattern=_FILLED, since=_NEW),
            "action": Field(choices={"send": _NEW, "receive": _NEW}, since=_NEW),
            "correlationId": Field(types=_ANY, since=_NEW),
            "timeout": Field(types=("integer",), minimum=0, since=_NEW),
            "dependsOn": Field(types=_LIST, filled=_NEW, identity=("",), since=_NEW),
            "parameters": _PARAMETERS,
            "requestBody": Field(types=_OBJECT, object="RequestBody"),
            "successCriteria": Field(types=_LIST, filled=_NEW, object="Criterion"),
            "onSuccess": _SUCCESS,
            "onFailure": _FAILURE,
            "outputs": _OUTPUTS,
        },
    ),
    "Parameter": ObjectRule(
        title="Parameter Object",
        fields={
            "name": Field(required=True),
            "in": Field(
                choices={
                    "path": _BOTH,
                    "query": _BOTH,
                    "header": _BOTH,
                    "cookie": _BOTH,
                    "querystring": _NEW,
                    "channel": _NEW,
                },
                tolerated={"body": ("C12", "read as a member of the request body, as Arazzo 1.0.0 had it")},
                instead={"body": "make it a member of the payload of requestBody"},
            ),
            "value": Field(types=_ANY, required=True, object="Value"),
        },
    ),
    "RequestBody": ObjectRule(
        title="Request Body Object",
        fields={
            "contentType": Field(),
            "payload": Field(types=_ANY),
            "replacements": Field(types=_LIST, object="Replacement"),
        },
    ),
    "Replacement": ObjectRule(
        title="Payload Replacement Object",
        fields={
            "target": Field(required=True),
            "targetSelectorType": _SELECTOR_TYPE,
            "value": Field(types=_ANY, required=True, object="Value"),
        },
    ),
    "Criterion": ObjectRule(
        title="Criterion Object",
        fields={
            "context": Field(),
            "condition": Field(required=True),
            "type": Field(
                types=("string", "object"),
                choices={"simple": _BOTH, "regex": _BOTH, "jsonpath": _BOTH, "xpath": _BOTH},
                object="CriterionType",
            ),
            # The 1.0 schema wants the version here, beside the type; its text wants an object. Both are written.
            "version": Field(),
        },
    ),
    "CriterionType": ObjectRule(
        title="Expression Type Object",
        fields={
            "type": Field(required=True, choices={"jsonpath": _BOTH, "xpath": _BOTH}),
            "version": Field(),
        },
    ),
    "SelectorType": ObjectRule(
        title="Expression Type Object",
        fields={
            "type": Field(required=True, choices={"jsonpath": _NEW, "jsonpointer": _NEW, "xpath": _NEW}),
            "version": Field(),
        },
    ),
    "Selector": ObjectRule(
        title="Selector Object",
        fields={
            "context": Field(required=True),
            "selector": Field(required=True),
            "type": Field(
                types=_SELECTOR_TYPE.types, required=True, choices=_SELECTOR_TYPE.choices, object="SelectorType"
            ),
        },
    ),
    "SuccessAction": ObjectRule(
        title="Success Action Object",
        fields={
            "name": Field(required=True),
            "type": Field(
                required=True,
                choices={"end": _BOTH, "goto": _BOTH},
                tolerated={"retry": ("C8", "read as a loop on the same step, with its pace and its limit")},
                instead={"retry": "goto the step itself, with x-machine.poll for its pace; only onFailure can retry"},
            ),
            "workflowId": Field(pattern=_FILLED),
            "stepId": Field(pattern=_FILLED),
            "parameters": _ACTION_PARAMETERS,
            "criteria": Field(types=_LIST, object="Criterion"),
            "retryAfter": Field(types=("number",), minimum=0, until=_BOTH),
            "retryLimit": Field(types=("integer",), minimum=0, until=_BOTH),
        },
    ),
    "FailureAction": ObjectRule(
        title="Failure Action Object",
        fields={
            "name": Field(required=True),
            "type": Field(required=True, choices={"end": _BOTH, "goto": _BOTH, "retry": _BOTH}),
            "workflowId": Field(pattern=_FILLED),
            "stepId": Field(pattern=_FILLED),
            "parameters": _ACTION_PARAMETERS,
            "retryAfter": Field(types=("number",), minimum=0),
            "retryLimit": Field(types=("integer",), minimum=0),
            "criteria": Field(types=_LIST, object="Criterion"),
        },
    ),
    "Components": ObjectRule(
        title="Components Object",
        fields={
            "inputs": Field(types=_OBJECT, map=True, object="Schema"),
            "parameters": Field(types=_OBJECT, map=True, object="Parameter"),
            "successActions": Field(types=_OBJECT, map=True, object="SuccessAction"),
            "failureActions": Field(types=_OBJECT, map=True, object="FailureAction"),
        },
    ),
}
