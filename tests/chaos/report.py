"""What a campaign came to, in figures: one Tally per part, a line for the terminal, a page for the documentation.

Adds up; decides nothing, and leaves nothing out: what was skipped, not finished or met a known limit is said. A tally
is kept as a JSON file of its own, so that parts can be done one after the other, or again, and the page still has all.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from cases import CASES, DOCUMENTS, POLICIES
from ptrace import unavailable
from world import Ending

if TYPE_CHECKING:
    from part import Part

__all__ = ["MARK", "Measured", "Tally", "keep", "kept", "line", "page"]

MARK: Final = "<!-- written by tests/chaos/campaign.py --report; not to be edited -->"

_ABOUT: Final = """\
Every trial runs the product, a Runner on a store in a real file (in F4 a store in memory) or the command itself (F2,
F8), against a service that counts what it makes and bills. A violation is a broken promise: a second create that nobody
asked for, an answer lost after the next request left, a doubt that was not shown, a store that does not open, a journal
that does not replay, a traceback, or a run that does not get to ready afterwards. A known limit is none of these, and
is counted so that nobody has to find it alone. After every trial a careful person goes on with the run, following what
it prints, until it is ready; then everything is checked once more.
"""

_LIMITS: Final = """\
## What is not covered

- Disks that say a sync is done when it is not, file systems without locks or shared memory, and several machines.
- F1, F5 to F8 and F12 need Linux on x86-64 and follow the main thread, the only one that writes or sends.
- F5 takes a name in a folder for durable only after the folder was synced, and a write only after its file was; real
  disks lose less. A folder that the store itself had to create is taken for durable.
- The files lie in memory where the system has such a folder: what a disk would lose is what F5 computes.
- In one process the state machine of a plan is compiled once and used by all trials.
- A person who answers wrongly what became of a create gets what they said; a document that promises a key which the
  service ignores, or a `settle` shorter than the service may take, gets a second create.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """When, how and on what something was measured."""

    day: str
    how: str
    """The arguments that say how much; empty when nothing was measured."""
    jobs: int
    seed: int
    machine: str

    @classmethod
    def now(cls, *, how: str, jobs: int, seed: int) -> Self:
        return cls(day=date.today().isoformat(), how=how, jobs=jobs, seed=seed, machine=_machine())


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was done of one part, by one worker or by all."""

    part: str
    title: str
    fault: str
    promise: str
    trials: int = 0
    swept: int = 0
    """How many of them were a sweep, of which nothing was left out."""
    seconds: float = 0.0
    skipped: str = ""
    broken: str = ""
    """A traceback of the campaign itself."""
    cases: dict[str, int] = field(default_factory=dict)
    endings: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    """The largest of every figure worth publishing."""
    remarks: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    """Remark to a trial that met it."""
    problems: list[tuple[str, list[str]]] = field(default_factory=list)
    """Trial to the promises it broke."""

    @classmethod
    def of(cls, part: type[Part]) -> Tally:
        return cls(part=part.name, title=part.title, fault=part.fault, promise=part.promise)

    def add(self, trial: str, ending: Ending) -> None:
        self.trials += 1
        case, word = trial.partition(":")[0], ending.word or "did not end"
        self.cases[case] = self.cases.get(case, 0) + 1
        self.endings[word] = self.endings.get(word, 0) + 1
        for name, figure in ending.seen.items():
            self.seen[name] = max(figure, self.seen.get(name, 0))
        for remark in set(ending.remarks):
            self.remarks[remark] = self.remarks.get(remark, 0) + 1
            self.examples.setdefault(remark, trial)
        if ending.problems:
            self.problems.append((trial, list(ending.problems)))

    def take(self, other: Tally) -> None:
        """Add what another worker did."""
        self.trials += other.trials
        self.swept += other.swept
        self.seconds = max(self.seconds, other.seconds)
        for mine, theirs in (
            (self.cases, other.cases),
            (self.endings, other.endings),
            (self.remarks, other.remarks),
        ):
            for word, count in theirs.items():
                mine[word] = mine.get(word, 0) + count
        for name, figure in other.seen.items():
            self.seen[name] = max(figure, self.seen.get(name, 0))
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

    def limits(self) -> list[str]:
        """Every known limit that was met, and how to see it again."""
        return [
            f"   known limit, {count} times: {remark}, as in {self.examples[remark]}"
            for remark, count in sorted(self.remarks.items())
        ]

    def again(self, trial: str) -> str:
        return f"python tests/chaos/campaign.py --part {self.part} --only {trial}"


def keep(folder: Path, tally: Tally, measured: Measured) -> None:
    """Write one part's figures; those of an earlier time are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"measured": asdict(measured), "tally": asdict(tally)}
    (folder / f"{tally.part}.json").write_text(json.dumps(content, indent=1) + "\n")


