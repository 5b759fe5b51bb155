"""What every part of the campaign is, and the two ways a trial runs the product in a process of its own.

A part lists its trials as short texts, so that one can be done again by itself, and does one when told. How many are
done, in which order and what is reported is the campaign's business.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from openings import Openings
from ptrace import CRASHED, Tracee, in_child
from service import KINDS, Kind
from world import Bench, Ending, World

from machine.errors import BugError, MachineError
from machine.runtime.clock import Interrupted, Interrupts

__all__ = ["Drawn", "Part", "Swept", "as_kind", "check_exit", "fork", "go", "judge_traceback", "trace"]


class Part(Protocol):
    """One kind of fault. Made once per process, with everything that its trials share."""

    name: ClassVar[str]
    title: ClassVar[str]
    fault: ClassVar[str]
    """One sentence: what is done to the product."""
    promise: ClassVar[str]
    """One sentence: what is checked."""
    traced: ClassVar[bool]
    """Whether it needs ptrace."""

    def __init__(self, bench: Bench) -> None: ...

    def groups(self) -> list[str]:
        """What the sweep falls into; no group is shared by two workers. Empty where there is no end to the trials."""
        ...

    def sweep(self, group: str) -> list[str]:
        """Every trial of a group. May have to run something to count them."""
        ...

    def draw(self, seed: int) -> str:
        """One trial at random."""
        ...

    def attempt(self, trial: str, ending: Ending) -> None:
        """Do one trial. What the product raises unexpectedly may pass: it counts as a problem."""
        ...


class Drawn:
    """For a part whose trials have no end: nothing to sweep."""

    def groups(self) -> list[str]:
        return []

    def sweep(self, group: str) -> list[str]:
        return []


class Swept:
    """For a part whose sweep falls into groups of the form ``CASE:KIND:OPENING``, with one trial per number."""

    bench: Bench
    openings: Openings
    _counted: dict[str, list[str]]

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.openings = Openings(bench)
        self._counted = {}

    def groups(self) -> list[str]:
        return [
            f"{case}:{kind}:{opening}"
            for case in self.bench.cases
            for opening in self.openings.names(case)
            for kind in self.kinds(case)
            if self.covers(case, opening)
        ]

    def kinds(self, case: str) -> Sequence[Kind]:
        """The services each opening is tried against."""
        return self.bench.cases[case].policy.kinds

    def strictest(self, case: str) -> Sequence[Kind]:
        """The one that punishes a second create, and keeps what the policy rests on."""
        kinds = self.bench.cases[case].policy.kinds
        return ("keyed",) if "keyed" in kinds else ("twice",)

    def covers(self, case: str, opening: str) -> bool:
        return True

    def numbers(self, case: str, kind: Kind, opening: str) -> list[str]:
        """What distinguishes the trials of a group."""
        raise NotImplementedError

    def sweep(self, group: str) -> list[str]:
        if group not in self._counted:
            case, kind, opening = group.split(":")
            self._counted[group] = [f"{group}:{one}" for one in self.numbers(case, as_kind(kind), opening)]
        return self._counted[group]

    def draw(self, seed: int) -> str:
        dice = random.Random(seed)
        return dice.choice(self.sweep(dice.choice(self.groups())))


def as_kind(text: str) -> Kind:
    return next(one for one in KINDS if one == text)


def go(world: World, verb: str, interrupts: Interrupts | None = None) -> int:
    """The exit code the command line would have. Lets pass what the command line would call a bug of ours."""
    try:
        return world.do(verb, interrupts).exit_code
    except Interrupted as stop:
        return stop.exit_code
    except BugError:
        raise
    except MachineError as error:
        return error.exit_code


def trace(world: World, verb: str, interrupts: Interrupts | None = None) -> Tracee:
    """The verb in a child that is stopped before its first system call."""
    return Tracee(lambda: go(world, verb, interrupts), _output(world))


def fork(world: World, verb: str, *, who: str = "second") -> tuple[int, int]:
    """The verb in a child that waits for one byte on a pipe: its process id, and the end to write to and close."""
    waiting, telling = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(telling)
        os.read(waiting, 1)
        in_child(lambda: go(world, verb), _output(world, who))
    os.close(waiting)
    return pid, telling


def check_exit(world: World, code: int, ending: Ending, *, killed: bool = False) -> None:
    """A child ends with a code of the product and prints no traceback; it dies of a signal only where it was killed."""
    for output in world.folder.glob("output-of-*"):
        printed = output.read_text(errors="replace").strip()
        if printed:
            judge_traceback(printed, ending)
    if code == CRASHED:
        ending.problem("it ended in a traceback")
    elif code < 0 and not killed:
        ending.problem(f"died of signal {-code}")


def judge_traceback(printed: str, ending: Ending) -> None:
    """Whether what was printed, which has no business to be there, is known."""
    if "Exception ignored" in printed and "Interrupted" in printed:
        ending.remark("a second signal met a finalizer, and Python printed a traceback before the run stopped in order")
    else:
        ending.problem(f"it printed: {printed.splitlines()[-1]}")


def _output(world: World, who: str = "first") -> Path:
    return world.folder / f"output-of-{who}"
