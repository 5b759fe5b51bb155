"""``simulate``: the built-in simulator, as a process of its own on loopback or inside the command that uses it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import StoreError, UsageError
from . import options as flags
from .app import exit_with
from .completing import scenario_names

if TYPE_CHECKING:
    from ..plan.model import Plan
    from ..runtime.runner import Runner
    from ..stores.sqlite import SqliteStore

__all__ = ["simulate", "simulated", "simulator_file"]


@click.command()
@click.argument("service", metavar="[SERVICE]", default="hugging-face")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port; 0 takes a free one.")
@click.option(
    "--scenario",
    default="happy",
    shell_complete=scenario_names,
    help="How it behaves; an unknown name lists what there is.",
)
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
