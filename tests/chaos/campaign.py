"""The fault campaign: every part, as many trials as time allows, every broken promise with the command that repeats it.

    campaign.py --minutes 15                  what fits into that time, the parts one after the other
    campaign.py --full --results FOLDER       every sweep whole, and as many random trials as the page promises
    campaign.py --full --part F4 ...          one part of it, now or again
    campaign.py --results FOLDER --report PAGE   nothing but the page, from what the folder holds
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
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import ptrace
from again import SameCommand
from cases import CASES
from damage import Damage
from flushes import Flushes
from freeze import Freeze
from io_errors import IOErrors
from kill_everywhere import KillEverywhere
from kill_on_receipt import KillOnReceipt
from kill_processes import KillProcesses
from part import Part
from power_loss import PowerLoss
from report import Measured, Tally, keep, kept, line, page
from sabotage import SABOTAGES, sabotaged
from server import Server
from signals import Signals
from simulation import Simulation
from tokens import Tokens
from world import Bench, Ending, shared_charts

__all__ = ["main"]

_MEMORY: Final = Path("/dev/shm")
_PATIENCE: Final = 1.0
_SAMPLE_PATIENCE: Final = 10.0
"""Seconds: a suite on a busy machine must not fail for being slow, and who waits for the next look is still late."""

_SAMPLE_SECONDS: Final = 5.0
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of a part is done. ``weight``: its share of the time. The rest are numbers of trials."""

    part: type[Part]
    weight: int
    sample: int
    """Drawn at random, in a sample."""
    full: int = 0
    """At least so many in a full campaign: the sweep, then drawn at random."""
    nightly: int = 0
    """The same for those who have a night."""
    every: int = 1
    """A full campaign makes each so many-th trial of a sweep, begun at another one in each group; a night makes all."""


