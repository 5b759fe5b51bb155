"""F8: SIGINT and SIGTERM, once and twice, at every boundary on the way to a long wait, and to real processes."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from typing import ClassVar, Final

from openings import Openings
from part import Drawn, check_exit, trace
from process import Command
from ptrace import Tracee
from world import VERBS, Bench, Ending, World

from machine.runtime.clock import Interrupts

__all__ = ["Signals"]

_SLEEP: Final = 230
"""clock_nanosleep, which Python sleeps with."""

_PACE: Final = 30.0
"""Seconds between two looks: whoever waits for one is far too late."""


_WHERE: Final = ("run", "poll", "again", "run", "poll", "again", "run", "poll", "again", "command", "process")
"""A process that loads the program takes as long as many that are forked."""


class Signals(Drawn):
    """Trials ``case:opening:signal:boundary:second``, and for processes of the command line
    ``case:command:signal:boundary:0`` and ``case:process:signal:seed:0``."""

    name: ClassVar[str] = "F8"
    title: ClassVar[str] = "interrupt everywhere"
    fault: ClassVar[str] = (
        "SIGINT or SIGTERM at any boundary of a run that would wait 30 s, half of them sent again at once; and to "
        "real processes, at any boundary after they have opened the store and at random times"
    )
    promise: ClassVar[str] = "it ends within a second with exit 130 or 143, without a traceback, free and resumable"
    traced: ClassVar[bool] = True

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._openings = Openings(bench)
        self._lengths: dict[tuple[str, str], int] = {}

    def draw(self, seed: int) -> str:
        dice = random.Random(seed)
        case = dice.choice(sorted(self._bench.cases))
        which = dice.choice(["INT", "TERM"])
        where = dice.choice(_WHERE)
        if where == "process":
            return f"{case}:process:{which}:{seed}:0"
        if where == "again" and where not in self._openings.names(case):
            where = "run"
        boundary = dice.randrange(1, self._length(case, where) + 1)
        return f"{case}:{where}:{which}:{boundary}:{0 if where == 'command' else boundary % 2}"

    def _length(self, case: str, where: str) -> int:
        """How many boundaries there are before it first sleeps."""
        key = (case, where)
        if key not in self._lengths:
            if where == "command":
                _, tracee = self._command(case)
            else:
                world = self._openings.place(case, where, "unique", poll=_PACE)
                tracee = _listening(world, self._openings.verb(case, where))
            self._lengths[key] = tracee.run_to(1 << 30, before=_SLEEP)
            tracee.kill()
        return self._lengths[key]

    def _command(self, case: str) -> tuple[World, Tracee]:
        """A real process, stopped when it has just made its store: what it loads later is still to come."""
        world = self._bench.world(case)
        self._bench.server.open(world.case.account(world.case.policy.kinds[0]))
        tracee = Command(world).trace("start", pace=f"{_PACE:g}s")
        while not world.path.exists() and tracee.step():
            pass
        return world, tracee

    def attempt(self, trial: str, ending: Ending) -> None:
        case, opening, which, boundary, second = trial.split(":")
        signum = signal.SIGINT if which == "INT" else signal.SIGTERM
        if opening == "process":
            self._attempt_process(case, signum, int(boundary), ending)
            return
        if opening == "command":
            self._attempt_command(case, signum, int(boundary), ending)
            return
        kinds = self._bench.cases[case].policy.kinds
        world = self._openings.place(case, opening, kinds[int(boundary) % len(kinds)], poll=_PACE)
        tracee = _listening(world, self._openings.verb(case, opening))
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
        self._judge_code(world, code, signum, ending)
        ending.word = f"exit {code}"
        self._go_on(world, ending)

    def _attempt_command(self, case: str, signum: signal.Signals, boundary: int, ending: Ending) -> None:
        world, tracee = self._command(case)
        tracee.run_to(boundary, before=_SLEEP)
        tracee.send(signum)
        began = time.monotonic()
        tracee.let_go()
        self._judge(tracee.wait(self._bench.patience + 1.0), time.monotonic() - began, ending)
        tracee.kill()
        code = tracee.exit_code or 0
        self._judge_code(world, code, signum, ending)
        ending.word = f"command exit {code}"
        Command(world).judge(code, ending)
        self._go_on(world, ending)

    def _attempt_process(self, case: str, signum: signal.Signals, seed: int, ending: Ending) -> None:
        dice = random.Random(seed)
        world = self._bench.world(case)
        kinds = world.case.policy.kinds
        self._bench.server.open(world.case.account(kinds[seed % len(kinds)]))
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
        self._judge_code(world, process.returncode, signum, ending)
        ending.word = f"process exit {process.returncode}"
        self._go_on(world, ending)

    def _judge(self, ended: bool, seconds: float, ending: Ending) -> None:
        if not ended or seconds > self._bench.patience:
            ending.problem(f"ended {seconds:.2f} s after the signal" if ended else "did not end after the signal")
        ending.seen["milliseconds from a signal to the end"] = round(seconds * 1000)

    def _judge_code(self, world: World, code: int, signum: signal.Signals, ending: Ending) -> None:
        # A run that stops in doubt before it would first wait may have ended when the signal comes.
        ended = (10, 13) if world.case.policy.asks or world.case.policy.deaf else ()
        if code != 128 + signum and code not in ended:
            ending.problem(f"exit code {code} after {signum.name}")

    def _go_on(self, world: World, ending: Ending) -> None:
        world.inspect(self._bench.server, ending)
        world.hurry()
        world.look_after(self._bench.server, ending, first=VERBS[len(ending.word) % 2])


def _listening(world: World, verb: str) -> Tracee:
    """The verb in a traced child that takes signals as the command line does."""
    interrupts = Interrupts()
    with interrupts.caught():
        # The handlers stand before the fork, so that no boundary comes before them.
        return trace(world, verb, interrupts)
