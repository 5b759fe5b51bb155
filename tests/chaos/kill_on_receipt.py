"""F3: the service itself kills its client, at the worst moments there are: while it holds the request in its hands."""

from __future__ import annotations

import os
import random
from typing import ClassVar, Final

from part import Swept, as_kind, check_exit, fork
from server import LATENESS, MOMENTS, Moment
from service import Kind
from world import VERBS, Ending

__all__ = ["KillOnReceipt"]

_CALLS: Final = 5
_LATE_SETTLE: Final = 3 * LATENESS
_LATE_POLL: Final = LATENESS / 5


class KillOnReceipt(Swept):
    """Trials ``case:kind:opening:moment:call:repetition``."""

    name: ClassVar[str] = "F3"
    title: ClassVar[str] = "kill on receipt"
    fault: ClassVar[str] = (
        "the service kills its client when the request arrives (and then does the work, does it a little later, or "
        "never), after the work but before the answer, or right after the answer"
    )
    promise: ClassVar[str] = (
        "a create in flight is never sent again on a guess; under `hold` its doubt is shown with exit 13"
    )
    traced: ClassVar[bool] = False

    def covers(self, case: str, opening: str) -> bool:
        return opening in ("run", "poll", "again", "doubt")

    def numbers(self, case: str, kind: Kind, opening: str) -> list[str]:
        return [f"{moment}:{call}:0" for moment in MOMENTS for call in range(1, _CALLS + 1)]

    def draw(self, seed: int) -> str:
        dice = random.Random(seed)
        return dice.choice(self.sweep(dice.choice(self.groups()))).removesuffix("0") + str(seed + 1)

    def attempt(self, trial: str, ending: Ending) -> None:
        case, kind, opening, moment, call, repetition = trial.split(":")
        server = self.bench.server
        late = {"settle": _LATE_SETTLE, "poll": _LATE_POLL} if moment == "late" else {}
        world = self.openings.place(case, opening, as_kind(kind), **late)
        before = len(server.account().calls)
        pid, telling = fork(world, self.openings.verb(case, opening))
        server.kill_at([pid], _moment(moment), int(call))
        os.write(telling, b"!")
        os.close(telling)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        server.spare()
        check_exit(world, code, ending, killed=True)
        world.inspect(server, ending)
        calls = server.account().calls[before:]
        creating = code < 0 and calls[-1].startswith("POST")
        answered = moment == "after-reply"
        world.look_after(server, ending, first=VERBS[int(repetition) % 2])
        if creating and not answered and world.case.policy.name == "hold" and "held" not in ending.word:
            ending.problem("a create that was in flight was not shown as a doubt")


def _moment(text: str) -> Moment:
    return next(one for one in MOMENTS if one == text)
