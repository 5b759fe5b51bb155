"""The command line's front door: which verbs there are, and how every error becomes one exit code and one message.

Only click is loaded here; each verb loads what it needs when it runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from ..errors import BugError, MachineError, UsageError

__all__ = ["app", "main"]

_VERBS = {
    "run": "executing",
    "resume": "executing",
    "resolve": "executing",
    "runs": "looking",
    "show": "looking",
    "plan": "planning",
    "diagram": "planning",
    "simulate": "simulating",
}
"""Verb to the module of this folder that holds it."""


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        module = importlib.import_module(f".{_VERBS[cmd_name]}", __package__)
        command: click.Command = getattr(module, cmd_name)
        return command


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
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show it.")
def app() -> None:
    """Turn an Arazzo workflow into a state machine; run it, kill it, resume it, draw it.

    \b
    arazzo-machine run deploy-inference-endpoint --simulate -i namespace=acme -i name=demo -i repository=gpt2
    arazzo-machine plan deploy-inference-endpoint
    arazzo-machine diagram deploy-inference-endpoint -o machine.svg
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code. Never prints a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(_run(given))


def _run(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    try:
        result = app.main(args=arguments, prog_name="arazzo-machine", standalone_mode=False)
        code = result if isinstance(result, int) else 0
        sys.stdout.flush()
        return code
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        ctx = getattr(error, "ctx", None)
        hint = f"{ctx.command_path} --help" if ctx else "arazzo-machine --help"
        # Usage errors exit 64 (sysexits EX_USAGE), where click would say 2.
        return _report(UsageError(error.format_message(), code="AZM-U001", next=hint), as_json)
    except MachineError as error:
        return _report(error, as_json)
    except BrokenPipeError:
        # Whoever read our output has gone; nothing is wrong with the run.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, click.Abort):
        return 130
    except Exception as error:
        return _report(_bug(error), as_json)


def _bug(error: Exception) -> BugError:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    spot = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"
    return BugError(
        f"this is a bug in arazzo-machine: {type(error).__name__} at {spot}",
        code="AZM-B000",
        next="please report it; runs are safe, `arazzo-machine resume` goes on",
    )


def _report(error: MachineError, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps({"error": error.to_json()}, ensure_ascii=False))
    else:
        from .printing import error_lines

        for line in error_lines(error):
            click.echo(line, err=True)
    return error.exit_code


def exit_with(code: int) -> Any:
    """End the verb with this exit code."""
    raise click.exceptions.Exit(code)
