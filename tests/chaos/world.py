"""One run of the shipped workflow under faults: its store, the person who looks after it, and what must hold.

Makes a World from a policy and a server, does one verb of the product in it, and checks from outside what the product
promises: no second create that nobody asked for, no answer lost, doubt shown, a journal that replays, and always a way
on to ready. Injects nothing.
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

from server import Account, Server

from machine.chart.chart import Chart
from machine.chart.events import event_from_json
from machine.chart.settings import Settings
from machine.document.load import parse
from machine.errors import UsageError
from machine.library import load, shipped
from machine.plan.build import build_plan
from machine.plan.model import Plan
from machine.runtime.clock import Interrupts
from machine.runtime.prepare import Prepared, prepare
from machine.runtime.result import Result
from machine.runtime.run import Run
from machine.runtime.runner import Runner
from machine.runtime.secrets import Reference
from machine.sources.description import describe
from machine.stores.base import Store, StoredRun
from machine.stores.sqlite import SqliteStore

__all__ = [
    "NAME",
    "POLICIES",
    "RUN",
    "VERBS",
    "Bench",
    "Ending",
    "Policy",
    "Side",
    "World",
    "differences",
    "shared_charts",
]

RUN: Final = "run"
NAME: Final = "one"
VERBS: Final = ("start", "resume")
"""The two ways to go on with a run: by its id, and by the same command again."""

_WORKFLOW: Final = "deploy-inference-endpoint"
_STEP: Final = "createEndpoint"
_OUTPUTS: Final[Mapping[str, Any]] = {
    "endpointName": NAME,
    "state": "running",
    "inferenceUrl": f"https://{NAME}.invalid",
}
_GOES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a run does about doubt: ``effect`` is laid over the ``x-machine.effect`` of the step that creates."""

    name: str
    effect: Mapping[str, Any] = field(default_factory=dict)
    holds: bool = True
    """Whether it stops in doubt and waits for a person. One that does not settles every doubt itself."""

    def arguments(self, folder: Path) -> list[str]:
        """The workflow under this policy, as the command line is told of it; ``folder`` may get a file."""
        if not self.effect:
            return [_WORKFLOW]
        path = folder / "workflow.arazzo.json"
        path.write_bytes(self._document())
        source = shipped()[_WORKFLOW].parent.parent / "openapi" / "hugging-face-inference-endpoints-api.yml"
        return [str(path), "--source", f"inferenceEndpointsApi={source}", "-i", "hfToken=@env:HF_TOKEN"]

    def plan(self) -> Plan:
        """The workflow under this policy, compiled."""
        if not self.effect:
            return build_plan(load(_WORKFLOW))
        path, changed = str(shipped()[_WORKFLOW]), self._document()
        return build_plan(
            describe(path, read=lambda name: changed if name == path else Path(name).read_bytes(), trusted=True)
        )

    def _document(self) -> bytes:
        """The shipped document with this effect in it, as JSON."""
        path = shipped()[_WORKFLOW]
        document = json.loads(json.dumps(parse(path.read_bytes(), uri=str(path)).value))
        step = next(one for one in document["workflows"][0]["steps"] if one["stepId"] == _STEP)
        step["x-machine"] = {**step.get("x-machine", {}), "effect": dict(self.effect)}
        return json.dumps(document).encode()


POLICIES: Final[Mapping[str, Policy]] = {one.name: one for one in (Policy(name="hold", effect={"onDoubt": "hold"}),)}
"""Every policy that is put to the test. A policy is added here and nowhere else."""


class Side(Protocol):
    """What the other side knows."""

    def account(self, name: str) -> Account: ...


@dataclass(slots=True, kw_only=True)
class Ending:
    """What a trial came to: a word for the statistics, and every promise that was broken, in words."""

    word: str = ""
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """Known limits that the trial met: counted and published, and no reason to fail."""

    def remark(self, text: str) -> None:
        self.remarks.append(text)

    def problem(self, text: str) -> None:
        self.problems.append(text)


