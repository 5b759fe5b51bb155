"""The command line's front door: which verbs there are, and how every error becomes one exit code and one message.

Only click is loaded here; each verb loads what it needs when it runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from contextvars import ContextVar
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, Self

import click

from ..errors import BugError, MachineError, StoreError, UnstoredError, UsageError
from ..runtime.clock import Interrupted

if TYPE_CHECKING:
    from ..runtime.concealing import Concealer

__all__ = ["COMPLETE", "app", "concealer", "deaf", "exit_with", "hush", "main"]

_VERBS = {
    "run": "executing",
    "resume": "executing",
    "resolve": "settling",
    "cancel": "settling",
    "runs": "looking",
    "show": "showing",
    "plan": "planning",
    "check": "checking",
    "diagram": "drawing",
    "simulate": "simulating",
    "completion": "completing",
}
"""Verb to the module of this folder that holds it."""

COMPLETE = "_ARAZZO_MACHINE_COMPLETE"
"""The variable by which a shell asks for completions, as click names it."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_CONCEALER: ContextVar[Concealer | None] = ContextVar("concealer", default=None)


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        module = importlib.import_module(f".{_VERBS[cmd_name]}", __package__)
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], _VERBS, n=1)
            if not near:
                raise
            # As click says it of options.
            raise click.UsageError(f"{error.format_message()} Did you mean '{near[0]}'?", ctx=ctx) from error


class _Version:
    """The version is read from the installed package's metadata only when asked for."""

    def __str__(self) -> str:
        from importlib.metadata import version

        return version("arazzo-machine")


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"arazzo-machine {_Version()}")
        ctx.exit()


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show it and exit."
)
def app() -> None:
    """Turn an Arazzo workflow into a state machine; run it, kill it, resume it, draw it.

    \b
    arazzo-machine run deploy-inference-endpoint --simulate \\
        -i namespace=acme -i name=demo -i repository=gpt2
    arazzo-machine plan deploy-inference-endpoint
    arazzo-machine diagram deploy-inference-endpoint -o machine.svg

    Exit codes: 0 ready, 10 failed, 11 unmatched, 12 out of budget, 13 in doubt, 14 a secret is missing or was refused,
    15 cancelled, 16 it goes on later, 64 usage, 65 bad document or data, 70 our bug, 74 a file cannot be read or
    written, 75 another runner has the run, 78 a source, host or credential is missing, 130 and 143 interrupted.
    """


def main(arguments: Sequence[str] | None = None, *, heard: Sequence[int] = ()) -> None:
    """Run one command and exit with its code. Never prints a traceback. ``heard``: signals that came before this."""
    if arguments is not None:
        sys.exit(_run(list(arguments), heard))
    code = _run(sys.argv[1:], heard)
    # What a reader that has gone did not take would be written once more at the end, and make the code 120.
    hush()
    # None disturbs the interpreter's own end.
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    sys.exit(code)


def concealer() -> Concealer:
    """What every line of this command passes last: it takes out the secrets the command has been given so far."""
    from ..runtime.concealing import Concealer

    found = _CONCEALER.get()
    if found is None:
        _CONCEALER.set(found := Concealer())
    return found


def _run(arguments: list[str], heard: Sequence[int]) -> int:
    before = _CONCEALER.set(None)
    try:
        return _execute(arguments, heard)
    finally:
        _CONCEALER.reset(before)


