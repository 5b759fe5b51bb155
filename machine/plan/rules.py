"""A Draft -> its state table: the only place where the meaning of an Arazzo workflow becomes transitions.

Theory of operation
===================
A state's name says a durable fact; its effect is the next call made about it, or the workflow that is run. So every
reachable step has a state in which that is done, the *entry*. A step that heads a polling loop has a second one,
entered when the loop closes, which waits before it does it again. Ends are final states. A call that must not be
repeated on a guess has a state of doubt beside it (``plan/settling.py``).

Three more kinds of states run a workflow: one for each dependency, before the first step; one for each action that
transfers to a workflow, which is never come back from; one for each action that repairs something before a retry, which
leads back to the step that failed whatever came of it.

What an answer does is one ordered list of transitions per state; the first whose guard holds is taken:

    1. doubt        an unsafe call whose fate is unknown: no rule of the document can be applied to an unknown answer
    2. actions      onSuccess where the success criteria held, onFailure where not; step first, then workflow
    3. wait         answers x-machine.poll.wait adds to the loop
    4. tolerance    polling only: no usable answer, a few times in a row
    5. credential   401 or 403, and no action spoke of it
    6. unmatched    the criteria held and no action applied: next, end or fail, decided here (ambiguity A1)
    7. broke        everything else (Arazzo, Step Object, onFailure: if omitted, break and return)

The last one has no guard, so the table always has an answer. The end of a workflow that a step ran is judged by the
same list, without doubt and credentials: those belong to the call they are about.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from ..expressions.criteria import CompiledCriterion
from .draft import Draft, Edge
from .flow import Flow, find_loops
from .model import CallPlan, ChildPlan, EventName, Notice, Pace, Policy, State, Transition
from .names import assign_names
from .settling import doubt_rules, settle
from .table import ANSWER, Table

__all__ = ["Written", "write_table"]

Does = TypeVar("Does", CallPlan, ChildPlan)

_RETURN: tuple[EventName, ...] = ("returned",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The table of one workflow, ids counted on from those of the tables before it."""

    states: tuple[State, ...]
    transitions: tuple[Transition, ...]
    calls: Mapping[str, CallPlan]
    children: Mapping[str, ChildPlan]
    unreached: tuple[Notice, ...]


def write_table(
    draft: Draft,
    *,
    safe: Collection[str],
    unsafe: Collection[str],
    returning: Collection[str],
    override: Policy | None,
    strict: bool,
    states: int,
    transitions: int,
) -> Written:
    """The table of a workflow.

    ``safe``: the keys of workflows that make only safe calls; ``unsafe``: of those that make calls which must not be
    repeated on a guess. ``returning``: of those whose transfers may lead back here. ``override`` wins over what the
    document says about unmatched answers. ``states`` and ``transitions`` count those that have ids already.
    """
    writer = _Writer(draft, safe=safe, unsafe=unsafe, returning=returning, override=override, strict=strict)
    return writer.write(states=states, transitions=transitions)


