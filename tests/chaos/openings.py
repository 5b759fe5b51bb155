"""The moments a trial can begin at: a verb of the product, and the store and the other side it finds.

Makes, for each moment, the files of a store as a killed process leaves them, once, together with what the service knows
then; and lays both out for every trial.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cases import Case, Create
from direct import Died
from service import Account, Kind
from world import RUN, SETTLE, Bench, Ending, World, answered

from machine.chart.effects import Call
from machine.chart.events import CallFailed, Replied
from machine.plan.model import UNSAFE
from machine.runtime.clock import Clock
from machine.runtime.http import Transport
from machine.runtime.secrets import SecretBook
from machine.stores.sqlite import SqliteStore

__all__ = ["OPENINGS", "Image", "Opening", "Openings"]

_POLL: Final = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """``verb`` is done in a store in this ``state``, which is about the ``create``-th create of the document."""

    name: str
    state: str
    verb: str
    create: int = 1
    policies: tuple[str, ...] = ()
    """Where it can come to this; everywhere when empty."""

    def possible(self, case: Case) -> bool:
        return self.create <= len(case.document.creates) and (not self.policies or case.policy.name in self.policies)

    def verb_for(self, case: Case) -> str:
        return f"{self.verb} {case.document.creates[self.create - 1].step}" if self.verb == "adopt" else self.verb


_ASKS: Final = ("hold", "fail")

OPENINGS: Final[Mapping[str, Opening]] = {
    one.name: one
    for one in (
        Opening(name="run", state="nothing", verb="start"),
        Opening(name="poll", state="made", verb="resume"),
        Opening(name="doubt", state="lost", verb="resume"),
        Opening(name="arrived", state="arrived", verb="resume"),
        Opening(name="doubt-2", state="lost", verb="resume", create=2),
        Opening(name="arrived-2", state="arrived", verb="start", create=2),
        Opening(name="again", state="settled", verb="resume", policies=_ASKS),
        Opening(name="not-sent", state="lost", verb="not_sent", policies=_ASKS),
        Opening(name="adopt", state="arrived", verb="adopt", policies=_ASKS),
        Opening(name="failed", state="failed", verb="resume", policies=("fail",)),
    )
}
"""From nothing; right after the last create was answered; after a death while creating, when the request did not
arrive and when it did; after a person said that nothing was created; while a person says so, or the opposite; and after
a doubt was taken for a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A store as it was left, with everything the trials that begin with it must know."""

    folder: Path
    account: Account
    lost: int
    """How many requests arrived whose answers the journal does not hold."""
    settled: dict[str, int]
    """How often a person has said, by collection, that nothing was created."""

    def account_for(self, world: World) -> None:
        """Tell a world what happened before it."""
        world.lost, world.settled = self.lost, dict(self.settled)


class Openings:
    """The openings of one bench, made when they are first needed."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._made: dict[tuple[str, str, int, float, float], Image] = {}

    def names(self, case: str) -> list[str]:
        return [one.name for one in OPENINGS.values() if one.possible(self._bench.cases[case])]

    def verb(self, case: str, opening: str) -> str:
        return OPENINGS[opening].verb_for(self._bench.cases[case])

    def place(
        self,
        case: str,
        opening: str,
        kind: Kind,
        *,
        polls: int = 2,
        poll: float = _POLL,
        settle: float = SETTLE,
        **options: Any,
    ) -> World:
        """A world at that opening, and the server told of it."""
        image = self.image(case, opening, poll=poll, settle=settle)
        world = self._bench.world(case, poll=poll, settle=settle, **options)
        shutil.copytree(image.folder, world.folder, dirs_exist_ok=True)
        image.account_for(world)
        self._bench.server.open(image.account.again(kind=kind, polls=polls))
        return world

    def image(self, case: str, opening: str, *, poll: float = _POLL, settle: float = SETTLE) -> Image:
        chosen = OPENINGS[opening]
        key = (case, chosen.state, chosen.create, poll, settle)
        if key not in self._made:
            self._made[key] = self._make(*key)
        return self._made[key]

    def _make(self, name: str, state: str, number: int, poll: float, settle: float) -> Image:
        case, server = self._bench.cases[name], self._bench.server
        create = case.document.creates[number - 1]
        world = self._bench.world(name, folder=f"image-{len(self._made)}", poll=poll, settle=settle)
        account = case.account(case.policy.kinds[0])
        if state == "arrived":
            # What arrives is carried out, whatever the weather.
            account.weather.clear()
        server.open(account)
        image = world.folder.with_suffix(".kept")
        shutil.rmtree(image, ignore_errors=True)
        if state == "nothing":
            shutil.copytree(world.folder, image)
            return Image(folder=image, account=server.account(), lost=0, settled={})
        # Held open: whoever closes a store last merges its journal, which a killed process does not do.
        with SqliteStore(world.path) as store:
            if state == "made":
                self._until_made(world, case.document.creates[-1])
            else:
                self._until_dead(world, create, arrives=state == "arrived")
            if state in ("settled", "failed"):
                world.do("not_sent" if state == "settled" else "resume")
            lost = len(server.account().calls) - answered(store, store.load(RUN))
            shutil.copytree(world.folder, image)
        return Image(folder=image, account=server.account(), lost=lost, settled=world.settled)

    def _until_made(self, world: World, create: Create) -> None:
        """Drive the run until this create is known to have been applied; a person settles what is doubtful."""
        verb = "start"
        for _ in range(8):
            with SqliteStore(world.path) as store:
                runner = world.runner(store)
                run = world.begin(runner) if verb == "start" else runner.resume(RUN)
                with contextlib.closing(run):
                    for _ in run:
                        effects = runner.result(RUN).effects
                        if any(one.step == create.step and one.outcome == "applied" for one in effects):
                            return
                result = runner.result(RUN)
            verb = "resume"
            if result.reason == "in_doubt":
                verb = world.settle_doubt(result, self._bench.server, Ending())
        raise AssertionError(f"{create.step} is never applied")

    def _until_dead(self, world: World, create: Create, *, arrives: bool) -> None:
        """Drive the run until the process dies with this create just sent."""

        def dying(
            base: Callable[[str, str], str], secrets: SecretBook, clock: Clock, chance: Callable[[], float]
        ) -> _Dying:
            return _Dying(Transport(base, secrets, clock, chance), create, arrives=arrives)

        mortal = World(
            world.folder,
            world.case,
            world.url,
            poll=world.poll,
            settle=world.settle,
            runner_options={"transport": dying},
        )
        with SqliteStore(world.path) as store, contextlib.suppress(Died):
            mortal.apply(mortal.runner(store), "start")
            raise AssertionError(f"{create.step} was never sent")


class _Dying:
    """Performs calls until one create: then the process dies, before that request has left or after it was answered."""

    def __init__(self, transport: Transport, create: Create, *, arrives: bool) -> None:
        self._transport = transport
        self._create = create
        self._arrives = arrives

    def perform(self, call: Call, timeout: float) -> Replied | CallFailed:
        last = call.step == self._create.step and call.kind in UNSAFE
        if last and not self._arrives:
            raise Died
        answer = self._transport.perform(call, timeout)
        if last:
            raise Died
        return answer

    def close(self) -> None:
        self._transport.close()
