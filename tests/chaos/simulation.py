"""F4: lives of one run in one process, on a virtual clock, from a seed: deaths, a bad network, a slow service.

A seed gives one life: how often the process dies, what the network and the service do, and when somebody comes back to
look. The product is the same Runner; the store is one in memory that dies between its transactions, the transport one
that loses, delays, spoils and refuses. Every promise is checked at the moment it could be broken: when a request
leaves.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from direct import Died, replied
from server import KINDS, Account, Service
from world import NAME, RUN, Bench, Ending, World, differences

from machine.chart.effects import Call
from machine.chart.events import CallFailed, Replied, Resolved
from machine.chart.snapshot import Record, Snapshot
from machine.errors import UsageError
from machine.runtime.clock import Clock
from machine.runtime.secrets import SecretBook
from machine.stores.base import Lease, RunHead
from machine.stores.memory import MemoryStore
from machine.testing.clock import ManualClock

__all__ = ["Simulation"]

_LATEST: Final = 30.0
"""Seconds a request may still be on its way after its sender is gone."""

_LOOK: Final = 60.0
"""Seconds a careful person lets pass before looking whether something was created."""

_GOES: Final = 80

_SETTLING: Final = ("not_sent", "adopt", "accept")

_BEFORE: Final = ("refused", "reset-before", "503", "429", "401")
"""Faults of a create in which nothing is done. The first and the last three are known to have done nothing."""

_CREATE: Final = (*_BEFORE, "reset-after", "late", "500-before", "500-after", "408", "cut", "spoiled")
_LOOKING: Final = ("refused", "reset-before", "503", "429", "401", "500-before", "cut", "spoiled", "404")
_DEFINITE: Final = frozenset({"refused", "503", "429", "401"})


class Simulation:
    """Trials ``policy:seed``."""

    name: ClassVar[str] = "F4"
    title: ClassVar[str] = "simulated lives"
    fault: ClassVar[str] = (
        "in one process on a virtual clock: death before and after every write, every send and every answer; refused, "
        "reset, cut and late requests (up to 30 s), 4xx, 5xx and unreadable answers; people who come back late, or by "
        "a clock set back"
    )
    promise: ClassVar[str] = (
        "a second create only after somebody said that nothing was created; an answer is stored before the next "
        "request leaves; whoever follows the printed next step gets to ready; the journal replays"
    )
    traced: ClassVar[bool] = False

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def sweep(self) -> list[str]:
        return []

    def draw(self, seed: int) -> str:
        names = sorted(self._bench.policies)
        return f"{names[seed % len(names)]}:{seed}"

    def attempt(self, trial: str, ending: Ending) -> None:
        policy, seed = trial.split(":")
        life = _Life(random.Random(int(seed)), ending, holds=self._bench.policies[policy].holds)
        world = self._bench.imagined(
            policy, poll=5.0, runner_options={"clock": life.clock, "transport": life.transport}
        )
        life.live(world)


class _Life:
    """One run from its beginning to ready, and the world around it."""

    def __init__(self, dice: random.Random, ending: Ending, *, holds: bool) -> None:
        self.dice = dice
        self.ending = ending
        self.holds = holds
        self.clock = ManualClock()
        self.store = _MortalStore(self.die)
        self.service = Service()
        self.account: Account = self.service.open(NAME, dice.choice(KINDS), polls=dice.randrange(0, 6))
        self.deaths = 0
        self.doubt = False
        """Whether a create left of which nobody knows yet what became of it."""
        self.delivered: Replied | None = None
        """The answer that said that it was created, once it was handed over."""
        self._set_back = 0.0
        self._late: list[float] = []
        """When creates arrive that are still on their way."""
        self._mortality = dice.choice([0.0, 0.02, 0.1, 0.3])
        self._trouble = dice.choice([0.0, 0.1, 0.4])
        self._deaths_left, self._faults_left = 8, 12

    def die(self) -> None:
        """Perhaps."""
        if self._deaths_left and self.dice.random() < self._mortality:
            self._deaths_left -= 1
            self.deaths += 1
            raise Died

    # -- the person ------------------------------------------------------------------------------------------------

    def live(self, world: World) -> None:
        runner = world.runner(self.store)
        verb = "start"
        for _ in range(_GOES):
            try:
                result = world.apply(runner, verb)
            except Died:
                if verb in _SETTLING and self.store.history(RUN)[-1].kind == Resolved.kind:
                    # The person's word was stored, and only then it died.
                    self.doubt = False
                self._come_back()
                verb = self.dice.choice(["start", "resume"])
                continue
            except UsageError as error:
                if verb != "resume" or error.code != "AZM-U411":
                    raise
                verb = "start"
                continue
            if result.ready:
                break
            if verb in _SETTLING:
                self.doubt = False
                verb = "resume"
            elif result.next.action == "resolve":
                if not self.holds and result.reason == "in_doubt":
                    self.ending.problem("a doubt was held under a policy that settles it")
                if result.reason == "in_doubt" and result.exit_code != 13:
                    self.ending.problem(f"a doubt ended with exit code {result.exit_code}")
                verb = self._truth(result.next.command)
            elif result.next.action == "resume":
                verb = "extend" if result.reason == "deadline" else "resume"
            else:
                verb = "start"
        else:
            self.ending.problem(f"not ready after {_GOES} goes")
        self.ending.word = "ready"
        self._arrive(_LATEST)
        if self.account.creates != 1:
            self.ending.problem(f"{self.account.creates} creates")
        for one in differences(self.store, world.plan):
            self.ending.problem(one)

    def _come_back(self) -> None:
        """Some time later, perhaps with a clock that was set back meanwhile."""
        away = self.dice.choice([0.0, 0.5, _LATEST, 4000.0, -100.0])
        self.clock.advance(away)
        self._set_back += max(-away, 0.0)

    def _now(self) -> float:
        """The true time, which nobody sets back."""
        return self.clock.now() + self._set_back

    def _truth(self, command: str) -> str:
        """What somebody says who waited until nothing could be on its way any more, and then looked."""
        self.clock.advance(_LOOK)
        self._arrive()
        if not self.account.creates:
            return "not_sent"
        return "accept" if "--accept" in command else "adopt"

    # -- the wire --------------------------------------------------------------------------------------------------

    def transport(
        self, base: Callable[[str], str], secrets: SecretBook, clock: Clock, chance: Callable[[], float]
    ) -> _Life:
        return self

    def close(self) -> None:
        """Nothing is open."""

    def perform(self, call: Call, timeout: float) -> Replied | CallFailed:
        creating = call.request.method == "POST"
        self._check_departure(call, creating)
        self.die()
        self.clock.advance(self.dice.uniform(0.01, 2.0))
        self._arrive()
        fault = self._fault(creating)
        if creating and fault != "refused":
            self.doubt, self.delivered = True, None
        answer = self._carry_out(creating, fault)
        if creating and fault in _DEFINITE:
            self.doubt = False
        self.die()
        if creating and isinstance(answer, Replied) and 200 <= answer.reply.status < 300 and fault != "spoiled":
            self.delivered = answer
        return answer

    def _check_departure(self, call: Call, creating: bool) -> None:
        """What must be true when a request leaves."""
        stored = self.store.load(RUN).snapshot
        pending = stored.pending
        if pending is None or pending.number != call.number:
            self.ending.problem("a request left that the journal does not know")
            return
        if not creating:
            if self.delivered and not any(one.outcome == "applied" for one in stored.ledger):
                self.ending.problem("an answered create is not in the journal, and the next request left")
            return
        if not pending.intended and self.store.intent(RUN) != call.number:
            self.ending.problem("a create left without a stored intent")
        if self.doubt and self.holds:
            self.ending.problem("a create left again before anybody said what became of the last one")

    def _fault(self, creating: bool) -> str:
        if not self._faults_left or self.dice.random() >= self._trouble:
            return ""
        self._faults_left -= 1
        return self.dice.choice(_CREATE if creating else _LOOKING)

    def _carry_out(self, creating: bool, fault: str) -> Replied | CallFailed:
        if fault == "refused":
            return self._failed("not_sent", "refused")
        if fault in ("reset-before", "late"):
            if fault == "late":
                self._late.append(self._now() + self.dice.uniform(0, _LATEST))
            self.clock.advance(self.dice.uniform(0, 20))
            return self._failed("unknown", "timeout" if fault == "late" else "reset")
        if fault in ("503", "429"):
            return self._answered(int(fault), {"error": "later"}, headers={"retry-after": str(self.dice.randrange(90))})
        if fault in ("401", "404", "408"):
            return self._answered(int(fault), {"error": "no"})
        if fault == "500-before":
            return self._answered(self.dice.choice([500, 502, 504]), {"error": "broken"})
        self.die()
        status, body = self.service.create(NAME) if creating else self.service.look(NAME)
        if status == 409:
            self.ending.problem("a create of a name that this run has created already")
        if fault in ("reset-after", "cut"):
            return self._failed("unknown", "reset" if fault == "reset-after" else "cut")
        if fault == "500-after":
            return self._answered(500, {"error": "broken"})
        if fault == "spoiled":
            return self._answered(status, None, form="undecodable")
        return self._answered(status, body)

    def _arrive(self, ahead: float = 0.0) -> None:
        """Let the late creates arrive that are due."""
        due = [one for one in self._late if one <= self._now() + ahead]
        self._late = [one for one in self._late if one not in due]
        for _ in due:
            self.service.create(NAME)

    def _failed(self, fate: Any, cause: str) -> CallFailed:
        return CallFailed(at=self.clock.now(), chance=0.5, fate=fate, cause=cause)

    def _answered(self, status: int, body: Any, **fields: Any) -> Replied:
        return replied(status, body, at=self.clock.now(), chance=0.5, **fields)


class _MortalStore(MemoryStore):
    """Dies before a transaction or after it, never in it: that is what a store promises, and other parts test it."""

    def __init__(self, die: Callable[[], None]) -> None:
        super().__init__()
        self._die = die

    def create(
        self, lease: Lease, head: RunHead, blobs: Mapping[str, bytes], snapshot: Snapshot, record: Record
    ) -> None:
        with self._mortal():
            super().create(lease, head, blobs, snapshot, record)

    def restart(
        self, lease: Lease, head: RunHead, blobs: Mapping[str, bytes], snapshot: Snapshot, record: Record
    ) -> None:
        with self._mortal():
            super().restart(lease, head, blobs, snapshot, record)

    def append(self, lease: Lease, snapshot: Snapshot, record: Record) -> None:
        with self._mortal():
            super().append(lease, snapshot, record)

    def mark_intent(self, lease: Lease, call_number: int, at: float) -> None:
        with self._mortal():
            super().mark_intent(lease, call_number, at)

    def set_options(self, lease: Lease, options: Mapping[str, Any]) -> None:
        with self._mortal():
            super().set_options(lease, options)

    @contextmanager
    def _mortal(self) -> Iterator[None]:
        self._die()
        yield
        self._die()
