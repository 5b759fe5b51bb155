"""The DOT text of a Diagram: the one file that knows Graphviz's syntax.

Made from a Diagram, byte for byte the same for the same Diagram. Every string is quoted and escaped here, labels are
never HTML-like, and no attribute that could link or fetch (URL, href, tooltip, image) is ever written: a name out of a
document can be ugly, but not active.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .colours import FAINT, LOOKS, PALE, PAPER, RULE, TAKEN, WORDS
from .model import Diagram, Edge, Node, printable, wrap

__all__ = ["render_dot"]

_TITLE_WIDTH = 80
_LEGEND_WIDTH = 110
_NAME_WIDTH = 34
_TEXT_WIDTH = 34

_DOCUMENT = frozenset({"action", "next"})
"""Rules that are the document's own words or order: drawn dark and as straight as can be; the machine's are grey."""

_GRAPH = {
    "rankdir": "TB",
    "bgcolor": PAPER,
    "pad": "0.3",
    "nodesep": "0.35",
    "ranksep": "0.55",
    "fontname": "Helvetica,Arial,sans-serif",
    "fontsize": "18",
    "fontcolor": WORDS,
    "labelloc": "t",
}
_NODE = {
    "shape": "box",
    "style": "rounded,filled",
    "margin": "0.22,0.12",
    "fontname": "Helvetica,Arial,sans-serif",
    "fontsize": "13",
}
_EDGE = {
    "arrowsize": "0.8",
    "fontname": "Helvetica,Arial,sans-serif",
    "fontsize": "11",
}
_KEY = {"class": "key", "fontsize": "10", "margin": "0.08,0.03", "height": "0.25"}
_ENDS = frozenset({"ready", "failed"})
"""Looks of boxes that are ends, which the key shows as such."""
_LOOP = {"tailport": "ne", "headport": "se"}
"""Corner to corner: between other ports Graphviz draws the second labelled loop of a state through the first label."""
_LEFT = {"tailport": "nw", "headport": "sw"}
"""The same on the other side, for a state in a column whose ends stand to its right."""

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "&": "&amp;"})
"""A backslash begins an escape in labels (escString), a quote ends the string, and Graphviz reads HTML entities even in
plain labels: all three are written so that they stand for themselves."""


def render_dot(diagram: Diagram) -> str:
    """The diagram as a DOT graph: nodes ``n0`` onwards in the diagram's order, ``start``, and a key ``k0`` onwards.

    ``id`` attributes are the ids of states and transitions, so that a page can restyle them in an SVG.
    """
    names = {node.id: f"n{index}" for index, node in enumerate(diagram.nodes)}
    doubts = {node.id for node in diagram.nodes if node.kind == "doubt"}
    under = wrap(diagram.subtitle, _TITLE_WIDTH) if diagram.subtitle else []
    title = _label([*wrap(printable(diagram.title), _TITLE_WIDTH), *under, ""])
    lines = [
        "digraph machine {",
        f"  graph [{_attributes(_GRAPH | {'label': title})}];",
        f"  node [{_attributes(_NODE)}];",
        f"  edge [{_attributes(_EDGE)}];",
    ]
    column = {node.id for node in diagram.nodes if diagram.large and node.kind in ("call", "workflow")}
    lines += [
        f"  {names[node.id]} [{_attributes(_node(node, diagram.traced, column=node.id in column))}];"
        for node in diagram.nodes
    ]
    lines += _clusters(diagram, names)
    lines += _start(diagram, names)
    for edge in diagram.edges:
        doubtful = not doubts.isdisjoint((edge.source, edge.target))
        look = _edge(edge, traced=diagram.traced, doubtful=doubtful, loop=_LEFT if edge.source in column else _LOOP)
        lines.append(f"  {names[edge.source]} -> {names[edge.target]} [{_attributes(look)}];")
    lines += _key(diagram)
    lines += _legend(diagram)
    return "\n".join([*lines, "}", ""])


def _node(node: Node, traced: bool, *, column: bool) -> dict[str, str]:
    look = FAINT if traced and not node.visits and not node.current else LOOKS[node.look]
    lines = _bold(wrap(printable(node.name), _NAME_WIDTH))
    for line in node.subtitle.split("\n") if node.subtitle else ():
        lines += wrap(printable(line), _TEXT_WIDTH)
    lines += filter(None, [node.stay])
    return {
        **_ids(node.id, "state"),
        "label": _label(lines),
        "fillcolor": look.fill,
        "color": TAKEN if node.current else look.line,
        "fontcolor": look.text,
        "penwidth": "4" if node.current else "1.4",
        **_shape(node.look, final=node.kind == "final"),
        **({"group": node.group or "main"} if column else {}),
    }


def _shape(look: str, *, final: bool) -> dict[str, str]:
    """What tells a box from others without any colour: doubt is dashed, an end has two borders, a bad one corners."""
    dashed = {"style": "rounded,filled,dashed"} if look == "doubt" else {}
    corners = {"shape": "octagon", "style": "filled", "margin": "0.02,0.02"} if final and look == "failed" else {}
    return {**dashed, **corners, **({"peripheries": "2"} if final else {})}


def _clusters(diagram: Diagram, names: Mapping[str, str]) -> Iterable[str]:
    """A frame around the nodes of each workflow that another one runs."""
    for number, group in enumerate(diagram.groups):
        look = {"label": _label(wrap(printable(group.title), _TITLE_WIDTH)), "color": RULE, "style": "rounded"}
        members = "; ".join(names[node.id] for node in diagram.nodes if node.group == group.id)
        yield f"  subgraph cluster_{number} {{"
        yield f"    graph [{_attributes(look | {'fontsize': '13', 'margin': '12'})}];"
        yield f"    {members};"
        yield "  }"


def _start(diagram: Diagram, names: Mapping[str, str]) -> Iterable[str]:
    """The point and the arrow that say where a run begins."""
    point = {"shape": "point", "width": "0.14", "color": WORDS, "fillcolor": WORDS, "label": ""}
    arrow = {"color": WORDS, "penwidth": "2.4" if diagram.traced else "1.2"}
    yield f"  start [{_attributes(point)}];"
    yield from (f"  start -> {names[node.id]} [{_attributes(arrow)}];" for node in diagram.nodes if node.initial)


def _edge(edge: Edge, *, traced: bool, doubtful: bool, loop: Mapping[str, str]) -> dict[str, str]:
    document = edge.rule in _DOCUMENT
    lines = [part for line in edge.caption(traced=traced, whole=False) for part in _balanced(line)]
    color = LOOKS["doubt"].line if doubtful else WORDS if document else RULE
    text, width = color, "1.2"
    if traced:
        color, text, width = (
            (TAKEN, TAKEN, "4.2" if edge.last else "2.6") if edge.visits else (FAINT.line, FAINT.text, "1")
        )
    return {
        **_ids(edge.id, "action" if document else "rule"),
        "label": _label(f"  {part}  " for part in (_bold(lines) if document else lines)),
        "color": color,
        "fontcolor": text,
        "penwidth": width,
        **({"style": "dashed"} if doubtful else {"style": "dotted"} if edge.rule == "runs" else {}),
        **({"weight": "6"} if document and not doubtful else {}),
        **(loop if edge.loop else {}),
    }


def _bold(lines: list[str]) -> list[str]:
    """The lines, the first with room around it: a picture shows it in bold, and Graphviz measures it as if it were
    not."""
    room = " " * (len(lines[0]) // 6)
    return [f"{room}{lines[0]}{room}", *lines[1:]]


def _balanced(text: str) -> list[str]:
    """The fewest lines that are narrow enough, made as equally long as can be."""
    text = printable(text)
    lines = wrap(text, _TEXT_WIDTH)
    widths = range(max(len(text) // len(lines), 1), _TEXT_WIDTH)
    return next((even for width in widths if len(even := wrap(text, width)) == len(lines)), lines)


def _key(diagram: Diagram) -> Iterable[str]:
    """What the colours mean: one small box for each look that occurs."""
    used = {node.look for node in diagram.nodes}
    shown = [(name, look) for name, look in LOOKS.items() if name in used]
    yield "  subgraph cluster_key {"
    yield f'    graph [label="", color="{PALE}", style="rounded", margin="10"];'
    yield f"    node [{_attributes(_KEY)}];"
    for index, (name, look) in enumerate(shown):
        label = "in doubt" if name == "doubt" else name
        box = {"label": label, "fillcolor": look.fill, "color": look.line, "fontcolor": look.text}
        box |= _shape(name, final=name in _ENDS)
        yield f"    k{index} [{_attributes(box)}];"
    yield "    { rank=same; " + "; ".join(f"k{index}" for index in range(len(shown))) + "; }"
    yield "  }"


def _legend(diagram: Diagram) -> Iterable[str]:
    """The guards that stand beside their edges in short or not at all: whole, wrapped, below everything else."""
    if not diagram.legend:
        return
    lines: list[str] = []
    for label, guard in diagram.legend:
        first, *rest = wrap(f"{label}: {guard}", _LEGEND_WIDTH)
        lines += [first, *(f"    {line}" for line in rest)]
    text = "".join(line.translate(_ESCAPES) + "\\l" for line in lines)
    look = {"shape": "box", "style": "rounded,filled", "fillcolor": PAPER, "color": PALE, "fontcolor": WORDS}
    # Wider than it has to be: a reader's font may be wider than the one Graphviz measures with.
    box = {"label": text, "fontsize": "10", "margin": "0.4,0.14", **look, "class": "legend"}
    yield f"  legend [{_attributes(box)}];"
    finals = [f"n{number}" for number, node in enumerate(diagram.nodes) if node.kind == "final"]
    # Below the ends, by edges nobody sees: on a rank of its own it would be laid out beside the first state.
    yield from (f'  {name} -> legend [style="invis"];' for name in dict.fromkeys([*finals[:1], *finals[-1:]]))


def _ids(text: str, group: str) -> dict[str, str]:
    """The ``id`` attribute, where it is the name we generate; a stored plan that says otherwise gets none."""
    return {"id": text, "class": group} if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,200}", text) else {"class": group}


def _label(lines: Iterable[str]) -> str:
    """Centred lines in escaped form."""
    return "\\n".join(line.translate(_ESCAPES) for line in lines)


def _attributes(values: Mapping[str, str]) -> str:
    """An attribute list; the values are constants of this file or escaped by :func:`_label` or :func:`_ids`."""
    return ", ".join(f'{name}="{value}"' for name, value in values.items())
