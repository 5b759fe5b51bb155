"""``runs`` and ``show``: the verbs that look at a store and change nothing."""

from __future__ import annotations

from typing import Any

import click

from . import options as flags
from .app import exit_with

__all__ = ["runs", "show"]


@click.command()
@click.option("--prune", type=flags.duration, metavar="AGE", help="Forget runs that ended longer ago, e.g. 30d.")
@flags.store_option
@flags.as_json
def runs(prune: float | None, store: Any, as_json: bool) -> None:
    """List the runs of the store, newest first.

    With --prune, runs that have ended, cannot be resumed and are older than AGE are forgotten first.

    \b
    arazzo-machine runs --prune 30d
    """
    from ..runtime.runner import Runner
    from ..runtime.standing import prune as forget
    from .executing import simulator_file
    from .printing import echo_json, say, table

    with flags.open_store(store, read_only=prune is None) as opened:
        runner = Runner(opened, store_flag=flags.store_flag(store))
        forgotten = forget(opened, runner.clock.now() - prune) if prune is not None else []
        for run_id in forgotten:
            # A run of the same id begins with a service that knows nothing of this one.
            simulator_file(opened, run_id).unlink(missing_ok=True)
            say(f"forgotten: {run_id}")
        results = [runner.result(one.head.id) for one in opened.runs()]
    if as_json:
        gone = {"forgotten": forgotten} if prune is not None else {}
        echo_json({"runs": [one.to_json() for one in results], **gone})
        return
    if not results:
        say("no runs yet")
        return
    rows = [["RUN", "PHASE", "STATE", "REASON", "STARTED", "CALLS", "WORKFLOW"]]
    for one in results:
        rows.append([one.run, one.phase, one.state, one.reason, one.started or "", str(one.calls), one.workflow])
    for line in table(rows):
        say(line, err=False)


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--token", "as_token", is_flag=True, help="Print the run as one text any machine can resume.")
@click.option("--why", is_flag=True, help="Tell, condition by condition, why it moved.")
@flags.store_option
@flags.as_json
def show(run_id: str, as_token: bool, why: bool, store: Any, as_json: bool) -> None:
    """Show one run and what to do about it.

    Its state, its outputs, what it may have left on the other side, and the command that goes on. RUN is an id or the
    beginning of one.

    \b
    arazzo-machine show 1ng9 --why
    arazzo-machine show 1ng9 --token > run.token
    """
    from ..runtime.runner import Runner
    from .printing import echo_json, other_side, plain, say, why_lines

    with flags.open_store(store, read_only=True) as opened:
        runner = Runner(opened, store_flag=flags.store_flag(store))
        found = opened.find(run_id)
        if as_token:
            from ..runtime.token import export_token

            stored = opened.load(found)
            click.echo(export_token(opened, stored, runner.plan_of(stored)))
            return
        result = runner.result(found)
        plan = runner.plan_of(opened.load(found))
        records = opened.history(found) if why else []
    if as_json:
        history = {"history": [record.to_json() for record in records]} if why else {}
        echo_json({**result.to_json(), **history})
        exit_with(0)
    say(f"run       {result.run}", err=False)
    say(f"workflow  {result.workflow} ({result.document})", err=False)
    say(f"state     {result.state}, phase {result.phase}", err=False)
    say(f"reason    {result.reason}: {result.message}", err=False)
    say(f"started   {result.started}" + (f", ended {result.ended}" if result.ended else ""), err=False)
    say(f"calls     {result.calls}", err=False)
    for name, value in result.outputs.items():
        say(f"output    {name}: {plain(value) if name not in result.unresolved else 'not known'}", err=False)
    for line in other_side(result):
        say(f"effect    {line}", err=False)
    if result.next.command:
        say(f"next      {result.next.action}: {result.next.command}", err=False)
    if why:
        say("", err=False)
        for line in why_lines(plan, records):
            say(line, err=False)
