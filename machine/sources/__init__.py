"""What a document points at: OpenAPI descriptions -> Operations, and Operations with values -> Requests."""

from __future__ import annotations

from .model import Operation, ParameterSpec, Request, SecurityScheme, Source, is_json_type, media_type
from .openapi import find_operation, find_operation_path, read_openapi
from .resolve import load_sources, locate
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
    "load_sources",
    "locate",
    "media_type",
    "read_openapi",
]
