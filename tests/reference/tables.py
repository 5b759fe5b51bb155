"""Words -> Markdown: what the generated pages share. Makes text and reads nothing."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

__all__ = ["MARK", "block", "cell", "first_paragraph", "page", "plain", "table"]

MARK = "<!-- written by `make docs`; not to be edited -->"

_ROLE = re.compile(r":\w+:`~?([^`]+)`")


_AS_IT_IS = ("#", "| ", "```", "<!--")
"""What a part begins with that is no prose."""
_WIDTH = 120


def page(title: str, *parts: str) -> str:
    """A whole page: its title, then its parts with one empty line between them, prose in lines of one width."""
    told = (part.strip("\n") if part.startswith(_AS_IT_IS) else _prose(part) for part in parts if part)
    return "\n\n".join([f"# {title}", MARK, *told]) + "\n"


def _prose(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> str:
    """Text that means nothing to Markdown, on one line of a table."""
    flat = " ".join(text.split())
    return re.sub(r"([\\|<>*`]|(?<!\w)_|_(?!\w))", r"\\\1", flat)


def plain(text: str) -> str:
    """Prose of a docstring as Markdown, on one line: its code marks are Markdown's, and so is its emphasis."""
    flat = " ".join(_ROLE.sub(r"``\1``", text).split())
    return flat.replace("``", "`").replace("|", "\\|")


def first_paragraph(text: str | None) -> str:
    return plain((text or "").strip().partition("\n\n")[0])


def block(text: str) -> str:
    return f"```text\n{text.strip(chr(10))}\n```"
