"""``simulate``: the built-in simulator as a process of its own, on loopback."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..errors import UsageError
from .app import exit_with

__all__ = ["simulate"]


@click.command()
@click.argument("service", metavar="SERVICE")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port; 0 takes a free one.")
@click.option("--scenario", default="happy", help="How it behaves; an unknown name lists what there is.")
@click.option("--profile", default="published", help="Which API it speaks: published, live or legacy.")
@click.option("--state", type=click.Path(path_type=Path), help="Keep its state in this file and continue from it.")
@click.option("--log", type=click.Path(path_type=Path), help="Append one JSON line per request.")
@click.option("--list", "listing", is_flag=True, help="List the scenarios.")
def simulate(
    service: str, port: int, scenario: str, profile: str, state: Path | None, log: Path | None, listing: bool
) -> None:
    """Serve a simulated API on loopback until interrupted; the base URL is printed first.

    SERVICE is hugging-face, the Inference Endpoints API.

    \b
    arazzo-machine simulate hugging-face --port 8765 --scenario slow-start
    """
    if service != "hugging-face":
        raise UsageError(f"there is no simulator of {service!r}", code="AZM-U071", next="there is: hugging-face")
    from ..testing.scenarios import SCENARIOS
    from .printing import say, table

    if listing:
        for line in table([[name, one.summary] for name, one in SCENARIOS.items()]):
            say(line, err=False)
        return
    from ..runtime.clock import Interrupted, Interrupts
    from ..testing.server import Simulator

    with Interrupts().caught() as interrupts:
        try:
            with Simulator(scenario, profile, port=port, state_file=state, log_file=log) as simulator:
                say(simulator.url, err=False)
                sys.stdout.flush()
                interrupts.waiting = True
                interrupts.check()
                simulator.wait()
        except Interrupted as stop:
            exit_with(stop.exit_code)
