"""A forked process that can be stopped at every boundary of every system call it makes. x86-64 Linux, ctypes only.

Makes a stopped child from a function, then moves it from boundary to boundary: looks at the call, kills it there, makes
the call fail, or lets go. Follows the child's main thread, which is the only one that sends or writes in the product.
Decides nothing about what is a fault.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

__all__ = ["CRASHED", "Boundary", "Tracee", "in_child", "unavailable"]

CRASHED: Final = 71
"""The exit code of a child that ended in a traceback, which no exit code of the product is."""

_TRACEME, _GETREGS, _SETREGS, _DETACH, _SYSCALL, _SETOPTIONS = 0, 12, 13, 17, 24, 0x4200
_SYSGOOD, _EXITKILL = 0x1, 0x100000
_CALL_STOP: Final = signal.SIGTRAP | 0x80


_REGISTERS: Final = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"),
    *("orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
)


class _Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in _REGISTERS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """One side of one system call. ``result`` is only there on the way out; negative: an errno."""

    number: int
    entering: bool
    arguments: tuple[int, int, int, int]
    result: int


def unavailable() -> str:
    """Why nothing can be traced here; empty when it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"system calls are only traced on Linux x86-64, this is {sys.platform} {platform.machine()}"
    try:
        probe = Tracee(lambda: 0)
    except (OSError, RuntimeError) as error:
        return f"this kernel lets nobody trace: {error}"
    probe.kill()
    return ""


def in_child(body: Callable[[], int], output: Path | None = None) -> NoReturn:
    """Leave a forked process with what ``body`` returns; with CRASHED, and a traceback, if it raises.

    Everything that is printed goes to ``output``.
    """
    code = CRASHED
    try:
        if output is not None:
            file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for stream in (1, 2):
                os.dup2(file, stream)
            os.close(file)
        try:
            code = body()
        except BaseException:
            os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


class Tracee:
    """A child of this process, stopped before the first system call of ``body``. It dies when this process does."""

    def __init__(self, body: Callable[[], int], output: Path | None = None) -> None:
        self.exit_code: int | None = None
        """What it ended with, as ``subprocess`` counts: negative for a signal; None while it lives."""
        self._entering = False
        self._signal = 0
        self.pid = os.fork()
        if self.pid == 0:
            in_child(lambda: _traced(body), output)
        _, status = os.waitpid(self.pid, 0)
        if not os.WIFSTOPPED(status):
            raise RuntimeError("the child ended before it could be traced")
        _ptrace(_SETOPTIONS, self.pid, 0, _SYSGOOD | _EXITKILL)

    def step(self) -> bool:
        """Go on to the next boundary. False when it ended instead. A signal on its way is delivered."""
        while True:
            _ptrace(_SYSCALL, self.pid, 0, self._signal)
            self._signal = 0
            _, status = os.waitpid(self.pid, 0)
            if not os.WIFSTOPPED(status):
                self._ended(status)
                return False
            stop = os.WSTOPSIG(status)
            if stop == _CALL_STOP:
                self._entering = not self._entering
                return True
            if stop != signal.SIGTRAP:
                self._signal = stop

    def run_to(self, count: int, *, before: int = -1) -> int:
        """Go on over ``count`` boundaries; how many there were until it ended, or was about to make the call whose
        number is ``before``."""
        for passed in range(count):
            if not self.step():
                return passed
            if before >= 0 and self._entering and self.look().number == before:
                return passed + 1
        return count

    def look(self) -> Boundary:
        found = self._registers()
        return Boundary(
            number=found.orig_rax,
            entering=self._entering,
            arguments=(found.rdi, found.rsi, found.rdx, found.r10),
            result=ctypes.c_longlong(found.rax).value,
        )

    def read(self, address: int, size: int) -> bytes:
        """That many bytes of its memory, or fewer where it ends."""
        with open(f"/proc/{self.pid}/mem", "rb", 0) as memory:
            memory.seek(address)
            return memory.read(size)

    def read_text(self, address: int) -> str:
        """A text that ends in a zero byte."""
        found = b""
        while b"\0" not in found and len(found) < 4096:
            # Never over the end of a page: the next one may not be there.
            found += self.read(address + len(found), 256 - (address + len(found)) % 256)
        return os.fsdecode(found.partition(b"\0")[0])

    def fail(self, errno: int) -> bool:
        """On the way into a call: skip it and make it return this error. False when it ended."""
        found = self._registers()
        # A number no call has: the kernel does nothing.
        found.orig_rax = ctypes.c_ulonglong(-1).value
        _ptrace(_SETREGS, self.pid, 0, ctypes.addressof(found))
        if not self.step():
            return False
        found = self._registers()
        found.rax = ctypes.c_ulonglong(-errno).value
        _ptrace(_SETREGS, self.pid, 0, ctypes.addressof(found))
        return True

    def send(self, signum: int) -> None:
        """A signal that arrives when it goes on."""
        os.kill(self.pid, signum)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone. Does nothing to one that ended."""
        if self.exit_code is None:
            os.kill(self.pid, signal.SIGKILL)
            status = 0
            while os.WIFSTOPPED(status) or not status:
                _, status = os.waitpid(self.pid, 0)
            self._ended(status)

    def let_go(self) -> None:
        """Trace it no more: it runs on by itself."""
        if self.exit_code is None:
            _ptrace(_DETACH, self.pid, 0, self._signal)

    def wait(self, seconds: float) -> bool:
        """Wait for the end of one that was let go; whether it came."""
        end = time.monotonic() + seconds
        pause = 0.0002
        while self.exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._ended(status)
            elif time.monotonic() > end:
                return False
            else:
                time.sleep(pause)
                pause = min(pause * 2, 0.01)
        return True

    def _registers(self) -> _Registers:
        found = _Registers()
        _ptrace(_GETREGS, self.pid, 0, ctypes.addressof(found))
        return found

    def _ended(self, status: int) -> None:
        self.exit_code = os.waitstatus_to_exitcode(status)


def _traced(body: Callable[[], int]) -> int:
    _ptrace(_TRACEME, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    return body()


def _ptrace(request: int, pid: int, address: int = 0, data: int = 0) -> None:
    if _LIBC.ptrace(request, pid, address, data) < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))


_LIBC = ctypes.CDLL(None, use_errno=True)
if hasattr(_LIBC, "ptrace"):
    _LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    _LIBC.ptrace.restype = ctypes.c_long
