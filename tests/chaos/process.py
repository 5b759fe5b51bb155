"""The command line as a process of its own: as a person or a script starts it, or from where it has been loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Final, Protocol

from part import judge_traceback
from ptrace import Tracee, in_child
from world import RUN, Ending, World

from machine.cli.app import main
from machine.errors import BugError

__all__ = ["Command", "Process"]

_MOST_FILES: Final = 1024
"""More than a bench has open."""

_VERBS: Final = {"start": "run", "resume": "resume"}


class Process(Protocol):
    """What is done to a process here; ``subprocess.Popen`` is one."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self) -> int: ...

    def kill(self) -> None: ...


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

    def fork(self, verb: str, *, pace: str = "5ms") -> Process:
        """The same, half a second of loading further on: in a copy of this process, which has loaded the program."""
        self._error.write_bytes(b"")
        pid = os.fork()
        if pid == 0:
            os.environ.clear()
            os.environ.update(self._environment)
            sys.argv = self._arguments(verb, pace)[2:]
            for one in (signal.SIGINT, signal.SIGTERM):
                signal.signal(one, signal.SIG_DFL)
            in_child(self._obey, self._error)
        return _Forked(pid)

    def _obey(self) -> int:
        # No pipe or socket of the parent's stays open because a copy of it lives.
        os.closerange(3, _MOST_FILES)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            main()
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else 0
        return 0

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

    def end(self, process: Process, ending: Ending) -> int:
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


class _Forked:
    """A child of this process, with the exit code ``subprocess`` would give it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        return self._reap(os.WNOHANG)

    def wait(self) -> int:
        code = self._reap(0)
        assert code is not None
        return code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _reap(self, options: int) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self.pid, options)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code
