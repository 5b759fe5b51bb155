"""``show``: one run, told in as much detail as is asked for. Nothing is changed by it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ..errors import DamageError, UsageError
from . import options as flags
from .app import exit_with
from .completing import run_ids
from .damaged import show_remains
from .reporting import FORMS, report_text, ways_of

if TYPE_CHECKING:
    from ..chart.snapshot import Record
    from ..plan.model import Plan
    from ..reports.stopping import Way
    from ..runtime.result import Result
    from ..runtime.runner import Runner
    from ..stores.base import RunHead, StoredRun
    from ..stores.sqlite import SqliteStore

__all__ = ["show"]


@click.command()
@click.argument("run_id", metavar="RUN", shell_complete=run_ids)
@click.option("--why", is_flag=True, help="Tell why it moved, and what would have moved it otherwise.")
@click.option("--follow", "following", is_flag=True, help="Watch it until it ends; the exit code is the run's.")
@click.option(
    "--if",
    "answer",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What this answer would do; nothing is sent.",
)
@click.option("--if-status", type=click.IntRange(100, 599), help="The same for an answer with this status.")
@click.option("--if-state", metavar="[/POINTER=]VALUE", help="The same for the last answer with this value in it.")
@click.option("--token", "as_token", is_flag=True, help="Print the run as one text any machine can resume.")
@click.option("--print", "output", metavar="OUTPUT", help="Print one output and nothing else; a body as its bytes.")
@click.option("--report", "form", type=click.Choice(FORMS), help="Print a report: JUnit XML, or a summary in Markdown.")
@flags.store_option
@flags.as_json
def show(run_id: str, **given: Any) -> None:
    """Show one run and what to do about it.

    Its state, its outputs, what it may have left on the other side, the command that goes on, and a timeline: how long
    it stayed where, what was sent and answered. RUN is an id or the beginning of one. With --follow a run that another
    process drives is watched until it stops; Ctrl-C ends the watching only. Of a damaged run everything is shown that
    can still be read, and the exit code is 65.

    --if, --if-status and --if-state ask the machine where an answer would lead, and why: FILE holds {"status",
    "headers", "body"}; a value is put into the last answer where the guards of the state look. Nothing is sent or
    stored.

    \b
    arazzo-machine show 1ng9 --why
    arazzo-machine show 1ng9 --if-state failed
    arazzo-machine show 1ng9 --report junit > run.xml
    arazzo-machine show 1ng9 --follow
    arazzo-machine show 1ng9 --token > run.token
    arazzo-machine show 1ng9 --print inferenceUrl
    """
    from ..runtime.runner import Runner

    why, as_json = given["why"], given["as_json"]
    imagines = given["if_status"] is not None or given["if_state"] is not None
    forms = [given["following"], given["as_token"], given["form"] is not None]
    asked = [why, *forms, given["output"] is not None, given["answer"] is not None, imagines]
    if sum(asked) > 1:
        raise UsageError(
            "--why, --follow, --token, --report, --print, --if and --if-status say different things",
            code="AZM-U120",
            next="choose one; only --if-status and --if-state go together",
        )
    with flags.open_store(given["store"], read_only=True) as opened:
        runner = Runner(opened, store_flag=flags.store_flag(given["store"]))
        found = opened.find(run_id)
        try:
            stored = opened.load(found)
            plan = runner.plan_of(stored)
            if given["as_token"]:
                from ..runtime.token import export_token

                click.echo(export_token(opened, stored, plan))
                return
            if given["output"] is not None:
                _print_output(opened, stored, plan, given["output"], as_json=as_json)
            if given["following"]:
                from .following import follow
                from .progress import Progress

                follow(runner, found, Progress(store=runner.store_flag), as_json=as_json)
            if given["answer"] is not None or imagines:
                _foretell(runner, stored, opened.history(found), given)
            result = runner.result(found)
            if given["form"] is not None:
                text = report_text(given["form"], opened, found, plan, result)
                if as_json:
                    from .printing import echo_json

                    echo_json({"run": found, "form": given["form"], "report": text})
                else:
                    click.echo(text, nl=False)
                return
            records = _history(opened, stored.head, needed=why)
            ways = ways_of(opened, found, result)
        except DamageError as error:
            show_remains(opened, found, error, why=why, as_json=as_json)
    _tell(result, stored.head, plan, records, ways, why=why, as_json=as_json)


def _print_output(store: SqliteStore, stored: StoredRun, plan: Plan, name: str, *, as_json: bool) -> NoReturn:
    """One output as it is: a text without quotes, a body that is no text as its bytes, anything else as JSON."""
    from ..runtime.run import chart_of
    from ..values import FileRef, redact
    from .printing import echo_bytes, echo_json, echo_text

    outputs, unresolved = chart_of(plan).outputs(stored.snapshot)
    if name not in outputs or name in unresolved:
        raise UsageError(
            f"run {stored.head.id} has no output {name!r}" + (" yet" if name in outputs else ""),
            code="AZM-U141",
            next=f"it has: {', '.join(one for one in outputs if one not in unresolved) or 'none'}",
        )
    value = outputs[name]
    if as_json:
        echo_json({"run": stored.head.id, "output": name, "value": redact(value)})
    elif isinstance(value, FileRef) and not value.path:
        echo_bytes(store.blob(value.sha256), f"output {name} is {value.size} bytes of {value.type}")
    else:
        shown = redact(value)
        echo_text(shown if isinstance(shown, str) else json.dumps(shown))
    exit_with(0)


def _foretell(runner: Runner, stored: StoredRun, records: list[Record], given: Mapping[str, Any]) -> NoReturn:
    """Say what an answer would do. The exit code says that it could be said, not what the run would come to."""
    from ..reports.predicting import imagined, predict
    from ..runtime.run import chart_of
    from .given import read_reply
    from .printing import echo_json, say

    chart, at = chart_of(runner.plan_of(stored)), runner.clock.now()
    values: dict[str, Any] = {}
    if given["answer"] is None:
        reply, values = imagined(
            chart, stored.snapshot, records, at=at, status=given["if_status"], value=given["if_state"]
        )
    else:
        read = read_reply(given["answer"], "--if")
        if read is None:
            raise UsageError(
                "the answer is an object with a status, headers and body",
                code="AZM-U124",
                seen=str(given["answer"]),
                next='write {"status": 200, "headers": {}, "body": {...}}',
            )
        reply = read
    prediction = predict(chart, stored.snapshot, reply, at=at)
    if given["as_json"]:
        echo_json({"run": stored.head.id, **prediction.to_json(values)})
    else:
        for line in prediction.lines(values):
            say(line, err=False)
    exit_with(0)


def _history(store: SqliteStore, head: RunHead, *, needed: bool) -> list[Record]:
    """The records of a run; none where they are damaged and only the timeline would be made of them."""
    try:
        return store.history(head.id)
    except DamageError:
        if needed or head.earlier:
            raise
        return []


def _tell(
    result: Result, head: RunHead, plan: Plan, records: list[Record], ways: list[Way], *, why: bool, as_json: bool
) -> None:
    from ..chart.edit import in_terms_of_now
    from ..reports.timeline import rows, stays
    from ..reports.why import why_lines
    from .editing import edits_of
    from .printing import echo_json, fitted_table, run_lines, say

    edits = edits_of(records)
    if as_json:
        told: dict[str, Any] = {}
        if why:
            told["timeline"] = [one.to_json() for one in stays(plan, in_terms_of_now(records))]
            told["history"] = [record.to_json() for record in records]
        changed = {"edits": edits} if edits else {}
        origin = {"origin": dict(head.origin)} if head.origin else {}
        echo_json({**result.to_json(), **origin, **changed, **told})
        exit_with(0)
    for line in run_lines(result, head, edits, ways):
        say(line, err=False)
    if not records:
        say(f"timeline  its history is damaged: arazzo-machine show {head.id} --why tells what is left", err=False)
        return
    say("", err=False)
    for line in why_lines(plan, records) if why else fitted_table(rows(plan, in_terms_of_now(records))):
        say(line, err=False)
