"""F3: the service itself kills its client, at the worst moments there are: while it holds the request in its hands."""

from __future__ import annotations

import os
import random
from typing import ClassVar

from openings import OPENINGS, Openings
from part import check_exit, fork
from server import KINDS, MOMENTS
from world import NAME, VERBS, Bench, Ending

__all__ = ["KillOnReceipt"]

_CALLS = {"run": 4, "poll": 3, "again": 4}
"""How many calls each of these openings makes."""


class KillOnReceipt:
    """Trials ``policy:kind:opening:moment:call:repetition``."""

    name: ClassVar[str] = "F3"
    title: ClassVar[str] = "kill on receipt"
    fault: ClassVar[str] = (
        "the service kills its client when the request arrives (before, or instead of, doing the work), after the work "
        "but before the answer, or right after the answer"
    )
    promise: ClassVar[str] = "a create in flight is never sent again on a guess, and its doubt is shown with exit 13"
    traced: ClassVar[bool] = False

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._openings = Openings(bench)

    def sweep(self) -> list[str]:
        return [
            f"{policy}:{kind}:{opening}:{moment}:{call}:0"
            for policy in self._bench.policies
            for opening in self._openings.names(policy)
            for kind in KINDS
            for moment in MOMENTS
            for call in range(1, _CALLS.get(opening, 0) + 1)
        ]

    def draw(self, seed: int) -> str:
        return random.Random(seed).choice(self.sweep()).removesuffix("0") + str(seed + 1)

    def attempt(self, trial: str, ending: Ending) -> None:
        policy, kind, opening, moment, call, repetition = trial.split(":")
        chosen = OPENINGS[opening]
        server = self._bench.server
        world = self._openings.place(policy, opening, next(one for one in KINDS if one == kind))
        pid, telling = fork(world, chosen.verb)
        server.kill_at(NAME, pid, next(one for one in MOMENTS if one == moment), int(call))
        os.write(telling, b"!")
        os.close(telling)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        server.spare(NAME)
        check_exit(world, code, ending, killed=True)
        world.inspect(server, ending, before=chosen.before)
        posting = opening != "poll" and call == "1"
        world.look_after(server, ending, first=VERBS[int(repetition) % 2])
        if posting and moment != "after-reply" and self._bench.policies[policy].holds and ending.word != "held":
            ending.problem("a create that was in flight was not shown as a doubt")
