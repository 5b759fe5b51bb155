"""The plain text of a Diagram: two tables, for a terminal, a log or a reader who sees no pictures.

Made from a Diagram, byte for byte the same for the same Diagram. Guards stand whole; the last column is never cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .model import Diagram, Edge, printable

__all__ = ["columns", "render_text"]


def render_text(diagram: Diagram) -> str:
    """The states in the plan's order, then every move. With a run's history: how often each was entered or taken, how
    long the run was there, and a ``>`` where it is; the move it made last has a ``>`` too."""
    names = {node.id: f"{node.group} {node.name}".strip() for node in diagram.nodes}
    groups = {group.id: group.title for group in diagram.groups}
    states = [["", "STATE", "PHASE", *(["VISITS", "TIME"] if diagram.traced else []), "DOES"]]
    for node in diagram.nodes:
        run = [str(node.visits or ""), node.lasted] if diagram.traced else []
        where = f"{groups[node.group]} / " if node.group else ""
        does = node.subtitle.replace("\n", ", ")
        states.append([">" if node.current else "", where + node.name, node.look, *run, does])
        names[node.id] = where + node.name
    moves = [["", "FROM", "TO", *(["TAKEN"] if diagram.traced else []), "BY", "WHEN"]]
    for edge in diagram.edges:
        run = [str(edge.visits or "")] if diagram.traced else []
        for label, guard in _reasons(edge):
            mark = ">" if edge.last else ""
            moves.append([mark, names[edge.source], names[edge.target], *run, label, guard])
            run = [""] if diagram.traced else []
    lines = [printable(line) for line in (diagram.title, diagram.subtitle) if line]
    return "\n".join([*lines, "", *columns(states), "", *columns(moves), ""])


def _reasons(edge: Edge) -> Iterator[tuple[str, str]]:
    for label, guard in zip(edge.label.split("\n"), edge.guard.split("\n"), strict=True):
        yield label, f"{guard} ({edge.retry})" if edge.retry else guard


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as aligned columns; the last column is neither padded nor cut."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[number]) for row in shown) for number in range(len(shown[0]) - 1)] if shown else []
    for row in shown:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join([*cells, row[-1]]).rstrip()
