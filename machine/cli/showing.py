"""``show``: one run, told in as much detail as is asked for. Nothing is changed by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import DamageError, UsageError
from . import options as flags
from .app import exit_with
from .damaged import show_remains

if TYPE_CHECKING:
    from ..chart.snapshot import Record
    from ..plan.model import Plan
    from ..runtime.result import Result
    from ..stores.base import RunHead
    from ..stores.sqlite import SqliteStore

__all__ = ["show"]


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--why", is_flag=True, help="Tell why it moved, and what would have moved it otherwise.")
@click.option("--follow", "following", is_flag=True, help="Watch it until it ends; the exit code is the run's.")
@click.option("--token", "as_token", is_flag=True, help="Print the run as one text any machine can resume.")
@flags.store_option
@flags.as_json
def show(run_id: str, **given: Any) -> None:
    """Show one run and what to do about it.

    Its state, its outputs, what it may have left on the other side, the command that goes on, and a timeline: how long
    it stayed where, what was sent and answered. RUN is an id or the beginning of one. With --follow a run that another
    process drives is watched until it stops; Ctrl-C ends the watching only. Of a damaged run everything is shown that
    can still be read, and the exit code is 65.

    \b
    arazzo-machine show 1ng9 --why
    arazzo-machine show 1ng9 --follow
    arazzo-machine show 1ng9 --token > run.token
    """
    from ..runtime.runner import Runner

    why, as_json = given["why"], given["as_json"]
    forms = [name for name in ("following", "as_token") if given[name]]
    if len(forms) + why > 1:
        raise UsageError(
            "--why, --follow and --token say different things",
            code="AZM-U120",
            next="choose one of them",
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
            if given["following"]:
                from .following import follow
                from .progress import Progress

                follow(runner, found, Progress(store=runner.store_flag), as_json=as_json)
            result = runner.result(found)
            records = _history(opened, stored.head, needed=why)
        except DamageError as error:
            show_remains(opened, found, error, why=why, as_json=as_json)
    _tell(result, stored.head, plan, records, why=why, as_json=as_json)


def _history(store: SqliteStore, head: RunHead, *, needed: bool) -> list[Record]:
    """The records of a run; none where they are damaged and only the timeline would be made of them."""
    try:
        return store.history(head.id)
    except DamageError:
        if needed or head.earlier:
            raise
        return []


def _tell(result: Result, head: RunHead, plan: Plan, records: list[Record], *, why: bool, as_json: bool) -> None:
    from ..chart.edit import in_terms_of_now
    from ..reports.timeline import rows, stays
    from ..reports.why import why_lines
    from .editing import edits_of
    from .printing import echo_json, run_lines, say, table

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
    for line in run_lines(result, head, edits):
        say(line, err=False)
    if not records:
        say(f"timeline  its history is damaged: arazzo-machine show {head.id} --why tells what is left", err=False)
        return
    say("", err=False)
    for line in why_lines(plan, records) if why else table(rows(plan, in_terms_of_now(records))):
        say(line, err=False)
