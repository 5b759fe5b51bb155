"""One run under faults: its store, the person who looks after it, and what must hold.

Makes a World from a case and a service, does one verb of the product in it, and checks from outside what the product
promises: no second create that nobody asked for, no answer lost, doubt shown, a journal that replays, and always a way
on to ready. What differs from policy to policy is looked up in the case. Injects nothing.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol
from unittest import mock

from cases import Case, Create
from server import Server
from service import Account

from machine.chart import chart as chart_module
from machine.chart.chart import Chart
from machine.chart.effects import Call
from machine.chart.events import event_from_json
from machine.chart.settings import Settings
from machine.errors import UsageError
from machine.plan.model import UNSAFE, Plan
from machine.runtime.clock import Interrupts
from machine.runtime.result import Result
from machine.runtime.run import Run
from machine.runtime.runner import Runner
from machine.stores.base import Store, StoredRun
from machine.stores.sqlite import SqliteStore

__all__ = ["RUN", "VERBS", "Bench", "Ending", "Side", "World", "answered", "differences", "shared_charts"]

RUN: Final = "run"
VERBS: Final = ("start", "resume")
"""The two ways to go on with a run: by its id, and by the same command again."""

SETTLE: Final = 0.012
"""Seconds after which an absence counts, where nothing arrives late."""

_DEAF: Final = "the service ignores the key it was said to honour, and a create sent again under it was made again"
_GOES: Final = 12


class Side(Protocol):
    """What the other side knows. ``settled``: after everything that is still on its way has arrived."""

    def account(self, *, settled: bool = False) -> Account: ...


@dataclass(slots=True, kw_only=True)
class Ending:
    """What a trial came to: a word for the statistics, and every promise that was broken, in words."""

    word: str = ""
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """Known limits that the trial met: counted and published, and no reason to fail."""
    seen: dict[str, int] = field(default_factory=dict)
    """Figures worth publishing: the largest of each is kept."""

    def remark(self, text: str) -> None:
        self.remarks.append(text)

    def problem(self, text: str) -> None:
        self.problems.append(text)


class World:
    """One run, in a store of its own. ``poll`` is the pace of looking and ``settle`` when absence counts, in seconds.

    ``lost`` is how many answers a fault before the trial has cost already, ``settled`` how often a person has said, by
    collection, that nothing was created.
    """

    def __init__(
        self,
        folder: Path,
        case: Case,
        url: str,
        *,
        poll: float = 0.001,
        settle: float = SETTLE,
        runner_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.path = folder / "runs.db"
        self.case = case
        self.url = url
        self.poll = poll
        self.settle = settle
        self.lost = 0
        self.settled: dict[str, int] = {}
        self._options = dict(runner_options or {})
        self._changes: dict[str, Any] = {}

    def hurry(self) -> None:
        """From now on look as often as possible, also in a run that was begun at another pace."""
        self.poll = 0.001
        self._changes = {"poll_interval": self.poll}

    def runner(self, store: Store, interrupts: Interrupts | None = None) -> Runner:
        return _Runner(
            store,
            chance=lambda: 0.5,
            interrupts=interrupts,
            servers=dict.fromkeys(self.case.plan.servers, self.url),
            secret_texts=dict.fromkeys(self.case.plan.secrets, "not-a-real-token"),
            **self._options,
        )

    def do(self, verb: str, interrupts: Interrupts | None = None) -> Result:
        """One verb of the product, on a store that is opened for it and closed after it.

        ``start`` and ``resume`` go on, ``extend`` goes on with a new deadline; ``not_sent``, ``adopt STEP`` and
        ``accept`` settle a doubt. Raises what the product raises.
        """
        with SqliteStore(self.path) as store:
            return self.apply(self.runner(store, interrupts), verb)

    def begin(self, runner: Runner) -> Run:
        """Start it, or go on with it; it moves as it is iterated."""
        settings = Settings(
            poll_interval=self.poll, call_timeout=20.0, on_doubt=self.case.policy.name, settle=self.settle
        )
        return runner.start(self.case.plan, self.case.prepared, run_id=RUN, settings=settings)

    def apply(self, runner: Runner, verb: str) -> Result:
        what, _, step = verb.partition(" ")
        if what == "start":
            return self.begin(runner).result()
        if what == "resume":
            return runner.resume(RUN, changes=self._changes).result()
        if what == "extend":
            return runner.resume(RUN, changes={"deadline": 3600.0}).result()
        if what == "adopt":
            return runner.resolve(RUN, "adopt", outputs=self.case.document.create(step).outputs)
        if what == "not_sent":
            return runner.resolve(RUN, "not_sent")
        if what == "accept":
            return runner.resolve(RUN, "accept")
        raise AssertionError(verb)

    # -- what must hold --------------------------------------------------------------------------------------------

    def inspect(self, side: Side, ending: Ending, *, faults: int = 1) -> None:
        """Right after a fault: what the other side has seen must be in the store, and the store must be whole. Each of
        the ``faults`` may have cost one answer."""
        with SqliteStore(self.path) as store:
            self.inspect_store(store, side.account(), ending, faults=faults)

    def inspect_store(self, store: Store, account: Account, ending: Ending, *, faults: int = 1) -> None:
        calls = account.calls
        try:
            stored = store.load(RUN)
        except UsageError:
            if calls:
                ending.problem(f"{len(calls)} requests left and the store knows no run")
            return
        for one in differences(store, self.case.plan):
            ending.problem(one)
        known = answered(store, stored)
        if known < len(calls) - faults - self.lost:
            ending.problem(f"{len(calls)} requests left and {known} outcomes are in the journal")
        pending = stored.snapshot.pending
        waits = pending is not None and pending.kind in UNSAFE and not pending.intended and not store.intent(RUN)
        effects = self.runner(store).result(RUN).effects
        for one in self.case.document.creates:
            posts, refused = account.posts(one.collection), account.refused.get(one.collection, 0)
            if not posts:
                continue
            last = next((effect.outcome for effect in reversed(effects) if effect.step == one.step), "not there")
            if posts > refused and last in ("not there", "not_applied"):
                ending.problem(f"a create left ({one.step}) and the journal says {last}")
            ordered = _ordered(store, stored, one)
            if posts > ordered - (waits and pending is not None and pending.step == one.step):
                ending.problem(f"a create left ({one.step}) without an intent on disk")
            if last != "applied" and self._went_on(calls, one):
                ending.problem(f"{one.step} was answered, the next request left, and the journal says {last}")

    def _went_on(self, calls: list[str], create: Create) -> bool:
        """Whether a request left that makes no sense before the create is known to have been applied."""
        may = {f"POST {create.collection}", *([f"GET {create.collection}"] if self.case.looks else [])}
        last = max(number for number, label in enumerate(calls) if label == f"POST {create.collection}")
        return any(label not in may for label in calls[last:])

    def look_after(self, side: Side, ending: Ending, *, first: str = "resume") -> None:
        """Do what a careful person does until the run is ready, then check everything.

        The person follows the result, and tells the truth: in doubt they look whether the thing is there.
        """
        verb, word = first, "ready"
        for _ in range(_GOES):
            try:
                result = self.do(verb)
            except UsageError as error:
                if verb != "resume" or error.code != "AZM-U411":
                    raise
                verb = "start"
                continue
            if result.ready:
                break
            if result.reason == "in_doubt":
                word = "held"
                verb = self.settle_doubt(result, side, ending)
            elif result.exit_code == 10 and self.case.policy.name == "fail":
                word = "failed, then held"
                if "unknown" not in {effect.outcome for effect in result.effects}:
                    ending.problem("a run failed over a doubt and does not say that anything is unknown")
                if not result.resumable:
                    ending.problem("a run failed over a doubt and cannot be gone on with")
                verb = "resume"
            elif result.next.action == "resume":
                verb = "resume"
            else:
                ending.problem(f"ended {result.reason} (exit {result.exit_code}), to be continued by {result.next}")
                break
        else:
            ending.problem(f"not ready after {_GOES} goes")
        ending.word = ending.word or word
        self.conclude(side, ending)

    def settle_doubt(self, result: Result, side: Side, ending: Ending) -> str:
        """Check how a doubt is shown, settle it by what is true, and say how to go on."""
        account = side.account(settled=True)
        if result.exit_code != 13:
            ending.problem(f"a doubt ended with exit code {result.exit_code}")
        if not self.case.policy.asks and account.kind not in self.case.policy.deaf:
            ending.problem(f"policy {self.case.policy.name} held a doubt")
        create = self.doubtful(result)
        truth = f"adopt {create.step}" if account.creates(create.collection) else "not_sent"
        if truth == "not_sent":
            self.settled[create.collection] = self.settled.get(create.collection, 0) + 1
        self.do(truth)
        return "resume"

    def doubtful(self, result: Result) -> Create:
        """Which create a result is in doubt about."""
        step = next(effect.step for effect in reversed(result.effects) if effect.outcome != "not_applied")
        return self.case.document.create(step)

    def conclude(self, side: Side, ending: Ending) -> None:
        """Once ready: exactly one of everything, no more requests to create than were asked for, all as if nothing
        had happened."""
        account, policy = side.account(settled=True), self.case.policy
        deaf = account.kind in policy.deaf
        for one in self.case.document.creates:
            made, surplus = account.creates(one.collection), account.surplus.get(one.collection, 0)
            if deaf and surplus:
                ending.remark(_DEAF)
            elif made != 1 or surplus:
                ending.problem(f"{made} creates of {one.collection}, {surplus} more asked for")
            asked = self.settled.get(one.collection, 0) + account.refused.get(one.collection, 0)
            if policy.asks and account.posts(one.collection) > 1 + asked:
                ending.problem(f"{account.posts(one.collection)} requests to create, {asked} of them asked for")
        with SqliteStore(self.path) as store:
            result = self.runner(store).result(RUN)
            if result.exit_code != 0 or dict(result.outputs) != self.case.document.outputs:
                ending.problem(f"ended {result.reason} (exit {result.exit_code}) with {dict(result.outputs)}")
            if store.held(RUN) is not None:
                ending.problem("the lock is still held")
            for problem in differences(store, self.case.plan):
                ending.problem(problem)


def answered(store: Store, stored: StoredRun) -> int:
    """How many outcomes of calls the journal holds, of all attempts; what was only found out to be lost is none."""
    records = [record for attempt in range(1, stored.head.attempt + 1) for record in store.history(RUN, attempt)]
    outcomes = [one for one in records if one.kind.startswith("call.") and one.event.get("cause") != "interrupted"]
    return len(outcomes) + (store.kept(RUN) is not None)


def _ordered(store: Store, stored: StoredRun, create: Create) -> int:
    """How often the journal asked for a create to be sent."""
    return sum(
        isinstance(effect, Call) and effect.step == create.step and effect.kind in UNSAFE
        for attempt in range(1, stored.head.attempt + 1)
        for record in store.history(RUN, attempt)
        for effect in record.effects
    )


def differences(store: Store, plan: Plan) -> list[str]:
    """Where the journal, fed to the machine again, does not give what is stored."""
    stored = store.load(RUN)
    digest = stored.head.plan_sha256
    # A process of its own compiled the document under another name: its journal belongs to the plan it stored.
    chart = _chart(plan if digest == plan.sha256 else _plan(store.blob(digest)))
    snapshot = chart.begin()
    for record in store.history(RUN):
        snapshot, _, again = chart.advance(snapshot, event_from_json(record.event))
        if again.to_json() != record.to_json():
            return [f"record {record.seq} replays differently"]
    return [] if snapshot.text() == stored.snapshot.text() else ["the journal does not lead to the stored snapshot"]


class _Runner(Runner):
    """The Runner, compiling a stored plan only once per process. It is read from the store each time all the same."""

    def plan_of(self, stored: StoredRun) -> Plan:
        return _plan(self.store.blob(stored.head.plan_sha256))


def _plan(text: bytes) -> Plan:
    if text not in _PLANS:
        _PLANS[text] = Plan.from_json(json.loads(text))
    return _PLANS[text]


_PLANS: dict[bytes, Plan] = {}
_CHARTS: dict[int, tuple[Plan, Chart]] = {}


def _chart(plan: Plan, **options: Any) -> Chart:
    """One chart for all runs of a plan: it holds nothing of a run between two events."""
    if id(plan) not in _CHARTS:
        # The plan is kept with it, so that its identity is never given to another.
        _CHARTS[id(plan)] = (plan, Chart(plan, **options))
    return _CHARTS[id(plan)][1]


def _revived(mover: Any) -> Any:
    """The machine of a mover. A process that drives one run never needs a second one; here a new one for each run that
    ended would take a quarter of the time. It is set to a state before each event anyway."""
    machine = mover._machine
    if machine.is_terminated:
        machine._engine.running = True
    return machine


@contextmanager
def shared_charts() -> Iterator[None]:
    """Let everybody who makes a Chart get the one there is, whose machines are taken up again where they have ended:
    some milliseconds less a trial, and no other change."""
    users = [module for module in list(sys.modules.values()) if getattr(module, "Chart", None) is Chart]
    here = sys.modules[__name__]
    patches = [mock.patch.object(module, "Chart", _chart) for module in users if module is not here]
    patches.append(mock.patch.object(chart_module._Mover, "machine", property(_revived)))
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


class Bench:
    """What the trials of one process share: a server, a folder in memory, compiled plans."""

    def __init__(self, server: Server, folder: Path, cases: Mapping[str, Case], patience: float) -> None:
        self.server = server
        self.folder = folder
        self.cases = cases
        self.patience = patience
        """Seconds that something which must happen at once may take."""

    def world(self, case: str, folder: str = "trial", **options: Any) -> World:
        """A run that has not begun, in an empty folder; what was in the folder before is gone."""
        path = self.folder / folder
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return World(path, self.cases[case], self.server.url, **options)

    def imagined(self, case: str, **options: Any) -> World:
        """A run whose store is not a file: only ``begin`` and ``apply`` make sense in it."""
        return World(self.folder, self.cases[case], "http://127.0.0.1:1", **options)

    def warm_up(self) -> None:
        """Once through everything, so that what is loaded late is loaded before a trial counts its system calls."""
        for name, case in self.cases.items():
            self.server.open(case.account(case.policy.kinds[0]))
            ending = Ending()
            self.world(name).look_after(self.server, ending, first="start")
            if ending.problems:
                raise AssertionError(f"an undisturbed run of {name}: {ending.problems}")
