"""What a document points at: OpenAPI descriptions -> Operations, and Operations with values -> Requests."""

from __future__ import annotations

from .model import Operation, ParameterSpec, Request, SecurityScheme, Source, is_json_type, media_type
from .openapi import read_openapi
from .operations import find_operation, find_operation_path
from .resolve import locate
from .serialise import build_request

__all__ = [
    "Operation",
    "ParameterSpec",
    "Request",
    "SecurityScheme",
    "Source",
    "build_request",
    "find_operation",
    "find_operation_path",
    "is_json_type",
    "locate",
    "media_type",
    "read_openapi",
]
