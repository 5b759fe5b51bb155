"""Document and sources -> Plan: every workflow a run can reach, drafted, looked at together, written as tables.

Theory of operation
===================
    1. draft      the chosen workflow, then each one it names, and so on: what it says, piece by piece (``draft.py``)
    2. look       across all of them: which make only safe calls, which inputs are secret, who waits for whom
    3. write      each as a state table (``rules.py``), ids counted on from one to the next

The first table is the plan's own, the others are its callees, by key. Everything that is wrong with any of them is
reported together. Nothing here does I/O; the same document and sources always give the same plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

from ..document.findings import Finding, raise_if_errors, strictly
from ..document.model import Document, Workflow
from ..errors import DocumentError, UsageError
from ..sources.description import Description
from .draft import Draft, draft_workflow
from .inputs import read_inputs
from .model import CallPlan, InputPlan, Notice, Plan, Policy
from .order import find_cycle, loops, reaches, turned
from .problems import Problems
from .rules import write_table
from .secrecy import find_secrets
from .sight import source_fields
from .steps import UNSAFE
from .workflows import Directory, Site

__all__ = ["Shared", "build_plan"]

_LARGEST = 500
"""Steps and actions of all workflows a run can reach. The time a machine takes to build grows with the square of its
states."""
_AGAIN = 500
"""Steps and actions that are compiled once more because another workflow leads to them too, in all plans that share
their drafts. Where each workflow runs all before it, that grows with the square of the document."""


class Shared:
    """What the plans of several workflows share: what each workflow says is compiled once for all of them, and what
    they come to together is bounded. Only for plans that are read with the same strictness."""

    def __init__(self) -> None:
        self._left = _AGAIN
        self._counted: set[tuple[int, str]] = set()
        self._drafts: dict[tuple[int, str], tuple[Site, Draft, tuple[Finding, ...]]] = {}

    def draft(self, site: Site, directory: Directory, problems: Problems, *, strict: bool) -> Draft:
        """What the workflow says; what is wrong with it goes to ``problems``, each time."""
        key = (id(site.description), site.workflow.workflow_id)
        known = self._drafts.get(key)
        if known is None:
            own = Problems()
            known = site, draft_workflow(site, directory, own, strict=strict), tuple(own.findings)
            # The keys of another document's workflows depend on where a plan begins.
            if not site.scope and all(one.description is site.description for one in known[1].callees.values()):
                self._drafts[key] = known
        problems.add(known[2])
        return known[1]

    def count(self, site: Site, size: int) -> None:
        """Tell that a workflow of this size is compiled. Raises DocumentError where too much is compiled again."""
        key = (id(site.description), site.workflow.workflow_id)
        self._left -= size if key in self._counted else 0
        self._counted.add(key)
        if self._left < 0:
            raise DocumentError(
                f"so many workflows lead to the same ones that more than {_AGAIN} steps and actions are compiled again",
                code="AZM-P032",
                place=site.description.document.place("/workflows"),
                next="choose one workflow with -w",
            )


def build_plan(
    description: Description,
    *,
    workflow: str = "",
    unmatched: Policy | None = None,
    strict: bool = False,
    shared: Shared | None = None,
) -> Plan:
    """Compile one workflow of a described document, and every workflow it can reach.

    ``workflow`` may be left out when the document has one. ``unmatched`` overrides what happens when no success
    action applies. ``strict`` turns every tolerance off. ``shared`` is for who compiles several workflows. Raises
    DocumentError with every problem found, or UsageError when the choice of the workflow is not clear.
    """
    chosen = _choose(description.document, workflow)
    problems = Problems()
    shared = shared or Shared()
    drafts = _draft(description, chosen, problems, shared, strict=strict)
    graph = {key: {child.workflow for child in one.dependencies} for key, one in drafts.items()}
    loop = loops(graph)
    rings = Counter(loop[key] for key in drafts)
    for key, one in drafts.items():
        if rings[loop[key]] > 1 or key in graph[key]:
            problems.attempt(partial(_refuse_waiting_for_itself, one, graph))
    if strict:
        for described in {id(one.site.description): one.site.description for one in drafts.values()}.values():
            problems.attempt(partial(raise_if_errors, strictly(described.findings)))
    inputs = _inputs(drafts, problems)
    problems.report()

    plans = _write(drafts, inputs, unmatched=unmatched, strict=strict)
    root = next(iter(plans.values()))
    used = _reached(root, plans)
    callees = {key: plan for key, plan in plans.items() if key in used and key != root.workflow}
    warnings = tuple(
        Notice(code=one.code, message=one.message, place=one.place)
        for one in description.findings
        if one.severity != "info"
    )
    tables = (root, *callees.values())
    pairs = [(source, server) for one in tables for source, servers in one.servers.items() for server in servers]
    return replace(root, callees=callees, servers=_servers(pairs), notices=(*warnings, *root.notices))


def _servers(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Every server of every source that something is called at, from pairs of both. A path or an operation may have one
    of its own, which stands in place of its description's (OpenAPI 3.1, Path Item and Operation Object, servers)."""
    found: dict[str, dict[str, None]] = {}
    for source, server in pairs:
        found.setdefault(source, {})[server] = None
    return {source: tuple(servers) for source, servers in found.items()}


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


