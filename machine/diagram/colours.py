"""The colours of every picture, by day and by night: the one place that names any.

A box is told from another by lightness first, so that a grey print keeps phases apart, by shape where lightness is not
enough (doubt is dashed, a bad end has corners), and by hue last. In an SVG each colour has a second one for readers
whose page is dark; :func:`night_style` writes them as a style sheet that the picture carries with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["CURRENT", "FAINT", "LOOKS", "NIGHT", "PALE", "PAPER", "RULE", "TAKEN", "WORDS", "Look", "night_style"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The colours of a box, the same in every format."""

    fill: str
    line: str
    text: str


LOOKS: Final[Mapping[str, Look]] = MappingProxyType(
    {
        "starting": Look(fill="#f8fafc", line="#64748b", text="#111827"),
        "created": Look(fill="#cfe2fe", line="#2563eb", text="#111827"),
        "polling": Look(fill="#8dbdf9", line="#1d4ed8", text="#0b1220"),
        "ready": Look(fill="#166534", line="#14532d", text="#f0fdf4"),
        "failed": Look(fill="#f0857f", line="#991b1b", text="#450a0a"),
        "doubt": Look(fill="#fef3c7", line="#b45309", text="#78350f"),
    }
)
"""By ``Node.look``."""

PAPER: Final = "#ffffff"
WORDS: Final = "#1f2937"
"""Titles, and the moves that are the document's own words or order."""
RULE: Final = "#667085"
"""The moves that the machine's own rules add."""
TAKEN: Final = "#0f172a"
"""What a run did, and the border of where it is."""
PALE: Final = "#e5e7eb"
"""Frames around what is not part of the machine."""
FAINT: Final = Look(fill=PAPER, line="#cbd5e1", text="#64748b")
"""What a run did not visit, where its history is drawn: it steps back, and can still be read."""
CURRENT: Final = "#ea580c"
"""The border of where a run is, in formats that cannot say two colours: it stands out on white and on black."""

NIGHT: Final[Mapping[str, str]] = MappingProxyType(
    {
        PAPER: "#0d1117",
        WORDS: "#e6edf3",
        RULE: "#9aa4af",
        TAKEN: "#ffffff",
        PALE: "#30363d",
        FAINT.line: "#3d444d",
        "#f8fafc": "#21262d",
        "#64748b": "#8b949e",
        "#111827": "#f0f6fc",
        "#cfe2fe": "#143f84",
        "#2563eb": "#58a6ff",
        "#8dbdf9": "#5b9cf8",
        "#1d4ed8": "#bfdbfe",
        "#0b1220": "#030711",
        "#166534": "#4ade80",
        "#14532d": "#86efac",
        "#f0fdf4": "#052e16",
        "#f0857f": "#a61b24",
        "#991b1b": "#ff8f88",
        "#450a0a": "#fff1f0",
        "#fef3c7": "#33240a",
        "#b45309": "#e3a53a",
        "#78350f": "#f5d68a",
    }
)
"""Every colour a picture is drawn in, and what it becomes on a dark page. The paper is that of the page itself on the
places that show most pictures of this kind, so that no white box stands in it."""

_PAINTED = re.compile(r' (fill|stroke)="(#[0-9a-f]{6})"')


def night_style(svg: str) -> str:
    """The style rules that turn this SVG's colours into those of the night; empty where it has none of ours."""
    painted = sorted({(kind, color) for kind, color in _PAINTED.findall(svg) if color in NIGHT})
    rules = "".join(f'[{kind}="{color}"]{{{kind}:{NIGHT[color]}}}' for kind, color in painted)
    return f"@media (prefers-color-scheme:dark){{{rules}}}" if rules else ""