class World:
    """One run, in a store of its own. ``poll`` is the pace of looking, in seconds."""

    def __init__(
        self,
        folder: Path,
        policy: Policy,
        plan: Plan,
        prepared: Prepared,
        url: str,
        *,
        poll: float = 0.001,
        runner_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.path = folder / "runs.db"
        self.policy = policy
        self.plan = plan
        self.url = url
        self.poll = poll
        self._prepared = prepared
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
            servers=dict.fromkeys(self.plan.servers, self.url),
            secret_texts={"hfToken": "not-a-real-token"},
            **self._options,
        )

    def do(self, verb: str, interrupts: Interrupts | None = None) -> Result:
        """One verb of the product, on a store that is opened for it and closed after it.

        ``start`` and ``resume`` go on, ``extend`` goes on with a new deadline, ``not_sent``, ``adopt`` and ``accept``
        settle a doubt. Raises what the product raises.
        """
        with SqliteStore(self.path) as store:
            return self.apply(self.runner(store, interrupts), verb)

    def begin(self, runner: Runner) -> Run:
        """Start it, or go on with it; it moves as it is iterated."""
        settings = Settings(poll_interval=self.poll, call_timeout=20.0)
        return runner.start(self.plan, self._prepared, run_id=RUN, settings=settings)

    def apply(self, runner: Runner, verb: str) -> Result:
        if verb == "start":
            return self.begin(runner).result()
        if verb == "resume":
            return runner.resume(RUN, changes=self._changes).result()
        if verb == "extend":
            return runner.resume(RUN, changes={"deadline": 3600.0}).result()
        if verb == "adopt":
            return runner.resolve(RUN, "adopt", outputs={"endpointName": NAME})
        if verb == "not_sent":
            return runner.resolve(RUN, "not_sent")
        if verb == "accept":
            return runner.resolve(RUN, "accept")
        raise AssertionError(verb)

    # -- what must hold --------------------------------------------------------------------------------------------

    def inspect(self, side: Side, ending: Ending, *, before: int = 0, faults: int = 1) -> None:
        """Right after a fault: what the other side has seen must be in the store, and the store must be whole.

        ``before`` is how many calls were in the journal when the other side began to count; each of the ``faults`` may
        have cost one answer.
        """
        calls = side.account(NAME).calls
        with SqliteStore(self.path) as store:
            self.inspect_store(store, calls, ending, before=before, faults=faults)

    def inspect_store(
        self, store: Store, calls: list[str], ending: Ending, *, before: int = 0, faults: int = 1
    ) -> None:
        try:
            stored = store.load(RUN)
        except UsageError:
            if calls:
                ending.problem(f"{len(calls)} requests left and the store knows no run")
            return
        for one in differences(store, self.plan):
            ending.problem(one)
        answered = sum(record.kind.startswith("call.") for record in store.history(RUN)) - before
        if answered < len(calls) - faults:
            ending.problem(f"{len(calls)} requests left and {answered} outcomes are in the journal")
        snapshot = stored.snapshot
        posts = calls.count("POST")
        if not posts:
            return
        last = snapshot.ledger[-1].outcome if snapshot.ledger else "not there"
        pending = snapshot.pending
        if last in ("not there", "not_applied"):
            ending.problem(f"a create left and the journal says {last}")
        elif pending is not None and pending.step == _STEP and not pending.intended and not store.intent(RUN):
            ending.problem("a create left without an intent on disk")
        if self.policy.holds and calls[-1] == "GET" and last != "applied":
            # A policy that settles doubts itself may look before it knows.
            ending.problem(f"the create was answered, the next request left, and the journal says {last}")

    def look_after(self, side: Side, ending: Ending, *, first: str = "resume") -> None:
        """Do what a careful person does until the run is ready, then check everything.

        The person follows the result, and tells the truth: in doubt they look whether the thing is there.
        """
        verb, settled = first, 0
        word = "ready"
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
                if result.exit_code != 13:
                    ending.problem(f"a doubt ended with exit code {result.exit_code}")
                if not self.policy.holds:
                    ending.problem(f"policy {self.policy.name} held a doubt")
                truth = "adopt" if side.account(NAME).creates else "not_sent"
                settled += truth == "not_sent"
                self.do(truth)
                verb = "resume"
            elif result.next.action == "resume":
                verb = "resume"
            else:
                ending.problem(f"ended {result.reason} (exit {result.exit_code}), to be continued by {result.next}")
                break
        else:
            ending.problem(f"not ready after {_GOES} goes")
        ending.word = ending.word or word
        self.conclude(side, ending, settled)

    def conclude(self, side: Side, ending: Ending, settled: int) -> None:
        """Once ready: exactly one create, no more requests to create than were asked for, all as if undisturbed."""
        account = side.account(NAME)
        if account.creates != 1:
            ending.problem(f"{account.creates} creates")
        if self.policy.holds and account.posts > 1 + settled:
            ending.problem(f"{account.posts} requests to create, {settled} of them asked for by a person")
        with SqliteStore(self.path) as store:
            result = self.runner(store).result(RUN)
            if result.exit_code != 0 or dict(result.outputs) != _OUTPUTS:
                ending.problem(f"ended {result.reason} (exit {result.exit_code}) with {dict(result.outputs)}")
            if store.held(RUN) is not None:
                ending.problem("the lock is still held")
            for one in differences(store, self.plan):
                ending.problem(one)