def _draft(
    description: Description, chosen: Workflow, problems: Problems, shared: Shared, *, strict: bool
) -> dict[str, Draft]:
    """The chosen workflow's draft, then those of all it names, breadth first, by key."""
    directory = Directory(description)
    waiting = [directory.site(description, chosen)]
    drafts: dict[str, Draft] = {}
    size = 0
    while waiting:
        site = waiting.pop(0)
        if site.key not in drafts:
            own = sum(1 + len(one.on_success or ()) + len(one.on_failure or ()) for one in site.workflow.steps)
            size += own
            if size > _LARGEST:
                raise DocumentError(
                    f"{size} steps and actions can be reached; at most {_LARGEST} are compiled",
                    code="AZM-P019",
                    place=site.workflow.place,
                    next="split what is done into several runs",
                )
            shared.count(site, own)
            drafts[site.key] = shared.draft(site, directory, problems, strict=strict)
            waiting += drafts[site.key].callees.values()
    return drafts


# -- what only all workflows together tell -----------------------------------------------------------------------------


def _refuse_waiting_for_itself(draft: Draft, graph: Mapping[str, set[str]]) -> None:
    """Workflow Object, dependsOn: workflows that wait for each other can never begin."""
    cycle = find_cycle({draft.site.key: graph[draft.site.key], **graph})
    if cycle and draft.site.key == min(cycle):
        raise DocumentError(
            "workflows depend on each other",
            code="AZM-P045",
            place=draft.site.description.document.inside(draft.site.workflow.place, "dependsOn"),
            seen=" -> ".join(cycle),
            next="leave out the dependsOn that closes the ring",
        )


def _inputs(drafts: Mapping[str, Draft], problems: Problems) -> dict[str, tuple[InputPlan, ...]]:
    secrets = find_secrets(drafts)
    found = {}
    for key, one in drafts.items():
        workflow = one.site.workflow
        may_name_origin = partial(one.site.description.may_name_origin, workflow.workflow_id)
        read = partial(
            read_inputs, workflow, one.calls, one.criteria, secrets=secrets[key], may_name_origin=may_name_origin
        )
        found[key] = problems.attempt(read) or ()
    return found


Runs = Mapping[str, set[str]]
"""Workflow to those it runs."""


def _safe(drafts: Mapping[str, Draft], runs: Runs) -> set[str]:
    """The workflows that make only safe calls, whatever they run."""
    other = {key for key, one in drafts.items() if any(call.kind != "safe" for call in one.calls.values())}
    return set(drafts) - _leading_to(other, runs)


def _unsafe(drafts: Mapping[str, Draft], runs: Runs) -> set[str]:
    """The workflows that may make a call which must not be repeated on a guess, themselves or by what they run."""
    return _leading_to(
        {key for key, one in drafts.items() if any(call.kind in UNSAFE for call in one.calls.values())}, runs
    )


def _leading_to(targets: set[str], runs: Runs) -> set[str]:
    """These workflows, and all that run one of them somewhere."""
    return reaches({**turned(runs), "": targets}, "")


# -- tables ------------------------------------------------------------------------------------------------------------


def _write(
    drafts: Mapping[str, Draft],
    inputs: Mapping[str, tuple[InputPlan, ...]],
    *,
    unmatched: Policy | None,
    strict: bool,
) -> dict[str, Plan]:
    children = {key: one.children for key, one in drafts.items()}
    runs = {key: {child.workflow for child in each} for key, each in children.items()}
    safe, unsafe = _safe(drafts, runs), _unsafe(drafts, runs)
    # Workflows that may transfer back to the one they come from: such a ring is a loop, and loops are paced.
    back = turned({key: {one.workflow for one in each if one.role == "transfer"} for key, each in children.items()})
    plans: dict[str, Plan] = {}
    states = transitions = 0
    for key, draft in drafts.items():
        written = write_table(
            draft,
            safe=safe,
            unsafe=unsafe,
            returning={key, *reaches(back, key)},
            override=unmatched,
            strict=strict,
            states=states,
            transitions=transitions,
        )
        states, transitions = states + len(written.states), transitions + len(written.transitions)
        site, document, extension = draft.site, draft.site.description.document, draft.extension
        calls = {step: _scoped(call, site.scope) for step, call in written.calls.items()}
        described = [one for call in draft.calls.values() for one in _scoped(call, site.scope).operations]
        plans[key] = Plan(
            workflow=key,
            title=site.workflow.summary or document.title,
            document=document.uri,
            document_sha256=document.sha256,
            arazzo=document.arazzo,
            states=written.states,
            transitions=written.transitions,
            calls=calls,
            children=written.children,
            scope=site.scope,
            inputs=inputs[key],
            input_schema=dict(site.workflow.inputs),
            outputs=draft.outputs,
            servers=_servers((one.source, one.server) for one in described),
            sources=source_fields(document),
            self_uri=document.self_uri,
            auth={
                site.scope + name: text
                for name, text in extension.auth.items()
                if site.description.may_name_origin(site.workflow.workflow_id, f"auth {name}")
            },
            deadline=extension.deadline if extension.deadline is not None else 3600.0,
            call_limit=extension.calls or 10_000,
            transition_limit=extension.transitions or 10_000,
            notices=(*draft.notices, *written.unreached),
        )
    return plans


def _scoped(call: CallPlan, scope: str) -> CallPlan:
    """A call whose sources are named as the whole run knows them: those of two documents may share a name."""
    if not scope:
        return call
    effect = call.effect
    if effect.probe is not None:
        operation = replace(effect.probe.operation, source=scope + effect.probe.operation.source)
        effect = replace(effect, probe=replace(effect.probe, operation=operation))
    return replace(call, operation=replace(call.operation, source=scope + call.operation.source), effect=effect)


def _reached(root: Plan, plans: Mapping[str, Plan]) -> set[str]:
    """The workflows that the states which were kept can run."""
    graph = {key: {child.workflow for child in plan.children.values()} for key, plan in plans.items()}
    return reaches(graph, root.workflow)
