"""``make mermaid-check``: Mermaid's own parser reads what we draw, of the shipped workflows and of the corpus.

Drawings -> what the parser says against them. Installs the parser with npm into ``build/mermaid`` where it is not yet;
``ARAZZO_MACHINE_MERMAID`` names another folder. With ``--corpus`` every workflow of every document there is that
compiles is drawn and read as well, and its DOT by Graphviz.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "corpus")]

from machine.diagram import render  # noqa: E402
from machine.errors import MachineError  # noqa: E402
from machine.plan.build import build_plan  # noqa: E402

__all__ = ["FOLDER", "installed", "problems"]

FOLDER: Final = Path(os.environ.get("ARAZZO_MACHINE_MERMAID", str(ROOT / "build" / "mermaid")))
"""Where npm has put them."""
_PACKAGES: Final = ("mermaid@11", "jsdom@29")


def installed() -> bool:
    """Whether drawings can be read here; nothing is fetched to find out."""
    return shutil.which("node") is not None and (FOLDER / "node_modules" / "mermaid").is_dir()


def problems(drawings: Mapping[str, str]) -> dict[str, str]:
    """By name, what the parser says against a drawing; nothing of those it reads."""
    script = str(Path(__file__).with_name("parse.mjs"))
    done = subprocess.run(
        ["node", script, str(FOLDER)], input=json.dumps(drawings), capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Let Mermaid read the drawings.")
    parser.add_argument("--corpus", action="store_true", help="draw and read the documents of others, too")
    given = parser.parse_args()
    if not installed():
        if shutil.which("npm") is None:
            print("npm is not here: nothing was read")
            return 0
        npm = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(FOLDER), *_PACKAGES]
        FOLDER.mkdir(parents=True, exist_ok=True)
        subprocess.run(npm, check=True, stdin=subprocess.DEVNULL)
    drawings = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "diagrams").glob("*.mmd"))}
    rejected: dict[str, str] = {}
    if given.corpus:
        more, rejected = _corpus()
        drawings |= more
    rejected |= problems(drawings)
    print(f"{len(drawings)} drawings read, {len(rejected)} rejected")
    for name, problem in rejected.items():
        print(f"{name}: {problem[:300]}")
    return bool(rejected)


def _corpus() -> tuple[dict[str, str], dict[str, str]]:
    """Every workflow that compiles, drawn for Mermaid; and what Graphviz says against its DOT."""
    import pygraphviz
    from documents import Library, rows

    shared = Path(os.environ.get("ARAZZO_MACHINE_SHARED", str(ROOT.parent / "shared")))
    folder = shared / "corpus"
    library = Library(folder)
    drawn, rejected = {}, {}
    for row in rows(folder) if folder.is_dir() else ():
        try:
            description = library.describe(row)
            plans = [build_plan(description, workflow=one.workflow_id) for one in description.document.workflows]
        except MachineError:
            continue
        for plan in plans:
            name = f"{row.document} {plan.workflow}"
            drawn[name] = render(plan, format="mermaid")
            try:
                pygraphviz.AGraph(string=render(plan, format="dot"))
            except (ValueError, pygraphviz.DotError) as error:
                rejected[f"{name} as DOT"] = str(error)
    return drawn, rejected


if __name__ == "__main__":
    sys.exit(main())
