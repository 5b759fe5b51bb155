"""Text -> Document: an Arazzo description as frozen values, every one of which knows its line and column."""

from __future__ import annotations

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
from .positions import Positions, Tree
from .read import build_document, load_document
from .rules import check

__all__ = [
    "Action",
    "Criterion",
    "Document",
    "Finding",
    "Parameter",
    "Positions",
    "Replacement",
    "RequestBody",
    "SourceDescription",
    "Step",
    "Tree",
    "Workflow",
    "build_document",
    "check",
    "load_document",
    "parse",
    "raise_if_errors",
]
