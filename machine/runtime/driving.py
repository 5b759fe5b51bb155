"""The loop that moves one run: wait until its call is due, perform it, apply what came of it, again.

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

This file decides nothing about where a run goes; ``Chart.advance`` does. ``runner.py`` says which run, and from where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from ..chart.effects import Call
from ..chart.events import CallFailed, Cancelled, Event, Reopened, Replied
from ..chart.snapshot import Record
from ..errors import HostError, RequestError, StoreError
from ..plan.model import UNSAFE
from ..stores.base import Store
from .clock import GLANCE, Clock, Interrupts
from .reach import PerformsCalls, Reach
from .run import Observer, Run
from .secrets import SecretBook
from .standing import leaves_at_once, who
from .unstored import unstored

__all__ = ["Driver", "Patience"]

Patience = Literal["end", "wait", "call"]


class Driver:
    """Moves runs of one store, from one thread. Made by a Runner, with what it was given."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        chance: Callable[[], float],
        interrupts: Interrupts,
        observers: Sequence[Observer],
        reach: Reach,
        patience: Patience,
        store_flag: str,
    ) -> None:
        self.store = store
        self.clock = clock
        self.chance = chance
        self.interrupts = interrupts
        self.observers = observers
        self.reach = reach
        self.patience = patience
        self.store_flag = store_flag
        self._glanced = 0.0

    def drive(self, run: Run, book: SecretBook) -> Iterator[Record]:
        if run.first is not None:
            self.tell(run, run.first)
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
                    yield self.apply(run, Cancelled(at=self.clock.now(), chance=self.chance(), by=by))
                    return
                if call.kind in UNSAFE and not call.intended:
                    if self.late(run):
                        # The wait was longer than planned, as on a machine that slept: no longer the time to create.
                        yield self.apply(run, Reopened(at=self.clock.now(), chance=self.chance(), by=who()))
                        continue
                    self.store.mark_intent(run.lease, call.number, self.clock.now())
                event = self.perform(transport, call, self._time_for(run, call))
                if call.kind in UNSAFE:
                    # The longest time nobody looked: whoever asked meanwhile is heard before the next call.
                    self._glanced = 0.0
                yield self.apply(run, event)
        finally:
            self.interrupts.watch = None
            transport.close()

    def perform(self, transport: PerformsCalls, call: Call, timeout: float) -> Replied | CallFailed:
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

    def late(self, run: Run) -> bool:
        return run.snapshot.deadline is not None and self.clock.now() >= run.snapshot.deadline

    def _wait(self, call: Call) -> None:
        """Until the call is due, but never longer than was planned: a clock set wrong cannot keep a run waiting."""
        if not leaves_at_once(call):
            # Once its intent is stored a call leaves: stopping in between would be doubt about a call never made.
            self.interrupts.check()
        seconds = min(max(call.not_before - self.clock.now(), 0.0), call.delay)
        if seconds > 0:
            self.clock.wait(seconds, self.interrupts)

    def apply(self, run: Run, event: Event) -> Record:
        """Let an event happen to a run, and store what it comes to before anybody learns of it."""
        try:
            snapshot, _, record = run.chart.advance(run.snapshot, event)
        except Exception:
            if isinstance(event, (Replied, CallFailed)):
                # What came of a call is worth keeping even when a fault of ours cannot make use of it.
                with self._not_lost(run, event):
                    self.store.keep(run.lease, event.to_json())
            raise
        with self._not_lost(run, event):
            if self.interrupts.signum and isinstance(event, (Replied, CallFailed)) and leaves_at_once(snapshot.pending):
                # Stored, the next call would have to be sent. Kept, the answer is used on resume, and nothing is sent
                # now.
                self.store.keep(run.lease, event.to_json())
                self.interrupts.check()
            self.store.append(run.lease, snapshot, record)
        run.snapshot = snapshot
        self.tell(run, record)
        return record

    @contextmanager
    def _not_lost(self, run: Run, event: Event) -> Iterator[None]:
        """The answer of an unsafe call goes with the error where it cannot be stored: nobody could ask for it again."""
        try:
            yield
        except StoreError as error:
            call = run.snapshot.pending
            if call is None or call.kind not in UNSAFE or not isinstance(event, Replied):
                raise
            raise unstored(run.id, call, event.reply, error, self.store, self.store_flag) from error

    def tell(self, run: Run, record: Record) -> None:
        for observer in self.observers:
            try:
                observer(run, record)
            except Exception as error:
                run.trouble(observer, error)
