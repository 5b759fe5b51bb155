"""Text -> Document: parse, check, and build the frozen model of one Arazzo description.

References inside the document (Reusable Objects, the ``$ref`` of inputs) are replaced by what they name, so that no
later layer meets them. Opens no file: the caller read the bytes, and sources are found by ``sources/``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeVar

from ..errors import DocumentError
from .findings import Finding, raise_if_errors
from .load import parse
from .model import (
    Action,
    Criterion,
    Document,
    Parameter,
    Replacement,
    RequestBody,
    SourceDescription,
    Step,
    Workflow,
)
from .positions import Tree
from .references import component, is_reusable
from .rules import check
from .schemas import InputSchemas

__all__ = ["build_document", "load_document"]

_Object = Mapping[str, Any]
_Made = TypeVar("_Made")


def load_document(data: bytes | str, *, uri: str = "") -> tuple[Document, tuple[Finding, ...]]:
    """The document, and the findings that do not keep it from being compiled (warnings and infos).

    ``uri`` is the path or URL as the user gave it; it only names the document. Raises DocumentError: AZM-D0xx when
    the text cannot be read at all, otherwise with every finding at once and the code of the first error.
    """
    tree = parse(data, uri=uri)
    return build_document(tree)


def build_document(tree: Tree) -> tuple[Document, tuple[Finding, ...]]:
    """As :func:`load_document`, from a tree that was parsed (and perhaps overlaid) before."""
    findings = check(tree)
    raise_if_errors(findings)
    if not isinstance(tree.value, dict):
        raise DocumentError("an Arazzo description is an object", code="AZM-D119", place=tree.place(""))
    return _Reader(tree).document(), findings


class _Reader:
    """Builds the model of one tree without errors. A component is built once and shared by all who refer to it, so
    that a short document cannot grow large by its references."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._root: dict[str, Any] = tree.value
        self._schemas = InputSchemas(tree.value)
        self._parameters: dict[str, Parameter] = {}
        self._actions: dict[str, Action] = {}

    def document(self) -> Document:
        root, info = self._root, self._root["info"]
        return Document(
            arazzo=root["arazzo"],
            title=info["title"],
            version=info["version"],
            sources=tuple(
                SourceDescription(
                    name=one["name"], url=one["url"], type=one.get("type", ""), place=self._tree.place(pointer)
                )
                for pointer, one in _items(root, "sourceDescriptions", "")
            ),
            workflows=tuple(self._workflow(one, pointer) for pointer, one in _items(root, "workflows", "")),
            self_uri=root.get("$self", ""),
            uri=self._tree.uri,
            sha256=self._tree.sha256,
            tree=root,
            text=self._tree,
        )

    def _workflow(self, value: _Object, pointer: str) -> Workflow:
        return Workflow(
            workflow_id=value["workflowId"],
            summary=value.get("summary", ""),
            description=value.get("description", ""),
            inputs=self._schemas.alone(value.get("inputs", {})) or {},
            depends_on=tuple(value.get("dependsOn", ())),
            steps=tuple(self._step(one, at) for at, one in _items(value, "steps", pointer)),
            parameters=self._parameter_list(value, pointer),
            success_actions=self._action_list(value, "successActions", "success", pointer),
            failure_actions=self._action_list(value, "failureActions", "failure", pointer),
            outputs=value.get("outputs", {}),
            extension=value.get("x-machine", {}),
            place=self._tree.place(pointer),
        )

    def _step(self, value: _Object, pointer: str) -> Step:
        body = value.get("requestBody")
        timeout = value.get("timeout")
        return Step(
            step_id=value["stepId"],
            description=value.get("description", ""),
            operation_id=value.get("operationId", ""),
            operation_path=value.get("operationPath", ""),
            workflow_id=value.get("workflowId", ""),
            channel_path=value.get("channelPath", ""),
            message_action=value.get("action", ""),
            depends_on=tuple(value.get("dependsOn", ())),
            parameters=self._parameter_list(value, pointer),
            request_body=None if body is None else self._request_body(body, f"{pointer}/requestBody"),
            success_criteria=self._criteria(value, "successCriteria", pointer),
            on_success=self._action_list(value, "onSuccess", "success", pointer) if "onSuccess" in value else None,
            on_failure=self._action_list(value, "onFailure", "failure", pointer) if "onFailure" in value else None,
            outputs=value.get("outputs", {}),
            timeout_ms=None if timeout is None else int(timeout),
            extension=value.get("x-machine", {}),
            place=self._tree.place(pointer),
        )

    def _request_body(self, value: _Object, pointer: str) -> RequestBody:
        return RequestBody(
            content_type=value.get("contentType", ""),
            payload=value.get("payload"),
            has_payload="payload" in value,
            replacements=tuple(self._replacement(one, at) for at, one in _items(value, "replacements", pointer)),
            place=self._tree.place(pointer),
        )

    def _replacement(self, value: _Object, pointer: str) -> Replacement:
        selector, version = _expression_type(value.get("targetSelectorType", ""))
        return Replacement(
            target=value["target"],
            value=value["value"],
            selector=selector,
            version=version,
            place=self._tree.place(pointer),
        )

    def _criteria(self, owner: _Object, name: str, pointer: str) -> tuple[Criterion, ...]:
        return tuple(self._criterion(one, at) for at, one in _items(owner, name, pointer))

    def _criterion(self, value: _Object, pointer: str) -> Criterion:
        kind, version = _expression_type(value.get("type", "simple"))
        return Criterion(
            condition=value["condition"],
            type=kind,
            version=version or value.get("version", ""),
            context=value.get("context"),
            place=self._tree.place(pointer),
        )

    def _parameter_list(self, owner: _Object, pointer: str) -> tuple[Parameter, ...]:
        made = []
        for at, item in _items(owner, "parameters", pointer):
            if not is_reusable(item):
                made.append(self._parameter(item, at))
                continue
            shared = self._shared("parameters", item, self._parameters, self._parameter)
            # "Reusable Object": a value beside the reference takes the place of the component's own.
            made.append(replace(shared, value=item["value"], place=self._tree.place(at)) if "value" in item else shared)
        return tuple(made)

    def _parameter(self, value: _Object, pointer: str) -> Parameter:
        return Parameter(
            name=value["name"], value=value["value"], location=value.get("in", ""), place=self._tree.place(pointer)
        )

    def _action_list(
        self, owner: _Object, name: str, kind: Literal["success", "failure"], pointer: str
    ) -> tuple[Action, ...]:
        def build(value: _Object, at: str) -> Action:
            return self._action(value, kind, at)

        shelf = f"{kind}Actions"
        return tuple(
            self._shared(shelf, item, self._actions, build) if is_reusable(item) else build(item, at)
            for at, item in _items(owner, name, pointer)
        )

    def _action(self, value: _Object, kind: Literal["success", "failure"], pointer: str) -> Action:
        after, limit = value.get("retryAfter"), value.get("retryLimit")
        return Action(
            name=value["name"],
            kind=kind,
            type=value["type"],
            step_id=value.get("stepId", ""),
            workflow_id=value.get("workflowId", ""),
            retry_after=None if after is None else float(after),
            retry_limit=None if limit is None else int(limit),
            criteria=self._criteria(value, "criteria", pointer),
            parameters=self._parameter_list(value, pointer),
            place=self._tree.place(pointer),
        )

    def _shared(
        self, kind: str, item: _Object, made: dict[str, _Made], build: Callable[[_Object, str], _Made]
    ) -> _Made:
        """The member of Components a Reusable Object names, built the first time it is asked for."""
        reference: str = item["reference"]
        if reference not in made:
            name = reference.removeprefix(f"$components.{kind}.")
            made[reference] = build(component(self._root, kind, item) or {}, f"/components/{kind}/{name}")
        return made[reference]


def _items(owner: _Object, name: str, pointer: str) -> list[tuple[str, _Object]]:
    """The entries of a list with their pointers; an absent list has none."""
    return [(f"{pointer}/{name}/{index}", item) for index, item in enumerate(owner.get(name, ()))]


def _expression_type(value: str | _Object) -> tuple[str, str]:
    """Type and version, written as a word or as an Expression Type Object."""
    return (value, "") if isinstance(value, str) else (value["type"], value.get("version", ""))
