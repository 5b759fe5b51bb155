"""Plan -> the state machine that executes it, and ``advance``: the only way a run ever moves. Pure.

Theory of operation
===================
Each table of a plan becomes one python-statemachine class. Its guards ask a Judgement (``judge.py``) and its actions do
one thing: they note which transition fired. Everything a move causes is computed from that one fact, as a new frozen
snapshot, a list of effects and a record (``consequence.py``). So the library decides *where to go* and we decide *what
that means*; neither touches a network, a disk, a clock or a random number.

One living machine per workflow is used as a flyweight: set to the state a snapshot is in, sent one event, read back. A
waiting run therefore holds nothing in memory. A chart belongs to one thread.

    advance(snapshot, event)
        1. the state to judge in     the top frame's, or where a stopped run is taken up again
        2. the judgement             outputs, facts, criteria; what it asks is answered by the event's record
        3. the machine moves         first guard that holds wins; no guard, no move: python-statemachine refuses
        4. the consequence           ledger, visits, retries, budgets -> the next Call, or a Stop; or a workflow begins
                                     or ends, and the machine of the frame that is now on top is asked (``turn.py``)

The class is public (``Chart.machine_class``) and takes listeners, so that a program can hold and watch the machine
itself. Document names are shown by its states and never become attributes: a step called ``send`` is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from statemachine import StateChart
from statemachine.exceptions import TransitionNotAllowed
from statemachine.io import create_machine_class_from_definition

from ..errors import BugError, IdentityError, UsageError
from ..expressions.question import Ask, Asked, nobody
from ..expressions.template import references
from ..plan.model import CallPlan, Phase, Plan, State, Transition
from ..values import MISSING
from .edit import carried_over
from .events import Event, Happening, Reopened
from .judge import Judgement
from .snapshot import Frame, LedgerEntry, Snapshot
from .turn import Advanced, Turn, outputs_of

__all__ = ["Advanced", "Chart", "Standing", "compile_class", "steps_that_see_their_request"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a run would be taken up: a snapshot whose top frame is the one that moves, that frame's table, the state,
    and the call it makes or is in doubt about."""

    snapshot: Snapshot
    table: Plan
    state: State
    call: CallPlan | None

    @property
    def open_calls(self) -> list[LedgerEntry]:
        """The unsafe calls of the step there that were or may have been applied and were not gone on with, oldest
        first."""
        return [one for one in self.snapshot.entries(self.state.step) if one.open]


