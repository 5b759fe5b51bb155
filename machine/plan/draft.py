"""One workflow of a document -> a Draft: everything it says, compiled piece by piece, before any of it is a table.

A table needs to know more than its own workflow: whether what a step runs is safe to repeat, which inputs hold secrets
somewhere else. So all workflows a run can reach are drafted first (``plan/build.py``), then written as tables
(``plan/rules.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from ..document.model import Action, Criterion, Step
from ..errors import DocumentError, Place
from ..expressions.criteria import CompiledCriterion
from ..expressions.template import Template, references
from .calls import compile_step, parameters_of
from .children import action_child, dependency_child, step_child
from .extension import StepExtension, WorkflowExtension
from .model import CallPlan, ChildPlan, Notice
from .order import find_cycle, reaches, sort_steps
from .problems import Problems
from .reader import Reader, reader_of
from .sight import Moment
from .sites import sites_of
from .steps import Need
from .workflows import Directory, Site

__all__ = ["Draft", "Edge", "draft_workflow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A success or failure action of a step, its criteria compiled."""

    action: Action
    criteria: tuple[CompiledCriterion, ...]
    certain: bool
    """Whether it applies whenever the step succeeds, so that nothing after it can."""
    child: ChildPlan | None = None
    """The workflow it names."""


@dataclass(slots=True, kw_only=True)
class Draft:
    """What one workflow says."""

    site: Site
    extension: WorkflowExtension = field(default_factory=WorkflowExtension)
    extensions: dict[str, StepExtension] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    """The steps as they follow each other."""
    calls: dict[str, CallPlan] = field(default_factory=dict)
    runs: dict[str, ChildPlan] = field(default_factory=dict)
    """By step: the steps that run a workflow."""
    dependencies: tuple[ChildPlan, ...] = ()
    success: dict[str, list[Edge] | None] = field(default_factory=dict)
    """By step; None where nothing is said and the default of the Step Object applies."""
    failure: dict[str, list[Edge] | None] = field(default_factory=dict)
    outputs: dict[str, Template] = field(default_factory=dict)
    notices: dict[Notice, None] = field(default_factory=dict)
    callees: dict[str, Site] = field(default_factory=dict)
    """By key: every workflow it names."""

    @property
    def children(self) -> list[ChildPlan]:
        """Every workflow it may run, with what it gets."""
        edges = [edge for kind in (self.success, self.failure) for found in kind.values() for edge in found or ()]
        return [*self.dependencies, *self.runs.values(), *(edge.child for edge in edges if edge.child is not None)]

    @property
    def criteria(self) -> list[CompiledCriterion]:
        """Every condition that is no call's own: those of its actions, and of its steps that run workflows."""
        found = [
            criterion
            for one in self.runs.values()
            for criterion in (*one.success, *(one.poll.wait if one.poll else ()))
        ]
        for step in self.site.workflow.steps:
            edges = [*(self.success.get(step.step_id) or ()), *(self.failure.get(step.step_id) or ())]
            found += [criterion for edge in edges for criterion in edge.criteria]
        return found

    def successors(self) -> dict[str, set[str]]:
        """By step, those that may follow it when it succeeded."""
        edges: dict[str, set[str]] = {}
        for number, step in enumerate(self.order):
            actions = self.success[step]
            if actions is None:
                edges[step] = set(self.order[number + 1 : number + 2])
            else:
                # A retry of what succeeded is a loop (tolerance C8).
                again = {step for edge in actions if edge.action.type == "retry"}
                edges[step] = again | {edge.action.step_id for edge in actions if edge.action.type == "goto"} - {""}
        return edges


def draft_workflow(site: Site, directory: Directory, problems: Problems, *, strict: bool) -> Draft:
    """Compile what a workflow says. What cannot be read goes to ``problems``; its place in the draft stays empty."""
    return _Drafter(site, directory, problems, strict=strict).draft()