def kept(folder: Path, parts: Sequence[str]) -> list[tuple[Tally, Measured]]:
    """The figures a folder holds, in the order of the parts. What it does not hold is left out."""
    found = []
    for path in (folder / f"{part}.json" for part in parts):
        if path.exists():
            content: Mapping[str, Any] = json.loads(path.read_text())
            found.append((Tally(**content["tally"]), Measured(**content["measured"])))
    return found


def line(tally: Tally) -> str:
    """One line: how many trials, how many broken promises, how long."""
    if tally.skipped:
        return f"{tally.part} {tally.title}: skipped: {tally.skipped}"
    sweep = f" ({tally.swept} of them a whole sweep)" if tally.swept else ""
    return (
        f"{tally.part} {tally.title}: {tally.trials} trials{sweep}, {len(tally.problems)} violations, "
        f"{tally.seconds:.1f} s"
    )


def page(results: Sequence[tuple[Tally, Measured]]) -> str:
    """The page of the documentation, in Markdown."""
    tallies = [tally for tally, _ in results]
    trials, violations = sum(tally.trials for tally in tallies), sum(len(tally.problems) for tally in tallies)
    seconds = sum(tally.seconds for tally in tallies)
    return "\n".join(
        [
            MARK,
            "",
            "# Fault campaign",
            "",
            _ABOUT,
            f"**{trials:,} trials, {violations} violations, {seconds / 60:.0f} minutes.**",
            "",
            "| part | what | trials | of a whole sweep | violations | known limits met | seconds | trials/s |",
            "|---|---|---:|---:|---:|---:|---:|---:|",
            *(_row(tally) for tally in tallies),
            "",
            *_measured(results),
            "",
            "## Policies",
            "",
            "What is checked beyond that depends on what the run is told to do about doubt.",
            "",
            *(f"- `{one.name}`: {one.promise}." for one in POLICIES.values()),
            "",
            "## Documents",
            "",
            *(f"- `{one.name}`: {one.about}." for one in DOCUMENTS.values()),
            "",
            "Trials by document and policy, of all parts:",
            "",
            *_matrix(tallies),
            "",
            *(text for tally in tallies for text in _section(tally)),
            _LIMITS,
        ]
    )


def _row(tally: Tally) -> str:
    if tally.skipped:
        return f"| {tally.part} | {tally.title} | skipped: {tally.skipped} | | | | | |"
    rate = tally.trials / tally.seconds if tally.seconds else 0.0
    return (
        f"| {tally.part} | {tally.title} | {tally.trials} | {tally.swept} | {len(tally.problems)} | "
        f"{sum(tally.remarks.values())} | {tally.seconds:.0f} | {rate:.1f} |"
    )


def _measured(results: Sequence[tuple[Tally, Measured]]) -> list[str]:
    """When and how, said once for all parts that were measured alike."""
    alike: dict[str, list[str]] = {}
    for tally, measured in results:
        how = f"{measured.day}, `{measured.how}`, {measured.jobs} processes, first seed {measured.seed}"
        alike.setdefault(f"{how}; {measured.machine}", []).append(tally.part)
    return [f"{', '.join(parts)}: {how}." for how, parts in alike.items()]


def _matrix(tallies: Sequence[Tally]) -> list[str]:
    rows = [f"| | {' | '.join(f'`{policy}`' for policy in POLICIES)} |", f"|---|{'---:|' * len(POLICIES)}"]
    for document in DOCUMENTS:
        counts = []
        for policy in POLICIES:
            name = f"{document}.{policy}"
            counts.append(str(sum(tally.cases.get(name, 0) for tally in tallies)) if name in CASES else "")
        rows.append(f"| `{document}` | {' | '.join(counts)} |")
    return rows


def _section(tally: Tally) -> list[str]:
    found = [
        f"## {tally.part}: {tally.title}",
        "",
        f"Done to it: {tally.fault}.",
        "",
        f"Checked: {tally.promise}.",
        "",
    ]
    if tally.skipped:
        return found
    endings = sorted(tally.endings.items(), key=lambda one: (-one[1], one[0]))
    found += [f"How the trials ended: {', '.join(f'{word} {count}' for word, count in endings)}.", ""]
    if tally.seen:
        found += [f"Largest seen: {', '.join(f'{figure} {name}' for name, figure in sorted(tally.seen.items()))}.", ""]
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
