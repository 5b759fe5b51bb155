"""``resolve``: what a person does about a call nobody knows about. It looks, or settles; it never sends the call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from . import options as flags
from .app import exit_with
from .completing import run_ids
from .executing import opened_runner
from .given import read_reply
from .reporting import ways_of
from .simulating import simulated

if TYPE_CHECKING:
    from ..chart.events import Reply
    from ..runtime.doubt import Choice, Evidence

__all__ = ["cancel", "resolve"]

_PATIENCE = 0.1
"""Seconds between two looks at whether the runner has stopped."""
_RUNNING = 16
"""The exit code of a run that has not stopped."""


@click.command()
@click.argument("run_id", metavar="RUN", shell_complete=run_ids)
@click.option("--not-sent", "not_sent", is_flag=True, help="It was not applied: send it again.")
@click.option(
    "--adopt",
    "adopted",
    multiple=True,
    is_flag=False,
    flag_value="",
    metavar="[OUTPUT=VALUE]",
    help="It was applied: an output; alone, its outputs are read from a look.",
)
@click.option("--accept", is_flag=True, help="The stored answer was a success.")
@click.option("--reply", "reply_file", type=click.Path(path_type=Path), help="Its answer, as {status, headers, body}.")
@click.option("--reissue", is_flag=True, help="Send it again, whatever became of it.")
@click.option("--yes", is_flag=True, help="With --reissue: a second one may be made, and paid for.")
@flags.store_option
@flags.as_json
def resolve(
    run_id: str,
    not_sent: bool,
    adopted: tuple[str, ...],
    accept: bool,
    reply_file: Path | None,
    reissue: bool,
    yes: bool,
    **given: Any,
) -> None:
    """Say what became of a call nobody knows about.

    Without a choice it makes only the safe look the document declares, and shows what is known. Then choose one: the
    call was never applied and is sent again (--not-sent), it was applied and these are its outputs (--adopt), the
    stored answer was a success after all (--accept), this was its answer (--reply), or send it again in any case
    (--reissue --yes). Settling sends nothing itself; it prints the command that goes on.

    \b
    arazzo-machine resolve 1ng9
    arazzo-machine resolve 1ng9 --adopt endpointName=demo
    """
    from .printing import echo_json, print_result

    chosen = [not_sent, bool(adopted), accept, reply_file is not None, reissue]
    if sum(chosen) > 1:
        raise UsageError(
            "choose one of --not-sent, --adopt, --accept, --reply and --reissue",
            code="AZM-U063",
            next=f"what is known of the run: arazzo-machine show {run_id}{flags.store_flag(given['store'])}",
        )
    if reissue and not yes:
        raise UsageError(
            "sending it again may make, and bill, a second one",
            code="AZM-U078",
            next="add --yes to do it all the same",
        )
    with flags.open_store(given["store"]) as store, opened_runner(store, given, None) as runner:
        found = store.find(run_id)
        stored = store.load(found)
        simulate = stored.head.options.get("simulate")
        bare = adopted == ("",)
        reply: Reply | None = _reply_of(reply_file) if reply_file else None
        if not any(chosen) or bare:
            with simulated(store, runner, found, simulate, runner.plan_of(stored), renewed=True):
                evidence = runner.look(found)
            if not bare:
                _show(evidence, found, flags.store_flag(given["store"]), given["as_json"])
            reply = _adopted_reply(evidence)
        choice: Choice = "not_sent" if not_sent else "adopt" if adopted else "reissue" if reissue else "accept"
        outputs = {} if bare else {name: _plain(text) for name, text in flags.pairs(adopted, "--adopt").items()}
        result = runner.resolve(found, choice, outputs=outputs, reply=reply)
    if given["as_json"]:
        echo_json(result.to_json())
    else:
        print_result(result)
    # An answer that was adopted may lack what the next request is made of.
    exit_with(result.exit_code if result.reason in ("in_doubt", "request") else 0)


@click.command()
@click.argument("run_id", metavar="RUN", shell_complete=run_ids)
@flags.store_option
@flags.as_json
def cancel(run_id: str, **given: Any) -> None:
    """Stop a run where it is; it keeps its state and can be resumed.

    Another process that runs it is asked to stop and does so within a second, once a request in flight has ended.
    Nothing is undone on the other side.

    \b
    arazzo-machine cancel 1ng9
    """
    from .printing import echo_json, print_result

    with flags.open_store(given["store"]) as store, opened_runner(store, given, None) as runner:
        found = store.find(run_id)
        if not runner.result(found).resumable:
            raise UsageError(
                f"run {found} has ended",
                code="AZM-U096",
                next=f"what it came to: arazzo-machine show {found}{runner.store_flag}",
            )
        result = runner.cancel(found)
        until = runner.clock.now() + store.load(found).snapshot.settings.call_timeout + 5
        while result.reason == "running" and store.cancel_requested(found) and runner.clock.now() < until:
            runner.clock.wait(_PATIENCE, runner.interrupts)
            result = runner.result(found)
        # What was read while its runner let it go may be half a moment old.
        result = runner.result(found)
        ways = ways_of(store, found, result)
    if given["as_json"]:
        echo_json(result.to_json())
    else:
        print_result(result, ways)
    # A request in flight that has not ended yet: the run stops after it.
    exit_with(_RUNNING if result.reason == "running" else 0)


def _show(evidence: Evidence, run_id: str, flag: str, as_json: bool) -> None:
    """What the look saw, with the one command for each choice, and exit 13: it is still in doubt."""
    from .printing import echo_json, say

    if as_json:
        commands = {choice: command for choice, _, command in _commands(evidence, run_id, flag)}
        echo_json({"run": run_id, "evidence": evidence.to_json(), "commands": commands})
        exit_with(13)
    say(f"{evidence.step} was sent {evidence.age:g} s ago: {evidence.sent}", err=False)
    if evidence.request:
        say(f"  {evidence.request} says: {evidence.verdict}", err=False)
    say(f"  {evidence.why}", err=False)
    for one in evidence.fields:
        mark = "same" if one["equal"] else "DIFFERS"
        say(f"  {one['pointer']}: sent {one['sent']!r}, there {one['seen']!r}  {mark}", err=False)
    if evidence.verdict == "absent" and not evidence.settled:
        say("  it may still be applied late: an absence does not count yet", err=False)
    for _, why, command in _commands(evidence, run_id, flag):
        say(f"{why}: {command}", err=False)
    exit_with(13)


def _commands(evidence: Evidence, run_id: str, flag: str) -> Iterator[tuple[str, str, str]]:
    """Each choice that is left: its name, what a person means by it, its command."""
    base = f"arazzo-machine resolve {run_id}{flag}"
    named = " ".join(f"--adopt {name}=VALUE" for name in evidence.outputs)
    if "accept" in evidence.choices:
        yield "accept", "its stored answer was a success", f"{base} --accept"
    if evidence.verdict == "found":
        yield "adopt", "it is mine", f"{base} --adopt"
    elif named:
        yield "adopt", "it is there all the same", f"{base} {named}"
    if "not_sent" in evidence.choices:
        yield "not_sent", "it was never applied", f"{base} --not-sent"
    yield "reply", "I have its answer", f"{base} --reply FILE"
    yield "reissue", "send it again in any case", f"{base} --reissue --yes"


def _adopted_reply(evidence: Evidence) -> Reply:
    if evidence.reply is None:
        raise UsageError(
            f"the look did not find it: {evidence.why}",
            code="AZM-U079",
            next="name its outputs with --adopt OUTPUT=VALUE, or choose --not-sent",
        )
    return evidence.reply


def _reply_of(path: Path) -> Reply:
    """An answer somebody got hold of, out of a JSON or YAML file."""
    reply = read_reply(path, "--reply")
    if reply is None or not 200 <= reply.status < 300:
        raise UsageError(
            "the reply is an object with a status from 200 to 299, headers and body",
            code="AZM-U087",
            seen=str(path),
            next='write {"status": 201, "headers": {}, "body": {...}}; a call that was refused is --not-sent',
        )
    return reply


def _plain(text: str) -> Any:
    """An adopted output: JSON where it is, else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
