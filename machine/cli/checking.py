"""``check``: everything there is to say about a document, before anything runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..errors import DocumentError, MachineError, Place, SourceError
from . import options as flags

if TYPE_CHECKING:
    from ..document.findings import Finding
    from ..sources.description import Description

__all__ = ["check", "findings_of"]


@click.command()
@click.argument("target", metavar="DOCUMENT")
@flags.document
@click.option("--schema-only", is_flag=True, help="Check the structure alone; read no sources.")
@flags.as_json
def check(target: str, workflow: str, schema_only: bool, as_json: bool, **given: Any) -> int:
    """Say what is wrong with a document, and what may not be meant.

    Its structure, what it refers to, what had to be tolerated, and what an answer nobody thought of would do. Sends
    nothing and needs no inputs. Exit 65 when there are errors; warnings alone exit 0. With --strict whatever has to be
    tolerated is an error.

    \b
    arazzo-machine check flow.arazzo.yaml
    arazzo-machine check flow.arazzo.yaml --schema-only --json
    """
    from ..document.findings import strictly
    from .printing import echo_json

    try:
        if schema_only:
            from ..library import check_structure

            found = list(check_structure(target, overlay=given["overlay"]))
            found = list(strictly(found)) if given["strict"] else found
        else:
            description = flags.describe_target(target, given)
            found = findings_of(description, workflow=workflow, unmatched=given["unmatched"], strict=given["strict"])
    except DocumentError as error:
        found = list(_of_error(error, Place(document=target)))
    errors = sum(one.severity == "error" for one in found)
    if as_json:
        echo_json({"document": target, "errors": errors, "findings": [_to_json(one) for one in found]})
    else:
        _print(found)
    return DocumentError.exit_code if errors else 0


def findings_of(
    description: Description, *, workflow: str = "", unmatched: Any = None, strict: bool = False
) -> list[Finding]:
    """What there is to say about a described document, in its order; about one workflow of it, or all, and about every
    workflow they lead to."""
    from ..chart.coverage import uncovered
    from ..plan.build import Shared, build_plan
    from ..plan.inspect import inspect
    from ..runtime.evaluator import Evaluator

    evaluator, shared = Evaluator(), Shared()
    found = list(_structure(description))
    for here, name in _workflows(description, workflow):
        try:
            plan = build_plan(here, workflow=name, unmatched=unmatched, strict=strict, shared=shared)
        except (DocumentError, SourceError) as error:
            found += _of_error(error, Place(document=here.document.uri))
            continue
        found += inspect(here, plan, called=here is not description, ask=evaluator)
        found += uncovered(here, plan, ask=evaluator)
    errors = {(one.code, one.place) for one in found if one.severity == "error"}
    # That the next step would change something says more than that the run fails.
    falls = {one.place for one in found if one.code == "AZM-L016"}
    told = [
        one
        for one in dict.fromkeys(found)
        if (one.severity == "error" or (one.code, one.place) not in errors)
        and not (one.code == "AZM-L031" and one.place in falls)
    ]
    return sorted(told, key=lambda one: (one.place.document, one.place.line, one.place.column, one.code))


def _workflows(description: Description, workflow: str) -> Iterator[tuple[Description, str]]:
    """Each workflow to look at, once: the chosen one or all of the document, and those they lead to anywhere."""
    from ..plan.workflows import reachable

    chosen = description.document.workflow(workflow) if workflow else None
    if workflow and chosen is None:
        yield description, workflow  # the compiler says which there are
        return
    for site in reachable(description, *([chosen] if chosen is not None else description.document.workflows)):
        yield site.description, site.workflow.workflow_id


def _structure(description: Description) -> Iterator[Finding]:
    """The findings of reading the document and every other it leads to."""
    seen: list[Description] = []
    waiting = [description]
    while waiting:
        here = waiting.pop()
        if any(here is one for one in seen):
            continue
        seen.append(here)
        yield from here.findings
        for source in here.sources.values():
            if isinstance(source.problem, DocumentError):
                yield from _of_error(source.problem, Place(document=here.document.uri))
        waiting += here.documents.values()


def _of_error(error: MachineError, place: Place) -> Iterator[Finding]:
    """An error as findings: its own, or itself as one."""
    from ..document.findings import Finding

    if isinstance(error, DocumentError) and error.findings:
        yield from error.findings
        return
    message = f"{error.message} (seen: {error.seen})" if error.seen else error.message
    yield Finding(code=error.code, severity="error", message=message, place=error.place or place, suggestion=error.next)


def _to_json(one: Finding) -> dict[str, Any]:
    from ..plan.codes import explain

    return {**one.to_json(), "explanation": explain(one.code)}


def _print(found: Sequence[Finding]) -> None:
    """Each finding on a line that editors understand, what to do about it below it."""
    from ..plan.codes import explain
    from .printing import say

    explained: set[str] = set()
    for one in found:
        where = f"{one.place.document}:{one.place.line}:{one.place.column}"
        say(f"{where}: {one.severity} {one.code} {one.message}", err=False)
        if one.code not in explained and (why := explain(one.code)):
            say(f"    {why}", err=False)
            explained.add(one.code)
        if one.suggestion:
            say(f"    -> {one.suggestion}", err=False)
        for line in one.fix.splitlines():
            say(f"       {line}", err=False)
    say(_summary(found), err=False)


def _summary(found: Sequence[Finding]) -> str:
    counts = Counter(one.severity for one in found)
    info = f", {counts['info']} info" if counts["info"] else ""
    return f"{counts['error']} errors, {counts['warning']} warnings{info}" if found else "no findings"
