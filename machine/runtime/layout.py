"""DOT text -> SVG text or PNG bytes, laid out by Graphviz in a process of its own, under a deadline, and checked.

Layout may take minutes on a graph that only looks harmless and is done by native code, so it never runs inside this
process. The ``dot`` program is used where there is one, else the pygraphviz package. What comes back is parsed and
refused if anything in it could run, link or load.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Final
from xml.etree import ElementTree

from ..diagram.colours import night_style
from ..diagram.model import printable
from ..errors import BugError, UsageError

__all__ = ["check_svg", "render_png", "render_svg"]

_CHILD: Final = (
    "import sys, pygraphviz\n"
    "graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode('utf-8'))\n"
    "sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog='dot', args=' '.join(sys.argv[2:])))\n"
)
_SHARP: Final[Mapping[str, tuple[str, ...]]] = {"svg": (), "png": ("-Gdpi=144",)}
"""Twice the usual dots, so that small print can be read."""
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_ELEMENTS: Final = frozenset({"svg", "g", "polygon", "polyline", "path", "ellipse", "text"})
"""All that Graphviz draws boxes, arrows and plain labels with."""
_SVG: Final = "{http://www.w3.org/2000/svg}"
_STYLE: Final = ".state text:first-of-type,.action text:first-of-type{font-weight:bold}"
"""Names in bold, which a plain DOT label cannot say. The classes are those ``diagram/dot.py`` writes."""


def render_svg(dot: str, *, timeout: float = 20.0) -> str:
    """The graph as one SVG element, which is dark on a dark page; ``timeout`` in seconds.

    The same DOT gives the same SVG as long as Graphviz and the fonts it measures with are the same. Raises UsageError
    AZM-U020 where Graphviz is not installed and AZM-U022 where layout takes too long; BugError where Graphviz refuses
    the text or draws something active.
    """
    svg = _normalised(_drawn(dot, "svg", b"<svg", timeout).decode())
    check_svg(svg)
    return svg.replace(">", f">\n<style>{_STYLE}{night_style(svg)}</style>", 1)


def render_png(dot: str, *, timeout: float = 20.0) -> bytes:
    """The graph as a PNG of 144 dots an inch. Raises as :func:`render_svg` does."""
    return _drawn(dot, "png", _PNG, timeout)


def _drawn(dot: str, form: str, mark: bytes, timeout: float) -> bytes:
    """What Graphviz makes of the text, in which ``mark`` has to stand."""
    try:
        done = subprocess.run(_command(form), input=dot.encode(), capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise UsageError(
            f"laying the diagram out took more than {timeout:g} s",
            code="AZM-U022",
            next="use --format dot or --format mermaid, and lay it out elsewhere",
        ) from error
    if done.returncode != 0 or mark not in done.stdout:
        last = printable(done.stderr.decode(errors="replace").strip().rpartition("\n")[2])[:200]
        seen = f"exit status {done.returncode}: {last}"
        raise BugError("Graphviz did not draw the diagram", code="AZM-B020", seen=seen)
    return done.stdout


def _command(form: str) -> list[str]:
    program = shutil.which("dot")
    if program is not None:
        return [program, f"-T{form}", *_SHARP[form]]
    if importlib.util.find_spec("pygraphviz") is not None:
        # -P: with -c the working directory would come first on the path, and with it whatever lies there.
        return [sys.executable, "-P", "-c", _CHILD, form, *_SHARP[form]]
    raise UsageError(
        "drawing SVG and PNG needs Graphviz",
        code="AZM-U020",
        next="install Graphviz, or 'arazzo-machine[diagrams]' as this was (pip, pipx, uv tool); or use --format dot",
    )


def _normalised(svg: str) -> str:
    """Only the ``svg`` element, without what names the program, its version, or our own generated node names.

    Text is escaped in an SVG, so no pattern here can match inside a label.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<title>[^<]*</title>\n?", "", svg)
    svg = svg.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "", 1)
    return svg.strip() + "\n"


def check_svg(svg: str) -> None:
    """Refuse an SVG that could run, link or load anything: only shapes and text, no references, no event handlers.

    Raises BugError AZM-B021 with the element or attribute seen.
    """
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise BugError("the drawing is not well-formed XML", code="AZM-B021", seen=str(error)) from error
    for element in root.iter():
        if element.tag.removeprefix(_SVG) not in _ELEMENTS:
            raise BugError("the drawing holds an element that is not a shape", code="AZM-B021", seen=element.tag)
        for name in element.attrib:
            bare = name.rpartition("}")[2].lower()
            if bare in ("href", "style") or bare.startswith("on"):
                raise BugError("the drawing holds an active attribute", code="AZM-B021", seen=name)
