"""Pictures of a Plan as pure text, optionally with the history of a run on them.

SVG is made of the DOT text by ``machine.runtime.layout``, because only a program can lay a graph out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..chart.snapshot import Record
from ..plan.model import Plan
from .dot import render_dot
from .mermaid import render_mermaid
from .model import Diagram, Edge, Node, diagram_of
from .table import render_text

__all__ = ["Diagram", "Edge", "Format", "Node", "diagram_of", "render", "render_dot", "render_mermaid", "render_text"]

Format = Literal["dot", "mermaid", "text"]


def render(plan: Plan, *, format: Format, records: Sequence[Record] = (), current: str = "") -> str:
    """The plan drawn in one format; see :func:`diagram_of` for ``records``, ``current`` and the error raised."""
    diagram = diagram_of(plan, records=records, current=current)
    renderers = {"dot": render_dot, "mermaid": render_mermaid, "text": render_text}
    return renderers[format](diagram)
