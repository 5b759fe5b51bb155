"""``run`` and ``resume``: the verbs that drive a run, and what every verb that moves one shares."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

from ..errors import IdentityError, StoreError, UsageError
from . import calling
from . import options as flags
from .app import concealer, deaf, exit_with, hush
from .completing import run_ids, scenario_names, workflow_names
from .editing import edited_of, reading
from .given import given_with, read_dependency_inputs, read_inputs, read_token
from .reporting import read_reports, report_option, ways_of, write_reports
from .simulating import simulated

if TYPE_CHECKING:
    from ..plan.model import Plan
    from ..runtime.run import Run
    from ..runtime.runner import Runner
    from ..runtime.secrets import Reference
    from ..stores.sqlite import SqliteStore
    from .progress import Progress

__all__ = ["opened_runner", "resume", "run"]

_LISTED = 10
_SIMULATED_PACE = 0.45
"""Seconds; with its jitter a look never waits longer than half a second."""

_log = click.option(
    "--log", type=click.Path(allow_dash=True), help="Append a JSON line per record; - is standard error."
)
_quiet = click.option("-q", "--quiet", is_flag=True, help="Say only what money depends on.")
_verbose = click.option("-v", "--verbose", is_flag=True, help="Say every answer, and the guard that decided.")


@click.command()
@click.argument("target", metavar="DOCUMENT", shell_complete=workflow_names)
@flags.document
@click.option("-i", "--input", "inputs", multiple=True, metavar="NAME=VALUE", help="An input.")
@click.option("--inputs", "inputs_file", type=click.Path(path_type=Path), help="A YAML or JSON file of inputs.")
@click.option(
    "--dep-input",
    "dependency_inputs",
    multiple=True,
    metavar="WORKFLOW.NAME=VALUE",
    help="An input of a workflow this one depends on.",
)
@click.option("--id", "run_id", default=None, help="The run's id; the same one never creates twice.")
@flags.reach
@calling.calls
@calling.checks
@flags.bounds
@flags.doubt
@flags.patience
@click.option(
    "--simulate",
    is_flag=False,
    flag_value="happy",
    metavar="[SCENARIO]",
    shell_complete=scenario_names,
    help="Call the simulator.",
)
@click.option("--profile", help="The simulator's API: published, live or legacy.")
@flags.store_option
@report_option
@_log
@_quiet
@_verbose
@flags.as_json
def run(target: str, **given: Any) -> None:
    """Run a workflow until it ends.

    DOCUMENT is a path, or the name of a shipped workflow. VALUE is a text, @env:VARIABLE, @file:PATH, @cmd:LINE or
    @prompt; @@ begins a text with @. A secret is never given as a text.

    The exit code says how it ended: 0 ready, 10 failed, 11 unmatched, 12 out of budget, 13 in doubt, 14 a secret is
    missing or was refused, 15 cancelled, 16 left for later (--once, --no-wait), 130 or 143 interrupted. After any other
    than 0 the last line is the command that goes on.

    \b
    arazzo-machine run deploy-inference-endpoint --simulate \\
        -i namespace=acme -i name=demo -i repository=gpt2
    """
    from ..chart.settings import Settings
    from ..library import Files
    from ..plan.build import build_plan
    from ..plan.dependencies import with_dependency_inputs
    from ..runtime.prepare import prepare
    from ..stores.base import check_run_id
    from .printing import ask_for

    read_reports(given["reports"])
    _check_words(given)
    simulate = given["simulate"]
    if given["profile"] and not simulate:
        raise UsageError(
            "--profile is about the simulator, and this would call the real service",
            code="AZM-U074",
            next="add --simulate, or leave --profile out",
        )
    files = Files()
    description = flags.describe_target(target, given, files)
    plan = build_plan(description, workflow=given["workflow"], unmatched=given["unmatched"], strict=given["strict"])
    plan = with_dependency_inputs(plan, read_dependency_inputs(given["dependency_inputs"]))
    prepared = prepare(plan, read_inputs(plan, given, simulated=bool(simulate)), prompt=ask_for)
    if given["run_id"] is not None:
        # An empty one is refused too: a variable that was not set must not become an id of its own every time.
        check_run_id(given["run_id"])
    changes = flags.changes_of(given)
    _check_policy(plan, changes.get("on_doubt"))
    options: dict[str, Any] = {
        "servers": flags.read_servers(given["servers"], plan.servers),
        "allow_hosts": flags.read_hosts(given["allow_hosts"]),
        "key": given["key"],
        "simulate": None,
        "read_from": reading(target, given, files),
    }
    if simulate:
        options["simulate"] = {"scenario": simulate, "profile": given["profile"] or "published"}
        changes["poll_interval"] = min(changes.get("poll_interval", _SIMULATED_PACE), _SIMULATED_PACE)
    from .progress import Progress

    progress = Progress(quiet=given["quiet"], verbose=given["verbose"], store=flags.store_flag(given["store"]))
    if calling.before(plan, prepared, given, options, progress, trusted=description.trusted):
        return
    with flags.open_store(given["store"]) as store, opened_runner(store, given, progress) as runner:
        run_id = given["run_id"] or runner.new_id()
        _same_side(runner, run_id, options["simulate"])
        with simulated(store, runner, run_id, options["simulate"], plan):
            if not given["quiet"] and not simulate:
                _announce_secrets(progress, runner, plan, prepared.references, options)
            started = runner.start(
                plan,
                prepared,
                run_id=run_id,
                settings=Settings().changed(changes),
                options=options,
                texts=description.texts,
            )
            if started.first is None:
                progress.taken_up(started, store.history(run_id))
            _finish(started, store, progress, given)


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False, default=None, shell_complete=run_ids)
@click.option("-i", "--input", "inputs", multiple=True, metavar="NAME=@REF", help="Another reference to a secret.")
@click.option("--token", "token_file", help="Go on with the run of a token: a file, or - for standard input.")
@click.option("--use-edited", is_flag=True, help="Go on with what the run's document says now.")
@click.option("--document", type=click.Path(path_type=Path), help="With --use-edited: the document is this file now.")
@flags.reach
@calling.calls
@flags.bounds
@flags.doubt
@flags.patience
@flags.store_option
@report_option
@_log
@_quiet
@_verbose
@flags.as_json
def resume(run_id: str | None, token_file: str | None, **given: Any) -> None:
    """Go on with a run that was interrupted or stopped.

    RUN is an id or the beginning of one; without it, the only resumable run of the store is taken. Inputs cannot
    change, but where a secret comes from can. A deadline counts from now. A run goes on with the document it was begun
    with, whatever became of the file; --use-edited takes up the edited one, shows what it does otherwise, and refuses
    where the run has already done what it says otherwise. Proxies, certificates and limits of answers belong to the
    machine this runs on: they are not kept with the run, so give them again, or set them in the environment.

    \b
    arazzo-machine resume
    arazzo-machine resume 1ng9 --deadline 30m
    arazzo-machine resume 1ng9 --use-edited
    arazzo-machine show 1ng9 --token | ssh other arazzo-machine resume --token - -i hfToken=@env:HF_TOKEN
    """
    from .progress import Progress

    read_reports(given["reports"])
    _check_words(given)
    if given["document"] is not None and not given["use_edited"]:
        raise UsageError(
            "--document says where the edited document is",
            code="AZM-U098",
            next="add --use-edited, or leave --document out: the run has its own stored",
        )
    with flags.open_store(given["store"]) as store:
        flag = flags.store_flag(given["store"])
        progress = Progress(quiet=given["quiet"], verbose=given["verbose"], store=flag)
        with opened_runner(store, given, progress) as runner:
            if token_file is not None:
                if run_id is not None:
                    raise UsageError(
                        "name a run or a token, not both",
                        code="AZM-U093",
                        next="a token says itself which run it goes on with",
                    )
                token = read_token(token_file)
                references, options = given_with(token.plan, given)
                _check_policy(token.plan, given["on_doubt"])
                kept = token.options(options, {name: one.text for name, one in references.items()}, ())
                if not given["quiet"]:
                    _announce_secrets(progress, runner, token.plan, references, kept)
                begun = runner.adopt_token(
                    token, changes=flags.changes_of(given), options=options, references=references
                )
                progress.taken_up(begun)
                _finish(begun, store, progress, given)
            chosen = store.find(run_id) if run_id is not None else _only_resumable(store, runner)
            stored = store.load(chosen)
            plan = runner.plan_of(stored)
            edited, said = edited_of(stored, plan, given, progress)
            plan = edited.plan if edited else plan
            _check_policy(plan, given["on_doubt"])
            references, options = given_with(plan, given)
            simulate = stored.head.options.get("simulate")
            with simulated(store, runner, chosen, simulate, plan, renewed=True):
                resumed = runner.resume(
                    chosen, changes=flags.changes_of(given), options=options, references=references, edited=edited
                )
                progress.taken_up(resumed, store.history(chosen))
                _finish(resumed, store, progress, given, said)


# -- shared ------------------------------------------------------------------------------------------------------------


@contextmanager
def opened_runner(store: SqliteStore, given: Mapping[str, Any], progress: Progress | None) -> Iterator[Runner]:
    """A runner whose observers are the progress lines and, where asked for, a log."""
    from ..runtime.clock import Interrupts
    from ..runtime.runner import Runner
    from .printing import ask_for

    with ExitStack() as stack:
        observers: list[Any] = []
        clock = None
        if progress is not None:
            from .progress import LiveClock

            observers.append(progress)
            clock = LiveClock(progress)
            stack.callback(progress.done)
        if given.get("log"):
            from ..runtime.observers import LogObserver

            stream = stack.enter_context(_log_stream(given["log"]))
            observers.append(LogObserver(stream, conceal=concealer().conceal))
        interrupts = stack.enter_context(Interrupts().caught())

        def prompt(name: str) -> str:
            # Nothing is under way while a person types, so a signal ends that at once.
            interrupts.waiting = True
            try:
                interrupts.check()
                return ask_for(name)
            finally:
                interrupts.waiting = False

        runner = Runner(
            store,
            clock=clock,
            interrupts=interrupts,
            observers=observers,
            prompt=prompt,
            transport=calling.transport_of(given),
            patience="call" if given.get("once") else "wait" if given.get("no_wait") else "end",
            store_flag=flags.store_flag(given.get("store")),
        )
        runner.reach.concealer = concealer()
        yield runner


def _check_words(given: Mapping[str, Any]) -> None:
    if given["quiet"] and given["verbose"]:
        raise UsageError("--quiet and --verbose say the opposite", code="AZM-U132", next="choose one of them")


def _check_policy(plan: Plan, policy: str | None) -> None:
    """Refuse a policy no unsafe call of the workflow could follow, rather than holding in silence."""
    effects = [call.effect for table in plan.tables() for call in table.calls.values() if call.unsafe]
    lacking = {
        "probe": ("a probe", all(one.probe is None for one in effects)),
        "reissue": ("an idempotency key", all(one.key is None for one in effects)),
    }
    what, missing = lacking.get(policy or "", ("", False))
    if missing:
        raise UsageError(
            f"no call of {plan.workflow} declares {what}",
            code="AZM-U077",
            next="declare it under x-machine.effect, in the document or with --overlay",
        )


@contextmanager
def _log_stream(target: str) -> Iterator[TextIO]:
    if target == "-":
        yield sys.stderr
        return
    try:
        stream = open(target, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - closed below
    except OSError as error:
        raise StoreError(
            "the log cannot be written",
            code="AZM-T081",
            seen=f"{target}: {error.strerror}",
            next="choose another --log; nothing was sent",
        ) from error
    try:
        yield stream
    finally:
        # A disk that filled up meanwhile has been reported line by line, and does not change how the run ended.
        with suppress(OSError):
            stream.close()


def _same_side(runner: Runner, run_id: str, simulate: Mapping[str, str] | None) -> None:
    """Refuse to go on against the simulator with a run of the real service, or the other way round."""
    try:
        before = runner.store.load(run_id).head.options.get("simulate")
    except UsageError:
        return
    if bool(before) != bool(simulate):
        raise IdentityError(
            f"run {run_id} was begun {'against the simulator' if before else 'without --simulate'}",
            code="AZM-C012",
            next=f"choose another --id, or go on with it: arazzo-machine resume {run_id}{runner.store_flag}",
        )


def _announce_secrets(
    progress: Progress, runner: Runner, plan: Plan, references: Mapping[str, Reference], options: Mapping[str, Any]
) -> None:
    """Which secret goes to which host: said before anything is sent."""
    from urllib.parse import urlsplit

    known = runner.reach.destinations(plan, {**options, "secrets": references})
    everywhere = [base for source in plan.servers for base in runner.reach.bases(plan, options, source)]
    for name, reference in references.items():
        hosts = sorted({urlsplit(base).netloc for base in known.get(name, everywhere)})
        progress.line(f"secret {name} ({reference.text}) goes to {', '.join(hosts)}")
    for line in calling.announce_auth(plan, options, runner.reach):
        progress.line(line)


def _only_resumable(store: SqliteStore, runner: Runner) -> str:
    """The run a bare ``resume`` means: the only resumable one; else the latest, whose result is shown again."""
    stored = store.runs()
    if not stored:
        raise UsageError(
            "the store has no runs",
            code="AZM-U068",
            seen=str(store.path),
            next="begin one: arazzo-machine run --help",
        )
    found = [result for result in (runner.result(one.head.id) for one in stored) if result.resumable]
    if len(found) > 1:
        listed = [f"{one.run} ({one.state})" for one in found[:_LISTED]]
        raise UsageError(
            f"{len(found)} runs can be resumed",
            code="AZM-U069",
            seen=", ".join([*listed, *(["..."] if len(found) > _LISTED else [])]),
            next=f"name one: arazzo-machine resume {found[0].run}{runner.store_flag}",
        )
    return found[0].run if found else stored[0].head.id


def _finish(
    run: Run,
    store: SqliteStore,
    progress: Progress,
    given: Mapping[str, Any],
    more: Mapping[str, Any] = MappingProxyType({}),
) -> NoReturn:
    """Drive the run to its stop, say what it came to, and exit with its code whoever still listens. ``more`` is said in
    JSON beside the result."""
    from .printing import echo_json, print_result

    result = run.result()
    deaf()
    progress.done()
    for trouble in run.troubles[:1]:
        progress.line(f"warning: a log or progress line could not be written ({trouble}); the run is not affected")
    try:
        write_reports(read_reports(given["reports"]), store, run.id, run.plan, result, progress)
        if given["as_json"]:
            echo_json({**result.to_json(), **more})
        else:
            print_result(result, ways_of(store, run.id, result))
    except BrokenPipeError:
        hush()
    exit_with(result.exit_code)
