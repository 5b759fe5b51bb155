"""``run``, ``resume``, ``resolve``: the verbs that move a run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from ..errors import UsageError
from . import options as flags
from .app import exit_with

if TYPE_CHECKING:
    from ..plan.model import Plan
    from ..runtime.runner import Runner
    from ..stores.sqlite import SqliteStore

__all__ = ["resolve", "resume", "run"]

_SIMULATED_PACE = 0.45
"""Seconds; with its jitter a look never waits longer than half a second."""

_log = click.option(
    "--log", type=click.Path(allow_dash=True), help="Append one JSON line per record to a file; - is standard error."
)
_quiet = click.option("-q", "--quiet", is_flag=True, help="Say only what money depends on.")


@click.command()
@click.argument("target", metavar="DOCUMENT")
@flags.document
@click.option("-i", "--input", "inputs", multiple=True, metavar="NAME=VALUE", help="Literal, @env:VAR, @file:PATH ...")
@click.option("--inputs", "inputs_file", type=click.Path(path_type=Path), help="A YAML or JSON file of inputs.")
@click.option("--id", "run_id", default="", help="The run's id: the same id never creates twice.")
@flags.reach
@flags.bounds
@click.option("--simulate", is_flag=False, flag_value="happy", metavar="[SCENARIO]", help="Against the simulator.")
@click.option("--profile", default="published", help="The simulator's API profile: published, live or legacy.")
@flags.store_option
@_log
@_quiet
@flags.as_json
def run(target: str, **given: Any) -> None:
    """Run a workflow until it ends.

    DOCUMENT is a path, or the name of a shipped workflow. The exit code says how it ended: 0 ready, 10 failed,
    11 unmatched, 12 out of budget, 13 in doubt, 14 a secret is needed.

    \b
    arazzo-machine run deploy-inference-endpoint --simulate -i namespace=acme -i name=demo -i repository=gpt2
    """
    from ..chart.settings import Settings
    from ..plan.build import build_plan
    from ..runtime.prepare import prepare
    from ..stores.base import check_run_id

    description = flags.describe_target(target, given["sources"])
    plan = build_plan(description, workflow=given["workflow"], unmatched=given["unmatched"], strict=given["strict"])
    simulate = given["simulate"]
    prepared = prepare(plan, _inputs(plan, given, simulated=bool(simulate)), prompt=_ask)
    if given["run_id"]:
        check_run_id(given["run_id"])
    changes = flags.changes_of(given)
    options: dict[str, Any] = {
        "servers": flags.read_servers(given["servers"], plan.servers),
        "allow_hosts": list(given["allow_hosts"]),
        "simulate": None,
    }
    if simulate:
        options["simulate"] = {"scenario": simulate, "profile": given["profile"]}
        changes["poll_interval"] = min(changes.get("poll_interval", _SIMULATED_PACE), _SIMULATED_PACE)
    from .progress import Progress

    progress = Progress(quiet=given["quiet"], store=flags.store_flag(given["store"]))
    if not given["as_json"] and not given["quiet"]:
        for notice in plan.notices:
            progress.line(f"note: {notice}")
    for warning in prepared.warnings:
        progress.line(f"warning: {warning}")
    with flags.open_store(given["store"]) as store, _runner(store, given, progress) as runner:
        run_id = given["run_id"] or runner.new_id()
        with _simulated(runner, run_id, options["simulate"], plan):
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
            _finish(started, progress, given["as_json"])


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False, default="")
@click.option("-i", "--input", "inputs", multiple=True, metavar="NAME=@REF", help="Another reference to a secret.")
@flags.reach
@flags.bounds
@flags.store_option
@_log
@_quiet
@flags.as_json
def resume(run_id: str, **given: Any) -> None:
    """Go on with a run that was interrupted or stopped.

    RUN is an id or the beginning of one; without it, the only resumable run of the store is taken.

    \b
    arazzo-machine resume
    arazzo-machine resume 1ng9 --deadline 30m
    """
    from ..runtime.secrets import Reference
    from .progress import Progress

    with flags.open_store(given["store"]) as store:
        flag = flags.store_flag(given["store"])
        progress = Progress(quiet=given["quiet"], store=flag)
        with _runner(store, given, progress) as runner:
            chosen = store.find(run_id) if run_id else _only_resumable(store, runner)
            stored = store.load(chosen)
            plan = runner.plan_of(stored)
            references = {name: Reference(text) for name, text in flags.pairs(given["inputs"], "-i").items()}
            unknown = sorted(set(references) - set(plan.secrets))
            if unknown:
                raise UsageError(
                    f"{unknown[0]!r} is not a secret input of this run",
                    code="AZM-U062",
                    next="the other inputs of a run cannot change",
                )
            options = {
                "servers": flags.read_servers(given["servers"], plan.servers),
                "allow_hosts": list(given["allow_hosts"]),
            }
            simulate = stored.head.options.get("simulate")
            with _simulated(runner, chosen, simulate, plan, renewed=True):
                resumed = runner.resume(chosen, changes=flags.changes_of(given), options=options, references=references)
                _finish(resumed, progress, given["as_json"])


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--not-sent", "not_sent", is_flag=True, help="It never reached the other side: it is sent again.")
@click.option("--adopt", "adopted", multiple=True, metavar="OUTPUT=VALUE", help="It was applied; its outputs.")
@click.option("--accept", is_flag=True, help="The stored answer was a success after all.")
@flags.store_option
@flags.as_json
def resolve(run_id: str, not_sent: bool, adopted: tuple[str, ...], accept: bool, **given: Any) -> None:
    """Settle a doubt; sends nothing, and prints the command that goes on.

    \b
    arazzo-machine resolve 1ng9 --adopt endpointName=demo
    """
    if sum([not_sent, bool(adopted), accept]) != 1:
        raise UsageError("choose one of --not-sent, --adopt and --accept", code="AZM-U063")
    from .printing import echo_json, print_result

    outputs = {name: _plain(value) for name, value in flags.pairs(adopted, "--adopt").items()}
    with flags.open_store(given["store"]) as store, _runner(store, given, None) as runner:
        choice = "not_sent" if not_sent else "adopt" if adopted else "accept"
        result = runner.resolve(store.find(run_id), choice, outputs=outputs)  # type: ignore[arg-type]
    if given["as_json"]:
        echo_json(result.to_json())
    else:
        print_result(result)
    exit_with(result.exit_code if result.reason == "in_doubt" else 0)


# -- shared ------------------------------------------------------------------------------------------------------------


@contextmanager
def _runner(store: SqliteStore, given: Mapping[str, Any], progress: Any) -> Iterator[Runner]:
    """A runner whose observers are the progress lines and, where asked for, a log."""
    from ..runtime.clock import Interrupts
    from ..runtime.runner import Runner

    with ExitStack() as stack:
        observers: list[Any] = []
        clock = None
        if progress is not None:
            from .progress import LiveClock

            observers.append(progress)
            clock = LiveClock(progress)
        if given.get("log"):
            from ..runtime.observers import LogObserver

            observers.append(LogObserver(stack.enter_context(_log_stream(given["log"]))))
        interrupts = stack.enter_context(Interrupts().caught())
        yield Runner(
            store,
            clock=clock,
            interrupts=interrupts,
            observers=observers,
            prompt=_ask,
            store_flag=flags.store_flag(given.get("store")),
        )


@contextmanager
def _log_stream(target: str) -> Iterator[TextIO]:
    if target == "-":
        yield sys.stderr
        return
    try:
        stream = open(target, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - closed below
    except OSError as error:
        raise UsageError("the log cannot be written", code="AZM-U064", seen=f"{target}: {error.strerror}") from error
    with stream:
        yield stream


@contextmanager
def _simulated(
    runner: Runner, run_id: str, simulate: Mapping[str, str] | None, plan: Plan, *, renewed: bool = False
) -> Iterator[None]:
    """Run the simulator for as long as the block lasts; its state is kept beside the store, one file a run."""
    if not simulate:
        yield
        return
    from ..testing.server import Simulator

    path = runner.store.path  # type: ignore[attr-defined]
    folder = path.with_name(path.name + ".simulator")
    folder.mkdir(mode=0o700, exist_ok=True)
    with Simulator(
        simulate["scenario"], simulate["profile"], state_file=folder / f"{run_id}.json", renewed=renewed
    ) as simulator:
        runner.servers = dict.fromkeys(plan.servers, simulator.url)
        runner.secret_texts = {name: f"simulated-{name}" for name in plan.secrets}
        yield


def _inputs(plan: Plan, given: Mapping[str, Any], *, simulated: bool) -> dict[str, Any]:
    from ..plan.inputs import coerce
    from ..runtime.secrets import Reference, parse_reference

    values: dict[str, Any] = dict(_inputs_of_file(given["inputs_file"])) if given["inputs_file"] else {}
    for name, text in flags.pairs(given["inputs"], "-i").items():
        value = parse_reference(text)
        values[name] = value if isinstance(value, Reference) else coerce(plan, name, value)
    for name in plan.secrets:
        if name in values and not isinstance(values[name], Reference):
            raise UsageError(
                f"{name!r} is a secret: its text does not belong on a command line or in a file of inputs",
                code="AZM-U065",
                next=f"give a reference: -i {name}=@env:VARIABLE",
            )
        if simulated and name not in values:
            values[name] = Reference(f"@env:SIMULATED_{name.upper()}")
    return values


def _inputs_of_file(path: Path) -> dict[str, Any]:
    from ..document.load import parse
    from ..runtime.secrets import parse_reference

    try:
        value = parse(path.read_bytes(), uri=str(path)).value
    except OSError as error:
        raise UsageError("the inputs cannot be read", code="AZM-U066", seen=f"{path}: {error.strerror}") from error
    if not isinstance(value, dict):
        raise UsageError("the inputs must be a mapping of names to values", code="AZM-U067", seen=str(path))
    return {name: parse_reference(one) if isinstance(one, str) else one for name, one in value.items()}


def _plain(text: str) -> Any:
    """An adopted output: JSON where it is, else the text itself."""
    import json

    try:
        return json.loads(text)
    except ValueError:
        return text


def _ask(name: str) -> str:
    return str(click.prompt(name, hide_input=True, err=True))


def _announce_secrets(
    progress: Any, runner: Runner, plan: Plan, references: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    """Which secret goes to which host: said before anything is sent."""
    from urllib.parse import urlsplit

    hosts = sorted({urlsplit(runner.base(plan, options, source)).netloc for source in plan.servers})
    for name, reference in references.items():
        progress.line(f"secret {name} ({reference.text}) goes to {', '.join(hosts)}")


def _only_resumable(store: SqliteStore, runner: Runner) -> str:
    """The run a bare ``resume`` means: the only resumable one; else the latest, whose result is shown again."""
    stored = store.runs()
    if not stored:
        raise UsageError("the store has no runs", code="AZM-U068", next="arazzo-machine run --help")
    open_runs = [one.head.id for one in stored if runner.result(one.head.id).resumable]
    if len(open_runs) > 1:
        raise UsageError(
            f"{len(open_runs)} runs can be resumed", code="AZM-U069", seen=", ".join(open_runs[:10]), next="name one"
        )
    return open_runs[0] if open_runs else stored[0].head.id


def _finish(run: Any, progress: Any, as_json: bool) -> None:
    from .printing import echo_json, print_result

    result = run.result()
    progress.done()
    if as_json:
        echo_json(result.to_json())
    else:
        print_result(result)
    exit_with(result.exit_code)
