"""The front door: help, versions, exit codes of what goes wrong before a verb, and what may be loaded meanwhile."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import click
import pytest

from machine.cli import looking
from machine.cli.app import app, concealer, deaf, exit_with
from machine.errors import UsageError

VERBS = ("run", "resume", "resolve", "cancel", "runs", "show", "plan", "check", "diagram", "simulate", "completion")
HEAVY = {"jsonpath_rfc9535", "jsonschema", "requests", "sqlite3", "statemachine", "structlog", "urllib3"}


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Makes the verb ``runs`` do something else."""

    def replace(action: Callable[[], object]) -> None:
        monkeypatch.setattr(looking.runs, "callback", lambda **given: action())

    return replace


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(machine: Any, verb: str) -> None:
    done = machine(verb, "--help")

    assert done.code == 0
    assert done.out.startswith(f"Usage: arazzo-machine {verb} ")
    assert done.err == ""


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_has_examples_and_each_can_be_read(machine: Any, verb: str) -> None:
    command = app.get_command(click.Context(app), verb)
    assert command is not None
    text = (command.help or "").replace("\\\n", " ")
    examples = re.findall(r"^ *(?:.*\| ssh other )?(arazzo-machine .*)$", text, re.MULTILINE)
    read = [shlex.split(re.split(r" [|>] ", one)[0]) for one in examples]

    assert read
    for _, name, *arguments in read:
        assert name == verb
        with command.make_context(name, arguments, parent=click.Context(app)) as context:
            assert context.params


def test_the_verbs_are_listed_each_with_a_whole_sentence(machine: Any) -> None:
    done = machine("--help")
    listed = dict(line.split(maxsplit=1) for line in done.out.partition("Commands:\n")[2].splitlines())

    assert tuple(listed) == VERBS
    assert [text for text in listed.values() if not text.endswith(".") or text.endswith("...")] == []


def test_the_help_names_every_exit_code(machine: Any) -> None:
    from machine.chart.snapshot import EXIT_CODES
    from machine.errors import MachineError

    codes = {kind.exit_code for kind in MachineError.__subclasses__()} | set(EXIT_CODES.values()) | {16}
    words = set(machine("--help").out.replace(",", " ").replace(":", " ").split())

    assert {str(code) for code in codes} - words == set()


def test_the_version_is_shown(machine: Any) -> None:
    from importlib.metadata import version

    assert machine("--version").out == f"arazzo-machine {version('arazzo-machine')}\n"


def test_without_a_verb_the_help_is_shown_and_nothing_was_done(machine: Any) -> None:
    done = machine()

    assert (done.code, done.out) == (64, "")
    assert done.err.startswith("Usage: arazzo-machine ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["rnu"], "No such command 'rnu'. Did you mean 'run'?", id="verb"),
        pytest.param(["deploy"], "No such command 'deploy'", id="no-verb"),
        pytest.param(["runs", "--jsno"], "No such option '--jsno'", id="option"),
        pytest.param(["run"], "Missing argument 'DOCUMENT'", id="argument"),
        pytest.param(["resume", "--visits", "0"], "--visits", id="range"),
        pytest.param(["resume", "--call-timeout", "0s"], "a request needs some time", id="no-time"),
        pytest.param(["plan", "x", "--unmatched", "maybe"], "'maybe' is not one of", id="choice"),
    ],
)
def test_a_command_that_is_not_well_formed_ends_with_64_and_where_to_look(
    machine: Any, arguments: list[str], said: str
) -> None:
    done = machine(*arguments)
    as_json = machine(*arguments, "--json")

    assert (done.code, done.out) == (64, "")
    assert said in done.err
    assert "--help" in done.err
    assert as_json.code == 64
    assert as_json.err == ""
    assert as_json.json["error"]["code"] == "AZM-U001"
    assert said in as_json.json["error"]["message"]


def test_a_bug_is_owned_up_to_without_a_traceback(machine: Any, instead: Any) -> None:
    instead(lambda: os.environ["A TOKEN THAT MUST NOT BE SHOWN"])
    done = machine("runs")
    as_json = machine("runs", "--json")

    assert (done.code, as_json.code) == (70, 70)
    assert "this is a bug in arazzo-machine: KeyError at " in done.err
    assert "TOKEN" not in done.err
    assert as_json.json["error"]["code"] == "AZM-B000"


