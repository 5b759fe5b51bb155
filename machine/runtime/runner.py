"""The verbs that begin, take up, settle and cancel the runs of a store; ``driving.py`` is the loop that moves them.

At most one process moves a run: a kernel lock is taken before the journal is read, and every write is fenced by the
lease it was taken under.
"""

from __future__ import annotations

import json
import random
import secrets as tokens
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..chart.chart import Chart
from ..chart.edit import in_terms_of_now
from ..chart.effects import Call
from ..chart.events import CallFailed, Cancelled, Edit, Event, Reopened, Replied, Reply, Started, event_from_json
from ..chart.settings import Settings
from ..chart.snapshot import Record, Snapshot
from ..errors import BusyError, IdentityError, UsageError
from ..plan.model import UNSAFE, Plan
from ..stores.base import RunHead, Store, StoredRun
from .clock import Clock, Interrupts, SystemClock
from .doubt import Choice, Evidence, doubtful_call, evidence, probe_call, resolution
from .driving import Driver, Patience
from .edited import Edited, edit_of_run, edited_head
from .http import Transport
from .prepare import Prepared, prepare, refuse_secrets
from .reach import MakesTransport, Reach
from .result import Result, is_resumable
from .run import Observer, Run, chart_of
from .secrets import Reference, SecretBook
from .standing import given_anew, merged_options, sha256, starts_over, who
from .token import Token

