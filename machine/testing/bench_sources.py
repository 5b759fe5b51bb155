"""How long a large description takes to be read: the first time, and when its values were kept.

Makes one line of ``docs/measurements.md`` from processes that read the same description of ten megabytes one after the
other, with a cache of their own that is empty at first. What is timed is the load alone, in time of the processor.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

__all__ = ["OPERATIONS", "Loads", "description", "load_line", "measure_loads"]

OPERATIONS: Final = 12_700
"""What makes ten megabytes of YAML."""
TARGET: Final = 0.3
"""Seconds of a load whose values were kept."""
_AGAIN: Final = 5

_OPERATION: Final = """\
  /things{number}/{{id}}:
    get:
      operationId: op{number}
      summary: The thing with the number {number}
      description: A longer text about this thing, because descriptions of this size are mostly texts about things.
      parameters:
      - {{name: id, in: path, required: true, schema: {{type: string}}}}
      - {{name: filter, in: query, schema: {{type: string, enum: [a, b, c]}}}}
      responses:
        '200':
          description: The thing
          content:
            application/json:
              schema:
                type: object
                required: [id]
                properties:
                  id: {{type: string}}
                  name: {{type: string, description: What it is called}}
                  items: {{type: array, items: {{type: object, properties: {{x: {{type: number}}}}}}}}
"""

_DOCUMENT: Final = """\
arazzo: 1.0.1
info: {title: One of many, version: 1.0.0}
sourceDescriptions: [{name: many, url: many.yaml, type: openapi}]
workflows: [{workflowId: one, steps: [{stepId: one, operationId: op7}]}]
"""

_LOAD: Final = """\
import sys, time
from pathlib import Path
from machine.runtime.parsed import ParsedSources
from machine.sources.description import describe

folder = Path(sys.argv[1])
began = time.process_time()
found = describe(
    str(folder / "one.yaml"),
    read=lambda name: Path(name).read_bytes(),
    tree_of=ParsedSources(folder / "cache").tree_of,
)
assert found.sources["many"].operations["op7"].method == "GET"
print(time.process_time() - began)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loads:
    """Seconds of the processor: one load of a text nobody knew, and the median of loads after it."""

    megabytes: float
    first: float
    again: float


def description(operations: int) -> str:
    """An OpenAPI description of so many operations, always the same."""
    head = (
        "openapi: 3.1.0\ninfo: {title: Many things, version: 1.0.0}\nservers: [{url: 'https://api.example'}]\npaths:\n"
    )
    return head + "".join(_OPERATION.format(number=number) for number in range(operations))


def measure_loads(*, operations: int = OPERATIONS) -> Loads:
    """Read a description in one process after the other."""
    text = description(operations)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "one.yaml").write_text(_DOCUMENT, encoding="utf-8")
        (folder / "many.yaml").write_text(text, encoding="utf-8")
        first, *again = (_load(folder) for _ in range(1 + _AGAIN))
    return Loads(megabytes=len(text.encode()) / 1e6, first=first, again=median(again))


def load_line(loads: Loads) -> str:
    verdict = "met" if loads.again <= TARGET else "missed"
    return (
        f"A description of {loads.megabytes:.1f} MB takes {loads.first:.2f} s of the processor to be read, and "
        f"{loads.again:.2f} s when its values were kept (target {TARGET:.1f} s: {verdict})."
    )


def _load(folder: Path) -> float:
    command = [sys.executable, "-c", _LOAD, str(folder)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