def test_what_the_system_refuses_is_no_bug(machine: Any, instead: Any) -> None:
    instead(lambda: os.stat("/nowhere/at/all"))
    done = machine("runs", "--json")

    assert done.code == 74
    assert done.json["error"]["seen"] == "/nowhere/at/all: No such file or directory"


@pytest.mark.parametrize("error", [BrokenPipeError(), BrokenPipeError(errno.EPIPE, "Broken pipe")], ids=["bare", "os"])
def test_a_reader_that_has_gone_is_no_error(machine: Any, instead: Any, error: OSError) -> None:
    def broken() -> None:
        raise error

    instead(broken)
    done = machine("runs")

    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_command_with_one_object(machine: Any, instead: Any, signum: int, code: int) -> None:
    before = signal.getsignal(signum)
    instead(lambda: os.kill(os.getpid(), signum))
    done = machine("runs", "--json")

    assert done.code == code
    assert done.json["error"]["code"] == "AZM-U002"
    assert signal.getsignal(signum) is before


def test_a_prompt_that_is_given_up_ends_like_a_signal(machine: Any, instead: Any) -> None:
    def give_up() -> None:
        raise click.Abort

    instead(give_up)

    assert machine("runs").code == 130


def test_a_signal_after_the_result_changes_neither_output_nor_exit_code(machine: Any, instead: Any) -> None:
    def end() -> None:
        click.echo("{}")
        deaf()
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        exit_with(11)

    instead(end)
    done = machine("runs", "--json")

    assert (done.code, done.out) == (11, "{}\n")


PROBE = """
import contextlib, io, json, sys
from machine.cli.app import main
code = None
with contextlib.redirect_stdout(io.StringIO()):
    try:
        main(sys.argv[1:])
    except SystemExit as stop:
        code = stop.code
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        pytest.param(["--help"], set(), id="help"),
        pytest.param(["run", "--help"], set(), id="help-of-a-verb"),
        pytest.param(["plan", "deploy-inference-endpoint"], {"yaml", "statemachine"}, id="plan"),
        pytest.param(["diagram", "deploy-inference-endpoint"], {"yaml"}, id="diagram"),
    ],
)
def test_what_sends_nothing_loads_nothing_that_sends(arguments: list[str], needed: set[str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=True)
    code, loaded = json.loads(done.stdout)

    assert code == 0
    assert set(loaded) & (HEAVY | {"yaml"}) == needed


MODULES = """
import contextlib, io, json, sys
before = set(sys.modules)
from machine.cli.app import main
with contextlib.redirect_stdout(io.StringIO()):
    try:
        main(["--help"])
    except SystemExit:
        pass
print(json.dumps(sorted(set(sys.modules) - before)))
"""
MOST_MODULES = 115
"""Of ``--help``, beyond those of the interpreter: some 100 on each Python there is. They are what its time is made of,
and unlike a time they are the same on a busy machine; docs/measurements.md has the time itself."""


@pytest.mark.slow
def test_help_loads_the_command_line_and_little_else() -> None:
    done = subprocess.run([sys.executable, "-c", MODULES], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    ours = {one for one in loaded if one.partition(".")[0] == "machine" and not one.startswith("machine.cli")}

    assert ours <= {"machine", "machine.errors", "machine.runtime", "machine.runtime.clock"}
    assert 50 < len(loaded) <= MOST_MODULES


def test_every_verb_is_a_command_of_its_own() -> None:
    context = click.Context(app)
    commands = {name: app.get_command(context, name) for name in app.list_commands(context)}

    assert {name: command.name for name, command in commands.items() if command} == {name: name for name in VERBS}
    assert app.get_command(context, "__init__") is None


def test_a_secret_the_command_was_given_is_not_in_its_error_and_forgotten_behind_it(machine: Any, instead: Any) -> None:
    def fail() -> None:
        concealer().learn("token", "s3cret-of-this-command")
        raise UsageError("no: s3cret-of-this-command", code="AZM-U999")

    instead(fail)

    assert machine("runs").err == "error: no: [secret token] [AZM-U999]\n"
    assert machine("runs", "--json").json["error"]["message"] == "no: [secret token]"
    assert concealer().scrub("s3cret-of-this-command") == "s3cret-of-this-command"
