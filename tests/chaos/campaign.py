"""The fault campaign: every part, as many trials as time allows, every broken promise with the command that repeats it.

    campaign.py --minutes 15                  what fits into that time, the parts one after the other
    campaign.py --full                        every sweep whole, and the nightly number of random trials
    campaign.py --sample                      a little of everything, as the test suite does it
    campaign.py --part F1 --only TRIAL        one trial again
    campaign.py --part F4 --seed 7 --trials 5000

The exit code is 1 when a promise was broken, else 0. What cannot be done here is said and skipped.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import itertools
import json
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import ptrace
from damage import Damage
from freeze import Freeze
from io_errors import IOErrors
from kill_everywhere import KillEverywhere
from kill_on_receipt import KillOnReceipt
from kill_processes import KillProcesses
from part import Part
from power_loss import PowerLoss
from report import Tally, line, page
from sabotage import SABOTAGES, sabotaged
from server import Server
from signals import Signals
from simulation import Simulation
from world import POLICIES, Bench, Ending, shared_charts

__all__ = ["main"]

_MEMORY: Final = Path("/dev/shm")
_PATIENCE: Final = 1.0
_SAMPLE_PATIENCE: Final = 10.0
"""Seconds: a suite on a busy machine must not fail for being slow, and who waits for the next look is still late."""

_SAMPLE_SECONDS: Final = 6.0
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of a part is done. ``weight``: its share of the time. The rest are numbers of trials."""

    part: type[Part]
    weight: int
    sample: int
    """Of the sweep, in a sample."""
    sample_drawn: int
    """Drawn at random, in a sample."""
    nightly: int
    """Drawn at random, in a full campaign."""


