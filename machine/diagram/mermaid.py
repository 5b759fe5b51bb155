"""The Mermaid text of a Diagram, for places that draw it themselves: README files, wikis, pull requests.

Made from a Diagram, byte for byte the same for the same Diagram. Mermaid has no string syntax that nothing can leave,
so every character of a document that its grammar could take for its own is written as an entity code (``#35;``), which
Mermaid turns back into text after parsing. States have generated aliases; names stand only inside labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .model import LOOKS, Diagram, printable, wrap

__all__ = ["render_mermaid"]

_WIDTH = 34
_PLAIN = frozenset(" ,.?=!|/()$+-_'")
"""ASCII punctuation that means nothing inside a label; letters and digits besides."""


def render_mermaid(diagram: Diagram) -> str:
    """The diagram as a ``stateDiagram-v2``: states ``s_0`` onwards in the diagram's order, one class per phase.

    With a run's history, the moves it made carry how often (``x3``) and the state it is in has a heavy border.
    """
    names = {node.id: f"s_{index}" for index, node in enumerate(diagram.nodes)}
    lines = ["stateDiagram-v2", f"  %% {_escaped(diagram.title)}"]
    for node in diagram.nodes:
        label = [node.name, *(node.subtitle.split("\n") if node.subtitle else ())]
        lines.append(f'  state "{_label(label)}" as {names[node.id]}')
    lines += [f"  [*] --> {names[node.id]}" for node in diagram.nodes if node.initial]
    for edge in diagram.edges:
        caption = _label(edge.caption(traced=diagram.traced))
        lines.append(f"  {names[edge.source]} --> {names[edge.target]} : {caption}")
    lines += [f"  {names[node.id]} --> [*]" for node in diagram.nodes if node.kind == "final"]
    for name, look in LOOKS.items():
        members = [names[node.id] for node in diagram.nodes if node.look == name]
        if members:
            dashed = ",stroke-dasharray:5 4" if name == "doubt" else ""
            lines.append(f"  classDef {name} fill:{look.fill},stroke:{look.line},color:{look.text}{dashed}")
            lines.append(f"  class {','.join(members)} {name}")
    current = [names[node.id] for node in diagram.nodes if node.current]
    if current:
        lines.append("  classDef current stroke:#0f172a,stroke-width:4px")
        lines.append(f"  class {','.join(current)} current")
    return "\n".join([*lines, ""])


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