def differences(store: Store, plan: Plan) -> list[str]:
    """Where the journal, fed to the machine again, does not give what is stored."""
    stored = store.load(RUN)
    digest = stored.head.plan_sha256
    # A process of its own compiled the document under another name: its journal belongs to the plan it stored.
    chart = _chart(plan if digest == plan.sha256 else Plan.from_json(json.loads(store.blob(digest))))
    snapshot = chart.begin()
    for record in store.history(RUN):
        snapshot, _, again = chart.advance(snapshot, event_from_json(record.event))
        if again.to_json() != record.to_json():
            return [f"record {record.seq} replays differently"]
    return [] if snapshot.text() == stored.snapshot.text() else ["the journal does not lead to the stored snapshot"]


class _Runner(Runner):
    """The Runner, compiling a stored plan only once per process. It is read from the store each time all the same."""

    def plan_of(self, stored: StoredRun) -> Plan:
        text = self.store.blob(stored.head.plan_sha256)
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


@contextmanager
def shared_charts() -> Iterator[None]:
    """Let everybody who makes a Chart get the one there is: a few milliseconds less a trial, and no other change."""
    users = [module for module in list(sys.modules.values()) if getattr(module, "Chart", None) is Chart]
    here = sys.modules[__name__]
    patches = [mock.patch.object(module, "Chart", _chart) for module in users if module is not here]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


class Bench:
    """What the trials of one process share: a server, a folder in memory, compiled plans."""

    def __init__(self, server: Server, folder: Path, policies: Mapping[str, Policy], patience: float) -> None:
        self.server = server
        self.folder = folder
        self.policies = policies
        self.patience = patience
        """Seconds that something which must happen at once may take."""
        self.slowest = 0.0
        """The longest time, in seconds, that something took which had to happen at once."""
        self._plans = {name: one.plan() for name, one in policies.items()}
        self._prepared = {
            name: prepare(
                plan,
                {"hfToken": Reference("@env:HF_TOKEN"), "namespace": "acme", "name": NAME, "repository": "gpt2"},
            )
            for name, plan in self._plans.items()
        }

    def world(self, policy: str, folder: str = "trial", **options: Any) -> World:
        """A run that has not begun, in an empty folder; what was in the folder before is gone."""
        path = self.folder / folder
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return World(
            path, self.policies[policy], self._plans[policy], self._prepared[policy], self.server.url, **options
        )

    def imagined(self, policy: str, **options: Any) -> World:
        """A run whose store is not a file: only ``begin`` and ``apply`` make sense in it."""
        return World(
            self.folder,
            self.policies[policy],
            self._plans[policy],
            self._prepared[policy],
            "http://127.0.0.1:1",
            **options,
        )

    def warm_up(self, world: World) -> None:
        """Once through everything, so that what is loaded late is loaded before a trial counts its system calls."""
        self.server.open(NAME, "unique")
        ending = Ending()
        world.look_after(self.server, ending, first="start")
        if ending.problems:
            raise AssertionError(f"an undisturbed run: {ending.problems}")
