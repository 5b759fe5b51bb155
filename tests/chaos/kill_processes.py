"""F2: real processes of the command line, killed again and again at random times."""

from __future__ import annotations

import random
import time
from typing import ClassVar

from process import Command
from server import KINDS
from world import NAME, VERBS, Bench, Ending

__all__ = ["KillProcesses"]


class KillProcesses:
    """Trials ``policy:seed``."""

    name: ClassVar[str] = "F2"
    title: ClassVar[str] = "kill real processes"
    fault: ClassVar[str] = "`arazzo-machine run` and `resume` as processes, killed at random times, up to three in a row"
    promise: ClassVar[str] = "the next command goes on to ready, or ends in doubt with exit 13 and then goes on; one create"
    traced: ClassVar[bool] = False

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._loaded, self._ended = self._measure(next(iter(bench.policies)))

    def sweep(self) -> list[str]:
        return []

    def draw(self, seed: int) -> str:
        return f"{random.Random(seed).choice(sorted(self._bench.policies))}:{seed}"

    def attempt(self, trial: str, ending: Ending) -> None:
        policy, seed = trial.split(":")
        dice = random.Random(int(seed))
        world = self._bench.world(policy)
        self._bench.server.open(NAME, dice.choice(KINDS))
        command = Command(world)
        kills = 0
        verb = "start"
        for _ in range(dice.randint(1, 3)):
            process = command.begin(verb)
            # Most of the time of a process goes into loading it; most kills should come after that.
            early = dice.random() < 0.15
            time.sleep(dice.uniform(0, self._loaded) if early else dice.uniform(self._loaded, self._ended))
            process.kill()
            killed = command.end(process, ending) < 0
            kills += killed
            world.inspect(self._bench.server, ending, faults=kills)
            verb = dice.choice(VERBS)
        process = command.begin("start")
        code = command.end(process, ending)
        ending.word = f"exit {code} after {kills} kills"
        if code not in ((0, 13) if self._bench.policies[policy].holds else (0,)):
            ending.problem(f"the last command ended with exit code {code}")
        world.inspect(self._bench.server, ending, faults=kills)
        word = ending.word
        world.look_after(self._bench.server, ending)
        ending.word = word

    def _measure(self, policy: str) -> tuple[float, float]:
        """Seconds after which an undisturbed process has loaded everything, and has ended."""
        world = self._bench.world(policy)
        self._bench.server.open(NAME, "unique")
        began = time.monotonic()
        process = Command(world).begin("start")
        while not world.path.exists() and process.poll() is None:
            time.sleep(0.001)
        loaded = time.monotonic() - began
        process.wait()
        return loaded, time.monotonic() - began
