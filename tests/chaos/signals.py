"""F8: SIGINT and SIGTERM, once and twice, at every boundary on the way to a long wait, and to real processes."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from typing import ClassVar, Final

from openings import OPENINGS, Openings
from part import check_exit, trace
from process import Command
from ptrace import Tracee
from server import KINDS
from world import NAME, VERBS, Bench, Ending, World

from machine.runtime.clock import Interrupts

__all__ = ["Signals"]

_SLEEP: Final = 230
"""clock_nanosleep, which Python sleeps with."""

_PACE: Final = 30.0
"""Seconds between two looks: whoever waits for one is far too late."""


class Signals:
    """Trials ``policy:opening:signal:boundary:second`` and ``policy:process:signal:seed:0``."""

    name: ClassVar[str] = "F8"
    title: ClassVar[str] = "interrupt everywhere"
    fault: ClassVar[str] = (
        "SIGINT or SIGTERM at every boundary of a run that would wait 30 s, half of them sent again at once; and to "
        "real processes at random times"
    )
    promise: ClassVar[str] = "it ends within a second with exit 130 or 143, without a traceback, free and resumable"
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
                last = self._boundaries(policy, opening)
                for which in ("INT", "TERM"):
                    found += [f"{policy}:{opening}:{which}:{one}:{one % 2}" for one in range(1, last + 1)]
        return found

    def draw(self, seed: int) -> str:
        policy = random.Random(seed).choice(sorted(self._bench.policies))
        return f"{policy}:process:{'INT' if seed % 2 else 'TERM'}:{seed}:0"

    def _boundaries(self, policy: str, opening: str) -> int:
        """How many there are before it sleeps."""
        world = self._openings.place(policy, opening, "unique", poll=_PACE)
        tracee = _listening(world, OPENINGS[opening].verb)
        passed = tracee.run_to(1 << 30, before=_SLEEP)
        tracee.kill()
        return passed

    def attempt(self, trial: str, ending: Ending) -> None:
        policy, opening, which, boundary, second = trial.split(":")
        signum = signal.SIGINT if which == "INT" else signal.SIGTERM
        if opening == "process":
            self._attempt_process(policy, signum, int(boundary), ending)
            return
        chosen = OPENINGS[opening]
        world = self._openings.place(policy, opening, KINDS[int(boundary) % 2], poll=_PACE)
        tracee = _listening(world, chosen.verb)
        tracee.run_to(int(boundary), before=_SLEEP)
        began = time.monotonic()
        if tracee.exit_code is None:
            tracee.send(signum)
            if second == "1":
                tracee.run_to(random.Random(trial).randrange(1, 40), before=_SLEEP)
                if tracee.exit_code is None:
                    tracee.send(signum)
            tracee.let_go()
        self._judge(tracee.wait(self._bench.patience + 1.0), time.monotonic() - began, ending)
        tracee.kill()
        code = tracee.exit_code or 0
        check_exit(world, code, ending)
        if code != 128 + signum:
            ending.problem(f"exit code {code} after {signum.name}")
        ending.word = f"exit {code}"
        self._go_on(world, ending, before=chosen.before)

    def _attempt_process(self, policy: str, signum: signal.Signals, seed: int, ending: Ending) -> None:
        dice = random.Random(seed)
        world = self._bench.world(policy)
        self._bench.server.open(NAME, KINDS[seed % 2])
        command = Command(world)
        process = command.begin("start", pace=f"{_PACE:g}s")
        # Before the store is there, the interpreter is still loading and has its own way to end.
        while not world.path.exists() and process.poll() is None:
            time.sleep(0.001)
        time.sleep(dice.choice([0.0, dice.uniform(0, 0.05), dice.uniform(0, 0.4)]))
        began = time.monotonic()
        process.send_signal(signum)
        if dice.random() < 0.5:
            time.sleep(dice.uniform(0, 0.02))
            process.send_signal(signum)
        try:
            process.wait(self._bench.patience + 1.0)
        except subprocess.TimeoutExpired:
            process.kill()
        self._judge(process.poll() is not None, time.monotonic() - began, ending)
        command.end(process, ending)
        if process.returncode != 128 + signum:
            ending.problem(f"exit code {process.returncode} after {signum.name}")
        ending.word = f"process exit {process.returncode}"
        self._go_on(world, ending)

    def _judge(self, ended: bool, seconds: float, ending: Ending) -> None:
        if not ended or seconds > self._bench.patience:
            ending.problem(f"ended {seconds:.2f} s after the signal" if ended else "did not end after the signal")
        self._bench.slowest = max(self._bench.slowest, seconds)

    def _go_on(self, world: World, ending: Ending, *, before: int = 0) -> None:
        world.inspect(self._bench.server, ending, before=before)
        world.hurry()
        world.look_after(self._bench.server, ending, first=VERBS[len(ending.word) % 2])


def _listening(world: World, verb: str) -> Tracee:
    """The verb in a traced child that takes signals as the command line does."""
    interrupts = Interrupts()
    with interrupts.caught():
        # The handlers stand before the fork, so that no boundary comes before them.
        return trace(world, verb, interrupts)
