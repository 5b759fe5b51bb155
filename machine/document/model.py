"""The Document: an Arazzo description as frozen values, one class per object of the specification, in its order.

Made by ``document/read.py`` from a positioned tree that ``document/rules.py`` found sound. Expressions and
conditions are still text here; ``plan/`` compiles them. Nothing here does I/O.

Every object carries ``place``, so that whatever is said about it later can name line and column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import Place
from .positions import Tree, below

__all__ = [
    "Action",
    "Criterion",
    "Document",
    "Parameter",
    "Replacement",
    "RequestBody",
    "SourceDescription",
    "Step",
    "Workflow",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """Parameter Object: one value for an operation's parameter (``location`` is the field ``in``)."""

    name: str
    value: Any
    location: str = ""
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """Payload Replacement Object: a spot in the payload and the value that goes there."""

    target: str
    value: Any
    selector: str = ""
    """The field ``targetSelectorType`` (1.1): jsonpointer, jsonpath or xpath; empty where the document is silent."""
    version: str = ""
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBody:
    """Request Body Object; ``payload`` may hold runtime expressions in its strings."""

    content_type: str = ""
    payload: Any = None
    has_payload: bool = False
    replacements: tuple[Replacement, ...] = ()
    """Applied to the evaluated payload, in this order."""
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """Criterion Object: a condition and the language it is written in."""

    condition: str
    type: str = "simple"
    version: str = ""
    context: str | None = None
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Success Action Object or Failure Action Object."""

    name: str
    kind: Literal["success", "failure"]
    type: Literal["end", "goto", "retry"]
    step_id: str = ""
    workflow_id: str = ""
    retry_after: float | None = None
    """Seconds; None where the document is silent."""
    retry_limit: int | None = None
    criteria: tuple[Criterion, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    """What the workflow named by ``workflow_id`` gets as inputs (1.1)."""
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Step Object. An empty string or None stands for an absent field."""

    step_id: str
    description: str = ""
    operation_id: str = ""
    operation_path: str = ""
    workflow_id: str = ""
    channel_path: str = ""
    """An AsyncAPI channel (1.1)."""
    message_action: Literal["", "send", "receive"] = ""
    """The field ``action`` of a step on an AsyncAPI channel or operation (1.1)."""
    depends_on: tuple[str, ...] = ()
    """Steps that must have completed before this one begins (1.1); waits for them, never starts them."""
    parameters: tuple[Parameter, ...] = ()
    request_body: RequestBody | None = None
    success_criteria: tuple[Criterion, ...] = ()
    on_success: tuple[Action, ...] | None = None
    """None when omitted: the next step follows. Present and empty is not the same."""
    on_failure: tuple[Action, ...] | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    timeout_ms: int | None = None
    extension: Mapping[str, Any] = field(default_factory=dict)
    """The object under ``x-machine``, as written."""
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """Workflow Object."""

    workflow_id: str
    summary: str = ""
    description: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """The JSON Schema of the inputs, standing alone: what it refers to stands in its own ``$defs``."""
    depends_on: tuple[str, ...] = ()
    """Workflows that must have completed before this one begins, as written."""
    steps: tuple[Step, ...]
    parameters: tuple[Parameter, ...] = ()
    success_actions: tuple[Action, ...] = ()
    failure_actions: tuple[Action, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    extension: Mapping[str, Any] = field(default_factory=dict)
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDescription:
    """Source Description Object; ``type`` is empty when the document leaves it to the reader."""

    name: str
    url: str
    type: str = ""
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Arazzo Specification Object: the root of one document."""

    arazzo: str
    title: str
    version: str
    sources: tuple[SourceDescription, ...]
    workflows: tuple[Workflow, ...]
    self_uri: str = ""
    """The field ``$self`` (1.1) as written: what other documents know this one by."""
    uri: str = ""
    """The path or URL the text was read from, as the user gave it."""
    sha256: str = ""
    """Hex digest of the bytes that were read."""
    tree: Mapping[str, Any] = field(default_factory=dict)
    """The whole description as plain JSON values."""
    text: Tree | None = field(default=None, repr=False, compare=False)
    """Where everything in ``tree`` stands."""

    @property
    def minor(self) -> str:
        """The feature set, ``1.0`` or ``1.1``: the patch number carries no meaning (section "Versions")."""
        return ".".join(self.arazzo.split(".")[:2])

    def place(self, pointer: str) -> Place:
        """Where the value at a JSON Pointer stands."""
        return self.text.place(pointer) if self.text else Place(document=self.uri, pointer=pointer)

    def inside(self, place: Place, *steps: str | int) -> Place:
        """Where something inside the value at a place stands: at these keys and indexes."""
        return self.place(below(place.pointer, *steps))

    def workflow(self, workflow_id: str) -> Workflow | None:
        return next((one for one in self.workflows if one.workflow_id == workflow_id), None)