class _Writer:
    """Holds what the rules share while one table is written; thrown away with it."""

    def __init__(
        self,
        draft: Draft,
        *,
        safe: Collection[str],
        unsafe: Collection[str],
        returning: Collection[str],
        override: Policy | None,
        strict: bool,
    ) -> None:
        self.draft = draft
        self.unsafe = unsafe
        self.override = override
        self.strict = strict
        self.returning = returning
        self.safe = {step for step, call in draft.calls.items() if call.kind == "safe"}
        self.safe |= {step for step, child in draft.runs.items() if child.workflow in safe}
        self.flow: Flow = find_loops(draft.order, draft.successors(), self.safe)
        self.calls = {step: self.settled(step, call) for step, call in draft.calls.items()}
        self.runs = {step: self.settled(step, child) for step, child in draft.runs.items()}
        self.table = Table()
        self.children: dict[str, ChildPlan] = {}
        self.entry: dict[str, str] = {}
        self.waiting: dict[str, str] = {}
        self.doubts: dict[str, str] = {}
        self.transfers: dict[int, str] = {}

    def write(self, *, states: int, transitions: int) -> Written:
        self.make_states()
        self.dependency_rules()
        for step in self.draft.order:
            for here in (self.entry[step], self.waiting.get(step)):
                if here is not None:
                    self.answer_rules(here, step)
        table, first = self.table, self.table.states[0].id
        table.edge(first, first, ("started",), "start", "start", pace="now")
        settle(table, self.calls, self.doubts, strict=self.strict)
        self.housekeeping()
        table.prune(states=states, transitions=transitions)
        names = assign_names(
            table.states, table.transitions, {step: one.state for step, one in self.draft.extensions.items()}
        )
        phases = table.phases(self.may_apply)
        used = {state.step for state in table.states}
        kept = {state.child for state in table.states}
        return Written(
            states=tuple(replace(one, name=names[one.id], phase=phases[one.id]) for one in table.states),
            transitions=tuple(table.transitions),
            calls={step: call for step, call in self.calls.items() if step in used},
            children={key: child for key, child in self.children.items() if key in kept},
            unreached=tuple(
                Notice(code="AZM-P020", message=f"step {step.step_id!r} can never be reached", place=step.place)
                for step in self.draft.site.workflow.steps
                if step.step_id not in used
            ),
        )

    # -- what is settled before any row ----------------------------------------------------------------------------

    def settled(self, step: str, does: Does) -> Does:
        """What a step does, with what only its neighbours decide: whether it polls, and what unmatched means."""
        poll = does.poll if step in self.flow.loop else None
        return replace(does, unmatched=self.unmatched(step), poll=poll)

    def unmatched(self, step: str) -> Policy:
        """What happens when the step succeeded and none of its success actions applied (ambiguity A1)."""
        own = self.draft.extensions[step].unmatched
        chosen = self.override or own or self.draft.extension.unmatched
        if chosen:
            return chosen
        actions = self.draft.success[step]
        if actions is None:
            return "next"
        loop = self.flow.loop
        if step in loop:
            inside = all(
                edge.action.type == "retry"
                or (edge.action.type == "goto" and loop.get(edge.action.step_id) == loop[step])
                for edge in actions
            )
            return "next" if inside else "fail"
        following = self.following(step)
        return "next" if following and following in self.safe else "fail"

    def following(self, step: str) -> str:
        order = self.draft.order
        return next(iter(order[order.index(step) + 1 :]), "")

    def may_apply(self, state: State) -> bool:
        """Whether something that must not be repeated may be done in the state."""
        if state.kind == "workflow":
            return self.children[state.child].workflow in self.unsafe
        return state.kind == "call" and self.calls[state.step].unsafe

    # -- states ----------------------------------------------------------------------------------------------------

    def make_states(self) -> None:
        """The order is that of a run: dependencies, then the steps; so the first state is the initial one."""
        for child in self.draft.dependencies:
            self.child_state(child, name=child.workflow)
        for step in self.draft.order:
            self.entry[step] = self.step_state(step)
            if step in self.flow.heads:
                self.waiting[step] = self.step_state(step, polls=True)
        for step, call in self.calls.items():
            if call.unsafe:
                self.doubts[self.entry[step]] = self.table.state("doubt", step=step, of=self.entry[step])

    def step_state(self, step: str, *, polls: bool = False, name: str = "") -> str:
        """A state that does what the step does."""
        if step in self.runs:
            return self.child_state(self.runs[step], name=name, polls=polls)
        return self.table.state("call", step=step, polls=polls, name=name)

    def child_state(self, child: ChildPlan, *, name: str = "", polls: bool = False) -> str:
        key = next((key for key, known in self.children.items() if known is child), f"c_{len(self.children)}")
        self.children[key] = child
        return self.table.state("workflow", step=child.step, child=key, polls=polls, name=name)

    def goto(self, source: str, target: str) -> tuple[str, Pace]:
        """Where a step leads: a loop that closes leads to the waiting state, and every way back is paced."""
        if self.flow.closes(source, target) and target in self.waiting:
            # Only the head of a loop waits; a failure can lead back to any step of it.
            return self.waiting[target], "poll"
        order = self.flow.order
        return self.entry[target], "poll" if order.index(target) <= order.index(source) else "now"

    def going(self, step: str, edge: Edge) -> tuple[str, Pace]:
        """Where a goto leads: to a step, or to a workflow that takes this one's place (ambiguity A21)."""
        if edge.child is None:
            return self.goto(step, edge.action.step_id)
        key = id(edge.action)
        if key not in self.transfers:
            self.transfers[key] = self.child_state(edge.child, name=edge.action.name)
            # Nothing comes back from it, except that it cannot begin.
            self.table.edge(self.transfers[key], self.failed(), _RETURN, "broke", "broke", stop="broke")
        return self.transfers[key], "poll" if edge.child.workflow in self.returning else "now"

    # -- transitions -----------------------------------------------------------------------------------------------

    def dependency_rules(self) -> None:
        """Workflow Object, dependsOn: one after the other; where one fails nothing of this workflow is done."""
        states = [state.id for state in self.table.states[: len(self.draft.dependencies)]]
        targets = [*states[1:], self.entry[self.draft.order[0]]]
        for here, target in zip(states, targets, strict=False):
            self.table.edge(here, target, _RETURN, "completed before", "next", "held", pace="now")
            self.table.edge(here, self.failed(), _RETURN, "broke", "broke", stop="broke")

    def answer_rules(self, here: str, step: str) -> None:
        """The ordered list of the module's theory, for one state in which a step does what it does."""
        call, does = self.calls.get(step), self.calls.get(step) or self.runs[step]
        on = _RETURN if call is None else ANSWER
        if call is not None and call.unsafe:
            doubt_rules(self.table, here, self.doubts[here], call)
        certain = self.success_rules(here, step, on)
        for edge in self.draft.failure[step] or ():
            self.failure_rule(here, step, edge, on)
        if does.poll is not None:
            if does.poll.wait:
                self.table.edge(here, here, on, "wait", "wait", criteria=does.poll.wait, pace="poll")
            if not self.strict:
                self.table.edge(here, here, on, "tolerated", "tolerance", "troubled", pace="poll")
                self.table.edge(here, here, on, "tolerance used up", "tolerance", "spent", stop="tolerance")
        if call is not None:
            self.table.edge(here, here, on, "credential refused", "credential", "!held", "refused", stop="credential")
        if not certain:
            self.unmatched_rule(here, step, does.unmatched, on)
        self.table.edge(here, self.failed(), on, "broke", "broke", stop="broke")

    def failed(self) -> str:
        return self.table.end("failed", "failed")

    def success_rules(self, here: str, step: str, on: tuple[EventName, ...]) -> bool:
        """The success half of the list. True when one of it always applies, so that nothing can stay unmatched."""
        success = self.draft.success[step]
        if success is None:
            self.onwards(here, step, "next", on)
            return True
        for edge in success:
            action = edge.action
            if action.type == "end":
                end = self.table.end(action.name, "ready")
                self.table.edge(here, end, on, action.name, "action", "held", criteria=edge.criteria, stop="ended")
            elif action.type == "retry":
                self.retry(here, here, edge, on, "held", *self.careful(step))
            else:
                target, pace = self.going(step, edge)
                self.table.edge(here, target, on, action.name, "action", "held", criteria=edge.criteria, pace=pace)
        for edge in success:
            if edge.action.type == "retry":
                # A loop whose limit is used up goes on behind it: "wait, then cancel" is written so (ambiguity A19).
                self.onwards(here, step, "used up", on, edge.criteria)
        return success[-1].certain and success[-1].action.type != "retry"

    def failure_rule(self, here: str, step: str, edge: Edge, on: tuple[EventName, ...]) -> None:
        action = edge.action
        if action.type == "end":
            end = self.table.end(action.name, "failed")
            self.table.edge(
                here, end, on, action.name, "action", "!held", criteria=edge.criteria, stop="failure_action"
            )
        elif action.type == "goto":
            target, pace = self.going(step, edge)
            self.table.edge(here, target, on, action.name, "action", "!held", criteria=edge.criteria, pace=pace)
        else:
            repair, call = self.repair(here, step, edge), self.calls.get(step)
            if repair != here and call is not None and call.unsafe:
                # A retry of what may have been applied is held; then nothing is done to prepare for it either.
                self.table.edge(
                    here,
                    here,
                    on,
                    f"{action.name} held",
                    "hold",
                    "!held",
                    "unknown",
                    criteria=edge.criteria,
                    stop="in_doubt",
                )
            self.retry(here, repair, edge, on, "!held", *self.careful(step))

    def careful(self, step: str) -> tuple[str, ...]:
        """What was applied is never done again by a retry, whatever else the step asks of its answer."""
        child = self.runs.get(step)
        unsafe = child.workflow in self.unsafe if child is not None else self.calls[step].unsafe
        return ("unapplied",) if unsafe else ()

    def retry(self, here: str, target: str, edge: Edge, on: tuple[EventName, ...], *facts: str) -> None:
        """Failure Action Object: without retryLimit a single retry is attempted; the limit counts retries, not the
        first try (ambiguities A13, A15), and must be used up before later actions are looked at."""
        action = edge.action
        held, *others = facts
        self.table.edge(
            here,
            target,
            on,
            action.name,
            "action",
            held,
            "retries",
            *others,
            criteria=edge.criteria,
            pace="retry" if target == here else "now",
            retry_after=1.0 if action.retry_after is None else action.retry_after,
            retry_limit=1 if action.retry_limit is None else action.retry_limit,
        )

    def repair(self, here: str, step: str, edge: Edge) -> str:
        """Failure Action Object, retry: a step or workflow it names is run first, then the step is retried.

        What comes of it changes nothing but the outputs and is only recorded (ambiguity A18). A step that names itself
        is plainly retried (A17).
        """
        action = edge.action
        if edge.child is None and action.step_id in ("", step):
            return here
        name = f"{action.name} for {step}"
        if edge.child is not None:
            state, call = self.child_state(edge.child, name=name), None
        else:
            state, call = self.step_state(action.step_id, name=name), self.calls.get(action.step_id)
        on = _RETURN if call is None else ANSWER
        if call is not None and call.unsafe:
            self.doubts[state] = self.table.state("doubt", name=f"in_doubt {name}", step=call.step, of=state)
            doubt_rules(self.table, state, self.doubts[state], call)
        self.table.edge(state, here, on, "repaired", "repair", "held", pace="retry")
        self.table.edge(state, here, on, "not repaired", "repair", pace="retry")
        return state

    def unmatched_rule(self, here: str, step: str, policy: Policy, on: tuple[EventName, ...]) -> None:
        if policy == "fail":
            self.table.edge(here, self.failed(), on, "unmatched", "unmatched", "held", stop="unmatched")
        elif policy == "end":
            done = self.table.end("completed", "ready")
            self.table.edge(here, done, on, "unmatched", "unmatched", "held", stop="completed")
        else:
            self.onwards(here, step, "unmatched", on)

    def onwards(
        self,
        here: str,
        step: str,
        rule: str,
        on: tuple[EventName, ...],
        criteria: tuple[CompiledCriterion, ...] = (),
    ) -> None:
        """The next sequential step, or the implicit end behind the last one."""
        following = self.following(step)
        if following:
            target, pace = self.goto(step, following)
            self.table.edge(here, target, on, rule, rule, "held", criteria=criteria, pace=pace)
        else:
            label, end = "completed" if rule == "next" else rule, self.table.end("completed", "ready")
            self.table.edge(here, end, on, label, rule, "held", criteria=criteria, stop="completed")

    def housekeeping(self) -> None:
        """What every state can do besides judging an answer: be taken up again, be cancelled."""
        for state in self.table.states:
            if state.kind in ("call", "workflow"):
                self.table.edge(state.id, state.id, ("reopened",), "look again", "reopen", pace="now")
            if state.kind != "final":
                self.table.edge(state.id, state.id, ("cancelled",), "cancelled", "cancel", stop="cancelled")
