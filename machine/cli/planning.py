"""``plan`` and ``diagram``: the verbs that show a machine without running it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import StoreError, UsageError
from . import options as flags

if TYPE_CHECKING:
    from ..plan.model import CallPlan, Plan

__all__ = ["diagram", "plan"]

_FORMS = {"": "dot", ".dot": "dot", ".gv": "dot", ".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid"}


@click.command()
@click.argument("target", metavar="DOCUMENT")
@flags.document
@flags.as_json
def plan(target: str, workflow: str, as_json: bool, **given: Any) -> None:
    """Print the machine a workflow compiles to.

    Its states, its guarded transitions in the order they are tried, the calls that may cost money, and what it needs to
    run. Sends nothing and needs no inputs. Without -w every workflow of the document is printed.

    \b
    arazzo-machine plan deploy-inference-endpoint
    """
    from ..plan.build import build_plan
    from .printing import echo_json, say

    description = flags.describe_target(target, given)
    names = [workflow] if workflow else [one.workflow_id for one in description.document.workflows]
    plans = [
        build_plan(description, workflow=name, unmatched=given["unmatched"], strict=given["strict"]) for name in names
    ]
    if as_json:
        shown = [one.to_json() for one in plans]
        echo_json(shown[0] if len(shown) == 1 else {"plans": shown})
        return
    for one in plans:
        for line in plan_lines(one):
            say(line, err=False)


def plan_lines(plan: Plan) -> Iterator[str]:
    """A plan as a person reads it."""
    from .printing import table

    yield f"{plan.workflow}: {plan.title}"
    yield ""
    names = {state.id: state.name for state in plan.states}
    rows = []
    for state in plan.states:
        call = plan.calls.get(state.step) if state.kind == "call" else None
        doing = f"{call.operation.method} {call.operation.path} ({call.kind})" if call else ""
        if call is not None and state.polls and call.poll is not None:
            poll = call.poll
            doing += f", every {poll.interval:g} s growing by {poll.backoff:g} to {poll.max:g} s"
        rows.append([state.name, state.phase, state.kind, doing])
    yield from table([["STATE", "PHASE", "KIND", "CALL"], *rows])
    yield ""
    moves = []
    for state in plan.states:
        # The list is the precedence: the first whose guard holds is taken.
        for number, one in enumerate((t for t in plan.leaving(state.id) if "replied" in t.on), start=1):
            moves.append([state.name, f"{number}.", one.label, f"-> {names[one.target]}", one.guard.text])
        for one in plan.leaving(state.id):
            if state.kind == "doubt" and "resolved" in one.on:
                moves.append([state.name, "*", one.label, f"-> {names[one.target]}", one.guard.text])
    yield from table([["FROM", "", "TRANSITION", "TO", "WHEN"], *moves])
    yield ""
    for one_input in plan.inputs:
        need = "required" if one_input.required and not one_input.origin else "optional"
        note = f", secret ({one_input.why_secret})" if one_input.secret else ""
        default = f", default {one_input.schema['default']!r}" if "default" in one_input.schema else ""
        origin = f", from {one_input.origin}" if one_input.origin else ""
        yield f"input {one_input.name}: {need}{note}{default}{origin}"
    for source, server in plan.servers.items():
        yield f"calls {source}: {server or 'no server described, give --server'}"
    for step, call in plan.calls.items():
        if call.unsafe:
            yield f"effect {step}: {call.kind}, in doubt it {_policy(call)}"
    yield f"deadline {plan.deadline:g} s, at most {plan.call_limit} calls and {plan.transition_limit} transitions"
    for notice in plan.notices:
        yield f"note: {notice}"
    yield ""


def _policy(call: CallPlan) -> str:
    """What is done when nobody knows whether a call was applied, in words."""
    effect = call.effect
    if effect.on_doubt == "probe" and effect.probe is not None:
        return f"looks: {effect.probe.operation.method} {effect.probe.operation.path}"
    if effect.on_doubt == "reissue":
        return "is sent again with its idempotency key"
    return "holds" if effect.on_doubt != "fail" else "counts as failed"


@click.command()
@click.argument("target", metavar="[DOCUMENT]", required=False, default="")
@flags.document
@click.option("--run", "run_id", default="", help="Draw this run's history on its machine.")
@click.option("--format", "form", type=click.Choice(["dot", "svg", "mermaid"]), help="[by the file's ending, else dot]")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to a file.")
@flags.store_option
@flags.as_json
def diagram(
    target: str,
    workflow: str,
    run_id: str,
    form: str | None,
    output: Path | None,
    store: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Draw a workflow's machine, or a run on it.

    On standard output without -o. SVG needs Graphviz; DOT and Mermaid need nothing.

    \b
    arazzo-machine diagram deploy-inference-endpoint -o machine.svg
    arazzo-machine diagram --run 1ng9 -o run.svg
    """
    from ..diagram import render
    from .printing import echo_json

    form = form or _form_of(output)
    records: list[Any] = []
    if run_id:
        from ..chart.edit import in_terms_of_now
        from ..runtime.runner import Runner

        with flags.open_store(store, read_only=True) as opened:
            found = opened.find(run_id)
            drawn = Runner(opened).plan_of(opened.load(found))
            records = in_terms_of_now(opened.history(found))
        if target:
            # The run is drawn on the machine it has; a document named beside it only has to be the one it came from.
            named = flags.describe_target(target, given).document
            if drawn.document_sha256 != named.sha256 and named.workflow(drawn.workflow) is None:
                raise UsageError(
                    f"run {found} is not of this document",
                    code="AZM-U072",
                    seen=f"{drawn.workflow} of {drawn.document}",
                    next="leave the document out: a run is drawn on the machine it has stored",
                )
    elif target:
        from ..plan.build import build_plan

        description = flags.describe_target(target, given)
        drawn = build_plan(description, workflow=workflow, unmatched=given["unmatched"], strict=given["strict"])
    else:
        raise UsageError(
            "name a document, or a run with --run", code="AZM-U070", next="list the runs with: arazzo-machine runs"
        )
    text = render(drawn, format="mermaid" if form == "mermaid" else "dot", records=records)
    if form == "svg":
        from ..runtime.layout import render_svg

        text = render_svg(text)
    if output is None and as_json:
        echo_json({"format": form, "diagram": text})
        return
    if output is None:
        click.echo(text, nl=not text.endswith("\n"))
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(
            "the diagram cannot be written",
            code="AZM-T080",
            seen=f"{output}: {error.strerror}",
            next="choose another -o",
        ) from error
    if as_json:
        echo_json({"format": form, "output": str(output)})


def _form_of(output: Path | None) -> str:
    """The format a file's ending asks for; a picture of another kind is refused, not written under a wrong name."""
    ending = output.suffix if output else ""
    if ending not in _FORMS:
        raise UsageError(
            f"no format is known by the ending {ending}",
            code="AZM-U073",
            next=f"use one of {', '.join(one for one in _FORMS if one)}, or say --format",
        )
    return _FORMS[ending]
