"""``runs`` and ``show``: the verbs that look at a store and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import DamageError, MachineError, VersionError
from . import options as flags
from .app import exit_with
from .damaged import show_remains

if TYPE_CHECKING:
    from ..runtime.result import Result
    from ..runtime.runner import Runner
    from ..stores.sqlite import SqliteStore

__all__ = ["runs", "show"]


@click.command()
@click.option("--prune", type=flags.duration, metavar="AGE", help="Forget runs that ended longer ago, e.g. 30d.")
@flags.store_option
@flags.as_json
def runs(prune: float | None, store: Any, as_json: bool) -> None:
    """List the runs of the store, newest first.

    With --prune, runs that have ended, cannot be resumed and are older than AGE are forgotten first. A run that is
    damaged is named, with what can still be read of it, and the exit code is 65.

    \b
    arazzo-machine runs --prune 30d
    """
    from ..runtime.runner import Runner
    from ..runtime.standing import prune as forget
    from .printing import echo_json, error_lines, say, table
    from .simulating import simulator_file

    with flags.open_store(store, read_only=prune is None) as opened:
        runner = Runner(opened, store_flag=flags.store_flag(store))
        forgotten = forget(opened, runner.clock.now() - prune) if prune is not None else []
        for run_id in forgotten:
            # A run of the same id begins with a service that knows nothing of this one.
            simulator_file(opened, run_id).unlink(missing_ok=True)
            say(f"forgotten: {run_id}")
        results, broken = _results(opened, runner)
    if as_json:
        gone = {"forgotten": forgotten} if prune is not None else {}
        damaged = {"damaged": [{"run": run_id, **error.to_json()} for run_id, error in broken]} if broken else {}
        echo_json({"runs": [one.to_json() for one in results], **gone, **damaged})
        exit_with(broken[0][1].exit_code if broken else 0)
    if not results and not broken:
        say("no runs yet")
        return
    rows = [["RUN", "PHASE", "STATE", "REASON", "STARTED", "CALLS", "WORKFLOW"]]
    for one in results:
        rows.append([one.run, one.phase, one.state, one.reason, one.started or "", str(one.calls), one.workflow])
    for line in table(rows) if results else ():
        say(line, err=False)
    for run_id, error in broken:
        for line in error_lines(error):
            say(line)
        say(f"  what can still be read of it: arazzo-machine show {run_id} --why{runner.store_flag}")
    if broken:
        exit_with(broken[0][1].exit_code)


def _results(store: SqliteStore, runner: Runner) -> tuple[list[Result], list[tuple[str, MachineError]]]:
    """Every run, newest first, and every id of which that cannot be said."""
    whole: list[tuple[float, str, Result]] = []
    broken: list[tuple[str, MachineError]] = []
    for run_id in store.ids():
        try:
            whole.append((store.load(run_id).head.created, run_id, runner.result(run_id)))
        except (DamageError, VersionError) as error:
            broken.append((run_id, error))
    return [result for _, _, result in sorted(whole, key=lambda one: one[:2], reverse=True)], broken


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--token", "as_token", is_flag=True, help="Print the run as one text any machine can resume.")
@click.option("--why", is_flag=True, help="Tell, condition by condition, why it moved.")
@flags.store_option
@flags.as_json
def show(run_id: str, as_token: bool, why: bool, store: Any, as_json: bool) -> None:
    """Show one run and what to do about it.

    Its state, its outputs, what it may have left on the other side, and the command that goes on. RUN is an id or the
    beginning of one. Of a damaged run everything is shown that can still be read, and the exit code is 65.

    \b
    arazzo-machine show 1ng9 --why
    arazzo-machine show 1ng9 --token > run.token
    """
    from ..runtime.runner import Runner
    from .editing import edits_of
    from .printing import echo_json, run_lines, say, why_lines

    with flags.open_store(store, read_only=True) as opened:
        runner = Runner(opened, store_flag=flags.store_flag(store))
        found = opened.find(run_id)
        try:
            stored = opened.load(found)
            plan = runner.plan_of(stored)
            if as_token:
                from ..runtime.token import export_token

                click.echo(export_token(opened, stored, plan))
                return
            result = runner.result(found)
            records = opened.history(found) if why or stored.head.earlier else []
        except DamageError as error:
            show_remains(opened, found, error, why=why, as_json=as_json)
    edits = edits_of(records)
    if as_json:
        history = {"history": [record.to_json() for record in records]} if why else {}
        changed = {"edits": edits} if edits else {}
        origin = {"origin": dict(stored.head.origin)} if stored.head.origin else {}
        echo_json({**result.to_json(), **origin, **changed, **history})
        exit_with(0)
    for line in run_lines(result, stored.head, edits):
        say(line, err=False)
    if why:
        say("", err=False)
        for line in why_lines(plan, records):
            say(line, err=False)
