"""The command line begun where it has been loaded already, which is most of what a command takes.

One process, ``loaded.py FD``, loads the program and then forks a copy of itself for each command it is asked for; the
copy has the arguments, folder, variables and streams it is given, and runs the program's ``main`` as a new process
does. What is about how a process begins, or dies while it loads, needs a new one.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final, NoReturn

__all__ = ["Forked", "Loaded"]

_MOST: Final = 1 << 17
"""Bytes of an order: arguments and variables."""

_LATER: Final = ("durationpy", "elementpath", "http.server", "jsonpath_rfc9535", "jsonschema", "lxml.etree", "regex")
"""What the program loads at its first use."""


class Loaded:
    """The process that has loaded the program."""

    def __init__(self) -> None:
        self._here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", __file__, str(there.fileno())],
                pass_fds=[there.fileno()],
                cwd=Path(__file__).resolve().parent.parent,
                stdin=subprocess.DEVNULL,
            )

    def begin(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: int | IO[Any] = subprocess.DEVNULL,
        stdout: int | IO[Any] = subprocess.PIPE,
        stderr: int | IO[Any] = subprocess.PIPE,
    ) -> Forked:
        """Begin a command; the streams are said as ``subprocess.Popen`` has them."""
        ours: list[IO[str] | None] = []
        theirs: list[int] = []
        for number, stream in enumerate((stdin, stdout, stderr)):
            if stream == subprocess.PIPE:
                reading, writing = os.pipe()
                mine, its = (writing, reading) if number == 0 else (reading, writing)
                ours.append(open(mine, "w" if number == 0 else "r"))  # noqa: SIM115
                theirs.append(its)
            else:
                ours.append(None)
                theirs.append(
                    os.dup(theirs[1])
                    if stream == subprocess.STDOUT
                    else os.open(os.devnull, os.O_RDWR)
                    if stream == subprocess.DEVNULL
                    else os.dup(stream if isinstance(stream, int) else stream.fileno())
                )
        telling, told = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        order = json.dumps({"arguments": list(arguments), "cwd": str(cwd), "env": dict(env)}).encode()
        assert len(order) < _MOST
        socket.send_fds(self._here, [order], [*theirs, told.fileno()])
        told.close()
        for its in theirs:
            os.close(its)
        return Forked(telling, *ours)

    def close(self) -> None:
        self._here.close()
        self._process.wait()


class Forked:
    """A command that runs, with what is used here of ``subprocess.Popen``."""

    def __init__(
        self, telling: socket.socket, stdin: IO[str] | None, stdout: IO[str] | None, stderr: IO[str] | None
    ) -> None:
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self._telling = telling
        self.pid = int(telling.recv(32))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        with suppress(TimeoutError, BlockingIOError):
            return self._ended(0.0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        return self._ended(timeout)

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:
            # It may have ended since.
            with suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = 60.0) -> tuple[str, str]:
        """What it writes until it ends; TimeoutError when it does not."""
        end = time.monotonic() + timeout
        if self.stdin is not None:
            self.stdin.close()
        texts = ["", ""]

        def read(number: int, stream: IO[str]) -> None:
            texts[number] = stream.read()

        readers = [
            threading.Thread(target=read, args=(number, stream), daemon=True)
            for number, stream in enumerate((self.stdout, self.stderr))
            if stream is not None and not stream.closed
        ]
        for one in readers:
            one.start()
        for one in readers:
            one.join(max(end - time.monotonic(), 0))
            if one.is_alive():
                raise TimeoutError(f"process {self.pid} still writes after {timeout:g} s")
        self.wait(max(end - time.monotonic(), 0.1))
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        return texts[0], texts[1]

    def _ended(self, timeout: float | None) -> int:
        if self.returncode is None:
            self._telling.settimeout(timeout)
            # An end without a word is that of whoever should have said it.
            said = self._telling.recv(32)
            self._telling.close()
            self.returncode = int(said) if said else -signal.SIGKILL
        return self.returncode


def _modules() -> Iterator[str]:
    import machine

    for found in pkgutil.walk_packages(machine.__path__, "machine."):
        if not found.name.endswith("__main__"):
            yield found.name


def _serve(asked: socket.socket) -> NoReturn:
    """Fork a copy of this process for every order, until nobody is there to give one."""
    # Who waits for a command is a process of its own, and nobody waits for that one.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        order, streams, _, _ = socket.recv_fds(asked, _MOST, 4)
        if not order:
            os._exit(0)
        if os.fork() == 0:
            asked.close()
            _attend(json.loads(order), streams)
        for one in streams:
            os.close(one)


def _attend(order: Mapping[str, Any], streams: Sequence[int]) -> NoReturn:
    """Fork the command, say its process id and, once it has ended, its code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    told = socket.socket(fileno=streams[3])
    pid = os.fork()
    if pid == 0:
        told.close()
        _become(order, streams[:3])
    for one in streams[:3]:
        os.close(one)
    told.send(str(pid).encode())
    _, status = os.waitpid(pid, 0)
    with suppress(OSError):
        told.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(order: Mapping[str, Any], streams: Sequence[int]) -> NoReturn:
    """Be the command."""
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    for number, one in enumerate(streams):
        os.dup2(one, number)
        os.close(one)
    sys.argv = ["arazzo-machine", *order["arguments"]]
    # As they are made where a process begins; of the parent's nothing has been read or written.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace", buffering=1)  # noqa: SIM115
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]
    from machine.__main__ import main

    main()
    sys.exit(0)


if __name__ == "__main__":
    sys.path[0] = os.getcwd()
    for name in (*_modules(), *_LATER):
        with suppress(ImportError):
            importlib.import_module(name)
    # What is shared with every copy stays shared.
    gc.freeze()
    _serve(socket.socket(fileno=int(sys.argv[1])))
