"""The command line as click knows it -> the page of commands. Loads the verbs; runs none."""

from __future__ import annotations

import inspect

import click
from tables import block, cell, page, plain, table

from machine.cli.app import app

__all__ = ["commands"]

_EXAMPLES = "\b"
"""What click reads as: these lines stand as they are. Our help texts end with examples set so."""


def commands() -> str:
    """Every verb: its use, what it says of itself, its examples, its options."""
    context = click.Context(app, info_name="arazzo-machine")
    verbs = {name: app.get_command(context, name) for name in app.list_commands(context)}
    index = [[f"[`{name}`](#{name})", cell(verb.get_short_help_str(200))] for name, verb in verbs.items() if verb]
    parts = [part for name, verb in verbs.items() if verb for part in _verb(name, verb)]
    return page(
        "Commands",
        "A document is a path, or the name of a [shipped workflow](../../workflows/README.md). Progress goes to "
        "standard error, results to standard output; `--json` prints [one object](formats.md) on every "
        "[exit code](exit-codes.md). `arazzo-machine VERB --help` says what is here.",
        table(["verb", "what it does"], index),
        *parts,
    )


def _verb(name: str, verb: click.Command) -> list[str]:
    words = [_argument(one) for one in verb.params if isinstance(one, click.Argument)]
    paragraphs = inspect.cleandoc(verb.help or "").split("\n\n")
    told = [plain(one) for one in paragraphs if not one.startswith(_EXAMPLES)]
    examples = [inspect.cleandoc(one.removeprefix(_EXAMPLES)) for one in paragraphs if one.startswith(_EXAMPLES)]
    options = [one for one in verb.params if isinstance(one, click.Option)]
    rows = [[f"`{_flags(one)}`", cell(one.help or "")] for one in options]
    use = " ".join(["arazzo-machine", name, "[OPTIONS]", *words])
    return [f"## {name}", *told, block("\n".join([use, "", *examples])), table(["option", "what it does"], rows)]


def _argument(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _flags(option: click.Option) -> str:
    """The names of an option and what follows them, in words of ours: those of click differ between its releases."""
    names = ", ".join(sorted(option.opts, key=len))
    if option.is_flag:
        return names
    kind = option.type
    word = "[" + "\\|".join(kind.choices) + "]" if isinstance(kind, click.Choice) else kind.name.strip("_").upper()
    if isinstance(kind, click.IntRange):
        word = "NUMBER"
    return f"{names} {(option.metavar or word).replace('|', chr(92) + '|').replace(chr(92) * 2, chr(92))}"
