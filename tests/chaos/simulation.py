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

from cases import Case
from direct import Died, asked, replied
from part import Drawn
from service import Answer, Asked, Service
from world import RUN, Bench, Ending, World, differences

from machine.chart.effects import Call
from machine.chart.events import CallFailed, Replied, Resolved
from machine.chart.snapshot import Record, Snapshot
from machine.errors import UsageError
from machine.plan.model import UNSAFE
from machine.runtime.clock import Clock
from machine.runtime.result import Result
from machine.runtime.secrets import SecretBook
from machine.stores.base import Lease, RunHead
from machine.stores.memory import MemoryStore
from machine.testing.clock import ManualClock

__all__ = ["Simulation"]

_LATEST: Final = 30.0
"""Seconds a request may still be on its way after its sender is gone."""

_SETTLE: Final = 60.0
"""Later than anything can arrive: the longest a request takes to leave, and then the longest it is on its way."""

_STALE: Final = 20.0
"""Seconds for which a look may not yet find what was made."""

_LOOK: Final = 60.0
"""Seconds a careful person lets pass before looking whether something was created."""

_GOES: Final = 80

_REPLAYED: Final = 4
"""Of so many lives one is replayed: that takes as long as living it."""

_SETTLING: Final = ("not_sent", "adopt", "accept")

_BEFORE: Final = ("refused", "reset-before", "503", "429", "401")
"""Faults of a create in which nothing is done. The first and the last three are known to have done nothing."""

_CREATE: Final = (*_BEFORE, "reset-after", "late", "500-before", "500-after", "408", "cut", "spoiled")
_OTHERS: Final = ("refused", "reset-before", "503", "429", "401", "500-before", "cut", "spoiled", "slow", "stale")
_DEFINITE: Final = frozenset({"refused", "503", "429", "401"})


class Simulation(Drawn):
    """Trials ``case:seed``."""

    name: ClassVar[str] = "F4"
    title: ClassVar[str] = "simulated lives"
    fault: ClassVar[str] = (
        "in one process on a virtual clock: death before and after every write, every send and every answer; refused, "
        "reset, cut and late requests (applied up to 30 s after their sender gave up or died), slow answers, 4xx, 5xx "
        "and unreadable answers; people who come back late, or by a clock set back"
    )
    promise: ClassVar[str] = (
        "no create leaves while the last one may have been or may still be applied, but under its own key; an answer "
        "is stored before the next request leaves; whoever follows the printed next step gets to ready; the journal of "
        "each fourth life replays"
    )
    traced: ClassVar[bool] = False

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def draw(self, seed: int) -> str:
        names = sorted(self._bench.cases)
        return f"{names[seed % len(names)]}:{seed}"

    def attempt(self, trial: str, ending: Ending) -> None:
        name, seed = trial.split(":")
        life = _Life(random.Random(int(seed)), ending, self._bench.cases[name])
        world = self._bench.imagined(
            name, poll=5.0, settle=_SETTLE, runner_options={"clock": life.clock, "transport": life.transport}
        )
        life.live(world)
        if int(seed) % _REPLAYED == 0:
            for problem in differences(life.store, world.case.plan):
                ending.problem(problem)


