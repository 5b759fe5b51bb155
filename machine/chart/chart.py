"""Plan -> the state machine that executes it, and ``advance``: the only way a run ever moves. Pure.

Theory of operation
===================
The plan's table becomes one python-statemachine class. Its guards ask a Judgement (``judge.py``) and its actions do
one thing: they note which transition fired. Everything a move causes is computed from that one fact, as a new frozen
snapshot, a list of effects and a record (``consequence.py``). So the library decides *where to go* and we decide *what
that means*; neither touches a network, a disk, a clock or a random number.

One living machine per chart is used as a flyweight: set to the state a snapshot is in, sent one event, read back. A
waiting run therefore holds nothing in memory. A chart belongs to one thread.

    advance(snapshot, event)
        1. the state to judge in     the snapshot's, or ``stopped.source`` of a run that is taken up again
        2. the judgement             outputs, facts, criteria
        3. the machine moves         first guard that holds wins; no guard, no move: python-statemachine refuses
        4. the consequence           ledger, visits, retries, budgets -> the next Call, or a Stop

The class is public (``Chart.machine_class``) and takes listeners, so that a program can hold and watch the machine
itself. Document names are shown by its states and never become attributes: a step called ``send`` is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from statemachine import StateChart
from statemachine.exceptions import TransitionNotAllowed
from statemachine.io import create_machine_class_from_definition

from ..errors import BugError, IdentityError, UsageError
from ..expressions.template import references
from ..plan.model import Phase, Plan, State, Transition
from ..values import MISSING
from .consequence import conclude
from .edit import carried_over
from .events import Event, Reopened, Resolved
from .judge import Judgement, context_of, read_value
from .snapshot import Advanced, Frame, Snapshot

__all__ = ["Chart", "compile_class"]


class Chart:
    """A plan that can move. ``listeners`` are python-statemachine listeners and hear every transition."""

    def __init__(self, plan: Plan, *, listeners: Iterable[object] = ()) -> None:
        self.plan = plan
        self.plan_sha256 = plan.sha256
        self.machine_class: type[StateChart[Any]] = compile_class(plan, self.plan_sha256)
        self._listeners = list(listeners)
        self._machine = self.machine_class(listeners=self._listeners)
        self._states: Mapping[str, State] = {state.id: state for state in plan.states}
        self._sees_request = _steps_that_see_their_request(plan)

    def begin(self) -> Snapshot:
        """The snapshot of a run to which nothing has happened yet; Started moves it."""
        frame = Frame(workflow=self.plan.workflow, state=self.plan.initial.id)
        return Snapshot(plan_sha256=self.plan_sha256, frames=(frame,))

    def phase(self, snapshot: Snapshot) -> Phase:
        """The coarse word for lists; ``starting`` reads ``created`` once an unsafe call may have been applied."""
        phase = self._states[snapshot.frame.state].phase
        return "created" if phase == "starting" and snapshot.applied else phase

    def state(self, snapshot: Snapshot) -> State:
        return self._states[snapshot.frame.state]

    def probes(self, snapshot: Snapshot) -> bool:
        """Whether a run that is in doubt would look again by itself when it is taken up."""
        stop = snapshot.stopped
        step = self._states[stop.source].step if stop else ""
        call = self.plan.calls.get(step)
        if call is None or call.effect.probe is None:
            return False
        return (snapshot.settings.on_doubt or call.effect.on_doubt) == "probe"

    def outputs(self, snapshot: Snapshot) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The workflow's outputs as far as they are known, every declared key present, and the keys that are not.

        Outputs of steps that never ran are null, not an error (ambiguity A23).
        """
        context = context_of(self.plan, snapshot)
        values = {name: read_value(value, context) for name, value in self.plan.outputs.items()}
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
        source = snapshot.frame.state
        if snapshot.stopped and isinstance(event, (Reopened, Resolved)):
            source = snapshot.stopped.source
        call = self.plan.calls.get(self._states[source].step)
        judgement = Judgement.of(
            self.plan, snapshot, event, call, sees_request=call is not None and call.step in self._sees_request
        )
        target = self._move(source, event, judgement)
        fired = judgement.fired
        if fired is None:
            raise BugError("the machine moved and no transition fired", code="AZM-B003")
        return conclude(self.plan, self._states, snapshot, event, judgement, fired, target)

    def _move(self, source: str, event: Event, judgement: Judgement) -> str:
        # A machine that reached a final state ignores every later event, so a new one takes its place.
        if self._machine.is_terminated:
            self._machine = self.machine_class(listeners=self._listeners)
        if self._states[source].kind == "final":
            raise self._impossible(source, event)
        machine = self._machine
        machine.current_state_value = source
        try:
            machine.send(f"e_{event.name}", judgement=judgement)
        except TransitionNotAllowed as error:
            raise self._impossible(source, event) from error
        return str(machine.current_state_value)

    def _impossible(self, source: str, event: Event) -> UsageError:
        return UsageError(
            f"{event.kind} cannot happen in state {self._states[source].name!r}",
            code="AZM-C002",
            next="see what can with `arazzo-machine plan`",
        )


def compile_class(plan: Plan, digest: str) -> type[StateChart[Any]]:
    """The python-statemachine class of a plan. State and event ids are generated; names are only shown."""
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
        f"Chart_{digest[:12]}",
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


def _steps_that_see_their_request(plan: Plan) -> frozenset[str]:
    found = set()
    for step, call in plan.calls.items():
        states = {state.id for state in plan.states if state.step == step}
        criteria = [*call.success, *(one for t in plan.transitions if t.source in states for one in t.guard.criteria)]
        used = [
            *(e for t in call.outputs.values() for e in references(t)),
            *(e for c in criteria for e in c.references()),
        ]
        if any(expression.root == "request" for expression in used):
            found.add(step)
    return frozenset(found)
