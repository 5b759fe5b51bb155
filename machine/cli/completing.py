"""Completion in the shell: the script that turns it on, and the names a person would have to look up.

Completing must never disturb a prompt: whatever goes wrong, nothing is offered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .app import COMPLETE, app

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["completion", "run_ids", "scenario_names", "workflow_names"]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands in a shell.

    Verbs, flags, files, shipped workflows, the ids of runs and the simulator's scenarios are completed.

    \b
    arazzo-machine completion bash > ~/.local/share/bash-completion/completions/arazzo-machine
    arazzo-machine completion zsh > ~/.zfunc/_arazzo-machine
    arazzo-machine completion fish > ~/.config/fish/completions/arazzo-machine.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is not None:
        # The class's own source() would start bash to ask for its version.
        completer = found(app, {}, "arazzo-machine", COMPLETE)
        click.echo(completer.source_template % completer.source_vars())


def workflow_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The shipped workflows that begin so; where none does it is a path, which the shell completes."""
    from click.shell_completion import CompletionItem

    from ..library import shipped

    names = [CompletionItem(name) for name in shipped() if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


def scenario_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The simulator's scenarios that begin so."""
    from ..testing.scenarios import SCENARIOS

    return [name for name in SCENARIOS if name.startswith(incomplete)]


def run_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The runs of the store that begin so."""
    from . import options as flags

    try:
        with flags.open_store(ctx.params.get("store"), read_only=True) as store:
            return [one for one in store.ids() if one.startswith(incomplete)]
    except Exception:
        # A shell that completes a word shows what is printed in the middle of the line being typed.
        return []