class _Life:
    """One run from its beginning to ready, and the world around it."""

    def __init__(self, dice: random.Random, ending: Ending, case: Case) -> None:
        self.dice = dice
        self.ending = ending
        self.case = case
        self.clock = ManualClock()
        self.store = _MortalStore(self.die)
        self.service = Service()
        self.account = self.service.account = case.account(
            dice.choice([kind for kind in case.policy.kinds if kind not in case.policy.deaf]),
            polls=dice.randrange(0, 6),
        )
        self.doubts: dict[str, str] = {}
        """Collections to whose last create nobody knows what became of it, and the key it was sent under."""
        self.delivered: set[str] = set()
        """Collections whose create was answered as applied, and the answer handed over."""
        self._just_delivered = ""
        self._made: dict[str, float] = {}
        """When the things of a collection were made."""
        self._set_back = 0.0
        self._late: list[tuple[float, Asked]] = []
        """When creates arrive that are still on their way."""
        self._mortality = dice.choice([0.0, 0.02, 0.1, 0.3])
        self._trouble = dice.choice([0.0, 0.1, 0.4])
        self._deaths_left, self._faults_left = 8, 12

    def die(self) -> None:
        """Perhaps."""
        if self._deaths_left and self.dice.random() < self._mortality:
            self._deaths_left -= 1
            raise Died

    # -- the person ------------------------------------------------------------------------------------------------

    def live(self, world: World) -> None:
        runner = world.runner(self.store)
        verb = "start"
        for _ in range(_GOES):
            try:
                result = world.apply(runner, verb)
            except Died:
                # Between an answer and its transaction nothing is promised.
                self.delivered.discard(self._just_delivered)
                if verb.split()[0] in _SETTLING and self.store.history(RUN)[-1].kind == Resolved.kind:
                    # The person's word was stored, and only then it died.
                    self.doubts.clear()
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
            if verb.split()[0] in _SETTLING:
                self.doubts.clear()
                verb = "resume"
            elif result.next.action == "resolve":
                verb = self._judge_doubt(world, result)
            elif result.next.action == "resume":
                verb = "extend" if result.reason == "deadline" else "resume"
            else:
                verb = "start"
        else:
            self.ending.problem(f"not ready after {_GOES} goes")
        self.ending.word = self.ending.word or "ready"
        self._arrive(_LATEST)
        for one in self.case.document.creates:
            made, surplus = self.account.creates(one.collection), self.account.surplus.get(one.collection, 0)
            if made != 1 or surplus:
                self.ending.problem(f"{made} creates of {one.collection}, {surplus} more asked for")

    def _come_back(self) -> None:
        """Some time later, perhaps with a clock that was set back meanwhile."""
        away = self.dice.choice([0.0, 0.5, _LATEST, 4000.0, -100.0])
        self.clock.advance(away)
        self._set_back += max(-away, 0.0)

    def _now(self) -> float:
        """The true time, which nobody sets back."""
        return self.clock.now() + self._set_back

    def _judge_doubt(self, world: World, result: Result) -> str:
        """What somebody says who waited until nothing could be on its way any more, and then looked."""
        if result.reason == "in_doubt":
            self.ending.word = "held"
            if result.exit_code != 13:
                self.ending.problem(f"a doubt ended with exit code {result.exit_code}")
        self.clock.advance(_LOOK)
        self._arrive()
        create = world.doubtful(result)
        if not self.account.creates(create.collection):
            return "not_sent"
        return "accept" if "--accept" in result.next.command else f"adopt {create.step}"

    # -- the wire --------------------------------------------------------------------------------------------------

    def transport(
        self, base: Callable[[str, str], str], secrets: SecretBook, clock: Clock, chance: Callable[[], float]
    ) -> _Life:
        return self

    def close(self) -> None:
        """Nothing is open."""

    def perform(self, call: Call, timeout: float) -> Replied | CallFailed:
        request = asked(call)
        self._just_delivered = ""
        creating = request.method == "POST"
        self._check_departure(call, request)
        self.die()
        self.clock.advance(self.dice.uniform(0.01, 2.0))
        self._arrive()
        fault = self._fault(creating)
        known, refused = request.collection in self.doubts, dict(self.account.refused)
        if creating and fault != "refused":
            self.doubts[request.collection] = request.key
            self.delivered.discard(request.collection)
        answer = self._carry_out(request, fault)
        if creating and not known and (fault in _DEFINITE or self.account.refused != refused):
            self.doubts.pop(request.collection, None)
        self.die()
        if creating and isinstance(answer, Replied) and 200 <= answer.reply.status < 300 and fault != "spoiled":
            self.delivered.add(request.collection)
            self._just_delivered = request.collection
        return answer

    def _check_departure(self, call: Call, request: Asked) -> None:
        """What must be true when a request leaves."""
        stored = self.store.load(RUN).snapshot
        pending = stored.pending
        if pending is None or pending.number != call.number:
            self.ending.problem("a request left that the journal does not know")
            return
        for one in self.case.document.creates:
            if one.collection in self.delivered and not any(
                entry.step == one.step and entry.outcome == "applied" for entry in stored.ledger
            ):
                self.ending.problem("an answered create is not in the journal, and the next request left")
        if call.kind not in UNSAFE:
            return
        if not pending.intended and self.store.intent(RUN) != call.number:
            self.ending.problem("a create left without a stored intent")
        self._check_again(request)

    def _check_again(self, request: Asked) -> None:
        """What must be true when a create leaves of which there was one before."""
        collection, policy = request.collection, self.case.policy.name
        if policy == "reissue":
            if self.doubts.get(collection, request.key) != request.key:
                self.ending.problem("a doubtful create left again under another key")
            return
        if policy in ("hold", "fail") and collection in self.doubts:
            self.ending.problem("a create left again before anybody said what became of the last one")
        if collection in self.account.things:
            self.ending.problem("a create left although the thing is there")
        if any(late.collection == collection for _, late in self._late):
            self.ending.problem("a create left although the last one was still on its way")

    def _fault(self, creating: bool) -> str:
        if not self._faults_left or self.dice.random() >= self._trouble:
            return ""
        self._faults_left -= 1
        return self.dice.choice(_CREATE if creating else _OTHERS)

    def _carry_out(self, request: Asked, fault: str) -> Replied | CallFailed:
        if fault == "refused":
            return self._failed("not_sent", "refused")
        if fault in ("reset-before", "late"):
            if fault == "late":
                self._late.append((self._now() + self.dice.uniform(0, _LATEST), request))
            self.clock.advance(self.dice.uniform(0, 20))
            return self._failed("unknown", "timeout" if fault == "late" else "reset")
        if fault in ("503", "429"):
            later = {"retry-after": str(self.dice.randrange(90))}
            return self._answered(Answer(int(fault), {"error": "later"}, later))
        if fault in ("401", "408"):
            return self._answered(Answer(int(fault), {"error": "no"}))
        if fault == "500-before":
            return self._answered(Answer(self.dice.choice([500, 502, 504]), {"error": "broken"}))
        self.die()
        stale = (
            fault == "stale"
            and request.method == "GET"
            and self._now() - self._made.get(request.collection, 0) < _STALE
        )
        answer = Answer(404, {"error": "none"}) if stale else self._answer(request)
        if fault in ("reset-after", "cut"):
            return self._failed("unknown", "reset" if fault == "reset-after" else "cut")
        if fault == "500-after":
            return self._answered(Answer(500, {"error": "broken"}))
        if fault == "spoiled":
            return self._answered(Answer(answer.status, None), form="undecodable")
        if fault == "slow":
            # It tells how things stood when it was asked.
            self.clock.advance(self.dice.uniform(0, _SETTLE))
        return self._answered(answer)

    def _arrive(self, ahead: float = 0.0) -> None:
        """Let the late creates arrive that are due."""
        due = [(at, one) for at, one in self._late if at <= self._now() + ahead]
        self._late = [(at, one) for at, one in self._late if at > self._now() + ahead]
        for at, one in due:
            # It arrived when it was due, however long nobody looked since: a look after that is not stale any more.
            self._answer(one, at)

    def _answer(self, request: Asked, at: float | None = None) -> Answer:
        before = dict(self.account.made)
        answer = self.service.answer(request)
        if self.account.made != before:
            self._made[request.collection] = self._now() if at is None else at
        return answer

    def _failed(self, fate: Any, cause: str) -> CallFailed:
        return CallFailed(at=self.clock.now(), chance=0.5, fate=fate, cause=cause)

    def _answered(self, answer: Answer, **fields: Any) -> Replied:
        return replied(answer, at=self.clock.now(), chance=0.5, **fields)


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
