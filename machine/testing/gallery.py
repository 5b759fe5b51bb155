"""``make diagrams``: every shipped workflow drawn, as it is and with a recorded run on it.

Makes the files of ``diagrams/`` from the shipped documents. A recorded run is a real one: a Runner against the
simulator on loopback, with a clock nobody waits for and no chance in it, so it takes the same way every time and its
drawing is the same text every time. SVG depends on the fonts and the Graphviz of the machine that draws it; it is
drawn where that is possible, and compared by nobody.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ..chart.snapshot import Record
from ..diagram import render
from ..diagram.model import printable
from ..errors import UsageError
from ..library import load, shipped
from ..plan.build import build_plan
from ..plan.model import Plan
from ..runtime.layout import render_svg
from ..runtime.runner import Runner
from ..runtime.secrets import Reference
from ..stores.memory import MemoryStore
from .clock import ManualClock
from .server import Simulator

__all__ = ["Drawing", "differences", "drawings", "main", "record"]

_FOLDER: Final = Path(__file__).resolve().parents[2] / "diagrams"
_README: Final = "README.md"
_INPUTS: Final[Mapping[str, str]] = MappingProxyType({"namespace": "acme", "name": "demo", "repository": "gpt2"})
"""What a recorded run is given, of the inputs its workflow has; a secret is given as well."""
_SCENARIOS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "check-inference-endpoint-health": "health-flaps",
        "delete-inference-endpoint": "toggle-running",
        "pause-inference-endpoint": "toggle-running",
        "resume-inference-endpoint": "toggle-paused",
        "scale-inference-endpoint-to-zero": "idle-running",
        "toggle-endpoint-state": "toggle-running",
        "update-inference-endpoint": "toggle-running",
    }
)
"""The scenario a workflow is recorded in, where it is not ``happy``."""
_MIDDLE: Final = 0.5
"""The chance that spreads nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """All files of one workflow. ``name`` is what it is shipped as, ``records`` the history of its recorded run."""

    name: str
    plan: Plan
    records: tuple[Record, ...]

    def texts(self) -> dict[str, str]:
        """File name to content, of the files that are the same wherever they are drawn."""
        return {
            f"{self.name}.dot": render(self.plan, format="dot"),
            f"{self.name}.mmd": render(self.plan, format="mermaid"),
            f"{self.name}.run.dot": render(self.plan, format="dot", records=self.records),
        }

    def pictures(self) -> dict[str, str]:
        """SVG file name to the name of the DOT file it is laid out from."""
        return {f"{self.name}.svg": f"{self.name}.dot", f"{self.name}.run.svg": f"{self.name}.run.dot"}

    def row(self) -> str:
        """The workflow's line in the gallery's table."""
        title = printable(self.plan.title or self.plan.workflow).replace("|", "\\|")
        links = f"[dot]({self.name}.dot), [mermaid]({self.name}.mmd), [run as dot]({self.name}.run.dot)"
        machine, run = f"![The machine]({self.name}.svg)", f"![A run on it]({self.name}.run.svg)"
        return f"| **{self.name}**<br>{title}<br>{links} | {machine} | {run} |"


def drawings() -> list[Drawing]:
    """Every shipped workflow with a recorded run of it, by name."""
    every = []
    for name in shipped():
        plan = build_plan(load(name))
        every.append(Drawing(name=name, plan=plan, records=record(plan, _SCENARIOS.get(name, "happy"))))
    return every


def record(plan: Plan, scenario: str) -> tuple[Record, ...]:
    """The history of one run of a plan against the simulator; its times and its chance are always the same."""
    given = {one.name: _INPUTS[one.name] for one in plan.inputs if one.name in _INPUTS}
    secrets = {name: f"simulated-{name}" for name in plan.secrets}
    references = {name: Reference(f"@env:SIMULATED_{name.upper()}") for name in secrets}
    with Simulator(scenario) as simulator, MemoryStore() as store:
        runner = Runner(
            store,
            clock=ManualClock(),
            chance=lambda: _MIDDLE,
            servers=dict.fromkeys(plan.servers, simulator.url),
            secret_texts=secrets,
        )
        with runner.start(plan, {**given, **references}, run_id="recorded") as run:
            return tuple(run)


def texts(every: Sequence[Drawing]) -> dict[str, str]:
    """File name to content of all that is compared byte for byte."""
    files = {name: text for drawing in every for name, text in drawing.texts().items()}
    return {**files, _README: _readme(every)}


def differences(folder: Path, every: Sequence[Drawing]) -> list[str]:
    """What in the folder is not as it would be drawn now, one line each: a text that differs or is missing, a picture
    that is missing, a file that belongs to no shipped workflow."""
    wanted = texts(every)
    pictures = [name for drawing in every for name in drawing.pictures()]
    found = []
    for name, text in sorted(wanted.items()):
        path = folder / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif path.read_bytes() != text.encode():
            found.append(f"{name} differs")
    found += [f"{name} is missing" for name in pictures if not (folder / name).is_file()]
    there = sorted(path.name for path in folder.glob("[!.]*")) if folder.is_dir() else []
    found += [f"{name} belongs to no shipped workflow" for name in there if name not in wanted and name not in pictures]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, or compare; 1 when something differs."""
    parser = argparse.ArgumentParser(prog="python -m machine.testing.gallery", description="Draw the workflows.")
    parser.add_argument("--check", action="store_true", help="change nothing, and fail when a drawing differs")
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="where the drawings are")
    given = parser.parse_args(arguments)
    every = drawings()
    if given.check:
        found = differences(given.folder, every)
        for line in found:
            print(f"{given.folder.name}/{line}")
        if found:
            print("draw them again with: make diagrams")
        return 1 if found else 0
    given.folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts(every).items():
        (given.folder / name).write_bytes(text.encode())
    _draw(given.folder, every)
    return 0


def _draw(folder: Path, every: Sequence[Drawing]) -> None:
    for drawing in every:
        for name, source in drawing.pictures().items():
            try:
                svg = render_svg((folder / source).read_text(encoding="utf-8"))
            except UsageError as error:
                print(f"{name} is as it was: {error}")
                continue
            (folder / name).write_bytes(svg.encode())


def _readme(every: Sequence[Drawing]) -> str:
    lines = [
        "# Drawings",
        "",
        "The shipped workflows as the machines they compile to: every state and every guarded move, and beside it one",
        "recorded run with how often each move was made.",
        "",
        "| workflow | machine | a recorded run |",
        "|---|---|---|",
        *(drawing.row() for drawing in every),
        "",
        "Boxes get darker on the way: white before anything exists, blue while it starts, green when it is ready. What",
        "has failed is red and has corners; a dashed box is doubt about a call that was never answered. Dark arrows",
        "are the document's own words, grey ones are what the machine adds. On a dark page pictures are dark. The run",
        "is one against the simulator: drawing it costs nothing.",
        "",
        "`make diagrams` draws them again; `make diagrams-check` fails when a text here differs from what its workflow",
        "says. Pictures depend on the fonts of the machine that drew them and are not compared.",
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