PLANS: Final = (
    Plan(part=KillEverywhere, weight=5, sample=100, sample_drawn=0, nightly=0),
    Plan(part=KillOnReceipt, weight=1, sample=88, sample_drawn=0, nightly=1_000),
    Plan(part=PowerLoss, weight=2, sample=200, sample_drawn=100, nightly=100_000),
    Plan(part=IOErrors, weight=4, sample=100, sample_drawn=0, nightly=0),
    Plan(part=Freeze, weight=5, sample=24, sample_drawn=0, nightly=0),
    Plan(part=Signals, weight=5, sample=30, sample_drawn=2, nightly=500),
    Plan(part=Damage, weight=1, sample=0, sample_drawn=300, nightly=10_000),
    Plan(part=KillProcesses, weight=3, sample=0, sample_drawn=4, nightly=10_000),
    Plan(part=Simulation, weight=4, sample=0, sample_drawn=300, nightly=1_000_000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one worker is to do of one part."""

    plan: Plan
    policies: tuple[str, ...]
    seed: int
    worker: int
    workers: int
    seconds: float
    swept: int | None
    """At most so many trials of the sweep, by all workers; None: all."""
    drawn: int | None
    only: str = ""
    patience: float = _PATIENCE
    sabotage: str = ""

    def trials(self, part: Part, sweep: list[str]) -> Iterator[str]:
        if self.only:
            yield from [self.only] if self.worker == 0 else []
            return
        # By digest, not by place: two workers may count a boundary more or less, and must still share the same trials.
        chosen = sorted(sweep, key=self._digest)[: self.swept]
        yield from (trial for trial in chosen if self._digest(trial) % self.workers == self.worker)
        if part.draw(self.seed):
            seeds = range(self.drawn) if self.drawn is not None else itertools.count()
            for number in itertools.islice(seeds, self.worker, None, self.workers):
                yield part.draw(self.seed + number)

    def _digest(self, trial: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{self.seed} {trial}".encode()).digest()[:8])


def work(order: Order, answer: Connection) -> None:
    """One worker: a server, a folder, a part, and its share of the trials. Sends a Tally."""
    part_class = order.plan.part
    tally = Tally.of(part_class)
    began = time.monotonic()
    try:
        where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
        with tempfile.TemporaryDirectory(dir=where) as folder, Server() as server, shared_charts():
            chosen = {name: POLICIES[name] for name in order.policies}
            bench = Bench(server, Path(folder), chosen, order.patience)
            for name in chosen:
                bench.warm_up(bench.world(name))
            part = part_class(bench)
            gc.collect()
            # What is there before a fork is shared, and not to be looked through again in every child.
            gc.freeze()
            with sabotaged(order.sabotage):
                sweep = part.sweep()
                tally.sweep = len(sweep)
                swept = frozenset(sweep)
                for trial in order.trials(part, sweep):
                    tally.add(trial, attempt(part, trial), swept=trial in swept)
                    if time.monotonic() - began > order.seconds:
                        break
            tally.slowest = bench.slowest
    except Exception:
        tally.broken = traceback.format_exc()
    tally.seconds = time.monotonic() - began
    answer.send(tally)


def attempt(part: Part, trial: str) -> Ending:
    """One trial; whatever it raises is a broken promise, as no caller could know it."""
    ending = Ending()
    try:
        part.attempt(trial, ending)
    except Exception as error:
        spot = traceback.extract_tb(error.__traceback__)[-1]
        ending.problem(f"{type(error).__name__} at {Path(spot.filename).name}:{spot.lineno}: {error}")
    return ending


def do_part(plan: Plan, orders: Sequence[Order]) -> Tally:
    """All workers of one part, at once."""
    reason = ptrace.unavailable() if plan.part.traced else ""
    total = Tally.of(plan.part)
    if reason:
        total.skipped = reason
        return total
    context = multiprocessing.get_context("fork")
    running = []
    for order in orders:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(order, theirs))
        process.start()
        theirs.close()
        running.append((process, ours))
    for process, ours in running:
        try:
            total.take(ours.recv())
        except EOFError:
            total.broken = "a worker died"
        process.join()
    return total


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parse(arguments)
    chosen = [plan for plan in PLANS if not given.part or plan.part.name in given.part]
    end = time.monotonic() + (given.minutes * 60 if given.minutes else float("inf"))
    tallies = []
    for index, plan in enumerate(chosen):
        share = plan.weight / sum(one.weight for one in chosen[index:])
        tally = do_part(plan, [_order(given, plan, one, (end - time.monotonic()) * share) for one in range(given.jobs)])
        tallies.append(tally)
        if not given.json:
            print(line(tally), flush=True)
            for text in tally.complaints(_SHOWN):
                print(text, flush=True)
            for remark, count in tally.remarks.items():
                print(f"   known limit, {count} times: {remark}, as in {tally.examples[remark]}", flush=True)
    if given.json:
        print(json.dumps([asdict(tally) for tally in tallies]))
    if given.report:
        given.report.parent.mkdir(parents=True, exist_ok=True)
        given.report.write_text(page(tallies, jobs=given.jobs, seed=given.seed, how=_how(given)))
    return int(any(tally.problems or tally.broken for tally in tallies))


def _order(given: argparse.Namespace, plan: Plan, worker: int, seconds: float) -> Order:
    swept, drawn, patience = None, None, _PATIENCE
    if given.sample:
        swept, drawn, seconds, patience = plan.sample, plan.sample_drawn, _SAMPLE_SECONDS, _SAMPLE_PATIENCE
    elif given.full:
        drawn = plan.nightly
    if given.trials is not None:
        swept = drawn = given.trials
    return Order(
        plan=plan,
        policies=tuple(given.policy or POLICIES),
        seed=given.seed,
        worker=worker,
        workers=given.jobs,
        seconds=seconds,
        swept=swept,
        drawn=drawn,
        only=given.only,
        patience=patience,
        sabotage=given.sabotage,
    )


def _how(given: argparse.Namespace) -> str:
    if given.full:
        return "--full"
    return "--sample" if given.sample else f"--minutes {given.minutes:g}" if given.minutes else "part by part"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [plan.part.name for plan in PLANS]
    parser = argparse.ArgumentParser(prog="campaign.py", description="Break the product in every way there is.")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--minutes", type=float, default=0.0, help="how long all parts together may take")
    size.add_argument("--full", action="store_true", help="every sweep, and the nightly number of random trials")
    size.add_argument("--sample", action="store_true", help="a little of everything, in seconds")
    parser.add_argument("--part", action="append", choices=names, help="only this part; may be given again")
    parser.add_argument("--policy", action="append", choices=sorted(POLICIES), help="only this policy; likewise")
    parser.add_argument("--only", default="", metavar="TRIAL", help="only this trial of the part")
    parser.add_argument("--trials", type=int, help="at most so many of the sweep, and so many drawn")
    parser.add_argument("--seed", type=int, default=0, help="the first seed, and the order of the sweeps")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many processes")
    parser.add_argument("--report", type=Path, help="write the figures to this page")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--sabotage", default="", choices=["", *SABOTAGES], help="break the product on purpose")
    given = parser.parse_args(arguments)
    if given.only and len(given.part or ()) != 1:
        parser.error("--only needs exactly one --part")
    if not (given.minutes or given.full or given.sample or given.only or given.trials is not None):
        parser.error("say how much: --minutes N, --full, --sample, --trials N or --only TRIAL")
    return given


if __name__ == "__main__":
    sys.exit(main())