class _Drafter:
    """Holds what the pieces share while one draft is made; thrown away with it."""

    def __init__(self, site: Site, directory: Directory, problems: Problems, *, strict: bool) -> None:
        self.site = site
        self.directory = directory
        self.workflow = site.workflow
        self.minor = site.description.document.minor
        self.strict = strict
        self.problems = problems
        self.attempt = problems.attempt
        self.made = Draft(site=site)
        self.notices = self.made.notices
        self.inside = site.description.document.inside
        self.reader = self.read({})
        self.ran: dict[str, Site] = {}
        """By step: the workflows that steps run."""

    def read(self, returned: Mapping[str, frozenset[str]]) -> Reader:
        site = self.site
        return reader_of(site.description, site.workflow, returned, strict=self.strict, notices=self.notices)

    def draft(self) -> Draft:
        made, workflow = self.made, self.workflow
        place = self.inside(workflow.place, "x-machine")
        made.extension = self.attempt(lambda: WorkflowExtension.read(workflow.extension, place)) or made.extension
        made.dependencies = self.problems.each(
            partial(self.dependency, name, self.inside(workflow.place, "dependsOn", number))
            for number, name in enumerate(workflow.depends_on)
        )
        callees = {
            step.step_id: self.attempt(partial(self.callee, step.workflow_id, self.inside(step.place, "workflowId")))
            for step in workflow.steps
            if step.workflow_id
        }
        self.ran = {step: one for step, one in callees.items() if one is not None}
        self.reader = self.read({step: frozenset(one.workflow.outputs) for step, one in self.ran.items()})
        for step in workflow.steps:
            place = self.inside(step.place, "x-machine")
            own = self.attempt(partial(StepExtension.read, step.extension, place)) or StepExtension()
            made.extensions[step.step_id] = own
            if not step.workflow_id:
                self.call(step, own)
            elif step.step_id in self.ran:
                self.run(step, self.ran[step.step_id], own)
            self.attempt(partial(self.needs, step))
        for step in workflow.steps:
            made.success[step.step_id] = self.actions(step, "success")
            made.failure[step.step_id] = self.actions(step, "failure")
        made.outputs = self.attempt(lambda: self.reader.outputs(workflow.outputs, workflow.place, "end")) or {}
        self.attempt(self.sort)
        return made

    def dependency(self, reference: str, place: Place) -> ChildPlan:
        return dependency_child(self.callee(reference, place), place)

    def callee(self, reference: str, place: Place) -> Site:
        """The workflow that is meant. Raises DocumentError, in a strict reading also for one that is not named as the
        specification has it."""
        found, odd = self.directory.find(self.site, reference, place)
        if odd:
            self.reader.tolerated([("C6", odd)], place)
        self.made.callees[found.key] = found
        return found

    def call(self, step: Step, extension: StepExtension) -> None:
        sources = self.site.description.sources
        call = self.attempt(partial(compile_step, step, self.workflow, sources, self.reader, extension))
        if call is not None:
            self.made.calls[step.step_id] = call

    def run(self, step: Step, callee: Site, extension: StepExtension) -> None:
        child = self.attempt(partial(step_child, step, self.site, callee, self.reader, extension))
        if child is not None:
            self.made.runs[step.step_id] = child

    # -- actions ---------------------------------------------------------------------------------------------------

    def actions(self, step: Step, kind: str) -> list[Edge] | None:
        """A step's actions, then those of the workflow it does not redefine by name (ambiguity A27).

        None when neither says anything: the sequential or breaking default of the Step Object applies.
        """
        own = step.on_success if kind == "success" else step.on_failure
        shared = self.workflow.success_actions if kind == "success" else self.workflow.failure_actions
        if own is not None and self.made.extension.inheritance == "replace":
            shared = ()
        names = {action.name for action in own or ()}
        actions = [*(own or ()), *(action for action in shared if action.name not in names)]
        if not actions:
            return None
        edges: list[Edge] = []
        for action in actions:
            # What all steps share speaks of calls; of a workflow that a step runs it may say nothing.
            moment: Moment = "any" if action not in (own or ()) else "return" if step.workflow_id else "answer"
            edge = self.attempt(partial(self.edge, step, action, moment))
            if edge is not None:
                edges.append(edge)
                if edge.certain and action.type != "retry":
                    break
        return edges

    def edge(self, step: Step, action: Action, moment: Moment) -> Edge:
        if action.type == "retry":
            self.retry(step, action)
        child, ran = None, self.ran.get(step.step_id)
        given = parameters_of(step, self.workflow)
        reader = self.reader.calling(given) if ran is None else self.reader.returning(ran.workflow)
        if action.workflow_id and action.type != "end":
            callee = self.callee(action.workflow_id, self.inside(action.place, "workflowId"))
            child = action_child(action, callee, reader, moment)
        call = self.made.calls.get(step.step_id)
        criteria = reader.criteria(action.criteria, moment, call.operation if call is not None else None)
        # An action whose criteria all stand among the step's success criteria applies on every success, so "nothing
        # matched" cannot happen behind it.
        sure = {_wording(one) for one in step.success_criteria} if action.kind == "success" else set()
        certain = all(_wording(one) in sure for one in action.criteria)
        return Edge(action=action, criteria=criteria, certain=certain, child=child)

    def retry(self, step: Step, action: Action) -> None:
        """Success Action Object: there is no ``retry``; what that means in 1.0 (C8) is said when the document is read.
        A retry through the step itself would call it twice each time, and is a plain retry (tolerance C9, A17)."""
        if action.kind == "failure" and action.step_id == step.step_id:
            why = f"{action.name}: a retry through the step itself is read as a plain retry"
            self.reader.tolerated([("C9", why)], self.inside(action.place, "stepId"))

    # -- order -----------------------------------------------------------------------------------------------------

    def needs(self, step: Step) -> None:
        """Step Object, dependsOn: steps of this workflow by id, those of others by an expression."""
        needs = tuple(
            self.need(one, step, self.inside(step.place, "dependsOn", number))
            for number, one in enumerate(step.depends_on)
        )
        if step.step_id in self.made.calls:
            self.made.calls[step.step_id] = replace(self.made.calls[step.step_id], needs=needs)
        if step.step_id in self.made.runs:
            self.made.runs[step.step_id] = replace(self.made.runs[step.step_id], needs=needs)

    def need(self, reference: str, step: Step, place: Place) -> Need:
        if self.site.step(reference) is not None:
            return "", reference
        owner, found, name = reference.rpartition(".steps.")
        if found and owner.startswith("$"):
            site, _ = self.directory.find(self.site, owner.removeprefix("$workflows."), place)
            if site.step(name) is not None:
                return ("", name) if site.key == self.site.key else (site.key, name)
        raise DocumentError(
            f"step {step.step_id!r} depends on {reference!r}, and there is no such step",
            code="AZM-P042",
            place=place,
            next="name a step of this workflow, or $workflows.WORKFLOW.steps.STEP",
        )

    def sort(self) -> None:
        """Put the steps in order. Raises DocumentError for steps that wait for each other, and in 1.1 for a step that
        reads what can only be known after it."""
        made, order = self.made, [step.step_id for step in self.workflow.steps]
        does: dict[str, CallPlan | ChildPlan] = {**made.calls, **made.runs}
        waits = {step: {name for key, name in one.needs if not key} for step, one in does.items()}
        made.order = tuple(order)
        if cycle := find_cycle(waits):
            raise DocumentError(
                "steps depend on each other",
                code="AZM-P044",
                place=self.inside(self.place_of(cycle[0]), "dependsOn"),
                seen=" -> ".join(cycle),
            )
        reads = {step: self.reads(step) & set(order) for step in order}
        if any(step.depends_on for step in self.workflow.steps):
            made.order = sort_steps(order, waits, reads)
        else:
            self.look_ahead(reads)

    def look_ahead(self, reads: Mapping[str, set[str]]) -> None:
        """1.1, "Step dependencies": outputs of a step that appears later are an error where no dependsOn is used. A
        loop may lead back, and so does a step that a retry runs first, so only what can never be there is refused; 1.0
        does not speak of it."""
        order = self.made.order
        paths = {step: set(order[number + 1 : number + 2]) for number, step in enumerate(order)}
        for step in order:
            for edge in (*(self.made.success[step] or ()), *(self.made.failure[step] or ())):
                if target := edge.action.step_id:
                    paths[step].add(target)
                    if edge.action.type == "retry":
                        paths[target].add(step)
        after: dict[str, set[str]] = {}
        readings: dict[tuple[str, str], str] = {}
        for number, step in enumerate(order):
            for other in order[number + 1 :]:
                if other not in reads[step]:
                    continue
                if other not in after:
                    after[other] = reaches(paths, other)
                if step not in after[other]:
                    readings = readings or self.readings()
                    self.refuse_forward(step, other, readings.get((step, other)))

    def refuse_forward(self, step: str, other: str, pointer: str | None) -> None:
        message = f"step {step!r} reads outputs of {other!r}, which can only run after it"
        place = self.place_of(step) if pointer is None else self.site.description.document.place(pointer)
        if self.minor == "1.0" and not self.strict:
            self.reader.note("AZM-P024", message, place)
            return
        raise DocumentError(
            message, code="AZM-P024", place=place, next="put the steps in the order they need, or say dependsOn"
        )

    def readings(self) -> dict[tuple[str, str], str]:
        """Where a step first reads an output of another for what it sends, as a pointer: by both."""
        found: dict[tuple[str, str], str] = {}
        for site in sites_of(self.site.description.document, self.workflow, self.reader.declared):
            if site.part in ("parameter", "payload"):
                for one in site.expressions:
                    if one.root == "steps":
                        found.setdefault((site.step, one.owner), site.pointer)
        return found

    def reads(self, step: str) -> set[str]:
        """The steps whose outputs stand in what this one sends."""
        call, child = self.made.calls.get(step), self.made.runs.get(step)
        templates = [value for _, value in child.parameters] if child is not None else []
        if call is not None:
            templates += [value for _, _, value in call.parameters]
            templates += [call.body] if call.body is not None else []
        return {one.owner for template in templates for one in references(template) if one.root == "steps"}

    def place_of(self, step_id: str) -> Place:
        step = self.site.step(step_id)
        return step.place if step is not None else self.workflow.place


def _wording(criterion: Criterion) -> tuple[str, str, str | None]:
    return criterion.type, criterion.condition.strip(), criterion.context
