"""F1: SIGKILL at every boundary of every system call of every verb that moves a run."""

from __future__ import annotations

from typing import ClassVar

from openings import OPENINGS, Openings
from part import check_exit, trace
from server import KINDS, Kind
from world import VERBS, Bench, Ending

__all__ = ["KillEverywhere"]


class KillEverywhere:
    """Trials ``policy:kind:opening:boundary``; the boundaries are counted once in a run that nobody disturbs."""

    name: ClassVar[str] = "F1"
    title: ClassVar[str] = "kill at every boundary"
    fault: ClassVar[str] = "SIGKILL on the way into and out of every system call of a run, a resume and a resolve"
    promise: ClassVar[str] = "one create, nothing learnt is lost, and resuming ends as if nothing had happened"
    traced: ClassVar[bool] = True

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._openings = Openings(bench)

    def sweep(self) -> list[str]:
        found = []
        for policy in self._bench.policies:
            for opening in self._openings.names(policy):
                for kind in KINDS:
                    world = self._openings.place(policy, opening, kind)
                    tracee = trace(world, OPENINGS[opening].verb)
                    found += [f"{policy}:{kind}:{opening}:{one}" for one in range(1, tracee.run_to(1 << 30) + 1)]
        return found

    def draw(self, seed: int) -> str:
        return ""

    def attempt(self, trial: str, ending: Ending) -> None:
        policy, kind, opening, boundary = trial.split(":")
        chosen = OPENINGS[opening]
        world = self._openings.place(policy, opening, _kind(kind))
        tracee = trace(world, chosen.verb)
        tracee.run_to(int(boundary))
        tracee.kill()
        check_exit(world, tracee.exit_code or 0, ending, killed=True)
        world.inspect(self._bench.server, ending, before=chosen.before)
        world.look_after(self._bench.server, ending, first=VERBS[int(boundary) % 2])


def _kind(text: str) -> Kind:
    return "twice" if text == "twice" else "unique"
