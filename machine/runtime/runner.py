"""The blocking driver: lock, load, one transaction per transition, wait, perform, feed back, again.

Theory of operation
===================
The journal is ahead of the world and never behind it. A transition and the call it asks for are stored in one
transaction; only then does the call leave. So for a call that must not be repeated, finding it stored means it may
have been sent, and finding anything after it means its fate is known:

    stored last                          means                       resume does
    a safe or idempotent call            it may have been sent       sends it
    an unsafe call, intended             it may have been sent       records doubt; the plan's policy decides
    an unsafe call, not yet intended     it was not sent             marks the intent, then sends
    a stop                               nothing is under way        takes it up again where the state allows

At most one process moves a run: a kernel lock is taken before the journal is read, and every write is fenced by the
lease it was taken under. This file decides nothing about where a run goes; ``Chart.advance`` does.
"""

from __future__ import annotations

import json
import random
import secrets as tokens
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from ..chart.chart import Chart
from ..chart.effects import Call
from ..chart.events import CallFailed, Cancelled, Event, Reopened, Replied, Reply, Started, event_from_json
from ..chart.settings import Settings
from ..chart.snapshot import Record, Snapshot
from ..errors import BusyError, HostError, IdentityError, RequestError, UsageError
from ..plan.model import UNSAFE, Plan
from ..stores.base import RunHead, Store, StoredRun
from .clock import GLANCE, Clock, Interrupts, SystemClock
from .doubt import Choice, Evidence, doubtful_call, probe_call, read_evidence, resolution
from .http import Transport
from .prepare import Prepared, prepare
from .reach import MakesTransport, PerformsCalls, Reach
from .result import Result
from .run import Observer, Run, chart_of
from .secrets import Reference, SecretBook
from .standing import given_anew, leaves_at_once, merged_options, sha256, starts_over, who
from .token import Token

__all__ = ["Runner"]


Patience = Literal["end", "wait", "call"]


