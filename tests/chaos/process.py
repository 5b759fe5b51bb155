"""The command line as a process of its own, as a person or a script starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

from part import judge_traceback
from ptrace import Tracee
from world import RUN, Ending, World

from machine.errors import BugError

__all__ = ["Command"]

_VERBS: Final = {"start": "run", "resume": "resume"}


class Command:
    """``python -m machine`` for one World."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._error = world.folder / "stderr"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ARAZZO_", "HF_"))},
            "HF_TOKEN": "not-a-real-token",
        }

    def begin(self, verb: str, *, pace: str = "5ms") -> subprocess.Popen[bytes]:
        """Start the process; its streams go to a file and nowhere."""
        with self._error.open("wb") as stderr:
            return subprocess.Popen(
                self._arguments(verb, pace),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env=self._environment,
            )

    def trace(self, verb: str, *, pace: str = "5ms") -> Tracee:
        """The same, stopped before its first system call."""
        arguments = self._arguments(verb, pace)

        def become() -> int:
            os.execve(arguments[0], arguments, self._environment)

        return Tracee(become, self._error)

    def _arguments(self, verb: str, pace: str) -> list[str]:
        arguments = [sys.executable, "-m", "machine", _VERBS[verb], "--store", str(self._world.path)]
        if verb == "start":
            arguments += [*self._world.case.arguments(), "--id", RUN, "--server", self._world.url]
            arguments += ["--poll-interval", pace, "--settle", f"{self._world.settle * 1000:g}ms"]
        else:
            arguments.append(RUN)
        return arguments

    def end(self, process: subprocess.Popen[bytes], ending: Ending) -> int:
        """Wait for its exit code, and look at what it printed."""
        code = process.wait()
        self.judge(code, ending)
        return code

    def judge(self, code: int, ending: Ending) -> None:
        """Whatever it ended with, it printed no traceback and found no bug in itself."""
        printed = self._error.read_text(errors="replace")
        if "Traceback" in printed:
            judge_traceback(printed, ending)
        if code == BugError.exit_code:
            ending.problem(f"the command called it a bug of its own: {printed.strip()}")
