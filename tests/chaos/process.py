"""The command line as a process of its own, as a person or a script starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

from part import judge_traceback
from world import NAME, RUN, Ending, World

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
        """Start the process; its streams go to files and nowhere."""
        arguments = [sys.executable, "-m", "machine", _VERBS[verb], "--store", str(self._world.path)]
        if verb == "start":
            arguments += [*self._world.policy.arguments(self._world.folder), "--id", RUN, "--poll-interval", pace]
            arguments += ["--server", self._world.url]
            for name, value in {"namespace": "acme", "name": NAME, "repository": "gpt2"}.items():
                arguments += ["-i", f"{name}={value}"]
        else:
            arguments.append(RUN)
        with self._error.open("wb") as stderr:
            return subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, env=self._environment
            )

    def end(self, process: subprocess.Popen[bytes], ending: Ending) -> int:
        """Its exit code; whatever it was, it printed no traceback."""
        code = process.wait()
        printed = self._error.read_text(errors="replace")
        if "Traceback" in printed:
            judge_traceback(printed, ending)
        if code == BugError.exit_code:
            ending.problem(f"the command called it a bug of its own: {printed.strip()}")
        return code