def _execute(arguments: list[str], heard: Sequence[int]) -> int:
    as_json = "--json" in arguments
    _forgive()
    if not arguments and COMPLETE not in os.environ:
        with app.make_context("arazzo-machine", [], resilient_parsing=True) as context:
            click.echo(context.get_help(), err=True)
        return UsageError.exit_code
    try:
        with _Ears(heard) as ears:
            result = app.main(
                args=arguments,
                prog_name="arazzo-machine",
                standalone_mode=False,
                obj=ears,
                default_map=_comfort(arguments),
                complete_var=COMPLETE,
            )
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        ctx = getattr(error, "ctx", None)
        hint = f"{ctx.command_path} --help" if ctx else "arazzo-machine --help"
        # Usage errors exit 64 (sysexits EX_USAGE), where click would say 2.
        return _report(UsageError(error.format_message(), code="AZM-U001", next=hint), as_json)
    except MachineError as error:
        return _report(error, as_json)
    except Interrupted as stop:
        _report(_stopped(str(stop)), as_json)
        return stop.exit_code
    except click.Abort:
        _report(_stopped("interrupted"), as_json)
        return 130
    except SystemExit as stop:
        # How click ends a completion; and, with 1, a command whose reader has gone.
        hush()
        return int(stop.code or 0) if COMPLETE in os.environ else 0
    except BrokenPipeError:
        # Whoever read our output has gone. A verb that ran something has said so with its own code before this.
        hush()
        return 0
    except OSError as error:
        hush()
        named = f"{error.filename}: " if isinstance(error.filename, str) else ""
        seen = f"{named}{error.strerror or type(error).__name__}"
        advice = "check the disk, the rights and where the output goes; what was sent is in the journal"
        return _report(
            StoreError("something could not be read or written", code="AZM-T084", seen=seen, next=advice), as_json
        )
    except Exception as error:
        return _report(_bug(error), as_json)


def _comfort(arguments: list[str]) -> dict[str, dict[str, Any]]:
    """The defaults of the user's file; none for a command that only asks for help."""
    if {"-h", "--help", "--version"} & set(arguments) or COMPLETE in os.environ:
        return {}
    from .comfort import defaults

    return defaults()


class _Ears:
    """Ends a command at the first signal: until a run is driven, which listens for itself, nothing has to be finished
    first. Inside the block only; the handlers found are put back."""

    def __init__(self, heard: Sequence[int]) -> None:
        self.closed = False
        self._heard = heard

    def __enter__(self) -> Self:
        self._before = {one: signal.signal(one, self._hear) for one in _SIGNALS}
        if self._heard:
            raise Interrupted(self._heard[0])
        return self

    def __exit__(self, *problem: object) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def _hear(self, signum: int, frame: FrameType | None) -> None:
        if not self.closed:
            raise Interrupted(signum)


def deaf() -> None:
    """From now on a signal changes nothing: there is a result, and neither it nor its exit code may be disturbed."""
    ears = click.get_current_context().find_object(_Ears)
    if ears is not None:
        ears.closed = True
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_IGN)


def _forgive() -> None:
    """Never fail for a character that the terminal's encoding lacks: it is shown by its number."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def hush() -> None:
    """Send nowhere what is still to be said on a stream that fails, so that the interpreter's last flush is quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _stopped(what: str) -> UsageError:
    return UsageError(
        f"{what} before there was a result",
        code="AZM-U002",
        next="a run that had begun is safe: arazzo-machine resume",
    )


def _bug(error: Exception) -> BugError:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    spot = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"
    return BugError(
        f"this is a bug in arazzo-machine: {type(error).__name__} at {spot}",
        code="AZM-B000",
        next="please report it; what was sent is in the journal, and `arazzo-machine resume` goes on from there",
    )


def _report(error: MachineError, as_json: bool) -> int:
    from .printing import echo_json, error_lines

    try:
        if isinstance(error, UnstoredError):
            _rescue(error)
        if as_json:
            echo_json({"error": error.to_json()})
        else:
            for line in error_lines(error):
                click.echo(line, err=True)
    except OSError:
        hush()
    return error.exit_code


def _rescue(error: UnstoredError) -> None:
    """Say the answer that could not be stored, and leave it beside the store where that can be done after all: nobody
    can ask for it again. Both are one JSON object, which ``resolve RUN --reply FILE`` takes."""
    from .printing import json_text, say

    text = json_text(dict(error.answer))
    click.echo(text, err=True)
    if not error.beside:
        return
    path = f"{error.beside}.{error.answer['run']}.reply.json"
    try:
        # O_NOFOLLOW: a planted link must not make us write into a file of its choice.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(handle)
    except OSError:
        # Half of it would be taken for all of it.
        with suppress(OSError):
            os.unlink(path)
        return
    say(f"it is also in {path}")


def exit_with(code: int) -> NoReturn:
    """End the verb, which has said what it had to say, with this exit code."""
    deaf()
    raise click.exceptions.Exit(code)
