"""F2: real processes of the command line, killed again and again: at random times, or by the service they call."""

from __future__ import annotations

import random
import time
from typing import ClassVar, Final

from part import Drawn
from process import Command, Process
from server import LATENESS, MOMENTS
from world import VERBS, Bench, Ending, World

__all__ = ["KillProcesses"]

_PACE: Final = "20ms"
_POLLS: Final = 6

_NEW: Final = 0.15
"""How many commands are processes from their first instruction on; the others have loaded the program when they begin,
which is most of a command's time and touches nothing."""

_SETTLE: Final = 3 * LATENESS


class KillProcesses(Drawn):
    """Trials ``case:seed``."""

    name: ClassVar[str] = "F2"
    title: ClassVar[str] = "kill real processes"
    fault: ClassVar[str] = (
        "`arazzo-machine run` and `resume` as processes, killed up to three times, at random or by the service that "
        "has their request in its hands"
    )
    promise: ClassVar[str] = "the next command ends ready, or in doubt with exit 13 and can go on; one create"
    traced: ClassVar[bool] = False

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._times: dict[bool, tuple[float, float]] | None = None

    def draw(self, seed: int) -> str:
        return f"{random.Random(seed).choice(sorted(self._bench.cases))}:{seed}"

    def attempt(self, trial: str, ending: Ending) -> None:
        name, seed = trial.split(":")
        dice = random.Random(int(seed))
        times = self._measured()
        server = self._bench.server
        world = self._bench.world(name, settle=_SETTLE)
        case = world.case
        server.open(case.account(dice.choice(case.policy.kinds), polls=_POLLS))
        command = Command(world)
        kills, verb = 0, "start"
        for _ in range(dice.randint(1, 3)):
            new = dice.random() < _NEW
            process = (command.begin if new else command.fork)(verb, pace=_PACE)
            if dice.random() < 0.4:
                server.kill_at([process.pid], dice.choice(MOMENTS), dice.choice([1, 1, 2, 3]))
                process.wait()
                server.spare()
            else:
                self._kill(process, world, dice, *times[new])
            kills += command.end(process, ending) < 0
            world.inspect(server, ending, faults=kills)
            verb = dice.choice(VERBS)
        code = command.end(command.fork("start", pace=_PACE), ending)
        word = f"exit {code} after {kills} kills"
        if code not in _may_end(world):
            ending.problem(f"the last command ended with exit code {code}")
        world.inspect(server, ending, faults=kills)
        world.look_after(server, ending)
        ending.word = word

    def _kill(self, process: Process, world: World, dice: random.Random, loaded: float, ended: float) -> None:
        """At any time before it has opened the store, or more often after that."""
        if dice.random() < 0.15:
            time.sleep(dice.uniform(0, loaded))
        else:
            while not world.path.exists() and process.poll() is None:
                time.sleep(0.001)
            time.sleep(dice.uniform(0, ended - loaded))
        process.kill()

    def _measured(self) -> dict[bool, tuple[float, float]]:
        """Seconds after which an undisturbed process has opened the store, and has ended, of a new one and of one that
        has loaded the program; measured once."""
        if self._times is None:
            self._times = {new: self._measure(new) for new in (True, False)}
        return self._times

    def _measure(self, new: bool) -> tuple[float, float]:
        world = self._bench.world(next(iter(self._bench.cases)), folder="measured")
        self._bench.server.open(world.case.account(world.case.policy.kinds[0], polls=_POLLS))
        command, began = Command(world), time.monotonic()
        process = (command.begin if new else command.fork)("start", pace=_PACE)
        while not world.path.exists() and process.poll() is None:
            time.sleep(0.001)
        loaded = time.monotonic() - began
        process.wait()
        return loaded, time.monotonic() - began


def _may_end(world: World) -> tuple[int, ...]:
    """The exit codes a command may end with that nobody disturbs, in a run that was disturbed before."""
    case = world.case
    if case.policy.name == "fail":
        return (0, 10, 13)
    return (0, 13) if case.policy.asks or case.policy.deaf else (0,)
