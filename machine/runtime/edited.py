"""The document of a stored run, edited: whether the run may go on with it, and what is stored when it does.

A run goes on with another plan only where everything it did would have gone the same way there
(``chart/edit.py``). Nothing is sent by any of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..chart.chart import Chart
from ..chart.edit import Contradiction, contradictions
from ..chart.events import Edit
from ..errors import EditError, InputError
from ..plan.compare import Difference, compare
from ..plan.inputs import check_inputs
from ..plan.model import Plan
from ..stores.base import RunHead, Store
from ..values import SecretRef, encode
from .history import Charts, recomputed, start_of
from .run import Run
from .standing import sha256

__all__ = ["Edited", "edit_of_run", "edited_head"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """What a document says now: its plan, and everything that was read for it, to be kept with the run."""

    plan: Plan
    texts: Mapping[str, bytes]
    read_from: Mapping[str, Any] = field(default_factory=dict)
    """Where it was read, as the run's option of that name says it."""

    def difference(self, before: Plan) -> Difference:
        """What the machine does otherwise than that one."""
        return compare(before, self.plan)


def edit_of_run(store: Store, run: Run, edited: Edited, chart: Chart) -> Edit:
    """The change of plan, as the event tells it. ``chart`` is that of the edited plan.

    Raises EditError with everything the run did that the edited document says otherwise.
    """
    difference = edited.difference(run.plan)
    records = store.history(run.id)
    charts = Charts(store)
    start = start_of(store, run.head, charts)
    snapshots = [start, *(one.snapshot for one in recomputed(store, run.head, records, charts))][:-1]
    found = [
        *_inputs(run, edited.plan),
        *contradictions(records, snapshots, run.plan, edited.plan, chart.advance, difference),
    ]
    if found:
        raise EditError(
            f"the edited document says otherwise what run {run.id} has done already",
            code="AZM-C013",
            next="change only what lies ahead of it, or go on without --use-edited: its own document is stored",
            contradictions=tuple(found),
            changes=difference.changes,
        )
    return Edit(
        before=run.plan.sha256,
        after=chart.plan_sha256,
        states=difference.states,
        transitions=difference.transitions,
    )


def edited_head(head: RunHead, edited: Edited) -> tuple[RunHead, dict[str, bytes]]:
    """The head of a run that goes on with an edited document, and the blobs to store with it."""
    plan_text = edited.plan.text().encode()
    after = replace(
        head,
        workflow=edited.plan.workflow,
        document=edited.plan.document,
        plan_sha256=sha256(plan_text),
        documents={name: sha256(data) for name, data in edited.texts.items()},
        options={**head.options, "read_from": dict(edited.read_from)},
        earlier=(*head.earlier, head.edition),
    )
    return after, {sha256(data): data for data in (plan_text, *edited.texts.values())}


def _inputs(run: Run, plan: Plan) -> list[Contradiction]:
    """Inputs cannot change: those the run has must be all that the edited plan would begin with."""
    given = run.snapshot.frames[0].inputs
    try:
        checked, _ = check_inputs(plan, given)
    except InputError as error:
        return [Contradiction(state="inputs", text=str(error))]
    found = []
    if encode(dict(checked)) != encode(dict(given)):
        others = sorted(name for name in checked if name not in given or checked[name] != given[name])
        found.append(Contradiction(state="inputs", text=f"the run was begun without the inputs {', '.join(others)}"))
    unlike = [name for name, value in given.items() if isinstance(value, SecretRef) != (name in plan.secrets)]
    return found + [
        Contradiction(state="inputs", text=f"input {name} was no secret, or is none now") for name in unlike
    ]
