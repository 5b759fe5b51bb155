"""F10: the same command five times at once, after a kill, until it is ready: one of everything."""

from __future__ import annotations

import os
import random
from typing import ClassVar, Final

from part import Swept, as_kind, check_exit, fork
from server import MOMENTS
from service import Kind
from world import Ending

from machine.errors import BusyError

__all__ = ["SameCommand"]

_CROWD: Final = 5
_CALLS: Final = 5


class SameCommand(Swept):
    """Trials ``case:kind:opening:moment:call:repetition``: five commands start together and are killed."""

    name: ClassVar[str] = "F10"
    title: ClassVar[str] = "the same command five times"
    fault: ClassVar[str] = (
        "five processes with the same command and the same `--id` start together, the service kills all that are left "
        "of them over a request, and then five start together again"
    )
    promise: ClassVar[str] = "one of everything; who comes second is refused with exit 75 or is told the stored result"
    traced: ClassVar[bool] = False

    def covers(self, case: str, opening: str) -> bool:
        return opening in ("run", "poll", "doubt", "arrived")

    def numbers(self, case: str, kind: Kind, opening: str) -> list[str]:
        return [f"{moment}:{call}:0" for moment in MOMENTS if moment != "late" for call in range(1, _CALLS + 1)]

    def draw(self, seed: int) -> str:
        dice = random.Random(seed)
        return dice.choice(self.sweep(dice.choice(self.groups()))).removesuffix("0") + str(seed + 1)

    def attempt(self, trial: str, ending: Ending) -> None:
        case, kind, opening, moment, call, _ = trial.split(":")
        server = self.bench.server
        world = self.openings.place(case, opening, as_kind(kind))
        codes: set[int] = set()
        for kills in (True, False):
            crowd = [fork(world, "start", who=f"{number}") for number in range(_CROWD)]
            if kills:
                server.kill_at([pid for pid, _ in crowd], next(one for one in MOMENTS if one == moment), int(call))
            for _, telling in crowd:
                os.write(telling, b"!")
            for _, telling in crowd:
                os.close(telling)
            for pid, _ in crowd:
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                check_exit(world, code, ending, killed=kills)
                codes.add(code)
            server.spare()
            world.inspect(server, ending)
        if not codes <= {0, -9, BusyError.exit_code, *_stops(self.bench.cases[case].policy.name)}:
            ending.problem(f"they ended with {sorted(codes)}")
        ending.word = "refused" if BusyError.exit_code in codes else "one after the other"
        world.look_after(server, ending, first="start")


def _stops(policy: str) -> tuple[int, ...]:
    """What a run may stop with that was disturbed."""
    return {"hold": (13,), "fail": (10, 13), "reissue": (10, 13)}.get(policy, ())
