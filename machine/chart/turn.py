"""One event -> all the moves it causes, what is true after the last of them, and the one effect that comes next.

Most events cause one move. Where its target runs a workflow, a frame is pushed and that workflow begins; where a
workflow ends, its frame is popped and the state that ran it is judged; all that happens in the same event, until there
is a call to make or the run stops. Drivers never see it: between two events there is always a call that pends, made by
the top frame, or a stop.

    target of the move          what follows
    makes a call                the call pends
    runs a workflow             its frame is pushed: ``started`` is judged in its first state
    ends the workflow           its frame is popped: ``returned`` is judged in the state that ran it, or the run stops
    (a budget, a doubt, ...)    the run stops where it is, with its whole stack
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from ..errors import InputError, RequestError
from ..expressions.question import Ask, Asked
from ..expressions.template import render
from ..plan.inputs import check_inputs
from ..plan.model import CallPlan, ChildPlan, Plan, State
from ..values import MISSING
from .calling import delay_of, entry_of, forbidden, guesses, next_call, purpose_of, retry_due
from .consequence import Fired
from .effects import Effect, Finish
from .events import CallFailed, Entered, Event, Happening, Reopened, Resolved, Returned, Started
from .explain import TOO_DEEP, stop_message
from .judge import Judgement, context_of, read_value
from .snapshot import ENDS, READY, Ended, Frame, Move, Record, Snapshot, Stop

__all__ = ["MOST_FRAMES", "Advanced", "Turn", "outputs_of"]

MOST_FRAMES: Final = 32
"""How deep workflows may run each other."""
_MOST_MOVES: Final = 500
"""Of one event. Thirty-two workflows that begin and end with all they depend on need fewer."""


class Advanced(NamedTuple):
    """What one event came to."""

    snapshot: Snapshot
    effects: tuple[Effect, ...]
    record: Record


def outputs_of(plan: Plan, snapshot: Snapshot, *, ask: Ask) -> dict[str, Any]:
    """The outputs of the workflow of the top frame as far as they are known; ``plan`` is its table. What cannot be
    told is MISSING."""
    context = context_of(plan, snapshot, ask=ask)
    return {name: read_value(value, context) for name, value in plan.outputs.items()}


class Turn:
    """Made for one event and thrown away. ``happening`` is what the machine of the top frame is asked next, in the
    state ``source``; None once there is an effect."""

    def __init__(self, plan: Plan, states: Mapping[str, State], before: Snapshot, event: Event, asked: Asked) -> None:
        self.plan = plan
        self.states = states
        self.event = event
        self.asked = asked
        self.start = before
        taken_up = before.stopped is not None and isinstance(event, (Reopened, Resolved))
        frames, self.source = before.standing if taken_up else (before.frames, before.frame.state)
        self.now = replace(before, frames=frames)
        self.happening: Happening | None = event
        self._moves: list[Move] = []
        self._owed = 0.0
        """Seconds to wait before the next call, for all the moves that lead to it."""
        self._point = frames, self.source
        """Where a run that fails by this event is taken up again: what was judged deepest and last."""
        self._taken: int | None = None
        """Which line of the ledger this event closed."""
        self._effect: Effect | None = None

    @property
    def table(self) -> Plan:
        """The workflow of the top frame."""
        return self.plan.table(self.now.frame.workflow)

    def advanced(self) -> Advanced:
        """What the event came to, once nothing happens any more."""
        effects = (self._effect,) if self._effect is not None else ()
        record = Record(
            seq=self.now.seq,
            kind=self.event.kind,
            at=self.event.at,
            # The answers stand in the record, so that a replay asks nobody and comes to the same bytes.
            event=replace(self.event, answers=self.asked.answers).to_json(),
            moves=tuple(self._moves),
            effects=effects,
        )
        return Advanced(self.now, effects, record)

    def take(self, judgement: Judgement, target: str) -> None:
        """Go on with the move that was made."""
        assert judgement.fired is not None
        fired = Fired(
            plan=self.table,
            before=self.now,
            judgement=judgement,
            transition=judgement.fired,
            target=self.states[target],
        )
        after = self.now
        if not self._moves:
            after = self._begun(replace(after, seq=after.seq + 1, pending=None, stopped=None))
        after = fired.change(after)
        if not isinstance(fired.event, (Entered, Returned)):
            self._point = after.frames, fired.transition.source
            self._taken = _newly_taken(self.now, after)
        self._moves.append(fired.move)
        if "retries" in fired.transition.guard.facts and fired.transition.pace == "now":
            after = after.with_frame(replace(after.frame, due=retry_due(fired, self.event)))
        self.now, self.source, self.happening = after, target, None
        stop = fired.transition.stop
        if stop in ENDS and len(after.frames) > 1:
            self._leave(fired)
        elif stop:
            self._stop(fired, stop)
        elif fired.target.kind == "workflow":
            self._run(fired)
        else:
            self._call(fired)

    def _begun(self, after: Snapshot) -> Snapshot:
        """What the event itself changes."""
        event = self.event
        if isinstance(event, Started):
            settings = event.settings
            length = self.plan.deadline if settings.deadline is None else settings.deadline
            after = replace(
                after,
                settings=settings,
                nonce=event.nonce,
                started=event.at,
                deadline=round(event.at + length, 3),
            )
            return after.with_frame(replace(after.frame, inputs=dict(event.inputs)))
        if isinstance(event, (Reopened, Resolved)):
            after = replace(after, frames=self._renewed(after.frames))
        if isinstance(event, Reopened):
            settings = after.settings.changed(event.changes)
            deadline = after.deadline
            if event.changes.get("deadline") is not None:
                deadline = round(event.at + event.changes["deadline"], 3)
            after = replace(after, settings=settings, deadline=deadline)
            return after.with_frame(replace(after.frame, troubles=0))
        return after

    def _renewed(self, frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
        """The stack of a run that is taken up: what its callers wait for begins to count anew."""
        made = list(frames[:1])
        for frame in frames[1:]:
            made.append(replace(frame, expires=self._expiry(made[-1], self._child(made[-1]))))
        return tuple(made)

    def _child(self, frame: Frame) -> ChildPlan:
        """The workflow a frame stands and waits for."""
        return self.plan.table(frame.workflow).children[self.states[frame.state].child]

    def _expiry(self, caller: Frame, child: ChildPlan) -> float | None:
        own = None if child.timeout is None else round(self.event.at + self._owed + child.timeout, 3)
        return min((one for one in (caller.expires, own) if one is not None), default=None)

    # -- a workflow ends -------------------------------------------------------------------------------------------

    def _leave(self, fired: Fired) -> None:
        """Pop the frame and ask the state that ran it."""
        after, reason = self.now, fired.transition.stop
        frame, ok = after.frame, reason in READY
        outputs = {
            name: None if value is MISSING else value
            for name, value in outputs_of(fired.plan, after, ask=self.asked).items()
        }
        ended = Ended(ok=ok, inputs=frame.inputs, outputs=outputs, steps=frame.completed)
        before = {key: replace(after.workflows[key], ok=ok, outputs=outputs) for key in frame.replaced}
        why = stop_message(reason, fired.plan, after, fired.judgement, fired.target)
        self._return(
            after.frames[:-1],
            {**after.workflows, **before, frame.workflow: ended},
            Returned(
                at=self.event.at,
                chance=self.event.chance,
                ok=ok,
                why=why,
                outputs=outputs,
                status=frame.status,
                troubled=not ok and fired.judgement.trouble()[0],
            ),
        )

    def _return(self, frames: tuple[Frame, ...], workflows: Mapping[str, Ended], returned: Returned) -> None:
        *below, caller = frames
        if returned.status is not None:
            caller = replace(caller, status=returned.status)
        self.now = replace(self.now, frames=(*below, caller), workflows=workflows)
        self.source, self.happening = caller.state, returned

    def _refuse(self, why: str) -> None:
        """The workflow a state runs cannot begin: the state is asked at once."""
        self._point, self._taken = (self.now.frames, self.source), None
        self.happening = Returned(at=self.event.at, chance=self.event.chance, ok=False, why=why)

    # -- a workflow begins -----------------------------------------------------------------------------------------

    def _run(self, fired: Fired) -> None:
        """Push a frame for the workflow that the target runs; one that took the place of another's is no deeper."""
        child = fired.plan.children[fired.target.child]
        if self._held_up(fired, child):
            return
        after = self.now.with_frame(replace(self.now.frame, since=len(self.now.ledger)))
        self.now, frame = after, after.frame
        callee = self.plan.table(child.workflow)
        ended = after.workflows.get(child.workflow)
        if child.role == "dependency" and ended is not None and ended.ok:
            # Workflow Object, dependsOn: it has to have completed, not to be done again (ambiguity A25).
            why = f"{child.workflow} has completed before"
            self.happening = Returned(
                at=self.event.at, chance=self.event.chance, ok=True, why=why, outputs=ended.outputs
            )
            return
        why = self._unready(child) or self._unreachable(child)
        inputs: dict[str, Any] = {}
        if not why:
            try:
                inputs, _ = check_inputs(callee, self._given(fired, callee, child), inside=True, ask=self.asked)
            except (InputError, RequestError) as error:
                way = f"; --dep-input {child.workflow}.NAME=VALUE gives it one" if child.role == "dependency" else ""
                why = f"{child.workflow} cannot begin: {error.message}{way}"
        if why:
            self._refuse(why)
            return
        pushed = Frame(
            workflow=child.workflow,
            kind=child.role,
            number=after.entered + 1,
            path=(*frame.path, child.step, child.workflow),
            state=callee.initial.id,
            inputs=inputs,
            expires=self._expiry(frame, child),
        )
        frames = (*after.frames, pushed)
        workflows = after.workflows
        if child.role == "transfer":
            taken = Ended(ok=False, inputs=frame.inputs, steps=frame.completed)
            workflows = {**workflows, frame.workflow: taken}
            replaced = (*(one for one in frame.replaced if one != child.workflow), frame.workflow)
            # The wait of a ring of workflows grows like that of any loop.
            path = (*frame.path[:-1], child.workflow)
            pushed = replace(pushed, path=path, waited=frame.waited, replaced=tuple(dict.fromkeys(replaced)))
            frames = (*after.frames[:-1], pushed)
        self.now = replace(after, frames=frames, workflows=workflows, entered=after.entered + 1)
        self.source = pushed.state
        self.happening = Entered(at=self.event.at, chance=self.event.chance)

    def _given(self, fired: Fired, callee: Plan, child: ChildPlan) -> dict[str, Any]:
        """The inputs a caller gives. Raises RequestError where a value cannot be written."""
        own = self.now.frame.inputs
        # Success and Failure Action Object, parameters: an action sees the answer it was chosen by; a step that has
        # not run yet has none.
        chosen = child.role in ("transfer", "repair")
        context = fired.judgement.context if chosen else context_of(fired.plan, self.now, ask=self.asked)
        given = {}
        if child.same_named:
            given = {one.name: own[one.name] for one in callee.inputs if one.name in own}
        for name, template in child.parameters:
            value = render(template, context)
            if value is not MISSING:
                given[name] = value
        return given

    def _unreachable(self, child: ChildPlan) -> str:
        frames = self.now.frames
        if child.role == "dependency" and any(frame.workflow == child.workflow for frame in frames):
            return f"{child.workflow} is under way and waits for what it is to come before"
        if child.role != "transfer" and len(frames) >= MOST_FRAMES:
            return TOO_DEEP.format(MOST_FRAMES)
        return ""

    def _unready(self, does: ChildPlan | CallPlan) -> str:
        """The step that had to succeed before and has not, as a sentence (Step Object, dependsOn)."""
        for key, step in does.needs:
            done = set(self.now.frame.completed)
            if key:
                ended = self.now.workflows.get(key)
                under_way = [frame.completed for frame in self.now.frames if frame.workflow == key]
                done = {name for steps in (*under_way, ended.steps if ended else ()) for name in steps}
            if step not in done:
                owner = f" of {key}" if key else ""
                return f"{does.step} depends on {step}{owner}, which has not succeeded"
        return ""

    # -- a call, or none -------------------------------------------------------------------------------------------

    def _held_up(self, fired: Fired, does: ChildPlan | CallPlan, *, unsafe: bool = False) -> bool:
        """Whether the run stops here because a budget is used up; else the wait this move asks for is added."""
        delay = delay_of(fired, does.poll, self.event, self.start, self.now)
        self._owed = max(self._owed, delay)
        spent = forbidden(fired, does.poll, self.plan, self.event, self.now, self._owed, unsafe=unsafe)
        if not spent and len(self._moves) >= _MOST_MOVES:
            spent = "transitions"
        if spent:
            self._stop(fired, spent)
        return bool(spent)

    def _call(self, fired: Fired) -> None:
        call, event = fired.plan.calls[fired.target.step], self.event
        purpose = purpose_of(fired.target, call, event, self.now)
        unsafe = call.unsafe and purpose == "call"
        if self._held_up(fired, call, unsafe=unsafe) or self._expired():
            return
        why = self._unready(call) if fired.target.kind == "call" else ""
        if why:
            self.happening = CallFailed(
                at=event.at, chance=event.chance, fate="not_sent", cause="not_ready", message=why
            )
            return
        pending = self.start.pending
        waits = pending is not None and pending.again and isinstance(event, Reopened)
        reissued = fired.transition.rule == "reissue" or waits
        if unsafe and not reissued and guesses(call, event, self.start, self.now):
            self._stop(fired, "in_doubt")
            return
        try:
            effect = next_call(fired.plan, call, purpose, event, self.now, self._owed, reissued, ask=self.asked)
        except RequestError as error:
            self._finish(Stop(reason="request", message=str(error), at=event.at, source=fired.target.id))
            return
        if unsafe and not reissued:
            # Sent again under the same key it is the same effect, so the ledger keeps one line for it.
            self.now = entry_of(effect, self.now)
        self.now, self._effect = replace(self.now, pending=effect), effect

    def _expired(self) -> bool:
        """Give up workflows whose caller waits no longer: their step has failed (Step Object, timeout)."""
        moment, frames = self.event.at + self._owed, self.now.frames
        if frames[-1].expires is None or moment < frames[-1].expires:
            return False
        self._point, self._taken = (frames, self.source), None
        number = next(
            number for number, frame in enumerate(frames) if frame.expires is not None and frame.expires <= moment
        )
        child = self._child(frames[number - 1])
        returned = Returned(
            at=self.event.at,
            chance=self.event.chance,
            ok=False,
            why=f"{child.workflow} took longer than the {child.timeout:g} s its step allows",
            status=frames[-1].status,
        )
        self._return(frames[:number], self.now.workflows, returned)
        return True

    def _stop(self, fired: Fired, reason: str) -> None:
        """Stop the run: at an end of its first workflow, or where it is."""
        after = self.now
        frames: tuple[Frame, ...] = ()
        source = fired.target.id
        if fired.target.kind == "final":
            source = fired.transition.source
            if reason not in READY and isinstance(fired.event, (Entered, Returned)):
                frames, source = self._point
                after = self._opened_again(after)
        message = stop_message(reason, fired.plan, after, fired.judgement, fired.target)
        self.now = after
        self._finish(Stop(reason=reason, message=message, at=self.event.at, source=source, frames=frames))

    def _opened_again(self, after: Snapshot) -> Snapshot:
        """What was applied and gone on with, only to fail at once, is open again: it is never made anew on a guess."""
        if self._taken is None:
            return after
        ledger = list(after.ledger)
        ledger[self._taken] = replace(ledger[self._taken], taken=False)
        return replace(after, ledger=tuple(ledger))

    def _finish(self, stop: Stop) -> None:
        self.now, self._effect = replace(self.now, stopped=stop), Finish(reason=stop.reason)


def _newly_taken(before: Snapshot, after: Snapshot) -> int | None:
    """The line of the ledger that was closed between the two."""
    pairs = enumerate(zip(before.ledger, after.ledger, strict=False))
    return next((number for number, (one, other) in pairs if other.taken and not one.taken), None)
