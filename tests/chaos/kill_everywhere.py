"""F1: SIGKILL at every boundary of every system call of every verb that moves a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from part import Swept, as_kind, check_exit, trace
from service import Kind
from world import VERBS, Ending

__all__ = ["KillEverywhere"]


class KillEverywhere(Swept):
    """Trials ``case:kind:opening:boundary``; the boundaries are counted once in a run that nobody disturbs."""

    name: ClassVar[str] = "F1"
    title: ClassVar[str] = "kill at every boundary"
    fault: ClassVar[str] = (
        "SIGKILL on the way into and out of every system call of a run, a resume and a resolve; a full campaign makes "
        "each third of them, begun at another one in each run, a night makes all"
    )
    promise: ClassVar[str] = "one create, nothing learnt is lost, and resuming ends as if nothing had happened"
    traced: ClassVar[bool] = True

    def kinds(self, case: str) -> Sequence[Kind]:
        """Those that keep what the policy rests on: of the others only the limit would be learnt, and F3 tells it."""
        policy = self.bench.cases[case].policy
        return [kind for kind in policy.kinds if kind not in policy.deaf]

    def numbers(self, case: str, kind: Kind, opening: str) -> list[str]:
        kinds = self.kinds(case)
        world = self.openings.place(case, opening, kind)
        tracee = trace(world, self.openings.verb(case, opening))
        # The services take turns: each boundary is tried once, the next one against the next of them.
        return [str(one) for one in range(1 + kinds.index(kind), tracee.run_to(1 << 30) + 1, len(kinds))]

    def attempt(self, trial: str, ending: Ending) -> None:
        case, kind, opening, boundary = trial.split(":")
        world = self.openings.place(case, opening, as_kind(kind))
        tracee = trace(world, self.openings.verb(case, opening))
        tracee.run_to(int(boundary))
        tracee.kill()
        check_exit(world, tracee.exit_code or 0, ending, killed=True)
        world.inspect(self.bench.server, ending)
        world.look_after(self.bench.server, ending, first=VERBS[int(boundary) % 2])
