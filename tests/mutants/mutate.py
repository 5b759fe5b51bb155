"""Changes the safety core, one place at a time, and sees that a test notices.

    mutate.py                                    every module of the safety core
    mutate.py machine/runtime/secrets.py         one of them
    mutate.py --seconds 300 --sample 40          as far as it comes, at most so many of each module

What was said of each mutant is a line of the file of results, written as soon as it is known. The next run asks again
only about survivors, and about every mutant of a module whose text is another one. ``docs/mutants.md`` says of each
survivor why. The exit code is 1 when fewer than 95 of 100 were noticed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import changes
from asking import ROOT, Said, ask
from changes import Mutant, mutants

__all__ = ["CORE", "Count", "Results", "main", "missing", "table", "text_of", "together"]

TARGET: Final = 95.0

CORE: Final[dict[str, tuple[str, ...]]] = {
    "machine/runtime/secrets.py": (
        "tests/runtime/test_secrets.py",
        "tests/runtime/test_runtime_credentials.py",
        "tests/runtime/test_http.py",
        "tests/runtime/test_bodies_of_a_run.py",
        "tests/runtime/test_oauth.py",
        "tests/runtime/test_guards_of_a_call.py",
    ),
    "machine/runtime/http.py": (
        "tests/runtime/test_bytes_on_the_wire.py",
        "tests/runtime/test_replies.py",
        "tests/runtime/test_http.py",
        "tests/runtime/test_bodies_of_a_run.py",
        "tests/runtime/test_guards_of_a_call.py",
    ),
    "machine/runtime/wire.py": (
        "tests/runtime/test_wire.py",
        "tests/runtime/test_bytes_on_the_wire.py",
        "tests/runtime/test_http.py",
        "tests/runtime/test_guards_of_a_call.py",
        "tests/runtime/test_fetch.py",
    ),
    "machine/runtime/hosts.py": (
        "tests/runtime/test_hosts.py",
        "tests/runtime/test_preflight.py",
        "tests/runtime/test_http.py",
        "tests/runtime/test_fetch.py",
    ),
    "machine/stores/sqlite.py": (
        "tests/stores/test_remains.py",
        "tests/stores/test_base.py",
        "tests/stores/test_contract.py",
        "tests/stores/test_sqlite.py",
        "tests/stores/test_sqlite_file.py",
        "tests/stores/test_writes.py",
        "tests/stores/test_marks.py",
        "tests/stores/test_locks.py",
    ),
    "machine/stores/rows.py": (
        "tests/stores/test_rows.py",
        "tests/stores/test_remains.py",
        "tests/stores/test_sqlite.py",
        "tests/stores/test_writes.py",
    ),
    "machine/stores/locks.py": (
        "tests/stores/test_locks.py",
        "tests/stores/test_contract.py",
    ),
    "machine/stores/marks.py": (
        "tests/stores/test_marks.py",
        "tests/stores/test_sqlite.py",
    ),
    "machine/sources/serialise.py": (
        "tests/sources/test_serialise.py",
        "tests/sources/test_parameters.py",
    ),
    "machine/sources/percent.py": (
        "tests/sources/test_percent.py",
        "tests/sources/test_serialise.py",
        "tests/sources/test_parameters.py",
    ),
    "machine/sources/parameters.py": (
        "tests/sources/test_parameters.py",
        "tests/sources/test_bodies.py",
        "tests/sources/test_operations.py",
        "tests/sources/test_openapi.py",
        "tests/sources/test_serialise.py",
    ),
    "machine/runtime/runner.py": (
        "tests/runtime/test_unstored.py",
        "tests/runtime/test_run.py",
        "tests/runtime/test_runtime_credentials.py",
        "tests/runtime/test_runner_patience.py",
        "tests/runtime/test_edited.py",
        "tests/runtime/test_doubt.py",
        "tests/runtime/test_token.py",
        "tests/runtime/test_durability.py",
        "tests/runtime/test_runner.py",
    ),
    "machine/runtime/driving.py": (
        "tests/runtime/test_driving.py",
        "tests/runtime/test_unstored.py",
        "tests/runtime/test_run.py",
        "tests/runtime/test_runner_patience.py",
        "tests/runtime/test_runner.py",
        "tests/runtime/test_durability.py",
    ),
    "machine/runtime/sealing.py": (
        "tests/runtime/test_sealing.py",
        "tests/runtime/test_runtime_credentials.py",
    ),
    "machine/runtime/concealing.py": (
        "tests/runtime/test_concealing.py",
        "tests/runtime/test_secrets.py",
        "tests/runtime/test_http.py",
    ),
    "machine/plan/credentials.py": (
        "tests/plan/test_credentials.py",
        "tests/plan/test_secrecy.py",
        "tests/runtime/test_runtime_credentials.py",
    ),
    "machine/document/load.py": (
        "tests/document/test_load.py",
        "tests/document/test_read.py",
        "tests/document/test_builder.py",
        "tests/document/test_positions.py",
    ),
    "machine/document/builder.py": (
        "tests/document/test_builder.py",
        "tests/document/test_load.py",
        "tests/document/test_read.py",
        "tests/document/test_positions.py",
    ),
}
"""Module to the test files that are asked about it; of these only the tests that come by the change."""


def missing() -> list[str]:
    """What is named above and is not there."""
    named = [*CORE, *(one for tests in CORE.values() for one in tests)]
    return sorted({one for one in named if not (ROOT / one).is_file()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The file of results: a line of JSON for each answer, the last of a mutant counts."""

    path: Path

    def add(self, module: str, text: str, mutant: Mutant, said: Said) -> None:
        line = {
            "module": module,
            "text": text,
            "number": mutant.number,
            "line": mutant.line,
            "what": mutant.what,
            "noticed": said.noticed,
            "by": said.by,
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def of(self, module: str) -> dict[int, bool]:
        """Number of a mutant to whether it was noticed, for the module as it reads now."""
        if not self.path.exists():
            return {}
        digest = text_of(module)
        lines = [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]
        return {one["number"]: one["noticed"] for one in lines if (one["module"], one["text"]) == (module, digest)}


def text_of(module: str) -> str:
    """Of the module's text and of what is changed in it: the numbers of its mutants follow from both."""
    text = (ROOT / module).read_bytes() + Path(changes.__file__).read_bytes()
    return hashlib.sha256(text).hexdigest()[:16]


def _mutants_of(module: str, sample: int) -> list[Mutant]:
    every = mutants((ROOT / module).read_text(encoding="utf-8"))
    return random.Random(0).sample(every, min(sample, len(every))) if sample else every


def _ask_about(module: str, results: Results, sample: int, end: float) -> int:
    """Ask about what is not known to be noticed; the exit code of the process that did."""
    known = results.of(module)
    chosen = [one for one in _mutants_of(module, sample) if not known.get(one.number, False)]

    text = text_of(module)

    def tell(mutant: Mutant, said: Said) -> None:
        results.add(module, text, mutant, said)
        if not said.noticed:
            print(f"   {module}:{mutant.line}: {mutant.what} ({said.by or 'survived'})", flush=True)

    if not chosen:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        wrong = ask(module, CORE[module], chosen, tell, folder=Path(folder) / "tests", end=end)
    if wrong:
        print(f"{module}: {wrong}", flush=True)
    return int(bool(wrong))


class Count(NamedTuple):
    """How many mutants were tried and noticed, and how many of them left a whole step out."""

    tried: int = 0
    noticed: int = 0
    guards: int = 0
    guards_noticed: int = 0

    @classmethod
    def of(cls, every: Iterable[Mutant], known: Mapping[int, bool]) -> Count:
        tried = [one for one in every if one.number in known]
        guards = [one for one in tried if one.is_guard]
        return cls(
            len(tried), sum(known[one.number] for one in tried), len(guards), sum(known[one.number] for one in guards)
        )

    @property
    def share(self) -> float:
        """Noticed of 100, not rounded up: 94.97 is short of 95."""
        return 1000 * self.noticed // self.tried / 10 if self.tried else 0.0


def together(counts: Iterable[Count]) -> Count:
    return Count(*(sum(column) for column in zip(Count(), *counts, strict=True)))


def table(counts: Mapping[str, Count]) -> str:
    """Module to what was counted, as the page has it."""
    rows = ["| module | mutants | noticed | of 100 | steps left out | noticed |", "|---|---|---|---|---|---|"]
    for name, one in [*counts.items(), ("together", together(counts.values()))]:
        rows.append(f"| {name} | {one.tried} | {one.noticed} | {one.share:.1f} | {one.guards} | {one.guards_noticed} |")
    return "\n".join(rows)


def _in_processes(modules: Sequence[str], jobs: int, results: Results, sample: int, end: float) -> bool:
    """Each module in a process of its own, so many at a time; whether all of them could be asked about."""
    running: set[int] = set()
    well = True
    for module in [*modules, *[""] * jobs]:
        while len(running) >= jobs or (running and not module):
            pid, status = os.wait()
            running.discard(pid)
            well = well and status == 0
        if module:
            pid = os.fork()
            if pid == 0:
                code = 70
                try:
                    code = _ask_about(module, results, sample, end)
                finally:
                    os._exit(code)
            running.add(pid)
    return well


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutants of the safety core.")
    parser.add_argument("modules", nargs="*", help="of the safety core; all unless given")
    parser.add_argument("--seconds", type=float, default=3600.0, help="of wall time")
    parser.add_argument("--sample", type=int, default=0, help="at most so many of each module, drawn by chance")
    parser.add_argument("--jobs", type=int, default=1, help="modules at a time")
    parser.add_argument("--results", type=Path, default=ROOT / "mutants-results.jsonl", help="kept from run to run")
    given = parser.parse_args()
    os.chdir(ROOT)
    if lost := missing():
        parser.error(f"not there: {', '.join(lost)}")
    if strange := sorted(set(given.modules) - set(CORE)):
        parser.error(f"not of the safety core: {', '.join(strange)}")
    results, modules = Results(path=given.results), given.modules or list(CORE)
    well = _in_processes(modules, given.jobs, results, given.sample, time.monotonic() + given.seconds)
    counts, left = {}, 0
    for module in modules:
        every = _mutants_of(module, given.sample)
        counts[module] = Count.of(every, results.of(module))
        left += len(every) - counts[module].tried
    every_one = together(counts.values())
    print(table(counts))
    print(f"{every_one.noticed} of {every_one.tried} noticed, {every_one.share:.1f} of 100; {left} not tried")
    return int(not well or every_one.share < TARGET)


if __name__ == "__main__":
    sys.exit(main())
