"""``run`` and ``resume``: the verbs that drive a run, and what every verb that moves one shares."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

from ..errors import IdentityError, StoreError, UsageError
from . import calling
from . import options as flags
from .app import concealer, deaf, exit_with, hush
from .printing import ask_for

if TYPE_CHECKING:
    from ..plan.model import Plan
    from ..runtime.run import Run
    from ..runtime.runner import Runner
    from ..runtime.secrets import Reference
    from ..runtime.token import Token
    from ..stores.sqlite import SqliteStore
    from .progress import Progress

__all__ = ["opened_runner", "resume", "run", "simulated", "simulator_file"]

_LISTED = 10
_SIMULATED_PACE = 0.45
"""Seconds; with its jitter a look never waits longer than half a second."""

_log = click.option(
    "--log", type=click.Path(allow_dash=True), help="Append a JSON line per record; - is standard error."
)
_quiet = click.option("-q", "--quiet", is_flag=True, help="Say only what money depends on.")


@click.command()
@click.argument("target", metavar="DOCUMENT")
@flags.document
@click.option("-i", "--input", "inputs", multiple=True, metavar="NAME=VALUE", help="An input.")
@click.option("--inputs", "inputs_file", type=click.Path(path_type=Path), help="A YAML or JSON file of inputs.")
@click.option("--id", "run_id", default=None, help="The run's id; the same one never creates twice.")
@flags.reach
@calling.calls
@calling.checks
@flags.bounds
@flags.doubt
@flags.patience
@click.option("--simulate", is_flag=False, flag_value="happy", metavar="[SCENARIO]", help="Call the simulator.")
@click.option("--profile", help="The simulator's API: published, live or legacy.")
@flags.store_option
@_log
@_quiet
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
    from ..plan.build import build_plan
    from ..runtime.prepare import prepare
    from ..stores.base import check_run_id

    simulate = given["simulate"]
    if given["profile"] and not simulate:
        raise UsageError(
            "--profile is about the simulator, and this would call the real service",
            code="AZM-U074",
            next="add --simulate, or leave --profile out",
        )
    description = flags.describe_target(target, given)
    plan = build_plan(description, workflow=given["workflow"], unmatched=given["unmatched"], strict=given["strict"])
    prepared = prepare(plan, _inputs(plan, given, simulated=bool(simulate)), prompt=ask_for)
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
    }
    if simulate:
        options["simulate"] = {"scenario": simulate, "profile": given["profile"] or "published"}
        changes["poll_interval"] = min(changes.get("poll_interval", _SIMULATED_PACE), _SIMULATED_PACE)
    from .progress import Progress

    progress = Progress(quiet=given["quiet"], store=flags.store_flag(given["store"]))
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
                progress.taken_up(started)
            _finish(started, progress, given["as_json"])


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False, default=None)
@click.option("-i", "--input", "inputs", multiple=True, metavar="NAME=@REF", help="Another reference to a secret.")
@click.option("--token", "token_file", help="Go on with the run of a token: a file, or - for standard input.")
@flags.reach
@calling.calls
@flags.bounds
@flags.doubt
@flags.patience
@flags.store_option
@_log
@_quiet
@flags.as_json
def resume(run_id: str | None, token_file: str | None, **given: Any) -> None:
    """Go on with a run that was interrupted or stopped.

    RUN is an id or the beginning of one; without it, the only resumable run of the store is taken. Inputs cannot
    change, but where a secret comes from can. A deadline counts from now.

    \b
    arazzo-machine resume
    arazzo-machine resume 1ng9 --deadline 30m
    arazzo-machine show 1ng9 --token | ssh other arazzo-machine resume --token -
    """
    from ..runtime.secrets import Reference
    from .progress import Progress

    with flags.open_store(given["store"]) as store:
        flag = flags.store_flag(given["store"])
        progress = Progress(quiet=given["quiet"], store=flag)
        with opened_runner(store, given, progress) as runner:
            if token_file is not None:
                if run_id is not None:
                    raise UsageError(
                        "name a run or a token, not both",
                        code="AZM-U093",
                        next="a token says itself which run it goes on with",
                    )
                token = _fitted(_token(token_file), given)
                _check_policy(token.plan, given["on_doubt"])
                if not given["quiet"]:
                    kept = token.options.get("secrets", {})
                    references = {name: Reference(kept[name]) for name in token.plan.secrets if name in kept}
                    _announce_secrets(progress, runner, token.plan, references, token.options)
                begun = runner.adopt_token(token, changes=flags.changes_of(given))
                progress.taken_up(begun)
                _finish(begun, progress, given["as_json"])
            chosen = store.find(run_id) if run_id is not None else _only_resumable(store, runner)
            stored = store.load(chosen)
            plan = runner.plan_of(stored)
            _check_policy(plan, given["on_doubt"])
            references = _references(plan, flags.pairs(given["inputs"], "-i"))
            options = {
                "servers": flags.read_servers(given["servers"], plan.servers),
                "allow_hosts": flags.read_hosts(given["allow_hosts"]),
                "key": given["key"],
                "auth": calling.auth_given(plan, given),
            }
            simulate = stored.head.options.get("simulate")
            with simulated(store, runner, chosen, simulate, plan, renewed=True):
                resumed = runner.resume(chosen, changes=flags.changes_of(given), options=options, references=references)
                progress.taken_up(resumed)
                _finish(resumed, progress, given["as_json"])


# -- shared ------------------------------------------------------------------------------------------------------------


@contextmanager
def opened_runner(store: SqliteStore, given: Mapping[str, Any], progress: Progress | None) -> Iterator[Runner]:
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
            stack.callback(progress.done)
        if given.get("log"):
            from ..runtime.observers import LogObserver

            stream = stack.enter_context(_log_stream(given["log"]))
            observers.append(LogObserver(stream, conceal=concealer().conceal))
        interrupts = stack.enter_context(Interrupts().caught())

        def ask(name: str) -> str:
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
            prompt=ask,
            transport=calling.transport_of(given),
            patience="call" if given.get("once") else "wait" if given.get("no_wait") else "end",
            store_flag=flags.store_flag(given.get("store")),
        )
        runner.reach.concealer = concealer()
        yield runner


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


@contextmanager
def simulated(
    store: SqliteStore,
    runner: Runner,
    run_id: str,
    simulate: Mapping[str, str] | None,
    plan: Plan,
    *,
    renewed: bool = False,
) -> Iterator[None]:
    """Run the simulator for as long as the block lasts; its state is kept beside the store, one file a run."""
    if not simulate:
        yield
        return
    from ..stores.locks import busy
    from ..testing.server import Simulator

    other = store.held(run_id)
    if other is not None:
        # Its simulator is running too, and a second one would write to the same file.
        raise busy(run_id, other)
    state_file = simulator_file(store, run_id)
    folder = state_file.parent
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreError(
            "the simulator's state cannot be kept",
            code="AZM-T082",
            seen=f"{folder}: {error.strerror}",
            next="name another store with --store",
        ) from error
    with Simulator(simulate["scenario"], simulate["profile"], state_file=state_file, renewed=renewed) as simulator:
        runner.reach.servers = dict.fromkeys(plan.servers, simulator.url)
        runner.reach.pretend = True
        runner.reach.secret_texts = {name: f"simulated-{name}" for name in plan.secrets}
        yield


def simulator_file(store: SqliteStore, run_id: str) -> Path:
    """Where the simulator of a run keeps what it knows."""
    return store.path.with_name(store.path.name + ".simulator") / f"{run_id}.json"


def _inputs(plan: Plan, given: Mapping[str, Any], *, simulated: bool) -> dict[str, Any]:
    """The inputs of the file, then those of the line over them; a text is fitted to the type the document names."""
    from ..plan.inputs import coerce
    from ..runtime.secrets import Reference

    values: dict[str, Any] = dict(_inputs_of_file(given["inputs_file"])) if given["inputs_file"] else {}
    for name, text in flags.pairs(given["inputs"], "-i").items():
        value = flags.read_value(name, text)
        values[name] = value if isinstance(value, Reference) else coerce(plan, name, value)
    for name in plan.secrets:
        if name in values and not isinstance(values[name], Reference):
            raise _literal(plan, name)
        if simulated and name not in values:
            values[name] = Reference(f"@env:SIMULATED_{name.upper()}")
    return values


def _token(source: str) -> Token:
    from ..runtime.token import Token

    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "the token cannot be read",
            code="AZM-U094",
            seen=f"{source}: {type(error).__name__}",
            next="name a file that `show RUN --token` wrote, or - for standard input",
        ) from error
    return Token.read(text)


def _fitted(token: Token, given: Mapping[str, Any]) -> Token:
    """The token with what was given for this place over what came along.

    Raises UsageError AZM-U095 where a secret would come from a command line of the token's: a text from elsewhere
    chooses no program that runs here.
    """
    from dataclasses import replace

    came, plan = token.options, token.plan
    references = _references(plan, flags.pairs(given["inputs"], "-i"))
    secrets = {**came.get("secrets", {}), **{name: one.text for name, one in references.items()}}
    for name, text in secrets.items():
        if name not in references and not (isinstance(text, str) and text.startswith(("@env:", "@prompt"))):
            raise UsageError(
                f"the token takes {name!r} from a command or a file, which may be another one here",
                code="AZM-U095",
                seen=str(text)[:200],
                next=f"say where it comes from here: -i {name}=@env:VARIABLE",
            )
    options = {
        **came,
        "servers": {**came.get("servers", {}), **flags.read_servers(given["servers"], plan.servers)},
        "allow_hosts": flags.read_hosts(given["allow_hosts"]) or came.get("allow_hosts", []),
        "secrets": secrets,
        "auth": calling.auth_given(plan, given),
    }
    return replace(token, options=options)


def _references(plan: Plan, texts: Mapping[str, str]) -> dict[str, Reference]:
    """What ``resume -i`` may change: where secrets come from, those an answer gave included."""
    from ..runtime.sealing import is_answered
    from ..runtime.secrets import Reference

    found: dict[str, Reference] = {}
    for name, text in texts.items():
        if name not in plan.secrets and not is_answered(name):
            raise UsageError(
                f"{name!r} is not a secret input of this run",
                code="AZM-U062",
                next="the other inputs of a run cannot change; a new run can have others",
            )
        value = flags.read_value(name, text)
        if not isinstance(value, Reference):
            raise _literal(plan, name)
        found[name] = value
    return found


def _literal(plan: Plan, name: str) -> UsageError:
    origin = next((one.origin for one in plan.inputs if one.name == name and one.origin), "@env:VARIABLE")
    return UsageError(
        f"{name!r} is a secret: its text does not belong on a command line or in a file of inputs",
        code="AZM-U065",
        next=f"give a reference: -i {name}={origin}",
    )


def _inputs_of_file(path: Path) -> dict[str, Any]:
    from ..document.load import parse

    try:
        value = parse(path.read_bytes(), uri=str(path)).value
    except OSError as error:
        raise UsageError(
            "the inputs cannot be read", code="AZM-U066", seen=f"{path}: {error.strerror}", next="check --inputs"
        ) from error
    if not isinstance(value, dict):
        raise UsageError(
            "the inputs must be a mapping of names to values",
            code="AZM-U067",
            seen=str(path),
            next="write one line per input, such as namespace: acme",
        )
    return {name: flags.read_value(name, one) if isinstance(one, str) else one for name, one in value.items()}


def _announce_secrets(
    progress: Progress, runner: Runner, plan: Plan, references: Mapping[str, Reference], options: Mapping[str, Any]
) -> None:
    """Which secret goes to which host: said before anything is sent."""
    from urllib.parse import urlsplit

    hosts = sorted({urlsplit(runner.reach.base(plan, options, source)).netloc for source in plan.servers})
    for name, reference in references.items():
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


def _finish(run: Run, progress: Progress, as_json: bool) -> NoReturn:
    """Drive the run to its stop, say what it came to, and exit with its code whoever still listens."""
    from .printing import echo_json, print_result

    result = run.result()
    deaf()
    progress.done()
    for trouble in run.troubles[:1]:
        progress.line(f"warning: a log or progress line could not be written ({trouble}); the run is not affected")
    try:
        if as_json:
            echo_json(result.to_json())
        else:
            print_result(result)
    except BrokenPipeError:
        hush()
    exit_with(result.exit_code)