class Runner:
    """Starts, resumes and settles the runs of one store, from one thread.

    ``servers`` and ``secret_texts`` hold for this process only and win over what a run has stored; a program that
    serves an API itself, or has its secrets at hand, passes them here. ``patience``: drive a run to its ``end``, up to
    its first ``wait``, or for one ``call``; a run that has not ended then can be resumed.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock | None = None,
        chance: Callable[[], float] = random.random,
        interrupts: Interrupts | None = None,
        observers: Iterable[Observer] = (),
        servers: Mapping[str, str] | None = None,
        secret_texts: Mapping[str, str] | None = None,
        prompt: Callable[[str], str] | None = None,
        transport: MakesTransport = Transport,
        patience: Patience = "end",
        store_flag: str = "",
    ) -> None:
        self.store = store
        self.clock = clock or SystemClock()
        self._draw = chance
        self.interrupts = interrupts or Interrupts()
        self.observers = tuple(observers)
        self.reach = Reach(servers, secret_texts, prompt, transport, store, store_flag)
        self.patience = patience
        self._glanced = 0.0
        self.store_flag = store_flag

    def chance(self) -> float:
        """A number in [0, 1) that is the same after a journal has been read back."""
        return round(self._draw(), 6)

    # -- the three verbs -------------------------------------------------------------------------------------------

    def start(
        self,
        plan: Plan,
        inputs: Mapping[str, Any] | Prepared,
        *,
        run_id: str = "",
        settings: Settings | None = None,
        options: Mapping[str, Any] | None = None,
        texts: Mapping[str, bytes] | None = None,
    ) -> Run:
        """Begin a run, or go on with the one ``run_id`` names: the same id never creates twice.

        A run that is not ready is gone on with; it starts over only where nothing was or may have been applied.
        ``options`` are stored and apply on resume: ``servers``, ``allow_hosts``, ``simulate``. ``settings`` other than
        those of a run that is gone on with change it, and are journalled. ``texts`` are the documents to keep.

        Raises InputError, CredentialError, HostError before anything is stored; IdentityError when the id belongs to
        another document or other inputs; BusyError when another runner holds it.
        """
        prepared = inputs if isinstance(inputs, Prepared) else prepare(plan, inputs, prompt=self.reach.prompt)
        kept = {**(options or {}), "secrets": {name: one.text for name, one in prepared.references.items()}}
        run_id = run_id or self.new_id()
        run = Run(self.store, run_id, self.store_flag)
        with run.opening():
            stored = self._stored(run_id)
            if stored is not None:
                self._same_run(stored, plan, prepared)
            if stored is None or starts_over(stored.snapshot):
                self.interrupts.check()
                book = self.reach.secrets(kept)
                self.reach.check(plan, kept)
                chart = chart_of(plan)
                event = Started(
                    at=self.clock.now(),
                    chance=self.chance(),
                    inputs=prepared.values,
                    settings=settings or Settings(),
                    nonce=tokens.token_hex(16),
                )
                self._begin(
                    run,
                    chart,
                    chart.begin(),
                    event,
                    inputs_sha256=prepared.sha256,
                    options=kept,
                    texts=texts or {},
                    again=stored is not None,
                )
                run.drive(self._drive(run, book, fresh=True))
            else:
                self._take_up(run, stored, kept, given_anew(settings, stored.snapshot.settings))
        return run

    def resume(
        self,
        run_id: str,
        *,
        changes: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        references: Mapping[str, Reference] | None = None,
    ) -> Run:
        """Go on with a run, from its stored plan. ``changes`` are settings given anew and are journalled; ``options``
        and ``references`` replace the stored ones of the same name.

        Raises CredentialError with exit code 14 when a secret cannot be had any more: the run stays resumable.
        """
        run = Run(self.store, run_id, self.store_flag)
        with run.opening():
            given = {name: one.text for name, one in (references or {}).items()}
            self._take_up(run, self.store.load(run_id), {**(options or {}), "secrets": given}, dict(changes or {}))
        return run

    def adopt_token(self, token: Token, *, changes: Mapping[str, Any] | None = None) -> Run:
        """Begin a run of its own from a token and go on with it: only safe calls lie ahead.

        Raises CredentialError with exit code 14 when a secret cannot be had here, HostError as ``start`` does.
        """
        run = Run(self.store, self.new_id(), self.store_flag)
        with run.opening():
            book = self.reach.secrets_again(token.options)
            self.reach.check(token.plan, token.options)
            event = Reopened(
                at=self.clock.now(), chance=self.chance(), changes=dict(changes or {}), by=f"{who()} by token"
            )
            self._begin(
                run,
                chart_of(token.plan),
                replace(token.snapshot, seq=0),
                event,
                inputs_sha256=token.inputs_sha256,
                options={**token.options, "origin": {"run": token.run, "token": token.sha256}},
                texts=token.texts,
            )
            run.drive(self._drive(run, book, fresh=True))
        return run

    def resolve(
        self,
        run_id: str,
        choice: Choice,
        *,
        outputs: Mapping[str, Any] | None = None,
        reply: Reply | None = None,
    ) -> Result:
        """Settle a doubt. Sends nothing: ``resume`` goes on afterwards.

        ``reply`` is an answer somebody got hold of: what the probe said for ``adopt``, the service's own for
        ``accept``.

        Raises UsageError when nothing is in doubt, when there is no stored answer to accept, or when ``outputs``
        names an output the step does not have.
        """
        run = Run(self.store, run_id, self.store_flag)
        with run.opening():
            stored = self.store.load(run_id)
            run.take(stored, self.plan_of(stored))
            self._settle_first(run)
            history = self.store.history(run.id)
            step, given = doubtful_call(run, self.store_flag)[0].step, dict(outputs or {})
            self._apply(
                run,
                resolution(
                    run,
                    history,
                    choice,
                    given,
                    self.reach.sealed(run, step, given, reply),
                    at=self.clock.now(),
                    chance=self.chance(),
                    by=who(),
                    store_flag=self.store_flag,
                ),
            )
            return run.result()

    def look(self, run_id: str) -> Evidence:
        """Make the safe look a doubtful call declares, and say what it saw. Changes nothing.

        Raises UsageError when nothing is in doubt or no probe is declared, CredentialError as ``resume`` does.
        """
        run = Run(self.store, run_id, self.store_flag)
        with run.opening():
            stored = self.store.load(run_id)
            run.take(stored, self.plan_of(stored))
            self._settle_first(run)
            call, entry = doubtful_call(run, self.store_flag)
            probe = probe_call(run.chart, run.snapshot, call, self.clock.now())
            book = self.reach.again(run, self.clock, self.chance)
            transport = self.reach.open(run, book, self.clock, self.chance)
            try:
                event = self._perform(transport, probe, run.snapshot.settings.call_timeout)
            finally:
                transport.close()
            run.close()
        return read_evidence(run.chart, run.snapshot, call, entry, probe, event)

    def cancel(self, run_id: str) -> Result:
        """Stop a run where it is: its state stays, and it can be resumed. A run somebody holds is asked to stop, and
        does so once a request in flight has ended; the result then says what there is at this moment.

        Raises UsageError for a run that has ended.
        """
        run = Run(self.store, run_id, self.store_flag)
        try:
            with run.opening():
                stored = self.store.load(run_id)
                run.take(stored, self.plan_of(stored))
                self._settle_first(run)
                self._apply(run, Cancelled(at=self.clock.now(), chance=self.chance(), by=who()))
                return run.result()
        except BusyError:
            self.store.request_cancel(run_id, who(), self.clock.now())
            return self.result(run_id)

    def result(self, run_id: str) -> Result:
        """What a run has come to, without touching it."""
        held = self.store.held(run_id) is not None
        stored = self.store.load(run_id)
        chart = chart_of(self.plan_of(stored))
        return Result.of(stored.head, chart, stored.snapshot, held=held, store_flag=self.store_flag)

    # -- beginning and going on ------------------------------------------------------------------------------------

    def new_id(self) -> str:
        """Sorts by time; the tail keeps two runs of one second apart."""
        moment = int(self.clock.now())
        alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
        head = "".join(alphabet[moment >> shift & 31] for shift in range(30, -1, -5))
        return head + "-" + "".join(tokens.choice(alphabet) for _ in range(6))

    def _stored(self, run_id: str) -> StoredRun | None:
        try:
            return self.store.load(run_id)
        except UsageError:
            return None

    def plan_of(self, stored: StoredRun) -> Plan:
        return Plan.from_json(json.loads(self.store.blob(stored.head.plan_sha256)))

    def _same_run(self, stored: StoredRun, plan: Plan, prepared: Prepared) -> None:
        before = self.plan_of(stored)
        other = ""
        if (before.document_sha256, before.workflow) != (plan.document_sha256, plan.workflow):
            other = f"another document or workflow ({before.workflow} of {before.document})"
        elif stored.head.inputs_sha256 != prepared.sha256:
            other = "other inputs"
        if other:
            raise IdentityError(
                f"run {stored.head.id} was begun with {other}",
                code="AZM-C010",
                next=f"choose another --id, or go on with it: arazzo-machine resume {stored.head.id}{self.store_flag}",
            )

    def _begin(
        self,
        run: Run,
        chart: Chart,
        before: Snapshot,
        event: Event,
        *,
        inputs_sha256: str,
        options: Mapping[str, Any],
        texts: Mapping[str, bytes],
        again: bool = False,
    ) -> None:
        """Write the first transaction of a run: what it is, what it was read from, and its first transition."""
        plan = chart.plan
        plan_text = plan.text().encode()
        blobs = {sha256(data): data for data in [plan_text, *texts.values()]}
        head = RunHead(
            id=run.id,
            workflow=plan.workflow,
            document=plan.document,
            created=event.at,
            plan_sha256=sha256(plan_text),
            inputs_sha256=inputs_sha256,
            documents={name: sha256(data) for name, data in texts.items()},
            options=options,
        )
        snapshot, _, record = chart.advance(before, event)
        (self.store.restart if again else self.store.create)(run.lease, head, blobs, snapshot, record)
        run.take(StoredRun(head=head, snapshot=snapshot), plan, chart)
        run.first = record

    def _take_up(self, run: Run, stored: StoredRun, given: Mapping[str, Any], changes: dict[str, Any]) -> None:
        """Prepare to go on with a stored run; one that cannot go on is left as it is and needs nothing."""
        run.take(stored, self.plan_of(stored))
        if not Result.of(run.head, run.chart, run.snapshot, held=True).resumable:
            return
        self._keep_options(run, given)
        run.drive(self._go_on(run, self.reach.again(run, self.clock, self.chance), changes))

    def _go_on(self, run: Run, book: SecretBook, changes: dict[str, Any]) -> Iterator[Record]:
        """Take a stored run up again, then drive it."""
        if run.snapshot.pending is not None and (kept := self.store.kept(run.id)) is not None:
            # What it leads to was not there before, so it cannot have been sent by anybody.
            yield self._apply(run, event_from_json(kept))
        else:
            yield from self._admit_doubt(run)
        snapshot = run.snapshot
        stop = snapshot.stopped
        if stop is None and snapshot.pending is not None:
            if changes or (self._late(run) and snapshot.pending.kind in UNSAFE):
                yield self._apply(run, Reopened(at=self.clock.now(), chance=self.chance(), changes=changes, by=who()))
        elif stop is not None and Result.of(run.head, run.chart, snapshot, held=True).resumable:
            if stop.reason == "in_doubt" and not changes and not run.chart.probes(snapshot):
                return
            yield self._apply(run, Reopened(at=self.clock.now(), chance=self.chance(), changes=changes, by=who()))
        yield from self._drive(run, book, fresh=False)

    def _settle_first(self, run: Run) -> None:
        """Before a person decides: a crash is recorded as doubt; an answer that waits to be used comes first."""
        if run.snapshot.pending is not None and self.store.kept(run.id) is not None:
            raise UsageError(
                f"run {run.id} holds an answer that was not used yet",
                code="AZM-U055",
                next=f"arazzo-machine resume {run.id}{self.store_flag}",
            )
        for _ in self._admit_doubt(run):
            pass

    def _admit_doubt(self, run: Run) -> Iterator[Record]:
        """An unsafe call that is stored and intended may have been sent by a process that died: say so."""
        call = run.snapshot.pending
        if call is None or call.kind not in UNSAFE:
            return
        if call.intended or self.store.intent(run.id) == call.number:
            yield self._apply(
                run,
                CallFailed(
                    at=self.clock.now(),
                    chance=self.chance(),
                    fate="unknown",
                    cause="interrupted",
                    message="the runner stopped between sending it and reading the answer",
                ),
            )

    def _drive(self, run: Run, book: SecretBook, *, fresh: bool) -> Iterator[Record]:
        if fresh and run.first is not None:
            self._tell(run, run.first)
            yield run.first
        if run.snapshot.pending is None:
            return
        transport = self.reach.open(run, book, self.clock, self.chance)
        performed = 0
        self.interrupts.watch = lambda: bool(self.store.cancel_requested(run.id))
        try:
            while (call := run.snapshot.pending) is not None:
                if self._enough(call, performed):
                    run.waiting = True
                    return
                performed += 1
                self._wait(call)
                if by := self._asked_to_stop(run, call):
                    yield self._apply(run, Cancelled(at=self.clock.now(), chance=self.chance(), by=by))
                    return
                if call.kind in UNSAFE and not call.intended:
                    if self._late(run):
                        # The wait was longer than planned, as on a machine that slept: no longer the time to create.
                        yield self._apply(run, Reopened(at=self.clock.now(), chance=self.chance(), by=who()))
                        continue
                    self.store.mark_intent(run.lease, call.number, self.clock.now())
                event = self._perform(transport, call, self._time_for(run, call))
                if call.kind in UNSAFE:
                    # The longest time nobody looked: whoever asked meanwhile is heard before the next call.
                    self._glanced = 0.0
                yield self._apply(run, event)
        finally:
            self.interrupts.watch = None
            transport.close()

    def _perform(self, transport: PerformsCalls, call: Call, timeout: float) -> Replied | CallFailed:
        """The call's outcome. One that is refused before anything is sent is an outcome too: without it the journal
        would have to be in doubt."""
        try:
            return transport.perform(call, timeout)
        except (HostError, RequestError) as error:
            return CallFailed(
                at=self.clock.now(), chance=self.chance(), fate="not_sent", cause="unsendable", message=error.message
            )

    def _enough(self, call: Call, performed: int) -> bool:
        """Whether to leave the next call to another process. One whose intent is stored is never left."""
        if leaves_at_once(call):
            return False
        if self.patience == "call":
            return performed > 0
        return self.patience == "wait" and call.delay > 0 and call.not_before > self.clock.now()

    def _asked_to_stop(self, run: Run, call: Call) -> str:
        """Who asked the run to stop, looked up twice a second at most. A call whose intent is stored leaves first."""
        now = self.clock.now()
        if leaves_at_once(call) or (now - self._glanced < GLANCE and not self.interrupts.woken):
            return ""
        self._glanced = now
        return self.store.cancel_requested(run.id)

    def _time_for(self, run: Run, call: Call) -> float:
        """How long a call may take: as its step says at most, and a safe one while the deadline is still ahead."""
        longest = min(run.snapshot.settings.call_timeout, call.timeout or float("inf"))
        left = (run.snapshot.deadline or 0.0) - self.clock.now()
        return min(longest, left) if call.kind not in UNSAFE and left > 0 else longest

    def _late(self, run: Run) -> bool:
        return run.snapshot.deadline is not None and self.clock.now() >= run.snapshot.deadline

    def _wait(self, call: Call) -> None:
        """Until the call is due, but never longer than was planned: a clock set wrong cannot keep a run waiting."""
        if not leaves_at_once(call):
            # Once its intent is stored a call leaves: stopping in between would be doubt about a call never made.
            self.interrupts.check()
        seconds = min(max(call.not_before - self.clock.now(), 0.0), call.delay)
        if seconds > 0:
            self.clock.wait(seconds, self.interrupts)

    def _apply(self, run: Run, event: Event) -> Record:
        try:
            snapshot, _, record = run.chart.advance(run.snapshot, event)
        except Exception:
            if isinstance(event, (Replied, CallFailed)):
                # What came of a call is worth keeping even when a fault of ours cannot make use of it.
                self.store.keep(run.lease, event.to_json())
            raise
        if self.interrupts.signum and isinstance(event, (Replied, CallFailed)) and leaves_at_once(snapshot.pending):
            # Stored, the next call would have to be sent. Kept, the answer is used on resume, and nothing is sent now.
            self.store.keep(run.lease, event.to_json())
            self.interrupts.check()
        self.store.append(run.lease, snapshot, record)
        run.snapshot = snapshot
        self._tell(run, record)
        return record

    def _tell(self, run: Run, record: Record) -> None:
        for observer in self.observers:
            try:
                observer(run, record)
            except Exception as error:
                run.trouble(observer, error)

    def _keep_options(self, run: Run, given: Mapping[str, Any]) -> None:
        """Store what was given anew."""
        after = merged_options(run.head.options, given)
        if after != run.head.options:
            self.store.set_options(run.lease, after)
            run.reload()