class Chart:
    """A plan that can move. ``listeners`` are python-statemachine listeners and hear every transition of every
    workflow; ``evaluate`` answers what the core may not compute itself, and is asked only by plans with patterns or
    XPaths."""

    def __init__(self, plan: Plan, *, listeners: Iterable[object] = (), evaluate: Ask | None = None) -> None:
        self.plan = plan
        self.evaluate: Ask = evaluate or nobody
        self.plan_sha256 = plan.sha256
        self._listeners = list(listeners)
        self._states: Mapping[str, State] = {state.id: state for table in plan.tables() for state in table.states}
        self._movers: dict[str, _Mover] = {}
        self.machine_class = self.machine_class_of(plan.workflow)

    def machine_class_of(self, workflow: str) -> type[StateChart[Any]]:
        """The python-statemachine class of one of the plan's workflows, by key; ``machine_class`` is the plan's own."""
        return self._mover(workflow).machine_class

    def begin(self) -> Snapshot:
        """The snapshot of a run to which nothing has happened yet; Started moves it."""
        frame = Frame(workflow=self.plan.workflow, path=(self.plan.workflow,), state=self.plan.initial.id)
        return Snapshot(plan_sha256=self.plan_sha256, frames=(frame,))

    def phase(self, snapshot: Snapshot) -> Phase:
        """The coarse word for lists; ``starting`` reads ``created`` once an unsafe call may have been applied."""
        phase = self._states[snapshot.frame.state].phase
        return "created" if phase == "starting" and snapshot.applied else phase

    def state(self, snapshot: Snapshot) -> State:
        """The state of the top frame."""
        return self._states[snapshot.frame.state]

    def path(self, snapshot: Snapshot) -> tuple[State, ...]:
        """The states of all frames: where the run is, from its own workflow to the one under way."""
        return tuple(self._states[frame.state] for frame in snapshot.frames)

    def standing(self, snapshot: Snapshot) -> Standing:
        """Where a run would be taken up, and what is done there."""
        frames, source = snapshot.standing
        table, state = self.plan.table(frames[-1].workflow), self._states[source]
        call = table.calls.get(state.step) if state.kind in ("call", "doubt") else None
        return Standing(snapshot=replace(snapshot, frames=frames), table=table, state=state, call=call)

    def probes(self, snapshot: Snapshot) -> bool:
        """Whether a run that is in doubt would look again by itself when it is taken up."""
        call = self.standing(snapshot).call if snapshot.stopped else None
        if call is None or call.effect.probe is None:
            return False
        return (snapshot.settings.on_doubt or call.effect.on_doubt) == "probe"

    def outputs(self, snapshot: Snapshot) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The run's outputs as far as they are known, every declared key present, and the keys that are not.

        They are those of its first workflow, or of the one that took its place. Outputs of steps that never ran are
        null, not an error (ambiguity A23).
        """
        first = replace(snapshot, frames=snapshot.frames[:1])
        values = outputs_of(self.plan.table(first.frame.workflow), first, ask=self.evaluate)
        unresolved = tuple(name for name, value in values.items() if value is MISSING or value is None)
        return {name: None if value is MISSING else value for name, value in values.items()}, unresolved

    def advance(self, snapshot: Snapshot, event: Event) -> Advanced:
        """Apply one event. Raises IdentityError when the snapshot belongs to another plan and the event does not say
        that this one applies from here on, UsageError when the event cannot happen in its state."""
        if isinstance(event, Reopened) and event.edit is not None:
            snapshot = carried_over(snapshot, event.edit)
        if snapshot.plan_sha256 != self.plan_sha256:
            raise IdentityError(
                "this snapshot was made by another plan", code="AZM-C001", next="use the plan stored with the run"
            )
        turn = Turn(self.plan, self._states, snapshot, event, Asked(event.answers, self.evaluate))
        while (happening := turn.happening) is not None:
            mover, state = self._mover(turn.now.frame.workflow), self._states[turn.source]
            judgement = mover.judge(turn.now, happening, state, turn.asked)
            target = self._move(mover, state, happening, judgement)
            if judgement.fired is None:
                raise BugError("the machine moved and no transition fired", code="AZM-B003")
            turn.take(judgement, target)
        return turn.advanced()

    def _move(self, mover: _Mover, source: State, happening: Happening, judgement: Judgement) -> str:
        if source.kind == "final":
            raise self._impossible(source, happening)
        machine = mover.machine
        machine.current_state_value = source.id
        try:
            machine.send(f"e_{happening.name}", judgement=judgement)
        except TransitionNotAllowed as error:
            raise self._impossible(source, happening) from error
        return str(machine.current_state_value)

    def _impossible(self, source: State, happening: Happening) -> UsageError:
        kind = getattr(happening, "kind", happening.name)
        return UsageError(
            f"{kind} cannot happen in state {source.name!r}",
            code="AZM-C002",
            next="see what can with `arazzo-machine plan`",
        )

    def _mover(self, workflow: str) -> _Mover:
        """The machine of one workflow, built when it first moves."""
        if workflow not in self._movers:
            table = self.plan.table(workflow)
            machine_class = _compiled(_Compilable(digest=self.plan_sha256, workflow=workflow, table=table))
            self._movers[workflow] = _Mover(table, machine_class, self._listeners)
        return self._movers[workflow]


class _Mover:
    """One workflow that can move: its table, its class, and the one living machine that is set to where a run is."""

    def __init__(self, table: Plan, machine_class: type[StateChart[Any]], listeners: list[object]) -> None:
        self.table = table
        self.machine_class = machine_class
        self._listeners = listeners
        self._machine = machine_class(listeners=listeners)
        self._sees_request = steps_that_see_their_request(table)

    @property
    def machine(self) -> StateChart[Any]:
        # A machine that reached a final state ignores every later event, so a new one takes its place.
        if self._machine.is_terminated:
            self._machine = self.machine_class(listeners=self._listeners)
        return self._machine

    def judge(self, snapshot: Snapshot, happening: Happening, state: State, ask: Ask) -> Judgement:
        """What it means in a state of this workflow, which is that of the snapshot's top frame."""
        child = self.table.children.get(state.child)
        call = self.table.calls.get(state.step) if child is None else None
        sees = call is not None and call.step in self._sees_request
        return Judgement.of(self.table, snapshot, happening, call, child, sees_request=sees, ask=ask)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compilable:
    """A table to be compiled. What the digest of its plan and its own key are equal in, it is equal in."""

    digest: str
    workflow: str
    table: Plan = field(compare=False)


