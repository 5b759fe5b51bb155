"""Which workflow a reference means: of the same document, or of another one a source description points at.

Every workflow of a run has a *key*. That of the entry document's is its workflowId; that of another document's has a
scope before it, made from the name of the source description it was first reached through (``tickets.buy``). Keys are
data: they name the tables of a plan, the frames of a run and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..document.model import Step, Workflow
from ..errors import DocumentError, MachineError, Place
from ..sources.description import Description

__all__ = ["Directory", "Site", "named_workflows", "reachable"]

_PREFIX = "$sourceDescriptions."


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A workflow where it stands: its document with that document's own sources and components."""

    key: str
    scope: str
    description: Description
    workflow: Workflow

    def step(self, step_id: str) -> Step | None:
        return next((one for one in self.workflow.steps if one.step_id == step_id), None)


def reachable(description: Description, *workflows: Workflow) -> tuple[Site, ...]:
    """The workflows and every other one a run of them can reach, breadth first, each where it stands. Names that mean
    nothing are left out, because the compiler refuses them."""
    directory = Directory(description)
    waiting = [directory.site(description, one) for one in workflows]
    found: dict[str, Site] = {}
    for site in waiting:  # it grows
        if site.key in found:
            continue
        found[site.key] = site
        for name in named_workflows(site.workflow):
            try:
                waiting.append(directory.find(site, name, site.workflow.place)[0])
            except MachineError:
                continue
    return tuple(found.values())


def named_workflows(workflow: Workflow) -> tuple[str, ...]:
    """The workflows one runs, as they are written."""
    actions = [*workflow.success_actions, *workflow.failure_actions]
    for step in workflow.steps:
        actions += [*(step.on_success or ()), *(step.on_failure or ())]
    run = [step.workflow_id for step in workflow.steps]
    led_to = [action.workflow_id for action in actions]
    return tuple(dict.fromkeys(name for name in (*workflow.depends_on, *run, *led_to) if name))


class Directory:
    """Finds workflows, and gives every document it meets a scope of its own."""

    def __init__(self, description: Description) -> None:
        self._scopes: dict[int, str] = {}
        self._keys: set[str] = set()
        self._kept: list[Description] = []
        self._named: dict[int, dict[str, Workflow]] = {}
        self._enter(description, "")

    def site(self, description: Description, workflow: Workflow) -> Site:
        """A workflow of a document that was met before."""
        scope = self._scopes[id(description)]
        return Site(key=scope + workflow.workflow_id, scope=scope, description=description, workflow=workflow)

    def find(self, site: Site, reference: str, place: Place) -> tuple[Site, str]:
        """The workflow a reference means in the document of ``site``, and in what way it is not written as the
        specification has it (empty where it is).

        Arazzo, Step Object, workflowId: an id of the same document, or ``$sourceDescriptions.NAME.ID``. Raises
        DocumentError AZM-P040 for a workflow that is nowhere, AZM-P041 for one that several documents have, and what
        kept a document from being read.
        """
        own = self._named[id(site.description)].get(reference)
        if own is not None:
            return self.site(site.description, own), ""
        if reference.startswith(_PREFIX):
            return self._elsewhere(site, reference, place)
        found = [
            (name, other, workflow)
            for name, other in site.description.documents.items()
            if (workflow := other.document.workflow(reference)) is not None
        ]
        if len(found) > 1:
            raise DocumentError(
                f"several documents have a workflow {reference!r}",
                code="AZM-P041",
                place=place,
                seen=", ".join(name for name, _, _ in found),
                next=f"write {_PREFIX}NAME.{reference}",
            )
        if not found:
            raise self._nowhere(site, reference, place)
        name, other, workflow = found[0]
        self._enter(other, name)
        return self.site(other, workflow), f"{reference}: read as {_PREFIX}{name}.{reference}, the only one there is"

    def _elsewhere(self, site: Site, reference: str, place: Place) -> tuple[Site, str]:
        # The name of a source cannot hold a dot, so the first one after it ends it; a workflowId may hold several.
        name, _, workflow_id = reference.removeprefix(_PREFIX).partition(".")
        other = site.description.document_at(name, place=place)
        workflow, plain = other.document.workflow(workflow_id), workflow_id.removeprefix("workflows.")
        odd = ""
        if workflow is None and plain != workflow_id:
            workflow, odd = other.document.workflow(plain), f"{reference}: read as {_PREFIX}{name}.{plain}"
        if workflow is None:
            raise self._nowhere(site, reference, place)
        self._enter(other, name)
        return self.site(other, workflow), odd

    def _nowhere(self, site: Site, reference: str, place: Place) -> DocumentError:
        known = [one.workflow_id for one in site.description.document.workflows]
        known += [
            f"{_PREFIX}{name}.{one.workflow_id}"
            for name, other in site.description.documents.items()
            for one in other.document.workflows
        ]
        return DocumentError(
            f"there is no workflow {reference!r}",
            code="AZM-P040",
            place=place,
            next=f"name one of: {', '.join(known[:20])}",
        )

    def _enter(self, description: Description, name: str) -> None:
        """Give a document its scope, the shortest that makes no key twice."""
        if id(description) in self._scopes:
            return
        self._kept.append(description)  # an id is only unique among what lives
        named: dict[str, Workflow] = {}
        for one in description.document.workflows:
            named.setdefault(one.workflow_id, one)
        self._named[id(description)] = named
        ids = list(named)
        scope, number = f"{name}." if name else "", 2
        while any(scope + each in self._keys for each in ids):
            scope, number = f"{name}{number}.", number + 1
        self._scopes[id(description)] = scope
        self._keys.update(scope + each for each in ids)