PLANS: Final = (
    Plan(part=KillEverywhere, weight=5, sample=16, full=30_000, nightly=30_000, every=3),
    Plan(part=KillProcesses, weight=3, sample=1, full=2_000, nightly=10_000),
    Plan(part=KillOnReceipt, weight=2, sample=20, full=1_000, nightly=10_000),
    Plan(part=Simulation, weight=4, sample=44, full=100_000, nightly=1_000_000),
    Plan(part=PowerLoss, weight=2, sample=24, full=20_000, nightly=100_000),
    Plan(part=IOErrors, weight=4, sample=10),
    Plan(part=Freeze, weight=4, sample=6, full=1_000, nightly=5_000, every=4),
    Plan(part=Signals, weight=4, sample=6, full=1_000, nightly=10_000, every=4),
    Plan(part=Damage, weight=1, sample=30, full=5_000, nightly=100_000),
    Plan(part=SameCommand, weight=2, sample=6, full=1_000, nightly=5_000),
    Plan(part=Tokens, weight=1, sample=1),
    Plan(part=Flushes, weight=1, sample=6),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one worker is to do of one part."""

    plan: Plan
    cases: tuple[str, ...]
    seed: int
    worker: int
    workers: int
    seconds: float
    every: int
    """Each so many-th trial of the sweeps is made before any is drawn; 0: none of them."""
    trials: int | None
    """So many by all workers, and no fewer than the sweep has; None: as many as there is time for."""
    only: str = ""
    patience: float = _PATIENCE
    sabotage: str = ""

    def choose(self, part: Part, tally: Tally) -> Iterator[str]:
        """The trials of this worker, one after the other."""
        if self.only:
            yield from [self.only] if self.worker == 0 else []
            return
        for number, group in enumerate(self._groups(part) if self.every else ()):
            trials = part.sweep(group)[number % self.every :: self.every]
            tally.swept += len(trials)
            yield from trials
        share = range(self.worker, self.trials, self.workers) if self.trials is not None else itertools.count()
        left = itertools.count() if self.trials is None else range(max(0, len(share) - tally.swept))
        for number in left:
            yield part.draw(self.seed + self.worker + number * self.workers)

    def _groups(self, part: Part) -> list[str]:
        """This worker's. By digest, so that what is alike does not fall to one of them."""
        every = sorted(part.groups(), key=lambda group: hashlib.sha256(f"{self.seed} {group}".encode()).digest())
        return every[self.worker :: self.workers]


def work(order: Order, answer: Connection) -> None:
    """One worker: a server, a folder, a part, and its share of the trials. Sends a Tally."""
    part_class = order.plan.part
    tally = Tally.of(part_class)
    began = time.monotonic()
    try:
        with _bench(order.cases, order.patience) as bench, sabotaged(order.sabotage):
            part = part_class(bench)
            for trial in order.choose(part, tally):
                tally.add(trial, attempt(part, trial))
                if time.monotonic() - began > order.seconds:
                    break
    except Exception:
        tally.broken = traceback.format_exc()
    tally.seconds = time.monotonic() - began
    answer.send(tally)


@contextmanager
def _bench(cases: Sequence[str], patience: float = _PATIENCE) -> Iterator[Bench]:
    """A server and a folder of its own, in memory where there is such a place."""
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as folder, Server() as server:
        yield Bench(server, Path(folder), {name: CASES[name] for name in cases}, patience)


def _warm_up(cases: Sequence[str]) -> None:
    """Once through everything, so that workers find loaded and compiled what they would all have to load."""
    with _bench(cases) as bench:
        bench.warm_up()
    gc.collect()
    # What is there before a fork is shared, and not to be looked through again in every child.
    gc.freeze()


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
    measured = Measured.now(how=_how(given), jobs=given.jobs, seed=given.seed)
    tallies = _measure(given, measured) if measured.how else []
    if given.json:
        print(json.dumps([asdict(tally) for tally in tallies]))
    if given.report:
        given.report.parent.mkdir(parents=True, exist_ok=True)
        given.report.write_text(page(kept(given.results, [plan.part.name for plan in PLANS])))
    return int(any(tally.problems or tally.broken for tally in tallies))


def _measure(given: argparse.Namespace, measured: Measured) -> list[Tally]:
    """One part after the other; each is told of, and kept, as soon as it has ended."""
    chosen = [plan for plan in PLANS if not given.part or plan.part.name in given.part]
    end = time.monotonic() + (given.minutes * 60 if given.minutes else float("inf"))
    tallies = []
    every = (name for name, case in CASES.items() if case.typical or not given.sample)
    cases = tuple(given.case or every)
    with shared_charts():
        _warm_up(cases)
        for index, plan in enumerate(chosen):
            share = plan.weight / sum(one.weight for one in chosen[index:])
            seconds = (end - time.monotonic()) * share
            tally = do_part(plan, [_order(given, plan, cases, worker, seconds) for worker in range(given.jobs)])
            tallies.append(tally)
            if given.results:
                keep(given.results, tally, measured)
            if not given.json:
                for text in (line(tally), *tally.complaints(_SHOWN), *tally.limits()):
                    print(text, flush=True)
    return tallies


def _order(given: argparse.Namespace, plan: Plan, cases: tuple[str, ...], worker: int, seconds: float) -> Order:
    trials, patience = given.trials, _PATIENCE
    if given.sample:
        trials, seconds, patience = trials or plan.sample, _SAMPLE_SECONDS, _SAMPLE_PATIENCE
    elif given.full or given.nightly:
        trials = plan.full if given.full else plan.nightly
    return Order(
        plan=plan,
        cases=cases,
        seed=given.seed,
        worker=worker,
        workers=given.jobs,
        seconds=seconds,
        every=plan.every if given.full else int(given.nightly),
        trials=trials,
        only=given.only,
        patience=patience,
        sabotage=given.sabotage,
    )


def _how(given: argparse.Namespace) -> str:
    """The words that say how much was asked for; empty for nothing."""
    for name in ("full", "nightly", "sample"):
        if getattr(given, name):
            return " ".join([f"--{name}", *(f"--case {case}" for case in given.case or ())])
    if given.minutes:
        return f"--minutes {given.minutes:g}"
    return f"--only {given.only}" if given.only else f"--trials {given.trials}" if given.trials else ""


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [plan.part.name for plan in PLANS]
    parser = argparse.ArgumentParser(prog="campaign.py", description="Break the product in every way there is.")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--minutes", type=float, default=0.0, help="how long all parts together may take")
    size.add_argument("--full", action="store_true", help="every sweep, and the published number of random trials")
    size.add_argument("--nightly", action="store_true", help="the same with many more random trials")
    size.add_argument("--sample", action="store_true", help="a little of everything, in seconds")
    parser.add_argument("--part", action="append", choices=names, help="only this part; may be given again")
    parser.add_argument("--case", action="append", choices=list(CASES), metavar="CASE", help="only this; likewise")
    parser.add_argument("--only", default="", metavar="TRIAL", help="only this trial of the part")
    parser.add_argument("--trials", type=int, help="so many of each part, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="the first seed, and the order of the sweeps")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many processes")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="keep the figures of each part here")
    parser.add_argument("--report", type=Path, metavar="PAGE", help="write the page from what --results holds")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--sabotage", default="", choices=["", *SABOTAGES], help="break the product on purpose")
    given = parser.parse_args(arguments)
    if given.only and len(given.part or ()) != 1:
        parser.error("--only needs exactly one --part")
    if given.report and not given.results:
        parser.error("--report needs --results")
    if not (_how(given) or given.report):
        parser.error("say how much: --minutes N, --full, --nightly, --sample, --trials N or --only TRIAL")
    return given


if __name__ == "__main__":
    sys.exit(main())
