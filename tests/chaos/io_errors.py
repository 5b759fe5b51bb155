"""F6: every call to storage fails, one at a time, once or from then on, with a full disk or a broken one."""

from __future__ import annotations

import errno
from typing import ClassVar, Final

from openings import OPENINGS, Openings
from part import check_exit, trace
from ptrace import Tracee
from server import KINDS
from storage import FALLIBLE, Watch
from world import VERBS, Bench, Ending, World

__all__ = ["IOErrors"]

_ERRORS: Final = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO}
_READING: Final = frozenset({"read", "pread64"})
"""Calls that a full disk does not disturb."""


class IOErrors:
    """Trials ``policy:opening:call:error:once|always``; calls to storage are counted from 1."""

    name: ClassVar[str] = "F6"
    title: ClassVar[str] = "I/O errors"
    fault: ClassVar[str] = (
        f"the k-th call to storage ({', '.join(sorted(FALLIBLE.values()))}) fails with ENOSPC or EIO, once or from "
        "then on, for every k"
    )
    promise: ClassVar[str] = (
        "no request leaves without a durable intent; the process ends with a code of its own and no traceback; once "
        "the disk is well again the run goes on to ready with one create"
    )
    traced: ClassVar[bool] = True

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._openings = Openings(bench)

    def sweep(self) -> list[str]:
        found = []
        for policy in self._bench.policies:
            for opening in self._openings.names(policy):
                world = self._openings.place(policy, opening, "twice")
                calls = self._run(world, trace(world, OPENINGS[opening].verb), 0, 0, always=False)
                for number, call in enumerate(calls, 1):
                    found += [
                        f"{policy}:{opening}:{number}:{error}:{how}"
                        for error in _ERRORS
                        for how in ("once", "always")
                        if error == "EIO" or how == "always" or call not in _READING
                    ]
        return found

    def draw(self, seed: int) -> str:
        return ""

    def attempt(self, trial: str, ending: Ending) -> None:
        policy, opening, number, error, how = trial.split(":")
        chosen = OPENINGS[opening]
        world = self._openings.place(policy, opening, KINDS[int(number) % 2])
        tracee = trace(world, chosen.verb)
        self._run(world, tracee, int(number), _ERRORS[error], always=how == "always")
        code = tracee.exit_code or 0
        check_exit(world, code, ending)
        ending.word = f"exit {code}"
        world.inspect(self._bench.server, ending, before=chosen.before)
        world.look_after(self._bench.server, ending, first=VERBS[int(number) % 2])

    def _run(self, world: World, tracee: Tracee, first: int, error: int, *, always: bool) -> list[str]:
        """To the end, with these failures; the calls to storage that were made."""
        watch = Watch(tracee, world.folder)
        calls: list[str] = []
        while tracee.step():
            boundary = tracee.look()
            call = watch.fallible(boundary)
            if call:
                calls.append(call)
                due = len(calls) >= first if always else len(calls) == first
                if first and due and not (error == errno.ENOSPC and call in _READING):
                    if not tracee.fail(error):
                        break
                    watch.failed()
                    continue
            watch.note(boundary)
        return calls
