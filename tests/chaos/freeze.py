"""F7: one runner is frozen at a boundary, a second one comes for the same run, then the first one wakes up."""

from __future__ import annotations

import os
import signal
import time
from typing import ClassVar

from openings import OPENINGS, Openings
from part import check_exit, fork, trace
from server import KINDS
from world import RUN, VERBS, Bench, Ending

from machine.errors import BusyError
from machine.stores.locks import holder

__all__ = ["Freeze"]

_HEAD_START = 0.15
"""Seconds for the second runner alone. Where the first one sleeps on a lock of the file, the second waits for it."""

_HELD_HEAD_START = 3.0
"""The same where it must be refused: it has nothing to wait for but a slow machine."""

_PATIENCE = 30.0


class Freeze:
    """Trials ``policy:kind:opening:boundary``."""

    name: ClassVar[str] = "F7"
    title: ClassVar[str] = "freeze and thaw"
    fault: ClassVar[str] = (
        "a runner is stopped at every boundary of every system call, a second runner goes for the same run, then the "
        "first one goes on"
    )
    promise: ClassVar[str] = "while the first has the run the second is refused with exit 75; at most one of them sends"
    traced: ClassVar[bool] = True

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._openings = Openings(bench)

    def sweep(self) -> list[str]:
        found = []
        for policy in self._bench.policies:
            for opening in ("run", "again", "poll"):
                if opening not in self._openings.names(policy):
                    continue
                tracee = trace(self._openings.place(policy, opening, "twice"), OPENINGS[opening].verb)
                last = tracee.run_to(1 << 30)
                found += [f"{policy}:{KINDS[one % 2]}:{opening}:{one}" for one in range(1, last + 1)]
        return found

    def draw(self, seed: int) -> str:
        return ""

    def attempt(self, trial: str, ending: Ending) -> None:
        policy, kind, opening, boundary = trial.split(":")
        chosen = OPENINGS[opening]
        world = self._openings.place(policy, opening, next(one for one in KINDS if one == kind))
        lock = world.path.with_name(world.path.name + ".locks") / RUN
        first = trace(world, chosen.verb)
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
        world.inspect(self._bench.server, ending, before=chosen.before, faults=0)
        world.look_after(self._bench.server, ending)


def _wait(pid: int, seconds: float) -> int | None:
    """The exit code, if the process ends in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.0005)
    return None
