"""The state table while it is being written: states and transitions are added, then it is pruned and numbered.

``plan/rules.py`` says what the rows mean; this file only keeps them in order and answers questions about them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from ..expressions.criteria import CompiledCriterion
from .model import EventName, Guard, Pace, Phase, State, Transition

__all__ = ["ANSWER", "Table"]

ANSWER: tuple[EventName, ...] = ("replied", "call_failed")
"""What comes of a call."""


class Table:
    """States and transitions in the order they were added; ids are provisional until :meth:`prune`."""

    def __init__(self) -> None:
        self.states: list[State] = []
        self.transitions: list[Transition] = []
        self._ends: dict[tuple[str, Phase], str] = {}

    def state(
        self,
        kind: Literal["call", "doubt", "final", "workflow"],
        *,
        name: str = "",
        phase: Phase = "starting",
        step: str = "",
        child: str = "",
        polls: bool = False,
        of: str = "",
    ) -> str:
        """Add a state and return its id. Phases of other than final states, and names not given here, are decided at
        the end."""
        key = f"s_{len(self.states)}"
        self.states.append(State(id=key, name=name, phase=phase, kind=kind, step=step, child=child, polls=polls, of=of))
        return key

    def end(self, name: str, phase: Phase) -> str:
        """The final state of that name and outcome, made when first asked for."""
        if (name, phase) not in self._ends:
            self._ends[name, phase] = self.state("final", name=name, phase=phase)
        return self._ends[name, phase]

    def edge(
        self,
        source: str,
        target: str,
        on: tuple[EventName, ...],
        label: str,
        rule: str,
        *facts: str,
        criteria: tuple[CompiledCriterion, ...] = (),
        pace: Pace = "none",
        stop: str = "",
        retry_after: float = 0.0,
        retry_limit: int = 0,
    ) -> None:
        """Add a transition behind those already there: among one source's, order is precedence."""
        self.transitions.append(
            Transition(
                id=f"t_{len(self.transitions)}",
                source=source,
                target=target,
                on=on,
                label=label,
                rule=rule,
                guard=Guard(facts=facts, criteria=criteria),
                pace=pace,
                stop=stop,
                retry_after=retry_after,
                retry_limit=retry_limit,
            )
        )

    def copy(self, one: Transition, *, source: str, on: tuple[EventName, ...], facts: tuple[str, ...]) -> None:
        """Add the same move out of another state or on another event, under further facts."""
        guard = Guard(facts=(*facts, *one.guard.facts), criteria=one.guard.criteria)
        self.transitions.append(replace(one, id=f"t_{len(self.transitions)}", source=source, on=on, guard=guard))

    def prune(self, *, states: int = 0, transitions: int = 0) -> None:
        """Drop what cannot be reached from the first state and give the rest its final ids, in table order, counted on
        from the number of those that other tables have."""
        reached = {self.states[0].id}
        while new := {one.target for one in self.transitions if one.source in reached} - reached:
            reached |= new
        kept = [state for state in self.states if state.id in reached]
        ids = {state.id: f"s_{number}" for number, state in enumerate(kept, start=states)}
        order = {state_id: number for number, state_id in enumerate(ids)}
        self.states = [replace(one, id=ids[one.id], of=ids[one.of] if one.of else "") for one in kept]
        edges = sorted((one for one in self.transitions if one.source in reached), key=lambda one: order[one.source])
        self.transitions = [
            replace(one, id=f"t_{number}", source=ids[one.source], target=ids[one.target])
            for number, one in enumerate(edges, start=transitions)
        ]

    def phases(self, may_apply: Callable[[State], bool]) -> dict[str, Phase]:
        """State id to phase: ``starting`` until an unsafe call other than the state's own may have been applied.

        ``may_apply`` says of a state whether one is made in it.
        """
        unsafe = {state.id for state in self.states if may_apply(state)}
        doubt = {state.id for state in self.states if state.kind == "doubt"}
        touched = set(doubt)
        while (
            new := {
                one.target
                for one in self.transitions
                if one.source in (touched - doubt) | unsafe and one.source != one.target
            }
            - touched
        ):
            touched |= new
        phases: dict[str, Phase] = {}
        for state in self.states:
            if state.kind == "final":
                phases[state.id] = state.phase
            elif state.polls:
                phases[state.id] = "polling"
            else:
                phases[state.id] = "created" if state.id in touched else "starting"
        return phases
