"""F6: every call to storage fails, one at a time, once or from then on, with a full disk or a broken one."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import ClassVar, Final

from part import Swept, as_kind, check_exit, trace
from ptrace import Tracee
from service import Kind
from storage import FALLIBLE, Watch
from world import VERBS, Ending, World

__all__ = ["IOErrors"]

_ERRORS: Final = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO}
_READING: Final = frozenset({"read", "pread64"})
"""Calls that a full disk does not disturb."""


class IOErrors(Swept):
    """Trials ``case:kind:opening:call:error:once|always``; calls to storage are counted from 1."""

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

    def kinds(self, case: str) -> Sequence[Kind]:
        return self.strictest(case)

    def covers(self, case: str, opening: str) -> bool:
        return self.bench.cases[case].typical

    def numbers(self, case: str, kind: Kind, opening: str) -> list[str]:
        world = self.openings.place(case, opening, kind)
        calls = self._run(world, trace(world, self.openings.verb(case, opening)), 0, 0, always=False)
        return [
            f"{number}:{error}:{how}"
            for number, call in enumerate(calls, 1)
            for error in _ERRORS
            for how in ("once", "always")
            if error == "EIO" or how == "always" or call not in _READING
        ]

    def attempt(self, trial: str, ending: Ending) -> None:
        case, kind, opening, number, error, how = trial.split(":")
        world = self.openings.place(case, opening, as_kind(kind))
        tracee = trace(world, self.openings.verb(case, opening))
        self._run(world, tracee, int(number), _ERRORS[error], always=how == "always")
        code = tracee.exit_code or 0
        check_exit(world, code, ending)
        ending.word = f"exit {code}"
        world.inspect(self.bench.server, ending)
        world.look_after(self.bench.server, ending, first=VERBS[int(number) % 2])

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
