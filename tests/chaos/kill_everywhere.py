"""F1: SIGKILL at every boundary of every system call of every verb that moves a run."""

from __future__ import annotations

from typing import ClassVar

from part import Swept, as_kind, check_exit, trace
from service import Kind
from world import VERBS, Ending

__all__ = ["KillEverywhere"]


class KillEverywhere(Swept):
    """Trials ``case:kind:opening:boundary``; the boundaries are counted once in a run that nobody disturbs."""

    name: ClassVar[str] = "F1"
    title: ClassVar[str] = "kill at every boundary"
    fault: ClassVar[str] = "SIGKILL on the way into and out of every system call of a run, a resume and a resolve"
    promise: ClassVar[str] = "one create, nothing learnt is lost, and resuming ends as if nothing had happened"
    traced: ClassVar[bool] = True

    def numbers(self, case: str, kind: Kind, opening: str) -> list[str]:
        world = self.openings.place(case, opening, kind)
        tracee = trace(world, self.openings.verb(case, opening))
        return [str(one) for one in range(1, tracee.run_to(1 << 30) + 1)]

    def attempt(self, trial: str, ending: Ending) -> None:
        case, kind, opening, boundary = trial.split(":")
        world = self.openings.place(case, opening, as_kind(kind))
        tracee = trace(world, self.openings.verb(case, opening))
        tracee.run_to(int(boundary))
        tracee.kill()
        check_exit(world, tracee.exit_code or 0, ending, killed=True)
        world.inspect(self.bench.server, ending)
        world.look_after(self.bench.server, ending, first=VERBS[int(boundary) % 2])
