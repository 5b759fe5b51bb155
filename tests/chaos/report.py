"""What a campaign came to, in figures: one Tally per part, a line for the terminal, a page for the documentation.

Adds up; decides nothing, and leaves nothing out: what was skipped, not finished or met a known limit is said.
"""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Final

from ptrace import unavailable
from world import POLICIES, Ending

if TYPE_CHECKING:
    from part import Part

__all__ = ["Tally", "line", "page"]

_ABOUT: Final = """\
Written by `tests/chaos/campaign.py --report`; not to be edited. Every trial runs the product, a Runner on a store in a
real file (in F4 a store in memory), with the shipped workflow, against a service that counts what it creates. A
violation is a broken promise: a second create that nobody asked for, an answer lost after the next request left, a
doubt that was not shown, a store that does not open, a journal that does not replay, a traceback, or a run that does
not get to ready afterwards. A known limit is none of these, and is counted so that nobody has to find it alone.
"""

_LIMITS: Final = """\
## What is not covered

- Disks that say a sync is done when it is not, file systems without locks or shared memory, and several machines.
- F1 and F5 to F8 need Linux on x86-64 and follow the main thread, the only one that writes or sends.
- F5 takes a name in a folder for durable only after the folder was synced, and a write only after its file was; real
  disks lose less. A folder that the store itself had to create is taken for durable.
- The files lie in memory where the system has such a folder: what a disk would lose is what F5 computes.
- In one process the state machine of a plan is compiled once and used by all trials.
- A person who answers wrongly what became of a create gets what they said.
"""


@dataclass(slots=True, kw_only=True)
class Tally:
    """The trials of one part. ``seconds`` is wall time; with several workers, that of the slowest."""

    part: str
    title: str
    fault: str
    promise: str
    sweep: int = 0
    """How many trials the sweep has."""
    swept: int = 0
    """How many different ones of them were done."""
    drawn: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    endings: dict[str, int] = field(default_factory=dict)
    remarks: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    """A trial for each remark."""
    problems: list[tuple[str, list[str]]] = field(default_factory=list)
    skipped: str = ""
    broken: str = ""
    """Why the part itself, not the product, could not go on."""

    @classmethod
    def of(cls, part: type[Part]) -> Tally:
        return cls(part=part.name, title=part.title, fault=part.fault, promise=part.promise)

    @property
    def trials(self) -> int:
        return self.swept + self.drawn

    def add(self, trial: str, ending: Ending, *, swept: bool) -> None:
        if swept:
            self.swept += 1
        else:
            self.drawn += 1
        word = ending.word or "did not end"
        self.endings[word] = self.endings.get(word, 0) + 1
        for remark in set(ending.remarks):
            self.remarks[remark] = self.remarks.get(remark, 0) + 1
            self.examples.setdefault(remark, trial)
        if ending.problems:
            self.problems.append((trial, list(ending.problems)))

    def take(self, other: Tally) -> None:
        """Add what another worker did."""
        self.sweep = max(self.sweep, other.sweep)
        self.swept += other.swept
        self.sweep = max(self.sweep, self.swept)
        self.drawn += other.drawn
        self.seconds = max(self.seconds, other.seconds)
        self.slowest = max(self.slowest, other.slowest)
        for mine, theirs in ((self.endings, other.endings), (self.remarks, other.remarks)):
            for word, count in theirs.items():
                mine[word] = mine.get(word, 0) + count
        self.examples = {**other.examples, **self.examples}
        self.problems += other.problems
        self.broken = self.broken or other.broken

    def complaints(self, shown: int) -> list[str]:
        """Every broken promise, and how to see it again."""
        found = []
        for trial, problems in self.problems[:shown]:
            found += [f"   {trial}: {'; '.join(problems)}", f"      again: {self.again(trial)}"]
        if len(self.problems) > shown:
            found.append(f"   and {len(self.problems) - shown} more")
        return found + ([f"   the part broke:\n{self.broken}"] if self.broken else [])

    def again(self, trial: str) -> str:
        return f"python tests/chaos/campaign.py --part {self.part} --only {trial}"


def line(tally: Tally) -> str:
    """One line: how many trials, how many broken promises, how long."""
    if tally.skipped:
        return f"{tally.part} {tally.title}: skipped: {tally.skipped}"
    sweep = f", {tally.swept} of {tally.sweep} in the sweep" if tally.sweep else ""
    return (
        f"{tally.part} {tally.title}: {tally.trials} trials{sweep}, {len(tally.problems)} violations, "
        f"{tally.seconds:.1f} s"
    )


def page(tallies: Sequence[Tally], *, jobs: int, seed: int, how: str) -> str:
    """The page of the documentation, in Markdown."""
    trials = sum(tally.trials for tally in tallies)
    violations = sum(len(tally.problems) for tally in tallies)
    seconds = sum(tally.seconds for tally in tallies)
    rows = [_row(tally) for tally in tallies]
    parts = [text for tally in tallies for text in _section(tally)]
    return "\n".join(
        [
            "# Fault campaign",
            "",
            _ABOUT,
            f"**{trials} trials, {violations} violations, {seconds:.0f} s** on {date.today().isoformat()}, by `{how}`,",
            f"{jobs} processes, first seed {seed}; {_machine()}.",
            f"Policies: {', '.join(f'`{name}`' for name in POLICIES)}.",
            "",
            "| part | what | trials | of the sweep | violations | known limits met | seconds | trials/s |",
            "|---|---|---:|---|---:|---:|---:|---:|",
            *rows,
            "",
            *parts,
            _LIMITS,
        ]
    )


def _row(tally: Tally) -> str:
    if tally.skipped:
        return f"| {tally.part} | {tally.title} | skipped | {tally.skipped} | | | | |"
    sweep = f"{tally.swept} of {tally.sweep}" if tally.sweep else "random only"
    rate = tally.trials / tally.seconds if tally.seconds else 0.0
    return (
        f"| {tally.part} | {tally.title} | {tally.trials} | {sweep} | {len(tally.problems)} | "
        f"{sum(tally.remarks.values())} | {tally.seconds:.1f} | {rate:.1f} |"
    )


def _section(tally: Tally) -> list[str]:
    if tally.skipped:
        return []
    endings = ", ".join(
        f"{word} {count}" for word, count in sorted(tally.endings.items(), key=lambda one: (-one[1], one[0]))
    )
    found = [
        f"## {tally.part}: {tally.title}",
        "",
        f"Done to it: {tally.fault}.",
        "",
        f"Checked: {tally.promise}.",
        "",
        f"How the trials ended: {endings}.",
        "",
    ]
    if tally.slowest:
        found += [f"The slowest end after a signal took {tally.slowest:.2f} s.", ""]
    if tally.remarks:
        found += ["Known limits met:", ""]
        for remark, count in sorted(tally.remarks.items()):
            found.append(f"- {count} times: {remark}; `{tally.again(tally.examples[remark])}`.")
        found.append("")
    if tally.problems:
        found += ["Violations:", ""]
        found += [f"- `{tally.again(trial)}`: {'; '.join(problems)}" for trial, problems in tally.problems]
        found.append("")
    if tally.broken:
        found += ["The part could not be finished.", ""]
    return found


def _machine() -> str:
    tracing = "" if not unavailable() else ", no tracing"
    return (
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.system()} "
        f"{platform.release()} {platform.machine()}, {os.cpu_count()} processors{tracing}"
    )