__all__ = ["Runner"]


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
        self.reach = Reach(servers, secret_texts, prompt, transport, store, store_flag)
        self.store_flag = store_flag
        self._driver = Driver(
            store,
            clock=self.clock,
            chance=self.chance,
            interrupts=self.interrupts,
            observers=tuple(observers),
            reach=self.reach,
            patience=patience,
            store_flag=store_flag,
        )

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

        Raises InputError (also for an input that is no secret and holds the text of one), CredentialError, HostError
        before anything is stored; IdentityError when the id belongs to another document or other inputs; BusyError when
        another runner holds it.
        """
        prepared = inputs if isinstance(inputs, Prepared) else prepare(plan, inputs, prompt=self.reach.prompt)
        kept = {**(options or {}), "secrets": {name: one.text for name, one in prepared.references.items()}}
        self.reach.given(kept)
        run_id = run_id or self.new_id()
        run = Run(self.store, run_id, self.store_flag)
        with run.opening():
            stored = self._stored(run_id)
            if stored is not None:
                self._same_run(stored, plan, prepared)
            if stored is None or starts_over(stored.snapshot):
                self.interrupts.check()
                book = self.reach.secrets(kept)
                refuse_secrets(prepared, book)
                self.reach.check(plan, kept, book)
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
                run.drive(self._driver.drive(run, book))
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
        edited: Edited | None = None,
    ) -> Run:
        """Go on with a run, from its stored plan. ``changes`` are settings given anew and are journalled; ``options``
        and ``references`` replace the stored ones of the same name. ``edited`` is what its document says now: it
        applies from here on, journalled too, where everything the run did would have gone the same way.

        Raises CredentialError with exit code 14 when a secret cannot be had any more: the run stays resumable. Driving
        it raises EditError, before anything is sent, where the run did what the edited document says otherwise.
        """
        run = Run(self.store, run_id, self.store_flag)
        with run.opening():
            given = {name: one.text for name, one in (references or {}).items()}
            kept = {**(options or {}), "secrets": given}
            self.reach.given(kept)
            self._take_up(run, self.store.load(run_id), kept, dict(changes or {}), edited)
        return run

    def adopt_token(
        self,
        token: Token,
        *,
        changes: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        references: Mapping[str, Reference] | None = None,
    ) -> Run:
        """Begin a run of its own from a token and go on with it: only safe calls lie ahead. ``options`` and
        ``references`` are those of ``resume``; each secret of the run needs one, or a text of this runner's.

        Raises UsageError AZM-U095 for a secret nobody says where to have here, CredentialError with exit code 14 when
        it cannot be had, HostError as ``start`` does.
        """
        given = {name: one.text for name, one in (references or {}).items()}
        kept = token.options(options or {}, given, self.reach.secret_texts)
        self.reach.given({"secrets": given, **(options or {})})
        run = Run(self.store, self.new_id(), self.store_flag)
        with run.opening():
            book = self.reach.secrets_again(kept)
            self.reach.check(token.plan, kept, book)
            event = Reopened(
                at=self.clock.now(), chance=self.chance(), changes=dict(changes or {}), by=f"{who()} by token"
            )
            self._begin(
                run,
                chart_of(token.plan),
                token.start,
                event,
                inputs_sha256=token.inputs_sha256,
                options=kept,
                texts=token.texts,
                token=token,
            )
            run.drive(self._driver.drive(run, book))
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
            history = in_terms_of_now(self.store.history(run.id))
            (call, _), given = doubtful_call(run, self.store_flag), dict(outputs or {})
            self._driver.apply(
                run,
                resolution(
                    run,
                    history,
                    choice,
                    given,
                    self.reach.sealed(run, call.step, given, reply),
                    at=self.clock.now(),
                    chance=self.chance(),
                    by=who(),
                    store_flag=self.store_flag,
                ),
            )
            return run.result()

    def look(self, run_id: str) -> Evidence:
        """Say what is known of a doubtful call, after the safe look its document declares, where it does. Decides
        nothing, and sends nothing else.

        Raises UsageError when nothing is in doubt, CredentialError as ``resume`` does.
        """
        run = Run(self.store, run_id, self.store_flag)
        with run.opening():
            stored = self.store.load(run_id)
            run.take(stored, self.plan_of(stored))
            self._settle_first(run)
            call, _ = doubtful_call(run, self.store_flag)
            look = probe_call(run.chart, run.snapshot, call, self.clock.now())
            event = self._look(run, look) if look is not None else None
            history = in_terms_of_now(self.store.history(run.id))
            known = evidence(run, history, event.at if event else self.clock.now(), look, event)
            run.close()
        return known

    def _look(self, run: Run, look: Call) -> Replied | CallFailed:
        book = self.reach.again(run, self.clock, self.chance)
        transport = self.reach.open(run, book, self.clock, self.chance)
        try:
            return self._driver.perform(transport, look, run.snapshot.settings.call_timeout)
        finally:
            transport.close()

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
                self._driver.apply(run, Cancelled(at=self.clock.now(), chance=self.chance(), by=who()))
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
        edited = (before.document, before.workflow) == (plan.document, plan.workflow)
        other = ""
        if (before.document_sha256, before.workflow) != (plan.document_sha256, plan.workflow):
            other = f"another document or workflow ({before.workflow} of {before.document})"
        elif stored.head.inputs_sha256 != prepared.sha256:
            other = "other inputs"
        if other:
            raise IdentityError(
                f"run {stored.head.id} was begun with {other}",
                code="AZM-C010",
                next=f"choose another --id, or go on with it: arazzo-machine resume {stored.head.id}{self.store_flag}"
                + (" --use-edited" if edited else ""),
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
        token: Token | None = None,
    ) -> None:
        """Write the first transaction of a run: what it is, what it was read from, and its first transition."""
        plan = chart.plan
        plan_text = plan.text().encode()
        # A history begins with what its first event happened to, so that is kept where it is not nothing.
        began = [before.text().encode()] if token is not None else []
        blobs = {sha256(data): data for data in [plan_text, *texts.values(), *began]}
        head = RunHead(
            id=run.id,
            workflow=plan.workflow,
            document=plan.document,
            created=event.at,
            plan_sha256=sha256(plan_text),
            inputs_sha256=inputs_sha256,
            documents={name: sha256(data) for name, data in texts.items()},
            options=options,
            origin={"run": token.run, "token": token.sha256, "snapshot": sha256(began[0])} if token else {},
        )
        snapshot, _, record = chart.advance(before, event)
        (self.store.restart if again else self.store.create)(run.lease, head, blobs, snapshot, record)
        run.take(StoredRun(head=head, snapshot=snapshot), plan, chart)
        run.first = record

    def _take_up(
        self,
        run: Run,
        stored: StoredRun,
        given: Mapping[str, Any],
        changes: dict[str, Any],
        edited: Edited | None = None,
    ) -> None:
        """Prepare to go on with a stored run; one that cannot go on is left as it is and needs nothing."""
        run.take(stored, self.plan_of(stored))
        if not is_resumable(run.snapshot):
            return
        self._keep_options(run, given)
        if edited is not None:
            self.reach.check_again(edited.plan, run.head.options)
        run.drive(self._go_on(run, self.reach.again(run, self.clock, self.chance), changes, edited))

    def _go_on(self, run: Run, book: SecretBook, changes: dict[str, Any], edited: Edited | None) -> Iterator[Record]:
        """Take a stored run up again, then drive it."""
        if run.snapshot.pending is not None and (kept := self.store.kept(run.id)) is not None:
            # What it leads to was not there before, so it cannot have been sent by anybody.
            yield self._driver.apply(run, event_from_json(kept))
        else:
            yield from self._admit_doubt(run)
        if edited is not None and edited.plan.sha256 != run.plan.sha256:
            yield self._replan(run, edited, changes)
            # What answers gave may be sent by calls that were not ahead before.
            book = self.reach.again(run, self.clock, self.chance)
        elif self._reopens(run, changes):
            yield self._driver.apply(run, self._reopened(changes))
        yield from self._driver.drive(run, book)

    def _reopens(self, run: Run, changes: Mapping[str, Any]) -> bool:
        """Whether going on is an event of its own: a stop is taken up, or something was given anew."""
        stop = run.snapshot.stopped
        if stop is None:
            return bool(changes)
        taken_up = stop.reason != "in_doubt" or bool(changes) or run.chart.probes(run.snapshot)
        return is_resumable(run.snapshot) and taken_up

    def _reopened(self, changes: Mapping[str, Any], edit: Edit | None = None) -> Reopened:
        return Reopened(at=self.clock.now(), chance=self.chance(), changes=dict(changes), edit=edit, by=who())

    def _replan(self, run: Run, edited: Edited, changes: Mapping[str, Any]) -> Record:
        """From here on the edited plan applies: one transaction for the event and what it needs to be read again."""
        chart = chart_of(edited.plan)
        event = self._reopened(changes, edit_of_run(self.store, run, edited, chart))
        snapshot, _, record = chart.advance(run.snapshot, event)
        head, blobs = edited_head(self.store.load(run.id).head, edited)
        self.store.replan(run.lease, head, blobs, snapshot, record)
        run.take(StoredRun(head=head, snapshot=snapshot), edited.plan, chart)
        self._driver.tell(run, record)
        return record

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
            yield self._driver.apply(
                run,
                CallFailed(
                    at=self.clock.now(),
                    chance=self.chance(),
                    fate="unknown",
                    cause="interrupted",
                    message="the runner stopped between sending it and reading the answer",
                ),
            )

    def _keep_options(self, run: Run, given: Mapping[str, Any]) -> None:
        """Store what was given anew."""
        after = merged_options(run.head.options, given)
        if after != run.head.options:
            self.store.set_options(run.lease, after)
            run.reload()
