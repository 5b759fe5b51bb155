"""What a plan needs from outside before it can run: files for its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..expressions.template import ListTemplate, ObjectTemplate, Template, Whole
from ..sources.model import is_json_type, media_type
from .model import CallPlan, Plan

__all__ = ["file_inputs"]


def file_inputs(plan: Plan) -> frozenset[str]:
    """The inputs whose value may be a file that is sent as it is: their schema says so, or they are the whole of a body
    that is no JSON, or of a part of a multipart body."""
    declared = {one.name for one in plan.inputs if not one.secret and _is_bytes(one.schema)}
    secret = set(plan.secrets)
    sent = {name for call in plan.calls.values() for name in _sent_whole(call) if name not in secret}
    return frozenset(declared | sent)


def _is_bytes(schema: Mapping[str, Any]) -> bool:
    """OpenAPI 3.0 says ``format: binary``; JSON Schema 2020-12 a media type without an encoding into text."""
    kind = schema.get("contentMediaType")
    raw = isinstance(kind, str) and "contentEncoding" not in schema and not is_json_type(kind)
    return schema.get("format") == "binary" or raw


def _sent_whole(call: CallPlan) -> Iterator[str]:
    body = call.body
    types = [media_type(one) for one in ([call.content_type] if call.content_type else call.operation.body_types)]
    if isinstance(body, Whole) and types and not any(is_json_type(one) for one in types):
        yield from _input(body)
    elif isinstance(body, ObjectTemplate) and "multipart/form-data" in types:
        for _, member in body.members:
            for item in member.items if isinstance(member, ListTemplate) else (member,):
                yield from _input(item)


def _input(template: Template) -> Iterator[str]:
    """The input an expression is the whole of."""
    if isinstance(template, Whole):
        expression = template.expression
        if expression.root == "inputs" and expression.name and not expression.pointer:
            yield expression.name
