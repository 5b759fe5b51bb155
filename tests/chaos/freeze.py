"""F7: one runner is frozen at a boundary, a second one comes for the same run, then the first one wakes up."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from typing import ClassVar

from part import Swept, as_kind, check_exit, fork, trace
from service import Kind
from world import RUN, VERBS, Ending

from machine.errors import BusyError
from machine.stores.locks import holder

__all__ = ["Freeze"]

_HEAD_START = 0.15
"""Seconds for the second runner alone. Where the first one sleeps on a lock of the file, the second waits for it."""

_HELD_HEAD_START = 1.0
"""The same where it must be refused: it has nothing to wait for but a slow machine."""

_PATIENCE = 30.0


class Freeze(Swept):
    """Trials ``case:kind:opening:boundary``."""

    name: ClassVar[str] = "F7"
    title: ClassVar[str] = "freeze and thaw"
    fault: ClassVar[str] = (
        "a runner is stopped at every boundary of every system call, a second runner goes for the same run, then the "
        "first one goes on"
    )
    promise: ClassVar[str] = "while the first has the run the second is refused with exit 75; at most one of them sends"
    traced: ClassVar[bool] = True

    def kinds(self, case: str) -> Sequence[Kind]:
        return self.strictest(case)

    def covers(self, case: str, opening: str) -> bool:
        return self.bench.cases[case].typical and opening in ("run", "again", "poll")

    def numbers(self, case: str, kind: Kind, opening: str) -> list[str]:
        tracee = trace(self.openings.place(case, opening, kind), self.openings.verb(case, opening))
        return [str(one) for one in range(1, tracee.run_to(1 << 30) + 1)]

    def attempt(self, trial: str, ending: Ending) -> None:
        case, kind, opening, boundary = trial.split(":")
        world = self.openings.place(case, opening, as_kind(kind))
        lock = world.path.with_name(world.path.name + ".locks") / RUN
        first = trace(world, self.openings.verb(case, opening))
        first.run_to(int(boundary))
        held = first.exit_code is None and holder(lock) is not None
        second, telling = fork(world, VERBS[int(boundary) % 2])
        os.close(telling)
        code = _wait(second, _HELD_HEAD_START if held else _HEAD_START)
        overtaken = code is not None
        if held and code is None:
            ending.remark("a frozen runner also held a lock of SQLite, and the second one waits for that first")
        elif held and code != BusyError.exit_code:
            ending.problem(f"a second runner of a held run ended with {code}")
        first.let_go()
        if not first.wait(_PATIENCE):
            first.kill()
            ending.problem("the thawed runner did not end in time")
        if code is None:
            code = _wait(second, _PATIENCE)
        if code is None:
            os.kill(second, signal.SIGKILL)
            os.waitpid(second, 0)
            ending.problem("the second runner did not end in time")
        check_exit(world, code or 0, ending)
        check_exit(world, first.exit_code or 0, ending)
        ending.word = "refused" if code == BusyError.exit_code else "overtook" if overtaken else "waited"
        world.inspect(self.bench.server, ending, faults=0)
        world.look_after(self.bench.server, ending)


def _wait(pid: int, seconds: float) -> int | None:
    """The exit code, if the process ends in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.0005)
    return None
