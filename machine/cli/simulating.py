"""``simulate``: the built-in simulator as a process of its own, on loopback."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import click

from ..errors import StoreError, UsageError
from . import options as flags
from .app import exit_with

__all__ = ["simulate"]


@click.command()
@click.argument("service", metavar="[SERVICE]", default="hugging-face")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port; 0 takes a free one.")
@click.option("--scenario", default="happy", help="How it behaves; an unknown name lists what there is.")
@click.option("--profile", default="published", help="The API it speaks: published, live or legacy.")
@click.option("--state", type=click.Path(path_type=Path), help="Keep its state in this file and continue from it.")
@click.option("--log", type=click.Path(path_type=Path), help="Append one JSON line per request.")
@click.option("--list", "listing", is_flag=True, help="List the scenarios and exit.")
@flags.as_json
def simulate(
    service: str,
    port: int,
    scenario: str,
    profile: str,
    state: Path | None,
    log: Path | None,
    listing: bool,
    as_json: bool,
) -> None:
    """Serve a simulated API on loopback.

    Prints its base URL, for --server, and serves until interrupted. SERVICE is hugging-face, the Inference Endpoints
    API. GET /_simulator/summary tells what it was asked for.

    \b
    arazzo-machine simulate hugging-face --port 8765 --scenario slow-start
    """
    if service != "hugging-face":
        raise UsageError(f"there is no simulator of {service!r}", code="AZM-U071", next="there is: hugging-face")
    from ..testing.scenarios import SCENARIOS
    from .printing import echo_json, say, table

    if listing and as_json:
        echo_json({"scenarios": {name: one.summary for name, one in SCENARIOS.items()}})
        return
    if listing:
        for line in table([[name, one.summary] for name, one in SCENARIOS.items()]):
            say(line, err=False)
        return
    from ..runtime.clock import Interrupted, Interrupts
    from ..testing.server import Simulator

    with Interrupts().caught() as interrupts:
        try:
            _check_writable(state, log)
            with Simulator(scenario, profile, port=port, state_file=state, log_file=log) as simulator:
                if as_json:
                    echo_json({"url": simulator.url, "scenario": scenario, "profile": profile})
                else:
                    say(simulator.url, err=False)
                sys.stdout.flush()
                interrupts.waiting = True
                interrupts.check()
                simulator.wait()
        except Interrupted as stop:
            exit_with(stop.exit_code)
        except OSError as error:
            raise StoreError(
                "the simulator's state or log cannot be written",
                code="AZM-T083",
                seen=f"{error.filename}: {error.strerror}",
                next="choose another --state or --log",
            ) from error


def _check_writable(state: Path | None, log: Path | None) -> None:
    """Raise OSError before anything listens, not at the first request."""
    if log is not None:
        log.open("a").close()
    if state is not None and not os.access(state.parent, os.W_OK | os.X_OK):
        raise FileNotFoundError(errno.ENOENT, "its folder does not exist or cannot be written", str(state))
