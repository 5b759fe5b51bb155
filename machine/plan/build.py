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

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

from ..document.findings import raise_if_errors, strictly
from ..document.model import Document, Workflow
from ..errors import DocumentError, UsageError
from ..sources.description import Description
from .draft import Draft, draft_workflow
from .inputs import read_inputs
from .model import CallPlan, InputPlan, Notice, Plan, Policy
from .order import find_cycle, reaches
from .problems import Problems
from .rules import write_table
from .secrecy import find_secrets
from .sight import source_fields
from .steps import UNSAFE
from .workflows import Directory

__all__ = ["build_plan"]

_LARGEST = 500
"""Steps and actions of all workflows a run can reach. The time a machine takes to build grows with the square of its
states."""


def build_plan(
    description: Description, *, workflow: str = "", unmatched: Policy | None = None, strict: bool = False
) -> Plan:
    """Compile one workflow of a described document, and every workflow it can reach.

    ``workflow`` may be left out when the document has one. ``unmatched`` overrides what happens when no success
    action applies. ``strict`` turns every tolerance off. Raises DocumentError with every problem found, or UsageError
    when the choice of the workflow is not clear.
    """
    chosen = _choose(description.document, workflow)
    problems = Problems()
    drafts = _draft(description, chosen, problems, strict=strict)
    for one in drafts.values():
        problems.attempt(partial(_refuse_waiting_for_itself, one, drafts))
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


def _draft(description: Description, chosen: Workflow, problems: Problems, *, strict: bool) -> dict[str, Draft]:
    """The chosen workflow's draft, then those of all it names, breadth first, by key."""
    directory = Directory(description)
    waiting = [directory.site(description, chosen)]
    drafts: dict[str, Draft] = {}
    size = 0
    while waiting:
        site = waiting.pop(0)
        if site.key not in drafts:
            size += sum(1 + len(one.on_success or ()) + len(one.on_failure or ()) for one in site.workflow.steps)
            if size > _LARGEST:
                raise DocumentError(
                    f"{size} steps and actions can be reached; at most {_LARGEST} are compiled",
                    code="AZM-P019",
                    place=site.workflow.place,
                    next="split what is done into several runs",
                )
            drafts[site.key] = draft_workflow(site, directory, problems, strict=strict)
            waiting += drafts[site.key].callees.values()
    return drafts


# -- what only all workflows together tell -----------------------------------------------------------------------------


def _refuse_waiting_for_itself(draft: Draft, drafts: Mapping[str, Draft]) -> None:
    """Workflow Object, dependsOn: workflows that wait for each other can never begin."""
    graph = {key: {child.workflow for child in one.dependencies} for key, one in drafts.items()}
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


def _safe(drafts: Mapping[str, Draft]) -> set[str]:
    """The workflows that make only safe calls, whatever they run."""
    safe = {key for key, one in drafts.items() if all(call.kind == "safe" for call in one.calls.values())}
    while lost := {key for key in safe if not {child.workflow for child in drafts[key].children} <= safe}:
        safe -= lost
    return safe


def _unsafe(drafts: Mapping[str, Draft]) -> set[str]:
    """The workflows that may make a call which must not be repeated on a guess, themselves or by what they run."""
    graph = {key: {child.workflow for child in one.children} for key, one in drafts.items()}
    direct = {key for key, one in drafts.items() if any(call.kind in UNSAFE for call in one.calls.values())}
    return {key for key in drafts if not direct.isdisjoint({key, *reaches(graph, key)})}


def _returning(drafts: Mapping[str, Draft], key: str) -> set[str]:
    """The workflows that may transfer back to this one: such a ring is a loop, and loops are paced."""
    graph = {
        name: {child.workflow for child in one.children if child.role == "transfer"} for name, one in drafts.items()
    }
    return {name for name in drafts if name == key or key in reaches(graph, name)}


# -- tables ------------------------------------------------------------------------------------------------------------


def _write(
    drafts: Mapping[str, Draft],
    inputs: Mapping[str, tuple[InputPlan, ...]],
    *,
    unmatched: Policy | None,
    strict: bool,
) -> dict[str, Plan]:
    safe, unsafe = _safe(drafts), _unsafe(drafts)
    plans: dict[str, Plan] = {}
    states = transitions = 0
    for key, draft in drafts.items():
        written = write_table(
            draft,
            safe=safe,
            unsafe=unsafe,
            returning=_returning(drafts, key),
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
