"""The Mermaid text of a Diagram, for places that draw it themselves: README files, wikis, pull requests.

Made from a Diagram, byte for byte the same for the same Diagram. Mermaid has no string syntax that nothing can leave,
so every character of a document that its grammar could take for its own is written as an entity code (``#35;``), which
Mermaid turns back into text after parsing. States have generated aliases; names stand only inside labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .colours import CURRENT, LOOKS
from .model import Diagram, printable, wrap

__all__ = ["render_mermaid"]

_WIDTH = 34
_PLAIN = frozenset(" ,.?=!|/()$+-_'")
"""ASCII punctuation that means nothing inside a label; letters and digits besides."""


def render_mermaid(diagram: Diagram) -> str:
    """The diagram as a ``stateDiagram-v2``: states ``s_0`` onwards in the diagram's order, one class per phase.

    With a run's history, the states it was in say how long, the moves it made how often (``x3``), and the state it is
    in has a heavy border.
    """
    names = {node.id: f"s_{index}" for index, node in enumerate(diagram.nodes)}
    groups = {node.id: node.group for node in diagram.nodes}
    lines = ["stateDiagram-v2", f"  %% {_escaped(diagram.title)}"]
    lines += _states("", diagram, names)
    lines += [f"  [*] --> {names[node.id]}" for node in diagram.nodes if node.initial]
    lines += _moves("", diagram, names)
    for group in diagram.groups:
        inside = [*_states(group.id, diagram, names), *_moves(group.id, diagram, names)]
        lines += [f'  state "{_label([group.title])}" as {group.id} {{', *(f"  {line}" for line in inside), "  }"]
    for edge in diagram.edges:
        if edge.rule == "runs":
            # Mermaid draws no edge between the insides of two composite states, only between the states themselves.
            source, target = groups[edge.source] or names[edge.source], groups[edge.target] or names[edge.target]
            lines.append(f"  {source} --> {target} : {_label(edge.caption(traced=diagram.traced))}")
    if not diagram.large:
        # Arrows from many ends to one point would run across everything else.
        lines += [f"  {names[node.id]} --> [*]" for node in diagram.nodes if node.kind == "final" and not node.group]
    for name, look in LOOKS.items():
        members = [names[node.id] for node in diagram.nodes if node.look == name]
        if members:
            dashed = ",stroke-dasharray:5 4" if name == "doubt" else ""
            lines.append(f"  classDef {name} fill:{look.fill},stroke:{look.line},color:{look.text}{dashed}")
            lines.append(f"  class {','.join(members)} {name}")
    current = [names[node.id] for node in diagram.nodes if node.current]
    if current:
        lines.append(f"  classDef current stroke:{CURRENT},stroke-width:4px")
        lines.append(f"  class {','.join(current)} current")
    return "\n".join([*lines, ""])


def _states(group: str, diagram: Diagram, names: Mapping[str, str]) -> Iterable[str]:
    """The states of one workflow."""
    for node in diagram.nodes:
        if node.group == group:
            label = filter(None, [node.name, *node.subtitle.split("\n"), node.stay])
            yield f'  state "{_label(label)}" as {names[node.id]}'


def _moves(group: str, diagram: Diagram, names: Mapping[str, str]) -> Iterable[str]:
    """The edges inside one workflow."""
    members = {node.id for node in diagram.nodes if node.group == group}
    for edge in diagram.edges:
        if edge.rule != "runs" and edge.source in members:
            yield f"  {names[edge.source]} --> {names[edge.target]} : {_label(edge.caption(traced=diagram.traced))}"


def _label(lines: Iterable[str]) -> str:
    return "<br/>".join(_escaped(part) for line in lines for part in wrap(printable(line), _WIDTH))


_DIRECTION = re.compile(r"(directio)n(?= )", re.IGNORECASE)
"""``direction TB`` is a statement for Mermaid's lexer wherever in a line it stands, labels included."""


def _escaped(text: str) -> str:
    escaped = "".join(map(_code, printable(text)))
    return _DIRECTION.sub(lambda match: f"{match[1]}#{ord(match[0][-1])};", escaped)


def _code(character: str) -> str:
    if character == '"':
        return "#quot;"
    if not character.isascii() or character.isalnum() or character in _PLAIN:
        return character
    return f"#{ord(character)};"
