"""Document and sources -> Plan. The only place where the meaning of an Arazzo document becomes transitions.

Theory of operation
===================
A state's name says a durable fact; its effect is the next call made about it. So every reachable step has a state in
which its call is made, the *entry*. A step that heads a polling loop has a second one, entered when the loop closes,
which waits before it calls again. Ends are final states. A call that must not be repeated on a guess has a state of
doubt beside it.

What an answer does is one ordered list of transitions per state; the first whose guard holds is taken:

    1. doubt        an unsafe call whose fate is unknown: no rule of the document can be applied to an unknown answer
    2. actions      onSuccess where the success criteria held, onFailure where not; step first, then workflow
    3. wait         answers x-machine.poll.wait adds to the loop
    4. tolerance    polling only: no usable answer, a few times in a row
    5. credential   401 or 403, and no action spoke of it
    6. unmatched    the criteria held and no action applied: next, end or fail, decided here (ambiguity A1)
    7. broke        everything else (Arazzo, Step Object, onFailure: if omitted, break and return)

The last one has no guard, so the table always has an answer. Doubt is left by Resolved, which looks at the success
half of the same list; Reopened takes a stopped run up again; Cancelled stops it where it is.

Nothing here does I/O; the same document and sources always give the same table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from ..document.model import Action, Criterion, Document, Step, Workflow
from ..errors import DocumentError, UsageError
from ..expressions.criteria import CompiledCriterion
from ..sources.description import Description
from .calls import compile_criteria, compile_outputs, compile_step, declared_names, refuse_two_servers
from .extension import StepExtension, WorkflowExtension
from .flow import Flow, find_loops
from .inputs import read_inputs
from .model import CallPlan, EventName, Notice, Pace, Plan, Policy, State, Transition
from .names import assign_names
from .problems import Problems
from .table import Table

__all__ = ["build_plan"]

_ANSWER: tuple[EventName, ...] = ("replied", "call_failed")


def build_plan(
    description: Description, *, workflow: str = "", unmatched: Policy | None = None, strict: bool = False
) -> Plan:
    """Compile one workflow of a described document.

    ``workflow`` may be left out when the document has one. ``unmatched`` overrides what happens when no success
    action applies. ``strict`` turns every tolerance off. Raises DocumentError with every problem found, or UsageError
    when the choice of the workflow is not clear.
    """
    chosen = _choose(description.document, workflow)
    return _Builder(description, chosen, unmatched=unmatched, strict=strict).build()


def _choose(document: Document, workflow: str) -> Workflow:
    names = ", ".join(one.workflow_id for one in document.workflows)
    if not workflow and len(document.workflows) > 1:
        raise UsageError(
            f"{document.uri} has {len(document.workflows)} workflows",
            code="AZM-U030",
            seen=names,
            next="choose one with -w WORKFLOW",
        )
    chosen = document.workflow(workflow) if workflow else document.workflows[0]
    if chosen is None:
        raise UsageError(f"{document.uri} has no workflow {workflow!r}", code="AZM-U031", next=f"it has: {names}")
    return chosen


@dataclass(slots=True)
class _Edge:
    """A success or failure action of a step, its criteria compiled."""

    action: Action
    criteria: tuple[CompiledCriterion, ...]
    certain: bool
    """Whether it applies whenever the step succeeds, so that nothing after it can."""


class _Builder:
    """Holds what the compile rules share while one plan is made; thrown away with it."""

    def __init__(
        self,
        description: Description,
        workflow: Workflow,
        *,
        unmatched: Policy | None,
        strict: bool,
    ) -> None:
        self.description = description
        self.document = description.document
        self.workflow = workflow
        self.strict = strict
        self.override = unmatched
        self.problems = Problems()
        self.attempt = self.problems.attempt
        self.notices: list[Notice] = []
        self.table = Table()
        self.entry: dict[str, str] = {}
        self.waiting: dict[str, str] = {}
        self.doubt: dict[str, str] = {}

    # -- the whole ------------------------------------------------------------------------------------------------

    def build(self) -> Plan:
        workflow = self.workflow
        if workflow.depends_on:
            self.attempt(lambda: _refuse_dependencies(workflow))
        extension = self.attempt(lambda: WorkflowExtension.read(workflow.extension, workflow.place))
        extension = extension or WorkflowExtension()
        steps = {step.step_id: step for step in workflow.steps}
        declared = declared_names(workflow)
        calls: dict[str, CallPlan] = {}
        extensions: dict[str, StepExtension] = {}
        for step in workflow.steps:
            own = self.attempt(partial(StepExtension.read, step.extension, step.place))
            extensions[step.step_id] = own or StepExtension()
            call = self.attempt(
                partial(
                    compile_step,
                    step,
                    workflow,
                    self.description.sources,
                    declared,
                    extensions[step.step_id],
                    minor=self.document.minor,
                    strict=self.strict,
                    notices=self.notices,
                )
            )
            if call is not None:
                calls[step.step_id] = call
        success = {step.step_id: self.actions(step, "success", extension.inheritance) for step in workflow.steps}
        failure = {step.step_id: self.actions(step, "failure", extension.inheritance) for step in workflow.steps}
        outputs = self.attempt(
            lambda: compile_outputs(workflow.outputs, workflow.place, declared, self.notices, strict=self.strict)
        )
        criteria = [
            (step.place, one)
            for step in workflow.steps
            for edge in [*(success[step.step_id] or ()), *(failure[step.step_id] or ())]
            for one in edge.criteria
        ]
        inputs = self.attempt(
            lambda: read_inputs(
                workflow,
                calls,
                criteria,
                may_name_origin=partial(self.description.may_name_origin, workflow.workflow_id),
            )
        )
        self.attempt(partial(refuse_two_servers, calls))
        self.problems.report()

        flow = find_loops(list(steps), self.success_edges(success), {s for s, c in calls.items() if c.kind == "safe"})
        for step_id, call in calls.items():
            policy = self.unmatched(step_id, calls, success, flow, extension, extensions[step_id])
            poll = call.poll if step_id in flow.loop else None
            calls[step_id] = replace(call, unmatched=policy, poll=poll)
        self.make_states(calls, flow)
        for state in tuple(self.table.states):
            if state.kind == "call":
                self.answer_rules(state, calls[state.step], success[state.step], failure[state.step], flow)
        self.housekeeping(calls)
        self.table.prune()
        names = assign_names(self.table.states, self.table.transitions, {s: e.state for s, e in extensions.items()})
        phases = self.table.phases({step for step, call in calls.items() if call.unsafe})
        states = tuple(replace(one, name=names[one.id], phase=phases[one.id]) for one in self.table.states)
        used = {state.step for state in states}
        notices = [Notice(code=one.code, message=one.message, place=one.place) for one in self.description.findings]
        return Plan(
            workflow=workflow.workflow_id,
            title=workflow.summary or self.document.title,
            document=self.document.uri,
            document_sha256=self.document.sha256,
            arazzo=self.document.arazzo,
            states=states,
            transitions=tuple(self.table.transitions),
            calls={step: call for step, call in calls.items() if step in used},
            inputs=inputs or (),
            input_schema=dict(workflow.inputs),
            outputs=outputs or {},
            servers={one.source: one.server for call in calls.values() for one in call.operations},
            source_urls={source.name: source.url for source in self.document.sources},
            deadline=extension.deadline if extension.deadline is not None else 3600.0,
            call_limit=extension.calls or 10_000,
            transition_limit=extension.transitions or 10_000,
            notices=tuple(notices + self.notices + self.unreached(used)),
        )

    # -- what the document says ------------------------------------------------------------------------------------

    def actions(self, step: Step, kind: str, inheritance: str) -> list[_Edge] | None:
        """A step's actions, then those of the workflow it does not redefine by name (ambiguity A27).

        None when neither says anything: the sequential or breaking default of the Step Object applies.
        """
        own = step.on_success if kind == "success" else step.on_failure
        shared = self.workflow.success_actions if kind == "success" else self.workflow.failure_actions
        if own is not None and inheritance == "replace":
            shared = ()
        names = {action.name for action in own or ()}
        actions = [*(own or ()), *(action for action in shared if action.name not in names)]
        if not actions:
            return None
        edges: list[_Edge] = []
        for action in actions:
            edge = self.attempt(partial(self.edge, step, action))
            if edge is not None:
                edges.append(edge)
                if edge.certain and action.type != "retry":
                    break
        return edges

    def edge(self, step: Step, action: Action) -> _Edge:
        if action.workflow_id and action.type != "end":
            raise DocumentError(
                f"action {action.name!r} names a workflow, which this release does not compile",
                code="AZM-P010",
                place=action.place,
                next="name a step of the same workflow",
            )
        if action.type == "retry" and action.kind == "success":
            raise DocumentError(
                f"action {action.name!r} retries on success, which this release does not compile",
                code="AZM-P018",
                place=action.place,
                next=f"write a goto to {step.step_id} with the same criteria",
            )
        if action.type == "retry" and action.step_id not in ("", step.step_id):
            raise DocumentError(
                f"action {action.name!r} retries through another step, which this release does not compile",
                code="AZM-P011",
                place=action.place,
                next="retry the step itself",
            )
        criteria = compile_criteria(action.criteria, self.document.minor, self.notices, strict=self.strict)
        # An action whose criteria all stand among the step's success criteria applies on every success, so "nothing
        # matched" cannot happen behind it.
        sure = {_wording(one) for one in step.success_criteria} if action.kind == "success" else set()
        return _Edge(action=action, criteria=criteria, certain=all(_wording(one) in sure for one in action.criteria))

    def success_edges(self, success: Mapping[str, list[_Edge] | None]) -> dict[str, set[str]]:
        order = [step.step_id for step in self.workflow.steps]
        edges: dict[str, set[str]] = {}
        for number, step in enumerate(order):
            actions = success[step]
            if actions is None:
                edges[step] = set(order[number + 1 : number + 2])
            else:
                edges[step] = {edge.action.step_id for edge in actions if edge.action.type == "goto"}
        return edges

    def unmatched(
        self,
        step: str,
        calls: Mapping[str, CallPlan],
        success: Mapping[str, list[_Edge] | None],
        flow: Flow,
        extension: WorkflowExtension,
        own: StepExtension,
    ) -> Policy:
        """What happens when the step succeeded and none of its success actions applied (ambiguity A1)."""
        chosen = self.override or own.unmatched or extension.unmatched
        if chosen:
            return chosen
        actions = success[step]
        following = self.following(step)
        if actions is None:
            return "next"
        if step in flow.loop:
            loops = all(
                edge.action.type == "goto" and flow.loop.get(edge.action.step_id) == flow.loop[step] for edge in actions
            )
            return "next" if loops else "fail"
        return "next" if following and calls[following].kind == "safe" else "fail"

    def following(self, step: str) -> str:
        order = [one.step_id for one in self.workflow.steps]
        return next(iter(order[order.index(step) + 1 :]), "")

    # -- states ----------------------------------------------------------------------------------------------------

    def make_states(self, calls: Mapping[str, CallPlan], flow: Flow) -> None:
        for step in calls:
            self.entry[step] = self.table.state("call", step=step)
            if step in flow.heads:
                self.waiting[step] = self.table.state("call", step=step, polls=True)
        for step, call in calls.items():
            if call.unsafe:
                self.doubt[step] = self.table.state("doubt", step=step, of=self.entry[step])

    def goto(self, source: str, target: str, flow: Flow) -> tuple[str, Pace]:
        """Where a step leads: a loop that closes leads to the waiting state, and every way back is paced."""
        if flow.closes(source, target):
            return self.waiting[target], "poll"
        back = flow.order.index(target) <= flow.order.index(source)
        return self.entry[target], "poll" if back else "now"

    # -- transitions -----------------------------------------------------------------------------------------------

    def answer_rules(
        self,
        state: State,
        call: CallPlan,
        success: list[_Edge] | None,
        failure: list[_Edge] | None,
        flow: Flow,
    ) -> None:
        """The ordered list of the module's theory, for one state that makes a call."""
        here = state.id
        if call.unsafe:
            self.doubt_rules(here, self.doubt[call.step], call)
        certain = self.success_rules(here, call, success, flow)
        for edge in failure or ():
            self.failure_rule(here, call, edge, flow)
        if call.poll is not None:
            if call.poll.wait:
                self.table.edge(here, here, _ANSWER, "wait", "wait", criteria=call.poll.wait, pace="poll")
            if not self.strict:
                self.table.edge(here, here, _ANSWER, "tolerated", "tolerance", "troubled", pace="poll")
                self.table.edge(here, here, _ANSWER, "tolerance used up", "tolerance", "spent", stop="tolerance")
        self.table.edge(here, here, _ANSWER, "credential refused", "credential", "!held", "refused", stop="credential")
        if not certain:
            self.unmatched_rule(here, call, flow)
        self.table.edge(here, self.table.end("failed", "failed"), _ANSWER, "broke", "broke", stop="broke")

    def doubt_rules(self, here: str, doubt: str, call: CallPlan) -> None:
        """How doubt about an unsafe call is entered, by the policy that is in force when it arises."""
        effect = call.effect
        if effect.probe is not None:
            self.table.edge(here, here, _ANSWER, "looked before", "look", "looking", pace="now")
            self.table.edge(here, doubt, _ANSWER, "conflict", "doubt", "conflict", pace="probe")
        if effect.key is not None:
            self.table.edge(here, here, _ANSWER, "send again", "reissue", "doubtful", "reissues", pace="poll")
        if effect.probe is not None:
            self.table.edge(here, doubt, _ANSWER, "in doubt", "doubt", "doubtful", "probes", pace="probe")
        self.table.edge(here, doubt, _ANSWER, "in doubt", "doubt", "doubtful", "!fails", stop="in_doubt")

    def probe_rules(self, doubt: str, here: str, mirrored: list[Transition]) -> None:
        """What the answer of a probe does: adopt what is ours, send again what is not there, hold everything else."""
        for one in mirrored:
            self.table.copy(one, source=doubt, on=_ANSWER, facts=("found", "matches", "ours"))
        failed = self.table.end("failed", "failed")
        self.table.edge(doubt, failed, _ANSWER, "broke", "probe", "found", "theirs", stop="broke")
        self.table.edge(doubt, failed, _ANSWER, "broke", "probe", "absent", "theirs", stop="broke")
        self.table.edge(doubt, here, _ANSWER, "not there", "absent", "absent", "settled", pace="now")
        self.table.edge(doubt, doubt, _ANSWER, "still in doubt", "probe", "absent", "clashed", stop="in_doubt")
        self.table.edge(doubt, doubt, _ANSWER, "not there yet", "probe", "absent", pace="probe")
        if not self.strict:
            self.table.edge(doubt, doubt, _ANSWER, "tolerated", "tolerance", "troubled", pace="probe")
            self.table.edge(doubt, doubt, _ANSWER, "tolerance used up", "tolerance", "spent", stop="in_doubt")
        self.table.edge(doubt, doubt, _ANSWER, "credential refused", "credential", "refused", stop="credential")
        self.table.edge(doubt, doubt, _ANSWER, "still in doubt", "probe", stop="in_doubt")

    def success_rules(self, here: str, call: CallPlan, success: list[_Edge] | None, flow: Flow) -> bool:
        """The success half of the list. True when one of it always applies, so that nothing can stay unmatched."""
        if success is None:
            self.onwards(here, call.step, flow, "next")
            return True
        for edge in success:
            action = edge.action
            if action.type == "end":
                end = self.table.end(action.name, "ready")
                self.table.edge(here, end, _ANSWER, action.name, "action", "held", criteria=edge.criteria, stop="ended")
            else:
                target, pace = self.goto(call.step, action.step_id, flow)
                self.table.edge(here, target, _ANSWER, action.name, "action", "held", criteria=edge.criteria, pace=pace)
        return success[-1].certain

    def failure_rule(self, here: str, call: CallPlan, edge: _Edge, flow: Flow) -> None:
        action, step = edge.action, call.step
        if action.type == "end":
            target = self.table.end(action.name, "failed")
            self.table.edge(
                here,
                target,
                _ANSWER,
                action.name,
                "action",
                "!held",
                criteria=edge.criteria,
                stop="failure_action",
            )
        elif action.type == "goto":
            target, pace = self.goto(step, action.step_id, flow)
            self.table.edge(here, target, _ANSWER, action.name, "action", "!held", criteria=edge.criteria, pace=pace)
        else:
            # Failure Action Object: without retryLimit a single retry is attempted; the limit counts retries, not the
            # first try (ambiguities A13, A15), and must be used up before later actions are looked at.
            limit = 1 if action.retry_limit is None else action.retry_limit
            after = 1.0 if action.retry_after is None else action.retry_after
            self.table.edge(
                here,
                here,
                _ANSWER,
                action.name,
                "action",
                "!held",
                "retries",
                # A create that was applied is never made again, whatever else the step asks of its answer.
                *(("unapplied",) if call.unsafe else ()),
                criteria=edge.criteria,
                pace="retry",
                retry_after=after,
                retry_limit=limit,
            )

    def unmatched_rule(self, here: str, call: CallPlan, flow: Flow) -> None:
        if call.unmatched == "fail":
            failed = self.table.end("failed", "failed")
            self.table.edge(here, failed, _ANSWER, "unmatched", "unmatched", "held", stop="unmatched")
        elif call.unmatched == "end":
            done = self.table.end("completed", "ready")
            self.table.edge(here, done, _ANSWER, "unmatched", "unmatched", "held", stop="completed")
        else:
            self.onwards(here, call.step, flow, "unmatched")

    def onwards(self, here: str, step: str, flow: Flow, rule: str) -> None:
        """The next sequential step, or the implicit end behind the last one."""
        following = self.following(step)
        if following:
            target, pace = self.goto(step, following, flow)
            self.table.edge(here, target, _ANSWER, rule, rule, "held", pace=pace)
        else:
            label = "completed" if rule == "next" else rule
            self.table.edge(here, self.table.end("completed", "ready"), _ANSWER, label, rule, "held", stop="completed")

    def housekeeping(self, calls: Mapping[str, CallPlan]) -> None:
        """What every state can do besides judging an answer: begin, be settled, be taken up again, be cancelled."""
        first = self.table.states[0].id
        self.table.edge(first, first, ("started",), "start", "start", pace="now")
        for step, doubt in self.doubt.items():
            here = self.entry[step]
            mirrored = [
                one
                for one in self.table.transitions
                if one.source == here and one.on == _ANSWER and "held" in one.guard.facts
            ]
            probes = calls[step].effect.probe is not None
            if probes:
                self.probe_rules(doubt, here, mirrored)
            for source in (here, doubt):
                self.table.edge(source, here, ("resolved",), "not sent", "settle", "not_sent", pace="now")
                self.table.edge(source, here, ("resolved",), "send again", "settle", "reissue", pace="now")
                for one in mirrored:
                    self.table.copy(one, source=source, on=("resolved",), facts=("adopted",))
                self.table.edge(source, doubt, ("resolved",), "still in doubt", "settle", stop="in_doubt")
            if probes:
                self.table.edge(here, doubt, ("reopened",), "in doubt", "reopen", "applied", "probes", pace="probe")
                self.table.edge(doubt, doubt, ("reopened",), "look again", "reopen", "probes", pace="probe")
            self.table.edge(here, doubt, ("reopened",), "in doubt", "reopen", "applied", stop="in_doubt")
            self.table.edge(doubt, doubt, ("reopened",), "still in doubt", "reopen", stop="in_doubt")
        for state in self.table.states:
            if state.kind == "call":
                self.table.edge(state.id, state.id, ("reopened",), "look again", "reopen", pace="now")
            if state.kind != "final":
                self.table.edge(state.id, state.id, ("cancelled",), "cancelled", "cancel", stop="cancelled")

    def unreached(self, used: set[str]) -> list[Notice]:
        return [
            Notice(code="AZM-P020", message=f"step {step.step_id!r} can never be reached", place=step.place)
            for step in self.workflow.steps
            if step.step_id not in used
        ]


def _refuse_dependencies(workflow: Workflow) -> None:
    raise DocumentError(
        f"workflow {workflow.workflow_id!r} has dependsOn, which this release does not compile",
        code="AZM-P015",
        place=workflow.place,
        seen=", ".join(workflow.depends_on),
        next="run those workflows first",
    )


def _wording(criterion: Criterion) -> tuple[str, str, str | None]:
    return criterion.type, criterion.condition.strip(), criterion.context
