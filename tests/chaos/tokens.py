"""F11: one token, taken up a thousand times by several processes at once."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import ClassVar, Final

from openings import Openings
from ptrace import in_child
from world import RUN, Bench, Ending, World

from machine.errors import MachineError
from machine.runtime.token import Token, export_token
from machine.stores.memory import MemoryStore
from machine.stores.sqlite import SqliteStore

__all__ = ["Tokens"]

_PROCESSES: Final = 5
_STEP: Final = 10


class Tokens:
    """Trials ``case:processes:resumes``, each with so many processes and so many resumes in all."""

    name: ClassVar[str] = "F11"
    title: ClassVar[str] = "one token, many times"
    fault: ClassVar[str] = (
        "a run that only has safe calls ahead of it is exported as a token, and several processes at once take that "
        "one token up, in stores of their own and in one store, again and again"
    )
    promise: ClassVar[str] = "nothing is created, every resume comes to the same outputs, each is a run of its own"
    traced: ClassVar[bool] = False

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._openings = Openings(bench)

    def groups(self) -> list[str]:
        """Those in which nothing lies behind the creates but looking: only such a run is handed on."""
        return [
            name
            for name, case in self._bench.cases.items()
            if {step for table in case.plan.tables() for step, call in table.calls.items() if call.kind != "safe"}
            <= {one.step for one in case.document.creates}
        ]

    def sweep(self, group: str) -> list[str]:
        return [f"{group}:{_PROCESSES}:1000"]

    def draw(self, seed: int) -> str:
        names = self.groups()
        return f"{names[seed % len(names)]}:{_PROCESSES}:{_STEP * _PROCESSES}"

    def attempt(self, trial: str, ending: Ending) -> None:
        case, processes, resumes = trial.split(":")
        server = self._bench.server
        world = self._openings.place(case, "poll", self._bench.cases[case].policy.kinds[0], polls=1)
        with SqliteStore(world.path) as store:
            stored = store.load(RUN)
            text = export_token(store, stored, world.runner(store).plan_of(stored))
        before = server.account()
        children = []
        share = int(resumes) // int(processes)
        for number in range(int(processes)):
            pid = os.fork()
            if pid == 0:
                in_child(lambda number=number: _take_up(world, text, number, share))  # type: ignore[misc]
            children.append(pid)
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
        found = [_read(world, number) for number in range(int(processes))]
        after = server.account()
        ids = {run for one in found for run, _ in one}
        outcomes = {outcome for one in found for _, outcome in one}
        if any(codes):
            ending.problem(f"the processes ended with {codes}")
        if len(ids) != int(resumes):
            ending.problem(f"{len(ids)} runs of {resumes} resumes")
        if len(outcomes) != 1:
            ending.problem(f"{len(outcomes)} different outcomes: {sorted(outcomes)[:3]}")
        if after.made != before.made or sum(label.startswith("POST") for label in after.calls[len(before.calls) :]):
            ending.problem("something was created")
        ending.word = f"{resumes} resumes by {processes} processes"
        ending.seen["resumes of one token"] = int(resumes)
        world.look_after(server, ending)


def _take_up(world: World, text: str, number: int, times: int) -> int:
    """Use the token so many times, alternately in a store that all share and in one that only lives here."""
    found = []
    with SqliteStore(world.folder / "shared.db") as shared, MemoryStore() as own:
        for count in range(times):
            try:
                result = world.runner((shared, own)[count % 2]).adopt_token(Token.read(text)).result()
            except MachineError as error:
                found.append(("", f"{type(error).__name__}: {error}"))
            else:
                found.append((result.run, json.dumps([result.exit_code, dict(result.outputs)])))
    _path(world, number).write_text(json.dumps(found))
    return 0


def _read(world: World, number: int) -> list[tuple[str, str]]:
    path = _path(world, number)
    return [(run, outcome) for run, outcome in json.loads(path.read_text())] if path.exists() else []


def _path(world: World, number: int) -> Path:
    return world.folder / f"outcomes-{number}"
