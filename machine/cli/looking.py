"""``runs``: what there is in a store, which nothing here changes but ``--prune``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import DamageError, MachineError, UsageError, VersionError
from . import options as flags
from .app import exit_with

if TYPE_CHECKING:
    from ..runtime.result import Result
    from ..runtime.runner import Runner
    from ..stores.sqlite import SqliteStore

__all__ = ["runs"]

_PHASES = ["starting", "created", "polling", "ready", "failed"]


@click.command()
@click.option("--phase", "phases", multiple=True, type=click.Choice(_PHASES), help="Only runs in this phase.")
@click.option("-w", "--workflow", "workflows", multiple=True, metavar="NAME", help="Only runs of this workflow.")
@click.option("--since", type=flags.duration, metavar="AGE", help="Only runs that began no longer ago, e.g. 2h.")
@click.option("--prune", type=flags.duration, metavar="AGE", help="Forget runs that ended longer ago, e.g. 30d.")
@flags.store_option
@flags.as_json
def runs(
    phases: tuple[str, ...],
    workflows: tuple[str, ...],
    since: float | None,
    prune: float | None,
    store: Any,
    as_json: bool,
) -> None:
    """List the runs of the store, newest first.

    --phase and --workflow may be given several times. With --prune, runs that have ended, cannot be resumed and are
    older than AGE are forgotten first. A run that is damaged is named, with what can still be read of it, and the exit
    code is 65.

    \b
    arazzo-machine runs --phase failed --since 2h
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
        results, broken = _results(opened, runner, runner.clock.now() - since if since is not None else 0.0)
    results = [
        one for one in results if (not phases or one.phase in phases) and (not workflows or one.workflow in workflows)
    ]
    if as_json:
        gone = {"forgotten": forgotten} if prune is not None else {}
        damaged = {"damaged": [{"run": run_id, **error.to_json()} for run_id, error in broken]} if broken else {}
        echo_json({"runs": [one.to_json() for one in results], **gone, **damaged})
        exit_with(broken[0][1].exit_code if broken else 0)
    if not results and not broken:
        say("no such runs" if phases or workflows or since is not None else "no runs yet")
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


def _results(
    store: SqliteStore, runner: Runner, earliest: float
) -> tuple[list[Result], list[tuple[str, MachineError]]]:
    """Every run that began then or later, newest first, and every id of which nothing can be said."""
    whole: list[tuple[float, str, Result]] = []
    broken: list[tuple[str, MachineError]] = []
    for run_id in store.ids():
        try:
            created = store.load(run_id).head.created
            if created >= earliest:
                whole.append((created, run_id, runner.result(run_id)))
        except (DamageError, VersionError) as error:
            broken.append((run_id, error))
        except UsageError as error:
            # Nobody typed this id: it stands in the file, where no run can have it.
            what = "a run is stored under what is no run id"
            broken.append((run_id, DamageError(what, code="AZM-T028", seen=error.seen, next="restore the store")))
    return [result for _, _, result in sorted(whole, key=lambda one: one[:2], reverse=True)], broken