@lru_cache(maxsize=64)
def _compiled(one: _Compilable) -> type[StateChart[Any]]:
    """Its class, made once in a process that drives many runs of a plan: that takes longer than a run's every move."""
    return compile_class(one.table, one.digest)


def compile_class(plan: Plan, digest: str) -> type[StateChart[Any]]:
    """The python-statemachine class of one table. State and event ids are generated; names are only shown.

    ``digest`` is that of the whole plan, in which the ids are unique.
    """
    states: dict[str, Any] = {}
    for state in plan.states:
        states[state.id] = {
            "name": state.name,
            "initial": state is plan.initial,
            "final": state.kind == "final",
            "on": {},
        }
    for one in plan.transitions:
        for event in one.on:
            states[one.source]["on"].setdefault(f"e_{event}", []).append(
                {
                    "target": one.target,
                    "internal": one.source == one.target and one.pace != "poll",
                    "cond": _guard(one, digest),
                    "on": _note(one, digest),
                }
            )
    # The last three are not the library's defaults: a guard that raises would count as false and take the next edge,
    # an unknown event would be ignored, and a move would be written twice, the first time as no state at all.
    made: type[StateChart[Any]] = create_machine_class_from_definition(
        f"Chart_{digest[:12]}_{plan.initial.id}",
        states=states,
        catch_errors_as_events=False,
        allow_event_without_transition=False,
        atomic_configuration_update=True,
    )
    return made


def _guard(transition: Transition, digest: str) -> Callable[[Judgement], bool]:
    def guard(judgement: Judgement) -> bool:
        return judgement.holds(transition)

    # The library caches signatures by qualified name, so every generated callable needs one of its own.
    guard.__qualname__ = guard.__name__ = f"guard_{digest[:12]}_{transition.id}"
    return guard


def _note(transition: Transition, digest: str) -> Callable[[Judgement], None]:
    def note(judgement: Judgement) -> None:
        judgement.fired = transition

    note.__qualname__ = note.__name__ = f"note_{digest[:12]}_{transition.id}"
    return note


def steps_that_see_their_request(plan: Plan) -> frozenset[str]:
    """The steps of a table that make a call and say something about what was sent with it."""
    found = set()
    runs = {state.id: plan.children[state.child] for state in plan.states if state.child}
    steps = {state.id: state.step for state in plan.states}
    edges: dict[str, list[Transition]] = {}
    for one in plan.transitions:
        edges.setdefault(steps[one.source], []).append(one)
    for step, call in plan.calls.items():
        leaving = edges.get(step, [])
        criteria = [*call.success, *(one for edge in leaving for one in edge.guard.criteria)]
        given = [value for edge in leaving if edge.target in runs for _, value in runs[edge.target].parameters]
        used = [
            *(e for t in (*call.outputs.values(), *given) for e in references(t)),
            *(e for c in criteria for e in c.references()),
        ]
        if any(expression.root == "request" for expression in used):
            found.add(step)
    return frozenset(found)
