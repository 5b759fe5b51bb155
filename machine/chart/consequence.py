"""A fired transition -> what it changes in the run, before anything new is asked for: ledger, frame, counters.

``chart.py`` lets python-statemachine decide where to go; ``turn.py`` says what comes next. The ledger of unsafe calls
is written here and, where a call is added to it, in ``calling.py``; nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..plan.model import Plan, State, Transition
from .events import CallFailed, Entered, Happening, Reopened, Replied, Returned
from .judge import Judgement
from .look import outcome_of
from .snapshot import READY, Frame, LedgerEntry, Move, Snapshot

__all__ = ["Fired"]

_ADOPTING = frozenset({"adopted", "ours"})
"""Facts of the transitions that take a thing on the other side for the step's result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """One transition that the machine of one frame made."""

    plan: Plan
    """The table of that frame."""
    before: Snapshot
    judgement: Judgement
    transition: Transition
    target: State

    @property
    def event(self) -> Happening:
        return self.judgement.event

    @property
    def purpose(self) -> str:
        """What the call was for that this answers."""
        return self.before.pending.purpose if self.before.pending else "call"

    @property
    def again(self) -> bool:
        """Whether the call that this answers repeated one whose fate was unknown, under its key."""
        return self.before.pending is not None and self.before.pending.again

    @property
    def outputs(self) -> Mapping[str, Any]:
        """What the step's outputs became."""
        judged = isinstance(self.event, Replied) and self.purpose == "call"
        adopted = bool(_ADOPTING & set(self.transition.guard.facts))
        return self.judgement.outputs if judged or adopted or isinstance(self.event, Returned) else {}

    @property
    def move(self) -> Move:
        """What the record keeps of it."""
        return Move(
            frame=self.before.frame.number,
            on=self.event.name,
            source=self.transition.source,
            target=self.target.id,
            transition=self.transition.id,
            guards=tuple(self.judgement.verdicts),
            outputs=self.outputs,
        )

    def change(self, after: Snapshot) -> Snapshot:
        """The run with what the move says of the other side, of its own frame and of what it has used up."""
        after = replace(after, moves=after.moves + 1, ledger=self._ledger(), calls=after.calls + self._left())
        after = after.with_frame(self._frame(after.frame))
        if self.transition.rule == "action" and "!held" in self.transition.guard.facts and not self.transition.stop:
            after = replace(after, recovered=True)
        return after

    def _left(self) -> int:
        """One more request left, or may have."""
        if isinstance(self.event, CallFailed):
            return int(self.event.fate == "unknown")
        return int(isinstance(self.event, Replied))

    # -- the other side --------------------------------------------------------------------------------------------

    def _ledger(self) -> tuple[LedgerEntry, ...]:
        ledger = self.before.ledger
        entry = self.judgement.last_entry()
        if entry is None:
            return ledger
        if self.transition.rule == "absent" or "not_sent" in self.transition.guard.facts:
            # Whoever says that nothing is there says it of every call of the step that was open.
            opened = self.judgement.open_entries()
            return tuple(
                replace(one, outcome="not_applied", ruled_out=True) if any(one is known for known in opened) else one
                for one in ledger
            )
        changed = self._settled(entry)
        return tuple(changed if one is entry else one for one in ledger)

    def _settled(self, entry: LedgerEntry) -> LedgerEntry:
        """What the event tells of the step's latest unsafe call."""
        event, outputs, facts = self.event, self.judgement.outputs, self.transition.guard.facts
        taken = "held" in facts and (not self.transition.stop or self.transition.stop in READY)
        answered = isinstance(event, (Replied, CallFailed)) and self.purpose == "call"
        if answered and self.before.pending is None:
            return entry
        if isinstance(event, Replied) and self.purpose == "call":
            outcome = outcome_of(event.reply)
            if outcome == "not_applied" and self.again:
                # It says no to this request, and nothing about the first one under the same key.
                outcome = "unknown"
            identity = _identity(outputs) if outcome == "applied" else entry.identity
            return replace(entry, outcome=outcome, status=event.reply.status, identity=identity, taken=taken)
        if isinstance(event, CallFailed) and self.purpose == "call":
            known = event.fate == "not_sent" and not self.again
            return replace(entry, outcome="not_applied" if known else "unknown")
        if _ADOPTING & set(facts):
            return replace(entry, outcome="applied", identity=_identity(outputs), taken=taken)
        pending = self.before.pending
        if isinstance(event, Reopened) and pending is not None and pending.kind == entry.kind and not self.again:
            return replace(entry, outcome="not_applied")
        return entry

    # -- the frame -------------------------------------------------------------------------------------------------

    def _frame(self, frame: Frame) -> Frame:
        judgement, fired = self.judgement, self.transition
        step = judgement.call.step if judgement.call else judgement.child.step if judgement.child else ""
        steps, completed, outputs = frame.steps, frame.completed, self.outputs
        if step and outputs:
            steps = {**steps, step: dict(outputs)}
        if step and step not in completed and "held" in fired.guard.facts:
            completed = (*completed, step)
        visits = dict(frame.visits)
        visits[self.target.id] = visits.get(self.target.id, 0) + 1
        # A retry keeps its budget only within one visit of its step (ambiguity A14), which a retry, its repair and a
        # tolerated answer do not end: each would otherwise give back what another has used up, and none would ever end.
        retried, tolerated = "retries" in fired.guard.facts, fired.rule == "tolerance"
        retries = dict(frame.retries) if retried or tolerated or fired.rule == "repair" else {}
        if retried:
            retries[fired.id] = retries.get(fired.id, 0) + 1
        troubles = frame.troubles
        if tolerated:
            troubles += 1
        elif isinstance(self.event, (Replied, CallFailed, Returned)) and not (retried and judgement.trouble()[0]):
            troubles = 0
        return replace(
            frame,
            state=self.target.id,
            steps=steps,
            completed=completed,
            visits=visits,
            retries=retries,
            waited=self._waited(frame),
            troubles=troubles,
            absent=self._absent(frame),
            status=self.event.reply.status if isinstance(self.event, Replied) else frame.status,
        )

    def _waited(self, frame: Frame) -> int:
        """Paced calls in a row. What takes another workflow's place in a ring of them goes on counting."""
        if isinstance(self.event, Entered):
            return frame.waited
        return frame.waited + 1 if self.transition.pace in ("poll", "probe") else 0

    def _absent(self, frame: Frame) -> Mapping[str, bool | None]:
        """What is known of the other side before the first send; it holds for one visit of the step."""
        call, look = self.judgement.call, self.judgement.look
        if call is None or call.effect.probe is None:
            return frame.absent
        if self.transition.rule == "look":
            known = None if look is None else True if look.absent[0] else False if look.found[0] else None
            return {**frame.absent, call.step: known}
        if self.target.step != call.step:
            return {step: known for step, known in frame.absent.items() if step != call.step}
        return frame.absent


def _identity(outputs: Mapping[str, Any]) -> Any:
    known = {name: value for name, value in outputs.items() if value is not None}
    return known or None
